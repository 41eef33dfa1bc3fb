"""The attributes of a DICOM header that MedPrep keeps, and how their bytes become values.

Each converter takes the raw bytes of one element and gives the value, or raises ValueError. Text
in other character sets than ASCII is decoded by pydicom. Tags and value representations are those
of PS3.6.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from MedPrepLib.dicom.quiet import quiet_pydicom

Order = Literal["little", "big"]
Value = Any
"""str, int, float or a tuple of these, as the field of SliceHeader says."""

CHARACTER_SET, ROWS, PIXEL_REPRESENTATION = 0x00080005, 0x00280010, 0x00280103
MANUFACTURER = 0x00080070


class Context(NamedTuple):
    """What the meaning of bytes depends on besides the element itself."""

    order: Order
    character_set: bytes
    signed_pixels: bool


class Field(NamedTuple):
    """One attribute: the SliceHeader field it fills. ``vital``: voxels depend on it."""

    name: str
    keyword: str
    tag: int
    convert: Callable[[bytes, Context], Value]
    vital: bool = False


def text(raw: bytes, context: Context) -> str:
    """Text without the padding at its end."""
    return _decoded(raw, context).rstrip("\0 ")


def code(raw: bytes, context: Context) -> str:
    """A code or UID: blanks at both ends mean nothing."""
    return _decoded(raw, context).strip("\0 ")


def codes(raw: bytes, context: Context) -> tuple[str, ...]:
    """Several codes separated by backslashes."""
    whole = code(raw, context)
    return tuple(part.strip() for part in whole.split("\\")) if whole else ()


def joined(raw: bytes, context: Context) -> str:
    """Several texts as one, e.g. "I31f, 3" for a kernel with a strength."""
    return ", ".join(codes(raw, context))


def number(raw: bytes, context: Context) -> float:
    """The first value of a decimal string (DS)."""
    return numbers(raw, context)[0]


def numbers(raw: bytes, _: Context) -> tuple[float, ...]:
    """All values of a decimal string (DS); finite or ValueError."""
    values = tuple(map(float, raw.rstrip(b"\0 ").split(b"\\")))
    if not all(map(math.isfinite, values)):
        raise ValueError("not finite")
    return values


def pair(raw: bytes, context: Context) -> tuple[float, float]:
    """Two decimal strings."""
    first, second = numbers(raw, context)
    return first, second


def triple(raw: bytes, context: Context) -> tuple[float, float, float]:
    """Three decimal strings."""
    x, y, z = numbers(raw, context)
    return x, y, z


def six(raw: bytes, context: Context) -> tuple[float, float, float, float, float, float]:
    """Six decimal strings."""
    a, b, c, d, e, f = numbers(raw, context)
    return a, b, c, d, e, f


def integer(raw: bytes, context: Context) -> int:
    """The first value of an integer string (IS); "3.0" counts as 3."""
    value = number(raw, context)
    if not value.is_integer():
        raise ValueError("not an integer")
    return int(value)


def unsigned(raw: bytes, context: Context) -> int:
    """A binary number of 16 or 32 bits (US, UL)."""
    if len(raw) not in (2, 4):
        raise ValueError(f"{len(raw)} bytes are no number")
    return int.from_bytes(raw, context.order)


def stored_value(raw: bytes, context: Context) -> int:
    """A stored pixel value (US or SS), with the sign of the pixels.

    The pixels' own sign decides, not the VR: writers mix US and SS up here.
    """
    if len(raw) not in (2, 4):
        raise ValueError(f"{len(raw)} bytes are no pixel value")
    return int.from_bytes(raw, context.order, signed=context.signed_pixels)


def double(raw: bytes, context: Context) -> float:
    """A binary floating-point number (FD, FL)."""
    prefix = "<" if context.order == "little" else ">"
    layout = {4: "f", 8: "d"}.get(len(raw))
    if layout is None:
        raise ValueError(f"{len(raw)} bytes are no number")
    value = float(struct.unpack(prefix + layout, raw)[0])
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value


def doubles(raw: bytes, context: Context) -> tuple[float, float, float]:
    """Three binary numbers of 64 bits (FD)."""
    if len(raw) != 24:
        raise ValueError(f"{len(raw)} bytes are no direction")
    x, y, z = (double(raw[start : start + 8], context) for start in (0, 8, 16))
    return x, y, z


def filled(raw: bytes, _: Context) -> bool:
    """True for a sequence with items, in more than the eight bytes of its end."""
    return len(raw) > 8


def ge_b_value(raw: bytes, context: Context) -> float:
    """GE's b-value: the first integer, to which some versions add 1e9."""
    return number(raw, context) % 100_000


FIELDS: tuple[Field, ...] = (
    Field("image_type", "ImageType", 0x00080008, codes),
    Field("sop_class_uid", "SOPClassUID", 0x00080016, code),
    Field("sop_uid", "SOPInstanceUID", 0x00080018, code),
    Field("study_date", "StudyDate", 0x00080020, code),
    Field("modality", "Modality", 0x00080060, code),
    Field("manufacturer", "Manufacturer", MANUFACTURER, text),
    Field("institution", "InstitutionName", 0x00080080, text),
    Field("station", "StationName", 0x00081010, text),
    Field("study_description", "StudyDescription", 0x00081030, text),
    Field("series_description", "SeriesDescription", 0x0008103E, text),
    Field("model", "ManufacturerModelName", 0x00081090, text),
    Field("patient_id", "PatientID", 0x00100020, text),
    Field("issuer", "IssuerOfPatientID", 0x00100021, text),
    Field("sex", "PatientSex", 0x00100040, code),
    Field("age", "PatientAge", 0x00101010, code),
    Field("contrast_agent", "ContrastBolusAgent", 0x00180010, text),
    Field("body_part", "BodyPartExamined", 0x00180015, code),
    Field("slice_thickness_mm", "SliceThickness", 0x00180050, number),
    Field("kvp", "KVP", 0x00180060, number),
    Field("repetition_time_ms", "RepetitionTime", 0x00180080, number),
    Field("echo_time_ms", "EchoTime", 0x00180081, number),
    Field("echo_number", "EchoNumbers", 0x00180086, integer),
    Field("field_strength_t", "MagneticFieldStrength", 0x00180087, number),
    Field("trigger_time_ms", "TriggerTime", 0x00181060, number),
    Field("gantry_tilt_deg", "GantryDetectorTilt", 0x00181120, number),
    Field("kernel", "ConvolutionKernel", 0x00181210, joined),
    Field("b_value", "DiffusionBValue", 0x00189087, double),
    Field("gradient", "DiffusionGradientOrientation", 0x00189089, doubles),
    Field("complex_component", "ComplexImageComponent", 0x00089208, code),
    Field("study_uid", "StudyInstanceUID", 0x0020000D, code),
    Field("series_uid", "SeriesInstanceUID", 0x0020000E, code),
    Field("acquisition_number", "AcquisitionNumber", 0x00200012, integer),
    Field("instance_number", "InstanceNumber", 0x00200013, integer),
    Field("position", "ImagePositionPatient", 0x00200032, triple, vital=True),
    Field("orientation", "ImageOrientationPatient", 0x00200037, six, vital=True),
    Field("frame_of_reference_uid", "FrameOfReferenceUID", 0x00200052, code),
    Field("temporal_position", "TemporalPositionIdentifier", 0x00200100, integer),
    Field("images_in_acquisition", "ImagesInAcquisition", 0x00201002, integer),
    Field("concatenation_uid", "ConcatenationUID", 0x00209161, code),
    Field("in_concatenation", "InConcatenationNumber", 0x00209162, unsigned),
    Field("concatenation_total", "InConcatenationTotalNumber", 0x00209163, unsigned),
    Field("samples", "SamplesPerPixel", 0x00280002, unsigned, vital=True),
    Field("photometric", "PhotometricInterpretation", 0x00280004, code),
    Field("number_of_frames", "NumberOfFrames", 0x00280008, integer, vital=True),
    Field("rows", "Rows", ROWS, unsigned, vital=True),
    Field("columns", "Columns", 0x00280011, unsigned, vital=True),
    Field("pixel_spacing", "PixelSpacing", 0x00280030, pair, vital=True),
    Field("bits_allocated", "BitsAllocated", 0x00280100, unsigned, vital=True),
    Field("bits_stored", "BitsStored", 0x00280101, unsigned, vital=True),
    Field("high_bit", "HighBit", 0x00280102, unsigned, vital=True),
    Field(
        "pixel_representation", "PixelRepresentation", PIXEL_REPRESENTATION, unsigned, vital=True
    ),
    Field("padding_value", "PixelPaddingValue", 0x00280120, stored_value),
    Field("padding_limit", "PixelPaddingRangeLimit", 0x00280121, stored_value),
    Field("burned_in", "BurnedInAnnotation", 0x00280301, code),
    Field("rescale_intercept", "RescaleIntercept", 0x00281052, number, vital=True),
    Field("rescale_slope", "RescaleSlope", 0x00281053, number, vital=True),
    Field("rescale_type", "RescaleType", 0x00281054, code),
    Field("lossy", "LossyImageCompression", 0x00282110, code),
    Field("modality_lut", "ModalityLUTSequence", 0x00283000, filled),
)
PRIVATE_B_VALUES: dict[str, Field] = {
    "SIEMENS": Field("b_value", "", 0x0019100C, number),
    "PHILIPS": Field("b_value", "", 0x20011003, double),
    "GE": Field("b_value", "", 0x00431039, ge_b_value),
}
"""Where vendors keep the b-value when (0018,9087) is absent, by the start of Manufacturer."""

SIEMENS_GRADIENT = Field("gradient", "", 0x0019100E, doubles)
"""Where Siemens keeps the direction when (0018,9089) is absent."""

BY_TAG: dict[int, Field] = {field.tag: field for field in FIELDS}
TAG_OF: dict[str, int] = {field.keyword: field.tag for field in FIELDS}
WANTED: frozenset[int] = frozenset(
    [*BY_TAG, *(f.tag for f in PRIVATE_B_VALUES.values()), SIEMENS_GRADIENT.tag, CHARACTER_SET]
)


def context_of(elements: Mapping[int, bytes], order: Order) -> Context:
    """What the other elements of a header say about how each of them is to be read."""
    signed = any(elements.get(PIXEL_REPRESENTATION, b"")[:2])
    return Context(order, elements.get(CHARACTER_SET, b""), signed)


def decode(elements: Mapping[int, bytes], order: Order) -> tuple[dict[str, Value], tuple[str, ...]]:
    """SliceHeader fields by name, and the keywords of vital attributes that are unreadable.

    Empty elements and unreadable ones that no voxel depends on count as absent.
    """
    context = context_of(elements, order)
    values: dict[str, Value] = {}
    unreadable: list[str] = []
    for tag, raw in elements.items():
        field = BY_TAG.get(tag)
        if field is None or not raw:
            continue
        try:
            values[field.name] = field.convert(raw, context)
        except ValueError:
            if field.vital and raw.strip(b"\0 "):
                unreadable.append(field.keyword)
    vendor = str(values.get("manufacturer", "")).upper()
    if "b_value" not in values:
        values |= _private(elements, vendor, PRIVATE_B_VALUES, context)
    if "gradient" not in values:
        values |= _private(elements, vendor, {"SIEMENS": SIEMENS_GRADIENT}, context)
    return values, tuple(unreadable)


def _private(
    elements: Mapping[int, bytes], manufacturer: str, fields: Mapping[str, Field], context: Context
) -> dict[str, Value]:
    """What a vendor keeps in an element of its own; ``fields`` by the start of Manufacturer."""
    for vendor, field in fields.items():
        raw = elements.get(field.tag)
        if raw and manufacturer.startswith(vendor):
            try:
                return {field.name: field.convert(raw, context)}
            except ValueError:
                return {}
    return {}


def _decoded(raw: bytes, context: Context) -> str:
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    return _decoded_by_pydicom(raw, context.character_set)


def _decoded_by_pydicom(raw: bytes, character_set: bytes) -> str:
    from pydicom.charset import convert_encodings, decode_bytes

    names = character_set.decode("ascii", "replace").strip("\0 ").split("\\")
    with quiet_pydicom():
        try:
            decoded = decode_bytes(raw, convert_encodings(names), {0x0A, 0x0C, 0x0D, 0x5C})
        except (LookupError, ValueError, TypeError):  # Python has codecs that are no text: "rot13"
            decoded = raw.decode("ascii", "replace")
    return decoded.replace("\ufffd", "?")
