"""Which voxels of several maps carry which combination of labels, and painting by combination.

Whatever treats voxels with the same votes alike (soft labels, STAPLE) decides once per
combination. The census keeps one number per voxel where the maps differ, a few percent of a
volume; elsewhere the first map speaks for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.consensus.panel import Panel, declared
from MedPrepLib.geometry import Index
from MedPrepLib.images import VoxelArray
from MedPrepLib.joint import number_rows
from MedPrepLib.words import (
    CountArray,
    LabelArray,
    as_label_maps,
    differing_words,
    no_voxels,
    tail,
)

Columns = Sequence[LabelArray]
Codes = npt.NDArray[np.integer]
Batch = tuple[CountArray, Codes]
"""Places of words, and the row of each of their voxels."""

_SLAB = 1 << 19
"""Voxels painted at a time, where a map is not simply copied."""
_BLOCK_WORDS = 1 << 14
"""Differing words painted at a time: what is known of them takes little memory beside the map."""
_FEW = 4
"""Up to so many outcomes are faster painted one by one than looked up."""


@dataclass(frozen=True, eq=False)
class Census:
    """``rows`` (T, R): the distinct combinations, in lexicographic order; ``counts`` (T,): voxels.

    ``first`` is the first map, flat; ``agreed`` names the row of each of its values where all maps
    agree. ``batches`` and ``tail`` name the rows of all other voxels.
    """

    rows: npt.NDArray[np.uint16]
    counts: CountArray
    shape: Index
    first: LabelArray
    agreed: dict[int, int]
    batches: tuple[Batch, ...]
    tail: Codes

    def painted(self, table: npt.NDArray[Any]) -> VoxelArray:
        """The map (k, j, i) in which every voxel holds the entry of ``table`` (T,) for its row."""
        outcomes = {value: table[row] for value, row in self.agreed.items()}
        if self.first.dtype == table.dtype and all(out == v for v, out in outcomes.items()):
            painted = self.first.copy()
        else:
            painted = _recolored(self.first, outcomes, table.dtype)
        per_word = 8 // self.first.itemsize
        covered = self.first.size - self.tail.size
        words = _as_cells(painted[:covered], per_word)
        for places, codes in self._blocks(per_word):
            words[places] = _as_cells(table.take(codes), per_word)
        painted[covered:] = table[self.tail]
        return painted.reshape(self.shape)

    def _blocks(self, per_word: int) -> Iterator[Batch]:
        for places, codes in self.batches:
            for start in range(0, places.size, _BLOCK_WORDS):
                stop = start + _BLOCK_WORDS
                yield places[start:stop], codes[start * per_word : stop * per_word]


def take_census(
    maps: Sequence[VoxelArray], shape: Index, translate: Callable[[Columns], Columns]
) -> Census:
    """Number all voxels of the maps; ``translate`` changes columns of labels before they count."""
    flat = as_label_maps(maps)
    agreed = no_voxels(flat[0])
    batches = [
        (places, _numbered(translate(columns))) for places, columns in differing_words(flat, agreed)
    ]
    values = agreed.nonzero()[0].astype(flat[0].dtype)
    unanimous = _numbered(translate([values] * len(flat)), agreed[values])
    rest = _numbered(translate([tail(labels) for labels in flat]))
    rows, counts, codes = _merged([unanimous, rest, *(part for _, part in batches)])
    return Census(
        rows=rows,
        counts=counts,
        shape=shape,
        first=flat[0],
        agreed=dict(zip(values.tolist(), codes[0].tolist(), strict=True)),
        batches=tuple((places, code) for (places, _), code in zip(batches, codes[2:], strict=True)),
        tail=codes[1],
    )


def segment_census(made: Panel, label: str) -> Census:
    """The census of one segment: rows of 0 and 1 over those who annotated it (at least one)."""
    layers: list[VoxelArray] = []
    own: list[int] = []
    for reading in made.readings:
        segment = reading.find(label)
        if segment is not None:
            layers.append(reading.layers[segment.layer])
            own.append(segment.value)

    def drawn(columns: Columns) -> Columns:
        pairs = zip(columns, own, strict=True)
        return [np.equal(column, value).view(np.uint8) for column, value in pairs]

    return take_census(layers, made.shape, drawn)


def label_census(made: Panel) -> Census:
    """The census of labels that exclude each other: rows of the schema's values."""
    known = np.asarray(made.voters().any(axis=1), dtype=np.bool_)
    known[0] = True
    return take_census(
        made.maps(), made.shape, lambda columns: [declared(c, known) for c in columns]
    )


@dataclass(frozen=True, eq=False)
class _Numbered:
    rows: npt.NDArray[np.uint16]
    counts: CountArray
    codes: Codes


def _numbered(columns: Columns, weights: CountArray | None = None) -> _Numbered:
    if columns[0].size == 0:
        nothing = np.zeros((0, len(columns)), np.uint16)
        return _Numbered(nothing, np.zeros(0, np.int64), np.zeros(0, np.uint16))
    rows, code = number_rows(columns)
    counts = np.bincount(code, weights, minlength=len(rows)).astype(np.int64)
    return _Numbered(rows, counts, code.astype(_code_type(len(rows)), copy=False))


def _merged(
    parts: Sequence[_Numbered],
) -> tuple[npt.NDArray[np.uint16], CountArray, list[Codes]]:
    """All rows once, their counts, and each part's codes as numbers of these rows."""
    together = np.concatenate([part.rows for part in parts])
    rows, code = number_rows([np.ascontiguousarray(column) for column in together.T])
    counts = np.concatenate([part.counts for part in parts])
    summed = np.bincount(code, counts, minlength=len(rows)).astype(np.int64)
    code = code.astype(_code_type(len(rows)))
    ends = np.cumsum([len(part.rows) for part in parts])
    codes = [
        code[end - len(part.rows) : end].take(part.codes)
        for part, end in zip(parts, ends, strict=True)
    ]
    return rows, summed, codes


def _code_type(rows: int) -> np.dtype[Any]:
    return np.min_scalar_type(max(rows - 1, 0))


def _recolored(
    labels: LabelArray, outcomes: dict[int, Any], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """A new map of the outcomes of the labels; the outcome of background is only filled in."""
    common = dtype.type(outcomes.get(0, 0))
    others = {value: out for value, out in outcomes.items() if out != common}
    painted = np.zeros(labels.size, dtype) if common == 0 else np.empty(labels.size, dtype)
    table = np.full(np.iinfo(labels.dtype).max + 1, common, dtype=dtype)
    table[list(others)] = list(others.values())
    for start in range(0, labels.size, _SLAB):
        part, slab = painted[start : start + _SLAB], labels[start : start + _SLAB]
        if len(others) > _FEW:
            table.take(slab, out=part, mode="clip")
            continue
        if common != 0:
            part.fill(common)
        for value, outcome in others.items():
            np.copyto(part, outcome, where=slab == value)
    return painted


def _as_cells(voxels: npt.NDArray[Any], per_word: int) -> npt.NDArray[Any]:
    """One element, or one row, for each word of the maps."""
    if voxels.itemsize * per_word == 8:
        return voxels.view(np.uint64)
    return voxels.reshape(-1, per_word)
