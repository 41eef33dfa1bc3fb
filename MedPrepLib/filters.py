"""The HDF5 filters of case files, shared by those who write bricks and those who read them.

Every brick ends with Fletcher's checksum over what is stored, so any HDF5 reader notices a
flipped bit. Before it come no filter at all (``raw``), shuffle and deflate (``gzip``), or Blosc
with its own shuffle and LZ4 (``lz4``). Source: HDF5 file format specification 3.0,
IV.A.2.l (filter pipeline); registered filter 32001; c-blosc README_CHUNK_FORMAT.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import CorruptCaseError, UnsupportedError

Codec = Literal["raw", "lz4", "gzip"]
Buffer = bytes | bytearray | memoryview

DEFLATE, SHUFFLE, FLETCHER32, BLOSC = 1, 2, 3, 32001
"""Numbers of the filters."""

PIPELINES: dict[tuple[int, ...], Codec] = {
    (FLETCHER32,): "raw",
    (SHUFFLE, DEFLATE, FLETCHER32): "gzip",
    (DEFLATE, FLETCHER32): "gzip",
    (SHUFFLE, FLETCHER32): "raw",
    (BLOSC, FLETCHER32): "lz4",
}
"""Filters in the order of writing, and the codec they make; nothing else is read."""

CHECKSUM_BYTES = 4
BLOSC_HEADER_BYTES = 16

_ROW = 256
_ONES_AND_PLACES = np.stack([np.ones(_ROW), np.arange(_ROW, dtype=np.float64)])
_BLOSC_FORMAT, _LZ4_FORMAT = 2, 1
_BIT_SHUFFLE = 0x4
_INSTALL = 'pip install "MedPrep[lz4]"'


def fletcher32(data: Buffer) -> int:
    """Fletcher's checksum as HDF5 stores it (H5_checksum_fletcher32): big-endian 16-bit words.

    An odd last byte counts as the high byte of a word. The sums are exact.
    """
    raw = np.frombuffer(data, dtype=np.uint8)
    count = -(-raw.size // 2)
    if raw.size % (2 * _ROW):  # zeros at the end add nothing
        raw, ragged = np.zeros(raw.size + -raw.size % (2 * _ROW), dtype=np.uint8), raw
        raw[: ragged.size] = ragged
    words = raw.view("<u2")
    total = weighted = 0
    for start in range(0, words.size, _ROW * _ROW):
        found, placed = _sums(words[start : start + _ROW * _ROW])
        weighted += placed + start * found
        total += found
    return _folded(count * total - weighted) << 16 | _folded(total)


def _sums(words: npt.NDArray[np.uint16]) -> tuple[int, int]:
    """The sum of up to 256 rows of 256 words, and the sum of each word times its place.

    As float32 the sums of rows and of columns are below 2^24, and exact; they are few enough that
    BLAS starts no thread for the rest, which forked workers must not have.
    """
    rows = words.astype(np.float32).reshape(-1, _ROW)
    by_row = np.add.reduce(rows, axis=1).astype(np.float64)
    by_column = np.add.reduce(rows, axis=0).astype(np.float64)
    total, down = (_ONES_AND_PLACES[:, : by_row.size] @ by_row).tolist()
    along = float(_ONES_AND_PLACES[1] @ by_column)
    return int(total), int(_ROW * down + along)


def checked_payload(stored: Buffer) -> memoryview:
    """What a brick stores without its checksum; CorruptCaseError when the two do not agree."""
    view = memoryview(stored)
    if len(view) < CHECKSUM_BYTES:
        raise CorruptCaseError(f"a brick of {len(view)} bytes has no checksum")
    payload = view[:-CHECKSUM_BYTES]
    if fletcher32(payload) != int.from_bytes(view[-CHECKSUM_BYTES:], "little"):
        raise CorruptCaseError("the checksum of a brick does not fit its bytes")
    return payload


def applied(pipeline: tuple[int, ...], filter_mask: int) -> tuple[int, ...]:
    """The filters that a chunk really went through: HDF5 skips those whose bit is set.

    Raises CorruptCaseError when that leaves none of PIPELINES (no checksum, say).
    """
    used = tuple(number for n, number in enumerate(pipeline) if not filter_mask >> n & 1)
    if used not in PIPELINES:
        raise CorruptCaseError(f"a brick went through the filters {list(used)}")
    return used


def require_blosc(header: Buffer, stored_bytes: int, itemsize: int, brick_bytes: int) -> None:
    """CorruptCaseError unless a Blosc header promises exactly one brick, by LZ4.

    ``header``: the first 16 bytes. ``stored_bytes``: of the whole Blosc chunk. Checked before
    anything is decoded, for a decoder allocates what a header asks for.
    """
    view = memoryview(header)
    if len(view) < BLOSC_HEADER_BYTES or stored_bytes < BLOSC_HEADER_BYTES:
        raise CorruptCaseError("a brick is too short for the header of Blosc")
    version, _, flags, typesize = view[:4].tolist()
    unpacked, block, packed = np.frombuffer(view[4:BLOSC_HEADER_BYTES], dtype="<u4").tolist()
    if version != _BLOSC_FORMAT or flags >> 5 != _LZ4_FORMAT or flags & _BIT_SHUFFLE:
        raise CorruptCaseError(f"a brick is packed by Blosc {version} with flags {flags:#x}")
    if (unpacked, packed, typesize) != (brick_bytes, stored_bytes, itemsize):
        raise CorruptCaseError(
            f"a brick promises {unpacked} bytes out of {packed} with items of {typesize}, not "
            f"{brick_bytes} out of {stored_bytes} with items of {itemsize}"
        )
    if not 0 < block <= brick_bytes:
        raise CorruptCaseError(f"a brick has blocks of {block} bytes")


@functools.cache
def blosc() -> Any:
    """python-blosc; UnsupportedError, with the command that installs it, when it is missing.

    It is told to use no threads of its own: with them the bytes depend on the machine, and its
    global pool does not survive a fork. Other threads of Python go on while it works.
    """
    try:
        import blosc as module
    except ImportError:
        raise UnsupportedError(f"the codec lz4 needs blosc: {_INSTALL}") from None
    module.set_nthreads(1)
    module.set_releasegil(True)
    return module


def require_blosc_filter() -> None:
    """Make libhdf5 know filter 32001, for writing; UnsupportedError when hdf5plugin is missing."""
    try:
        import hdf5plugin  # noqa: F401  (registers itself)
    except ImportError:
        raise UnsupportedError(f"the codec lz4 needs hdf5plugin: {_INSTALL}") from None


def _folded(value: int) -> int:
    """Modulo 65,535, where only a sum of zeros is 0; the words are swapped: times 256."""
    return (value * 256 - 1) % 65_535 + 1 if value else 0
