"""Looking at an LMDB before it is used: LMDB trusts its file, and a crafted one kills the process.

The map of a file that is shorter than it says ends in SIGBUS, a page that points elsewhere in
SIGSEGV (CVE-2019-16224 to 16228). So the two meta pages are read here, and then another process
walks through all keys and both ends of all values; if it dies, nobody else does.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

from MedPrepLib import layout
from MedPrepLib.errors import CohortError

WALK_S = 600.0
"""Keys of a million cases take some seconds."""

_META_BYTES = 152
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_META = struct.Struct("<16xII16xI92xQQ")
"""Of a page on 64-bit machines: magic, version, page size, last page, transaction."""

_WALK = """
import sys
import lmdb
with lmdb.open(sys.argv[1], readonly=True, lock=False, create=False, readahead=False) as found:
    with found.begin(buffers=True) as transaction:
        for key, value in transaction.cursor():
            bytes(key), bytes(value[:1]), bytes(value[-1:])
"""

_sound: set[tuple[int, int, int, int]] = set()


def require_sound(folder: Path) -> None:
    """CohortError unless the LMDB in ``folder`` can be opened without harm; asked once a process.

    A file that changes is looked at again.
    """
    path = data_file(folder)
    status = path.stat()
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if key in _sound:
        return
    _require_meta(path, status.st_size)
    _require_walk(folder)
    _sound.add(key)


def data_file(folder: Path) -> Path:
    """The file that an LMDB is; CohortError when ``folder`` has none, or a link."""
    path = folder / layout.LMDB_NAME
    if path.is_symlink() or not path.is_file():
        raise CohortError(f"{folder} has no {layout.LMDB_NAME}, or a link")
    return path


def page_bytes_of(path: Path) -> int:
    """Bytes of a page of the LMDB in that file; CohortError when it is none, or truncated."""
    return _require_meta(path, path.stat().st_size)


def _require_meta(path: Path, size: int) -> int:
    with path.open("rb") as file:
        first = _meta(file.read(_META_BYTES), path)
        page_bytes = first[0]
        file.seek(page_bytes)
        second = _meta(file.read(_META_BYTES), path)
    if second[0] != page_bytes:
        raise CohortError(f"{path} is damaged: its meta pages differ in page size")
    needed = (max(first[1:], second[1:])[1] + 1) * page_bytes
    if size < needed:
        raise CohortError(f"{path} is truncated: {needed} bytes expected, {size} found")
    return page_bytes


def _meta(data: bytes, path: Path) -> tuple[int, int, int]:
    """Page size, transaction and last page of a meta page."""
    if len(data) < _META_BYTES:
        raise CohortError(f"{path} is truncated: it has no meta pages")
    magic, version, page_bytes, last_page, transaction = _META.unpack(data)
    usual = 512 <= page_bytes <= 1 << 16 and page_bytes & (page_bytes - 1) == 0
    if magic != _MAGIC or version != _VERSION or not usual or last_page >= 1 << 48:
        raise CohortError(f"{path} is damaged or no LMDB")
    return page_bytes, transaction, last_page


def _require_walk(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", _WALK, str(folder)]
    try:
        walked = subprocess.run(  # noqa: S603 - our own interpreter, our own lines
            command, env=environment, capture_output=True, check=False, timeout=WALK_S
        )
    except subprocess.TimeoutExpired:
        raise CohortError(f"{folder} is damaged: its keys have no end") from None
    if walked.returncode:
        raise CohortError(f"{folder} is damaged or no LMDB: another process could not read it")
