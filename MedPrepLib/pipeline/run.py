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
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from MedPrepLib import __version__
from MedPrepLib.atomic import make_folder, write_bytes
from MedPrepLib.config import Study, config_hash
from MedPrepLib.errors import RunError
from MedPrepLib.findings import Finding
from MedPrepLib.identity import Names, SiteKey, load_site_key, public_names
from MedPrepLib.ledger import Ledger
from MedPrepLib.pipeline import casework
from MedPrepLib.pipeline.cases import case_results, crew_of
from MedPrepLib.pipeline.commit import commit
from MedPrepLib.pipeline.order import IDENTITIES, PICTURES, SPLITS_FINAL, Order, Summary
from MedPrepLib.pipeline.preflight import recipe_of, require_same_recipe
from MedPrepLib.pipeline.quarantine import keep_quarantine
from MedPrepLib.pipeline.record import keep_study, recorded
from MedPrepLib.pipeline.shards import held, other_keys, share, take_headers
from MedPrepLib.pipeline.splitwork import keep_split, split_cases
from MedPrepLib.pipeline.tasks import case_tasks, scan_cases, unknown_readmissions, watched
from MedPrepLib.progress import Listener, Step, silent
from MedPrepLib.results import CaseResult
from MedPrepLib.review.readmissions import read_readmissions
from MedPrepLib.scan import Scanned, require_sources
from MedPrepLib.scan.dates import reading_order
from MedPrepLib.screen import judged
from MedPrepLib.sitekey import require_outside, require_same_key
from MedPrepLib.split import SplitPlan
from MedPrepLib.tables import ReadingOrder, no_formula


def run(order: Order, listen: Listener = silent, key: SiteKey | None = None) -> Summary:
    """Run a study and return what was found; ``listen`` hears of every finished item.

    Raises RunError when the target cannot be used, LockedError when another process writes the
    same cohort, ConfigError when a source does not exist. Bad data never raises.
    """
    began = time.monotonic()
    # Faults of the study are told before any work.
    read_readmissions(order.base / order.study.readmitted)
    require_sources(order.study, order.base)
    if key is None:
        require_outside(order.cohort, order.private)
    _prepare_folders(order)
    secret = key or load_site_key()
    with held(order) as ledger, recorded(order, secret) as record, crew_of(order) as crew:
        for known in (ledger.recall(KEY_NOTE), *other_keys(order, secret)):
            require_same_key(order.cohort, known, secret)
        if not order.rebuild and _begun(order, ledger):
            require_same_recipe(ledger.recall(RECIPE_NOTE), order.study)
        ledger.remember(RECIPE_NOTE, recipe_of(order.study))
        ledger.remember(KEY_NOTE, secret.key_id.encode())
        take_headers(order, ledger)
        keep_study(order)
        scanned = scan_cases(order, ledger, listen)
        names = public_names(
            (c.case for c in scanned.candidates), secret, order.study.privacy.case_names
        )
        if order.shard is None:
            _write_identities(order, scanned, names)
        dated, undated = _reading_order(order, scanned, names)
        tasks = case_tasks(order, scanned, names) if order.wants("screen") else []
        tasks = watched(tasks if order.shard is None else share(tasks, order.shard))
        results, done = case_results(order, tasks, ledger, crew, listen)
        plan, extra = None, tuple[Finding, ...]()
        if order.wants("split"):
            results, plan, extra = split_cases(order, results, scanned, names, secret)
            listen(Step("split", 1, 1))
        record.results = results
        record.heard += [one for result in results for one in result.heard]
        if tasks and order.shard is None:
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
        seconds=time.monotonic() - began,
        shard=str(order.shard or ""),
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
