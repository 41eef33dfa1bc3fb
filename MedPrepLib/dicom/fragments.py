"""Where the frames of encapsulated (compressed) pixel data lie in the file (PS3.5 A.4).

Encapsulated pixel data are a sequence of items: the Basic Offset Table, then fragments, one or more
per frame. Items' headers are walked once, without reading what they hold; afterwards every frame is
a range of bytes that is read alone.
"""

from __future__ import annotations

import os
import struct
from itertools import pairwise
from typing import NamedTuple

from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.dicom.stored import open_unchanged
from MedPrepLib.errors import ReadError

_ITEM = 0xE000FFFE
_DELIMITER = 0xE0DDFFFE
_END_OF_IMAGE = b"\xff\xd9"
"""EOI of JPEG and JPEG-LS, EOC of JPEG 2000: the last bytes of a frame, before a padding byte."""

MAX_FRAGMENTS = 400_000

Extent = tuple[int, int]


class _Fragment(NamedTuple):
    """An item that holds a part of a frame: where its header begins, and where it ends."""

    start: int
    stop: int


def frame_extents(header: SliceHeader) -> tuple[Extent, ...]:
    """Offset in the file and bytes of every frame: its fragments with their item headers.

    One fragment per frame needs no table (an Extended Offset Table allows nothing else). Where
    there are more, the Basic Offset Table tells which belong together, and without it the marker
    that ends a JPEG image. Raises ReadError for damaged or truncated pixel data and where frames
    cannot be told apart, SourceChangedError when the file is not the one that was scanned.
    """
    with open_unchanged(header) as file:
        return _extents(file.fileno(), header)


def _extents(file: int, header: SliceHeader) -> tuple[Extent, ...]:
    table, *fragments = _items(file, header)
    frames = header.number_of_frames
    if len(fragments) == frames:
        firsts = list(range(frames))
    elif len(fragments) < frames:
        raise ReadError(f"{frames} frames but {len(fragments)} fragments of pixel data")
    elif table.stop - table.start > 8:
        firsts = _firsts_of_table(file, table, fragments)
    else:
        firsts = _firsts_by_marker(file, fragments)
    if len(firsts) != frames:
        raise ReadError(f"{frames} frames, but the pixel data end {len(firsts)} times")
    return tuple(
        (fragments[first].start, fragments[stop - 1].stop - fragments[first].start)
        for first, stop in pairwise([*firsts, len(fragments)])
    )


def _items(file: int, header: SliceHeader) -> list[_Fragment]:
    """The Basic Offset Table and all fragments behind it; nothing but their headers is read."""
    items: list[_Fragment] = []
    place = header.pixel_offset
    while len(items) <= MAX_FRAGMENTS:
        lead = os.pread(file, 8, place)
        if len(lead) < 8:
            raise ReadError(f"compressed pixel data are truncated after {len(items)} items")
        tag, length = struct.unpack("<2I", lead)
        if tag == _DELIMITER and items:
            return items
        if tag != _ITEM:
            raise ReadError("compressed pixel data are damaged: an item has another tag")
        if place + 8 + length > header.size_bytes:
            found = max(header.size_bytes - place - 8, 0)
            raise ReadError(
                f"compressed pixel data are truncated: {length} bytes expected, {found} found"
            )
        items.append(_Fragment(place, place + 8 + length))
        place += 8 + length
    raise ReadError(f"compressed pixel data of more than {MAX_FRAGMENTS} fragments")


def _firsts_of_table(file: int, table: _Fragment, fragments: list[_Fragment]) -> list[int]:
    """The first fragment of every frame by the Basic Offset Table, offsets from its end on."""
    content = os.pread(file, table.stop - table.start - 8, table.start + 8)
    numbers = {fragment.start - table.stop: n for n, fragment in enumerate(fragments)}
    offsets = struct.unpack(f"<{len(content) // 4}I", content[: len(content) // 4 * 4])
    firsts = [numbers.get(offset, -1) for offset in offsets]
    if -1 in firsts or firsts[0] != 0 or any(a >= b for a, b in pairwise(firsts)):
        raise ReadError("the offset table of compressed pixel data does not point to its frames")
    return firsts


def _firsts_by_marker(file: int, fragments: list[_Fragment]) -> list[int]:
    """The first fragment of every frame: the one behind a fragment that ends an image."""
    firsts = [0]
    for number, (start, stop) in enumerate(fragments[:-1]):
        tail = min(stop - start - 8, 3)
        if _END_OF_IMAGE in os.pread(file, tail, stop - tail):
            firsts.append(number + 1)
    return firsts
