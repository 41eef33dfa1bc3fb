"""Whole datasets of a case file: libhdf5 hands over stored bricks, and we decode them.

So LZ4 needs no HDF5 plugin to be read, and damage has one kind of error, whatever the codec.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from MedPrepLib.errors import CorruptCaseError
from MedPrepLib.filters import applied
from MedPrepLib.images import VoxelArray
from MedPrepLib.load.codecs import decode_brick
from MedPrepLib.load.guard import pipeline_of

if TYPE_CHECKING:
    import h5py


def read_whole(dataset: h5py.Dataset) -> VoxelArray:
    """All values of a dataset that guard.opened let in; every checksum is verified.

    Raises CorruptCaseError when stored bytes were changed, UnsupportedError where the codec is
    missing.
    """
    if dataset.chunks is None:
        contiguous: VoxelArray = dataset[()]  # tables without rows
        return contiguous
    chunks: list[Any] = []
    dataset.id.chunk_iter(chunks.append)
    result = np.empty(dataset.shape, dtype=dataset.dtype)
    if len(chunks) < _chunk_count(dataset):
        result[...] = dataset.fillvalue
    pipeline = pipeline_of(dataset)
    brick = np.empty(dataset.chunks, dtype=dataset.dtype)
    for chunk in chunks:
        mask, stored = dataset.id.read_direct_chunk(chunk.chunk_offset)
        try:
            decode_brick(stored, applied(pipeline, mask), brick.dtype, brick)
        except CorruptCaseError as error:
            place = ", ".join(map(str, chunk.chunk_offset))
            raise CorruptCaseError(f"{dataset.name} at {place}: {error}") from None
        spans = zip(chunk.chunk_offset, brick.shape, strict=True)
        target = result[tuple(slice(start, start + size) for start, size in spans)]
        target[...] = brick[tuple(slice(n) for n in target.shape)]
    return result


def _chunk_count(dataset: h5py.Dataset) -> int:
    sizes = zip(dataset.shape, dataset.chunks, strict=True)
    return math.prod(-(-size // edge) for size, edge in sizes)
