"""What one DICOM file says, read once and cheaply, without its pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from MedPrepLib.dicom.fields import decode
from MedPrepLib.dicom.part10 import START_BYTES, begins_as_program, looks_like_dicom, open_regular
from MedPrepLib.dicom.rawheader import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Asked,
    RawHeader,
    asked_for,
    read_raw,
)
from MedPrepLib.dicom.references import referenced_series
from MedPrepLib.errors import ReadError

__all__ = [
    "EXPLICIT_BIG",
    "REFERENCING",
    "RTSTRUCT",
    "SEGMENTATION",
    "NotDicomError",
    "SliceHeader",
    "header_of",
    "is_dicom",
    "read_header",
    "read_opened",
]

Pair = tuple[float, float]
Triple = tuple[float, float, float]
Six = tuple[float, float, float, float, float, float]

NATIVE = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG})
"""Transfer syntaxes whose pixels lie in the file as plain numbers."""

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
"""Label Map Segmentation Storage (supplement 243)."""
REFERENCING = frozenset({RTSTRUCT, SEGMENTATION, LABEL_MAP})
"""SOP classes that are drawn on an image series and say on which."""


class NotDicomError(ReadError):
    """The content is not DICOM, whatever the file is called."""


class SliceHeader(msgspec.Struct, frozen=True, gc=False):
    """The header of one file; None, "" and () mean absent. Private: holds ids and the path.

    ``pixel_spacing`` is (row, column) distance in millimeters as in (0028,0030); ``position`` and
    ``orientation`` are LPS millimeters and cosines as in (0020,0032) and (0020,0037).
    ``pixel_offset`` is where the value of the pixel data begins in the file, -1 without pixel
    data; ``pixel_length`` its bytes, -1 when encapsulated (of a frame taken out of a compressed
    multi-frame file both are its own). ``frame`` counts from 0 inside a multi-frame file.
    ``unreadable`` names vital attributes whose values make no sense, and
    ``present`` those of the asked key attributes that have a value. ``referenced_series`` are
    the SeriesInstanceUIDs an RTSTRUCT or SEG was drawn on. ``gradient`` is the direction of the
    diffusion gradient; ``stack_id`` and ``dimension_index`` are known of multi-frame objects only.
    ``program``: the file begins like one. ``swapped_bytes``: of pixels of 8 bits, which lie in
    16-bit words of a big-endian file.
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
    study_date: str = ""
    modality: str = ""
    manufacturer: str = ""
    model: str = ""
    institution: str = ""
    station: str = ""
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
    rescale_slope: float | None = None
    rescale_intercept: float | None = None
    rescale_type: str = ""
    modality_lut: bool = False
    padding_value: int | None = None
    padding_limit: int | None = None
    pixel_offset: int = -1
    pixel_length: int = 0
    float_pixels: bool = False
    swapped_bytes: bool = False
    instance_number: int | None = None
    acquisition_number: int | None = None
    temporal_position: int | None = None
    images_in_acquisition: int | None = None
    concatenation_uid: str = ""
    in_concatenation: int | None = None
    concatenation_total: int | None = None
    trigger_time_ms: float | None = None
    echo_time_ms: float | None = None
    echo_number: int | None = None
    b_value: float | None = None
    gradient: Triple | None = None
    complex_component: str = ""
    stack_id: str = ""
    dimension_index: tuple[int, ...] = ()
    repetition_time_ms: float | None = None
    field_strength_t: float | None = None
    slice_thickness_mm: float | None = None
    kvp: float | None = None
    gantry_tilt_deg: float | None = None
    referenced_series: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    program: bool = False

    @property
    def is_native(self) -> bool:
        """True when the pixels lie in the file as plain numbers."""
        return self.transfer_syntax in NATIVE and self.pixel_length >= 0

    @property
    def slope(self) -> float:
        """RescaleSlope (0028,1053); where it is absent, stored values are the values: 1."""
        return 1.0 if self.rescale_slope is None else self.rescale_slope

    @property
    def intercept(self) -> float:
        """RescaleIntercept (0028,1052); 0 where it is absent."""
        return 0.0 if self.rescale_intercept is None else self.rescale_intercept

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        return (self.rows * self.columns * self.samples * self.bits_allocated + 7) // 8


def is_dicom(path: str) -> bool:
    """True when the content of the regular file at ``path`` looks like DICOM.

    "DICM" at byte 128 (PS3.10), or, for files without preamble, a first element of group 2 or 8
    with a plausible length. Raises ReadError when the file cannot be opened.
    """
    with open_regular(path) as file:
        return looks_like_dicom(file.read(START_BYTES))


def read_header(path: str, key_tags: Sequence[str] = ()) -> SliceHeader:
    """The header of the DICOM file at ``path``; no pixel data are read.

    ``key_tags`` are DICOM keywords whose presence (with a value) is reported in ``present``.
    Raises NotDicomError for other content, ReadError for a damaged file or one that is no
    regular file, ConfigError for a keyword that does not exist. Many files of a series are read
    faster by ``neighbors.HeaderParser``.
    """
    asked = asked_for(tuple(key_tags))
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        return read_opened(path, file, status, file.read(START_BYTES), asked)[0]


def read_opened(
    path: str, file: BinaryIO, status: os.stat_result, start: bytes, asked: Asked
) -> tuple[SliceHeader, RawHeader]:
    """The header of an open file that begins with ``start``, and its undecoded elements."""
    if not looks_like_dicom(start):
        raise NotDicomError("no DICOM content")
    raw = read_raw(file, status.st_size, start, asked)
    if begins_as_program(start):
        raw = raw._replace(program=True)
    header = header_of(path, status, raw, asked)
    if header.sop_class_uid in REFERENCING:
        header = _with_references(header, file)
    return header, raw


def header_of(path: str, status: os.stat_result, raw: RawHeader, asked: Asked) -> SliceHeader:
    """The header that undecoded elements make."""
    values, unreadable = decode(raw.elements.values, raw.order)
    return SliceHeader(
        path=path,
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        transfer_syntax=raw.transfer_syntax,
        pixel_offset=raw.elements.pixel_offset,
        pixel_length=raw.elements.pixel_length,
        float_pixels=raw.elements.pixel_tag in (0x7FE00008, 0x7FE00009),
        swapped_bytes=_are_swapped(values.get("bits_allocated"), raw),
        unreadable=unreadable,
        present=_present(asked, raw),
        program=raw.program,
        **values,
    )


def _are_swapped(bits_allocated: int | None, raw: RawHeader) -> bool:
    """Two pixels in each 16-bit word of a big-endian file: the second one comes first."""
    return bits_allocated == 8 and raw.order == "big" and raw.elements.pixel_words


def _present(asked: Asked, raw: RawHeader) -> tuple[str, ...]:
    values = raw.elements.values
    return tuple(k for k, tag in asked.keys if values.get(tag, b"").strip(b"\0 "))


def _with_references(header: SliceHeader, file: BinaryIO) -> SliceHeader:
    return msgspec.structs.replace(header, referenced_series=referenced_series(file))
