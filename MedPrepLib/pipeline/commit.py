"""Making the results of a run a cohort: report, then manifest, then tidying up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from MedPrepLib import __version__, layout
from MedPrepLib.atomic import write_bytes
from MedPrepLib.card import card_input, read_agreement, rows_of_results, write_card
from MedPrepLib.config import Study, case_recipe, config_hash, public_text
from MedPrepLib.findings import Finding
from MedPrepLib.load.index import index_of
from MedPrepLib.manifest import (
    ExcludedCase,
    Manifest,
    ManifestCase,
    training_normalization,
    write_manifest,
)
from MedPrepLib.pipeline.order import PICTURES, SPLITS_FINAL, Order
from MedPrepLib.pipeline.packedwork import augmentation_of, write_index
from MedPrepLib.pipeline.staging import staged
from MedPrepLib.report import ReportInput, write_report
from MedPrepLib.results import CaseResult, ShardFile
from MedPrepLib.split import SplitPlan, splits_final
from MedPrepLib.tables import (
    AgreementRow,
    LearningRow,
    RaterRow,
    ReadingOrder,
    agreement_rows,
    learning_rows,
    rater_summary,
    write_csv,
    write_json,
)

_OF_REPORTS = frozenset((".html", ".png", ".csv", ".json"))
"""What files of a report end with."""


def commit(
    order: Order,
    results: Sequence[CaseResult],
    plan: SplitPlan,
    sources: tuple[Finding, ...],
    files_seen: int,
    dated: ReadingOrder,
    key_id: str,
) -> Manifest:
    """Write the report, then the manifest that makes it count; then remove what neither names."""
    begun = _manifest(order, results, plan, key_id)
    index = index_of(order.cohort, msgspec.to_builtins(begun))
    report = ReportInput(
        settings=order.study,
        cases=tuple(results),
        version=__version__,
        config_hash=config_hash(order.study),
        split=plan,
        source_findings=sources,
        files_seen=files_seen,
        pictures=order.private / PICTURES,
        reading_order=dated,
        augmentation=augmentation_of(index, order.study),
    )
    with staged(order.cohort) as place:
        folder, splits = place / "report", place / SPLITS_FINAL
        write_bytes(splits, splits_final(plan.places).encode())
        written = (*write_report(folder, report), *_write_tables(folder, report), splits)
        bricks = place / layout.INDEX_NAME
        write_index(bricks, index, results)
        files = tuple(_listed(place, path) for path in (*written, bricks))
        begun = msgspec.structs.replace(begun, files=files)
        manifest = write_manifest(order.cohort, _with_card(place, order.study, begun, results))
    tidy(order, manifest, results)
    return manifest


def _write_tables(folder: Path, report: ReportInput) -> tuple[Path, ...]:
    """Every pair of raters on every case, every rater, and every dated reading in its order."""
    places = report.split.places if report.split else {}
    rows = agreement_rows(report.cases, {case: place.part for case, place in places.items()})
    learning = learning_rows(rows, report.reading_order)
    raters = rater_summary(rows, report.settings.agree.threshold, learning)
    names = ("agreement.csv", "agreement.json", "raters.csv", "learning.csv")
    pairs, pairs_json, people, curves = (folder / name for name in names)
    write_csv(pairs, rows, AgreementRow)
    write_json(pairs_json, rows)
    write_csv(people, raters, RaterRow)
    if not report.reading_order:
        return pairs, pairs_json, people
    write_csv(curves, learning, LearningRow)
    return pairs, pairs_json, people, curves


def _manifest(
    order: Order,
    results: Sequence[CaseResult],
    plan: SplitPlan,
    key_id: str,
) -> Manifest:
    cases = tuple(_row(r, r.shard, plan) for r in results if r.included and r.shard is not None)
    statistics = {r.id: r.statistics for r in results if r.statistics is not None}
    return Manifest(
        medprep_version=__version__,
        study=order.study.name,
        task=order.study.task,
        config=public_text(order.study),
        config_hash=config_hash(order.study),
        recipe_hash=case_recipe(order.study),
        schema=order.study.schema(),
        cases=cases,
        excluded=tuple(ExcludedCase(r.id, r.rejections) for r in results if not r.included),
        files=(),
        normalization=training_normalization(cases, statistics),
        split=plan.summary,
        key_id=key_id,
    )


def _with_card(
    place: Path, study: Study, manifest: Manifest, results: Sequence[CaseResult]
) -> Manifest:
    """The manifest with the card of what it describes, written beside the report in ``place``."""
    cases = rows_of_results(manifest, results)
    card = card_input(manifest, study, cases, read_agreement(place))
    made = tuple(_listed(place, path) for path in write_card(place, card))
    return msgspec.structs.replace(manifest, files=(*manifest.files, *made))


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
        annotated=result.consensus is not None,
        person=result.person,
    )


def _listed(place: Path, path: Path) -> ShardFile:
    data = path.read_bytes()
    name = path.relative_to(place).as_posix()
    return ShardFile(name, len(data), hashlib.sha256(data).hexdigest())


def tidy(order: Order, manifest: Manifest, results: Iterable[CaseResult]) -> None:
    """Remove files, pages and pictures of cases that are no longer there, or are others now.

    At once, although a reader may have opened the cohort before: it keeps what it has mapped and
    is refused the rest. What was left out may have been left out to protect somebody.
    """
    named = (*(case.shard for case in manifest.cases), *manifest.files)
    kept = {order.cohort / file.name for file in named}
    written = [*(order.cohort / layout.CASES_FOLDER).glob("*/*")]
    # Pages go with the manifest that named them, unless it was lost.
    pages = (order.cohort / layout.REPORT_FOLDER).rglob("*")
    written += [page for page in pages if page.suffix in _OF_REPORTS]
    for path in written:
        if path not in kept:
            # Windows does not let go of a file that is being read: the next run removes it.
            with suppress(PermissionError):
                path.unlink()
    pictures = {result.picture for result in results}
    for path in (order.private / PICTURES).iterdir():
        if path.name not in pictures:
            path.unlink()
