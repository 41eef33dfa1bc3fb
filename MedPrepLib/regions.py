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

EMPTY: Slices = (slice(0, 0), slice(0, 0), slice(0, 0))


@dataclass(frozen=True, eq=False)
class Components:
    """The components of one label: ids 1..count (0 elsewhere) inside the box ``where``."""

    ids: IdArray
    count: int
    where: Slices


def extent(labels: VoxelArray) -> Slices:
    """The smallest box (k, j, i) that holds every voxel other than 0; EMPTY if there is none."""
    rows = labels.reshape(labels.shape[0], -1).max(axis=1)
    inner = _span(rows)
    if inner.stop == 0:
        return EMPTY
    plane = labels[inner].max(axis=0)
    return (inner, _span(plane.max(axis=1)), _span(plane.max(axis=0)))


def label_extents(labels: VoxelArray) -> dict[int, Slices]:
    """The bounding box (k, j, i) of every label that is present, by value, in order of value."""
    from scipy import ndimage

    outer = extent(labels)
    inner = labels[outer]
    if inner.size == 0:
        return {}
    found = ndimage.find_objects(inner)
    return {
        value: _moved(box, outer) for value, box in enumerate(found, start=1) if box is not None
    }


def components(labels: VoxelArray, value: int, where: Slices) -> Components:
    """The components of the voxels equal to ``value`` inside the box ``where``."""
    from scipy import ndimage

    same = np.equal(labels[where], value)
    ids, count = ndimage.label(same, structure=np.ones((3, 3, 3), dtype=np.int8))
    return Components(ids, int(count), where)


def _span(present: VoxelArray) -> slice:
    found = np.flatnonzero(present)
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)


def _moved(inner: Slices, outer: Slices) -> Slices:
    k, j, i = (
        slice(a.start + b.start, a.stop + b.start) for a, b in zip(inner, outer, strict=True)
    )
    return (k, j, i)
