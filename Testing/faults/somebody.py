"""Being somebody else: root may read and write anything, so nothing is ever refused to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """Root is somebody without rights for a while, who can still reach ``folder``."""
    if os.geteuid() != 0:
        yield
        return
    # Up to pytest's own folder, which pytest closes to everybody else.
    for path in (folder, *folder.parents[:4]):
        path.chmod(path.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
