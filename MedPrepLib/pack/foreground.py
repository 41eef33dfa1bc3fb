"""Voxel coordinates per label, so that a sampler finds a class without reading the mask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from MedPrepLib.images import VoxelArray

Coordinates = npt.NDArray[np.int32]
SLAB_VOXELS = 1 << 21


def sample_foreground(
    mask: VoxelArray, counts: Mapping[int, int], cap: int
) -> dict[int, Coordinates]:
    """Coordinates (n, 3) in the order k, j, i for each value of ``counts``, at most ``cap`` each.

    Where a label has more voxels, the sample is even: of n voxels in memory order, number
    floor((m + 1/2) n / cap) for m = 0 .. cap - 1. No chance is involved.
    """
    ranks = {value: _even_ranks(count, cap) for value, count in counts.items()}
    seen = dict.fromkeys(counts, 0)
    found: dict[int, list[npt.NDArray[np.intp]]] = {value: [] for value in counts}
    for start, slab in _slabs(mask):
        for value, places in _places_by_value(slab):
            if value not in ranks:
                continue
            wanted = ranks[value]
            low, high = np.searchsorted(wanted, (seen[value], seen[value] + places.size))
            found[value].append(places[wanted[low:high] - seen[value]] + start)
            seen[value] += int(places.size)
    return {value: _coordinates(parts, mask.shape) for value, parts in found.items()}


def _even_ranks(count: int, cap: int) -> npt.NDArray[np.int64]:
    if count <= cap:
        return np.arange(count, dtype=np.int64)
    return (2 * np.arange(cap, dtype=np.int64) + 1) * count // (2 * cap)


def _slabs(mask: VoxelArray) -> Iterator[tuple[int, VoxelArray]]:
    flat = mask.reshape(-1)
    for start in range(0, flat.size, SLAB_VOXELS):
        yield start, flat[start : start + SLAB_VOXELS]


def _places_by_value(slab: VoxelArray) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    places = np.flatnonzero(slab)
    values = slab[places]
    order = np.argsort(values, kind="stable")
    present, starts = np.unique(values[order], return_index=True)
    groups = np.split(places[order], starts[1:]) if present.size else []
    for value, group in zip(present, groups, strict=True):
        yield int(value), group


def _coordinates(parts: list[npt.NDArray[np.intp]], shape: tuple[int, ...]) -> Coordinates:
    places = np.concatenate(parts) if parts else np.zeros(0, dtype=np.intp)
    return np.stack(np.unravel_index(places, shape), axis=1).astype("<i4")
