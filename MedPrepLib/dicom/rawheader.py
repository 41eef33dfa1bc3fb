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
    walk,
)
from MedPrepLib.dicom.fallback import read_with_pydicom
from MedPrepLib.dicom.fields import ROWS, TAG_OF, WANTED, Order
from MedPrepLib.dicom.part10 import file_meta
from MedPrepLib.errors import ConfigError, ReadError

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

_GIVE_UP = 0x00540000
"""Objects without Rows up to here (reports, structure sets, plans) hold no pixel data."""


class Asked(NamedTuple):
    """Key attributes as (keyword, tag), all tags to keep, and the last of them."""

    keys: tuple[tuple[str, int], ...]
    wanted: frozenset[int]
    last: int


class RawHeader(NamedTuple):
    """Undecoded elements of a whole file; ``plain`` when the quick walk read them.

    ``program``: its preamble is that of a program (see part10.begins_as_program).
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


def read_raw(file: BinaryIO, size: int, start: bytes, asked: Asked) -> RawHeader:
    """The wanted elements of ``file``, which begins with ``start``; ReadError when damaged."""
    if start[128:132] == b"DICM":
        try:
            return _walk_plain(file, size, start, asked)
        except OddStreamError:
            pass
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


def _inflated(file: BinaryIO) -> BytesIO:
    """The beginning of a deflated data set, at most MAX_HEADER_BYTES of it."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return BytesIO(inflater.decompress(file.read(MAX_HEADER_BYTES), MAX_HEADER_BYTES))
    except zlib.error:
        raise ReadError("deflated data set: the compressed stream is damaged") from None
