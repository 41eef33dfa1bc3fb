"""What re-admissions change in a run: findings that a person accepted do not reject any more.

A re-admission speaks of the data that were looked at. When these have changed since, it does not
count, and the case asks for another look.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from MedPrepLib import catalog
from MedPrepLib.cohort import Case
from MedPrepLib.findings import Finding, Kind, Severity, rejections
from MedPrepLib.identity import may_identify
from MedPrepLib.pipeline.draft import CaseTask, Draft
from MedPrepLib.results import Readmission
from MedPrepLib.review.readmissions import Entry, judged_data
from MedPrepLib.screen import judged

WITHHELD = "(withheld: the note may identify somebody)"
_READING_STAGES = frozenset(("align", "agree"))
_WHOLE_STUDY_STAGES = frozenset(("split", "run"))


def can_be_accepted(kind: Kind) -> bool:
    """True for findings that a person may accept for a single case."""
    return not kind.final and kind.stage not in _WHOLE_STUDY_STAGES


def judged_paths(code: str, image: Iterable[str], drawn: Iterable[str]) -> tuple[str, ...]:
    """The files that somebody looks at who judges this finding: the image, or drawings, too."""
    kind = catalog.find_kind(code)
    about_drawings = kind is not None and kind.stage in _READING_STAGES
    return (*image, *drawn) if about_drawings else tuple(image)


def private_names(case: Case, policy: str) -> tuple[str, ...]:
    """What a note about a case must not contain; nothing where names are free of identity."""
    return () if policy == "given" else (case.patient.id, case.id, *case.id.split("/"))


def admitted(task: CaseTask) -> tuple[CaseTask, tuple[Finding, ...]]:
    """The task with the re-admissions that count, and what is to be said of the others."""
    accepted, said = [], []
    for entry in task.readmissions:
        problem = _problem(task, entry)
        if problem is None:
            accepted.append(Readmission(entry.code, entry.by, entry.at, _shown_note(task, entry)))
        else:
            said.append(problem)
    return replace(task, accepted=tuple(accepted)), tuple(said)


def judge(task: CaseTask, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings as the study file judges them, and those that a person accepted as notes."""
    codes = {readmission.code for readmission in task.accepted}
    return tuple(
        f.with_severity(Severity.NOTE)
        if f.code in codes and f.item == task.name and f.severity == Severity.REJECT
        else f
        for f in judged(findings, task.study.screen.severity)
    )


def used(task: CaseTask, draft: Draft) -> tuple[Readmission, ...]:
    """The re-admissions whose findings occur."""
    found = {f.code for f in draft.findings if f.item == task.name}
    return tuple(readmission for readmission in task.accepted if readmission.code in found)


def told(task: CaseTask, draft: Draft) -> tuple[Finding, ...]:
    """What is said of the re-admissions that count. The note itself stays out of findings."""
    applied = used(task, draft)
    said = [
        catalog.READMITTED.at(
            task.name,
            f"{r.code} was accepted by {r.by}"
            + (", with a note" if r.note else ", without a note"),
        )
        for r in applied
    ]
    # A case that something else rejects may not have come to the stage of a finding.
    if not rejections(draft.findings, task.name):
        said += [
            catalog.READMISSION_UNUSED.at(task.name, f"{r.code}, accepted by {r.by}, was not found")
            for r in task.accepted
            if r not in applied
        ]
    return tuple(said)


def _problem(task: CaseTask, entry: Entry) -> Finding | None:
    kind = catalog.find_kind(entry.code)
    if kind is None or not can_be_accepted(kind):
        message = f"{entry.code}, accepted by {entry.by}, cannot be accepted for a single case"
        remedy = kind.remedy if kind is not None else None
        return catalog.READMISSION_REFUSED.at(task.name, message, remedy=remedy)
    if not entry.judged:
        message = f"the entry of {entry.by} for {entry.code} does not say which data were judged"
        return catalog.READMISSION_STALE.at(task.name, message)
    case = task.candidate.case
    try:
        now = judged_data(judged_paths(entry.code, case.image_paths, case.drawn_paths))
    except OSError:
        now = ""
    if now != entry.judged:
        message = f"the data changed since {entry.by} accepted {entry.code}"
        return catalog.READMISSION_STALE.at(task.name, message)
    return None


def _shown_note(task: CaseTask, entry: Entry) -> str:
    """The note, unless somebody wrote something that may not be shown."""
    names = private_names(task.candidate.case, task.study.privacy.case_names)
    return WITHHELD if may_identify(entry.note, names) else entry.note
