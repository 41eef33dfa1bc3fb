"""The undecoded elements of a whole DICOM file: by the quick walk where it is plain, else pydicom.

Plain means: a preamble, file meta information whose length fits, little endian, tags in order.
"""

from __future__ import annotations

import functools
import zlib
from io import BytesIO
from typing import BinaryIO, NamedTuple

from MedPrepLib.dicom.elements import (
    DEFLATED_LITTLE,
    MAX_HEADER_BYTES,
    Elements,
    OddStreamError,
    is_vr,
    meta_elements,
    walk,
)
from MedPrepLib.dicom.fields import ROWS, TAG_OF, WANTED, Order
from MedPrepLib.errors import ConfigError, ReadError

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

START_BYTES = 8192
"""What is read of a file at first; the header of most slices is shorter."""

META_START = 132
"""Where the file meta information begins: behind 128 bytes of anything and "DICM" (PS3.10)."""

_PROGRAMS = (b"MZ", b"\x7fELF", b"#!", b"PK", b"%PDF", b"<", b"\xca\xfe\xba\xbe",
             b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"Rar!", b"7z\xbc\xaf")  # fmt: skip
"""How programs of Windows, Linux and macOS, scripts, archives, PDF and HTML begin."""

_FIRST_GROUPS = (b"\x02\0", b"\0\x02", b"\x08\0", b"\0\x08")
_GIVE_UP = 0x00540000
"""Objects without Rows up to here (reports, structure sets, plans) hold no pixel data."""


class Asked(NamedTuple):
    """Key attributes as (keyword, tag), all tags to keep, and the last of them."""

    keys: tuple[tuple[str, int], ...]
    wanted: frozenset[int]
    last: int


class RawHeader(NamedTuple):
    """Undecoded elements of a whole file; ``plain`` when the quick walk read them.

    ``program``: its preamble is that of a program (see :func:`begins_as_program`).
    """

    elements: Elements
    transfer_syntax: str
    order: Order
    plain: bool
    program: bool = False


@functools.lru_cache(maxsize=8)
def asked_for(keywords: tuple[str, ...]) -> Asked:
    """The tags of the key attributes, found once per process and not once per file.

    Raises ConfigError for a keyword that does not exist.
    """
    keys = []
    for keyword in keywords:
        tag = TAG_OF.get(keyword)
        if tag is None:
            from pydicom.datadict import tag_for_keyword

            tag = tag_for_keyword(keyword)
        if tag is None:
            raise ConfigError([f"$.screen.key_tags: {keyword!r} is no DICOM keyword"])
        keys.append((keyword, tag))
    wanted = WANTED.union(tag for _, tag in keys)
    return Asked(tuple(keys), wanted, max(_GIVE_UP, *wanted))


def looks_like_dicom(start: bytes) -> bool:
    """True for "DICM" at byte 128, or a first element of group 2 or 8 with a plausible length."""
    if start[128:132] == b"DICM":
        return True
    if len(start) < 8 or start[:2] not in _FIRST_GROUPS or (start[2] and start[3]):
        return False
    return is_vr(start[4:6]) or 0 < int.from_bytes(start[4:8], "little") <= 1024


def begins_as_program(start: bytes) -> bool:
    """True when the preamble is that of a program, an archive or a page (a "polyglot").

    PS3.10 7.1 leaves the 128 bytes before "DICM" to anybody; TIFF may use them and is no danger.
    """
    return start.startswith(_PROGRAMS) and start[128:132] == b"DICM"


def read_raw(file: BinaryIO, size: int, start: bytes, asked: Asked) -> RawHeader:
    """The wanted elements of ``file``, which begins with ``start``; ReadError when damaged."""
    if start[128:132] == b"DICM":
        try:
            return _walk_plain(file, size, start, asked)
        except OddStreamError:
            pass
    from MedPrepLib.dicom.fallback import read_with_pydicom

    file.seek(0)
    elements, syntax, order = read_with_pydicom(file.read(MAX_HEADER_BYTES), asked.wanted)
    return RawHeader(elements, syntax, order, plain=False)


def _walk_plain(file: BinaryIO, size: int, start: bytes, asked: Asked) -> RawHeader:
    place, syntax = file_meta(start)
    if syntax == EXPLICIT_BIG:
        raise OddStreamError("big endian")
    stream, buffer = file, start[place:]
    if syntax == DEFLATED_LITTLE:
        file.seek(place)
        stream, buffer = _inflated(file), b""
        size, place = len(stream.getbuffer()), 0
    elements = walk(
        stream,
        size,
        place,
        implicit=syntax == IMPLICIT_LITTLE,
        wanted=asked.wanted,
        give_up_tag=asked.last,
        needed_tag=ROWS,
        buffer=buffer,
    )
    return RawHeader(elements, syntax, "little", plain=True)


def file_meta(start: bytes) -> tuple[int, str]:
    """Where the data set begins, and the transfer syntax, by the file meta information.

    Raises OddStreamError when group 2 is not exactly as long as it says.
    """
    end = META_START + 12 + int.from_bytes(start[140:144], "little")
    if start[132:140] != b"\x02\x00\x00\x00UL\x04\x00" or not META_START + 12 < end <= len(start):
        raise OddStreamError("file meta information without a usable length")
    syntax = b""
    for element in meta_elements(start, META_START, end):
        if element.tag == 0x00020010:
            syntax = start[element.value : element.after].rstrip(b"\0 ")
    if not syntax or start[end : end + 2] == b"\x02\x00":
        raise OddStreamError("no transfer syntax, or more of group 2 than its length says")
    return end, syntax.decode("ascii", "replace")


def _inflated(file: BinaryIO) -> BytesIO:
    """The beginning of a deflated data set, at most MAX_HEADER_BYTES of it."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return BytesIO(inflater.decompress(file.read(MAX_HEADER_BYTES), MAX_HEADER_BYTES))
    except zlib.error:
        raise ReadError("deflated data set: the compressed stream is damaged") from None
