"""The headers of one folder as bytes for the ledger: by column, what all files share only once.

A million headers are decoded in about a second, and the texts of a series exist once in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, repeat
from typing import Any, NamedTuple, get_type_hints

import msgspec

from MedPrepLib import __version__
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.scan.walk import prefix

FILES_PER_RECORD = 4096
"""Larger folders get several records, none of which comes near the limits of SQLite."""

_STAMP = ("path", "size_bytes", "mtime_ns")
_FIELDS = tuple(name for name in SliceHeader.__struct_fields__ if name not in _STAMP)


Stamp = tuple[str, int, int, int]
"""Name, size, mtime and ctime (ns) of a file: it counts as unchanged while these are the same."""


class FilesSeen(NamedTuple):
    """The files of a folder as they were read, by column; no header for what is no DICOM."""

    names: list[str]
    sizes: list[int]
    mtimes_ns: list[int]
    ctimes_ns: list[int]
    headers: list[SliceHeader | None]

    def add(self, stamp: Stamp, header: SliceHeader | None) -> None:
        """One more file."""
        name, size, mtime_ns, ctime_ns = stamp
        self.names.append(name)
        self.sizes.append(size)
        self.mtimes_ns.append(mtime_ns)
        self.ctimes_ns.append(ctime_ns)
        self.headers.append(header)


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
        ("ctimes_ns", list[int]),
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


def encoded(seen: FilesSeen) -> Iterator[bytes]:
    """The records of a folder's files."""
    for start in range(0, len(seen.names), FILES_PER_RECORD):
        *stamps, given = (c[start : start + FILES_PER_RECORD] for c in seen)
        headers = [header for header in given if header is not None]
        columns = _Columns(*(_column([getattr(h, name) for h in headers]) for name in _FIELDS))
        dicom = [header is not None for header in given]
        yield _encoder.encode(_Record(*stamps, dicom, columns))


def decoded(records: Iterable[bytes], folder: str) -> FilesSeen:
    """The files of a folder, in the order in which they were given.

    Raises msgspec.DecodeError (msgspec.ValidationError) for bytes that are no record.
    """
    seen = FilesSeen([], [], [], [], [])
    base = prefix(folder)
    for content in records:
        record = _decoder.decode(content)
        seen.headers.extend(_headers(record, base))
        seen.names.extend(record.names)
        seen.sizes.extend(record.sizes)
        seen.mtimes_ns.extend(record.mtimes_ns)
        seen.ctimes_ns.extend(record.ctimes_ns)
    return seen


def _headers(record: Any, base: str) -> list[SliceHeader | None]:
    """The headers of a record, None where a file has none; no loop in Python over them."""
    paths = [base + name for name in compress(record.names, record.dicom)]
    stamps = (compress(column, record.dicom) for column in (record.sizes, record.mtimes_ns))
    files = (record.names, record.sizes, record.mtimes_ns, record.ctimes_ns, record.dicom)
    lengths = set(map(len, files))
    columns = [repeat(c[0]) if len(c) == 1 else c for c in msgspec.structs.astuple(record.columns)]
    made: list[SliceHeader | None] = list(map(SliceHeader, paths, *stamps, *columns))
    if len(lengths) > 1 or len(made) != sum(record.dicom):
        raise msgspec.ValidationError("columns of different lengths")
    if len(made) == len(record.dicom):
        return made
    rest = iter(made)
    return [next(rest) if is_dicom else None for is_dicom in record.dicom]


def _column(values: list[Any]) -> list[Any]:
    """One value when it is everywhere the same to the last bit (0.0 is not -0.0)."""
    first = values[:1]
    same = values.count(first[0]) == len(values) if values else True
    if same and _encoder.encode(values) == _encoder.encode(first * len(values)):
        return first
    return values
