"""Where the surfaces of all labels of a label map are, found in one pass.

A surface is described twice, because the definitions in use differ:

- *border voxels*: voxels of a label with one of their six neighbors outside it (Gerig, Jomier and
  Chakos, MICCAI 2001; MONAI, medpy). What lies beyond the grid is outside.
- *cells*: groups of 2x2x2 voxels that hold a label without being filled by it, at their common
  corner; each is weighed with the area of the surface in it (Nikolov et al., J Med Internet Res
  23:e26151, 2021; see surfacearea.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib.geometry import Index
from MedPrepLib.images import VoxelArray
from MedPrepLib.regions import Slices
from MedPrepLib.words import runs

Places = npt.NDArray[np.signedinteger]
Cases = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

_FULL = 0xFF
_SLAB_VOXELS = 1 << 19
"""Voxels looked at together: few enough that everything about them stays in the cache."""


@dataclass(frozen=True)
class Frame:
    """A box of the grid with background around it, in which a voxel is one number, its place.

    ``where`` (k, j, i) is the box. One voxel before it is added along each axis, and ``reach``
    (k, j, i) after it; along k as many before it as well. Rows and slices follow each other, so
    that a step of up to ``reach`` from a voxel of the box, or the one before it, ends in the
    background or on the voxel that it leads to, never on another one of the box.
    """

    where: Slices
    reach: Index

    @property
    def start(self) -> Index:
        """The first voxel of the box, along (k, j, i)."""
        return (self.reach[0] + 2, 1, 1)

    @property
    def shape(self) -> Index:
        """Voxels along (k, j, i)."""
        k, j, i = (
            before + part.stop - part.start + after + 1
            for before, part, after in zip(self.start, self.where, self.reach, strict=True)
        )
        return (k, j, i)

    @property
    def strides(self) -> Index:
        """What a step along k, j, i adds to a place."""
        _, j, i = self.shape
        return (j * i, i, 1)


@dataclass(frozen=True, eq=False)
class Surface:
    """The surface of one label in a frame.

    ``voxels`` (n,): the places of border voxels. ``cells`` (m,): the places of the first voxels
    of cells, and ``cases`` (m,) which of their voxels are inside, as in surfacearea.py.
    """

    voxels: Places
    cells: Places
    cases: Cases


@dataclass(frozen=True, eq=False)
class _Found:
    """Places on surfaces, the label that each belongs to, and its case (0 for border voxels)."""

    values: VoxelArray
    places: Places
    cases: Cases


def find_surfaces(labels: VoxelArray, frame: Frame) -> dict[int, Surface]:
    """The surfaces of all labels of a map (k, j, i), by value; 0 is the background.

    No label may lie outside the frame's box.
    """
    voxels: list[_Found] = []
    cells: list[_Found] = []
    for start, slab in _slabs(labels, frame):
        border, mixed = _changes(slab, frame)
        inner = slab[frame.strides[0] :]
        places = np.flatnonzero(border)
        no_cases = np.zeros(places.size, np.uint8)
        voxels.append(_Found(inner[places], _moved(places, start, frame), no_cases))
        cells += _cells(inner, np.flatnonzero(mixed), start, frame)
    borders, surroundings = _by_value(voxels), _by_value(cells)
    return {
        value: Surface(found.places, surroundings[value].places, surroundings[value].cases)
        for value, found in borders.items()
    }


def _slabs(labels: VoxelArray, frame: Frame) -> Iterator[tuple[int, VoxelArray]]:
    """Slices of the frame, flat, with one more before and after: (first place, values).

    All slices of the box and the one before it appear once between the first and last of a slab.
    The array is a buffer that the next slab overwrites.
    """
    box = labels[frame.where]
    slices, (_, rows, columns) = box.shape[0], frame.shape
    each = max(4, min(_SLAB_VOXELS // (rows * columns), slices + 1))
    _, top, left = frame.start
    reach = columns + 1  # a cell of the last voxel reaches this much further
    buffer = np.zeros((each + 2) * rows * columns + reach, labels.dtype)
    volume = buffer[:-reach].reshape(each + 2, rows, columns)
    middle = volume[:, top : top + box.shape[1], left : left + box.shape[2]]
    for first in range(-1, slices, each):
        before = max(first - 1, 0)
        part = box[before : first + each + 1]
        begin = before - (first - 1)
        middle[:begin] = 0
        middle[begin : begin + len(part)] = part
        middle[begin + len(part) :] = 0
        yield (first + frame.start[0]) * rows * columns, buffer


def _changes(slab: VoxelArray, frame: Frame) -> tuple[BoolArray, BoolArray]:
    """Which voxels of a slab, but for its first and last slice, are border voxels, and cells."""
    slice_, row, _ = frame.strides
    count = slab.size - (row + 1) - 2 * slice_
    along_k = slab[slice_:] != slab[:-slice_]
    along_j = slab[row:] != slab[:-row]
    along_i = slab[1:] != slab[:-1]
    here = slice(slice_, slice_ + count)
    border = slab[here] != 0
    changed = along_k[:count] | along_k[here]
    changed |= along_j[slice_ - row : slice_ - row + count]
    changed |= along_j[here]
    changed |= along_i[slice_ - 1 : slice_ - 1 + count]
    changed |= along_i[here]
    border &= changed
    # A square of four voxels is mixed where one of these three of its sides changes, and a cell
    # where one of its two squares is, or where they differ.
    squares = along_i[slice_ : slice_ + count + slice_]
    squares = squares | along_i[slice_ + row : slice_ + row + squares.size]
    squares |= along_j[slice_ : slice_ + squares.size]
    mixed = squares[:count] | squares[slice_:]
    mixed |= along_k[here]
    return border, mixed


def _cells(
    inner: VoxelArray, places: npt.NDArray[np.intp], start: int, frame: Frame
) -> Iterator[_Found]:
    """Every label of every mixed cell, with the case it makes."""
    slice_, row, _ = frame.strides
    steps = [k * slice_ + j * row + i for k in (0, 1) for j in (0, 1) for i in (0, 1)]
    corners = np.stack([inner[step:].take(places) for step in steps])
    values = corners.max(axis=0)
    cases = _cases(corners, values)
    several = (cases | _cases(corners, values.dtype.type(0))) != _FULL
    if several.any():
        alone = ~several
        yield from _shared_cells(corners[:, several], _moved(places[several], start, frame))
        places, values, cases = places[alone], values[alone], cases[alone]
    yield _Found(values, _moved(places, start, frame), cases)


def _shared_cells(corners: VoxelArray, places: Places) -> Iterator[_Found]:
    """The cells in which several labels meet: one row for each of them."""
    for bit, values in enumerate(corners):
        first = (values != 0) & ~(corners[:bit] == values).any(axis=0)
        own = values[first]
        yield _Found(own, places[first], _cases(corners[:, first], own))


def _cases(corners: VoxelArray, values: npt.ArrayLike) -> Cases:
    """Bit b of each case says whether corner b of that cell has the value."""
    cases = np.zeros(corners.shape[1], np.uint8)
    for bit, corner in enumerate(corners):
        cases |= (corner == values).view(np.uint8) << np.uint8(bit)
    return cases


def _moved(places: npt.NDArray[np.intp], start: int, frame: Frame) -> Places:
    return (places + start).astype(np.int32 if math.prod(frame.shape) < 1 << 31 else np.int64)


def _by_value(parts: Sequence[_Found]) -> dict[int, _Found]:
    """What was found of each label, in the order in which it was found."""
    values, places, cases = (
        np.concatenate(columns)
        for columns in zip(*((p.values, p.places, p.cases) for p in parts), strict=True)
    )
    order = np.argsort(values, kind="stable")
    starts, lengths = runs(values[order])
    found = {}
    for start, length in zip(starts, lengths, strict=True):
        own = order[start : start + length]
        found[int(values[own[0]])] = _Found(values[own], places[own], cases[own])
    return found
