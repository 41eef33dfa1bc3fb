"""3D Slicer's color tables: a label schema as the file that Slicer keeps its labels in.

Two formats. CSV (.csv, or .tsv with tabs; what Slicer writes since 5.10) has the columns
LabelValue, Name, Color_R/G/B/A (0-255) and three columns (CodingScheme, CodeValue, CodeMeaning)
for each of Category, Type, TypeModifier, Region and RegionModifier. The older text (.ctbl, .txt)
has ``value name r g b a`` per line, with underscores for the blanks of a name. Source: Slicer's
vtkMRMLColorTableStorageNode.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from MedPrepLib.atomic import write_bytes
from MedPrepLib.errors import ConfigError, LabelError
from MedPrepLib.labels import (
    MAX_LABEL_VALUE,
    Label,
    LabelSchema,
    Terminology,
    distinct_color,
)
from MedPrepLib.sides import Side, side_in, side_of_code
from MedPrepLib.textfiles import read_text

MAX_BYTES = 16 << 20
"""Of a color table."""

_CONCEPTS = ("Category", "Type", "TypeModifier", "Region", "RegionModifier")
_PARTS = ("CodingScheme", "CodeValue", "CodeMeaning")
_COLORS = ("Color_R", "Color_G", "Color_B")
COLUMNS = ("LabelValue", "Name", *_COLORS, "Color_A",
           *(f"{concept}_{part}" for concept in _CONCEPTS for part in _PARTS))  # fmt: skip

_ANATOMY = Terminology("SCT", "123037004", "Anatomical Structure")
_LEFT = Terminology("SCT", "7771000", "Left")
_RIGHT = Terminology("SCT", "24028007", "Right")
_TEXT_SUFFIXES = (".ctbl", ".txt")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class _Row:
    """What one row says: the label, its side of the body, and the line it stands in."""

    label: Label
    side: Side = ""
    line: int = 0


def read_color_table(path: Path) -> LabelSchema:
    """The label schema of a color table: .csv, .tsv, .ctbl or .txt.

    Value 0 (background) is passed over, as are rows without a name in the older text. A missing
    color is made up. The Type code is the label's terminology, except where several labels
    share it (left and right kidney): a code that does not tell labels apart would match the wrong
    one. Two labels of one Type with the modifiers Left and Right become partners. Category,
    region and alpha are not kept. Raises ConfigError with every faulty line at once.
    """
    text = _text(path)
    suffix = path.suffix.casefold()
    if suffix in _TEXT_SUFFIXES:
        rows, problems = _gathered(_text_rows(text))
    elif suffix in _DELIMITERS:
        rows, problems = _gathered(_table_rows(text, _DELIMITERS[suffix], path.name))
    else:
        raise ConfigError(["a color table is called .csv, .tsv, .ctbl or .txt"], path.name)
    if not rows and not problems:
        problems = ["the table names no label with a value above 0"]
    if problems:
        raise ConfigError(problems, path.name)
    try:
        return LabelSchema(_distinct(rows))
    except LabelError as error:
        raise ConfigError([str(error)], path.name) from None


def write_color_table(path: Path, schema: LabelSchema) -> None:
    """Write a schema as a color table that Slicer reads; the suffix says which format.

    CSV keeps name, value, color and terminology (as the Type of an anatomical structure, with
    Left or Right where partners share a code and their names tell the side). The older text keeps
    name, value and color, and turns underscores of names into blanks when read. Aliases are in
    neither. Raises LabelError for names that Slicer could not read back, ConfigError for another
    suffix, OSError.
    """
    suffix = path.suffix.casefold()
    if suffix not in (*_TEXT_SUFFIXES, *_DELIMITERS):
        raise ConfigError(["a color table is called .csv, .tsv, .ctbl or .txt"], path.name)
    plain = suffix in _TEXT_SUFFIXES
    for label in schema:
        if not label.name.isprintable() or '"' in label.name or (plain and "'" in label.name):
            raise LabelError(f"label {label.name!r}: a color table cannot hold quotes or controls")
    text = _as_text(schema) if plain else _as_table(schema, _DELIMITERS[suffix])
    write_bytes(path, text.encode())


def _as_text(schema: LabelSchema) -> str:
    lines = [f"# Color table of {len(schema)} labels"]
    for label in schema:
        r, g, b = label.color
        name = re.sub(r"\s", "_", label.name)
        lines.append(f"{label.value} {name} {r} {g} {b} 255")
    return "\n".join(lines) + "\n"


def _as_table(schema: LabelSchema, delimiter: str) -> str:
    out = io.StringIO()
    table = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(_csv_row(label, schema) for label in schema)
    return out.getvalue()


def _text(path: Path) -> str:
    try:
        return read_text(path, MAX_BYTES)
    except OSError as error:
        raise ConfigError([f"the file cannot be read: {error.strerror}"], path.name) from None


def _gathered(rows: Iterator[_Row | str]) -> tuple[list[_Row], list[str]]:
    """Rows and problems apart."""
    good: list[_Row] = []
    problems: list[str] = []
    for row in rows:
        if isinstance(row, str):
            problems.append(row)
        else:
            good.append(row)
    return good, problems


def _table_rows(text: str, delimiter: str, name: str) -> Iterator[_Row | str]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restval="")
    try:
        missing = [c for c in ("LabelValue", "Name") if c not in (reader.fieldnames or ())]
        if missing:
            raise ConfigError([f"the table has no column {', '.join(missing)}"], name)
        for record in reader:
            cells = {k: (v or "").strip() for k, v in record.items() if isinstance(k, str)}
            if any(cells.values()) and cells["LabelValue"] != "0":
                yield _table_row(cells, reader.line_num)
    except csv.Error as error:
        yield f"line {reader.line_num}: {error}"


def _table_row(cells: Mapping[str, str], line: int) -> _Row | str:
    side = _code(cells, "TypeModifier")
    numbers = [cells.get(column, "") for column in _COLORS]
    row = _row(cells["LabelValue"], cells["Name"], numbers, line)
    if isinstance(row, str):
        return row
    label = replace(row.label, terminology=_code(cells, "Type"))
    return replace(row, label=label, side=side_of_code(side.scheme, side.value) if side else "")


def _text_rows(text: str) -> Iterator[_Row | str]:
    for line, content in enumerate(text.splitlines(), start=1):
        words = content.split()
        if not words or words[0].startswith("#") or words[0] == "0" or words[1:2] == ["_"]:
            continue
        if len(words) < 5:
            yield f"line {line}: {len(words)} words, not value, name, red, green, blue"
            continue
        yield _row(words[0], words[1].replace("_", " ").strip("' "), words[2:5], line)


def _row(value: str, name: str, color: Sequence[str], line: int) -> _Row | str:
    """A row, or what is wrong with it."""
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= MAX_LABEL_VALUE) or (
        len(value) > 9
    ):
        return f"line {line}: value {value[:20]!r} is outside 1..{MAX_LABEL_VALUE}"
    if not name:
        return f"line {line}: the label with value {value} has no name"
    if not any(color):
        return _Row(Label(name, int(value), distinct_color(int(value))), line=line)
    try:
        r, g, b = (round(float(x)) for x in color)
    except (ValueError, OverflowError):
        return f"line {line}: color {' '.join(color)[:40]!r} is not three numbers"
    if min(r, g, b) < 0 or max(r, g, b) > 255:
        return f"line {line}: color {(r, g, b)} is outside 0..255"
    return _Row(Label(name, int(value), (r, g, b)), line=line)


def _code(cells: Mapping[str, str], concept: str) -> Terminology | None:
    scheme, value, meaning = (cells.get(f"{concept}_{part}", "") for part in _PARTS)
    return Terminology(scheme, value, meaning) if scheme and value else None


def _distinct(rows: Sequence[_Row]) -> tuple[Label, ...]:
    """The labels, with codes that tell them apart, and partners."""
    codes = Counter(_key(row.label.terminology) for row in rows)
    sides: dict[object, dict[str, list[Label]]] = {}
    for row in rows:
        if row.side and row.label.terminology:
            own = sides.setdefault(_key(row.label.terminology), {})
            own.setdefault(row.side, []).append(row.label)
    partners: dict[str, str] = {}
    for pair in sides.values():
        left, right = pair.get("left", []), pair.get("right", [])
        if len(left) == len(right) == 1:
            partners |= {left[0].name: right[0].name, right[0].name: left[0].name}
    return tuple(
        replace(
            row.label,
            terminology=row.label.terminology if codes[_key(row.label.terminology)] == 1 else None,
            partner=partners.get(row.label.name),
        )
        for row in rows
    )


def _key(code: Terminology | None) -> tuple[str, str] | None:
    return (code.scheme, code.value) if code else None


def _csv_row(label: Label, schema: LabelSchema) -> list[str | int]:
    cells: list[str | int] = [label.value, label.name, *label.color, 255]
    code = label.terminology
    concepts = (_ANATOMY, code, _side(label, schema), None, None) if code else (None,) * 5
    for concept in concepts:
        cells += [concept.scheme, concept.value, concept.meaning] if concept else ["", "", ""]
    return cells


def _side(label: Label, schema: LabelSchema) -> Terminology | None:
    """Left or Right, for one of two partners that share a code."""
    other = schema.find(label.partner) if label.partner else None
    side = side_in(label.name)
    if other is None or not side or _key(other.terminology) != _key(label.terminology):
        return None
    return {"left": _LEFT, "right": _RIGHT}.get(side)
