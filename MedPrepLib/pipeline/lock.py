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


@contextmanager
def locked(private: Path) -> Iterator[None]:
    """Hold the lock of the cohort whose private folder this is.

    Raises LockedError at once when another process holds it.
    """
    from filelock import FileLock, Timeout

    owner = private / OWNER
    lock = FileLock(private / LOCK, timeout=0, mode=FILE_MODE)
    try:
        with lock:
            write_bytes(owner, _me().encode())
            yield
    except Timeout:
        who = owner.read_text(encoding="utf-8") if owner.is_file() else "another process"
        raise LockedError(f"{private.name} is being written by {who}; wait for it to end") from None


def _me() -> str:
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return f"process {os.getpid()} on {platform.node()} since {now}"
