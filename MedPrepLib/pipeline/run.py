"""The run of a whole study: scan, every case, split, report, manifest.

The cohort is what its manifest says, and the manifest is written last: whatever happens before,
a reader sees the previous cohort or none. Everything that may identify somebody (paths, ids, the
ledger) lies in a private folder *beside* the cohort.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Sequence
from typing import Any

import msgspec

from MedPrepLib import __version__
from MedPrepLib.atomic import make_folder, write_bytes
from MedPrepLib.config import Study, config_hash
from MedPrepLib.errors import RunError
from MedPrepLib.findings import Finding
from MedPrepLib.identity import Names, SiteKey, load_site_key, public_names
from MedPrepLib.ledger import Ledger, open_ledger
from MedPrepLib.pipeline import casework
from MedPrepLib.pipeline.commit import commit
from MedPrepLib.pipeline.draft import CaseTask
from MedPrepLib.pipeline.lock import locked
from MedPrepLib.pipeline.order import (
    IDENTITIES,
    LEDGER,
    PICTURES,
    SPLITS_FINAL,
    Order,
    Summary,
)
from MedPrepLib.pipeline.preflight import recipe_of, require_room, require_same_recipe
from MedPrepLib.pipeline.quarantine import keep_quarantine
from MedPrepLib.pipeline.record import keep_study, recorded
from MedPrepLib.pipeline.splitwork import keep_split, split_cases
from MedPrepLib.pipeline.tasks import (
    case_tasks,
    inputs_of,
    scan_cases,
    unknown_readmissions,
    watched,
)
from MedPrepLib.pipeline.workers import Lost, WorkerPool
from MedPrepLib.progress import Listener, Step, silent
from MedPrepLib.results import CaseResult
from MedPrepLib.review.readmissions import read_readmissions
from MedPrepLib.scan import Candidate, Scanned, require_sources
from MedPrepLib.scan.dates import reading_order
from MedPrepLib.screen import judged
from MedPrepLib.sitekey import require_outside, require_same_key
from MedPrepLib.sitelog import WORKERS_LOG
from MedPrepLib.split import SplitPlan
from MedPrepLib.tables import ReadingOrder, no_formula


def run(order: Order, listen: Listener = silent, key: SiteKey | None = None) -> Summary:
    """Run a study and return what was found; ``listen`` hears of every finished item.

    Raises RunError when the target cannot be used, LockedError when another process writes the
    same cohort, ConfigError when a source does not exist. Bad data never raises.
    """
    # Faults of the study are told before any work.
    read_readmissions(order.base / order.study.readmitted)
    require_sources(order.study, order.base)
    if key is None:
        require_outside(order.cohort, order.private)
    _prepare_folders(order)
    secret = key or load_site_key()
    with (
        locked(order.private),
        open_ledger(order.private / LEDGER) as ledger,
        recorded(order, secret) as record,
    ):
        require_same_key(order.cohort, ledger.recall(KEY_NOTE), secret)
        if not order.rebuild and _begun(order, ledger):
            require_same_recipe(ledger.recall(RECIPE_NOTE), order.study)
        ledger.remember(RECIPE_NOTE, recipe_of(order.study))
        ledger.remember(KEY_NOTE, secret.key_id.encode())
        keep_study(order)
        scanned = scan_cases(order, ledger, listen)
        names = public_names(
            (c.case for c in scanned.candidates), secret, order.study.privacy.case_names
        )
        _write_identities(order, scanned, names)
        dated, undated = _reading_order(order, scanned, names)
        tasks = watched(case_tasks(order, scanned, names)) if order.wants("screen") else []
        results, done = _results(order, tasks, ledger, listen)
        plan, extra = None, tuple[Finding, ...]()
        if order.wants("split"):
            results, plan, extra = split_cases(order, results, scanned, names, secret)
            listen(Step("split", 1, 1))
        record.results = results
        record.heard += [one for result in results for one in result.heard]
        if tasks:
            keep_quarantine(ledger, results, tasks)
            undated += unknown_readmissions(order, tasks)
        told = casework.published(scanned.findings + undated, order.study)
        sources = judged(told, order.study.screen.severity) + extra
        report, unchanged = None, False
        if plan is not None and order.wants("report"):
            digest = _digest(order.study, results, plan, sources, dated)
            unchanged = ledger.recall("committed") == digest and not order.repeats("report")
            unchanged = unchanged and (order.cohort / "manifest.json").is_file()
            if not unchanged:
                keep_split(order, results, plan)
                made = commit(
                    order, results, plan, sources, scanned.files_seen, dated, secret.key_id
                )
                record.root_hash = made.root_hash
                ledger.remember("committed", digest)
            report = order.cohort / "report" / "index.html"
            listen(Step("report", 1, 1))
    return Summary(
        cohort=order.cohort,
        private=order.private,
        report=report,
        results=results,
        source_findings=sources,
        plan=plan,
        files_seen=scanned.files_seen,
        headers_read=scanned.headers_read,
        cases_done=done,
        unchanged=unchanged and not done,
    )


def _prepare_folders(order: Order) -> None:
    """Make the target folders; refuse a folder that holds something else."""
    cohort = order.cohort
    if cohort.is_dir():
        strangers = sorted(p.name for p in cohort.iterdir() if p.name not in _OWN_NAMES)
        if strangers:
            raise RunError(
                f"{cohort} holds {strangers[0]!r}, which is no part of a cohort; choose another "
                "folder with --out"
            )
    elif cohort.exists():
        raise RunError(f"{cohort} is not a folder; choose another with --out")
    try:
        for folder in (cohort, order.private, order.private / PICTURES):
            make_folder(folder)
    except OSError as error:
        raise RunError(f"cannot write to {cohort}: {error.strerror}") from None
    if not os.access(cohort, os.W_OK | os.X_OK):
        raise RunError(f"cannot write to {cohort}: permission denied; choose another with --out")


RECIPE_NOTE, KEY_NOTE = "recipe", "key"
_OWN_NAMES = frozenset(("manifest.json", "cases", "report", SPLITS_FINAL))


def _begun(order: Order, ledger: Ledger) -> bool:
    """True when something was made that other settings would change."""
    return (order.cohort / "manifest.json").is_file() or any(True for _ in ledger.results())


def _write_identities(order: Order, scanned: Scanned, names: Names) -> None:
    """The only place where public names and identities stand side by side. Never in the cohort."""
    text = io.StringIO()
    table = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    table.writerow(("case", "patient", "source_case", "source_patient", "center", "image"))
    for candidate in scanned.candidates:
        case = candidate.case
        image = case.image.paths[0] if case.image.paths else ""
        own = (names.cases[case.id], names.patient_of(case))
        table.writerow(
            map(no_formula, (*own, case.id, case.patient.id, case.patient.center, image))
        )
    data = text.getvalue().encode()
    path = order.private / IDENTITIES
    if not path.is_file() or path.read_bytes() != data:
        write_bytes(path, data)


def _reading_order(
    order: Order, scanned: Scanned, names: Names
) -> tuple[dict[tuple[str, str], int], tuple[Finding, ...]]:
    """The order of every rater's readings, by public names, where the study knows their dates."""
    table = order.study.reading_dates
    if not table:
        return {}, ()
    cases = [candidate.case for candidate in scanned.candidates]
    places, findings = reading_order(order.base / table, cases, table)
    public = {(names.cases[case], rater): place for (case, rater), place in places.items()}
    return public, findings


def _results(
    order: Order, tasks: Sequence[CaseTask], ledger: Ledger, listen: Listener
) -> tuple[tuple[CaseResult, ...], int]:
    """A result per case, in order of public name; and how many of them had to be worked for."""
    if not order.wants("screen"):
        return (), 0
    inputs = {task.name: inputs_of(task) for task in tasks}
    recipe = f"{tasks[0].recipe}:{tasks[0].through}" if tasks else ""
    results: dict[str, CaseResult] = {}
    if not (order.repeats("pack") and order.start not in ("split", "report")):
        for task in tasks:
            kept = ledger.case(task.name, inputs[task.name], recipe)
            if kept is not None and _still_there(order, kept):
                results[task.name] = kept
    todo = [task for task in tasks if task.name not in results]
    if not order.force and order.wants("pack"):
        require_room(order.cohort, todo)
    listen(Step("cases", len(results), len(tasks)))
    # Large cases first: the last worker to finish then waits the least.
    todo.sort(key=lambda t: (-_weight(t.candidate), t.name))
    pool: WorkerPool[CaseTask, CaseResult] = WorkerPool(
        casework.work,
        _worker_count(order, len(todo)),
        order.study.run.timeout_s,
        memory_bytes=int(order.study.run.memory_gb * 1e9),
        output=order.private / WORKERS_LOG,
    )
    for task, answer in pool.run(todo):
        result = casework.lost_result(task, answer) if isinstance(answer, Lost) else answer
        if not (isinstance(answer, Lost) or casework.is_passing(result)):
            ledger.keep_case(result, inputs[task.name], recipe)
        results[task.name] = result
        listen(Step("cases", len(results), len(tasks), task.name))
    return tuple(results[name] for name in sorted(results)), len(todo)


def _still_there(order: Order, result: CaseResult) -> bool:
    """True when the files that a kept result speaks of are where it says."""
    shard = result.shard
    if shard is not None:
        path = order.cohort / shard.name
        if not path.is_file() or path.stat().st_size != shard.size:
            return False
    return not result.picture or (order.private / PICTURES / result.picture).is_file()


def _weight(candidate: Candidate) -> int:
    geometry = candidate.case.image.geometry
    return 0 if geometry is None else geometry.size[0] * geometry.size[1] * geometry.size[2]


def _worker_count(order: Order, tasks: int) -> int:
    wanted = order.workers or order.study.run.workers or os.cpu_count() or 1
    return max(1, min(wanted, tasks))


def _digest(
    study: Study,
    results: Sequence[CaseResult],
    plan: SplitPlan,
    sources: Sequence[Finding],
    dated: ReadingOrder,
) -> bytes:
    places = sorted((*reading, place) for reading, place in dated.items())
    parts: Any = (__version__, config_hash(study), results, plan, sources, places)
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest().encode()
