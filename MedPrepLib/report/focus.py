"""Where to look in a volume: the middle of the structure that is easiest to miss."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib.geometry import Geometry, Index
from MedPrepLib.images import VoxelArray
from MedPrepLib.labels import LabelSchema
from MedPrepLib.segmentation import BoolArray, Segmentation

Counts = npt.NDArray[np.int64]

MAX_COMPONENT_VOXELS = 100_000
"""A larger structure is thinned to this before its components are told apart: enough to find its
middle, and a few milliseconds at most."""

SLAB = 8
FEW_VALUES = 12


@dataclass(frozen=True, slots=True)
class Focus:
    """A voxel (i, j, k) and the size in millimeters of what is there (0: nothing is)."""

    center: Index
    extent_mm: float


def find_focus(
    geometry: Geometry,
    consensus: VoxelArray | None,
    readings: Mapping[str, Segmentation],
    schema: LabelSchema,
) -> Focus:
    """The middle of the largest component of the rarest label; else the volume's middle.

    The consensus (k, j, i) decides; when it is absent or empty, the first reading in order of
    rater that is not empty.
    """
    values = tuple(label.value for label in schema)
    maps = [] if consensus is None else [consensus]
    found = _focus_in(maps, values, geometry)
    for rater in sorted(readings):
        if found is None:
            found = _focus_in(readings[rater].layers, values, geometry)
    i, j, k = (n // 2 for n in geometry.size)
    return found or Focus((i, j, k), 0.0)


def _focus_in(
    maps: Iterable[VoxelArray], values: tuple[int, ...], geometry: Geometry
) -> Focus | None:
    best: tuple[int, int] | None = None
    chosen: tuple[VoxelArray, Counts, int] | None = None
    for labels in maps:
        counts = _counts_per_slab(labels)
        for value in values:
            total = int(counts[:, value].sum()) if value < counts.shape[1] else 0
            if total and (best is None or (total, value) < best):
                best, chosen = (total, value), (labels, counts[:, value], value)
    return None if chosen is None else _largest_component(*chosen, geometry)


def _counts_per_slab(labels: VoxelArray) -> Counts:
    """Voxels per slab of SLAB slices and label value; empty slices and rows are skipped."""
    rows = labels.max(axis=2)
    slabs = -(-labels.shape[0] // SLAB)
    counts = np.zeros((slabs, int(rows.max(initial=0)) + 1), dtype=np.int64)
    for slab in range(slabs):
        here = slice(slab * SLAB, (slab + 1) * SLAB)
        used = np.flatnonzero(rows[here].any(axis=0))
        if used.size:
            counts[slab] = _histogram(labels[here, used[0] : used[-1] + 1], counts.shape[1])
    return counts


def _histogram(labels: VoxelArray, length: int) -> Counts:
    """How often each value below ``length`` occurs; the count of 0 may be missing.

    Few values are counted by comparison, many bytes two at a time: both beat a plain bincount.
    """
    if length <= FEW_VALUES:
        found = (np.count_nonzero(labels == value) for value in range(1, length))
        return np.fromiter((0, *found), dtype=np.int64, count=length)
    flat = labels.ravel()
    if flat.dtype != np.uint8 or flat.size % 2:
        return np.bincount(flat, minlength=length).astype(np.int64)
    pairs = np.bincount(flat.view(np.uint16), minlength=65_536).reshape(256, 256)
    both: Counts = (pairs.sum(axis=0) + pairs.sum(axis=1)).astype(np.int64)
    return both[:length]


def _largest_component(
    labels: VoxelArray, per_slab: Counts, value: int, geometry: Geometry
) -> Focus:
    from scipy import ndimage

    slabs = np.flatnonzero(per_slab)
    first = int(slabs[0]) * SLAB
    part = labels[first : (int(slabs[-1]) + 1) * SLAB]
    step = math.ceil((int(per_slab.sum()) / MAX_COMPONENT_VOXELS) ** (1 / 3))
    thin: BoolArray = np.equal(part[::step, ::step, ::step], value)
    if not thin.any():  # a thread thinner than the step: every voxel counts
        step, thin = 1, np.equal(part, value)
    used = [np.flatnonzero(thin.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    components, _ = ndimage.label(thin[tuple(slice(u[0], u[-1] + 1) for u in used)])
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    inside = np.argwhere(components == int(sizes.argmax()))
    middle = inside[np.argmin(((inside - inside.mean(axis=0)) ** 2).sum(axis=1))]
    k, j, i = (int(u[0] + m) * step for u, m in zip(used, middle, strict=True))
    extent = (np.ptp(inside, axis=0) + 1) * step * np.array(geometry.spacing)[[2, 1, 0]]
    return Focus((i, j, first + k), float(extent.max()))
