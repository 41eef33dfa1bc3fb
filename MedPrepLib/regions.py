"""Where the labels of a label map lie: bounding boxes and connected components.

Boxes are tuples of slices in array order (k, j, i). Components are 26-connected (voxels that
share a face, an edge or a corner), as in SimpleITK's ``ConnectedComponent(fullyConnected=True)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib.images import VoxelArray

Slices = tuple[slice, slice, slice]
IdArray = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]

EMPTY: Slices = (slice(0, 0), slice(0, 0), slice(0, 0))

_SLICES = 16
"""Slices whose runs are looked for at a time: a few megabytes."""


@dataclass(frozen=True, eq=False)
class Components:
    """The components of one label: ids 1..count (0 elsewhere) inside the box ``where``."""

    ids: IdArray
    count: int
    where: Slices


def extent(labels: VoxelArray) -> Slices:
    """The smallest box (k, j, i) that holds every voxel other than 0; EMPTY if there is none.

    Every voxel is looked at once: slices from both ends until one is not empty, what lies between
    them as one plane of maxima.
    """
    count = labels.shape[0]
    words = _words(labels)
    first = next((k for k in range(count) if words[k].any()), None)
    if first is None:
        return EMPTY
    last = next(k for k in range(count - 1, first - 1, -1) if words[k].any())
    plane = labels[first : last + 1].max(axis=0)
    return (slice(first, last + 1), _span(plane.max(axis=1)), _span(plane.max(axis=0)))


def _words(labels: VoxelArray) -> VoxelArray:
    """The slices eight bytes at a time, where they are made of such words, to look for zeros."""
    if labels.size and labels.flags.c_contiguous and labels[0].nbytes % 8 == 0:
        return labels.reshape(labels.shape[0], -1).view(np.uint64)
    return labels


def label_extents(labels: VoxelArray) -> dict[int, Slices]:
    """The bounding box (k, j, i) of every label that is present, by value, in order of value.

    Found from the runs of equal voxels, of which there are few.
    """
    outer = extent(labels)[0]
    low = np.full((int(labels.max(initial=0)) + 1, 3), np.iinfo(np.int64).max, dtype=np.int64)
    high = np.full_like(low, -1)
    for start in range(outer.start, outer.stop, _SLICES):
        slab = labels[start : min(start + _SLICES, outer.stop)]
        values, first, last = _runs(np.ascontiguousarray(slab).reshape(-1))
        for axis, (lowest, highest) in enumerate(_reach(first, last, slab.shape)):
            shift = start if axis == 0 else 0
            np.minimum.at(low[:, axis], values, lowest + shift)
            np.maximum.at(high[:, axis], values, highest + shift)
    return {
        int(value): _between(low[value], high[value] + 1)
        for value in np.flatnonzero(high[:, 0] >= 0)
    }


def _runs(flat: VoxelArray) -> tuple[VoxelArray, Places, Places]:
    """Value, first and last place of every run of one value other than 0."""
    first = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)
    last = np.append(first[1:], flat.size) - 1
    drawn = flat[first] != 0
    first, last = first[drawn], last[drawn]
    return flat[first], first, last


def _reach(
    first: Places, last: Places, shape: tuple[int, ...]
) -> tuple[tuple[Places, Places], ...]:
    """The lowest and highest index of every run along k, j and i; a run may go over row ends."""
    _, height, width = shape
    rows, row_ends = first // width, last // width
    slices, slice_ends = rows // height, row_ends // height
    i = _folded(first % width, last % width, rows == row_ends, width)
    j = _folded(rows % height, row_ends % height, slices == slice_ends, height)
    return (slices, slice_ends), j, i


def _folded(
    low: Places, high: Places, whole: npt.NDArray[np.bool_], size: int
) -> tuple[Places, Places]:
    return np.where(whole, low, 0), np.where(whole, high, size - 1)


def _between(low: Places, stop: Places) -> Slices:
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, stop, strict=True))
    return (k, j, i)


def components(labels: VoxelArray, value: int, where: Slices) -> Components:
    """The components of the voxels equal to ``value`` inside the box ``where``."""
    from scipy import ndimage

    same = np.equal(labels[where], value)
    ids, count = ndimage.label(same, structure=np.ones((3, 3, 3), dtype=np.int8))
    return Components(ids, int(count), where)


def _span(present: VoxelArray) -> slice:
    found = np.flatnonzero(present)
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)
