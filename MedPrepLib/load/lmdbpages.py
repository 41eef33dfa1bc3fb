"""Where the values of an LMDB lie in its file, so that parts of them are read as of any file.

A value larger than a page lies in one piece, on a run of overflow pages. The first of them begins
with its own number (8 bytes), 2 bytes of padding, flags (2) and the length of the run in pages (4);
then comes the value (LMDB 0.9 on 64-bit machines, mdb.c: MDB_page). So one walk from run to run
finds all large values without the library, and looks at one page of each.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from MedPrepLib.load.lmdbcheck import data_file, page_bytes_of
from MedPrepLib.load.lmdbvalues import HEADER_BYTES, MAGIC, header_of

_PAGE = struct.Struct("<Q2xHI")
_OVERFLOW = 0x04

Places = dict[str, tuple[int, int]]


def value_places(folder: Path) -> Places:
    """SHA-256 of a value's bytes (as their header names it) -> where they begin, and how many.

    Nothing of a value is verified but that it lies inside of the file. Raises CohortError when
    there is no LMDB in ``folder``, or no 64-bit one.
    """
    path = data_file(folder)
    size = page_bytes_of(path)
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _walked(data, size)


def _walked(data: mmap.mmap, page_bytes: int) -> Places:
    places: Places = {}
    number = 0
    while (at := number * page_bytes) + page_bytes <= len(data):
        found, flags, pages = _PAGE.unpack_from(data, at)
        if found != number or not flags & _OVERFLOW or not pages:
            number += 1
            continue
        begin = at + _PAGE.size
        head = data[begin : begin + HEADER_BYTES]
        if head.startswith(MAGIC):
            header = header_of(head, f"the value on page {number}")
            if begin + HEADER_BYTES + header.size <= min(at + pages * page_bytes, len(data)):
                places[header.sha256.hex()] = (begin + HEADER_BYTES, header.size)
        number += pages
    return places
