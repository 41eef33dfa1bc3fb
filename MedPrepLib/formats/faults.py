"""What the readers of image files share: faults with a finding kind, sizes, safe neighbors.

Everything here is checked *before* voxels are allocated or a library opens the file, because
SimpleITK follows detached data anywhere on the disk and crashes on some valid headers.
"""

from __future__ import annotations

import bz2
import math
import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from MedPrepLib import catalog
from MedPrepLib.errors import ReadError
from MedPrepLib.findings import Finding, Kind
from MedPrepLib.geometry import Geometry
from MedPrepLib.hiccups import is_hiccup

MAX_VOXELS = 2**31
"""Default limit of voxels per image (screen.max_voxels)."""

DEFLATE_RATIO = 1032
"""The most bytes that one byte of a deflate stream can turn into (zlib's technical notes)."""

PLAUSIBLE_SPACING_MM = (0.02, 20.0)
"""Voxel edges of clinical images: micro-CT begins below, whole-body PET slices end above."""

PLAUSIBLE_EXTENT_MM = (3.0, 3000.0)
"""Longest edge of an image: a cropped lesion to a whole body."""

_MOST_DIGITS = 18
_POINTER_BYTES = 64
_PATTERN = re.compile(r"%\d*[a-zA-Z]")
_CHUNK = 1 << 20
_PACKED_CHUNK = 1 << 16
"""Small, because zlib copies what is behind a member: of tiny members that is most of it."""

_MOST_EMPTY = 1000
"""Steps that give no voxel: a chunk that only fills zlib's window, or a member without content."""

_GZIP_MAGIC = b"\x1f\x8b"
_ANY_HEADER = 47
"""zlib's code for: gzip or zlib, whichever the stream begins with."""


class FileFaultError(ReadError):
    """A file that cannot be read, with the kind of finding that says why.

    The message names numbers and limits, never the path: it may be shown in a report.
    """

    def __init__(self, kind: Kind, message: str) -> None:
        self.kind = kind
        self.message = message
        super().__init__(message)

    def __reduce__(self) -> tuple[type[FileFaultError], tuple[Kind, str]]:
        return FileFaultError, (self.kind, self.message)

    def at(self, item: str) -> Finding:
        """The fault as a finding about ``item``."""
        return self.kind.at(item, self.message)


@contextmanager
def opening(kind: Kind, noun: str = "file") -> Iterator[None]:
    """The system's refusal to open or read a file as a FileFaultError of ``kind``.

    What may be gone in a moment (hiccups) stays an OSError, for whoever can wait and try again.
    """
    try:
        yield
    except OSError as error:
        if is_hiccup(error):
            raise
        raise FileFaultError(kind, f"the {noun} cannot be opened: {error.strerror}") from None


def file_size(path: Path) -> int:
    """Size in bytes of a regular file.

    Raises FileFaultError: FILE_MISSING, or FILE_UNREADABLE for folders, FIFOs, sockets and devices
    (opening a FIFO would wait forever) and for files that may not be read.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise FileFaultError(catalog.FILE_MISSING, "the file does not exist") from None
    except OSError as error:
        if is_hiccup(error):
            raise
        raise FileFaultError(
            catalog.FILE_UNREADABLE, f"the file cannot be reached: {error.strerror}"
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise FileFaultError(
            catalog.FILE_UNREADABLE, "this is a folder, pipe or device, not a file"
        )
    return status.st_size


def read_head(path: Path, count: int) -> bytes:
    """The first ``count`` bytes of a regular file, fewer when it is shorter."""
    file_size(path)
    with opening(catalog.FILE_UNREADABLE), path.open("rb") as stream:
        return stream.read(count)


def require_fetched(path: Path) -> None:
    """FileFaultError (FILE_UNREADABLE) for a pointer of git-lfs or git-annex in place of a file."""
    head = read_head(path, _POINTER_BYTES)
    if head.startswith(b"version ") and b"git-lfs" in head:
        tool = "git lfs pull"
    elif head.startswith(b"/annex/objects/"):
        tool = "git annex get"
    else:
        return
    raise FileFaultError(
        catalog.FILE_UNREADABLE,
        f"this is a pointer to a file that was not fetched; {tool} brings the file itself",
    )


def require_plausible(
    shape: Sequence[int], itemsize: int, *, available: int, ratio: int, max_voxels: int
) -> int:
    """The bytes that ``shape`` voxels need, once it is plausible that the file holds them.

    ``available`` is the number of bytes left for data in the file and ``ratio`` how many bytes
    one of them can become (1: stored plainly). Raises FileFaultError: IMPLAUSIBLE_SIZE above
    ``max_voxels`` or when compression cannot reach the promised size, PIXELS_UNREADABLE when
    plain data are truncated.
    """
    voxels = math.prod(shape)
    promised = voxels * itemsize
    if voxels > max_voxels:
        raise FileFaultError(
            catalog.IMPLAUSIBLE_SIZE,
            f"the header promises {voxels} voxels, more than the limit of {max_voxels}",
        )
    if promised <= available * ratio:
        return promised
    if ratio == 1:
        kind = catalog.PIXELS_UNREADABLE if available * 1000 >= promised else None
        raise FileFaultError(
            kind or catalog.IMPLAUSIBLE_SIZE,
            f"the header promises {promised} bytes of voxels, the file holds {max(available, 0)}",
        )
    raise FileFaultError(
        catalog.IMPLAUSIBLE_SIZE,
        f"the header promises {promised} bytes of voxels; {max(available, 0)} compressed bytes "
        f"cannot hold more than {ratio} times as much",
    )


def whole_numbers(text: str) -> tuple[int, ...]:
    """The whole numbers in ``text``; ValueError for anything else, or more than 18 digits."""
    words = text.split()
    if any(len(word) > _MOST_DIGITS for word in words):
        raise ValueError("a number of more digits than any size has")
    return tuple(map(int, words))


def neighbor(header: Path, name: str, root: Path | None = None) -> Path:
    """The data file ``name`` beside the header file that mentions it.

    Only a plain file name in the header's own folder is followed, and only while it really lies
    below ``root`` (default: that folder). Raises FileFaultError: PATH_ESCAPE for absolute paths,
    folders, ``..``, URLs, lists, patterns and links that lead out; FILE_MISSING.
    """
    name = name.strip()
    plain = name not in {"", ".", ".."} and not set(name) & set('/\\:|<>"?*\0')
    if not plain or _PATTERN.search(name) or name.split()[0].upper() == "LIST":
        raise FileFaultError(
            catalog.PATH_ESCAPE,
            "the header points to data outside its own folder, or to a list or pattern of files",
        )
    target = header.parent / name
    if not _lies_below(target, root or header.parent):
        raise FileFaultError(catalog.PATH_ESCAPE, "the data file is a link that leaves its folder")
    file_size(target)
    return target


def require_inside(path: Path, root: Path | None) -> None:
    """FileFaultError (PATH_ESCAPE) when ``path``, links resolved, does not lie below ``root``."""
    if root is not None and not _lies_below(path, root):
        raise FileFaultError(
            catalog.PATH_ESCAPE, "the file is a link that leaves its source folder"
        )


def _lies_below(path: Path, root: Path) -> bool:
    """Links resolved; a loop of links lies nowhere."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (RuntimeError, OSError):  # what Python before 3.13 says of loops, and of later ones
        return False


def spacing_faults(geometry: Geometry) -> Iterator[FileFaultError]:
    """SPACING_SUSPECT when voxels or field of view cannot be those of a body in millimeters."""
    low, high = PLAUSIBLE_SPACING_MM
    least, most = PLAUSIBLE_EXTENT_MM
    words = " x ".join(f"{x:g}" for x in geometry.spacing)
    if min(geometry.spacing) < low or max(geometry.spacing) > high:
        yield FileFaultError(
            catalog.SPACING_SUSPECT,
            f"the voxels measure {words} mm; {low:g} to {high:g} mm is plausible",
        )
        return
    extent = max(n * s for n, s in zip(geometry.size, geometry.spacing, strict=True))
    if not least <= extent <= most:
        yield FileFaultError(
            catalog.SPACING_SUSPECT,
            f"the image is {extent:.3g} mm long; {least:g} to {most:g} mm is plausible",
        )


def read_voxels(
    path: Path,
    offset: int,
    dtype: np.dtype[Any],
    shape: Sequence[int],
    encoding: str,
    *,
    lead: int = 0,
) -> npt.NDArray[Any]:
    """Voxels as a flat array in file order, from byte ``offset``; never more than promised.

    ``encoding``: "raw", "gzip", "zlib" or "bzip2" (the whole rest of the file is compressed).
    ``lead``: bytes before the first voxel inside the compressed stream. Raises
    FileFaultError (PIXELS_UNREADABLE) when data are truncated or damaged. Compressed data that
    go on after the last voxel are not inflated, so that a bomb never bursts.
    """
    data = np.empty(math.prod(shape), dtype=dtype)
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            source = _decoded(stream, encoding)
            _skip(source, lead)
            found = _fill(source, data.view(np.uint8).data)
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and is_hiccup(error):
            raise
        raise FileFaultError(
            catalog.PIXELS_UNREADABLE, f"voxels are truncated or damaged: {error}"
        ) from None
    if found != data.nbytes:
        raise FileFaultError(
            catalog.PIXELS_UNREADABLE,
            f"the file is truncated: {data.nbytes} bytes of voxels promised, {found} found",
        )
    return data


def inflated_head(stream: IO[bytes], count: int) -> bytes:
    """The first ``count`` bytes in a gzip stream, fewer when it ends; EOFError, zlib.error."""
    source, head = _DeflateReader(stream), b""
    while len(head) < count:
        part = source.read(count - len(head))
        if not part:
            break
        head += part
    return head


def _decoded(stream: IO[bytes], encoding: str) -> IO[bytes]:
    if encoding in {"gzip", "zlib"}:
        return cast("IO[bytes]", _DeflateReader(stream))
    if encoding == "bzip2":
        return cast("IO[bytes]", bz2.BZ2File(stream, "rb"))
    return stream


class _DeflateReader:
    """Just enough of a file to read gzip (of one or more members) and zlib streams.

    zlib verifies the checksum where a member ends; at most what is asked for is inflated.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._codec = zlib.decompressobj(wbits=_ANY_HEADER)
        self._packed = b""

    def read(self, count: int) -> bytes:
        """Up to ``count`` bytes, none at the end; EOFError when the stream breaks off."""
        empty = 0
        while not self._at_end():
            empty += 1
            if empty > _MOST_EMPTY:
                raise EOFError("members of the compressed stream hold nothing")
            self._packed = self._packed or self._stream.read(_PACKED_CHUNK)
            if not self._packed:
                raise EOFError("the compressed stream breaks off")
            part = self._codec.decompress(self._packed, count)
            self._packed = self._codec.unconsumed_tail
            if part:
                return part
        return b""

    def _at_end(self) -> bool:
        """True after the last member; what follows and is no member is ignored, as by gzip."""
        if not self._codec.eof:
            return False
        rest = self._codec.unused_data or self._stream.read(_PACKED_CHUNK)
        if not rest.startswith(_GZIP_MAGIC):
            return True
        self._packed, self._codec = rest, zlib.decompressobj(wbits=_ANY_HEADER)
        return False


def _skip(source: IO[bytes], count: int) -> None:
    """Pass over ``count`` bytes in small steps: an offset is just a number in a header."""
    while count > 0:
        part = len(source.read(min(_CHUNK, count)))
        if not part:
            return
        count -= part


def _fill(source: IO[bytes], target: memoryview) -> int:
    """Read until ``target`` is full or the source ends; the number of bytes read."""
    filled = 0
    while filled < len(target):
        part = source.read(min(_CHUNK, len(target) - filled))
        if not part:
            break
        target[filled : filled + len(part)] = part
        filled += len(part)
    source.read(1)  # a compressed stream verifies its checksum where it ends
    return filled
