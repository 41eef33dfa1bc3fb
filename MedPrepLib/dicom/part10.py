"""A DICOM file on the disk (PS3.10): how it begins, and where its data set does."""

from __future__ import annotations

import os
import stat
from io import FileIO
from typing import BinaryIO

from MedPrepLib.dicom.elements import OddStreamError, is_vr, meta_elements
from MedPrepLib.errors import ReadError
from MedPrepLib.hiccups import is_hiccup

START_BYTES = 8192
"""What is read of a file at first; the header of most slices is shorter."""

META_START = 132
"""Where the file meta information begins: behind 128 bytes of anything and "DICM" (PS3.10)."""

_PROGRAMS = (b"MZ", b"\x7fELF", b"#!", b"PK", b"%PDF", b"<", b"\xca\xfe\xba\xbe",
             b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"Rar!", b"7z\xbc\xaf")  # fmt: skip
"""How programs of Windows, Linux and macOS, scripts, archives, PDF and HTML begin."""

_FIRST_GROUPS = (b"\x02\0", b"\0\x02", b"\x08\0", b"\0\x08")


def open_regular(path: str) -> FileIO:
    """The file at ``path``, unbuffered; only regular files are ever opened (no pipes, devices)."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - once per slice: Path costs as much as opening
        if not stat.S_ISREG(mode):
            raise ReadError("not a regular file")
        return FileIO(path)
    except OSError as error:
        if isinstance(error, ReadError) or is_hiccup(error):
            raise
        raise ReadError(f"cannot be opened ({error.strerror or type(error).__name__})") from None


def looks_like_dicom(start: bytes) -> bool:
    """True for "DICM" at byte 128, or a first element of group 2 or 8 with a plausible length."""
    if start[128:132] == b"DICM":
        return True
    if len(start) < 8 or start[:2] not in _FIRST_GROUPS or (start[2] and start[3]):
        return False
    return is_vr(start[4:6]) or 0 < int.from_bytes(start[4:8], "little") <= 1024


def begins_as_program(start: bytes) -> bool:
    """True when the preamble is that of a program, an archive or a page (a "polyglot").

    PS3.10 7.1 leaves the 128 bytes before "DICM" to anybody; TIFF may use them and is no danger.
    """
    return start.startswith(_PROGRAMS) and start[128:132] == b"DICM"


def file_meta(start: bytes) -> tuple[int, str]:
    """Where the data set begins, and the transfer syntax, by the file meta information.

    Raises OddStreamError when group 2 is not exactly as long as it says.
    """
    end = META_START + 12 + int.from_bytes(start[140:144], "little")
    if start[132:140] != b"\x02\x00\x00\x00UL\x04\x00" or not META_START + 12 < end <= len(start):
        raise OddStreamError("file meta information without a usable length")
    syntax = b""
    for element in meta_elements(start, META_START, end):
        if element.tag == 0x00020010:
            syntax = start[element.value : element.after].rstrip(b"\0 ")
    if not syntax or start[end : end + 2] == b"\x02\x00":
        raise OddStreamError("no transfer syntax, or more of group 2 than its length says")
    return end, syntax.decode("ascii", "replace")


def dataset_offset(file: BinaryIO) -> int:
    """Where the data set begins in a file with preamble; ReadError when that cannot be told."""
    file.seek(0)
    try:
        return file_meta(file.read(START_BYTES))[0]
    except OddStreamError as error:
        raise ReadError(str(error)) from None
