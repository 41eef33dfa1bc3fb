"""What reviewers drew: their files as values on the grid of the image, and how far they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from MedPrepLib import catalog
from MedPrepLib.cohort import BoxReading, ReadingFile, SliceReading
from MedPrepLib.errors import MedPrepError
from MedPrepLib.findings import Finding, Severity
from MedPrepLib.images import VoxelArray
from MedPrepLib.pipeline.draft import CaseTask, Draft, known
from MedPrepLib.results import Box, SliceLabels
from MedPrepLib.review import DrawnFile, DrawnKind, Review, ReviewStore, drawings_of
from MedPrepLib.segmentation import Segment, Segmentation

Files = tuple[tuple[Review, DrawnFile], tuple[Review, DrawnFile]]
"""A drawing, and the later one that is used."""
Values = Mapping[str, float | None]
"""By label how far two drawings agree, from 0 to 1; None where both hold nothing."""
_WORDS: dict[DrawnKind, tuple[str, str]] = {
    "mask": ("masks", "Dice"),
    "boxes": ("boxes", "F1"),
    "slices": ("slice labels", "Dice of the slices"),
}
_REVIEWER = "review"


def label_map_of(
    task: CaseTask, draft: Draft, review: Review, file: DrawnFile
) -> tuple[VoxelArray, int | None]:
    """The drawn mask (k, j, i) in values of the schema, and the value of undecided voxels.

    Raises MedPrepError for a file that is missing, was changed, or cannot be used.
    """
    from MedPrepLib.consensus.drawing import from_drawing
    from MedPrepLib.formats.segnrrd import read_seg_nrrd
    from MedPrepLib.reading import own_drawing

    drawn = read_seg_nrrd(ReviewStore(task.review_folder).path_of(review, file))
    placed = own_drawing(drawn, known(draft.geometry), task.study.align, file.name)
    return from_drawing(placed, task.study.schema())


def boxes_of(
    task: CaseTask, draft: Draft, review: Review, file: DrawnFile
) -> tuple[tuple[Box, ...], tuple[Finding, ...]]:
    """The drawn boxes in voxels, cut to the image, and what is to be said of the file.

    Raises MedPrepError for a file that is missing or was changed.
    """
    from MedPrepLib.boxes import clipped, to_index
    from MedPrepLib.masks.boxes import load_boxes

    path = ReviewStore(task.review_folder).path_of(review, file)
    geometry = known(draft.geometry)
    reading = BoxReading(_REVIEWER, (ReadingFile(str(path)),))
    drawn, said = load_boxes(reading, geometry, task.study.schema(), draft.case.id)
    inside = (clipped(to_index(box, geometry), geometry) for box in drawn)
    return tuple(box for box in inside if box is not None), said


def slices_of(
    task: CaseTask, draft: Draft, review: Review, file: DrawnFile
) -> tuple[SliceLabels, tuple[Finding, ...]]:
    """The slice labels, and what is to be said of the file; errors as for :func:`boxes_of`."""
    from MedPrepLib.masks.slices import load_slices

    path = ReviewStore(task.review_folder).path_of(review, file)
    reading = SliceReading(_REVIEWER, (ReadingFile(str(path)),))
    return load_slices(reading, known(draft.geometry), task.study.schema(), draft.case.id)


def differing(task: CaseTask, draft: Draft, reviews: Mapping[str, Review]) -> tuple[Finding, ...]:
    """REVIEWS_DIFFER for each kind of drawing that several reviewers approved, not all alike.

    Compared is the last, which is used, with each before. A note where the agreement of every
    label reaches the study's threshold. Files that cannot be read are left aside.
    """
    found: list[Finding] = []
    for kind, compare in _COMPARED.items():
        *others, last = drawings_of(reviews, kind) or (None,)
        if last is None:
            continue
        rows = [
            (low, label, other[0])
            for other in others
            for label, low in _lowest(compare, task, draft, (other, last))
        ]
        if rows:
            low, label, other = min(rows, key=lambda row: row[0])
            found.append(_said(task, draft, kind, (low, label), (other, last[0])))
    return tuple(found)


def _lowest(
    compare: Callable[[CaseTask, Draft, Files], Values], task: CaseTask, draft: Draft, files: Files
) -> Iterator[tuple[str, float]]:
    """The label on which two drawings agree least, with the value; nothing where they are equal."""
    if files[0][1].sha256 == files[1][1].sha256:
        return
    try:
        values = compare(task, draft, files)
    except MedPrepError:  # of the drawing that is used this is said already
        return
    defined = {label: value for label, value in values.items() if value is not None}
    if defined:
        label = min(defined, key=lambda name: (defined[name], name))
        yield label, defined[label]


def _said(
    task: CaseTask,
    draft: Draft,
    kind: DrawnKind,
    least: tuple[float, str],
    people: tuple[Review, Review],
) -> Finding:
    from MedPrepLib.agree.pairs import shown_beside

    value, label = least
    limit = task.study.agree.threshold
    what, measure = _WORDS[kind]
    before, used = (f"{review.reviewer} (version {review.version})" for review in people)
    relation = "is below" if value < limit else "reaches"
    finding = catalog.REVIEWS_DIFFER.at(
        draft.case.id,
        f"the {what} that {before} and {used} approved differ: label {label!r}, {measure} "
        f"{shown_beside(value, limit)} {relation} {limit:g}; the latter are used",
    )
    return finding if value < limit else finding.with_severity(Severity.NOTE)


def _of_masks(task: CaseTask, draft: Draft, files: Files) -> Values:
    from MedPrepLib.agree import agree

    maps = [label_map_of(task, draft, *file)[0] for file in files]
    if np.array_equal(maps[0], maps[1]):
        return {}
    schema = task.study.schema()
    segments = tuple(Segment(label.name, label.value) for label in schema)
    drawn = {
        name: Segmentation((labels,), known(draft.geometry), segments)
        for name, labels in zip(("before", "used"), maps, strict=True)
    }
    return {pair.label: pair.dice for pair in agree(drawn, schema.names).pairs}


def _of_boxes(task: CaseTask, draft: Draft, files: Files) -> Values:
    from MedPrepLib.agree.boxes import agree_boxes

    drawn = [boxes_of(task, draft, *file)[0] for file in files]
    if _sorted(drawn[0]) == _sorted(drawn[1]):
        return {}
    named = dict(zip(("before", "used"), drawn, strict=True))
    rows = agree_boxes(named, task.study.schema().names, task.study.agree.box_iou)
    return {row.label: row.f1 for row in rows}


def _of_slices(task: CaseTask, draft: Draft, files: Files) -> Values:
    from MedPrepLib.agree.slices import agree_slices

    noted = [slices_of(task, draft, *file)[0] for file in files]
    if _sorted(noted[0].ranges) == _sorted(noted[1].ranges):
        return {}
    named = [
        msgspec.structs.replace(labels, rater=name)
        for name, labels in zip(("before", "used"), noted, strict=True)
    ]
    rows = agree_slices(named, task.study.schema().names)
    return {row.label: row.dice for row in rows}


def _sorted(drawn: Any) -> list[tuple[Any, ...]]:
    return sorted(msgspec.structs.astuple(one) for one in drawn)


_COMPARED: dict[DrawnKind, Callable[[CaseTask, Draft, Files], Values]] = {
    "mask": _of_masks,
    "boxes": _of_boxes,
    "slices": _of_slices,
}
