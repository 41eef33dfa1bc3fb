"""Joint counts of label maps: how many voxels carry which combination of labels.

Everything pairwise or voted (overlap, volumes, confusion, majority) is arithmetic on these counts,
so each map is read once however many pairs there are (see ``words``). The result is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib.images import VoxelArray
from MedPrepLib.words import (
    CountArray,
    LabelArray,
    as_label_maps,
    differing_words,
    no_voxels,
    runs,
    tail,
)

_DENSE_KEYS = 1 << 16
"""Up to this many possible combinations, counting by table beats sorting."""
_MERGE_ROWS = 1 << 21
"""Rows of partial counts that are merged before more are gathered."""
_KEY_LIMIT = 1 << 64
_MOST_COLUMNS = 64


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
    agreed = no_voxels(flat[0])
    parts: list[JointCounts] = []
    rows = 0
    for _, columns in differing_words(flat, agreed):
        part = _unique_rows(columns, None)
        parts.append(part)
        rows += part.counts.size
        if rows > _MERGE_ROWS:
            parts = [_merged(parts)]
            rows = parts[0].counts.size
    rest = _unique_rows([tail(labels) for labels in flat], None)
    return _merged([*parts, _unanimous(agreed, len(maps)), rest])


def value_counts(labels: VoxelArray) -> dict[int, int]:
    """Voxels per value of one label map of unsigned integers, in order of value."""
    counted = joint_counts([labels])
    return dict(zip(counted.tuples[:, 0].tolist(), counted.counts.tolist(), strict=True))


def label_counts(labels: VoxelArray) -> dict[int, int]:
    """Voxels per value of one label map, background (0) left out, in order of value."""
    return {value: count for value, count in value_counts(labels).items() if value}


def _unanimous(agreed: CountArray, maps: int) -> JointCounts:
    """The rows of voxels that all maps give one value; ``agreed`` are voxels per value."""
    values = agreed.nonzero()[0]
    tuples = np.repeat(values[:, None], maps, axis=1).astype(np.uint16)
    return JointCounts(tuples, agreed[values])


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
        seen = np.bincount(key, minlength=radix ** len(columns)) > 0
        known = np.flatnonzero(seen)
        code = (np.cumsum(seen) - 1).astype(np.uint16).take(key)
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
