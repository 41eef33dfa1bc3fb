"""Stored pixel values of one slice: straight from the file, inflated, or decompressed."""

from __future__ import annotations

import os
import zlib
from io import FileIO
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from MedPrepLib.dicom.elements import DEFLATED_LITTLE
from MedPrepLib.dicom.headers import EXPLICIT_BIG, SliceHeader
from MedPrepLib.dicom.part10 import dataset_offset, open_regular
from MedPrepLib.errors import ReadError, SourceChangedError, UnsupportedError
from MedPrepLib.images import VoxelArray


def stored_dtype(header: SliceHeader) -> np.dtype[np.integer]:
    """The integer type of the stored values, in the machine's byte order.

    Raises UnsupportedError for bit-packed, floating-point and other unusual pixels.
    """
    if header.float_pixels or header.bits_allocated not in (8, 16, 32) or header.samples != 1:
        raise UnsupportedError(
            f"{header.samples} samples of {header.bits_allocated} bits per pixel cannot be read"
        )
    sign = "i" if header.pixel_representation else "u"
    dtype: np.dtype[np.integer] = np.dtype(f"{sign}{header.bits_allocated // 8}")
    return dtype


def stored_bytes(header: SliceHeader) -> bytes:
    """The bytes of one frame's pixel data as they lie in the file.

    Encapsulated: the fragments of the frame, of a single-frame file all there is.

    Raises ReadError when they are missing, SourceChangedError when the file is another one.
    """
    with open_unchanged(header) as file:
        if header.is_native:
            frame = bytearray(header.frame_bytes)
            _read_frame(file, header, memoryview(frame))
            return bytes(frame)
        if header.transfer_syntax == DEFLATED_LITTLE:
            return _inflated_frame(file, header)
        file.seek(header.pixel_offset)
        return file.read(header.pixel_length if header.pixel_length >= 0 else -1)


def load_stored(header: SliceHeader, into: VoxelArray) -> None:
    """Fill ``into``, C-contiguous (rows, columns) of :func:`stored_dtype`, with stored values.

    Raises ReadError for truncated or undecodable pixel data (expected and found bytes are named),
    SourceChangedError when the file is not the one whose header was read, and UnsupportedError
    where the codec is missing.
    """
    if header.swapped_bytes and header.is_native:
        with open_unchanged(header) as file:
            into[...] = _swapped_frame(file, header).view(into.dtype).reshape(into.shape)
        return
    if header.is_native:
        with open_unchanged(header) as file:
            _read_frame(file, header, into.reshape(-1).view(np.uint8).data)
        if header.transfer_syntax == EXPLICIT_BIG:
            into.byteswap(inplace=True)
        return
    if header.transfer_syntax == DEFLATED_LITTLE:
        frame = np.frombuffer(stored_bytes(header), dtype=into.dtype)
        into[...] = frame.reshape(into.shape)
        return
    from MedPrepLib.dicom.decode import decoded

    into[...] = decoded(header, stored_bytes(header))


def open_unchanged(header: SliceHeader) -> FileIO:
    """The file of ``header``; SourceChangedError when it vanished or size or time differ."""
    try:
        file = open_regular(header.path)
    except ReadError as error:
        raise SourceChangedError(f"a source file {error}") from None
    status = os.fstat(file.fileno())
    if (status.st_size, status.st_mtime_ns) != (header.size_bytes, header.mtime_ns):
        file.close()
        raise SourceChangedError(
            f"a source file changed since it was scanned ({header.size_bytes} bytes then, "
            f"{status.st_size} now)"
        )
    return file


def _swapped_frame(file: FileIO, header: SliceHeader) -> npt.NDArray[np.uint8]:
    """One frame of bytes out of big-endian words, which it may share with its neighbors."""
    start = header.frame * header.frame_bytes
    odd = start % 2
    words = np.empty((odd + header.frame_bytes + 1) // 2, dtype=np.uint16)
    _read_frame(file, header, words.view(np.uint8).data, start - odd)
    return words.byteswap().view(np.uint8)[odd : odd + header.frame_bytes]


def _read_frame(
    file: FileIO, header: SliceHeader, into: memoryview, start: int | None = None
) -> None:
    """One native frame, or as much from byte ``start`` on, read without a copy in between."""
    start = header.frame * header.frame_bytes if start is None else start
    there = min(header.pixel_length, header.size_bytes - header.pixel_offset) - start
    file.seek(header.pixel_offset + start)
    filled = 0
    while filled < min(len(into), there):
        got = file.readinto(into[filled:])
        if not got:
            break
        filled += got
    if there < len(into) or filled < len(into):
        raise ReadError(
            f"pixel data are truncated: {len(into)} bytes expected, {max(min(filled, there), 0)} "
            "found"
        )


def _inflated_frame(file: BinaryIO, header: SliceHeader) -> bytes:
    """One frame out of a deflated data set; never more is inflated than the header promises."""
    start = header.pixel_offset + header.frame * header.frame_bytes
    end = start + header.frame_bytes
    file.seek(dataset_offset(file))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(file.read(), end)
    except zlib.error:
        raise ReadError("the deflated data set is damaged") from None
    if len(content) < end:
        raise ReadError(
            f"pixel data are truncated: {header.frame_bytes} bytes expected, "
            f"{max(len(content) - start, 0)} found"
        )
    return content[start:end]
