"""Writing a file so that it exists whole or not at all.

The bytes go to a partial name in the same folder, are synced to the disk, and are renamed; then
the folder itself is synced, so that the new name survives a power loss (POSIX ``fsync``,
``rename``). A reader sees the old file or the new one, never a part of either. Files are readable
by their owner only unless the caller says otherwise; the process's umask may narrow that further.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL_SUFFIX = ".partial"
FILE_MODE = 0o600
FOLDER_MODE = 0o700


@contextmanager
def replacing(path: Path | str, *, mode: int = FILE_MODE) -> Iterator[Path]:
    """A temporary path beside ``path``; what is there on exit becomes ``path`` in one step.

    The temporary file exists and is empty on entry. It is removed when the block raises, and
    ``path`` is then untouched. A partial file that a killed process left is replaced. The folder
    must exist (:func:`make_folder`). Raises OSError when the disk refuses.
    """
    target = Path(path)
    partial = target.with_name(target.name + PARTIAL_SUFFIX)
    partial.unlink(missing_ok=True)
    with _made(partial, mode):
        yield partial
        become(partial, target)


@contextmanager
def unnamed(path: Path | str, *, mode: int = FILE_MODE) -> Iterator[Path]:
    """A temporary path beside ``path`` for a file whose content decides what it will be called.

    The block ends with :func:`become`. As :func:`replacing`, but that the temporary name is nobody
    else's: a process whose parent was killed may go on for a while beside the one that does its
    work again. What a killed process leaves is not replaced.
    """
    target = Path(path)
    partial = target.with_name(f"{target.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    with _made(partial, mode):
        yield partial


@contextmanager
def _made(partial: Path, mode: int) -> Iterator[None]:
    # O_EXCL: never write through a link that somebody placed there in the meantime.
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    try:
        yield
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def become(partial: Path, target: Path) -> None:
    """Give a finished file its name, in one step, with all that is in it on the disk before."""
    _sync_file(partial)
    partial.replace(target)
    _sync_folder(target.parent)


def move(pairs: Iterable[tuple[Path, Path]]) -> None:
    """Give files that are on the disk already their final names: each in one step, then for good.

    ``pairs``: (what there is, what it becomes). Folders are made where they are missing.
    """
    folders = set()
    for source, target in pairs:
        if target.parent not in folders:
            folders.add(make_folder(target.parent))
        source.replace(target)
    for folder in sorted(folders):
        _sync_folder(folder)


def write_bytes(path: Path | str, data: bytes, *, mode: int = FILE_MODE) -> None:
    """Replace ``path`` by ``data``, whole or not at all; OSError when the disk refuses."""
    with replacing(path, mode=mode) as partial, partial.open("wb") as stream:
        stream.write(data)


def make_folder(path: Path | str, *, mode: int = FOLDER_MODE) -> Path:
    """Make ``path`` and the folders above it where they are missing, and sync their names.

    Folders that exist keep their mode.
    """
    folder = Path(path)
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    for part in reversed(missing):
        part.mkdir(mode=mode, exist_ok=True)
        _sync_folder(part.parent)
    return folder


def _sync_file(path: Path) -> None:
    # Opened for writing because Windows flushes only such handles.
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(path: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder; its rename is journaled
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
