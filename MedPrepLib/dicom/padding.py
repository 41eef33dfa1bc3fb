"""Voxels that no detector saw, as PixelPaddingValue (0028,0120) marks them in a slice.

What is marked is no measurement: it gets one value of its own and is left out of statistics. A
mark is believed only where it can be one. Many headers of CT carry a padding value of 0 without
meaning it, or a range that reaches up to it, and would blank all water.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.images import VoxelArray

BoolArray = npt.NDArray[np.bool_]

PADDING_LIMIT_HU = -1000
"""A PixelPaddingValue (0028,0120) above air is no padding one could tell from tissue: headers
that carry 0 without an intercept would blank all water."""

_HIGHEST_HU = 32767
"""Above is no CT number, not of metal either: 65535 in unsigned pixels marks what it says."""


def marked_range(header: SliceHeader) -> tuple[int, int] | None:
    """Stored values from..to that mark padding in this slice; None when nothing does.

    The range goes to PixelPaddingRangeLimit (0028,0121), on either side of the value (PS3.3
    C.7.5.1.1.2). Of a CT (and of what says no Modality) a range with values that tissue has is not
    believed: it is the value alone then, if no tissue has that.
    """
    value, limit = header.padding_value, header.padding_limit
    if value is None:
        return None
    whole = (value, value) if limit is None else (min(value, limit), max(value, limit))
    may_be_ct = header.modality.upper() in {"CT", ""}
    for low, high in (whole, (value, value)):
        if not may_be_ct or _is_apart_from_tissue(header, low, high):
            return low, high
    return None


def _is_apart_from_tissue(header: SliceHeader, low: int, high: int) -> bool:
    """True when no measured voxel of a CT has one of the stored values from ``low`` to ``high``."""
    least, most = stored_range(header)
    if header.high_bit in (None, header.bits_stored - 1) and (high < least or low > most):
        return True  # above BitsStored
    values = sorted(v * header.slope + header.intercept for v in (low, high))
    return values[1] <= PADDING_LIMIT_HU or values[0] > _HIGHEST_HU


def stored_range(header: SliceHeader) -> tuple[int, int]:
    """The values that BitsStored can hold."""
    bits = header.bits_stored
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if header.pixel_representation else (
        0, (1 << bits) - 1,
    )  # fmt: skip


def padding_mask(stored: VoxelArray, header: SliceHeader) -> BoolArray | None:
    """Voxels marked as outside the field of view; None when there are none.

    Judged before unused high bits are cleared: the mark may lie outside of BitsStored.
    """
    marks = marked_range(header)
    if marks is None:
        return None
    low, high = marks
    mask: BoolArray = stored == low if low == high else (stored >= low) & (stored <= high)
    return mask if mask.any() else None


def common_padding(headers: Sequence[SliceHeader]) -> float | None:
    """The modality value of the padding when it is one and the same wherever a slice marks any."""
    marks = [(h, marks) for h in headers if (marks := marked_range(h)) is not None]
    values = {low * h.slope + h.intercept for h, (low, _) in marks}
    ranges = any(low != high for _, (low, high) in marks)
    return values.pop() if len(values) == 1 and not ranges else None


def fill_padding(
    array: VoxelArray, masks: Mapping[int, BoolArray], common: float | None
) -> float | None:
    """Give all padding voxels one value that no other voxel has."""
    if not masks:
        return None
    fill = np.float32(common) if common is not None else None
    if fill is None:
        lowest = np.float32(array.min())
        fill = np.float32(lowest - max(np.float32(1), abs(lowest)))
    for number, mask in masks.items():
        array[number][mask] = fill
    return float(fill)
