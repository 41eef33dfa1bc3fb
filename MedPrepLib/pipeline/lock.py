"""Only one process writes a cohort; the second is told who the first is, and since when.

The lock is one of the system on an open file: it ends with its process, however that ends, so no
stale lock can keep anybody out. The file that names the owner is for people to read.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from MedPrepLib.atomic import FILE_MODE, write_bytes
from MedPrepLib.errors import LockedError

LOCK, OWNER = "run.lock", "run.owner"


PATIENCE_S = 5.0
"""A part of a run looks for a moment whether the whole is locked; others wait that long for it."""


@contextmanager
def locked(private: Path) -> Iterator[None]:
    """Hold the lock of the cohort, or of the part of a run, whose private folder this is.

    Raises LockedError at once when another process holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(private / LOCK, timeout=0, mode=FILE_MODE)
    try:
        with lock:
            write_bytes(private / OWNER, _me().encode())
            yield
    except Timeout:
        raise _held(private) from None


def require_unlocked(private: Path) -> None:
    """Raise LockedError when another process goes on holding the lock of this folder."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(private / LOCK, timeout=PATIENCE_S, mode=FILE_MODE):
            return
    except Timeout:
        raise _held(private) from None


def _held(private: Path) -> LockedError:
    owner = private / OWNER
    who = owner.read_text(encoding="utf-8") if owner.is_file() else "another process"
    return LockedError(f"{private.name} is being written by {who}; wait for it to end")


def _me() -> str:
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return f"process {os.getpid()} on {platform.node()} since {now}"
