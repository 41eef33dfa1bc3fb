"""What a report is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from MedPrepLib.config.settings import Study
from MedPrepLib.findings import Finding, Severity, worst
from MedPrepLib.results import CaseResult
from MedPrepLib.split import SplitPlan
from MedPrepLib.tables import ReadingOrder


@dataclass(frozen=True)
class ReportInput:
    """Everything that the report tells; nothing else is looked at, no clock either.

    ``cases`` are all cases, included or not. ``pictures`` is the folder that holds the files
    named by ``CaseResult.picture``; ``files_seen`` counts the files of all sources.
    ``reading_order``: each rater's readings in order of date, where the study knows it.
    ``augmentation``: a PNG of what the study's augmentation does to some of the cases, if any.
    """

    settings: Study
    cases: tuple[CaseResult, ...]
    version: str
    config_hash: str
    split: SplitPlan | None = None
    source_findings: tuple[Finding, ...] = ()
    files_seen: int = 0
    pictures: Path | None = None
    reading_order: ReadingOrder = field(default_factory=dict)
    augmentation: bytes = b""

    @cached_property
    def ordered(self) -> tuple[CaseResult, ...]:
        """All cases in order of id."""
        return tuple(sorted(self.cases, key=lambda case: case.id))

    @cached_property
    def included(self) -> tuple[CaseResult, ...]:
        """The cases that can be trained on, in order of id."""
        return tuple(case for case in self.ordered if case.included)

    @cached_property
    def excluded(self) -> tuple[CaseResult, ...]:
        """The cases that something rejects, in order of id."""
        return tuple(case for case in self.ordered if not case.included)

    @cached_property
    def to_review(self) -> tuple[CaseResult, ...]:
        """The included cases that a person should look at, the most urgent first."""
        return tuple(sorted(filter(needs_look, self.included), key=_urgency))


def needs_look(case: CaseResult) -> bool:
    """True for an included case with a REVIEW finding, or with a reading that was rejected."""
    return case.included and (worst(case.findings) or Severity.NOTE) >= Severity.REVIEW


def judged_dice(case: CaseResult, rule: str) -> float | None:
    """The value that the threshold judges: the lowest pair, mean over pairs, or rater.

    The minimum runs over labels; under the rule "consensus" over raters against it, too. None
    when nothing was defined.
    """
    if case.agreement is None:
        return None
    if rule == "consensus":
        against = (row.dice for row in case.agreement.consensus)
        return min((value for value in against if value is not None), default=None)
    if rule == "worst_pair":
        return case.agreement.lowest
    means = (label.mean_dice for label in case.agreement.labels)
    return min((mean for mean in means if mean is not None), default=None)


def lowest_dice(case: CaseResult) -> float | None:
    """The worst pair over all labels; None when nothing was defined."""
    return None if case.agreement is None else case.agreement.lowest


def _urgency(case: CaseResult) -> tuple[bool, float, int, str]:
    """Rejected readings first, then the least agreement, then the number of findings."""
    serious = [f for f in case.findings if f.severity >= Severity.REVIEW]
    low_agreement = any(f.code == "LOW_AGREEMENT" for f in serious)
    lowest = lowest_dice(case)
    agreement = lowest if low_agreement and lowest is not None else 1.0
    return worst(serious) != Severity.REJECT, agreement, -len(serious), case.id
