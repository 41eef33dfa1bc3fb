"""From the bytes of a stored brick to its voxels, outside of libhdf5 and its global lock."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import CorruptCaseError
from MedPrepLib.filters import (
    BLOSC,
    CHECKSUM_BYTES,
    DEFLATE,
    PIPELINES,
    SHUFFLE,
    Buffer,
    blosc,
    checked_payload,
    require_blosc,
)
from MedPrepLib.images import VoxelArray


def decode_brick(
    stored: Buffer,
    filters: Sequence[int],
    dtype: npt.DTypeLike,
    out: VoxelArray,
    *,
    check: bool = True,
) -> None:
    """Fill ``out`` with the voxels of one brick.

    ``stored``: the bytes of the HDF5 chunk (bytes, or a slice of a mapped file). ``filters``: the
    numbers of the filters it went through, in the order of writing (filters.applied). ``out``: a
    C-contiguous array of the brick's own shape and of ``dtype``; chunks at the edge of a volume
    are stored whole, too. ``check=False`` skips the checksum, for bytes that were checked before.

    Raises CorruptCaseError for filters that no case file has, a wrong checksum, and bytes that
    are not exactly one brick; what they promise is compared before anything is decoded.
    UnsupportedError where blosc is missing (lz4).
    """
    used = tuple(filters)
    if used not in PIPELINES:
        raise CorruptCaseError(f"a brick went through the filters {list(used)}")
    kind = np.dtype(dtype)
    if out.dtype != kind or not out.flags.c_contiguous:
        raise ValueError(f"a brick of {kind} cannot be decoded into {out.dtype}, or not in place")
    payload = checked_payload(stored) if check else memoryview(stored)[:-CHECKSUM_BYTES]
    if BLOSC in used:
        require_blosc(payload[:16], len(payload), kind.itemsize, out.nbytes)
        blosc_decoder(out)(payload)
        return
    if DEFLATE in used:
        payload = memoryview(_inflated(payload, out.nbytes))
    if len(payload) != out.nbytes:
        raise CorruptCaseError(f"a brick has {len(payload)} bytes instead of {out.nbytes}")
    if SHUFFLE in used and kind.itemsize > 1:
        _unshuffle(payload, out)
    else:
        out.reshape(-1).view(np.uint8)[...] = np.frombuffer(payload, dtype=np.uint8)


def blosc_decoder(out: VoxelArray) -> Callable[[memoryview], None]:
    """A function that decodes one Blosc chunk after the other into the C-contiguous ``out``.

    python-blosc writes as many bytes to an address as the header of a chunk promises, so these are
    counted before each (16 bytes of header are there once require_blosc has seen them). Raises
    CorruptCaseError when they are not the size of ``out``, and when the chunk does not decode.
    """
    # The extension itself: what python-blosc puts before it looks at the types of both arguments
    # again, which takes a tenth as long as decoding a brick.
    extension = blosc().blosc_extension
    decompress, address, size = extension.decompress_ptr, out.ctypes.data, out.nbytes
    error: type[Exception] = extension.error

    def decode(chunk: memoryview, *, _keep: VoxelArray = out) -> None:
        promised = int.from_bytes(chunk[4:8], "little")
        if promised != size:
            raise CorruptCaseError(f"a brick promises {promised} bytes instead of {size}")
        try:
            decompress(chunk, address)
        except error as problem:
            raise CorruptCaseError(f"a brick cannot be decoded: {problem}") from None

    return decode


def _inflated(payload: memoryview, limit: int) -> bytes:
    """At most ``limit`` bytes; CorruptCaseError when the stream is damaged or holds more."""
    module = _inflate_module()
    stream = module.decompressobj()
    try:
        data: bytes = stream.decompress(payload, limit)
        more = stream.decompress(stream.unconsumed_tail, 1) if not stream.eof else b""
    except module.error as error:
        raise CorruptCaseError(f"a brick cannot be decoded: {error}") from None
    if more or not stream.eof:
        raise CorruptCaseError(f"a brick is no deflate stream of {limit} bytes")
    return data


@functools.cache
def _inflate_module() -> Any:
    """Intel's isal_zlib where it is installed: the same answer in half the time; else zlib."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


def _unshuffle(payload: memoryview, out: VoxelArray) -> None:
    """Undo HDF5's shuffle: first all lowest bytes, then all second bytes..."""
    planes = np.frombuffer(payload, dtype=np.uint8).reshape(out.dtype.itemsize, -1)
    target = out.reshape(-1).view(np.uint8).reshape(-1, out.dtype.itemsize)
    for number, plane in enumerate(planes):
        target[:, number] = plane
