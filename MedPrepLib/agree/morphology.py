"""Thickness of masks: opening with a small box, and growth by one voxel, on boolean volumes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from MedPrepLib.segmentation import BoolArray


def opened(mask: BoolArray, steps: Sequence[int]) -> BoolArray:
    """The voxels of a mask (k, j, i) that a box of ``steps`` voxels fits over inside the mask.

    ``steps`` (k, j, i) are 1 or 2 each: what stays is at least so thick along every axis.
    """
    kept = mask
    doubled = [axis for axis, step in enumerate(steps) if step > 1]
    for axis in doubled:
        low, high = _halves(axis)
        kept = kept[low] & kept[high]
    for axis in doubled:
        low, high = _halves(axis)
        k, j, i = (n + (a == axis) for a, n in enumerate(kept.shape))
        grown = np.zeros((k, j, i), dtype=np.bool_)
        grown[low] |= kept
        grown[high] |= kept
        kept = grown
    return kept


def widened(mask: BoolArray) -> BoolArray:
    """The mask (k, j, i) and every voxel that shares a face, edge or corner with it."""
    wide = mask
    for axis in range(3):
        low, high = _halves(axis)
        grown = wide.copy()
        grown[low] |= wide[high]
        grown[high] |= wide[low]
        wide = grown
    return wide


def _halves(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """All but the last, and all but the first voxel along one axis of three."""
    low, high = [slice(None)] * 3, [slice(None)] * 3
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return tuple(low), tuple(high)
