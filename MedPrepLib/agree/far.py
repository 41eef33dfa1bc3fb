"""Distances to a surface that is not near: a k-d tree for few points, distance maps for many.

Points are voxel indices (n, 3) along (k, j, i), spacings are along (k, j, i) in mm. On a regular
grid very many points are almost equally far, which makes a tree slow far from its points; a map
of a slice costs the same wherever its points are. What each way would take is estimated from a
sample of the points, so that the cheaper one can be chosen: a small ball in the middle of a large
one would keep a tree busy for minutes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.geometry import FloatArray, Index, Triple

Voxels = npt.NDArray[np.intp]

_SHELL_VOXELS = 8
"""Thickness of the shell around the nearest target whose targets a tree looks at, too."""
_PER_POINT_NS, _PER_TARGET_NS, _CROWD = 500, 3, 400
"""Fitted to queries from 0.6 us (near) to 6 ms (in the middle of a ball), good to a factor of 4."""
_BUILD_NS, _MAP_NS = 170, 50
"""Time per target to make a tree, and per voxel of a distance map of a slice."""


def query_ns(points: Voxels, targets: Voxels, stride: int, spacing_mm: Triple) -> FloatArray:
    """What asking a tree takes for each of some points (n,).

    ``targets`` is each ``stride``-th of those in the tree.
    """
    scale = np.array(spacing_mm)
    away = np.sqrt((((points[:, None] - targets) * scale) ** 2).sum(axis=2))
    shell = _SHELL_VOXELS * np.cbrt(np.prod(spacing_mm))
    seen = (away <= away.min(axis=1, keepdims=True) + shell).sum(axis=1) * stride
    taken: FloatArray = _PER_POINT_NS + _PER_TARGET_NS * seen * np.sqrt(1 + seen / _CROWD)
    return taken


def build_ns(targets: int) -> float:
    """What making a tree takes."""
    return _BUILD_NS * targets


def slices_ns(slices: int, voxels_per_slice: int) -> float:
    """What :func:`by_slices` takes, however many points there are."""
    return _MAP_NS * slices * voxels_per_slice


def make_tree(targets: Voxels, spacing_mm: Triple) -> Any:
    """A tree for :func:`by_tree`."""
    from scipy.spatial import cKDTree

    return cKDTree(targets * np.array(spacing_mm), balanced_tree=False)


def by_tree(points: Voxels, targets: Voxels, tree: Any, spacing_mm: Triple) -> FloatArray:
    """The distance in mm (n,) from each point to the nearest target; ``tree`` is of the targets."""
    _, nearest = tree.query(points * np.array(spacing_mm))
    steps = (points - targets[nearest]) * np.array(spacing_mm)
    distances: FloatArray = np.sqrt((steps**2).sum(axis=1))
    return distances


def by_slices(points: Voxels, targets: Voxels, shape: Index, spacing_mm: Triple) -> FloatArray:
    """The distance in mm (n,) from each point to the nearest target, in a box of ``shape``.

    The nearest target is the nearest one of its slice. Slices in the middle of the points come
    first, so that those further away than what is already known are left out.
    """
    squared = np.full(len(points), np.inf)
    place = np.ravel_multi_index((points[:, 1], points[:, 2]), shape[1:])
    middle = np.median(points[:, 0])
    slices = np.unique(targets[:, 0])
    for number in slices[np.argsort(np.abs(slices - middle), kind="stable")]:
        away = ((points[:, 0] - number) * spacing_mm[0]) ** 2
        near = np.flatnonzero(away < squared)
        if near.size:
            chosen = targets[targets[:, 0] == number, 1:]
            plane = _squared_map(chosen, shape[1:], spacing_mm[1:])
            squared[near] = np.minimum(squared[near], away[near] + plane[place[near]])
    distances: FloatArray = np.sqrt(squared)
    return distances


def _squared_map(
    targets: Voxels, shape: tuple[int, int], spacing_mm: tuple[float, float]
) -> FloatArray:
    """Squared distances in mm2 to the nearest target (n, 2) for each voxel of a slice, flat."""
    from scipy import ndimage

    empty = np.ones(shape, np.bool_)
    empty[targets[:, 0], targets[:, 1]] = False
    j, i = ndimage.distance_transform_edt(
        empty, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    along_j = (j - np.arange(shape[0])[:, None]) * spacing_mm[0]
    along_i = (i - np.arange(shape[1])) * spacing_mm[1]
    squared: FloatArray = along_j**2 + along_i**2
    return squared.reshape(-1)
