"""Where to look: the places at which raters differ, in masks, in boxes and in labels per slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from MedPrepLib.agree.differences import differing_components
from MedPrepLib.boxes import to_world
from MedPrepLib.casebook.opened import OpenCase
from MedPrepLib.consensus.boxes import merge_boxes
from MedPrepLib.geometry import Geometry, Triple
from MedPrepLib.results import Box, Difference, SliceLabels, SliceRange
from MedPrepLib.slicelabels import slice_flags

PlaceKind = Literal["missed lesion", "part", "border", "box", "slices"]


@dataclass(frozen=True)
class Place:
    """A place at which raters differ on a label; ``center_mm`` is LPS.

    ``volume_ml``: of the differing voxels, or of the box; 0 for labels per slice. What differs is
    ``difference`` of masks, ``box`` (the median of those who drew it) or ``slices``.
    """

    label: str
    kind: PlaceKind
    center_mm: Triple
    raters_for: tuple[str, ...]
    raters_against: tuple[str, ...]
    volume_ml: float = 0.0
    difference: Difference | None = None
    box: Box | None = None
    slices: SliceRange | None = None


def places(case: OpenCase, label: str, box_iou: float) -> tuple[Place, ...]:
    """Every place of a label: of masks the largest first and borders last, then boxes, slices."""
    return (
        *(_of_mask(found) for found in differing_components(case.masks, label)),
        *_of_boxes(case.boxes, label, box_iou, case.geometry),
        *_of_slices(case.slices, label, case.geometry),
    )


def _of_mask(found: Difference) -> Place:
    return Place(
        label=found.label,
        kind=found.kind,
        center_mm=found.center_mm,
        volume_ml=found.volume_ml,
        raters_for=found.raters_for,
        raters_against=found.raters_against,
        difference=found,
    )


def _of_boxes(
    boxes: Mapping[str, Sequence[Box]], label: str, limit: float, geometry: Geometry
) -> Iterator[Place]:
    """A place for each box that not everybody drew."""
    own = {rater: [box for box in drawn if box.label == label] for rater, drawn in boxes.items()}
    if not own:
        return
    for merged in merge_boxes(own, 1, limit, geometry=geometry).boxes:
        without = tuple(sorted(set(own) - set(merged.raters)))
        if without:
            box = to_world(merged.box, geometry)
            x, y, z = box.size_mm
            volume = x * y * z / 1000
            yield Place(label, "box", box.center_mm, merged.raters, without, volume, box=merged.box)


def _of_slices(readings: Sequence[SliceLabels], label: str, geometry: Geometry) -> Iterator[Place]:
    """A place for each range of slices on which the same raters noted the label, others not."""
    flags = {r.rater: slice_flags(r, label) for r in readings if label in r.annotated}
    columns, rows, _ = geometry.size
    count = min((len(flag) for flag in flags.values()), default=0)
    noted = [tuple(rater for rater in sorted(flags) if flags[rater][k]) for k in range(count)]
    for raters, run in groupby(range(count), key=noted.__getitem__):
        indices = list(run)
        if raters and len(raters) < len(flags):
            middle = indices[len(indices) // 2]
            center = geometry.point_at(((columns - 1) / 2, (rows - 1) / 2, float(middle)))
            without = tuple(sorted(set(flags) - set(raters)))
            found = SliceRange(label, indices[0], indices[-1] + 1)
            yield Place(label, "slices", center, raters, without, slices=found)
