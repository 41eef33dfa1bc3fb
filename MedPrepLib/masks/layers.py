"""Putting segments into as few label maps as their overlaps allow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.errors import GeometryError
from MedPrepLib.findings import Finding
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import VoxelArray
from MedPrepLib.segmentation import BoolArray, Segment, Segmentation

Window = tuple[slice, slice, slice]
"""Where a smaller mask lies in the whole grid: slices of (k, j, i)."""

WHOLE: Window = (slice(None), slice(None), slice(None))


class LayerStack:
    """Collects masks; each goes into the first layer in which it overlaps nothing.

    Values must be unique among the segments, and at most 65,535.
    """

    def __init__(self, geometry: Geometry, largest_value: int) -> None:
        self._geometry = geometry
        self._dtype = np.min_scalar_type(largest_value)
        self._layers: list[VoxelArray] = []
        self._segments: list[Segment] = []

    def add(self, segment: Segment, mask: BoolArray, window: Window = WHOLE) -> None:
        """Add one segment; ``mask`` covers the part ``window`` of the grid."""
        number = next(
            (n for n, layer in enumerate(self._layers) if not layer[window][mask].any()),
            len(self._layers),
        )
        if number == len(self._layers):
            self._layers.append(np.zeros(self._geometry.shape, self._dtype))
        self._layers[number][window][mask] = segment.value
        self._segments.append(replace(segment, layer=number))

    def result(self) -> Segmentation:
        """All segments; one empty layer when nothing was added."""
        empty = np.zeros(self._geometry.shape, self._dtype)
        return Segmentation(tuple(self._layers) or (empty,), self._geometry, tuple(self._segments))


@dataclass(frozen=True, eq=False)
class Merged:
    """Several segmentations as one, and what was found on the way."""

    segmentation: Segmentation
    findings: tuple[Finding, ...]


def merge(parts: Sequence[Segmentation], item: str) -> Merged:
    """Several segmentations of one grid as one, with a LABELS_OVERLAP note where they overlap.

    Segments keep their values (equal names are one structure: their union) and go into the
    first layer in which they overlap nothing. The note counts the voxels per pair of names.
    Raises GeometryError for different grids or no parts.
    """
    if not parts:
        raise GeometryError("there is nothing to merge")
    geometry = parts[0].geometry
    if any(part.geometry.displacement_mm(geometry) > 1e-3 for part in parts):
        raise GeometryError("segmentations on different grids cannot be merged")
    if len(parts) == 1 and len(parts[0].layers) == 1:
        return Merged(parts[0], ())
    masks: dict[str, tuple[Segment, BoolArray]] = {}
    for part in parts:
        for segment in part.segments:
            mask = part.mask(segment.name)
            first, before = masks.get(segment.name, (segment, mask))
            masks[segment.name] = (first, mask | before)
    stack = LayerStack(geometry, max((s.value for s, _ in masks.values()), default=1))
    for segment, mask in masks.values():
        stack.add(segment, mask)
    return Merged(stack.result(), _overlap_note(masks.values(), item))


def _overlap_note(masks: Iterable[tuple[Segment, BoolArray]], item: str) -> tuple[Finding, ...]:
    listed = list(masks)
    pairs = []
    for index, (segment, mask) in enumerate(listed):
        for other, mask_b in listed[index + 1 :]:
            voxels = int(np.count_nonzero(mask & mask_b))
            if voxels:
                pairs.append(f"{segment.name} and {other.name} ({voxels} voxels)")
    if not pairs:
        return ()
    more = f" and {len(pairs) - 10} more pairs" if len(pairs) > 10 else ""
    message = "segments overlap: " + ", ".join(pairs[:10]) + more
    return (catalog.LABELS_OVERLAP.at(item, message),)
