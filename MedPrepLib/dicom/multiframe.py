"""Enhanced multi-frame objects (CT, MR, PET) taken apart into one header per frame.

Position, orientation, spacing and scale lie in functional groups (PS3.3 C.7.6.16), per frame or
shared by all frames. Frames are then read like single files, each from its own bytes of the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from MedPrepLib.dicom.bounded import pydicom_reading, read_bounded
from MedPrepLib.dicom.elements import DEFLATED_LITTLE, MAX_HEADER_BYTES
from MedPrepLib.dicom.fragments import frame_extents
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.errors import ReadError, UnsupportedError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ENHANCED = frozenset(
    "1.2.840.10008.5.1.4.1.1." + tail for tail in ("2.1", "2.2", "4.1", "4.4", "128.1", "130")
)
"""Enhanced and legacy-converted CT, MR and PET."""

MAX_FRAMES = 20_000
_SHARED, _PER_FRAME = 0x52009229, 0x52009230

_GROUPS: tuple[tuple[str, str, str, str], ...] = (
    ("position", "PlanePositionSequence", "ImagePositionPatient", "triple"),
    ("orientation", "PlaneOrientationSequence", "ImageOrientationPatient", "six"),
    ("pixel_spacing", "PixelMeasuresSequence", "PixelSpacing", "pair"),
    ("slice_thickness_mm", "PixelMeasuresSequence", "SliceThickness", "float"),
    ("rescale_slope", "PixelValueTransformationSequence", "RescaleSlope", "float"),
    ("rescale_intercept", "PixelValueTransformationSequence", "RescaleIntercept", "float"),
    ("rescale_type", "PixelValueTransformationSequence", "RescaleType", "text"),
    ("b_value", "MRDiffusionSequence", "DiffusionBValue", "float"),
    ("echo_time_ms", "MREchoSequence", "EffectiveEchoTime", "float"),
    ("temporal_position", "FrameContentSequence", "TemporalPositionIndex", "int"),
    ("stack_id", "FrameContentSequence", "StackID", "text"),
    ("dimension_index", "FrameContentSequence", "DimensionIndexValues", "ints"),
    ("acquisition_number", "FrameContentSequence", "FrameAcquisitionNumber", "int"),
    ("complex_component", "MRImageFrameTypeSequence", "ComplexImageComponent", "text"),
    ("image_type", "MRImageFrameTypeSequence", "FrameType", "texts"),
    ("image_type", "CTImageFrameTypeSequence", "FrameType", "texts"),
    (
        "trigger_time_ms",
        "CardiacSynchronizationSequence",
        "NominalCardiacTriggerDelayTime",
        "float",
    ),
    (
        "gradient",
        "MRDiffusionSequence/DiffusionGradientDirectionSequence",
        "DiffusionGradientOrientation",
        "triple",
    ),
)
"""SliceHeader field, functional group (/ sequence in it), attribute, and how it is converted."""


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _several(value: Any, count: int) -> tuple[float, ...]:
    found = tuple(map(_finite, value))
    if len(found) != count:
        raise ValueError(f"{len(found)} numbers instead of {count}")
    return found


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "float": _finite,
    "pair": partial(_several, count=2),
    "triple": partial(_several, count=3),
    "six": partial(_several, count=6),
    "text": str,
    "ints": lambda value: tuple(int(v) for v in _many(value)),
    "texts": lambda value: tuple(str(v) for v in _many(value)),
}


def is_multiframe(header: SliceHeader) -> bool:
    """True for an object of several frames, or of a class that has them, not yet taken apart."""
    enhanced = header.sop_class_uid in ENHANCED and header.position is None
    return header.number_of_frames != 1 or enhanced


def frames_of(header: SliceHeader) -> tuple[SliceHeader, ...]:
    """One header per frame, in the order of the file.

    Frames of compressed objects get the offset and length of their own fragments. Raises
    UnsupportedError for classes without functional groups and for deflated objects, ReadError
    when the groups do not fit the number of frames or hold no numbers, or when the frames cannot
    be found in compressed pixel data.
    """
    frames = header.number_of_frames
    if header.sop_class_uid not in ENHANCED:
        raise UnsupportedError(f"a multi-frame object with {frames} frames of an old kind")
    if header.transfer_syntax == DEFLATED_LITTLE:
        raise UnsupportedError(f"a deflated multi-frame object with {frames} frames")
    if not 1 <= frames <= MAX_FRAMES:
        raise UnsupportedError(f"a multi-frame object with {frames} frames")
    with pydicom_reading():
        dataset = _functional_groups(header)
        shared = _first(dataset, "SharedFunctionalGroupsSequence")
        per_frame = list(dataset.get("PerFrameFunctionalGroupsSequence") or ())
        if len(per_frame) != frames:
            raise ReadError(f"{frames} frames but {len(per_frame)} functional groups")
        found = tuple(_frame(header, n, [own, shared]) for n, own in enumerate(per_frame))
    if header.is_native or header.pixel_offset < 0:
        return found
    return tuple(
        msgspec.structs.replace(frame, pixel_offset=offset, pixel_length=length)
        for frame, (offset, length) in zip(found, frame_extents(header), strict=True)
    )


def _functional_groups(header: SliceHeader) -> Dataset:
    limit = min(MAX_HEADER_BYTES, max(header.pixel_offset, 0))
    with Path(header.path).open("rb") as file:
        return read_bounded(file, limit, tags=(_SHARED, _PER_FRAME))


def _frame(header: SliceHeader, number: int, groups: list[Dataset | None]) -> SliceHeader:
    found: dict[str, Any] = {}
    for name, sequence, keyword, kind in _GROUPS:
        value = _value(groups, sequence, keyword)
        if value is not None:
            found[name] = _converted(value, kind, keyword)
    return msgspec.structs.replace(
        header,
        number_of_frames=1,
        frame=number,
        instance_number=number + 1,
        **found,
    )


def _value(groups: list[Dataset | None], sequence: str, keyword: str) -> Any:
    """The attribute of the frame's own group, else of the shared one; None when in neither."""
    for group in groups:
        item = group
        for name in sequence.split("/"):
            item = _first(item, name) if item is not None else None
        value = item.get(keyword) if item is not None else None
        if value is not None and value != "":
            return value
    return None


def _converted(value: Any, kind: str, keyword: str) -> Any:
    try:
        return _CONVERT[kind](value)
    except (TypeError, ValueError, OverflowError):
        raise ReadError(f"{keyword} does not hold the numbers it should") from None


def _many(value: Any) -> list[Any]:
    """The values of an attribute that pydicom gives alone when there is only one."""
    return [value] if isinstance(value, (str, int)) else list(value)


def _first(dataset: Dataset, sequence: str) -> Dataset | None:
    items = dataset.get(sequence)
    return items[0] if items else None
