"""Values between voxels: what stands at places that are no middle of a voxel."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.augment.field import Coordinates
from MedPrepLib.images import VoxelArray

Floats = npt.NDArray[np.floating[Any]]


def linearly(channels: VoxelArray, source: Coordinates) -> VoxelArray:
    """Voxels (C, k, j, i) at the indices ``source`` (3, K, J, I), between voxels linearly.

    Beyond the middle of an outermost voxel its value holds. Floats come back as float32, integers
    rounded, in their own type. The same as scipy.ndimage.map_coordinates (order 1, "nearest"), in
    less than half of its time, and without its import.
    """
    kind = np.dtype(np.float32) if channels.dtype.kind == "f" else channels.dtype
    exact = np.dtype(np.float64 if kind.kind != "f" and kind.itemsize > 2 else np.float32)
    volumes = channels.astype(exact, copy=False).reshape(len(channels), -1)
    result = np.empty((len(channels), *source.shape[1:]), kind)
    for k in range(source.shape[1]):
        first, steps, parts = _corners(source[:, k], channels.shape[1:], exact)
        for volume, out in zip(volumes, result, strict=True):
            found = _between(volume, first, steps, parts)
            out[k] = found if kind.kind == "f" else np.rint(found)
    return result


def _corners(
    source: Coordinates, shape: tuple[int, ...], exact: np.dtype[Any]
) -> tuple[npt.NDArray[np.intp], tuple[int, ...], tuple[Floats, ...]]:
    """Flat index of the lowest of the eight voxels around each place, steps to the others, parts.

    The parts are how far on the way to the next voxel a place lies along each axis.
    """
    first: npt.NDArray[np.intp] | int = 0
    steps, parts, stride = [], [], 1
    for places, size in zip(source[::-1], shape[::-1], strict=True):
        inside = np.clip(places, 0, size - 1)
        low = np.minimum(inside.astype(np.intp), max(size - 2, 0))
        parts.append((inside - low).astype(exact, copy=False))
        first = first + low * stride
        steps.append(stride if size > 1 else 0)
        stride *= size
    return np.asarray(first), tuple(steps), tuple(parts)


def _between(
    volume: Floats,
    first: npt.NDArray[np.intp],
    steps: tuple[int, ...],
    parts: tuple[Floats, ...],
) -> Floats:
    """The mean of the voxels around ``first``, weighted along all of the axes given."""
    if not steps:
        found: Floats = volume.take(first)
        return found
    low = _between(volume, first, steps[:-1], parts[:-1])
    high = _between(volume, first + steps[-1], steps[:-1], parts[:-1])
    high -= low
    high *= parts[-1]
    high += low
    return high
