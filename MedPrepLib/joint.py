"""Joint counts of label maps: how many voxels carry which combination of labels.

Everything pairwise or voted (overlap, volumes, confusion, majority) is arithmetic on these counts,
so each map is read once however many pairs there are. Maps are compared eight bytes at a time:
where all maps hold the same word only the first one is counted, and only words that differ
(a few percent, along the borders) are looked at voxel by voxel. The result is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import GeometryError, LabelError
from MedPrepLib.images import VoxelArray
from MedPrepLib.labels import MAX_LABEL_VALUE

CountArray = npt.NDArray[np.int64]
LabelArray = npt.NDArray[np.unsignedinteger]
WordArray = npt.NDArray[np.uint64]

_CHUNK_WORDS = 1 << 15
"""Words compared at a time (256 KB per map), so that the first map stays in the cache."""
_BATCH_WORDS = 1 << 17
"""Differing words gathered before they are counted (1 MB per map)."""
_DENSE_KEYS = 1 << 16
"""Up to this many possible combinations, counting by table beats sorting."""
_MERGE_ROWS = 1 << 21
"""Rows of partial counts that are merged before more are gathered."""
_KEY_LIMIT = 1 << 64
_MOST_COLUMNS = 64
_HISTOGRAM_WORDS = 1 << 18
_REPEATED = {1: np.uint64(0x0101010101010101), 2: np.uint64(0x0001000100010001)}
"""Times a label: the word that holds it in every place, by bytes per label."""


@dataclass(frozen=True, eq=False)
class JointCounts:
    """Distinct combinations of labels and their voxel counts, in lexicographic order.

    ``tuples`` (T, R): the label of each of R maps; ``counts`` (T,): voxels, summing to all voxels.
    """

    tuples: npt.NDArray[np.uint16]
    counts: CountArray

    @property
    def total(self) -> int:
        """The number of voxels of one map."""
        return int(self.counts.sum())


def joint_counts(maps: Sequence[VoxelArray]) -> JointCounts:
    """Count every combination of labels over maps of one shape (any number, unsigned integers).

    Raises GeometryError for no maps or unequal shapes, LabelError for other types or labels above
    65535. Meant for readings of one image; maps of pure noise stay exact but cost a sort.
    """
    flat = as_label_maps(maps)
    words = [as_words(labels) for labels in flat]
    parts: list[JointCounts] = []
    rows = 0
    for _, gathered in differing_words(words):
        part = _unique_rows([word.view(flat[0].dtype) for word in gathered], None)
        parts.append(part)
        rows += part.counts.size
        if rows > _MERGE_ROWS:
            parts = [_merged(parts)]
            rows = parts[0].counts.size
    covered = words[0].size * (8 // flat[0].itemsize)
    agreed = _agreed(words[0].view(flat[0].dtype), parts, len(maps))
    tail = _unique_rows([labels[covered:] for labels in flat], None)
    return _merged([*parts, agreed, tail])


def value_counts(labels: VoxelArray) -> dict[int, int]:
    """Voxels per value of one label map of unsigned integers, in order of value."""
    counted = joint_counts([labels])
    return dict(zip(counted.tuples[:, 0].tolist(), counted.counts.tolist(), strict=True))


def label_counts(labels: VoxelArray) -> dict[int, int]:
    """Voxels per value of one label map, background (0) left out, in order of value."""
    return {value: count for value, count in value_counts(labels).items() if value}


def as_label_maps(maps: Sequence[VoxelArray]) -> list[LabelArray]:
    """The maps as flat contiguous arrays of one type, uint8 or uint16 (views where possible)."""
    if not maps:
        raise GeometryError("there are no label maps to compare")
    shapes = {labels.shape for labels in maps}
    if len(shapes) > 1:
        raise GeometryError(f"label maps of different shapes {sorted(shapes)} cannot be compared")
    narrow = [_narrowed(labels) for labels in maps]
    dtype = np.result_type(*narrow)
    return [np.ascontiguousarray(labels, dtype=dtype).reshape(-1) for labels in narrow]


def differing_words(words: Sequence[WordArray]) -> Iterator[tuple[CountArray, list[WordArray]]]:
    """Batches of (positions, words of every map there) where the maps are not all equal.

    The arrays are buffers that the next batch overwrites.
    """
    first, others = words[0], words[1:]
    positions = np.empty(_BATCH_WORDS + _CHUNK_WORDS, dtype=np.int64)
    buffers = [np.empty(positions.size if others else 0, dtype=np.uint64) for _ in words]
    filled = 0
    for start in range(0, first.size if others else 0, _CHUNK_WORDS):
        stop = min(start + _CHUNK_WORDS, first.size)
        found = _differing(first[start:stop], [other[start:stop] for other in others])
        end = filled + found.size
        for word, buffer in zip(words, buffers, strict=True):
            word[start:stop].take(found, out=buffer[filled:end], mode="clip")
        np.add(found, start, out=positions[filled:end])
        filled = end
        if filled >= _BATCH_WORDS:
            yield positions[:filled], [buffer[:filled] for buffer in buffers]
            filled = 0
    if filled:
        yield positions[:filled], [buffer[:filled] for buffer in buffers]


def _differing(first: WordArray, others: Sequence[WordArray]) -> CountArray:
    differs = np.not_equal(first, others[0])
    for other in others[1:]:
        differs |= first != other
    return np.flatnonzero(differs)


def _agreed(labels: LabelArray, parts: Sequence[JointCounts], maps: int) -> JointCounts:
    """The voxels of equal words: those of the first map that no part has counted."""
    counts = voxels_per_value(labels)
    for part in parts:
        first = part.tuples[:, 0]
        seen = np.bincount(first, weights=part.counts, minlength=counts.size)
        counts -= seen.astype(np.int64)
    values = np.flatnonzero(counts)
    tuples = np.repeat(values[:, None], maps, axis=1).astype(np.uint16)
    return JointCounts(tuples, counts[values])


def voxels_per_value(labels: LabelArray) -> CountArray:
    """Voxels per value (index) of one flat map whose size is a whole number of words."""
    words = labels.view(np.uint64)
    per_word = 8 // labels.itemsize
    repeated = _REPEATED[labels.itemsize]
    counts = np.zeros(1 << (8 * labels.itemsize), dtype=np.int64)
    for start in range(0, words.size, _HISTOGRAM_WORDS):
        part = words[start : start + _HISTOGRAM_WORDS]
        starts, lengths = runs(part)
        found = part[starts]
        # Inside a structure a word is one label over and over; on its border, a mixture that
        # hardly ever repeats. Counting them apart spares a weight per voxel.
        value = found & np.uint64(counts.size - 1)
        pure = found == value * repeated
        _add(counts, value[pure].astype(np.intp), lengths[pure] * per_word)
        mixed, often = found[~pure], lengths[~pure]
        _add(counts, mixed.view(labels.dtype), None)
        again = often > 1
        if again.any():
            _add(counts, mixed[again].view(labels.dtype), np.repeat(often[again] - 1, per_word))
    return counts


def _add(counts: CountArray, values: npt.NDArray[np.integer], weights: CountArray | None) -> None:
    # Sums of whole numbers below 2**53 are exact in float64.
    summed = np.bincount(values, weights)
    counts[: summed.size] += summed.astype(np.int64, copy=False)


def runs(values: npt.NDArray[np.unsignedinteger]) -> tuple[CountArray, CountArray]:
    """Starts and lengths of the runs of one value (none for an empty array)."""
    if values.size == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    starts = np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1))
    return starts, np.diff(starts, append=values.size)


def _unique_rows(columns: Sequence[LabelArray], weights: CountArray | None) -> JointCounts:
    """Distinct rows of columns of equal length, with the summed weights (default 1 each)."""
    if columns[0].size == 0:
        return JointCounts(np.empty((0, len(columns)), np.uint16), np.empty(0, np.int64))
    radix = max(int(column.max()) for column in columns) + 1
    if radix ** len(columns) > _KEY_LIMIT:
        tuples, code = number_rows(columns)
        return JointCounts(tuples, np.bincount(code, weights).astype(np.int64))
    key = mixed_radix(columns, radix)
    found: npt.NDArray[np.integer]
    if radix ** len(columns) <= _DENSE_KEYS:
        summed = np.bincount(key, weights)
        found = np.flatnonzero(summed)
        counts = summed[found].astype(np.int64)
    else:
        found, counts = _unique_keys(key, weights)
    return JointCounts(digits(found, radix, len(columns)), counts)


def mixed_radix(columns: Sequence[LabelArray], radix: int) -> npt.NDArray[np.unsignedinteger]:
    """One number per row, the first column most significant, in the smallest type that fits."""
    key = columns[0].astype(np.min_scalar_type(radix ** len(columns) - 1))
    for column in columns[1:]:
        key *= radix
        key += column
    return key


def digits(keys: npt.NDArray[np.integer], radix: int, count: int) -> npt.NDArray[np.uint16]:
    """The rows (T, count) whose :func:`mixed_radix` numbers are ``keys``."""
    rest = keys.astype(np.uint64)
    rows = np.empty((keys.size, count), dtype=np.uint16)
    for column in reversed(range(count)):
        rest, rows[:, column] = np.divmod(rest, np.uint64(radix))
    return rows


def _unique_keys(
    key: npt.NDArray[np.unsignedinteger], weights: CountArray | None
) -> tuple[npt.NDArray[np.unsignedinteger], CountArray]:
    if weights is None:
        starts, weights = runs(key)
        key = key[starts]
    order = np.argsort(key)
    ordered = key[order]
    starts, _ = runs(ordered)
    return ordered[starts], np.add.reduceat(weights[order], starts)


def number_rows(
    columns: Sequence[LabelArray],
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.integer]]:
    """The distinct rows (T, R) of columns of equal length, and which of them each row is (n,)."""
    radix = max(int(column.max(initial=0)) for column in columns) + 1
    width = _columns_per_key(radix)
    tuples, code = _number_group(columns[:width], radix)
    for start in range(width, len(columns), width):
        others, other = _number_group(columns[start : start + width], radix)
        key = code.astype(np.uint64) * np.uint64(len(others)) + other.astype(np.uint64)
        known, code = np.unique(key, return_inverse=True)
        left, right = np.divmod(known.astype(np.int64), len(others))
        tuples = np.hstack([tuples[left], others[right]])
    return tuples, code


def _number_group(
    columns: Sequence[LabelArray], radix: int
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.integer]]:
    key = mixed_radix(columns, radix)
    code: npt.NDArray[np.integer]
    if radix ** len(columns) <= _DENSE_KEYS:
        seen = np.zeros(radix ** len(columns), dtype=np.bool_)
        seen[key] = True
        known = np.flatnonzero(seen)
        code = (np.cumsum(seen) - 1).astype(np.uint16)[key]
    else:
        starts, lengths = runs(key)
        known, code = np.unique(key[starts], return_inverse=True)
        code = np.repeat(code, lengths)
    return digits(known, radix, len(columns)), code


def _columns_per_key(radix: int) -> int:
    width = 1
    while width < _MOST_COLUMNS and radix ** (width + 1) <= _KEY_LIMIT:
        width += 1
    return width


def _merged(parts: Sequence[JointCounts]) -> JointCounts:
    tuples = np.concatenate([part.tuples for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    columns = [np.ascontiguousarray(column) for column in tuples.T]
    return _unique_rows(columns, counts)


def as_words(labels: LabelArray) -> WordArray:
    """As many whole 8-byte words as there are; the last few voxels may be left over."""
    per_word = 8 // labels.itemsize
    return labels[: labels.size // per_word * per_word].view(np.uint64)


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
