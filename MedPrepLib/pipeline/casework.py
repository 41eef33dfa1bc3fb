"""What is done with one case, from headers to a written case file. Runs in a worker process.

A case goes through the steps as a frozen draft that each step extends; the first finding that
rejects the case ends its way. Nothing here knows of other cases, progress or processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import msgspec

from MedPrepLib import catalog
from MedPrepLib.config import Study
from MedPrepLib.findings import Finding, Severity, rejections
from MedPrepLib.hiccups import is_hiccup, patiently
from MedPrepLib.overheard import drain
from MedPrepLib.pipeline import imagework, readingwork, readmitwork, targetwork
from MedPrepLib.pipeline.draft import CaseTask, Draft, first_draft, known
from MedPrepLib.pipeline.refused import refused
from MedPrepLib.pipeline.workers import Lost
from MedPrepLib.results import CaseResult
from MedPrepLib.screen import modality_of
from MedPrepLib.shareable import shareable_facts
from MedPrepLib.sitelog import SiteLog

Step = Callable[[CaseTask, Draft], Draft]

STEPS: Mapping[str, Step] = {
    "screen": imagework.screen,
    "standardize": imagework.standardize,
    "align": readingwork.align,
    "agree": readingwork.agree,
    "consensus": readingwork.consensus,
    "targets": targetwork.targets,
    "recheck": imagework.recheck,
    "picture": imagework.picture,
    "pack": imagework.pack,
}
"""The steps of one case, in order."""


def work(task: CaseTask) -> CaseResult:
    """Do one case and say what was found. Bad data never raises."""
    drain()
    task, said = readmitwork.admitted(task)
    draft = _judge(first_draft(task), task)
    for name, step in STEPS.items():
        if rejections(draft.findings, task.name):
            break
        draft = _judge(_tried(step, task, draft), task)
        if name == task.through:
            break
    draft = _judge(draft.plus(*said, *readmitwork.told(task, draft), *refused(draft)), task)
    _log(task, draft)
    return msgspec.structs.replace(_result(task, draft), heard=drain())


def _log(task: CaseTask, draft: Draft) -> None:
    """The site's own log says everything, with the names of the source, where something is off."""
    serious = [f for f in draft.findings if f.severity >= Severity.REVIEW or f.withheld]
    if serious:
        case = task.candidate.case
        told = [{"code": f.code, "item": f.item, "message": f.message} for f in serious]
        SiteLog(task.private).write(
            "case", case=task.name, source=case.id, paths=case.paths[:3], findings=told
        )


def _tried(step: Step, task: CaseTask, draft: Draft) -> Draft:
    """One step, again after a while where a drive did not answer; what it cannot do is said.

    A step makes a new draft of an old one and of nothing else, so that it can be done again.
    """
    try:
        return patiently(lambda: step(task, draft))
    except MemoryError:
        size = "" if draft.geometry is None else f", an image of {_shape(draft)} voxels"
        return draft.plus(catalog.WORKER_MEMORY.at(task.name, f"memory ended{size}"))
    except OSError as error:
        if not is_hiccup(error):
            raise
        reason = os.strerror(error.errno or 0)
        return draft.plus(catalog.SOURCE_OFFLINE.at(task.name, f"a drive says: {reason}"))


def _shape(draft: Draft) -> str:
    return " x ".join(map(str, known(draft.geometry).size))


def _judge(draft: Draft, task: CaseTask) -> Draft:
    return replace(draft, findings=readmitwork.judge(task, draft.findings))


def _result(task: CaseTask, draft: Draft) -> CaseResult:
    case = draft.case
    facts = shareable_facts(case, task.patient, task.study.privacy)
    return CaseResult(
        id=case.id,
        patient=task.patient,
        center=case.patient.center,
        modality=modality_of(case),
        device=str(facts.get("manufacturer", "")),
        sex=str(facts.get("sex", "unknown")),
        age_years=None if "age_years" not in facts else int(facts["age_years"]),
        findings=published(draft.findings, task.study),
        geometry=draft.geometry,
        statistics=draft.statistics,
        readings=draft.readings,
        agreement=draft.agreement,
        consensus=draft.consensus,
        targets=draft.targets,
        pixel_hash=draft.pixel_hash,
        slice_hashes=draft.slice_hashes,
        fingerprint=draft.fingerprint,
        shard=draft.shard,
        bricks=draft.bricks,
        picture=draft.picture,
        readmitted=readmitwork.used(task, draft),
        other_raters=tuple(sorted({*draft.boxes, *(r.rater for r in draft.slice_readings)})),
    )


def published(findings: Iterable[Finding], study: Study) -> tuple[Finding, ...]:
    """Findings as a report may tell them: with the data's own names where these name nobody."""
    if study.privacy.case_names == "given":
        return tuple(findings)
    return tuple(finding.public() for finding in findings)


PASSING = frozenset(
    kind.code
    for kind in (
        catalog.SOURCE_OFFLINE,
        catalog.SOURCE_CHANGED,
        catalog.ACCESS_DENIED,
        catalog.CODEC_MISSING,
        catalog.WORKER_MEMORY,
    )
)
"""What may be gone when the same command is run again: it lies in the place, not in the data."""


def is_passing(result: CaseResult) -> bool:
    """True for a result that a later run does not take over, because its reason may be gone."""
    return any(finding.code in PASSING for finding in result.findings)


def lost_result(task: CaseTask, lost: Lost) -> CaseResult:
    """What is said of a case whose worker never answered."""
    seconds = f"{lost.seconds:.0f} s"
    if lost.why == "timeout":
        limit = task.study.run.timeout_s
        finding = catalog.WORKER_TIMEOUT.at(
            task.name, f"stopped after {seconds} (limit {limit:g} s)"
        )
    else:
        finding = catalog.WORKER_DIED.at(task.name, f"the worker died twice, last after {seconds}")
    return _result(task, replace(first_draft(task), findings=(finding,)))
