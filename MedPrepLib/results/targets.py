"""Boxes, slice labels, and what a model can be trained to predict."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

AnyBox = TypeVar("AnyBox")
"""A Box of this file, or a WorldBox (boxes.py)."""


class Box(msgspec.Struct, frozen=True):
    """The axis-aligned box of one connected component.

    Indices are (i, j, k), ``stop`` exclusive. ``low_mm`` / ``high_mm`` are the extremes of the
    voxel *edges* in LPS millimeters of the box in index space.
    """

    label: str
    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    low_mm: tuple[float, float, float]
    high_mm: tuple[float, float, float]
    voxels: int


class SliceRange(msgspec.Struct, frozen=True):
    """Slices (index k, ``stop`` exclusive) on which a label is present without interruption."""

    label: str
    start: int
    stop: int


class SliceLabels(msgspec.Struct, frozen=True):
    """One rater's labels per slice of one image.

    ``slices``: how many slices (index k) were read. ``annotated``: the labels that were looked
    for; one without a range was found on no slice. Ranges are sorted, disjoint and not adjacent
    within a label.
    """

    rater: str
    slices: int
    annotated: tuple[str, ...]
    ranges: tuple[SliceRange, ...]


class MergedBox(msgspec.Struct, Generic[AnyBox], frozen=True):
    """One box out of those that several raters drew around the same thing.

    ``raters``: who drew it, sorted. ``iou_low`` / ``iou_mean``: lowest and mean IoU between any
    two of their boxes; None for the box of one rater.
    """

    box: AnyBox
    raters: tuple[str, ...]
    iou_low: float | None
    iou_mean: float | None


class Targets(msgspec.Struct, frozen=True):
    """What a model can be trained to predict, derived from the consensus.

    ``undecided``: slices of which half of the raters say that they show a label, where the tie rule
    leaves them undecided; ``slices`` holds none of them.
    """

    voxels: dict[str, int]
    boxes: tuple[Box, ...]
    slices: tuple[SliceRange, ...]
    undecided: tuple[SliceRange, ...] = ()

    @property
    def present(self) -> frozenset[str]:
        """The labels that the case shows: in voxels, in a box, or on a slice."""
        drawn = {label for label, count in self.voxels.items() if count}
        boxed, noted = {box.label for box in self.boxes}, {found.label for found in self.slices}
        return frozenset(drawn | boxed | noted)
