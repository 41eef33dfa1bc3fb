"""The headers of one folder as bytes for the ledger: by column, what all files share only once.

A million headers are decoded in about a second, and the texts of a series exist once in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple, get_type_hints

import msgspec

from MedPrepLib import __version__
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.scan.walk import prefix

FILES_PER_RECORD = 4096
"""Larger folders get several records, none of which comes near the limits of SQLite."""

_STAMP = ("path", "size_bytes", "mtime_ns")
_FIELDS = tuple(name for name in SliceHeader.__struct_fields__ if name not in _STAMP)


class FileSeen(NamedTuple):
    """One file of a folder as it was read; without a header when it is no DICOM."""

    name: str
    size: int
    mtime_ns: int
    header: SliceHeader | None


def _columns_type() -> Any:
    hints = get_type_hints(SliceHeader)
    fields = [(name, list[hints[name]]) for name in _FIELDS]  # type: ignore[valid-type]
    return msgspec.defstruct("Columns", fields, array_like=True, frozen=True)


_Columns = _columns_type()


_Record: Any = msgspec.defstruct(
    "Record",
    [
        ("names", list[str]),
        ("sizes", list[int]),
        ("mtimes_ns", list[int]),
        ("dicom", list[bool]),
        ("columns", _Columns),
    ],
    array_like=True,
    frozen=True,
)
"""``dicom``: for every name whether it has a header. A column of one value holds for all."""

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(_Record)


def reading_of(key_tags: Sequence[str]) -> str:
    """How headers are read now; records of another reading (version, key tags) do not count."""
    facts = _encoder.encode((__version__, SliceHeader.__struct_fields__, tuple(key_tags)))
    return hashlib.sha256(facts).hexdigest()[:16]


def encoded(files: Sequence[FileSeen]) -> Iterator[bytes]:
    """The records of a folder's files."""
    for start in range(0, len(files), FILES_PER_RECORD):
        part = files[start : start + FILES_PER_RECORD]
        headers = [file.header for file in part if file.header is not None]
        columns = _Columns(*(_column([getattr(h, name) for h in headers]) for name in _FIELDS))
        names, sizes, mtimes_ns, _ = map(list, zip(*part, strict=True))
        dicom = [file.header is not None for file in part]
        yield _encoder.encode(_Record(names, sizes, mtimes_ns, dicom, columns))


def decoded(records: Iterable[bytes], folder: str) -> list[FileSeen]:
    """The files of a folder, in the order in which they were given.

    Raises msgspec.DecodeError (msgspec.ValidationError) for bytes that are no record.
    """
    files: list[FileSeen] = []
    base = prefix(folder)
    for content in records:
        record = _decoder.decode(content)
        places = zip(record.names, record.sizes, record.mtimes_ns, record.dicom, strict=True)
        stamps = [(base + name, size, time) for name, size, time, is_ in places if is_]
        headers: Iterator[SliceHeader] = iter(())
        if stamps:
            columns = (_spread(getattr(record.columns, name)) for name in _FIELDS)
            headers = map(SliceHeader, *zip(*stamps, strict=True), *columns)
        given = (next(headers) if is_ else None for is_ in record.dicom)
        files += map(FileSeen, record.names, record.sizes, record.mtimes_ns, given)
    return files


def _column(values: list[Any]) -> list[Any]:
    """One value when it is everywhere the same to the last bit (0.0 is not -0.0)."""
    first = values[:1]
    same = values.count(first[0]) == len(values) if values else True
    if same and _encoder.encode(values) == _encoder.encode(first * len(values)):
        return first
    return values


def _spread(column: list[Any]) -> Iterable[Any]:
    return repeat(column[0]) if len(column) == 1 else column
