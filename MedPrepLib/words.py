"""Label maps eight bytes at a time: where several of them differ, and what they agree on.

Readings of one image are equal nearly everywhere. Compared word by word, one pass over the maps
finds the few percent of words (along the borders) that have to be looked at voxel by voxel; the
others are counted from the first map alone, by runs of equal words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import GeometryError, LabelError
from MedPrepLib.images import VoxelArray
from MedPrepLib.labels import MAX_LABEL_VALUE

CountArray = npt.NDArray[np.int64]
LabelArray = npt.NDArray[np.unsignedinteger]
WordArray = npt.NDArray[np.uint64]

_CHUNK_WORDS = 1 << 17
"""Words compared at a time (1 MB per map): what is done with them finds them in the cache."""
_BATCH_WORDS = 1 << 17
"""Differing words gathered before they are handed on (1 MB per map)."""
_REPEATED = {1: np.uint64(0x0101010101010101), 2: np.uint64(0x0001000100010001)}
"""Times a label: the word that holds it in every place, by bytes per label."""


def as_label_maps(maps: Sequence[VoxelArray]) -> list[LabelArray]:
    """The maps as flat contiguous arrays of one type, uint8 or uint16 (views where possible).

    Raises GeometryError for no maps or unequal shapes, LabelError for other types than unsigned
    integers and for labels above 65535.
    """
    if not maps:
        raise GeometryError("there are no label maps to compare")
    shapes = {labels.shape for labels in maps}
    if len(shapes) > 1:
        raise GeometryError(f"label maps of different shapes {sorted(shapes)} cannot be compared")
    narrow = [_narrowed(labels) for labels in maps]
    dtype = np.result_type(*narrow)
    return [np.ascontiguousarray(labels, dtype=dtype).reshape(-1) for labels in narrow]


def _narrowed(labels: VoxelArray) -> VoxelArray:
    if labels.dtype == np.bool_:
        return labels.view(np.uint8)
    if labels.dtype.kind != "u":
        raise LabelError(f"a label map holds {labels.dtype}, not unsigned integers")
    if labels.itemsize <= 2:
        return labels
    if labels.size and int(labels.max()) > MAX_LABEL_VALUE:
        raise LabelError(f"a label map holds {int(labels.max())}, more than {MAX_LABEL_VALUE}")
    return labels.astype(np.uint16)


def as_words(labels: LabelArray) -> WordArray:
    """As many whole 8-byte words as there are; :func:`tail` is what may be left over."""
    return labels[: labels.size - tail(labels).size].view(np.uint64)


def tail(labels: LabelArray) -> LabelArray:
    """The last few voxels that fill no word."""
    return labels[labels.size - labels.size % (8 // labels.itemsize) :]


def no_voxels(labels: LabelArray) -> CountArray:
    """A table of voxels per value of a map of this type, all zero."""
    return np.zeros(1 << (8 * labels.itemsize), dtype=np.int64)


def differing_words(
    maps: Sequence[LabelArray], agreed: CountArray | None = None
) -> Iterator[tuple[CountArray, list[LabelArray]]]:
    """Batches of (numbers of words, the voxels of every map in them) where maps are not all equal.

    ``maps`` are flat and of one type (:func:`as_label_maps`). To ``agreed`` (:func:`no_voxels`)
    are added, by value, the voxels of all words in which the maps do agree. The :func:`tail` is
    left to the caller.
    """
    words = [as_words(labels) for labels in maps]
    dtype = maps[0].dtype
    batch: list[list[Any]] = []
    filled = 0
    for start in range(0, words[0].size, _CHUNK_WORDS):
        chunk = [word[start : start + _CHUNK_WORDS] for word in words]
        found = _differing(chunk)
        if agreed is not None:
            _count_others(chunk[0], found, dtype, agreed)
        if not found.size:
            continue
        # Plain take: with out= numpy checks every index in a slower loop.
        batch.append([found + start, *(part.take(found).view(dtype) for part in chunk)])
        filled += found.size
        if filled >= _BATCH_WORDS:
            yield _joined(batch)
            batch, filled = [], 0
    if filled:
        yield _joined(batch)


def _differing(chunk: Sequence[WordArray]) -> CountArray:
    if len(chunk) < 2:
        return np.empty(0, dtype=np.int64)
    differs = np.not_equal(chunk[0], chunk[1])
    for other in chunk[2:]:
        differs |= chunk[0] != other
    return differs.nonzero()[0]


def _joined(batch: Sequence[Sequence[Any]]) -> tuple[CountArray, list[LabelArray]]:
    numbers, *voxels = (np.concatenate(parts) for parts in zip(*batch, strict=True))
    return numbers, voxels


def _count_others(
    words: WordArray, left_out: CountArray, dtype: np.dtype[Any], counts: CountArray
) -> None:
    """Add the voxels of all words but those ``left_out``."""
    if left_out.size:
        # Blank words make few and long runs, and are easily taken off again.
        words = words.copy()
        words[left_out] = 0
        counts[0] -= left_out.size * (8 // dtype.itemsize)
    _count(words, dtype, counts)


def _count(words: WordArray, dtype: np.dtype[Any], counts: CountArray) -> None:
    """Add the voxels of words.

    Inside a structure a word is one label over and over; on its border, a mixture that hardly ever
    repeats. Counting the two apart spares a weight per voxel.
    """
    starts, lengths = runs(words)
    found = words.take(starts)
    value = found & np.uint64(counts.size - 1)
    is_pure = found == value * _REPEATED[dtype.itemsize]
    # Indices, not masks: whether a run is pure is hard to predict, and masks are slow then.
    pure, mixed = is_pure.nonzero()[0], (~is_pure).nonzero()[0]
    per_word = 8 // dtype.itemsize
    _add(counts, value.take(pure).astype(np.intp), lengths.take(pure) * per_word)
    _add(counts, found.take(mixed).view(dtype), None)
    again = mixed[lengths.take(mixed) > 1]
    if again.size:
        often = np.repeat(lengths.take(again) - 1, per_word)
        _add(counts, found.take(again).view(dtype), often)


def _add(counts: CountArray, values: npt.NDArray[np.integer], weights: CountArray | None) -> None:
    # Sums of whole numbers below 2**53 are exact in float64.
    summed = np.bincount(values, weights)
    counts[: summed.size] += summed.astype(np.int64, copy=False)


def runs(values: npt.NDArray[np.unsignedinteger]) -> tuple[CountArray, CountArray]:
    """Starts and lengths of the runs of one value (none for an empty array)."""
    if values.size == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    changes = np.not_equal(values[1:], values[:-1]).nonzero()[0]
    bounds = np.empty(changes.size + 2, dtype=np.int64)
    bounds[0], bounds[-1] = 0, values.size
    np.add(changes, 1, out=bounds[1:-1])
    return bounds[:-1], bounds[1:] - bounds[:-1]
