"""The voxels of a series in modality values (Hounsfield units, SUV...), scaled slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.dicom.padding import common_padding, fill_padding, padding_mask, stored_range
from MedPrepLib.dicom.stack import stack_geometry, stack_of
from MedPrepLib.dicom.stored import load_stored, stored_bytes, stored_dtype
from MedPrepLib.errors import GeometryError, ReadError, SourceChangedError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, VoxelArray

__all__ = [
    "NotInt16Error",
    "SeriesPixels",
    "int16_slabs",
    "read_series",
    "series_geometry",
    "stored_bytes",
]

_LOW, _HIGH = -32768, 32767
_PADDING_INT16 = _LOW


@dataclass(frozen=True, eq=False)
class SeriesPixels:
    """A volume in modality values and what lies outside the field of view.

    ``padding`` is the value that the ``padding_voxels`` voxels marked by PixelPaddingValue
    (0028,0120) have, and no other voxel; None when no voxel is marked. It is no measurement.
    """

    volume: Volume
    padding: float | None = None
    padding_voxels: int = 0


class NotInt16Error(Exception):
    """A modality value that int16 cannot hold; the series is to be read again as float32."""


def read_series(headers: Sequence[SliceHeader]) -> SeriesPixels:
    """The volume (k, j, i) of slices that are in order along their normal, as ``arrange`` gives.

    int16 when every RescaleSlope is 1, every intercept is an integer and all values fit; float32
    otherwise, computed in double precision with each slice's own slope and intercept. Values are
    those of the modality: MONOCHROME1 is not inverted, no lookup table is applied.

    Raises GeometryError for slices that form no grid, ReadError (naming the slice, expected and
    found bytes) for truncated or undecodable pixels, SourceChangedError when a file is not the
    one that was scanned, UnsupportedError where a codec is missing.
    """
    geometry = series_geometry(headers)
    if _may_be_int16(headers):
        try:
            return _read_int16(headers, geometry)
        except NotInt16Error:
            pass
    return _read_float32(headers, geometry)


def series_geometry(headers: Sequence[SliceHeader]) -> Geometry:
    """The grid of slices in order; GeometryError for slices that form none."""
    stack = stack_of(headers)
    if stack.headers != tuple(headers):
        raise GeometryError("the slices are not in order along their normal")
    if len({(h.rows, h.columns) for h in headers}) > 1:
        raise GeometryError("the slices differ in size")
    return stack_geometry(stack)


def _read_int16(headers: Sequence[SliceHeader], geometry: Geometry) -> SeriesPixels:
    array = np.empty(geometry.shape, dtype=np.int16)
    marked = _fill_int16(headers, array, 0)
    fill = _fill_value(headers)
    return SeriesPixels(Volume(array, geometry), float(fill) if marked else None, marked)


def int16_slabs(
    headers: Sequence[SliceHeader], depth: int
) -> Iterator[tuple[npt.NDArray[np.int16], float | None]]:
    """The slices of a series in slabs of ``depth`` (the last may be thinner), and their padding.

    Values and padding are those of :func:`read_series` where it gives int16. Each slab takes the
    memory of the one before. Raises NotInt16Error, at once or on the way, where read_series gives
    float32, and what read_series raises.
    """
    geometry = series_geometry(headers)
    if not _may_be_int16(headers):
        raise NotInt16Error("a rescale slope or intercept is no integer")
    fill = float(_fill_value(headers))
    buffer = np.empty((min(depth, len(headers)), *geometry.shape[1:]), dtype=np.int16)
    for first in range(0, len(headers), depth):
        slab = buffer[: min(depth, len(headers) - first)]
        marked = _fill_int16(headers, slab, first)
        yield slab, fill if marked else None


def _fill_int16(headers: Sequence[SliceHeader], array: npt.NDArray[np.int16], first: int) -> int:
    """Read slices ``first``... into ``array`` (k, j, i); how many voxels are padding."""
    fill = _fill_value(headers)
    marked = 0
    for offset in range(array.shape[0]):
        number, out = first + offset, array[offset]
        header = headers[number]
        stored = _loaded(header, out, number, len(headers))
        padding = padding_mask(stored, header)
        if padding is not None:
            stored[padding] = 0
            marked += int(np.count_nonzero(padding))
        _correct_bits(stored, header)
        _shift_into(stored, out, header)
        if padding is not None:
            if fill == _PADDING_INT16 and out.min() == _PADDING_INT16:
                raise NotInt16Error("a measured voxel has the value of padding")
            out[padding] = fill
    return marked


def _fill_value(headers: Sequence[SliceHeader]) -> int:
    """What padding voxels hold in int16."""
    fill = common_padding(headers)
    return _PADDING_INT16 if fill is None or not _LOW <= fill <= _HIGH else int(fill)


def _may_be_int16(headers: Sequence[SliceHeader]) -> bool:
    return all(h.slope == 1 and h.intercept.is_integer() for h in headers)


def _read_float32(headers: Sequence[SliceHeader], geometry: Geometry) -> SeriesPixels:
    array = np.empty(geometry.shape, dtype=np.float32)
    scratch = np.empty(geometry.shape[1:], dtype=np.float64)
    masks: dict[int, npt.NDArray[np.bool_]] = {}
    for number, header in enumerate(headers):
        stored = _loaded(header, None, number, len(headers))
        padding = padding_mask(stored, header)
        if padding is not None:
            stored[padding] = 0
            masks[number] = padding
        _correct_bits(stored, header)
        np.multiply(stored, header.slope, out=scratch)
        np.add(scratch, header.intercept, out=scratch)
        with np.errstate(over="ignore"):  # infinite voxels are found and named by standardize
            array[number] = scratch
    fill = fill_padding(array, masks, common_padding(headers))
    marked = sum(int(np.count_nonzero(mask)) for mask in masks.values())
    return SeriesPixels(Volume(array, geometry), fill, marked)


def _loaded(header: SliceHeader, out: VoxelArray | None, number: int, count: int) -> VoxelArray:
    """Stored values of a slice: in the memory of ``out`` where they have 16 bits, else new."""
    dtype = stored_dtype(header)
    if out is not None and dtype.itemsize == 2:
        stored: VoxelArray = out.view(dtype)
    else:
        stored = np.empty((header.rows, header.columns), dtype=dtype)
    try:
        load_stored(header, stored)
    except SourceChangedError:
        raise
    except ReadError as error:
        raise ReadError(f"slice {number + 1} of {count}: {error}") from None
    return stored


def _correct_bits(stored: VoxelArray, header: SliceHeader) -> None:
    """Shift down to HighBit and extend the sign (or clear what lies above BitsStored), in place.

    Bits above BitsStored belong to overlays in old files. Arrays without such bits, the rule, are
    only looked through.
    """
    bits, allocated = header.bits_stored, header.bits_allocated
    high = header.high_bit if header.high_bit is not None else bits - 1
    if bits >= allocated:
        return
    shift = high - (bits - 1)
    low, top = stored_range(header)
    if shift <= 0 and stored.max() <= top and (stored.dtype.kind == "u" or stored.min() >= low):
        return
    unsigned = stored.view(f"u{stored.dtype.itemsize}")
    unsigned <<= np.array(max(allocated - 1 - high, 0), dtype=unsigned.dtype)
    stored >>= np.array(allocated - bits, dtype=stored.dtype)


def _shift_into(stored: VoxelArray, out: VoxelArray, header: SliceHeader) -> None:
    """Stored values plus intercept as int16, in place where they share memory.

    Two's complement makes the addition exact modulo 65,536, so that unsigned values need no wider
    type on the way; whether the result fits is judged before, on true values.
    """
    intercept = int(header.intercept)
    low, top = stored_range(header)
    if low + intercept < _LOW or top + intercept > _HIGH:
        low, top = int(stored.min()), int(stored.max())
        if low + intercept < _LOW or top + intercept > _HIGH:
            raise NotInt16Error(f"values from {low + intercept} to {top + intercept}")
    if not np.shares_memory(stored, out):
        np.copyto(out, stored, casting="unsafe")
    if intercept:
        wrapped = (intercept + 32768) % 65536 - 32768
        np.add(out, np.int16(wrapped), out=out)
