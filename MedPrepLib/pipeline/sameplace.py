"""Whether a worker on another machine sees the same folders, with the same MedPrep.

Only paths travel to workers: every one of them has to find the same files under the same names.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import MedPrepLib
from MedPrepLib.atomic import make_folder, write_bytes
from MedPrepLib.config.settings import DicomSource
from MedPrepLib.pipeline.order import Order
from MedPrepLib.sitelog import WORKERS_LOG

Python = tuple[int, int]


@dataclass(frozen=True)
class Place:
    """What whoever began a run sees; ``looks``: what every source looks like, by its path."""

    version: str
    python: Python
    token: str
    """Stands in a file of each of ``folders``."""
    folders: tuple[Path, ...]
    looks: tuple[tuple[Path, str], ...]
    output: Path
    """Where what workers print goes: it may name patients."""

    @property
    def tickets(self) -> Path:
        """A folder that exists as long as the run does: tasks that were begun have a file here."""
        return self.folders[0] / f"run-{self.token}"


@contextmanager
def marked(order: Order) -> Iterator[Place]:
    """This place; inside, its folders for writing hold files for others to find."""
    token = secrets.token_hex(8)
    folders = (order.private, make_folder(order.cohort / "cases"))
    looks = tuple((path, _look(path)) for path in sorted(_sources(order)))
    place = Place(
        MedPrepLib.__version__, _python(), token, folders, looks, order.logs / WORKERS_LOG
    )
    marks = [folder / f"token-{token}" for folder in folders]
    make_folder(place.tickets)
    try:
        for mark in marks:
            write_bytes(mark, token.encode())
        yield place
    finally:
        for mark in (*marks, *place.tickets.iterdir()):
            mark.unlink(missing_ok=True)
        place.tickets.rmdir()


def _sources(order: Order) -> Iterator[Path]:
    for source in order.study.sources:
        yield (order.base / source.path).resolve()
        if isinstance(source, DicomSource) and source.masks:
            yield (order.base / source.masks).resolve()


@lru_cache(maxsize=8)
def differences(there: Place) -> tuple[str, ...]:
    """What is different here, where a worker is, in words; nothing when all is the same."""
    return tuple(_differences(there))


def _differences(there: Place) -> Iterator[str]:
    if there.version != MedPrepLib.__version__:
        yield f"has MedPrep {MedPrepLib.__version__}, not {there.version}"
    if there.python != _python():
        yield f"has Python {_dotted(_python())}, not {_dotted(there.python)}"
    for folder in there.folders:
        mark = folder / f"token-{there.token}"
        if not mark.is_file() or mark.read_text(encoding="utf-8") != there.token:
            yield f"does not see the same folder {folder}"
        elif not os.access(folder, os.W_OK | os.X_OK):
            yield f"may not write to {folder}"
    for path, look in there.looks:
        if not path.exists():
            yield f"does not see {path}"
        elif _look(path) != look:
            yield f"sees something else at {path}"


def _look(path: Path) -> str:
    """What tells a source from another one: the names in a folder, the bytes of a table."""
    if path.is_dir():
        seen = "\n".join(sorted(entry.name for entry in path.iterdir())).encode()
    else:
        seen = path.read_bytes()
    return hashlib.sha256(seen).hexdigest()


def _python() -> Python:
    return (sys.version_info.major, sys.version_info.minor)


def _dotted(version: Python) -> str:
    return ".".join(map(str, version))
