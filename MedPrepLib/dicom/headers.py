"""What one DICOM file says, read once and cheaply, without its pixels."""

from __future__ import annotations

import functools
import os
import stat
import zlib
from collections.abc import Sequence
from io import BytesIO, FileIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from MedPrepLib.dicom.elements import (
    DEFLATED_LITTLE,
    MAX_HEADER_BYTES,
    Elements,
    OddStreamError,
    is_vr,
    walk,
)
from MedPrepLib.dicom.fields import ROWS, TAG_OF, WANTED, Order, decode
from MedPrepLib.errors import ConfigError, ReadError
from MedPrepLib.hiccups import is_hiccup

Pair = tuple[float, float]
Triple = tuple[float, float, float]
Six = tuple[float, float, float, float, float, float]

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
NATIVE = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG})
"""Transfer syntaxes whose pixels lie in the file as plain numbers."""

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
REFERENCING = frozenset({RTSTRUCT, SEGMENTATION})
"""SOP classes that are drawn on an image series and say on which."""

_START_BYTES = 8192
_FIRST_GROUPS = (b"\x02\0", b"\0\x02", b"\x08\0", b"\0\x08")
_GIVE_UP = 0x00540000
"""Objects without Rows up to here (reports, structure sets, plans) hold no pixel data."""


class NotDicomError(ReadError):
    """The content is not DICOM, whatever the file is called."""


class SliceHeader(msgspec.Struct, frozen=True, omit_defaults=True):
    """The header of one file; None, "" and () mean absent. Private: holds ids and the path.

    ``pixel_spacing`` is (row, column) distance in millimeters as in (0028,0030); ``position`` and
    ``orientation`` are LPS millimeters and cosines as in (0020,0032) and (0020,0037).
    ``pixel_offset`` is where the value of the pixel data begins in the file, -1 without pixel
    data; ``pixel_length`` its bytes, -1 when encapsulated. ``frame`` counts from 0 inside a
    multi-frame file. ``unreadable`` names vital attributes whose values make no sense, and
    ``present`` those of the asked key attributes that have a value. ``referenced_series`` are
    the SeriesInstanceUIDs an RTSTRUCT or SEG was drawn on.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    transfer_syntax: str = ""
    sop_class_uid: str = ""
    sop_uid: str = ""
    study_uid: str = ""
    series_uid: str = ""
    frame_of_reference_uid: str = ""
    patient_id: str = ""
    issuer: str = ""
    sex: str = ""
    age: str = ""
    modality: str = ""
    manufacturer: str = ""
    model: str = ""
    study_description: str = ""
    series_description: str = ""
    body_part: str = ""
    contrast_agent: str = ""
    kernel: str = ""
    image_type: tuple[str, ...] = ()
    burned_in: str = ""
    lossy: str = ""
    photometric: str = ""
    rows: int = 0
    columns: int = 0
    samples: int = 1
    bits_allocated: int = 0
    bits_stored: int = 0
    high_bit: int | None = None
    pixel_representation: int = 0
    number_of_frames: int = 1
    frame: int = 0
    pixel_spacing: Pair | None = None
    position: Triple | None = None
    orientation: Six | None = None
    slope: float = 1.0
    intercept: float = 0.0
    padding_value: int | None = None
    padding_limit: int | None = None
    pixel_offset: int = -1
    pixel_length: int = 0
    float_pixels: bool = False
    instance_number: int | None = None
    acquisition_number: int | None = None
    temporal_position: int | None = None
    images_in_acquisition: int | None = None
    trigger_time_ms: float | None = None
    echo_time_ms: float | None = None
    echo_number: int | None = None
    b_value: float | None = None
    repetition_time_ms: float | None = None
    field_strength_t: float | None = None
    slice_thickness_mm: float | None = None
    kvp: float | None = None
    gantry_tilt_deg: float | None = None
    referenced_series: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    present: tuple[str, ...] = ()

    @property
    def is_native(self) -> bool:
        """True when the pixels lie in the file as plain numbers."""
        return self.transfer_syntax in NATIVE and self.pixel_length >= 0

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        return (self.rows * self.columns * self.samples * self.bits_allocated + 7) // 8


class _Asked(NamedTuple):
    """Key attributes as (keyword, tag), all tags to keep, and the last of them."""

    keys: tuple[tuple[str, int], ...]
    wanted: frozenset[int]
    last: int


class _Raw(NamedTuple):
    """Undecoded elements of a whole file."""

    elements: Elements
    transfer_syntax: str
    order: Order


def is_dicom(path: str) -> bool:
    """True when the content of the regular file at ``path`` looks like DICOM.

    "DICM" at byte 128 (PS3.10), or, for files without preamble, a first element of group 2 or 8
    with a plausible length. Raises ReadError when the file cannot be opened.
    """
    with open_regular(path) as file:
        return _looks_like_dicom(file.read(_START_BYTES))


def read_header(path: str, key_tags: Sequence[str] = ()) -> SliceHeader:
    """The header of the DICOM file at ``path``; no pixel data are read.

    ``key_tags`` are DICOM keywords whose presence (with a value) is reported in ``present``.
    Raises NotDicomError for other content, ReadError for a damaged file or one that is no
    regular file, ConfigError for a keyword that does not exist.
    """
    asked = _asked(tuple(key_tags))
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        start = file.read(_START_BYTES)
        if not _looks_like_dicom(start):
            raise NotDicomError("no DICOM content")
        raw = _read_raw(file, status.st_size, start, asked)
        values, unreadable = decode(raw.elements.values, raw.order)
        header = SliceHeader(
            path=path,
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
            transfer_syntax=raw.transfer_syntax,
            pixel_offset=raw.elements.pixel_offset,
            pixel_length=raw.elements.pixel_length,
            float_pixels=raw.elements.pixel_tag in (0x7FE00008, 0x7FE00009),
            unreadable=unreadable,
            present=_present(asked.keys, raw.elements),
            **values,
        )
        return _with_references(header, file) if header.sop_class_uid in REFERENCING else header


def _with_references(header: SliceHeader, file: BinaryIO) -> SliceHeader:
    from MedPrepLib.dicom.references import referenced_series

    return msgspec.structs.replace(header, referenced_series=referenced_series(file))


def open_regular(path: str) -> FileIO:
    """The file at ``path``, unbuffered; only regular files are ever opened (no pipes, devices)."""
    try:
        mode = Path(path).stat().st_mode
        if not stat.S_ISREG(mode):
            raise ReadError("not a regular file")
        return FileIO(path)
    except OSError as error:
        if isinstance(error, ReadError) or is_hiccup(error):
            raise
        raise ReadError(f"cannot be opened ({error.strerror or type(error).__name__})") from None


def _looks_like_dicom(start: bytes) -> bool:
    if start[128:132] == b"DICM":
        return True
    if len(start) < 8 or start[:2] not in _FIRST_GROUPS or (start[2] and start[3]):
        return False
    return is_vr(start[4:6]) or 0 < int.from_bytes(start[4:8], "little") <= 1024


def dataset_offset(file: BinaryIO) -> int:
    """Where the data set begins in a file with preamble; ReadError when that cannot be told."""
    file.seek(0)
    try:
        return _meta(file.read(_START_BYTES))[0]
    except OddStreamError as error:
        raise ReadError(str(error)) from None


def _read_raw(file: BinaryIO, size: int, start: bytes, asked: _Asked) -> _Raw:
    """Elements by the fast walk where the file is plain, by pydicom where it is not."""
    if start[128:132] == b"DICM":
        try:
            return _walk_plain(file, size, start, asked)
        except OddStreamError:
            pass
    from MedPrepLib.dicom.fallback import read_with_pydicom

    file.seek(0)
    elements, syntax, order = read_with_pydicom(file.read(MAX_HEADER_BYTES), asked.wanted)
    return _Raw(elements, syntax, order)


def _walk_plain(file: BinaryIO, size: int, start: bytes, asked: _Asked) -> _Raw:
    place, syntax = _meta(start)
    if syntax == EXPLICIT_BIG:
        raise OddStreamError("big endian")
    stream, buffer = file, start[place:]
    if syntax == DEFLATED_LITTLE:
        file.seek(place)
        stream, buffer = _inflated(file), b""
        size, place = len(stream.getbuffer()), 0
    elements = walk(
        stream,
        size,
        place,
        implicit=syntax == IMPLICIT_LITTLE,
        wanted=asked.wanted,
        give_up_tag=asked.last,
        needed_tag=ROWS,
        buffer=buffer,
    )
    return _Raw(elements, syntax, "little")


def _meta(start: bytes) -> tuple[int, str]:
    """Where the data set begins, and the transfer syntax; group 2 is always explicit little."""
    length = int.from_bytes(start[140:144], "little")
    end = 144 + length
    if start[132:140] != b"\x02\x00\x00\x00UL\x04\x00" or not 0 < length <= len(start) - 144:
        raise OddStreamError("file meta information without a usable length")
    place = start.find(b"\x02\x00\x10\x00UI", 144, end)
    if place < 0:
        raise OddStreamError("no transfer syntax")
    syntax_bytes = int.from_bytes(start[place + 6 : place + 8], "little")
    syntax = start[place + 8 : place + 8 + syntax_bytes].rstrip(b"\0 ")
    return end, syntax.decode("ascii", "replace")


def _inflated(file: BinaryIO) -> BytesIO:
    """The beginning of a deflated data set, at most MAX_HEADER_BYTES of it."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return BytesIO(inflater.decompress(file.read(MAX_HEADER_BYTES), MAX_HEADER_BYTES))
    except zlib.error:
        raise ReadError("deflated data set: the compressed stream is damaged") from None


@functools.lru_cache(maxsize=8)
def _asked(keywords: tuple[str, ...]) -> _Asked:
    """The tags of the key attributes, found once per process and not once per file."""
    keys = []
    for keyword in keywords:
        tag = TAG_OF.get(keyword)
        if tag is None:
            from pydicom.datadict import tag_for_keyword

            tag = tag_for_keyword(keyword)
        if tag is None:
            raise ConfigError([f"$.screen.key_tags: {keyword!r} is no DICOM keyword"])
        keys.append((keyword, tag))
    wanted = WANTED.union(tag for _, tag in keys)
    return _Asked(tuple(keys), wanted, max(_GIVE_UP, *wanted))


def _present(keys: tuple[tuple[str, int], ...], elements: Elements) -> tuple[str, ...]:
    values = elements.values
    return tuple(k for k, tag in keys if values.get(tag, b"").strip(b"\0 "))
