"""What a reviewer drew, between the desk and the files beside a review."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from MedPrepLib.consensus.drawing import as_drawing, from_drawing
from MedPrepLib.errors import MedPrepError
from MedPrepLib.formats.segnrrd import read_seg_nrrd, write_seg_nrrd
from MedPrepLib.markups import read_boxes, write_boxes
from MedPrepLib.mrml.desk import CONSENSUS, Desk
from MedPrepLib.reading import own_drawing
from MedPrepLib.results import ConsensusRecord, SliceRange
from MedPrepLib.review import DrawnFile, DrawnKind, Review, ReviewStore
from MedPrepLib.review.store import Writer
from MedPrepLib.slicelabels import read_slices, slice_labels, write_slices


def drawings(desk: Desk, review: Review) -> tuple[tuple[DrawnFile, ...], dict[DrawnKind, Writer]]:
    """What lies on the desk, described for a review, and how each of it is written.

    Kinds that are not on the desk now stay as the review has them. Raises LabelError for segments
    that are no labels.
    """
    known = {drawn.kind: drawn for drawn in review.drawn}
    writers: dict[DrawnKind, Writer] = {}
    for kind, writer in _writers(desk, review.reviewer):
        writers[kind] = writer
        known.setdefault(kind, DrawnFile(kind, "", ""))
    if "mask" in writers:
        known["mask"] = msgspec.structs.replace(
            known["mask"],
            start=_start(desk),
            unchanged=desk.is_unchanged,
            accepted=tuple(desk.accepted),
        )
    return tuple(known[kind] for kind in sorted(known)), writers


def take_up(desk: Desk, review: Review, store: ReviewStore) -> tuple[str, ...]:
    """Put what a review has drawn onto the desk; what cannot be used is said in sentences."""
    problems = []
    for drawn in review.drawn:
        try:
            _TAKERS[drawn.kind](desk, drawn, store.path_of(review, drawn))
        except (MedPrepError, OSError) as error:
            problems.append(f"{error}; it is not shown")
    return tuple(problems)


def _start(desk: Desk) -> ConsensusRecord | None:
    """How the drawing began, in the words that every version of MedPrep sums up alike."""
    if desk.start is None:
        return None
    return msgspec.structs.replace(desk.start.record, annotated=None)


def _writers(desk: Desk, reviewer: str) -> Iterator[tuple[DrawnKind, Writer]]:
    case = desk.case
    if desk.has_mask:
        label_map, ignore = desk.nodes.drawn_consensus()
        drawing = as_drawing(label_map, case.geometry, case.schema, ignore)
        yield "mask", lambda path: write_seg_nrrd(path, drawing)
    if CONSENSUS in desk.nodes.boxes:
        boxes = desk.drawn_boxes()
        yield "boxes", lambda path: write_boxes(path, boxes)
    if desk.slices is not None:
        looked_for = {name for reading in case.slices for name in reading.annotated}
        annotated = [name for name in case.schema.names if name in looked_for]
        labels = slice_labels(reviewer, case.geometry.size[2], desk.slices, annotated)
        yield "slices", lambda path: write_slices(path, labels)


def _take_mask(desk: Desk, drawn: DrawnFile, path: Path) -> None:
    case = desk.case
    placed = own_drawing(read_seg_nrrd(path), case.geometry, case.study.align, path.name)
    label_map, _ = from_drawing(placed, case.schema)
    start = drawn.start or ConsensusRecord("majority", (), "background", 0, {})
    desk.go_on(start, label_map, drawn.accepted)


def _take_boxes(desk: Desk, _drawn: DrawnFile, path: Path) -> None:
    desk.put_boxes(read_boxes(path))


def _take_slices(desk: Desk, _drawn: DrawnFile, path: Path) -> None:
    rows = (row for row in read_slices(path) if row.stop > row.start)
    desk.slices = tuple(SliceRange(row.label, row.start, row.stop) for row in rows)


_TAKERS = {"mask": _take_mask, "boxes": _take_boxes, "slices": _take_slices}
