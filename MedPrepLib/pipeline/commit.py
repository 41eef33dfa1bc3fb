"""Making the results of a run a cohort: report, then manifest, then tidying up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from MedPrepLib import __version__
from MedPrepLib.config import case_recipe, config_hash
from MedPrepLib.findings import Finding
from MedPrepLib.manifest import (
    ExcludedCase,
    Manifest,
    ManifestCase,
    training_normalization,
    write_manifest,
)
from MedPrepLib.pipeline.order import PICTURES, Order
from MedPrepLib.report import ReportInput, write_report
from MedPrepLib.results import CaseResult, ShardFile
from MedPrepLib.split import SplitPlan
from MedPrepLib.tables import (
    AgreementRow,
    RaterRow,
    agreement_rows,
    rater_summary,
    write_csv,
    write_json,
)


def commit(
    order: Order,
    results: Sequence[CaseResult],
    plan: SplitPlan,
    sources: tuple[Finding, ...],
    files_seen: int,
) -> Manifest:
    """Write the report and, last, the manifest; then remove what neither names."""
    report = ReportInput(
        settings=order.study,
        cases=tuple(results),
        version=__version__,
        config_hash=config_hash(order.study),
        split=plan,
        source_findings=sources,
        files_seen=files_seen,
        pictures=order.private / PICTURES,
    )
    folder = order.cohort / "report"
    written = (*write_report(folder, report), *_write_tables(folder, order, results, plan))
    files = tuple(_listed(order.cohort, path) for path in written)
    manifest = write_manifest(order.cohort, _manifest(order, results, plan, files))
    _tidy(order, manifest, results)
    return manifest


def _write_tables(
    folder: Path, order: Order, results: Sequence[CaseResult], plan: SplitPlan
) -> tuple[Path, ...]:
    """Every pair of raters on every label of every case, and a row per rater and label."""
    sets = {case: place.part for case, place in plan.places.items()}
    rows = agreement_rows(results, sets)
    raters = rater_summary(rows, order.study.agree.threshold)
    paths = tuple(folder / name for name in ("agreement.csv", "agreement.json", "raters.csv"))
    write_csv(paths[0], rows, AgreementRow)
    write_json(paths[1], rows)
    write_csv(paths[2], raters, RaterRow)
    return paths


def _manifest(
    order: Order,
    results: Sequence[CaseResult],
    plan: SplitPlan,
    files: tuple[ShardFile, ...],
) -> Manifest:
    cases = tuple(_row(r, r.shard, plan) for r in results if r.included and r.shard is not None)
    statistics = {r.id: r.statistics for r in results if r.statistics is not None}
    return Manifest(
        medprep_version=__version__,
        study=order.study.name,
        task=order.study.task,
        config=order.text,
        config_hash=config_hash(order.study),
        recipe_hash=case_recipe(order.study),
        schema=order.study.schema(),
        cases=cases,
        excluded=tuple(ExcludedCase(r.id, r.rejections) for r in results if not r.included),
        files=files,
        normalization=training_normalization(cases, statistics),
    )


def _row(result: CaseResult, shard: ShardFile, plan: SplitPlan) -> ManifestCase:
    place = plan.places[result.id]
    return ManifestCase(
        id=result.id,
        patient=result.patient,
        center=result.center,
        modality=result.modality,
        split=place.part,
        fold=place.fold,
        shard=shard,
        findings=tuple(sorted({f.code for f in result.findings})),
    )


def _listed(cohort: Path, path: Path) -> ShardFile:
    data = path.read_bytes()
    name = path.relative_to(cohort).as_posix()
    return ShardFile(name, len(data), hashlib.sha256(data).hexdigest())


def _tidy(order: Order, manifest: Manifest, results: Iterable[CaseResult]) -> None:
    """Remove case files and pictures of cases that are no longer there."""
    kept = {order.cohort / case.shard.name for case in manifest.cases}
    for path in (order.cohort / "cases").glob("*/*"):
        if path not in kept:
            path.unlink()
    pictures = {result.picture for result in results}
    for path in (order.private / PICTURES).iterdir():
        if path.name not in pictures:
            path.unlink()
