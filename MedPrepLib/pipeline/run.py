"""The run of a whole study: scan, every case, split, report, manifest.

The cohort is what its manifest says, and the manifest is written last: whatever happens before,
a reader sees the previous cohort or none. Everything that may identify somebody (paths, ids, the
ledger) lies in a private folder *beside* the cohort.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from MedPrepLib import __version__
from MedPrepLib.atomic import PARTIAL_SUFFIX, make_folder
from MedPrepLib.card import CARD_FILES
from MedPrepLib.config import Study, public_text
from MedPrepLib.config.public import shown_tree
from MedPrepLib.errors import CohortError, RunError
from MedPrepLib.findings import Finding
from MedPrepLib.identity import SiteKey, load_site_key
from MedPrepLib.layout import INDEX_NAME, MANIFEST_NAME, NEXT_FOLDER
from MedPrepLib.ledger import Ledger
from MedPrepLib.manifest import Manifest, read_manifest
from MedPrepLib.pipeline import casework
from MedPrepLib.pipeline.cases import case_results, crew_of
from MedPrepLib.pipeline.commit import commit, tidy
from MedPrepLib.pipeline.order import PICTURES, SPLITS_FINAL, Order, Summary
from MedPrepLib.pipeline.preflight import (
    recipe_of,
    require_recipe_of_manifest,
    require_same_recipe,
    require_text,
)
from MedPrepLib.pipeline.quarantine import keep_quarantine
from MedPrepLib.pipeline.record import keep_study, recorded
from MedPrepLib.pipeline.shards import held, other_keys, take_headers
from MedPrepLib.pipeline.sourcework import look_at_sources
from MedPrepLib.pipeline.splitwork import keep_split, split_cases
from MedPrepLib.progress import Listener, Step, silent
from MedPrepLib.results import CaseResult
from MedPrepLib.review.readmissions import read_readmissions
from MedPrepLib.scan import require_sources
from MedPrepLib.screen import judged
from MedPrepLib.sitekey import require_outside, require_same_key
from MedPrepLib.split import SplitPlan
from MedPrepLib.tables import ReadingOrder
from MedPrepLib.verify import is_whole

RECIPE_NOTE, KEY_NOTE, COMMITTED_NOTE = "recipe", "key", "committed"
_OWN_NAMES = frozenset(
    (MANIFEST_NAME, "cases", "report", NEXT_FOLDER, SPLITS_FINAL, INDEX_NAME, *CARD_FILES)
)


def run(order: Order, listen: Listener = silent, key: SiteKey | None = None) -> Summary:
    """Run a study and return what was found; ``listen`` hears of every finished item.

    Raises RunError when the target cannot be used, LockedError when another process writes the
    same cohort, ConfigError when a source does not exist. Bad data never raises.
    """
    began = time.monotonic()
    require_text(order.base, order.cohort)
    # Faults of the study are told before any work.
    read_readmissions(order.base / order.study.readmitted)
    require_sources(order.study, order.base)
    if key is None:
        require_outside(order.cohort, order.private)
    _prepare_folders(order)
    secret = key or load_site_key()
    with held(order) as ledger, recorded(order, secret) as record, crew_of(order) as crew:
        _require_same_making(order, ledger, secret)
        take_headers(order, ledger)
        keep_study(order)
        found = look_at_sources(order, ledger, secret, listen)
        results, done = case_results(order, found.tasks, ledger, crew, listen)
        plan, extra = None, tuple[Finding, ...]()
        if order.wants("split"):
            listen(Step("split", 0, 1))
            results, plan, extra = split_cases(
                order, results, found.scanned, found.names, secret, ledger
            )
            listen(Step("split", 1, 1))
        record.results = results
        record.heard += [one for result in results for one in result.heard]
        if found.tasks and order.shard is None:
            keep_quarantine(ledger, results, found.tasks)
        told = casework.published(found.findings, order.study)
        sources = judged(told, order.study.screen.severity) + extra
        unchanged = False
        if plan is not None and order.wants("report"):
            listen(Step("report", 0, 1))
            seen = found.scanned.files_seen
            digest = _digest(order.study, results, plan, sources, found.dated, seen)
            committed = _committed_before(order, ledger, digest)
            unchanged = committed is not None
            if committed is not None:
                # An ended run or a part of one may have left case files of other settings.
                tidy(order, committed, results)
            else:
                keep_split(order, results, plan)
                # Whatever ends this run from here on, no later one takes its cohort for another.
                ledger.remember(COMMITTED_NOTE, b"")
                made = commit(order, results, plan, sources, seen, found.dated, secret.key_id)
                record.root_hash = made.root_hash
                ledger.remember(COMMITTED_NOTE, _committed(digest, made))
            listen(Step("report", 1, 1))
    reported = plan is not None and order.wants("report")
    return Summary(
        cohort=order.cohort,
        private=order.private,
        report=order.cohort / "report" / "index.html" if reported else None,
        results=results,
        source_findings=sources,
        plan=plan,
        files_seen=found.scanned.files_seen,
        headers_read=found.scanned.headers_read,
        cases_done=done,
        unchanged=unchanged and not done,
        seconds=time.monotonic() - began,
        shard=str(order.shard or ""),
    )


def _prepare_folders(order: Order) -> None:
    """Make the target folders; refuse a folder that holds something else."""
    cohort = order.cohort
    if cohort.is_dir():
        names = sorted(p.name for p in cohort.iterdir())
        strangers = [n for n in names if n.removesuffix(PARTIAL_SUFFIX) not in _OWN_NAMES]
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


def _require_same_making(order: Order, ledger: Ledger, key: SiteKey) -> None:
    """Raise RunError when what is there was begun with another key or other settings.

    Other settings are fine where the cohort is to be made again. Those of this run are remembered.
    """
    for key_id in (ledger.recall(KEY_NOTE), *other_keys(order, key)):
        require_same_key(order.cohort, key_id, key)
    if not order.rebuild and _begun(order, ledger):
        known = ledger.recall(RECIPE_NOTE)
        if known is None:
            require_recipe_of_manifest(order.cohort, order.study)
        require_same_recipe(known, order.study)
    ledger.remember(RECIPE_NOTE, recipe_of(order.study))
    ledger.remember(KEY_NOTE, key.key_id.encode())


def _begun(order: Order, ledger: Ledger) -> bool:
    """True when something was made that other settings would change."""
    return (order.cohort / MANIFEST_NAME).is_file() or any(True for _ in ledger.results())


def _committed_before(order: Order, ledger: Ledger, digest: bytes) -> Manifest | None:
    """The manifest on disk where it is what this run would write: no older one, no file lost."""
    if order.repeats("report"):
        return None
    try:
        manifest = read_manifest(order.cohort)
    except CohortError:
        return None
    if ledger.recall(COMMITTED_NOTE) != _committed(digest, manifest):
        return None
    whole = all(is_whole(order.cohort, file, deep=False) for file in manifest.files)
    return manifest if whole else None


def _committed(digest: bytes, manifest: Manifest) -> bytes:
    """What is remembered of a cohort: of what it was made, and what came of it."""
    return digest + b" " + manifest.root_hash.encode()


def _digest(
    study: Study,
    results: Sequence[CaseResult],
    plan: SplitPlan,
    sources: Sequence[Finding],
    dated: ReadingOrder,
    files_seen: int,
) -> bytes:
    places = sorted((*reading, place) for reading, place in dated.items())
    settings = (public_text(study), shown_tree(study))
    parts: Any = (__version__, settings, results, plan, sources, places, files_seen)
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest().encode()
