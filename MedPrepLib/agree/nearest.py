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
from MedPrepLib.agree.far import (
    Voxels,
    build_ns,
    by_slices,
    by_tree,
    make_tree,
    query_ns,
    slices_ns,
)
from MedPrepLib.geometry import FloatArray, Index, Triple
from MedPrepLib.regions import Slices

SEARCHED_VOXELS = 12
"""Radius of the largest neighborhood, in voxels of a cubic grid; on others of the same volume."""
_FEW = 1 << 10
"""Points up to which many steps are tried in one call."""
_LOOKUPS = 1 << 16
"""Lookups in one call then: enough to make calls cheap, few enough to stay in the cache."""
_PATIENCE = 0.25
"""Share of what the other ways would take that is spent on lookups before they are taken."""
_LOOKUP_NS = 2
_FREE_STEPS = 27
"""Steps that are tried whatever the other ways would take."""
_SAMPLE, _TARGETS = 32, 2048
"""Points and targets, about, that the cost of a tree is estimated from."""


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
        ways = _Ways(self, others)
        marks = self.ruler.marks
        marks[others.places] = True
        distances, far = self._looked_up(ways)
        marks[others.places] = False
        if far.size:
            distances[far] = others._from_afar(self.ruler.voxels(self.places[far]), ways)
        return distances

    def _looked_up(self, ways: _Ways) -> tuple[FloatArray, npt.NDArray[np.intp]]:
        """Distances to the marked places, and the points that are too far away."""
        offsets, lengths = self.ruler.offsets, self.ruler.steps.lengths_mm
        distances = np.empty(self.places.size)
        left = np.arange(self.places.size)
        lowest = -int(offsets.min())
        places = self.places.astype(np.intp) - lowest
        marks, offsets = self.ruler.marks, offsets + lowest
        ends = self.ruler.shell_ends
        done, spent = 0, 0.0
        while left.size and done < offsets.size:
            if done > _FREE_STEPS and spent > _PATIENCE * ways.least_ns(left.size):
                break
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
            spent += left.size * (stop - done) * _LOOKUP_NS
            missed = np.flatnonzero(~hit)
            left, places = left.take(missed), places.take(missed)
            done = stop
        return distances, left

    def _from_afar(self, points: Voxels, ways: _Ways) -> FloatArray:
        """The distance in mm from each of some voxels (n, 3) to the nearest of these points."""
        k, j, i = self.ruler.spacing_mm[::-1]
        if ways.tree_ns(len(points)) <= ways.slices_ns:
            return by_tree(points, self._voxels, self._tree, (k, j, i))
        return by_slices(points, self._voxels, self.ruler.frame.shape, (k, j, i))

    @cached_property
    def _voxels(self) -> Voxels:
        return self.ruler.voxels(self.places)

    @cached_property
    def _tree(self) -> Any:
        return make_tree(self._voxels, self.ruler.spacing_mm[::-1])


@dataclass(frozen=True, eq=False)
class _Ways:
    """What it takes to measure some points without lookups."""

    points: Points
    others: Points

    def least_ns(self, count: int) -> float:
        """The cheaper way for ``count`` points, the dearest ones."""
        return min(self.tree_ns(count), self.slices_ns)

    def tree_ns(self, count: int) -> float:
        """With a tree: the points that are left are those far away, which are dear."""
        dearest = -(-len(self._sample_ns) * count // self.points.places.size)
        each = float(self._sample_ns[:dearest].mean())
        return build_ns(self.others.places.size) + count * each

    @cached_property
    def slices_ns(self) -> float:
        """With distance maps of slices."""
        per_slice = self.others.ruler.frame.strides[0]
        places = self.others.places
        return slices_ns((int(places.max()) - int(places.min())) // per_slice + 1, per_slice)

    @cached_property
    def _sample_ns(self) -> FloatArray:
        """What a query takes for some of the points, from dear to cheap."""
        ruler = self.points.ruler
        strides = [
            -(-places.size // most)
            for places, most in ((self.points.places, _SAMPLE), (self.others.places, _TARGETS))
        ]
        points = ruler.voxels(self.points.places[:: strides[0]])
        targets = ruler.voxels(self.others.places[:: strides[1]])
        return np.sort(query_ns(points, targets, strides[1], ruler.spacing_mm[::-1]))[::-1]


def _any(
    marks: BoolArray, places: npt.NDArray[np.intp], offsets: npt.NDArray[np.intp]
) -> BoolArray:
    """Whether any of the marks at each place plus one of the offsets is set."""
    hit = marks[offsets[0] :].take(places)
    for offset in offsets[1:]:
        hit |= marks[offset:].take(places)
    return hit
