"""Top-level data elements of a DICOM stream, read quickly and without decoding values.

Little endian only, explicit or implicit VR (PS3.5 chapter 7). The walk visits every top-level
element up to the pixel data, keeps the raw bytes of the wanted ones, and skips sequences without
looking inside; sequences of undefined length are skipped iteratively, so that no nesting is too
deep. Whatever looks unusual raises OddStreamError: pydicom then has a second look (see headers.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from struct import Struct
from typing import BinaryIO, NamedTuple

DEFLATED_LITTLE = "1.2.840.10008.1.2.1.99"
"""The transfer syntax whose whole data set is compressed."""

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float Pixel Data, Double Float Pixel Data, Pixel Data."""

MAX_HEADER_BYTES = 64 * 2**20
"""No element may push the header beyond this; real headers stay below one megabyte."""

MAX_STEPS = 3_000_000
"""Elements and items in one sequence of undefined length; 50,000 frames make 2 million."""

_FIRST_WINDOW = 8192
_SHORT_VRS = b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split()
_LONG_VRS = b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()
_HEADER_BYTES = dict.fromkeys(_SHORT_VRS, 8) | dict.fromkeys(_LONG_VRS, 12)
_EXPLICIT = Struct("<HH2sH").unpack_from
_IMPLICIT = Struct("<HHI").unpack_from
_LENGTH = Struct("<I").unpack_from


class OddStreamError(Exception):
    """The stream is not what this parser is made for; a signal to headers.py, not to callers."""


class ShortError(Exception):
    """Like OddStreamError a signal: more bytes are needed, from ``position`` (in the window) on."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class Element(NamedTuple):
    """Where one element lies: its start, its value, its end.

    ``width``: bytes of its length field; 0 for undefined length, where ``inner`` tells that what it
    holds is implicit VR.
    """

    tag: int
    start: int
    value: int
    after: int
    width: int
    inner: bool = False


@dataclass(slots=True)
class Elements:
    """What a walk found: raw values by tag, and where the pixel data lie.

    ``pixel_offset`` is the place of the first byte of the pixel data's value, -1 when the stream
    ends before; ``pixel_length`` is -1 for encapsulated pixel data (undefined length).
    ``pixel_words``: they are 16-bit words (OW); this walk, made for little endian, where words and
    bytes are one, does not say it.
    """

    values: dict[int, bytes] = field(default_factory=dict)
    pixel_tag: int = 0
    pixel_offset: int = -1
    pixel_length: int = 0
    pixel_words: bool = False
    last_tag: int = 0


def is_vr(code: bytes) -> bool:
    """True when ``code`` is one of the two-letter value representations of PS3.5."""
    return code in _HEADER_BYTES


def meta_elements(buffer: bytes, position: int, end: int) -> Iterator[Element]:
    """The elements of group 2 (always explicit) from ``position`` up to exactly ``end``."""
    last = -1
    while position < end:
        if position + 12 > len(buffer):
            raise OddStreamError("file meta information that runs past what was read")
        group, number, vr, length = _EXPLICIT(buffer, position)
        head = _HEADER_BYTES.get(vr)
        if head is None or group != 2 or number <= last:
            raise OddStreamError("file meta information with a foreign element")
        if head == 12:
            (length,) = _LENGTH(buffer, position + 8)
        value = position + head
        yield Element(group << 16 | number, position, value, value + length, 4 if head == 12 else 2)
        position = value + length
        last = number
    if position != end:
        raise OddStreamError("file meta information of another length than it says")


def top_elements(buffer: bytes, position: int, *, implicit: bool) -> Iterator[Element]:
    """The elements of a data set up to and with the pixel data, as ``walk`` sees them.

    Raises OddStreamError or ShortError (also behind the last element, without pixel data).
    """
    tag, end = 0, len(buffer)
    while tag not in PIXEL_TAGS:
        if position + 8 > end:
            raise ShortError(position)
        group, number, vr, length = _EXPLICIT(buffer, position)
        tag = group << 16 | number
        head = 8 if implicit else _HEADER_BYTES.get(vr)
        if head is None:
            raise OddStreamError(f"unexpected element at byte {position}")
        value, width, inner = position + head, 2, implicit or vr == b"UN"
        if implicit or head == 12:
            if value > end:
                raise ShortError(position)
            (length,) = _LENGTH(buffer, value - 4)
            width = 4
        if length == UNDEFINED and tag not in PIXEL_TAGS:
            width = 0
            length = skip_undefined(buffer, value, implicit=inner, at=position) - value
        yield Element(tag, position, value, value + length, width, inner)
        position = value + length


def walk(
    stream: BinaryIO,
    size: int,
    start: int,
    *,
    implicit: bool,
    wanted: AbstractSet[int],
    give_up_tag: int,
    needed_tag: int,
    buffer: bytes = b"",
) -> Elements:
    """The elements from byte ``start`` of ``stream`` (``size`` bytes) up to the pixel data.

    ``buffer`` may hold the bytes at ``start`` if they have been read already. The walk ends early
    behind ``give_up_tag`` when ``needed_tag`` has not been seen: an object without Rows has no
    pixel data worth looking for. Raises OddStreamError.
    """
    found = Elements()
    step = _step_implicit if implicit else _step_explicit
    base, window = start, _FIRST_WINDOW
    while base < size:
        if not buffer:
            stream.seek(base)
            buffer = stream.read(window)
        try:
            if step(buffer, base, size, wanted, found):
                return found
            advanced = len(buffer)
        except ShortError as short:
            advanced = short.position
        if found.last_tag > give_up_tag and needed_tag not in found.values:
            return found
        if advanced == 0 and (base + len(buffer) >= size or window >= MAX_HEADER_BYTES):
            raise OddStreamError(
                "an element runs past the end of the file, or the header is too long"
            )
        window = window * 4 if advanced == 0 else max(_FIRST_WINDOW, min(window, 65536))
        base += advanced
        buffer = b""
    return found


def _step_explicit(
    buffer: bytes, base: int, size: int, wanted: AbstractSet[int], found: Elements
) -> bool:
    """Walk one window; True at the pixel data. Raises ShortError with the place to go on."""
    position, end, last, values = 0, len(buffer), found.last_tag, found.values
    header_bytes = _HEADER_BYTES
    while position + 8 <= end:
        group, element, vr, length = _EXPLICIT(buffer, position)
        tag = group << 16 | element
        head = header_bytes.get(vr)
        if head is None or tag <= last:
            raise OddStreamError(f"unexpected element at byte {base + position}")
        value = position + head
        if head == 12:
            if value > end:
                raise ShortError(position)
            (length,) = _LENGTH(buffer, position + 8)
            if tag in PIXEL_TAGS:
                _note_pixels(found, tag, base + value, length)
                return True
            if length == UNDEFINED:
                length = skip_undefined(buffer, value, implicit=vr == b"UN", at=position) - value
        after = value + length
        if tag in wanted:
            if after > end:
                raise ShortError(position)
            values[tag] = buffer[value:after]
        found.last_tag = last = tag
        position = after
    _check_inside(base + position, size)
    raise ShortError(position)


def _step_implicit(
    buffer: bytes, base: int, size: int, wanted: AbstractSet[int], found: Elements
) -> bool:
    """The same for implicit VR, where every length has 32 bits."""
    position, end, last, values = 0, len(buffer), found.last_tag, found.values
    while position + 8 <= end:
        group, element, length = _IMPLICIT(buffer, position)
        tag = group << 16 | element
        if tag <= last:
            raise OddStreamError(f"unexpected element at byte {base + position}")
        value = position + 8
        if tag in PIXEL_TAGS:
            _note_pixels(found, tag, base + value, length)
            return True
        if length == UNDEFINED:
            length = skip_undefined(buffer, value, implicit=True, at=position) - value
        after = value + length
        if tag in wanted:
            if after > end:
                raise ShortError(position)
            values[tag] = buffer[value:after]
        found.last_tag = last = tag
        position = after
    _check_inside(base + position, size)
    raise ShortError(position)


def _check_inside(position: int, size: int) -> None:
    if position > size:
        raise OddStreamError(f"an element runs to byte {position} of a file of {size}")


def _note_pixels(found: Elements, tag: int, offset: int, length: int) -> None:
    found.pixel_tag, found.pixel_offset = tag, offset
    found.pixel_length = -1 if length == UNDEFINED else length


def skip_undefined(buffer: bytes, position: int, *, implicit: bool, at: int = 0) -> int:
    """The position behind a sequence of undefined length whose first item is at ``position``.

    Iterative: ``open_levels`` holds, for every open sequence or item of undefined length, whether
    its content is implicit VR. Raises OddStreamError, or ShortError with ``at`` when the
    buffer ends first.
    """
    open_levels = [implicit]
    end, left = len(buffer), MAX_STEPS
    while open_levels:
        left -= 1
        if left < 0:
            raise OddStreamError(f"a sequence with more than {MAX_STEPS} elements")
        if position + 8 > end:
            raise ShortError(at)
        group, element, length = _IMPLICIT(buffer, position)
        tag = group << 16 | element
        inner = open_levels[-1]
        if tag in (ITEM_END, SEQUENCE_END):
            open_levels.pop()
            position += 8
        elif tag == ITEM or inner:
            position += 8
            if length == UNDEFINED:
                open_levels.append(inner)
            else:
                position += length
        else:
            position = _skip_explicit(buffer, position, open_levels, at)
    return position


def _skip_explicit(buffer: bytes, position: int, open_levels: list[bool], at: int) -> int:
    """Step over one explicit element inside an item, opening a level where it is undefined."""
    _, _, vr, length = _EXPLICIT(buffer, position)
    head = _HEADER_BYTES.get(vr)
    if head is None:
        raise OddStreamError("an unknown value representation inside a sequence")
    if head == 12:
        if position + 12 > len(buffer):
            raise ShortError(at)
        (length,) = _LENGTH(buffer, position + 8)
        if length == UNDEFINED:
            open_levels.append(vr == b"UN")
            return position + head
    return position + head + int(length)
