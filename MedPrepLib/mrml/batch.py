"""Every case of a book through a scene, one after the other: what the panel shows, as files.

For scripts of Slicer, where nobody is there to look. One case is in the scene at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from MedPrepLib import catalog
from MedPrepLib.atomic import FILE_MODE, make_folder, replacing
from MedPrepLib.casebook import CaseEntry, NotShownError
from MedPrepLib.config.settings import Consensus as HowToDecide
from MedPrepLib.errors import RunError
from MedPrepLib.findings import Finding
from MedPrepLib.load.index import NoSuchCaseError
from MedPrepLib.markups import write_boxes
from MedPrepLib.mrml.desk import Desk
from MedPrepLib.mrml.session import Session
from MedPrepLib.progress import Listener, Step, silent
from MedPrepLib.results import CaseResult, ReadingResult
from MedPrepLib.slicelabels import slice_labels, write_slices
from MedPrepLib.tables import AgreementRow, AlignmentRow, agreement_rows, alignment_rows, write_csv

SaveScene = Callable[[str], Any]


@dataclass(frozen=True)
class BatchOrder:
    """What to write, and where.

    ``out`` gets alignment.csv, agreement.csv and a folder "consensus". ``how``: None for the
    study's own way to decide. ``cases``: public names, none for all. ``save_scene``: called with
    the path of a bundle (.mrb) to keep each case as a scene, as ``slicer.util.saveScene``.
    """

    out: Path
    how: HowToDecide | None = None
    cases: tuple[str, ...] = ()
    save_scene: SaveScene | None = None


@dataclass(frozen=True)
class BatchSummary:
    """``results``: the cases that could be shown. ``findings``: about all, in order of case."""

    results: tuple[CaseResult, ...]
    not_shown: tuple[str, ...]
    findings: tuple[Finding, ...]


def run_batch(session: Session, order: BatchOrder, listen: Listener = silent) -> BatchSummary:
    """Show, compare and decide every case of the session's book, and write what was found.

    A reviewer of the session who has decided about a case is followed; nothing is decided in
    their name. Raises NoSuchCaseError for a case that is not in the book, RunError for a bundle
    that was not saved, OSError when the disk refuses; everything of the cases before is kept.
    """
    entries = _chosen(session, order.cases)
    make_folder(order.out)
    results: list[CaseResult] = []
    not_shown: list[str] = []
    findings: list[Finding] = []
    for number, entry in enumerate(entries, start=1):
        try:
            desk = session.open_case(entry.name)
            _decide(session, desk, order)
            result = _worked(desk, entry, order, _of_review(session, entry.name))
        except NotShownError as error:
            not_shown.append(entry.name)
            findings += error.findings
        else:
            results.append(result)
            findings += result.findings
        finally:
            session.drop_case()
        listen(Step("batch", number, len(entries), entry.name))
        _write_tables(order.out, results)
    return BatchSummary(tuple(results), tuple(not_shown), tuple(findings))


def _chosen(session: Session, names: tuple[str, ...]) -> tuple[CaseEntry, ...]:
    unknown = sorted(set(names) - {entry.name for entry in session.entries})
    if unknown:
        known = ", ".join(entry.name for entry in session.entries)
        raise NoSuchCaseError(f"there is no case {', '.join(unknown)}; the cases are {known}")
    return tuple(entry for entry in session.entries if not names or entry.name in names)


def _decide(session: Session, desk: Desk, order: BatchOrder) -> None:
    """Have a consensus in the scene: the reviewer's, else one by the method.

    Labels that nobody looked for and nobody drew are no segments of it: they would be read as
    annotated and empty.
    """
    review = session.review
    if review.nothing_found and not session.stale:
        desk.find_nothing()
    elif not (desk.has_mask or desk.drawn_boxes() or desk.slices is not None) and desk.case.raters:
        desk.decide(order.how or desk.case.study.consensus)
    annotated = desk.start.record.annotated if desk.start is not None else None
    if desk.has_mask and annotated is not None and not review.nothing_found:
        desk.nodes.list_only(annotated)


def _of_review(session: Session, name: str) -> tuple[Finding, ...]:
    """Why the reviewer is not followed, or not in everything."""
    found = [catalog.REVIEW_UNREADABLE.at(name, problem) for problem in session.problems]
    if session.stale:
        message = f"the review of {session.reviewer.strip()} speaks of other readings"
        found.append(catalog.REVIEW_STALE.at(name, message))
    return tuple(found)


def _worked(
    desk: Desk, entry: CaseEntry, order: BatchOrder, said: tuple[Finding, ...]
) -> CaseResult:
    _write_consensus(desk, make_folder(order.out / "consensus"))
    if order.save_scene is not None:
        path = make_folder(order.out / "scenes") / f"{desk.case.name}.mrb"
        if not order.save_scene(str(path)):
            raise RunError(f"the scene was not saved as {path}; is the disk full?")
    result = _result(desk, entry)
    return msgspec.structs.replace(result, findings=(*result.findings, *said))


def _write_consensus(desk: Desk, folder: Path) -> None:
    """The decided mask with its lineage, as Slicer writes it, and boxes and slices."""
    name, case = desk.case.name, desk.case
    if desk.has_mask:
        with replacing(folder / f"{name}.seg.nrrd") as partial:
            _store(desk.nodes.consensus, partial)
    if case.boxes:
        write_boxes(folder / f"{name}.mrk.json", desk.drawn_boxes())
    if desk.slices is not None:
        looked_for = {label for reading in case.slices for label in reading.annotated}
        annotated = [label for label in case.schema.names if label in looked_for]
        labels = slice_labels("consensus", case.geometry.size[2], desk.slices, annotated)
        write_slices(folder / f"{name}.slices.csv", labels)


def _store(node: Any, path: Path) -> None:
    node.AddDefaultStorageNode()
    storage = node.GetStorageNode()
    whole = path.with_name(f"{path.name}.seg.nrrd")  # Slicer goes by the end of the name
    storage.SetFileName(str(whole))
    try:
        if not storage.WriteData(node):
            raise RunError(f"Slicer could not write {whole}; is the disk full?")
        whole.chmod(FILE_MODE)
        whole.replace(path)
    finally:
        whole.unlink(missing_ok=True)


def _result(desk: Desk, entry: CaseEntry) -> CaseResult:
    case, analysis = desk.case, desk.analysis
    labels = case.labels_of_masks
    measured = labels if analysis.settings.surfaces else ()
    agreement = msgspec.structs.replace(
        analysis.agreement,
        surfaces=tuple(row for label in measured for row in analysis.surfaces(label)),
        causes=tuple(row for label in labels for row in analysis.causes(label)),
    )
    readings = tuple(
        ReadingResult(
            rater=rater,
            grid=case.verdicts[rater],
            voxels={name: int(mask.mask(name).sum()) for name in mask.names},
            content_hash=case.hashes.get(rater, ""),
        )
        for rater, mask in sorted(case.masks.items())
        if rater in case.verdicts  # an empty segmentation of a scene has no grid
    )
    return CaseResult(
        id=case.name,
        patient="",
        center=entry.center,
        modality=case.modality,
        device="",
        sex="",
        age_years=None,
        findings=(*case.findings, *analysis.low),
        geometry=case.geometry,
        readings=readings,
        agreement=agreement,
    )


def _write_tables(folder: Path, results: list[CaseResult]) -> None:
    write_csv(folder / "alignment.csv", alignment_rows(results), AlignmentRow)
    write_csv(folder / "agreement.csv", agreement_rows(results), AgreementRow)
