"""One label of one reading, cut to its bounding box, so that work follows the structure's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from MedPrepLib.agree.runs import IntArray, Parts, Runs, connected, runs_of
from MedPrepLib.geometry import FloatArray, Geometry, Index
from MedPrepLib.regions import EMPTY, Slices, extent
from MedPrepLib.segmentation import BoolArray, Segmentation


@dataclass(frozen=True, eq=False)
class Crop:
    """The voxels (k, j, i) of one label inside its bounding box ``where`` (EMPTY if none)."""

    voxels: BoolArray
    where: Slices
    count: int

    @property
    def corner(self) -> Index:
        """The (k, j, i) of the first voxel of the box."""
        k, j, i = (s.start for s in self.where)
        return (k, j, i)

    @property
    def centroid(self) -> tuple[float, float, float]:
        """The mean index (k, j, i) of the voxels on the whole grid; the crop must not be empty."""
        k, j, i = (
            float(np.average(where, weights=self.runs.lengths)) + first
            for where, first in zip(self._middles, self.corner, strict=True)
        )
        return (k, j, i)

    @property
    def _middles(self) -> tuple[FloatArray, ...]:
        k, j, i = self.runs.places
        return k.astype(np.float64), j.astype(np.float64), i + (self.runs.lengths - 1) / 2

    @cached_property
    def runs(self) -> Runs:
        """The runs of the voxels."""
        return runs_of(self.voxels)

    @cached_property
    def parts(self) -> Parts:
        """The 26-connected components of the voxels."""
        return connected(self.runs)

    @cached_property
    def _before(self) -> npt.NDArray[np.int32]:
        """For every key of a run how many voxels come before it."""
        depth, height, width = self.voxels.shape
        rows = np.zeros((depth * height, width + 1), dtype=np.bool_)
        rows[:, :width] = self.voxels.reshape(depth * height, width)
        before = np.zeros(rows.size + 1, dtype=np.int32)
        np.cumsum(rows, out=before[1:])
        return before

    def common_after(self, moving: Crop, runs: Runs, shift: Index) -> int:
        """Voxels shared with ``runs`` of another crop after a shift by (k, j, i) voxels."""
        by = [
            theirs + step - ours
            for ours, theirs, step in zip(self.corner, moving.corner, shift, strict=True)
        ]
        k, j, i = self.voxels.shape
        moved = runs.moved(by, (k, j, i))
        return int((self._before[moved.stop] - self._before[moved.start]).sum(dtype=np.int64))

    def part(self, where: Slices) -> BoolArray:
        """The voxels in a box of the whole grid that lies within this crop's own box."""
        k, j, i = (
            slice(s.start - first, s.stop - first)
            for s, first in zip(where, self.corner, strict=True)
        )
        return self.voxels[k, j, i]

    def sample(self, most: int) -> IntArray:
        """Up to ``most`` of the voxels, evenly along the scan: indices (n, 3) in (i, j, k)."""
        flat = np.flatnonzero(self.voxels)[:: -(-self.count // most)]
        k, j, i = np.unravel_index(flat, self.voxels.shape)
        index: IntArray = np.stack([i, j, k], axis=1) + np.array(self.corner)[[2, 1, 0]]
        return index


def crop(reading: Segmentation, label: str) -> Crop:
    """One annotated label of a reading; LabelError when it was not annotated."""
    segment = reading.find(label)
    if segment is None:
        return mask_crop(reading.mask(label))  # raises, and says what was annotated
    layer = reading.layers[segment.layer]
    outer = extent(layer)
    return mask_crop(np.equal(layer[outer], segment.value), outer)


def mask_crop(mask: BoolArray, outer: Slices | None = None) -> Crop:
    """The bounding box of a mask; ``outer`` says where the mask lies on the whole grid."""
    inner = extent(mask.view(np.uint8)) if mask.size else EMPTY
    if inner == EMPTY:
        return Crop(mask[inner], EMPTY, 0)
    voxels = np.ascontiguousarray(mask[inner])
    starts = [s.start for s in outer] if outer else [0, 0, 0]
    k, j, i = (slice(s.start + at, s.stop + at) for s, at in zip(inner, starts, strict=True))
    return Crop(voxels, (k, j, i), int(np.count_nonzero(voxels)))


def common_box(boxes: Sequence[Slices]) -> Slices:
    """The smallest box that holds all boxes; EMPTY if there is none."""
    filled = [box for box in boxes if box != EMPTY]
    if not filled:
        return EMPTY
    k, j, i = (
        slice(min(box[axis].start for box in filled), max(box[axis].stop for box in filled))
        for axis in range(3)
    )
    return (k, j, i)


def shared_box(one: Slices, other: Slices) -> Slices:
    """What two boxes share; a box without voxels, within both, if they share nothing."""
    starts = [max(a.start, b.start) for a, b in zip(one, other, strict=True)]
    stops = [min(a.stop, b.stop) for a, b in zip(one, other, strict=True)]
    if any(a >= b for a, b in zip(starts, stops, strict=True)):
        return EMPTY
    k, j, i = (slice(a, b) for a, b in zip(starts, stops, strict=True))
    return (k, j, i)


def placed(cut: Crop, where: Slices) -> BoolArray:
    """The voxels of a crop in the box ``where``, which must hold the crop's own box."""
    if cut.where == where:
        return cut.voxels
    voxels = np.zeros(tuple(s.stop - s.start for s in where), dtype=np.bool_)
    if cut.count:
        inside = tuple(
            slice(a.start - b.start, a.stop - b.start)
            for a, b in zip(cut.where, where, strict=True)
        )
        voxels[inside] = cut.voxels
    return voxels


def milliliters(voxels: int, geometry: Geometry) -> float:
    """The volume of so many voxels of a grid."""
    return voxels * geometry.voxel_volume_mm3 / 1000
