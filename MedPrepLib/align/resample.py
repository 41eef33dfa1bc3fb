"""Labels from one grid sampled on another with nearest neighbor, without interpolation.

Grids whose axes agree (up to order, direction and spacing) need one index per axis; turned grids
go through SimpleITK. Only the box that holds labels is touched. Both give what SimpleITK's nearest
neighbor gives, voxel by voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.catalog import GRID_RESAMPLED, LESION_LOST
from MedPrepLib.findings import Finding, Kind
from MedPrepLib.geometry import FloatArray, Geometry, Index, Lattice, Relation, lattice_relation
from MedPrepLib.images import VoxelArray
from MedPrepLib.regions import EMPTY, Slices, components, extent, label_extents
from MedPrepLib.results import LabelChange
from MedPrepLib.segmentation import Segment, Segmentation

IndexArray = npt.NDArray[np.int64]
Step = slice | IndexArray

_WORD = np.dtype(np.uint64)

NAMED_LABELS = 6
"""Labels whose volumes a message spells out; those that changed most come first."""

TIE_TOLERANCE = 1e-9
"""Voxels below a half that still count as a tie: noise of the matrix product, not of headers."""


@dataclass(frozen=True, eq=False)
class Sampling:
    """How voxels of ``target`` are looked up in ``source``. Arrays go in and out as (k, j, i)."""

    target: Geometry
    source: Geometry
    lattice: Lattice

    def within(self, where: Slices) -> Sampling:
        """The same lookup in a source that is cropped to the box ``where``."""
        k, j, i = where
        size = (i.stop - i.start, j.stop - j.start, k.stop - k.start)
        source = self.source.cropped((i.start, j.start, k.start), size)
        return sampling(self.target, source)

    @property
    def is_turned(self) -> bool:
        """True when no axis of the source follows an axis of the target."""
        return self.lattice.relation is Relation.OBLIQUE

    def apply(self, labels: VoxelArray) -> VoxelArray:
        """Labels (k, j, i) of the source grid on the target grid; 0 outside the source.

        Where the grids are one and the same these are ``labels`` themselves, no copy.
        """
        if self.lattice.relation is Relation.SAME and self.source.size == self.target.size:
            return labels
        result = np.zeros(self.target.shape, dtype=labels.dtype)
        where = extent(labels)
        if where != EMPTY:
            (_sample_turned if self.is_turned else _sample_axes)(self, labels, where, result)
        return result


def sampling(target: Geometry, source: Geometry) -> Sampling:
    """The way to sample ``source`` on ``target``."""
    return Sampling(target, source, lattice_relation(target, source))


def voxels_inside(segmentation: Segmentation, how: Sampling) -> tuple[int, int]:
    """Labeled voxels of the source whose centers lie in the target's voxels, and all of them."""
    inside = total = 0
    for layer in segmentation.layers:
        where = extent(layer)
        labeled = layer[where] != 0
        total += int(np.count_nonzero(labeled))
        inside += _count_inside(labeled, where, how)
    return inside, total


@dataclass(frozen=True, slots=True)
class Change:
    """What sampling did to one segment.

    ``lost`` holds the voxels of every 26-connected component that no target voxel sampled.
    """

    label: LabelChange
    lost: tuple[int, ...]


def resampled(
    segmentation: Segmentation, how: Sampling, sentence: str, item: str, kind: Kind = GRID_RESAMPLED
) -> tuple[Segmentation, tuple[Finding, ...], tuple[LabelChange, ...]]:
    """The segmentation on the target grid, findings of ``kind`` and LESION_LOST, and the changes.

    Components are sampled instead of labels, so that each one that vanished is known exactly.
    """
    layers: list[VoxelArray] = []
    changes: list[Change] = []
    for number, layer in enumerate(segmentation.layers):
        segments = [s for s in segmentation.segments if s.layer == number]
        sampled, found = _resampled_layer(layer, segments, how)
        layers.append(sampled)
        changes += found
    findings = [kind.at(item, f"{sentence[:-1]}: {_volumes([c.label for c in changes])}.")]
    findings += [LESION_LOST.at(item, _losses(c, how)) for c in changes if c.lost]
    result = Segmentation(tuple(layers), how.target, segmentation.segments)
    return result, tuple(findings), tuple(c.label for c in changes)


def _resampled_layer(
    layer: VoxelArray, segments: list[Segment], how: Sampling
) -> tuple[VoxelArray, list[Change]]:
    where = extent(layer)
    if where == EMPTY:
        none = [Change(LabelChange(s.name, 0.0, 0.0, 0, 0), ()) for s in segments]
        return np.zeros(how.target.shape, dtype=layer.dtype), none
    ids, values = _numbered(layer[where])
    moved = how.within(where).apply(ids)
    before, after = (np.bincount(x.ravel(), minlength=values.size) for x in (ids, moved))
    sampled = values[moved]
    boxes = label_extents(sampled)
    changes = []
    for segment in segments:
        own = np.flatnonzero(values == segment.value)
        box = boxes.get(segment.value)
        left = components(sampled, segment.value, box).count if box else 0
        lost = before[own][after[own] == 0]
        label = LabelChange(
            segment.name,
            float(before[own].sum()) * how.source.voxel_volume_mm3 / 1000,
            float(after[own].sum()) * how.target.voxel_volume_mm3 / 1000,
            own.size,
            left,
        )
        changes.append(Change(label, tuple(int(n) for n in lost)))
    return sampled, changes


def _numbered(labels: VoxelArray) -> tuple[npt.NDArray[np.int32], VoxelArray]:
    """Every component of every label with a number of its own, and the label of each number."""
    ids = np.zeros(labels.shape, dtype=np.int32)
    values = [0]
    for value, box in label_extents(labels).items():
        found = components(labels, value, box)
        inner = ids[box]
        inner[found.ids > 0] = found.ids[found.ids > 0] + (len(values) - 1)
        values += [value] * found.count
    return ids, np.array(values, dtype=labels.dtype)


def _volumes(changes: list[LabelChange]) -> str:
    ranked = sorted(changes, key=lambda c: -abs(c.ml_after - c.ml_before))
    named = [
        f"{c.label!r} {c.ml_before:.4g} to {c.ml_after:.4g} ml, "
        f"{c.components_before} to {c.components_after} component(s)"
        for c in ranked[:NAMED_LABELS]
    ]
    if len(ranked) > NAMED_LABELS:
        named.append(f"and {len(ranked) - NAMED_LABELS} labels that changed less")
    return "; ".join(named) or "no labels"


def _losses(change: Change, how: Sampling) -> str:
    largest = max(change.lost)
    return (
        f"label {change.label.label!r}: {len(change.lost)} of "
        f"{change.label.components_before} component(s) "
        f"vanished on the image grid, the largest of {largest} voxel(s), "
        f"{largest * how.source.voxel_volume_mm3 / 1000:.3g} ml."
    )


def _count_inside(labeled: npt.NDArray[np.bool_], where: Slices, how: Sampling) -> int:
    if how.is_turned:
        return _count_inside_turned(labeled, where, how)
    box = [slice(None)] * 3
    for axis, (scale, offset) in enumerate(zip(how.lattice.scale, how.lattice.offset, strict=True)):
        source_axis = 2 - how.lattice.axes[axis]
        start = (where[source_axis].start - offset) / scale
        index = nearest(1 / scale, start, labeled.shape[source_axis])
        hits = np.flatnonzero((index >= 0) & (index < how.target.size[axis]))
        box[source_axis] = slice(int(hits[0]), int(hits[-1]) + 1) if hits.size else slice(0)
    return int(np.count_nonzero(labeled[tuple(box)]))


def _count_inside_turned(labeled: npt.NDArray[np.bool_], where: Slices, how: Sampling) -> int:
    to_target = np.linalg.inv(how.lattice.matrix)
    starts = np.array([s.start for s in where])
    size = np.array(how.target.size)
    inside = 0
    for k, plane in enumerate(labeled):  # plane by plane: few coordinates at a time
        j, i = np.nonzero(plane)
        source = np.stack([i + starts[2], j + starts[1], np.full(i.shape, k + starts[0])])
        index = np.floor(to_target[:3, :3] @ source + to_target[:3, 3:] + 0.5 + TIE_TOLERANCE)
        inside += int(((index >= 0) & (index < size[:, None])).all(axis=0).sum())
    return inside


def _sample_axes(how: Sampling, labels: VoxelArray, where: Slices, result: VoxelArray) -> None:
    """One source index per target index and axis, for the part of the target that hits labels."""
    places, indices = [], []
    for axis in range(3):
        source_axis = how.lattice.axes[axis]
        box = where[2 - source_axis]
        index = nearest(how.lattice.scale[axis], how.lattice.offset[axis], how.target.size[axis])
        hits = np.flatnonzero((index >= box.start) & (index < box.stop))
        if hits.size == 0:
            return
        places.append(slice(int(hits[0]), int(hits[-1]) + 1))
        indices.append(index[places[-1]])
    i, j, k = places
    order = tuple(2 - how.lattice.axes[axis] for axis in (2, 1, 0))
    steps = [_as_slice(index) for index in reversed(indices)]
    if _is_mirrored(labels, order, steps):
        _copy_mirrored(labels, steps, result[k, j, i])
    else:
        result[k, j, i] = _taken(labels.transpose(order), steps)


def nearest(scale: float, offset: float, count: int) -> IndexArray:
    """The source index nearest to ``scale * t + offset`` for t in 0..count-1; a tie goes up."""
    position = scale * np.arange(count) + offset
    return np.asarray(np.floor(position + (0.5 + TIE_TOLERANCE)), dtype=np.int64)


def _taken(turned: VoxelArray, steps: list[Step]) -> VoxelArray:
    """Labels at the product of per-axis indices (a view where all of them are slices).

    The axis that leaves the fewest voxels is looked up first.
    """
    turned = turned[tuple(s if isinstance(s, slice) else _span(s) for s in steps)]
    looked_up = {axis: s - s.min() for axis, s in enumerate(steps) if not isinstance(s, slice)}
    for axis in sorted(looked_up, key=lambda a: looked_up[a].size / turned.shape[a]):
        turned = turned.take(looked_up[axis], axis=axis)
    return turned


def _is_mirrored(labels: VoxelArray, order: tuple[int, ...], steps: list[Step]) -> bool:
    """True when rows are only read backwards, in slices that are made of whole words."""
    if order != (0, 1, 2) or not all(isinstance(s, slice) for s in steps):
        return False
    backwards = isinstance(steps[2], slice) and steps[2].step == -1
    return backwards and labels.flags.c_contiguous and labels[0].nbytes % _WORD.itemsize == 0


def _copy_mirrored(labels: VoxelArray, steps: list[Step], result: VoxelArray) -> None:
    """``labels[steps]`` with rows read backwards, eight bytes at a time instead of one.

    A slice is copied from its last byte to its first: words in reverse order, each byte-swapped.
    Seen from its end that copy is the slice itself (in the other byte order), and rows read
    backwards are plain runs of bytes in it.
    """
    backward = np.empty(labels.shape[1:], dtype=labels.dtype.newbyteorder())
    words = backward.reshape(-1).view(_WORD)
    slices, *within = steps
    for source, target in zip(labels[slices], result, strict=True):
        words[:] = source.reshape(-1).view(_WORD.newbyteorder())[::-1]
        target[...] = backward[::-1, ::-1][tuple(within)]


def _span(index: IndexArray) -> slice:
    return slice(int(index.min()), int(index.max()) + 1)


def _as_slice(index: IndexArray) -> Step:
    """The indices as a slice where they follow each other up or down, which copies fastest."""
    first, last = int(index[0]), int(index[-1])
    step = 1 if last >= first else -1
    if not np.array_equal(index, np.arange(first, last + step, step)):
        return index
    stop = last + step
    return slice(first, stop if stop >= 0 else None, step)


def _sample_turned(how: Sampling, labels: VoxelArray, where: Slices, result: VoxelArray) -> None:
    import SimpleITK as sitk

    box = _target_box(how, where)
    if any(s.start >= s.stop for s in box):
        return
    k, j, i = (s.start for s in where)
    image = sitk.GetImageFromArray(np.ascontiguousarray(labels[where]))
    _place(image, how.source, (i, j, k))
    k, j, i = (s.start for s in box)
    depth, height, width = (s.stop - s.start for s in box)
    resampler = sitk.ResampleImageFilter()
    resampler.SetInterpolator(sitk.sitkNearestNeighbor)
    resampler.SetSize((width, height, depth))
    resampler.SetOutputSpacing(how.target.spacing)
    resampler.SetOutputOrigin(how.target.point_at((i, j, k)))
    resampler.SetOutputDirection(how.target.direction)
    sampled = resampler.Execute(image)  # the view below is valid as long as this is
    result[box] = sitk.GetArrayViewFromImage(sampled)


def _place(image: Any, geometry: Geometry, start: Index) -> None:
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.point_at(start))
    image.SetDirection(geometry.direction)


def _target_box(how: Sampling, where: Slices) -> Slices:
    """The box of target voxels (k, j, i) that can fall into the source box ``where``."""
    ends = [(where[2 - axis].start - 0.5, where[2 - axis].stop - 0.5) for axis in range(3)]
    corners: FloatArray = np.array(np.meshgrid(*ends)).reshape(3, -1)
    to_target = np.linalg.inv(how.lattice.matrix)
    index = to_target[:3, :3] @ corners + to_target[:3, 3:]
    low = np.maximum(np.floor(index.min(axis=1)).astype(int), 0)
    high = np.minimum(np.ceil(index.max(axis=1)).astype(int) + 1, how.target.size)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return (k, j, i)
