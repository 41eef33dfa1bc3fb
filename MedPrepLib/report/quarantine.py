"""What the report says of excluded cases by reason, and of those that people took in again."""

from __future__ import annotations

from collections import Counter

from MedPrepLib.report.model import ReportInput
from MedPrepLib.report.summary import Reason, meaning
from MedPrepLib.report.text import listing, plural


def reasons(report: ReportInput) -> tuple[Reason, ...]:
    """How many excluded cases each code rejects; a case counts for each of its codes."""
    counts = Counter(code for case in report.excluded for code in case.rejections)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(Reason(code, count, meaning(code)) for code, count in ordered)


def readmitted_sentence(report: ReportInput) -> str:
    """What the methods have to say of accepted findings; empty when there are none."""
    cases = [case for case in report.included if case.readmitted]
    if not cases:
        return ""
    codes = sorted({one.code for case in cases for one in case.readmitted})
    return (
        f"{plural(len(cases), 'case')} that a rule rejects ({listing(codes)}) "
        f"{'was' if len(cases) == 1 else 'were'} included after a person had looked at "
        f"{'it' if len(cases) == 1 else 'them'}."
    )
