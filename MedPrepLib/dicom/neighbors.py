"""Reading the headers of many files: those that resemble one of the last are only compared.

Every header is what ``read_header`` says of the file alone, whatever was read before; a test reads
mutated files in turns to make sure.
"""

from __future__ import annotations

import os
import stat
from io import FileIO

from MedPrepLib.dicom.headers import SliceHeader, read_opened
from MedPrepLib.dicom.part10 import META_START, START_BYTES
from MedPrepLib.dicom.pattern import Pattern, pattern_of
from MedPrepLib.dicom.rawheader import RawHeader, asked_for
from MedPrepLib.errors import ReadError
from MedPrepLib.hiccups import is_hiccup

MAX_PATTERNS = 32
"""So many series may lie mixed in one folder before patterns are forgotten."""

_MAX_CHANGING = 256
_PATIENCE = 8
"""A pattern that failed more often, and for more than every 16th file, is not made anew."""

_SERIES = b"\x20\x00\x0e\x00"
"""(0020,000E) SeriesInstanceUID, little endian."""

_USUALLY_CHANGING = frozenset(
    {
        0x00020003,  # MediaStorageSOPInstanceUID
        0x00080013,  # InstanceCreationTime
        0x00080018,  # SOPInstanceUID
        0x00080032,  # AcquisitionTime
        0x00080033,  # ContentTime
        0x00200013,  # InstanceNumber
        0x00200032,  # ImagePositionPatient
        0x00201041,  # SliceLocation
    }
)
_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
)
"""What has become a link since it was listed is not followed, a pipe is not waited for."""


class HeaderParser:
    """Reads headers one after the other; for one thread, one per scan."""

    def __init__(self, key_tags: tuple[str, ...] = ()) -> None:
        self._asked = asked_for(key_tags)
        self._patterns: dict[bytes, Pattern] = {}
        self._last: Pattern | None = None
        self._changing = set(_USUALLY_CHANGING)

    def read(self, path: str) -> SliceHeader:
        """The header of the file at ``path``, which was listed as a regular file.

        Raises NotDicomError and ReadError as ``read_header`` does; OSError for a hiccup.
        """
        try:
            file = os.open(path, _FLAGS)
        except OSError as error:
            if is_hiccup(error):
                raise
            why = error.strerror or type(error).__name__
            raise ReadError(f"cannot be opened ({why})") from None
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise ReadError("not a regular file")
            return self._read(path, file, status)
        finally:
            os.close(file)

    def _read(self, path: str, file: int, status: os.stat_result) -> SliceHeader:
        start = os.read(file, START_BYTES)
        if self._last is not None:
            header = self._last.header(path, file, status, start, self._asked)
            if header is not None:
                self._last.hits += 1
                return header
        kind = _kind(start)
        pattern = self._patterns.get(kind)
        if pattern is not None and pattern is not self._last:
            header = pattern.header(path, file, status, start, self._asked)
            if header is not None:
                pattern.hits += 1
                self._last = pattern
                return header
        with FileIO(file, closefd=False) as opened:
            opened.seek(len(start))
            header, raw = read_opened(path, opened, status, start, self._asked)
        self._learn(kind, pattern, file, header, raw)
        return header

    def _learn(
        self, kind: bytes, old: Pattern | None, file: int, header: SliceHeader, raw: RawHeader
    ) -> None:
        """Make a pattern of a header that fitted none; one that keeps failing is left as it is."""
        if old is not None:
            old.misses += 1
            if old.misses > max(_PATIENCE, old.hits // 16):
                return
        pattern = pattern_of(file, header, raw, self._asked, self._changing)
        if pattern is None:
            return
        if old is not None:
            learned = old.differing(pattern) - self._changing
            if learned and len(self._changing) + len(learned) <= _MAX_CHANGING:
                self._changing |= learned
                pattern = pattern_of(file, header, raw, self._asked, self._changing) or pattern
            pattern.hits, pattern.misses = old.hits, old.misses
            del self._patterns[kind]
        elif len(self._patterns) >= MAX_PATTERNS:
            del self._patterns[next(iter(self._patterns))]
        self._patterns[kind] = self._last = pattern


def _kind(start: bytes) -> bytes:
    """Whose pattern to try, by the bytes that name the series; a hint, nothing relies on it."""
    place = start.find(_SERIES, META_START)
    return start[META_START : META_START + 12] + (start[place : place + 72] if place > 0 else b"")
