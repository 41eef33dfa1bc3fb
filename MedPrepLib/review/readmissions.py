"""Re-admissions: findings that people accepted, in one small TOML file beside the study file.

Entries are only ever appended, so that the file tells who decided what, when and why; of the
entries about one finding of one case the last one counts. People may edit the file: comments and
order stay as they are. ``judged`` binds an entry to the data that were looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from MedPrepLib.atomic import write_bytes
from MedPrepLib.catalog import did_you_mean, find_kind
from MedPrepLib.config.check import problems_in
from MedPrepLib.config.settings import Section
from MedPrepLib.config.template import toml_text
from MedPrepLib.errors import ConfigError, LockedError
from MedPrepLib.textfiles import MAX_SETTINGS_BYTES, parse_toml, read_text

MOST_NOTE = 1000
"""Characters of a note."""

_LOCK_S = 10.0
_HEAD = """\
# Findings that people accepted, so that a run takes these cases in. Written by medprep readmit;
# of the entries about one finding of one case the last one counts. Notes are shown in the report.
"""
_Text = Annotated[str, Meta(min_length=1, max_length=64)]


class Entry(Section, frozen=True):
    """One decision. ``case`` is the public name; ``judged`` a hash of the data looked at."""

    case: _Text
    code: _Text
    by: _Text
    action: Literal["readmit", "withdraw"] = "readmit"
    at: str = ""
    note: Annotated[str, Meta(max_length=MOST_NOTE, description="why; shown in the report")] = ""
    judged: str = ""


class _File(Section, frozen=True):
    entries: tuple[Entry, ...] = ()


def read_readmissions(path: Path) -> tuple[Entry, ...]:
    """Every entry, oldest first; none when there is no file.

    Raises ConfigError that names every fault by its path.
    """
    return _parsed(read_text(path, MAX_SETTINGS_BYTES), path.name) if path.is_file() else ()


def in_force(entries: Iterable[Entry]) -> dict[str, tuple[Entry, ...]]:
    """By case, the newest entry about each finding, without those that were withdrawn."""
    newest = {(entry.case, entry.code): entry for entry in entries}
    cases: dict[str, list[Entry]] = {}
    for entry in newest.values():
        if entry.action == "readmit":
            cases.setdefault(entry.case, []).append(entry)
    return {case: tuple(sorted(found, key=lambda e: e.code)) for case, found in cases.items()}


def append_entry(path: Path, entry: Entry) -> Entry:
    """Add an entry, with the time of now; the file is replaced as a whole.

    Raises ConfigError for a file that cannot be read, LockedError, OSError.
    """
    timed = msgspec.structs.replace(entry, at=datetime.now(UTC).isoformat(timespec="seconds"))
    with _locked(path):
        text = read_text(path, MAX_SETTINGS_BYTES) if path.is_file() else _HEAD
        whole = text.rstrip("\n") + "\n\n" + _block(timed)
        _parsed(whole, path.name)
        write_bytes(path, whole.encode())
    return timed


def judged_data(paths: Iterable[str]) -> str:
    """SHA-256 over the contents of files, whatever they are called and in whatever order.

    Raises OSError for a file that cannot be read.
    """
    sums = []
    for path in dict.fromkeys(paths):
        with Path(path).open("rb") as stream:
            sums.append(hashlib.file_digest(stream, "sha256").digest())
    return hashlib.sha256(b"".join(sorted(sums))).hexdigest()


def _parsed(text: str, source: str) -> tuple[Entry, ...]:
    tree = parse_toml(text, source)
    problems = problems_in(tree, _File)
    if not problems:
        entries = msgspec.convert(tree, _File).entries
        problems = list(_unknown_codes(entries))
    if problems:
        raise ConfigError(problems, source)
    return entries


def _unknown_codes(entries: Iterable[Entry]) -> Iterator[str]:
    for index, entry in enumerate(entries):
        if find_kind(entry.code) is None:
            where = f"$.entries[{index}].code"
            yield f"{where}: no finding code {entry.code!r}{did_you_mean(entry.code)}"


def _block(entry: Entry) -> str:
    fields = msgspec.to_builtins(entry)
    lines = [f"{name} = {toml_text(value)}" for name, value in fields.items() if value]
    return "\n".join(("[[entries]]", *lines)) + "\n"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two people may decide at the same time: one entry is added after the other."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_S):
            yield
    except Timeout:
        raise LockedError(f"{path.name} is being written by somebody else; try again") from None
