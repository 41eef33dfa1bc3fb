"""The quarantine: cases that the last run left out and why, and how people re-admit them.

What a run left out is kept in its private ledger, with the files that were judged; so nothing has
to be scanned again to answer or to decide.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from MedPrepLib import catalog, layout
from MedPrepLib.errors import RunError
from MedPrepLib.findings import Severity
from MedPrepLib.identity import may_identify
from MedPrepLib.ledger import Ledger, fingerprint, open_ledger
from MedPrepLib.pipeline.draft import CaseTask
from MedPrepLib.pipeline.order import Order
from MedPrepLib.pipeline.readmitwork import (
    can_be_accepted,
    judged_paths,
    private_names,
)
from MedPrepLib.results import CaseResult, Readmission
from MedPrepLib.review.readmissions import (
    MOST_NOTE,
    Entry,
    append_entry,
    in_force,
    judged_data,
    read_readmissions,
)
from MedPrepLib.review.store import require_name
from MedPrepLib.trail import Trail

_NOTE = "quarantine"


class Reason(msgspec.Struct, frozen=True):
    """A finding that rejects a case. ``acceptable``: a person may re-admit the case in spite."""

    code: str
    message: str
    remedy: str
    acceptable: bool


class QuarantinedCase(msgspec.Struct, frozen=True):
    """A case that is left out, by its public name."""

    case: str
    center: str
    modality: str
    reasons: tuple[Reason, ...]


class ReadmittedCase(msgspec.Struct, frozen=True):
    """A finding of a case that a person accepted and that the last run took as accepted."""

    case: str
    readmission: Readmission


class Quarantine(msgspec.Struct, frozen=True):
    """What the last run left out, and what it took in because people said so."""

    cases: tuple[QuarantinedCase, ...] = ()
    readmitted: tuple[ReadmittedCase, ...] = ()

    def counts(self) -> tuple[tuple[str, int], ...]:
        """How many cases each code rejects, the most frequent first."""
        codes = Counter(code for c in self.cases for code in {r.code for r in c.reasons})
        return tuple(sorted(codes.items(), key=lambda pair: (-pair[1], pair[0])))


class _Judged(msgspec.Struct, frozen=True):
    """The private side of a quarantined case: its files as they were, and names."""

    image: tuple[str, ...]
    drawn: tuple[str, ...]
    seen: str
    names: tuple[str, ...]


class _Kept(msgspec.Struct, frozen=True):
    public: Quarantine
    private: dict[str, _Judged]


def keep_quarantine(
    ledger: Ledger, results: Iterable[CaseResult], tasks: Sequence[CaseTask]
) -> None:
    """Remember what a run left out."""
    ordered = sorted(results, key=lambda result: result.id)
    cases = tuple(_quarantined(result) for result in ordered if not result.included)
    readmitted = tuple(ReadmittedCase(r.id, one) for r in ordered for one in r.readmitted)
    left_out = {case.case for case in cases}
    private = {task.name: _judged(task) for task in tasks if task.name in left_out}
    ledger.remember(_NOTE, msgspec.json.encode(_Kept(Quarantine(cases, readmitted), private)))


def read_quarantine(order: Order) -> Quarantine:
    """What the last run of a study left out; RunError when there was none."""
    return _kept(order).public


def readmit(order: Order, case: str, code: str, by: str, note: str) -> Entry:
    """Accept a finding that rejects a case; the next run takes the case in.

    ``by`` is who decides, ``note`` why; both are shown in the report. Raises RunError for a case
    or finding that the last run did not reject, a finding that cannot be accepted, data that
    changed since that run, or a note that may identify somebody.
    """
    kept = _kept(order)
    reason = _reason(kept.public, case, code)
    if not reason.acceptable:
        raise RunError(f"{code} of {case} cannot be accepted: {reason.remedy}")
    judged = kept.private[case]
    _require_note(note, judged.names)
    if fingerprint((*judged.image, *judged.drawn)) != judged.seen:
        raise RunError(f"the data of {case} changed since the last run; run the study again first")
    data = judged_data(judged_paths(code, judged.image, judged.drawn))
    entry = Entry(case=case, code=code, by=require_name(by), note=note.strip(), judged=data)
    return _kept_entry(order, append_entry(order.base / order.study.readmitted, entry))


def withdraw(order: Order, case: str, code: str, by: str, note: str = "") -> Entry:
    """Take a re-admission back; RunError when there is none."""
    path = order.base / order.study.readmitted
    mine = in_force(read_readmissions(path)).get(case, ())
    if code not in {entry.code for entry in mine}:
        raise RunError(f"{code} of {case} is not re-admitted: there is nothing to withdraw")
    if note:
        _require_note(note, ())
    entry = Entry(case=case, code=code, action="withdraw", by=require_name(by), note=note.strip())
    return _kept_entry(order, append_entry(path, entry))


def _kept_entry(order: Order, entry: Entry) -> Entry:
    """The entry, which stands in the audit trail from now on."""
    Trail(order.private).add(entry.by, entry.action, entry.case, code=entry.code, note=entry.note)
    return entry


def _quarantined(result: CaseResult) -> QuarantinedCase:
    reasons = tuple(
        Reason(f.code, f.message, f.remedy, _acceptable(f.code))
        for f in result.findings
        if f.item == result.id and f.severity == Severity.REJECT
    )
    return QuarantinedCase(result.id, result.center, result.modality, reasons)


def _acceptable(code: str) -> bool:
    kind = catalog.find_kind(code)
    return kind is not None and can_be_accepted(kind)


def _judged(task: CaseTask) -> _Judged:
    case = task.candidate.case
    names = private_names(case, task.study.privacy.case_names)
    return _Judged(case.image_paths, case.drawn_paths, task.seen, names)


def _kept(order: Order) -> _Kept:
    path = order.private / layout.LEDGER_NAME
    if path.is_file():
        with open_ledger(path) as ledger:
            record = ledger.recall(_NOTE)
        if record is not None:
            return msgspec.json.decode(record, type=_Kept)
    raise RunError(
        f"no run of this study was found beside {order.cohort.name}: run it first, or name its "
        "cohort with --out"
    )


def _reason(quarantine: Quarantine, case: str, code: str) -> Reason:
    names = [held.case for held in quarantine.cases]
    held = next((held for held in quarantine.cases if held.case == case), None)
    if held is None:
        close = difflib.get_close_matches(case, names, n=1)
        hint = f'; did you mean "{close[0]}"?' if close else ""
        raise RunError(f"the last run did not reject {case!r}{hint}")
    reason = next((reason for reason in held.reasons if reason.code == code), None)
    if reason is None:
        codes = ", ".join(sorted({reason.code for reason in held.reasons}))
        raise RunError(f"{case} is not rejected by {code!r} but by {codes}")
    return reason


def _require_note(note: str, names: Sequence[str]) -> None:
    if not note.strip() or len(note) > MOST_NOTE or not note.isprintable():
        raise RunError(f"a note of 1 to {MOST_NOTE} printable characters has to say why")
    if may_identify(note, names):
        raise RunError(
            "the note is shown in the report and may identify somebody (a date, a long number, or "
            "a name of the study); say it without"
        )
