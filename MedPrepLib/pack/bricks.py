"""Writing arrays brick by brick: what holds only the fill value is never stored."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.filters import Codec
from MedPrepLib.images import VoxelArray
from MedPrepLib.layout import BRICK
from MedPrepLib.pack.codecs import encode_brick, filters_of

if TYPE_CHECKING:
    import h5py

ROWS = 8192
"""Rows per chunk of a table (foreground coordinates, boxes)."""


class BrickWriter:
    """A chunked dataset that takes an image slab by slab, in order, and stores it brick by brick.

    Nothing is kept between slabs; besides the slab one row of bricks is in memory. Bricks at the
    far edges are stored whole, filled up with the fill value, as HDF5 wants it.
    """

    def __init__(
        self,
        group: h5py.Group,
        name: str,
        shape: tuple[int, int, int],
        *,
        dtype: str,
        fill: float,
        codec: Codec,
    ) -> None:
        bricks = tuple(min(BRICK, n) for n in shape)
        self.dataset = group.create_dataset(
            name,
            shape=shape,
            dtype=dtype,
            chunks=bricks,
            fillvalue=fill,
            fill_time="alloc",
            track_times=False,
            **filters_of(codec),
        )
        self._codec: Codec = codec
        self._fill = np.asarray(fill, dtype=dtype)
        self._bricks = np.empty((-(-shape[2] // BRICK), *bricks), dtype=dtype)

    def write(self, first: int, slab: VoxelArray) -> None:
        """Store the slices from number ``first`` on; a multiple of BRICK unless they are the last.

        The caller made sure that the values fit the dataset's type.
        """
        for k, j in itertools.product(*(range(0, n, BRICK) for n in slab.shape[:2])):
            _gather(slab[k : k + BRICK, j : j + BRICK], self._bricks, self._fill)
            for number, brick in enumerate(self._bricks):
                if _holds_more_than(brick, self._fill):
                    place = (first + k, j, number * BRICK)
                    self.dataset.id.write_direct_chunk(place, encode_brick(brick, self._codec))


def write_bricks(
    group: h5py.Group, name: str, array: VoxelArray, *, dtype: str, fill: float, codec: Codec
) -> h5py.Dataset:
    """A dataset ``name`` with all voxels of ``array`` (k, j, i), cast to ``dtype``."""
    k, j, i = array.shape
    writer = BrickWriter(group, name, (k, j, i), dtype=dtype, fill=fill, codec=codec)
    writer.write(0, array)
    return writer.dataset


def write_table(group: h5py.Group, name: str, rows: npt.NDArray[Any], codec: Codec) -> h5py.Dataset:
    """A dataset ``name`` with an array of one or two dimensions, which may be empty."""
    if not rows.size:
        return group.create_dataset(name, shape=rows.shape, dtype=rows.dtype, track_times=False)
    chunk = np.zeros((min(ROWS, rows.shape[0]), *rows.shape[1:]), dtype=rows.dtype)
    dataset = group.create_dataset(
        name,
        shape=rows.shape,
        dtype=rows.dtype,
        chunks=chunk.shape,
        fill_time="alloc",
        track_times=False,
        **filters_of(codec),
    )
    for start in range(0, rows.shape[0], ROWS):
        part = rows[start : start + ROWS]
        chunk[: part.shape[0]] = part
        chunk[part.shape[0] :] = 0
        place = (start, *(0 for _ in rows.shape[1:]))
        dataset.id.write_direct_chunk(place, encode_brick(chunk, codec))
    return dataset


def _gather(row: VoxelArray, bricks: VoxelArray, fill: npt.NDArray[Any]) -> None:
    """Put a row of bricks (k, j, i) into ``bricks`` (n, k, j, i), filled up at the far edges.

    Where types and sizes allow it, the voxels of a brick along i move as one item: numpy then
    copies memory instead of counting voxels, in a third of the time.
    """
    k, j, i = row.shape
    rest = i % BRICK
    if rest or (k, j) != bricks.shape[1:3]:
        bricks[...] = fill
    if row.dtype == bricks.dtype and row.strides[2] == row.itemsize and not rest:
        line = f"V{BRICK * row.itemsize}"
        bricks.view(line)[:, :k, :j, 0] = row.view(line).transpose(2, 0, 1)
        return
    for number in range(len(bricks)):
        part = row[..., number * BRICK : (number + 1) * BRICK]
        bricks[number, :k, :j, : part.shape[2]] = part


def _holds_more_than(brick: VoxelArray, fill: npt.NDArray[Any]) -> bool:
    """Whether a brick has a voxel besides the fill value; most show it in every eighth line."""
    return bool((brick[::8, ::8] != fill).any() or (brick != fill).any())
