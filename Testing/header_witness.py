"""What pydicom says of the attributes that MedPrep keeps, in the types of SliceHeader."""

from __future__ import annotations

import math

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue

COUNTS = {"PixelSpacing": 2, "ImagePositionPatient": 3, "ImageOrientationPatient": 6}
"""How many numbers an attribute has; of the others the first counts when there are several."""

WHOLE = frozenset(("EchoNumbers", "AcquisitionNumber", "InstanceNumber", "NumberOfFrames",
                   "TemporalPositionIdentifier", "ImagesInAcquisition"))  # fmt: skip


def expected(ds: Dataset, keyword: str, fallback: object) -> object:
    """The value of ``keyword``; ``fallback`` when it is absent, empty or cannot be converted."""
    try:
        value = ds.get(keyword)
    except (TypeError, ValueError, OverflowError, BytesLengthException):
        return fallback
    if isinstance(fallback, bool):
        return bool(value)
    if value is None or value == "":
        return fallback
    if isinstance(fallback, str):
        if isinstance(value, MultiValue):
            return (", " if keyword == "ConvolutionKernel" else "\\").join(map(str, value))
        return str(value)
    if keyword == "ImageType":
        return tuple(str(v).strip() for v in ([value] if isinstance(value, str) else value))
    try:
        return _numbers(value, keyword, fallback)
    except (TypeError, ValueError, OverflowError):  # NumberOfFrames "1A" in one of pydicom's files
        return fallback


def _numbers(value: object, keyword: str, fallback: object) -> object:
    numbers = tuple(map(float, value)) if isinstance(value, MultiValue) else (float(value),)
    if not all(map(math.isfinite, numbers)):
        return fallback
    count = COUNTS.get(keyword, 1)
    if count > 1:
        return numbers if len(numbers) == count else fallback
    return fallback if keyword in WHOLE and not numbers[0].is_integer() else numbers[0]
