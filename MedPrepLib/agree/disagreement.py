"""Where raters differ: the entropy of their votes, and the slices on which they differ most.

A rater's vote on a voxel is the set of labels drawn there. A rater who did not annotate a label
has no vote where somebody drew it, neither for nor against.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from MedPrepLib.agree.crops import common_box, crop, placed
from MedPrepLib.agree.pairs import require_one_grid
from MedPrepLib.agree.runs import IntArray
from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, VoxelArray
from MedPrepLib.joint import label_counts, number_rows
from MedPrepLib.regions import Slices, extent
from MedPrepLib.results import WorstSlice
from MedPrepLib.segmentation import Segmentation
from MedPrepLib.words import LabelArray, as_label_maps, differing_words, tail

Names = frozenset[str]


@dataclass(frozen=True, eq=False)
class _Votes:
    """One map of votes per rater in the box ``where``; ``meaning`` tells a vote's labels.

    ``annotated``: the labels that each rater looked for.
    """

    where: Slices
    maps: Sequence[VoxelArray]
    meaning: Mapping[int, Names]
    annotated: Sequence[Names]


@dataclass(frozen=True, eq=False)
class _Entropy:
    """The differing voxels: indices (k, j, i) on the whole grid, (n,) each, and bits (n,)."""

    k: IntArray
    j: IntArray
    i: IntArray
    bits: npt.NDArray[np.float32]


def entropy_map(readings: Mapping[str, Segmentation], label: str | None = None) -> Volume:
    """Shannon entropy of the raters' votes per voxel, bits, float32 (k, j, i).

    0 where all votes are equal; 1 where two halves differ. ``label`` asks for drawn or not;
    None for the sets of all labels. Raises GeometryError without readings or on different grids.
    """
    geometry = _common_geometry(readings)
    found = _entropy(readings, label)
    bits = np.zeros(geometry.shape, dtype=np.float32)
    bits[found.k, found.j, found.i] = found.bits
    return Volume(bits, geometry)


def worst_slices(
    readings: Mapping[str, Segmentation], label: str | None = None
) -> tuple[WorstSlice, ...]:
    """For each index axis (i, j, k) the slice with the most voxels on which raters differ.

    The lowest index among equals; empty when nobody differs. ``label`` as in
    :func:`entropy_map`. Raises GeometryError without readings or on different grids.
    """
    geometry = _common_geometry(readings)
    found = _entropy(readings, label)
    if not found.bits.size:
        return ()
    index = np.stack([found.i, found.j, found.k], axis=1)
    axes: tuple[Literal["i", "j", "k"], ...] = ("i", "j", "k")
    return tuple(_worst_slice(name, n, index, geometry) for n, name in enumerate(axes))


def _worst_slice(
    name: Literal["i", "j", "k"], axis: int, index: IntArray, geometry: Geometry
) -> WorstSlice:
    counts = np.bincount(index[:, axis])
    worst = int(counts.argmax())
    there = index[index[:, axis] == worst]
    away = (there - there.mean(axis=0)) * geometry.spacing
    nearest = there[int((away**2).sum(axis=1).argmin())]
    return WorstSlice(name, worst, int(counts[worst]), geometry.point_at(nearest.tolist()))


def _common_geometry(readings: Mapping[str, Segmentation]) -> Geometry:
    if not readings:
        raise GeometryError("there are no readings to compare")
    require_one_grid(readings)
    return next(iter(readings.values())).geometry


def _entropy(readings: Mapping[str, Segmentation], label: str | None) -> _Entropy:
    votes = _votes_on_all(readings) if label is None else _votes_on_one(readings, label)
    flat = as_label_maps(votes.maps) if votes.maps else []
    known: dict[tuple[int, ...], float] = {}
    places, bits = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for here, columns in _differing_voxels(flat):
        rows, code = number_rows(columns)
        for row in map(tuple, rows.tolist()):
            if row not in known:
                known[row] = _bits(row, votes)
        values = np.array([known[tuple(row)] for row in rows.tolist()], dtype=np.float32)[code]
        differ = np.flatnonzero(values)
        places.append(here[differ])
        bits.append(values[differ])
    size = [s.stop - s.start for s in votes.where]
    k, j, i = np.unravel_index(np.concatenate(places), [max(n, 1) for n in size])
    corner = [s.start for s in votes.where]
    return _Entropy(k + corner[0], j + corner[1], i + corner[2], np.concatenate(bits))


def _bits(row: Sequence[int], votes: _Votes) -> float:
    """The entropy of one combination of votes; exactly 0 when they are all equal."""
    drawn = [votes.meaning.get(vote, frozenset()) for vote in row]
    any_label = frozenset().union(*drawn)
    valid = [own for own, known in zip(drawn, votes.annotated, strict=True) if any_label <= known]
    shares = [count / len(valid) for count in Counter(valid).values()]
    return -sum(p * math.log2(p) for p in shares) if len(shares) > 1 else 0.0


def _differing_voxels(flat: Sequence[LabelArray]) -> Iterator[tuple[IntArray, list[LabelArray]]]:
    """Batches of flat places and the values of every map there, for words in which maps differ."""
    if not flat or not flat[0].size:
        return
    per_word = 8 // flat[0].itemsize
    for words, columns in differing_words(flat):
        yield (words[:, None] * per_word + np.arange(per_word)).reshape(-1), columns
    rest = [tail(labels) for labels in flat]
    if rest[0].size:
        yield np.arange(flat[0].size - rest[0].size, flat[0].size), rest


def _votes_on_one(readings: Mapping[str, Segmentation], label: str) -> _Votes:
    raters = [rater for rater in sorted(readings) if readings[rater].find(label) is not None]
    crops = [crop(readings[rater], label) for rater in raters]
    where = common_box([cut.where for cut in crops])
    own = frozenset([label])
    return _Votes(where, [placed(cut, where) for cut in crops], {1: own}, [own] * len(raters))


def _votes_on_all(readings: Mapping[str, Segmentation]) -> _Votes:
    ordered = [readings[rater] for rater in sorted(readings)]
    where = common_box([extent(layer) for reading in ordered for layer in reading.layers])
    annotated = [frozenset(reading.names) for reading in ordered]
    numbering = _common_numbering(ordered)
    if numbering is not None:
        maps = [reading.layers[0][where] for reading in ordered]
        if not any(map(partial(_holds_strays, numbering), ordered, maps)):
            return _Votes(where, maps, numbering, annotated)
    sets: dict[Names, int] = {frozenset(): 0}
    maps = [_map_of_sets(reading, where, sets) for reading in ordered]
    return _Votes(where, maps, {number: names for names, number in sets.items()}, annotated)


def _common_numbering(ordered: Sequence[Segmentation]) -> dict[int, Names] | None:
    """What each value means, if all readings have one layer and mean the same by it; or None."""
    numbering: dict[int, Names] = {}
    for reading in ordered:
        if len(reading.layers) != 1:
            return None
        for segment in reading.segments:
            own = frozenset([segment.name])
            if numbering.setdefault(segment.value, own) != own:
                return None
    return numbering


def _holds_strays(numbering: Mapping[int, Names], reading: Segmentation, part: VoxelArray) -> bool:
    """True if the map holds a value that only another reading declares: it is no vote here."""
    foreign = set(numbering) - {segment.value for segment in reading.segments}
    return bool(foreign) and not foreign.isdisjoint(label_counts(part))


def _map_of_sets(reading: Segmentation, where: Slices, sets: dict[Names, int]) -> VoxelArray:
    """The set of labels of every voxel in the box, by its number in ``sets``, which grows."""
    layers = [layer[where] for layer in reading.layers]
    flat = as_label_maps(layers)
    merged = np.zeros(flat[0].size, dtype=np.uint16)
    for places, columns in _differing_voxels([np.zeros_like(flat[0]), *flat]):
        rows, code = number_rows(columns[1:])
        drawn = [_names(reading, row) for row in rows.tolist()]
        numbers = [sets.setdefault(names, len(sets)) for names in drawn]
        merged[places] = np.array(numbers, dtype=np.uint16)[code]
    return merged.reshape(layers[0].shape)


def _names(reading: Segmentation, values: Sequence[int]) -> Names:
    return frozenset(s.name for s in reading.segments if values[s.layer] == s.value)
