"""Labels per slice: as flags, as ranges, and as a table with the columns label, start, stop.

Slices are counted from 0 along the image's k axis, ``stop`` is exclusive, as everywhere. A row
without start and stop says that the label was looked for and not found.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from MedPrepLib import catalog
from MedPrepLib.atomic import write_bytes
from MedPrepLib.formats.faults import FileFaultError, file_size, opening
from MedPrepLib.results import SliceLabels, SliceRange

SliceFlags = npt.NDArray[np.bool_]

SUFFIX = ".slices.csv"
COLUMNS = ("label", "start", "stop")
MAX_BYTES = 16 << 20
"""Of a table of slices."""


class SliceRow(msgspec.Struct, frozen=True):
    """One row of a table: a label on the slices from ``start`` to ``stop``, or on none (0, 0)."""

    label: str
    start: int
    stop: int


def slice_flags(reading: SliceLabels, label: str) -> SliceFlags:
    """Which slices (n,) of the reading show the label."""
    flags = np.zeros(reading.slices, dtype=np.bool_)
    for found in reading.ranges:
        if found.label == label:
            flags[max(found.start, 0) : max(found.stop, 0)] = True
    return flags


def flag_ranges(label: str, flags: SliceFlags) -> tuple[SliceRange, ...]:
    """The uninterrupted ranges of flagged slices; inverse of :func:`slice_flags`."""
    steps = np.diff(flags.astype(np.int8), prepend=0, append=0)
    starts, stops = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return tuple(SliceRange(label, int(a), int(b)) for a, b in zip(starts, stops, strict=True))


def slice_labels(
    rater: str, slices: int, ranges: Iterable[SliceRange], annotated: Collection[str]
) -> SliceLabels:
    """A reading of an image of ``slices`` slices, with its ranges sorted, united and clipped.

    ``annotated``: the labels that were looked for, in the order they are to be kept; ranges of
    other labels are left out. ``Targets.slices`` of a mask are ranges of this kind.
    """
    given = list(ranges)
    found: list[SliceRange] = []
    for label in annotated:
        bare = SliceLabels(rater, slices, (), tuple(r for r in given if r.label == label))
        found += flag_ranges(label, slice_flags(bare, label))
    return SliceLabels(rater, slices, tuple(annotated), tuple(found))


def read_slices(path: Path) -> tuple[SliceRow, ...]:
    """The rows of a table of slices, with the file's own label names.

    UTF-8, separated by comma, semicolon or tab, with a header; other columns are passed over.
    Raises FileFaultError: READING_UNREADABLE with the line when the header lacks a column or a
    row is no range of whole numbers (0 <= start < stop, or both empty); FILE_MISSING.
    """
    size = file_size(path)
    if size > MAX_BYTES:
        raise _fault(f"the table has {size} bytes, more than {MAX_BYTES}")
    try:
        with opening(catalog.READING_UNREADABLE, "table"):
            content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _fault("the table is not UTF-8 text") from None
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise _fault(f"line {reader.line_num}: {error}") from None
    names = [name.strip().casefold() for name in rows[0][1]] if rows else []
    if missing := [name for name in COLUMNS if name not in names]:
        raise _fault(f"the table has no column {', '.join(missing)}; columns are label,start,stop")
    places = [names.index(name) for name in COLUMNS]
    return tuple(_row(row, places, line) for line, row in rows[1:] if any(c.strip() for c in row))


def write_slices(path: Path, reading: SliceLabels) -> None:
    """Write a table that :func:`read_slices` reads; whole or not at all. Raises OSError."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for label in reading.annotated:
        own = [r for r in reading.ranges if r.label == label]
        table.writerows([(r.label, r.start, r.stop) for r in own] or [(label, "", "")])
    write_bytes(path, text.getvalue().encode())


def _row(row: list[str], places: list[int], line: int) -> SliceRow:
    if len(row) <= max(places):
        raise _fault(f"line {line} has {len(row)} columns, too few")
    label, start, stop = (row[place].strip() for place in places)
    if label and not start and not stop:
        return SliceRow(label, 0, 0)
    if not label or not _whole(start) or not _whole(stop) or int(start) >= int(stop):
        raise _fault(f"line {line} is no label with whole numbers 0 <= start < stop")
    return SliceRow(label, int(start), int(stop))


def _whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _fault(message: str) -> FileFaultError:
    return FileFaultError(catalog.READING_UNREADABLE, message)
