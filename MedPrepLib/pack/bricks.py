"""Writing arrays brick by brick: what holds only the fill value is never stored."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from MedPrepLib.images import VoxelArray
from MedPrepLib.layout import BRICK

if TYPE_CHECKING:
    import h5py

Codec = Literal["raw", "gzip"]
ROWS = 8192
"""Rows per chunk of a table (foreground coordinates, boxes)."""


def filters_of(codec: Codec) -> dict[str, Any]:
    """HDF5 filters: always Fletcher's checksum; gzip 1 with shuffle where size matters more."""
    if codec == "gzip":
        return {
            "fletcher32": True, "shuffle": True, "compression": "gzip", "compression_opts": 1,
        }  # fmt: skip
    return {"fletcher32": True}


def write_bricks(
    group: h5py.Group,
    name: str,
    array: VoxelArray,
    *,
    dtype: str,
    fill: float,
    codec: Codec,
) -> h5py.Dataset:
    """A chunked dataset ``name`` with the voxels of ``array`` (k, j, i), cast to ``dtype``.

    Neighboring bricks of a row are written together; no more than a row is copied at a time. The
    caller made sure that the values fit ``dtype``.
    """
    bricks = tuple(min(BRICK, n) for n in array.shape)
    dataset = group.create_dataset(
        name,
        shape=array.shape,
        dtype=dtype,
        chunks=bricks,
        fillvalue=fill,
        fill_time="alloc",  # what lies beyond the edge must not be leftovers of memory
        track_times=False,
        **filters_of(codec),
    )
    background = np.asarray(fill, dtype=dtype)
    for k, j in itertools.product(*(range(0, n, BRICK) for n in array.shape[:2])):
        row = array[k : k + BRICK, j : j + BRICK]
        for start, stop in _stored_runs(row, background):
            dataset[k : k + BRICK, j : j + BRICK, start:stop] = row[..., start:stop].astype(dtype)
    return dataset


def write_table(group: h5py.Group, name: str, rows: npt.NDArray[Any], codec: Codec) -> h5py.Dataset:
    """A dataset ``name`` with an array of one or two dimensions, which may be empty."""
    if not rows.size:
        return group.create_dataset(name, shape=rows.shape, dtype=rows.dtype, track_times=False)
    chunks = (min(ROWS, rows.shape[0]), *rows.shape[1:])
    return group.create_dataset(
        name,
        data=rows,
        chunks=chunks,
        fill_time="alloc",
        track_times=False,
        **filters_of(codec),
    )


def _stored_runs(row: VoxelArray, background: npt.NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Along the last axis, the runs of bricks that hold something besides the fill value."""
    filled = (row != background).any(axis=(0, 1))
    size = filled.size
    stored = np.logical_or.reduceat(filled, np.arange(0, size, BRICK))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], stored, [False]))))
    for first, last in edges.reshape(-1, 2).tolist():
        yield first * BRICK, min(last * BRICK, size)
