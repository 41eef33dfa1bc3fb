"""Listing files: regular ones only, in the same order everywhere, never through a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from MedPrepLib.formats.files import SUFFIXES
from MedPrepLib.layout import LEDGER_NAME, PRIVATE_SUFFIX, SHARDS_FOLDER

_NO_TEXT = "a name that is no text in any encoding we know"

IGNORED_NAMES = frozenset(("dicomdir", "thumbs.db", "ehthumbs.db", "desktop.ini"))
IGNORED_FOLDERS = frozenset(
    ("__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "lost+found",
     "system volume information")
)  # fmt: skip
"""In lower case: what systems and drives keep for themselves, as thumbnails and deleted files."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The regular files directly in one folder, sorted by name, with size and times of change.

    ``refused``: why the folder cannot be listed; empty when it can. ``links``: how many symbolic
    links lie there, none of which is followed.
    """

    folder: str
    names: list[str]
    sizes: list[int]
    mtimes_ns: list[int]
    ctimes_ns: list[int]
    refused: str = ""
    links: int = 0


def listings_below(folder: Path, without: Path | None = None) -> Iterator[Listing]:
    """Every folder from ``folder`` down that holds files, in sorted order; ``without`` is left out.

    Symbolic links, FIFOs, sockets, devices, hidden files, DICOMDIR and what a system keeps for
    itself are passed over: a link may lead out of the source or in circles, and opening a FIFO
    blocks. Nor are cohorts entered that lie there, and their private folders; nor is a folder that
    is mounted a second time below itself.
    """
    if without is not None and folder.is_relative_to(without):
        return
    waiting = [str(folder)]
    visited: set[tuple[int, int]] = set()
    if without is not None:  # by its identity: its path may be written in other ways
        _was_visited(str(without), visited)
    while waiting:
        base = waiting.pop()
        if _was_visited(base, visited):
            continue
        listing, folders = _listed(base)
        if listing.names or listing.refused or listing.links:
            yield listing
        start = prefix(base)
        waiting += [start + name for name in sorted(folders, reverse=True) if is_text(name)]
        odd = sum(not is_text(name) for name in folders)
        yield from [_unlisted(base, _NO_TEXT)] * odd


def listing_of(path: str) -> Listing:
    """A single file as a listing; OSError when it is not there."""
    status = os.lstat(path)
    folder, name = os.path.split(path)
    return Listing(folder, [name], [status.st_size], [status.st_mtime_ns], [status.st_ctime_ns])


def prefix(folder: str) -> str:
    """What stands before the names of a folder's files."""
    return os.path.join(folder, "")  # noqa: PTH118 - ten times cheaper than Path here


def folder_of(path: str) -> str:
    """The folder of a file."""
    return os.path.dirname(path)  # noqa: PTH120 - ten times cheaper than Path here


def _was_visited(folder: str, visited: set[tuple[int, int]]) -> bool:
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError:
        return True
    key = (status.st_dev, status.st_ino)
    seen = key in visited
    visited.add(key)
    return seen


def _listed(folder: str) -> tuple[Listing, list[str]]:
    """The files and the names of the folders directly in ``folder``."""
    files: dict[str, os.DirEntry[str]] = {}
    folders: list[str] = []
    links = 0
    try:
        entries = os.scandir(folder)
    except OSError as error:
        return _unlisted(folder, _reason(error)), []
    with entries:
        for entry in entries:
            name = entry.name
            if name.startswith("."):
                continue
            if entry.is_file(follow_symlinks=False):
                if name.lower() not in IGNORED_NAMES:
                    files[name] = entry
            elif entry.is_dir(follow_symlinks=False):
                folders += [name] if name.lower() not in IGNORED_FOLDERS else []
            elif entry.is_symlink():
                links += 1
    return _stamped(folder, files, links), _without_cohorts(folder, folders)


def _without_cohorts(folder: str, names: list[str]) -> list[str]:
    """The folders but for cohorts that were made there, each of which a private folder follows."""
    private = {n for n in names if n.endswith(PRIVATE_SUFFIX) and _is_private(prefix(folder) + n)}
    made = private | {name.removesuffix(PRIVATE_SUFFIX) for name in private}
    return [name for name in names if name not in made]


def _is_private(folder: str) -> bool:
    return any(os.path.lexists(prefix(folder) + name) for name in (LEDGER_NAME, SHARDS_FOLDER))


def _stamped(folder: str, files: dict[str, os.DirEntry[str]], links: int) -> Listing:
    listing = Listing(folder, [], [], [], [], links=links)
    for name in sorted(files):
        try:
            status = files[name].stat(follow_symlinks=False)
        except FileNotFoundError:  # gone since it was listed
            continue
        except OSError as error:  # names may be read, files may not
            return _unlisted(folder, _reason(error))
        listing.names.append(name)
        listing.sizes.append(status.st_size)
        listing.mtimes_ns.append(status.st_mtime_ns)
        listing.ctimes_ns.append(status.st_ctime_ns)
    return listing


def _unlisted(folder: str, why: str) -> Listing:
    return Listing(folder, [], [], [], [], why)


@dataclass(frozen=True, slots=True)
class Contents:
    """What lies directly in a folder, sorted: regular files, folders, and the names of links.

    ``refused``: why the folder cannot be listed, or not all of it; empty when it can, or when it
    is not there.
    """

    files: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    links: tuple[str, ...] = ()
    refused: str = ""


def contents_of(folder: Path) -> Contents:
    """The files and folders in ``folder`` that a source may mean; never an error."""
    try:
        with os.scandir(folder) as found:
            entries = {entry.name: entry for entry in found}
    except FileNotFoundError:
        return Contents()
    except OSError as error:
        return Contents(refused=_reason(error))
    ignored = IGNORED_NAMES | IGNORED_FOLDERS
    names = sorted(n for n in entries if n[0] != "." and is_text(n) and n.lower() not in ignored)
    files = [n for n in names if entries[n].is_file(follow_symlinks=False)]
    base = prefix(str(folder))
    folders = [n for n in names if entries[n].is_dir(follow_symlinks=False)]
    folders = _without_cohorts(base, folders)
    return Contents(
        tuple(base + name for name in files),
        tuple(folder / name for name in folders),
        tuple(name for name in names if entries[name].is_symlink()),
        "" if all(map(is_text, entries)) else _NO_TEXT,
    )


def files_in(folder: Path) -> tuple[str, ...]:
    """The regular files directly in ``folder``, sorted; none when it cannot be listed."""
    return contents_of(folder).files


def is_text(name: str) -> bool:
    """False for names of bytes that are no UTF-8, which no database and no report can hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def is_plain_file(path: str) -> bool:
    """True for a regular file that is no link."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def is_link(path: str) -> bool:
    """True for a symbolic link; never an error, however odd the name."""
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """True for a folder that is no link; never an error, however odd the name."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def folder_below(root: Path, name: str) -> bool:
    """True when ``name`` is a folder below ``root``, and no part of it is a link or leads out."""
    parts = PurePath(name).parts
    if not parts or PurePath(name).anchor or ".." in parts:
        return False
    return all(is_folder(root.joinpath(*parts[: n + 1])) for n in range(len(parts)))


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
