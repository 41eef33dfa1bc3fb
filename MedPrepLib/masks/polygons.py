"""Filling polygons on a voxel grid: which voxel centers lie inside, by the even-odd rule.

The boundary rule is half-open: a center that lies exactly on an edge belongs to the polygon that
follows it in growing i (and growing j), never to the one before. Hence polygons that share an
edge share no voxel and leave none out. Coordinates are rounded to 1e-6 voxel first, so that ties
do not depend on the last bit of a matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from MedPrepLib import catalog
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.geometry import FloatArray
from MedPrepLib.segmentation import BoolArray

IntArray = npt.NDArray[np.int64]

_DECIMALS = 6

MAX_CROSSINGS = 20_000_000
"""Of edges with rows of one slice; the outline of a body has some thousands."""


def fill_even_odd(polygons: Sequence[FloatArray], shape: tuple[int, int]) -> BoolArray:
    """The pixels (j, i) whose centers an odd number of closed polygons encloses.

    Each polygon is an array (n, 2) of fractional indices (i, j); the last vertex is joined to
    the first. Polygons combine by exclusive or: one inside another cuts a hole, and a channel
    that is traversed twice (a "keyhole") has no area. Pixels beyond ``shape`` are dropped.
    Raises FileFaultError (MASK_UNREADABLE) for a scribble that would take gigabytes to fill.
    """
    rows, columns = shape
    low, high = _edges(polygons)
    first = np.clip(np.ceil(low[:, 1]), 0, rows).astype(np.int64)
    stop = np.clip(np.ceil(high[:, 1]), 0, rows).astype(np.int64)
    count = np.maximum(stop - first, 0)  # rows j with low <= j < high
    if count.sum() > MAX_CROSSINGS:
        raise FileFaultError(
            catalog.MASK_UNREADABLE,
            f"the contours of a slice cross its rows {count.sum()} times; {MAX_CROSSINGS} is the "
            "limit",
        )
    row, column = _crossings(low, high, first, count)
    start = np.clip(column, 0, columns).astype(np.int64)
    inside = np.zeros(shape, dtype=bool)
    if len(row) == 0:
        return inside
    top, left = row.min(), start.min()
    height, width = int(row.max() - top) + 1, int(start.max() - left) + 1
    flips = np.bincount((row - top) * width + start - left, minlength=height * width)
    filled = np.cumsum(flips.reshape(height, width), axis=1) & 1
    inside[top : top + height, left : left + width] = filled[:, : columns - left]
    return inside


def pixels_enclosed(
    polygons: Sequence[FloatArray], shape: tuple[int, int], limit: int = MAX_CROSSINGS
) -> tuple[int, int]:
    """How many pixels :func:`fill_even_odd` fills within ``shape``, and on an endless grid.

    Exact, unless edges cross more than ``limit`` rows: then only every second, third... row is
    counted.
    """
    rows, columns = shape
    low, high = _edges(polygons)
    crossed = float(np.sum(high[:, 1] - low[:, 1]))
    step = max(1, int(np.ceil(crossed / limit)))
    low[:, 1] /= step
    high[:, 1] /= step
    first = np.ceil(low[:, 1]).astype(np.int64)
    row, column = _crossings(low, high, first, np.ceil(high[:, 1]).astype(np.int64) - first)
    order = np.lexsort((column, row))
    row, begin, end = row[order][::2] * step, column[order][::2], column[order][1::2]
    in_field = (row >= 0) & (row < rows)
    within = np.clip(end, 0, columns) - np.clip(begin, 0, columns)
    return int(within[in_field].sum()) * step, int((end - begin).sum()) * step


def _crossings(
    low: FloatArray, high: FloatArray, first: IntArray, count: IntArray
) -> tuple[IntArray, FloatArray]:
    """For each edge and the ``count`` rows from ``first`` on: the row, and the first pixel after.

    A row is crossed an even number of times by closed polygons.
    """
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    part = (row - low[edge, 1]) / (high[edge, 1] - low[edge, 1])
    crossing = low[edge, 0] + part * (high[edge, 0] - low[edge, 0])
    return row, np.ceil(np.round(crossing, _DECIMALS))


def _edges(polygons: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """All edges as (lower end, upper end), each always computed from the same end.

    Two polygons that share an edge in opposite directions thus get the same crossings.
    """
    starts = [np.round(p, _DECIMALS) for p in polygons]
    if not starts:
        return np.zeros((0, 2)), np.zeros((0, 2))
    a = np.concatenate(starts)
    b = np.concatenate([np.roll(p, -1, axis=0) for p in starts])
    upward = (a[:, 1] <= b[:, 1])[:, np.newaxis]
    return np.where(upward, a, b), np.where(upward, b, a)
