"""How far it is from the points of one surface to the nearest of another, exactly.

Raters mostly draw within a few voxels of each other: the neighborhood of a point is looked up
from near to far in a map of the other surface, and the first hit is the nearest point. The few
points that have nothing near them are left to far.py.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.agree.border import BoolArray, Frame, Places
from MedPrepLib.agree.far import Voxels, by_slices, by_tree, make_tree
from MedPrepLib.geometry import FloatArray, Index, Triple
from MedPrepLib.regions import Slices

SEARCHED_VOXELS = 12
"""Radius of the largest neighborhood, in voxels of a cubic grid; on others of the same volume."""
_FEW = 1 << 10
"""Points up to which many steps are tried in one call."""
_LOOKUPS = 1 << 16
"""Lookups in one call then: enough to make calls cheap, few enough to stay in the cache."""
_PATIENCE = 0.25
"""Share of what the other ways would cost that is spent on lookups before they are taken."""
_TREE_COST = 100
"""Lookups that take as long as putting one point into a tree."""
_QUERY_COST = 10_000
"""Lookups that take as long as asking the tree for one point far from all others."""
_MAP_COST = 30
"""Lookups that take as long as one voxel of a distance map of a slice."""


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps between voxels, from short to long: (k, j, i) in voxels (n, 3), lengths in mm (n,)."""

    voxels: npt.NDArray[np.intp]
    lengths_mm: FloatArray

    @property
    def reach(self) -> Index:
        """The furthest that any step goes along k, j, i."""
        k, j, i = (int(n) for n in np.abs(self.voxels).max(axis=0))
        return (k, j, i)


def shortest_steps(spacing_mm: Triple, furthest: Sequence[int]) -> Steps:
    """All steps (at most about 7200) within the largest neighborhood.

    ``spacing_mm`` is (i, j, k); ``furthest`` the most voxels worth going along k, j, i.
    """
    spacing = np.array(spacing_mm[::-1])
    radius = SEARCHED_VOXELS * math.prod(spacing_mm) ** (1 / 3)
    limits = [int(min(radius // s, most)) for s, most in zip(spacing, furthest, strict=True)]
    voxels = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in limits)), axis=-1).reshape(-1, 3)
    lengths = np.sqrt(((voxels * spacing) ** 2).sum(axis=1))
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] <= radius]
    return Steps(voxels[order], lengths[order])


@dataclass(frozen=True, eq=False)
class Ruler:
    """What is needed to measure in one frame. ``marks``: one flag per place, all unset."""

    frame: Frame
    spacing_mm: Triple
    steps: Steps
    marks: BoolArray

    @cached_property
    def offsets(self) -> npt.NDArray[np.intp]:
        """What each step adds to a place."""
        offsets: npt.NDArray[np.intp] = self.steps.voxels @ np.array(self.frame.strides)
        return offsets

    @cached_property
    def shell_ends(self) -> list[int]:
        """Where each run of steps of one length ends."""
        ends = np.flatnonzero(np.diff(self.steps.lengths_mm)) + 1
        return [*ends.tolist(), self.offsets.size]

    def voxels(self, places: npt.NDArray[np.integer]) -> Voxels:
        """The indices (n, 3) of places along (k, j, i), from the first voxel of the frame."""
        return np.stack(np.unravel_index(places, self.frame.shape), axis=1)


def ruler(where: Slices, spacing_mm: Triple) -> Ruler:
    """A ruler for surfaces inside a box (k, j, i) of a grid with spacing (i, j, k) in mm."""
    steps = shortest_steps(spacing_mm, [part.stop - part.start for part in where])
    frame = Frame(where, steps.reach)
    return Ruler(frame, spacing_mm, steps, np.zeros(math.prod(frame.shape), np.bool_))


@dataclass(frozen=True, eq=False)
class Points:
    """Places of one surface, at least one, to be measured with a ruler."""

    places: Places
    ruler: Ruler

    def distances_mm(self, others: Points) -> FloatArray:
        """The distance from each of these points to the nearest of ``others``, mm (n,)."""
        marks = self.ruler.marks
        marks[others.places] = True
        distances, far = self._looked_up(others)
        marks[others.places] = False
        if far.size:
            distances[far] = others._from_afar(self.ruler.voxels(self.places[far]))
        return distances

    def _looked_up(self, others: Points) -> tuple[FloatArray, npt.NDArray[np.intp]]:
        """Distances to the marked places of ``others``, and the points that are too far away."""
        offsets, lengths = self.ruler.offsets, self.ruler.steps.lengths_mm
        distances = np.empty(self.places.size)
        left = np.arange(self.places.size)
        lowest = -int(offsets.min())
        places = self.places.astype(np.intp) - lowest
        marks, offsets = self.ruler.marks, offsets + lowest
        ends = self.ruler.shell_ends
        done = spent = 0
        while left.size and done < offsets.size and spent <= _PATIENCE * others._cost(left.size):
            if left.size > _FEW:
                stop = ends[bisect(ends, done)]
                hit = _any(marks, places, offsets[done:stop])
                distances[left.take(np.flatnonzero(hit))] = lengths[done]
            else:
                stop = min(done + max(1, _LOOKUPS // left.size), offsets.size)
                hits = marks[places + offsets[done:stop, None]]
                nearest = hits.argmax(axis=0)
                hit = hits[nearest, np.arange(left.size)]
                distances[left[hit]] = lengths[done + nearest[hit]]
            spent += left.size * (stop - done)
            missed = np.flatnonzero(~hit)
            left, places = left.take(missed), places.take(missed)
            done = stop
        return distances, left

    def _from_afar(self, points: Voxels) -> FloatArray:
        """The distance in mm from each of some voxels (n, 3) to the nearest of these points."""
        k, j, i = self.ruler.spacing_mm[::-1]
        if self._tree_cost(len(points)) <= self._slices_cost:
            return by_tree(points, self._voxels, self._tree, (k, j, i))
        return by_slices(points, self._voxels, self.ruler.frame.shape, (k, j, i))

    def _cost(self, count: int) -> int:
        """What it costs, in lookups, to find the nearest of these points without lookups."""
        return min(self._tree_cost(count), self._slices_cost)

    def _tree_cost(self, count: int) -> int:
        return _TREE_COST * self.places.size + _QUERY_COST * count

    @cached_property
    def _slices_cost(self) -> int:
        slice_ = self.ruler.frame.strides[0]
        slices = (int(self.places.max()) - int(self.places.min())) // slice_ + 1
        return _MAP_COST * slice_ * slices

    @cached_property
    def _voxels(self) -> Voxels:
        return self.ruler.voxels(self.places)

    @cached_property
    def _tree(self) -> Any:
        return make_tree(self._voxels, self.ruler.spacing_mm[::-1])


def _any(
    marks: BoolArray, places: npt.NDArray[np.intp], offsets: npt.NDArray[np.intp]
) -> BoolArray:
    """Whether any of the marks at each place plus one of the offsets is set."""
    hit = marks[offsets[0] :].take(places)
    for offset in offsets[1:]:
        hit |= marks[offset:].take(places)
    return hit
