"""From voxels to the bytes of a stored brick, outside of libhdf5.

The same voxels give the same bytes on every machine with the same library: Blosc works in one
thread, and deflate is zlib's. (Intel's isal_zlib is ten times faster, but what it
writes depends on the processor.) A case file names the library and its version beside the codec,
so that two files of one case that differ can be explained.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from MedPrepLib.filters import Buffer, Codec, blosc, fletcher32, require_blosc_filter
from MedPrepLib.images import VoxelArray

DEFLATE_LEVEL = 1
BLOSC_LEVEL = 2
"""Of LZ4HC. It searches for longer matches than LZ4 does: those of a noisy CT decode a fifth faster
and take less room. Higher levels take several times as long to write. The stored format is that of
LZ4."""
_BYTE_SHUFFLE, _LZ4HC = 1, 2


def require_codec(codec: Codec) -> None:
    """UnsupportedError, with the command that helps, when the codec cannot be written here."""
    if codec == "lz4":
        blosc()
        require_blosc_filter()


def library_of(codec: Codec) -> str:
    """The library whose version decides on the stored bytes; empty for raw."""
    if codec == "gzip":
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
    if codec == "lz4":
        module = blosc()
        return f"c-blosc {module.VERSION_STRING}, LZ4 {module.clib_info('lz4')[1]}"
    return ""


def filters_of(codec: Codec) -> dict[str, Any]:
    """What h5py is told of a dataset: Fletcher's checksum last, over what is stored."""
    if codec == "gzip":
        return {
            "fletcher32": True, "shuffle": True,
            "compression": "gzip", "compression_opts": DEFLATE_LEVEL,
        }  # fmt: skip
    if codec == "lz4":
        # The first four numbers are filled in by the filter: versions, item and brick size.
        numbers = (0, 0, 0, 0, BLOSC_LEVEL, _BYTE_SHUFFLE, _LZ4HC)
        return {"fletcher32": True, "compression": 32001, "compression_opts": numbers}
    return {"fletcher32": True}


def encode_brick(voxels: VoxelArray, codec: Codec) -> bytes:
    """The bytes to store for a C-contiguous brick, checksum included."""
    payload = _PACKERS[codec](voxels)
    return b"".join((payload, fletcher32(payload).to_bytes(4, "little")))


def _raw(voxels: VoxelArray) -> memoryview:
    return voxels.reshape(-1).view(np.uint8).data


def _gzip(voxels: VoxelArray) -> bytes:
    items = voxels.reshape(-1).view(np.uint8).reshape(-1, voxels.dtype.itemsize)
    planes = np.empty(items.shape[::-1], dtype=np.uint8)
    for number, plane in enumerate(planes):
        plane[...] = items[:, number]
    return zlib.compress(planes.data, DEFLATE_LEVEL)


def _lz4(voxels: VoxelArray) -> bytes:
    packed: bytes = blosc().compress(voxels, voxels.itemsize, BLOSC_LEVEL, _BYTE_SHUFFLE, "lz4hc")
    return packed


_PACKERS: dict[Codec, Callable[[VoxelArray], Buffer]] = {"raw": _raw, "gzip": _gzip, "lz4": _lz4}
