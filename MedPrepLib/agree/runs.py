"""Connected components as runs along i: what is needed to count and locate lesions on a click.

A run is a row's uninterrupted stretch of voxels, so a solid organ of millions of voxels is some ten
thousand runs: neighbors are found by binary search, and volumes, centroids and overlaps are sums
over runs. Components are 26-connected and numbered in scan order, as ``scipy.ndimage.label`` with
a full structure numbers them (from 0 here), at a tenth of its time on large structures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from MedPrepLib.geometry import FloatArray, Index, Triple
from MedPrepLib.segmentation import BoolArray

IntArray = npt.NDArray[np.int64]

_LATER_ROWS = ((0, 1), (1, -1), (1, 0), (1, 1))
"""(k, j) steps to the neighboring rows that come later in scan order."""


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs of a boolean volume of ``shape`` (k, j, i), in scan order.

    ``start`` and ``stop`` (n,) are keys: row * (width + 1) + i, ``stop`` exclusive; the spare
    column keeps the rows apart.
    """

    shape: Index
    start: IntArray
    stop: IntArray

    @property
    def lengths(self) -> IntArray:
        """Voxels per run (n,)."""
        return self.stop - self.start

    @cached_property
    def places(self) -> tuple[IntArray, IntArray, IntArray]:
        """The index (k, j, i) of the first voxel of every run, (n,) each."""
        row, i = np.divmod(self.start, self.shape[2] + 1)
        k, j = np.divmod(row, self.shape[1])
        return k, j, i

    def where(self, chosen: BoolArray) -> Runs:
        """Some of the runs."""
        return Runs(self.shape, self.start[chosen], self.stop[chosen])

    def every(self, step: int) -> Runs:
        """Each ``step``-th run."""
        return Runs(self.shape, self.start[::step], self.stop[::step])

    def voxels(self) -> tuple[IntArray, IntArray]:
        """Every voxel as its place in the flat volume, and the run it belongs to; scan order."""
        lengths = self.lengths
        run = np.repeat(np.arange(lengths.size), lengths)
        k, j, _ = self.places
        first = self.start - (k * self.shape[1] + j)  # without the spare column
        before = np.cumsum(lengths) - lengths
        return (first - before)[run] + np.arange(run.size), run

    def moved(self, by: Sequence[int], shape: Index) -> Runs:
        """The runs in a volume of ``shape`` where every index is larger by ``by`` (k, j, i).

        What falls outside is cut off.
        """
        depth, height, width = shape
        k, j, i = (own + step for own, step in zip(self.places, by, strict=True))
        low = np.maximum(i, 0)
        high = np.minimum(i + self.lengths, width)
        kept = (k >= 0) & (k < depth) & (j >= 0) & (j < height) & (low < high)
        row = (k[kept] * height + j[kept]) * (width + 1)
        return Runs(shape, row + low[kept], row + high[kept])


@dataclass(frozen=True, eq=False)
class Parts:
    """Runs told apart: ``number`` (n,) is the part of each run, 0 to ``count`` - 1."""

    runs: Runs
    number: IntArray
    count: int

    @property
    def voxels(self) -> IntArray:
        """Voxels per part (count,)."""
        return self.sums(self.runs.lengths).astype(np.int64)

    def sums(self, values: IntArray | FloatArray) -> FloatArray:
        """A value per run (n,) added up per part (count,); whole numbers stay exact to 2**53."""
        return np.bincount(self.number, weights=values, minlength=self.count).astype(np.float64)

    def only(self, chosen: BoolArray) -> Parts:
        """Some of the parts (count,), numbered anew in the same order."""
        mine = chosen[self.number]
        anew = np.cumsum(chosen) - 1
        return Parts(self.runs.where(mine), anew[self.number[mine]], int(chosen.sum()))

    def part_at(self, index: Index) -> int | None:
        """The part that holds the voxel (i, j, k); None when none does."""
        i, j, k = index
        depth, height, width = self.runs.shape
        if not (0 <= i < width and 0 <= j < height and 0 <= k < depth):
            return None
        key = (k * height + j) * (width + 1) + i
        run = int(np.searchsorted(self.runs.start, key, side="right")) - 1
        return int(self.number[run]) if run >= 0 and key < self.runs.stop[run] else None

    def mask(self, part: int) -> BoolArray:
        """The voxels of one part, (k, j, i)."""
        mask = np.zeros(self.runs.shape, dtype=np.bool_)
        flat, _ = self.runs.where(self.number == part).voxels()
        mask.reshape(-1)[flat] = True
        return mask

    def centroids(self) -> FloatArray:
        """Mean index (i, j, k) of the voxels of every part, (count, 3)."""
        runs = self.runs
        k, j, first = runs.places
        middle = first + (runs.lengths - 1) / 2
        total = np.maximum(self.sums(runs.lengths), 1)
        return np.stack([self.sums(x * runs.lengths) / total for x in (middle, j, k)], axis=1)

    def nearest_voxels(self, points: FloatArray, spacing: Triple) -> IntArray:
        """Per part the voxel (i, j, k) nearest in millimeters to its point, (count, 3).

        ``points`` (count, 3) are indices (i, j, k). Of equally near voxels the first in scan
        order is taken.
        """
        runs = self.runs
        k, j, first = runs.places
        wanted = points[self.number]
        i = np.clip(np.rint(wanted[:, 0]).astype(np.int64), first, first + runs.lengths - 1)
        index = np.stack([i, j, k], axis=1)
        far = (((index - wanted) * np.array(spacing)) ** 2).sum(axis=1)
        order = np.lexsort((far, self.number))
        _, leading = np.unique(self.number[order], return_index=True)
        return index[order[leading]]


def runs_of(mask: BoolArray) -> Runs:
    """The runs of a boolean volume (k, j, i)."""
    depth, height, width = mask.shape
    if not mask.size:
        return Runs((depth, height, width), np.empty(0, np.int64), np.empty(0, np.int64))
    rows = mask.reshape(depth * height, width)
    edges = np.empty((depth * height, width + 1), dtype=np.bool_)
    edges[:, 0], edges[:, width] = rows[:, 0], rows[:, width - 1]
    np.not_equal(rows[:, 1:], rows[:, :-1], out=edges[:, 1:width])
    keys = np.flatnonzero(edges).astype(np.int64)
    return Runs((depth, height, width), keys[0::2], keys[1::2])


def connected(runs: Runs) -> Parts:
    """The 26-connected components (voxels that share a face, an edge or a corner) of runs."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = runs.start.size
    if not size:
        return Parts(runs, np.empty(0, np.int64), 0)
    touching = [_touching(runs, *step) for step in _LATER_ROWS]
    one = np.concatenate([pair[0] for pair in touching])
    other = np.concatenate([pair[1] for pair in touching])
    graph = coo_matrix((np.ones(one.size, np.int8), (one, other)), shape=(size, size))
    count, number = connected_components(graph, directed=False)
    return Parts(runs, number.astype(np.int64), int(count))


def owners(inner: Runs, outer: Runs) -> IntArray:
    """For every run of ``inner`` the run of ``outer`` that holds it.

    Every voxel of ``inner`` must be one of ``outer``, as in an intersection.
    """
    return np.searchsorted(outer.start, inner.start, side="right") - 1


def _touching(runs: Runs, k_step: int, j_step: int) -> tuple[IntArray, IntArray]:
    """Pairs of runs that touch across one step of rows: a span of runs of the other row each."""
    depth, height, width = runs.shape
    k, j, _ = runs.places
    inside = np.flatnonzero((k + k_step < depth) & (j + j_step >= 0) & (j + j_step < height))
    away = (k_step * height + j_step) * (width + 1)
    low = np.searchsorted(runs.stop, runs.start[inside] + away, side="left")
    high = np.searchsorted(runs.start, runs.stop[inside] + away, side="right")
    counts = np.maximum(high - low, 0)
    one = np.repeat(inside, counts)
    ends = np.cumsum(counts)
    other = np.arange(one.size) - np.repeat(ends - counts, counts) + np.repeat(low, counts)
    return one, other
