"""Files of text that people write: read within limits, and every fault a ConfigError."""

from __future__ import annotations

import csv
import io
import stat
import tomllib
from pathlib import Path
from typing import Any

from MedPrepLib.errors import ConfigError

MAX_SETTINGS_BYTES = 4 << 20
"""Of a study file; one with a thousand labels takes 100 KB."""

MAX_TABLE_BYTES = 256 << 20
"""Of a table with a row per case; a million of them take less."""


def read_text(path: Path, limit: int, where: str = "") -> str:
    """The text of a UTF-8 file without its byte order mark.

    Raises ConfigError, its message led by ``where``, for what is no regular file, larger than
    ``limit`` bytes, or no UTF-8; FileNotFoundError and other OSErrors as they come.
    """
    lead = f"{where}: " if where else ""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError([f"{lead}this is no regular file"], path.name)
    if status.st_size > limit:
        problem = f"{lead}{status.st_size} bytes are more than the limit of {limit}"
        raise ConfigError([problem], path.name)
    with path.open("rb") as stream:
        data = stream.read(limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"{lead}not valid text: byte {error.start + 1} is no UTF-8; save it as UTF-8"
        raise ConfigError([problem], path.name) from None


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """The tree of a TOML text; ConfigError also for endless numbers and bottomless nesting."""
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise ConfigError([f"not valid TOML: {error}"], source) from None
    except RecursionError:
        raise ConfigError(["not valid TOML: nested too deeply"], source) from None


def read_rows(
    path: Path, where: str, delimiter: str
) -> tuple[tuple[str, ...], list[tuple[int, dict[str, str]]]]:
    """The column names of a table, and its rows with the lines they end in.

    Cells that a row lacks are empty; cells beyond the last column are left out. Raises ConfigError
    for what is no table of text.
    """
    text = read_text(path, MAX_TABLE_BYTES, where)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = tuple(next(table, ()))
        rows = [(table.line_num, _record(columns, row)) for row in table if row]
    except csv.Error as error:
        problem = f"{where}: line {table.line_num} is no row of a table ({error})"
        raise ConfigError([problem], path.name) from None
    return columns, rows


def _record(columns: tuple[str, ...], row: list[str]) -> dict[str, str]:
    return dict.fromkeys(columns, "") | dict(zip(columns, row, strict=False))
