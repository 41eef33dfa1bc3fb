"""From the sources of a study to one task per case, with the reviews that concern it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec

from MedPrepLib import __version__, catalog, layout
from MedPrepLib.config import case_recipe
from MedPrepLib.findings import Finding
from MedPrepLib.identity import Names
from MedPrepLib.issuers import counted_names, doubtful_issuers
from MedPrepLib.ledger import Ledger, fingerprint
from MedPrepLib.pipeline.draft import CaseTask
from MedPrepLib.pipeline.order import CASE_STAGES, Order
from MedPrepLib.progress import Listener, Step
from MedPrepLib.review import ReviewStore
from MedPrepLib.review.readmissions import Entry, in_force, read_readmissions
from MedPrepLib.scan import Candidate, Scanned, scan
from MedPrepLib.screen import screen_people
from MedPrepLib.shareable import days_since_first, model_name, shared_models


def scan_cases(order: Order, ledger: Ledger | None, listen: Listener) -> Scanned:
    """Every candidate of the sources, with what only shows when all of them are seen."""
    found = 0
    # Before public names are made, an item may be a person's name.
    nameable = order.study.privacy.case_names == "given"

    def heard(item: str) -> None:
        nonlocal found
        found += 1
        listen(Step("scan", found, 0, item if nameable else ""))

    def heard_files(count: int) -> None:
        listen(Step("scan", found, 0, f"{count} files"))

    if ledger is not None and order.repeats("scan"):
        ledger.forget_headers()
    scanned = scan(order.study, order.base, ledger, heard, heard_files)
    people = screen_people([c.case for c in scanned.candidates])
    candidates = tuple(
        msgspec.structs.replace(
            c, findings=c.findings + tuple(f for f in people if f.item == c.case.id)
        )
        for c in scanned.candidates
    )
    listen(Step("scan", found, found))
    return msgspec.structs.replace(scanned, candidates=candidates)


def case_tasks(order: Order, scanned: Scanned, names: Names) -> list[CaseTask]:
    """A task per candidate, in order of its private id, with what people decided about it.

    Raises ConfigError for a file of re-admissions that cannot be read.
    """
    last = order.stop if order.stop in CASE_STAGES else "pack"
    recipe = case_recipe(order.study)
    store = ReviewStore(order.base / order.study.reviews)
    readmitted = in_force(read_readmissions(order.base / order.study.readmitted))
    cases = [candidate.case for candidate in scanned.candidates]
    patients = {case.id: names.patient_of(case) for case in cases}
    doubts = doubtful_issuers(cases)
    people = patients | counted_names(doubts, patients)
    models = shared_models(cases, lambda case: people[case.id], order.study.privacy.min_group)
    tasks = [
        _task(order, candidate, names, store, recipe, last, readmitted)
        for candidate in scanned.candidates
    ]
    tasks = [_with_model(task, models) for task in tasks]
    if not order.study.privacy.study_days:
        return tasks
    # Two issuers that are told are two people, whosever the studies without one are.
    same = {case: doubt for case, doubt in doubts.items() if doubt.issuers < 2}
    return _with_days(tasks, patients | counted_names(same, patients))


def _with_model(task: CaseTask, shared: frozenset[str]) -> CaseTask:
    model = model_name(task.candidate.case.scan.model)
    return replace(task, model=model) if model in shared else task


def _with_days(tasks: list[CaseTask], people: Mapping[str, str]) -> list[CaseTask]:
    """The tasks with what only shows when all of a patient's studies are seen.

    ``people``: a name for the patient of every case, by its private id.
    """
    dates = {task.name: (people[task.candidate.case.id], _study_date(task)) for task in tasks}
    days = days_since_first(dates)
    return [replace(task, days=days.get(task.name)) for task in tasks]


def _study_date(task: CaseTask) -> str:
    return next((h.study_date for h in task.candidate.slices if h.study_date), "")


def _task(
    order: Order,
    candidate: Candidate,
    names: Names,
    store: ReviewStore,
    recipe: str,
    last: str,
    readmitted: Mapping[str, tuple[Entry, ...]],
) -> CaseTask:
    name = names.cases[candidate.case.id]
    reviews, unreadable = store.latest(name)
    findings = candidate.findings + tuple(f.about(candidate.case.id) for f in unreadable)
    return CaseTask(
        candidate=msgspec.structs.replace(candidate, findings=findings),
        name=name,
        patient=names.patient_of(candidate.case),
        study=order.study,
        recipe=recipe,
        through=last,
        cohort=order.cohort,
        private=order.private,
        review_folder=store.folder,
        reviews=reviews,
        readmissions=readmitted.get(name, ()),
    )


def watched(tasks: Iterable[CaseTask]) -> list[CaseTask]:
    """The tasks with the state of their files as it is now: for a run, not for looking at a study.

    It asks the disk for every file.
    """
    return [replace(task, seen=fingerprint(task.candidate.case.paths)) for task in tasks]


def unknown_readmissions(order: Order, tasks: Sequence[CaseTask]) -> tuple[Finding, ...]:
    """A note when re-admissions speak of cases that the sources do not have."""
    readmitted = in_force(read_readmissions(order.base / order.study.readmitted))
    missing = readmitted.keys() - {task.name for task in tasks}
    if not missing:
        return ()
    message = f"{len(missing)} of {len(readmitted)} re-admitted cases are not in the sources"
    return (catalog.READMISSION_UNUSED.at("re-admissions", message),)


def unknown_reviews(order: Order, tasks: Sequence[CaseTask]) -> tuple[Finding, ...]:
    """A note when there are reviews of cases that the sources do not have."""
    reviewed = ReviewStore(order.base / order.study.reviews).cases()
    missing = set(reviewed) - {task.name for task in tasks}
    if not missing:
        return ()
    message = f"{len(missing)} of {len(reviewed)} reviewed cases are not in the sources"
    return (catalog.REVIEW_UNUSED.at("reviews", message),)


def inputs_of(task: CaseTask) -> str:
    """A fingerprint of everything that went into a watched case: what is known of it, its files."""
    people = (task.reviews, task.readmissions)
    made = (__version__, layout.FORMAT_VERSION)
    known = (task.patient, task.model, task.days)
    facts = msgspec.json.encode((*made, *known, task.candidate, *people))
    digest = hashlib.sha256(facts)
    digest.update(task.seen.encode())
    return digest.hexdigest()
