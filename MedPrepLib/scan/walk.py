"""Listing files: regular ones only, in the same order everywhere, never through a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from MedPrepLib.formats.files import SUFFIXES

IGNORED_NAMES = frozenset(("DICOMDIR", "Thumbs.db", "desktop.ini"))


def files_below(folder: Path) -> Iterator[str]:
    """Every regular file below ``folder`` in sorted order.

    Symbolic links, FIFOs, sockets, devices, hidden files and DICOMDIR are passed over: a link
    may lead out of the source or in circles, and opening a FIFO blocks.
    """
    for base, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(base, name)  # noqa: PTH118 - ten times cheaper than Path here
            if is_plain_file(path) and not ignored(name):
                yield path


def files_in(folder: Path) -> tuple[str, ...]:
    """The regular files directly in ``folder``, sorted."""
    names = sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted, sorted
    paths = (str(folder / name) for name in names if not ignored(name))
    return tuple(path for path in paths if is_plain_file(path))


def folders_in(folder: Path) -> tuple[Path, ...]:
    """The folders directly in ``folder``, sorted; links are passed over."""
    return tuple(
        sorted(
            entry
            for entry in folder.iterdir()
            if not entry.name.startswith(".") and entry.is_dir() and not entry.is_symlink()
        )
    )


def is_plain_file(path: str) -> bool:
    """True for a regular file that is no link."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def ignored(name: str) -> bool:
    """True for files that no source means: hidden ones, DICOMDIR, what desktops leave behind."""
    return name.startswith(".") or name in IGNORED_NAMES


def image_suffix(path: str) -> str:
    """The image suffix of a file name, e.g. ``.nii.gz``; empty when it has none."""
    lower = path.lower()
    return next((suffix for suffix in SUFFIXES if lower.endswith(suffix)), "")


def stem(path: str) -> str:
    """The file name without folder and without image, ``.seg`` or DICOM suffix."""
    name = Path(path).name
    suffix = image_suffix(name) or (".dcm" if name.lower().endswith(".dcm") else "")
    name = name[: len(name) - len(suffix)] if suffix else name
    return name[:-4] if name.lower().endswith(".seg") else name
