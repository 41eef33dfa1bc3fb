"""A folder that appears whole under its name, or not at all; and the cases that go into it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from MedPrepLib import atomic
from MedPrepLib.errors import CorruptCaseError, RunError
from MedPrepLib.load import CohortIndex, IndexEntry, LoadedCase


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``target`` on exit, and is removed when the block raises.

    Raises RunError when ``target`` exists: nothing is ever mixed with what was there.
    """
    if target.exists():
        raise RunError(f"{target} exists already; name a new folder")
    partial = target.with_name(target.name + atomic.PARTIAL_SUFFIX)
    if partial.exists():
        shutil.rmtree(partial)
    atomic.make_folder(partial)
    try:
        yield partial
        partial.replace(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def read_entry(index: CohortIndex, entry: IndexEntry) -> LoadedCase:
    """A case of the cohort; CorruptCaseError when the file holds another one."""
    case = index.read(entry.id)
    if case.id != entry.id:
        raise CorruptCaseError(f"{entry.name} holds case {case.id}, not {entry.id}")
    return case


def write_json(path: Path, tree: Any) -> None:
    """Readable JSON, the same for equal trees."""
    path.write_text(json.dumps(tree, indent=2, sort_keys=True) + "\n", encoding="utf-8")
