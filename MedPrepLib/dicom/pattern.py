"""What the headers of one series have in common, so that the next one is recognized, not parsed.

The slices of a series agree in nearly every element. A pattern is made of one header: blocks of
elements that stay the same, and between them the elements that change from slice to slice. Another
header that consists of the same blocks, with changing elements of the same tags and value
representations between them, is walked by one comparison per block, and only what changed is
decoded. How an element is split off does not depend on what came before it, so byte-identical
blocks hold the same elements; what an element *means* may (the character set of a text, the sign of
a padding value): elements that others depend on belong to blocks, and a difference there makes it
another pattern. Whatever does not fit is no error: the caller then walks the header itself.
"""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec

from MedPrepLib.dicom.elements import (
    DEFLATED_LITTLE,
    UNDEFINED,
    Element,
    OddStreamError,
    ShortError,
    meta_elements,
    skip_undefined,
    top_elements,
)
from MedPrepLib.dicom.fields import (
    BY_TAG,
    CHARACTER_SET,
    MANUFACTURER,
    PIXEL_REPRESENTATION,
    PRIVATE_B_VALUES,
    ROWS,
    Context,
    Value,
    context_of,
)
from MedPrepLib.dicom.headers import REFERENCING, SliceHeader, header_of
from MedPrepLib.dicom.part10 import META_START, START_BYTES, begins_as_program, file_meta
from MedPrepLib.dicom.rawheader import (
    IMPLICIT_LITTLE,
    Asked,
    RawHeader,
)

MAX_PATTERN_BYTES = 512 * 1024
"""Headers longer than this are not made a pattern of: it would be kept in memory."""

_TOO_LONG_TO_COMPARE = 1024
"""Longer values that nobody wants are stepped over by their length."""

_ROOM_BYTES = 64
"""By how much a changing value may be longer than the model's near the end of what was read."""

_GROUP_LENGTH, _SYNTAX = 0x00020000, 0x00020010
_FIXED = frozenset({_GROUP_LENGTH, _SYNTAX, CHARACTER_SET, PIXEL_REPRESENTATION, MANUFACTURER})
"""Others depend on these: never taken for changing elements."""

_B_VALUES = frozenset({0x00189087, *(field.tag for field in PRIVATE_B_VALUES.values())})
"""Which of these counts depends on the others."""

_SHORT = struct.Struct("<H").unpack_from
_LONG = struct.Struct("<I").unpack_from
_BLANK = b"\0 "


class _Step(NamedTuple):
    """A block up to the length of a changing element, and how to get over that element.

    ``width``: bytes of the length field, 0 for a sequence of undefined length, whose length field
    is part of the block and which holds implicit VR when ``implicit``. ``reach``: bytes to have
    in hand before. ``kept``: the value is wanted.
    """

    block: bytes
    width: int
    implicit: bool
    reach: int
    kept: bool


class _Slot(NamedTuple):
    """What a kept value fills: a field of SliceHeader, or none when only its presence counts."""

    tag: int
    name: str
    convert: Callable[[bytes, Context], Value] | None


class Pattern:
    """Blocks and changing elements of the header at hand, and the header it was made of."""

    def __init__(
        self,
        elements: Mapping[int, bytes],
        steps: tuple[_Step, ...],
        tail: bytes,
        slots: tuple[_Slot, ...],
        header: SliceHeader,
        raw: RawHeader,
    ) -> None:
        self._elements = elements
        self._steps = steps
        self._tail = tail
        self._slots = slots
        self._header = header
        self._raw = raw
        self._context = context_of(raw.elements.values, raw.order)
        self._depends = any(slot.tag in _B_VALUES for slot in slots)
        self.hits = 0
        self.misses = 0

    def differing(self, other: Pattern) -> frozenset[int]:
        """The tags whose elements differ between the two headers that the patterns were made of."""
        mine, theirs = self._elements, other._elements
        return frozenset(t for t in mine.keys() & theirs.keys() if mine[t] != theirs[t])

    def header(
        self, path: str, file: int, status: os.stat_result, start: bytes, asked: Asked
    ) -> SliceHeader | None:
        """The header of the open file that begins with ``start``; None when it is of another kind.

        Exactly what ``read_header`` would say.
        """
        if start[128:META_START] != b"DICM" or begins_as_program(start) != self._raw.program:
            return None
        try:
            matched = self._match(file, status.st_size, start)
            if matched is None:
                return None
            offset, values = matched
            if self._depends:
                return header_of(path, status, self._merged(offset, values), asked)
            context = self._context
            return msgspec.structs.replace(
                self._header,
                path=path,
                size_bytes=status.st_size,
                mtime_ns=status.st_mtime_ns,
                pixel_offset=offset,
                **{
                    slot.name: slot.convert(value, context)
                    for slot, value in zip(self._slots, values, strict=True)
                    if slot.convert is not None
                },
            )
        except (struct.error, ShortError, OddStreamError, ValueError):
            return None

    def _match(self, file: int, size: int, buffer: bytes) -> tuple[int, list[bytes]] | None:
        """Where the pixel data begin, and the values of the slots."""
        base, place, limit = 0, META_START, len(buffer)
        values: list[bytes] = []
        for block, width, implicit, reach, kept in self._steps:
            if place + reach > limit and base + limit < size:
                base, place, buffer = base + place, 0, _read_at(file, base + place, reach)
                limit = len(buffer)
            if not buffer.startswith(block, place):
                return None
            place += len(block)
            if width == 2:
                (length,) = _SHORT(buffer, place)
                place += 2
            elif width:
                (length,) = _LONG(buffer, place)
                place += 4 if length != UNDEFINED else size  # which fits nothing
            else:
                length = skip_undefined(buffer, place, implicit=implicit) - place
            if kept:
                value = buffer[place : place + length]
                if len(value) < length or not value.strip(_BLANK):
                    return None
                values.append(value)
            place += length
        if place + len(self._tail) > limit and base + limit < size:
            base, place, buffer = base + place, 0, _read_at(file, base + place, len(self._tail))
        ended = buffer.startswith(self._tail, place)
        return (base + place + len(self._tail), values) if ended else None

    def _merged(self, pixel_offset: int, values: list[bytes]) -> RawHeader:
        """All wanted elements: those of the pattern, and the changed ones."""
        known = self._raw.elements
        changed = {slot.tag: value for slot, value in zip(self._slots, values, strict=True)}
        merged = dataclasses.replace(
            known, values=known.values | changed, pixel_offset=pixel_offset
        )
        return self._raw._replace(elements=merged)


def pattern_of(
    file: int, header: SliceHeader, raw: RawHeader, asked: Asked, changing: AbstractSet[int]
) -> Pattern | None:
    """The pattern of a header that has been read; None when it does not suit as a model.

    ``changing`` are the tags to expect differences in. A model has pixel data and was walked
    quickly; all of its vital values are readable, and the changing ones that are wanted have
    values, so that nothing of it can stand in for what another header lacks.
    """
    if not _suits(header, raw):
        return None
    content = _read_at(file, 0, header.pixel_offset)[: header.pixel_offset]
    try:
        place, syntax = file_meta(content)
        implicit = syntax == IMPLICIT_LITTLE
        elements = [
            *meta_elements(content, META_START, place),
            *top_elements(content, place, implicit=implicit),
        ]
    except (OddStreamError, ShortError):
        return None
    steps, slots, tail = _steps(content, elements, asked.wanted, changing)
    if any(not raw.elements.values.get(slot.tag, b"").strip(_BLANK) for slot in slots):
        return None
    whole = {e.tag: content[e.start : e.after] for e in elements}
    return Pattern(whole, tuple(steps), tail, tuple(slots), header, raw)


def _suits(header: SliceHeader, raw: RawHeader) -> bool:
    return (
        raw.plain
        and header.transfer_syntax != DEFLATED_LITTLE
        and header.sop_class_uid not in REFERENCING
        and 0 < header.pixel_offset <= MAX_PATTERN_BYTES
        and not header.unreadable
        and ROWS in raw.elements.values
    )


def _steps(
    content: bytes,
    elements: Sequence[Element],
    wanted: AbstractSet[int],
    changing: AbstractSet[int],
) -> tuple[list[_Step], list[_Slot], bytes]:
    """The blocks with the changing elements behind them, what these fill, and the last block."""
    steps: list[_Step] = []
    slots: list[_Slot] = []
    begin = META_START
    for element in elements[:-1]:
        kept = element.tag in wanted
        long = not kept and element.after - element.value > _TOO_LONG_TO_COMPARE
        if element.tag in _FIXED or not (long or element.tag in changing):
            continue
        block = content[begin : element.value - element.width]
        reach = len(block) + element.width + (0 if long else element.after - element.value)
        steps.append(_Step(block, element.width, element.inner, reach + _ROOM_BYTES, kept))
        if kept:
            field = BY_TAG.get(element.tag)
            name, convert = (field.name, field.convert) if field else ("", None)
            slots.append(_Slot(element.tag, name, convert))
        begin = element.after
    return steps, slots, content[begin:]


def _read_at(file: int, place: int, count: int) -> bytes:
    os.lseek(file, place, os.SEEK_SET)
    return os.read(file, max(START_BYTES, count))
