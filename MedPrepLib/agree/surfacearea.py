"""How much surface passes between eight voxels: areas of the 256 marching-cubes cases, in mm2.

The eight voxels around a voxel corner are the corners of a *cell*. The surface between the voxels
inside and outside a structure cuts the edges of the cell at their middle (Lorensen and Cline,
Computer Graphics 21:163, 1987). Two choices are left to whoever makes such a table, and with
these it equals the one behind the surface Dice of Nikolov et al. (J Med Internet Res 23:e26151,
2021; the package surface-distance) for every case and spacing:

- where a face has two opposite corners inside, the corners of the side that has fewer of them in
  the whole cell are cut off one by one, so that a case and its complement have one area;
- a bent polygon (five or six edges) is divided into the triangles that have the largest area in
  a cubic cell, also when the voxels are not cubes. Other triangles of that area are its mirror
  images; they make no difference.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cache

import numpy as np

from MedPrepLib.geometry import FloatArray, Index, Triple

Edge = frozenset[Index]
Triangle = tuple[int, int, int]

CORNERS: tuple[Index, ...] = tuple((k, j, i) for k in (0, 1) for j in (0, 1) for i in (0, 1))
"""The voxels of a cell in array order (k, j, i). Bit b of a case: is voxel CORNERS[b] inside?"""

_ALL = (1 << len(CORNERS)) - 1


@cache
def element_areas(spacing_mm: Triple) -> FloatArray:
    """The surface area in mm2 in a cell of each case, shape (256,), for a spacing (i, j, k)."""
    i, j, k = spacing_mm
    scaled = _area_vectors() * (i * j, i * k, j * k)
    areas: FloatArray = np.sqrt((scaled**2).sum(axis=2)).sum(axis=1)
    areas.flags.writeable = False
    return areas


@cache
def _area_vectors() -> FloatArray:
    """Area vectors (k, j, i) of the triangles of each case in a unit cell, (256, most, 3)."""
    cases: list[FloatArray] = []
    for case in range(_ALL + 1):
        smaller = min(case, case ^ _ALL, key=lambda c: (c.bit_count(), c))
        cases.append(cases[smaller] if smaller < case else _vectors(smaller))
    vectors = np.zeros((len(cases), max(map(len, cases)), 3))
    for case, found in enumerate(cases):
        vectors[case, : len(found)] = found
    return vectors


def _vectors(case: int) -> FloatArray:
    inside = {corner for bit, corner in enumerate(CORNERS) if case >> bit & 1}
    parts = [_divided(polygon) for polygon in _polygons(_cuts(inside))]
    return np.concatenate([np.zeros((0, 3)), *parts])


def _cuts(inside: AbstractSet[Index]) -> list[tuple[Edge, Edge]]:
    """The lines in which the surface cuts the faces of the cell, as pairs of cut edges."""
    lines = []
    for around in _faces():
        edges = [frozenset(pair) for pair in itertools.pairwise([*around, around[0]])]
        crossed = [n for n in range(4) if len(edges[n] & inside) == 1]
        if len(crossed) == 2:
            lines.append((edges[crossed[0]], edges[crossed[1]]))
        elif crossed:
            lines += [(edges[n - 1], edges[n]) for n in range(4) if around[n] in inside]
    return lines


def _faces() -> Iterator[list[Index]]:
    """The four corners of each face of the cell, in the order in which they follow each other."""
    for axis, side in itertools.product(range(3), (0, 1)):
        ring = [(0, 0), (0, 1), (1, 1), (1, 0)]
        yield [_index((*pair[:axis], side, *pair[axis:])) for pair in ring]


def _polygons(lines: Sequence[tuple[Edge, Edge]]) -> list[FloatArray]:
    """The closed polygons that lines make, each as its corners (n, 3) in order."""
    left, polygons = list(lines), []
    while left:
        first, last = left.pop()
        loop = [first]
        while last != first:
            loop.append(last)
            line = next(x for x in left if last in x)
            left.remove(line)
            last = line[1] if line[0] == last else line[0]
        polygons.append(np.array([tuple(edge) for edge in loop]).mean(axis=1))
    return polygons


def _divided(polygon: FloatArray) -> FloatArray:
    """Area vectors (n - 2, 3) of the division of a polygon into triangles of largest area."""
    triangles = np.array(list(_triangulations(0, len(polygon) - 1)))
    a, b, c = (polygon[triangles[..., n]] for n in range(3))
    vectors: FloatArray = np.cross(b - a, c - a) / 2
    areas = np.sqrt((vectors**2).sum(axis=2)).sum(axis=1)
    largest: FloatArray = vectors[areas.argmax()]
    return largest


def _triangulations(first: int, last: int) -> Iterator[list[Triangle]]:
    """Every way to divide the polygon of corners first..last into triangles."""
    if last - first < 2:
        yield []
    for middle in range(first + 1, last):
        for before in _triangulations(first, middle):
            for after in _triangulations(middle, last):
                yield [*before, *after, (first, middle, last)]


def _index(values: Sequence[int]) -> Index:
    k, j, i = values
    return (k, j, i)
