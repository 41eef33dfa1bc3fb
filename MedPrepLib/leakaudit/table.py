"""The images that a table names, with the set of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from MedPrepLib.errors import RunError
from MedPrepLib.identity import known_id
from MedPrepLib.leakaudit.entry import SETS, WHOLE, Entry, validated_once
from MedPrepLib.textfiles import read_rows

NEEDED = ("patient", "set", "image")

Row = tuple[dict[str, str], str]
"""The cells of a row, and the set that it names."""


def entries_of(path: Path) -> Iterator[Entry]:
    """One entry for each row; names of columns count without case.

    ``fold`` (optional): where some rows are of a validation set, the round that a row is about
    (none: every round); where none are, the round in which a training case validates, as in the
    cases.csv of a cohort. Patients are compared as everywhere: without case, and never by a
    placeholder such as ANON. Raises RunError, naming the line, for a table without these columns
    or rows; ConfigError for what is no text.
    """
    rows = list(_rows(path))
    if not rows:
        raise RunError(f"{path.name} names no image")
    folds = sorted({cells["fold"] for cells, _ in rows if cells.get("fold")})
    by_round = any(part == "validation" for _, part in rows)
    for cells, part in rows:
        fold = cells.get("fold", "")
        if by_round:
            rounds = [fold] if fold else folds
            sets = tuple((f"fold {f}", part) for f in rounds) or ((WHOLE, part),)
        else:
            sets = validated_once(fold, part, folds)
        yield Entry(
            cells.get("case") or cells["image"],
            known_id(cells["patient"]),
            str(path.parent / cells["image"]),
            "image",
            sets,
        )


def _rows(path: Path) -> Iterator[Row]:
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    columns, rows = read_rows(path, "", delimiter)
    if len(columns) == 1 and ";" in columns[0]:  # as spreadsheets of many countries save it
        columns, rows = read_rows(path, "", ";")
    missing = [name for name in NEEDED if name not in {c.strip().lower() for c in columns}]
    if missing:
        raise RunError(
            f"{path.name} has no column {missing[0]!r}; it needs {', '.join(NEEDED)}, and may have "
            "case and fold"
        )
    for line, row in rows:
        cells = {name.strip().lower(): value.strip() for name, value in row.items()}
        part = SETS.get(cells["set"].lower())
        if part is None or not cells["image"]:
            raise RunError(
                f"{path.name}, line {line}: needs an image, and a set that is train, val or test"
            )
        yield cells, part
