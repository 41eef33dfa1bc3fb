"""Compressed pixel data, decoded by whatever codec pydicom finds installed."""

from __future__ import annotations

import struct
from typing import Any

from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.dicom.quiet import quiet_pydicom
from MedPrepLib.errors import ReadError, UnsupportedError
from MedPrepLib.images import VoxelArray

_SEARCHED = 65_536
"""Bytes in which the header of the first frame must begin, behind the offset table."""

_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""SOF0..15 of JPEG (ISO 10918-1) and SOF55 of JPEG-LS (ISO 14495-1)."""

INSTALL_CODECS = 'pip install "MedPrep[codecs]"'


_NO_TABLE = b"\xfe\xff\x00\xe0\0\0\0\0"
"""A Basic Offset Table without offsets, which stands before the fragments (PS3.5 A.4)."""


def decoded(header: SliceHeader, content: bytes) -> VoxelArray:
    """The stored values (rows, columns) of one frame of encapsulated pixel data.

    ``content`` is all of it, or the fragments of the one frame where the header knows their
    length (see :mod:`MedPrepLib.dicom.fragments`).

    Raises UnsupportedError, naming the command that installs the codec, when none is there, and
    ReadError when the data cannot be decoded.
    """
    from pydicom.pixels.decoders.base import get_decoder

    try:
        with quiet_pydicom():
            decoder = get_decoder(header.transfer_syntax)
    except (NotImplementedError, ValueError):
        raise UnsupportedError(
            f"transfer syntax {header.transfer_syntax} is not known to any decoder"
        ) from None
    if not decoder.is_available:
        raise UnsupportedError(
            f"no codec for {decoder.UID.name} is installed; {INSTALL_CODECS} brings it"
        )
    promised = promised_size(content)
    if promised is not None and promised != (header.rows, header.columns):
        raise ReadError(
            f"the compressed image has {promised[0]} x {promised[1]} pixels, its header says "
            f"{header.rows} x {header.columns}"
        )
    index = header.frame
    if header.pixel_length >= 0:
        index, content = 0, _NO_TABLE + content
    options: Any = {
        "rows": header.rows,
        "columns": header.columns,
        "number_of_frames": header.number_of_frames,
        "samples_per_pixel": header.samples,
        "bits_allocated": header.bits_allocated,
        "bits_stored": header.bits_stored,
        "pixel_representation": header.pixel_representation,
        "photometric_interpretation": header.photometric or "MONOCHROME2",
        "pixel_keyword": "PixelData",
        "correct_unused_bits": False,  # pixels.py does it, after looking for padding
    }
    with quiet_pydicom():
        try:
            array, _ = decoder.as_array(content, index=index, raw=True, **options)
        except (RuntimeError, ValueError, EOFError, AttributeError, TypeError, OSError,
                IndexError, NotImplementedError) as error:  # fmt: skip
            raise ReadError(
                f"{decoder.UID.name} pixel data of {len(content)} bytes cannot be decoded "
                f"({type(error).__name__})"
            ) from None
    if array.shape != (header.rows, header.columns):
        raise ReadError(f"decoded to {array.shape}, not {header.rows} x {header.columns} pixels")
    return array


def promised_size(content: bytes) -> tuple[int, int] | None:
    """(rows, columns) in the first JPEG or JPEG 2000 header of ``content``; None without one.

    Decoders allocate what that header says, so it is compared with Rows and Columns before.
    """
    siz = content.find(b"\xff\x4f\xff\x51", 0, _SEARCHED)
    if siz >= 0 and len(content) >= siz + 24:
        right, bottom, left, top = struct.unpack_from(">4I", content, siz + 8)
        return bottom - top, right - left
    place = content.find(b"\xff\xd8\xff", 0, _SEARCHED) + 2
    while 2 <= place <= len(content) - 9 and content[place] == 0xFF:
        marker, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4], "big")
        if marker in _FRAME_MARKERS:
            rows, columns = struct.unpack_from(">2H", content, place + 5)
            return rows, columns
        place += 2 + length
    return None
