"""Rows as files: CSV that no spreadsheet runs, and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import msgspec

from MedPrepLib.atomic import write_bytes
from MedPrepLib.errors import RunError

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters by which a spreadsheet takes a text for a formula (OWASP, CSV injection)."""

_LAYOUT = "\t\r\n"
_UNSEEN = frozenset({"Cc", "Cf", "Cs"})

Cell = str | int | float | bool | None


def write_csv(
    path: Path | str,
    rows: Sequence[msgspec.Struct],
    kind: type[msgspec.Struct] | None = None,
) -> None:
    """Write rows as CSV (see :func:`csv_bytes`), whole or not at all. Raises RunError, OSError."""
    write_bytes(path, csv_bytes(rows, kind))


def csv_bytes(rows: Sequence[msgspec.Struct], kind: type[msgspec.Struct] | None = None) -> bytes:
    """Rows as UTF-8 CSV with a header, every cell quoted.

    Texts that a spreadsheet would run as a formula get an apostrophe in front; numbers stay
    numbers (shortest digits that give the same value back). ``kind``: the type of the rows, needed
    where there may be none. Raises RunError without rows and kind.
    """
    columns = _columns(rows, kind)
    text = io.StringIO()
    table = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    table.writerow(columns)
    table.writerows([_cell(getattr(row, column)) for column in columns] for row in rows)
    return text.getvalue().encode()


def write_json(path: Path | str, rows: Sequence[msgspec.Struct]) -> None:
    """Write rows as a JSON list of objects, one per line; whole or not at all. Raises OSError."""
    lines = [
        json.dumps({name: _defined(getattr(row, name)) for name in row.__struct_fields__})
        for row in rows
    ]
    write_bytes(path, ("[\n" + ",\n".join(lines) + "\n]\n").encode())


def no_formula(text: str) -> str:
    """A text that no spreadsheet takes for a formula, and that steers no terminal.

    Control and invisible characters are left out first: behind one a formula could hide.
    """
    kept = "".join(c for c in text if c in _LAYOUT or unicodedata.category(c) not in _UNSEEN)
    return f"'{kept}" if kept.startswith(FORMULA_STARTS) else kept


def _columns(rows: Sequence[msgspec.Struct], kind: type[msgspec.Struct] | None) -> tuple[str, ...]:
    if kind is None and not rows:
        raise RunError("a table without rows needs to be told what its rows would be")
    return (kind or type(rows[0])).__struct_fields__


def _defined(value: Cell) -> Cell:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Cell) -> str:
    value = _defined(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return no_formula(value) if isinstance(value, str) else repr(value)
