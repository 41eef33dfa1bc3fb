"""Standardizing: from stored values to the values a model sees, with exact statistics.

CT becomes int16 Hounsfield units clipped to a fixed range; every other modality keeps its values,
as int16 where they are integers that fit and as float32 otherwise. Everything is done in chunks:
besides the result no array as large as the volume is made, and not even the result where the
caller gives the volume up (``in_place``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib import catalog
from MedPrepLib.config.settings import Standardize
from MedPrepLib.dicom.padding import PADDING_LIMIT_HU
from MedPrepLib.errors import ConfigError, GeometryError
from MedPrepLib.findings import Finding
from MedPrepLib.histogram import CHUNK, LOWEST, Histogram, Moments, float_moments
from MedPrepLib.images import Volume, VoxelArray, voxels_to_overwrite
from MedPrepLib.results import Statistics
from MedPrepLib.segmentation import BoolArray
from MedPrepLib.window import window

__all__ = ["CtScale", "Standardized", "standardize", "window"]

OUTSIDE_FOV_HU = -1500
"""CT values up to here lie outside the reconstructed field of view (scanners write -2000, -2048,
-3024): no tissue or gas is below -1024."""

AIR_HU = -200
"""At least AIR_PART of a CT lies below: air around or within the body, or fat."""
AIR_PART = 0.01
TISSUE_HU = -300
"""At least TISSUE_PART of a CT lies above: soft tissue."""
TISSUE_PART = 0.005

INT16 = np.iinfo(np.int16)


@dataclass(frozen=True, eq=False)
class Standardized:
    """A standardized image. ``pad_value`` is what surrounds it: use it to fill and to crop.

    ``statistics`` leave padding out. A volume with a rejecting finding is still a valid volume
    (non-finite voxels hold ``pad_value``).
    """

    volume: Volume
    statistics: Statistics
    findings: tuple[Finding, ...]
    pad_value: float


def standardize(
    volume: Volume,
    modality: str,
    settings: Standardize,
    item: str,
    padding_value: float | None = None,
    *,
    padding: BoolArray | None = None,
    in_place: bool = False,
) -> Standardized:
    """The image as a model sees it.

    ``volume`` holds modality values (HU for CT), any integer or float type. ``modality`` is the
    DICOM Modality (0008,0060). ``padding_value`` is the PixelPaddingValue (0028,0120) in modality
    values; ``padding`` (k, j, i) marks other voxels that are no measurement. Findings about
    ``item``: NOT_FINITE, CONSTANT_IMAGE, NOT_HU, CLIPPED. Raises GeometryError when ``padding``
    has another shape,
    ConfigError when the CT range is empty.

    ``volume`` is left as it is. With ``in_place`` the caller, its only owner, gives it up: where
    its type is already that of the result (int16, float32) the result takes its memory.
    """
    if padding is not None and padding.shape != volume.array.shape:
        raise GeometryError(
            f"a padding mask of shape {padding.shape} does not fit {volume.array.shape}"
        )
    flat_mask = None if padding is None else padding.reshape(-1)
    if modality.upper() == "CT":
        room = _room(volume, in_place=in_place)
        return _standardize_ct(volume, settings, item, flat_mask, padding_value, room)
    array = _narrowed(volume, in_place=in_place)
    return _standardize_other(volume, settings, item, flat_mask, padding_value, array)


# --- CT ---------------------------------------------------------------------------------------
def _standardize_ct(
    volume: Volume,
    settings: Standardize,
    item: str,
    mask: BoolArray | None,
    padding_value: float | None,
    result: npt.NDArray[np.int16],
) -> Standardized:
    scale = CtScale(settings)
    scale.add(volume.array.reshape(-1), result.reshape(-1), padding_value, mask)
    return scale.standardized(volume.with_array(result), item)


class CtScale:
    """Brings a CT to the scale that models see, in as many parts as it comes in.

    The statistics are exact and do not depend on the parts. Raises ConfigError when the CT range
    is empty.
    """

    def __init__(self, settings: Standardize) -> None:
        self._low, self._high = settings.ct_low_hu, settings.ct_high_hu
        if self._low >= self._high:
            limit = f"is not below ct_high_hu, {self._high} HU"
            raise ConfigError([f"$.standardize.ct_low_hu: {self._low} HU {limit}"])
        self._settings = settings
        self._histogram = Histogram()
        self._marked = self._not_finite = 0

    @property
    def pad_value(self) -> float:
        """What surrounds the image."""
        return float(self._low)

    def add(
        self,
        source: VoxelArray,
        target: npt.NDArray[np.int16],
        padding_value: float | None = None,
        mask: BoolArray | None = None,
    ) -> None:
        """Put the standardized values of ``source`` into ``target``; both flat.

        They may be the same memory. ``padding_value`` and ``mask`` as for :func:`standardize`.
        """
        if padding_value is not None and padding_value > PADDING_LIMIT_HU:
            padding_value = None
        for part in _chunks(source.size):
            values, broken = _saturated(source[part])
            marked = None if mask is None else mask[part]
            padded = _padded(source[part], marked, padding_value, broken)
            self._not_finite += 0 if broken is None else int(np.count_nonzero(broken))
            # Counted before clipping, which may be done in place.
            counted = values if padded is None else values[~padded]
            _, highest = self._histogram.add(counted, self._low)
            if padded is not None or highest > self._high:
                np.clip(values, self._low, self._high, out=target[part])
            elif not np.may_share_memory(values, target):
                target[part] = values
            if padded is not None:
                self._marked += int(np.count_nonzero(padded))
                target[part][padded] = self._low

    def found(self, item: str) -> tuple[Statistics, tuple[Finding, ...]]:
        """The statistics of all that was added, and what is to be said about it."""
        low, high = self._low, self._high
        inside = self._histogram.without(OUTSIDE_FOV_HU)
        moments = inside.clipped(low, high).moments(self._settings.percentiles)
        below, above = inside.between(LOWEST, low - 1), inside.between(high + 1, INT16.max)
        padding = self._marked + self._histogram.between(LOWEST, OUTSIDE_FOV_HU)
        findings = (
            *_common_findings(item, self._not_finite, moments),
            *_hu_findings(item, inside, moments),
            *_clip_findings(item, inside, below, above, self._settings),
        )
        return _statistics(moments, padding, below, above), findings

    def standardized(self, volume: Volume, item: str) -> Standardized:
        """``volume``, which holds everything that was added, and what was found."""
        statistics, findings = self.found(item)
        return Standardized(volume, statistics, findings, self.pad_value)


def _room(volume: Volume, *, in_place: bool) -> npt.NDArray[np.int16]:
    """Where the result is written: the volume's own memory, or new memory."""
    if in_place and volume.array.dtype == np.int16:
        return voxels_to_overwrite(volume)
    return np.empty(volume.array.shape, dtype=np.int16)


def _saturated(chunk: VoxelArray) -> tuple[npt.NDArray[np.int16], BoolArray | None]:
    """Rounded (half to even) and saturated to int16; and where it is not finite, if anywhere.

    Clipping comes before the cast: an unsigned 65535 must not become -1.
    """
    if chunk.dtype.kind == "b" or np.can_cast(chunk.dtype, np.int16):
        return chunk.astype(np.int16, copy=False), None
    if chunk.dtype.kind in "iu":
        bounds = np.iinfo(chunk.dtype)
        low, high = max(INT16.min, bounds.min), min(INT16.max, bounds.max)
        return np.clip(chunk, low, high).astype(np.int16), None
    broken = ~np.isfinite(chunk)
    finite = np.where(broken, 0, chunk) if broken.any() else chunk
    rounded = np.clip(np.rint(finite), INT16.min, INT16.max).astype(np.int16)
    return rounded, broken if broken.any() else None


def _padded(
    source: VoxelArray,
    mask: BoolArray | None,
    padding_value: float | None,
    broken: BoolArray | None,
) -> BoolArray | None:
    """Voxels marked as padding, a value that need not be a whole number.

    Those at or below OUTSIDE_FOV_HU show in the histogram anyway.
    """
    parts = [part for part in (mask, broken) if part is not None]
    if padding_value is not None and padding_value > OUTSIDE_FOV_HU:
        parts.append(np.equal(source, np.float64(padding_value)))
    if not parts:
        return None
    padded: BoolArray = np.logical_or.reduce(parts)
    return padded if padded.any() else None


def _hu_findings(item: str, inside: Histogram, moments: Moments) -> Iterator[Finding]:
    if not moments.count or moments.minimum == moments.maximum:
        return
    air = inside.between(LOWEST, AIR_HU) / moments.count
    tissue = inside.between(TISSUE_HU, INT16.max) / moments.count
    if air < AIR_PART or tissue < TISSUE_PART:
        yield catalog.NOT_HU.at(
            item,
            f"{100 * air:.2f} % of the voxels are at most {AIR_HU} HU (expected at least "
            f"{100 * AIR_PART:g} %) and {100 * tissue:.2f} % at least {TISSUE_HU} HU (expected at "
            f"least {100 * TISSUE_PART:g} %)",
        )


def _clip_findings(
    item: str, inside: Histogram, below: int, above: int, settings: Standardize
) -> Iterator[Finding]:
    if below or above:
        raw = inside.moments(())
        yield catalog.CLIPPED.at(
            item,
            f"{below} voxels below {settings.ct_low_hu} HU and {above} above "
            f"{settings.ct_high_hu} HU were clipped; values went from {raw.minimum:g} to "
            f"{raw.maximum:g} HU",
        )


# --- everything else --------------------------------------------------------------------------
def _standardize_other(
    volume: Volume,
    settings: Standardize,
    item: str,
    mask: BoolArray | None,
    padding_value: float | None,
    array: VoxelArray,
) -> Standardized:
    broken = _zero_non_finite(array.reshape(-1))
    left_out = _left_out(array.reshape(-1), mask, padding_value, broken)
    padding = 0 if left_out is None else int(np.count_nonzero(left_out))
    moments = _moments(array.reshape(-1), left_out, settings.percentiles)
    # An image whose values are all positive is surrounded by no signal; a centered one by its
    # own lowest value.
    pad_value = min(0.0, moments.minimum)
    if broken is not None:
        array.reshape(-1)[broken] = pad_value
    not_finite = 0 if broken is None else int(np.count_nonzero(broken))
    findings = tuple(_common_findings(item, not_finite, moments))
    statistics = _statistics(moments, padding)
    return Standardized(volume.with_array(array), statistics, findings, pad_value)


def _narrowed(volume: Volume, *, in_place: bool) -> VoxelArray:
    """The voxels as int16 where they fit and as float32 where not; a copy unless ``in_place``."""
    dtype = np.dtype(np.int16 if _fits_int16(volume.array.reshape(-1)) else np.float32)
    if in_place and volume.array.dtype == dtype:
        return voxels_to_overwrite(volume)
    with np.errstate(over="ignore"):  # what overflows float32 is found as infinite afterwards
        return volume.array.astype(dtype)


def _fits_int16(flat: VoxelArray) -> bool:
    """True when every value is an integer between -32768 and 32767."""
    if flat.dtype.kind == "b" or np.can_cast(flat.dtype, np.int16):
        return True
    for part in _chunks(flat.size):
        chunk = flat[part]
        inside = bool(((chunk >= INT16.min) & (chunk <= INT16.max)).all())
        if not inside or (chunk.dtype.kind == "f" and bool((np.rint(chunk) != chunk).any())):
            return False
    return True


def _zero_non_finite(flat: VoxelArray) -> BoolArray | None:
    """Set non-finite values to 0 in place; where they were, if anywhere."""
    if flat.dtype.kind != "f" or all(np.isfinite(flat[p]).all() for p in _chunks(flat.size)):
        return None
    broken: BoolArray = ~np.isfinite(flat)
    flat[broken] = 0
    return broken


def _left_out(
    flat: VoxelArray,
    mask: BoolArray | None,
    padding_value: float | None,
    broken: BoolArray | None,
) -> BoolArray | None:
    parts = [part for part in (mask, broken) if part is not None]
    if padding_value is not None:
        parts += [_equal(flat, padding_value)]
    if not parts:
        return None
    merged = parts[0].copy()
    for part in parts[1:]:
        merged |= part
    return merged


def _equal(flat: VoxelArray, value: float) -> BoolArray:
    same = np.zeros(flat.shape, dtype=np.bool_)
    for part in _chunks(flat.size):
        # As float64 on purpose: a padding value need not fit the array's type.
        np.equal(flat[part], np.float64(value), out=same[part])
    return same


def _moments(flat: VoxelArray, left_out: BoolArray | None, percentiles: Sequence[float]) -> Moments:
    if flat.dtype.kind == "f":
        return float_moments(flat if left_out is None else flat[~left_out], percentiles)
    histogram = Histogram()
    for part in _chunks(flat.size):
        chunk = flat[part]
        histogram.add(chunk if left_out is None else chunk[~left_out[part]])
    return histogram.moments(percentiles)


# --- both -------------------------------------------------------------------------------------
def _chunks(size: int) -> Iterator[slice]:
    for start in range(0, size, CHUNK):
        yield slice(start, min(start + CHUNK, size))


def _common_findings(item: str, not_finite: int, moments: Moments) -> Iterator[Finding]:
    if not_finite:
        yield catalog.NOT_FINITE.at(item, f"{not_finite} voxels are NaN or infinite")
    if not moments.count:
        yield catalog.CONSTANT_IMAGE.at(item, "no voxel is left after padding is taken away")
    elif moments.minimum == moments.maximum:
        yield catalog.CONSTANT_IMAGE.at(
            item, f"all {moments.count} voxels have the value {moments.minimum:g}"
        )


def _statistics(
    moments: Moments, padding: int, clipped_low: int = 0, clipped_high: int = 0
) -> Statistics:
    return Statistics(
        count=moments.count,
        mean=moments.mean,
        std=moments.std,
        minimum=moments.minimum,
        maximum=moments.maximum,
        percentiles=moments.percentiles,
        padding=padding,
        clipped_low=clipped_low,
        clipped_high=clipped_high,
    )
