"""DICOM Segmentation objects: one frame per segment and plane, put together on their own grid.

Source: DICOM PS3.3 A.51 and C.8.20; frames are placed by Plane Position, Plane Orientation and
Pixel Measures of the functional groups, never by their order. Binary objects and label maps are
read with pydicom alone. Fractional ones are read when every voxel is either nothing or the whole
(binary masks are often stored so); else they are refused, because a threshold would be a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from MedPrepLib import catalog
from MedPrepLib.errors import GeometryError
from MedPrepLib.formats.faults import MAX_VOXELS, FileFaultError, require_plausible
from MedPrepLib.formats.segnrrd import distinct_names
from MedPrepLib.geometry import FloatArray, Geometry
from MedPrepLib.masks.cielab import recommended_color
from MedPrepLib.masks.layers import LayerStack
from MedPrepLib.masks.objects import (
    coded,
    coded_side,
    decoding,
    items,
    kind_of,
    numbers,
    read_dataset,
)
from MedPrepLib.masks.remarks import Drawn, Remark
from MedPrepLib.segmentation import BoolArray, Segment, Segmentation

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

LATTICE_SLACK = 0.05
"""Part of the slice distance by which a frame may miss its slice (positions are decimal text)."""

MAX_PLANES = 10_000
"""A body of 2 m in slices of 0.2 mm."""

_LISTED = 10
"""Segments that a message names before it counts."""

_PLAIN_SYNTAXES = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"}


@dataclass(frozen=True)
class _Frames:
    """Where the frames lie: numbers per frame, and what they share."""

    positions: FloatArray
    """(n, 3): centers of the first pixel, LPS millimeters."""
    along_row: FloatArray
    along_column: FloatArray
    spacing: tuple[float, float]
    """Millimeters along a row (between columns), along a column (between rows)."""
    stated_gap: float
    """SpacingBetweenSlices; 0 when it is not given."""
    thickness: float
    """SliceThickness; 0 when it is not given."""
    segments: npt.NDArray[np.int64]
    """Segment number of each frame; 0 in label maps."""


@dataclass(frozen=True)
class _Content:
    """A decoded object; ``pixels`` has the shape (frames, rows, columns).

    ``padding``: the value of label maps that stands for no segment, besides 0.
    """

    segments: tuple[Segment, ...]
    frames: _Frames | None
    pixels: npt.NDArray[np.unsignedinteger[Any]]
    padding: int = 0


def read_dicom_seg(
    path: Path, geometry: Geometry | None, *, max_voxels: int = MAX_VOXELS
) -> Segmentation:
    """All segments of a DICOM SEG on the object's own grid; values are its segment numbers.

    Objects often hold only the planes (and the box) that some segment touches; ``geometry``, the
    image's grid, gives the slice distance where the object states none and lies on its slices,
    and the whole grid for an object without frames. Every segment of the Segment Sequence is
    listed, also an empty one. Overlapping segments get layers of their own. Raises
    FileFaultError: MASK_UNREADABLE, MASK_UNSUPPORTED (true fractions, compressed),
    IMPLAUSIBLE_SIZE.
    """
    return read_dicom_seg_with_remarks(path, geometry, max_voxels=max_voxels).segmentation


def read_dicom_seg_with_remarks(
    path: Path, geometry: Geometry | None, *, max_voxels: int = MAX_VOXELS
) -> Drawn:
    """As :func:`read_dicom_seg`; remarked is what the Segment Sequence does not describe."""
    if kind_of(path) != "seg":
        raise FileFaultError(catalog.MASK_UNSUPPORTED, "the file is no DICOM segmentation")
    with decoding():
        content = _content(read_dataset(path), max_voxels)
    if content.frames is None:
        if geometry is None:
            raise FileFaultError(catalog.MASK_UNREADABLE, "the segmentation has no frames")
        return Drawn(_stacked(content.segments, {}, geometry))
    planes, own = _own_grid(content.frames, content.pixels.shape, geometry)
    require_plausible(own.size, 1, available=1 << 60, ratio=1, max_voxels=max_voxels)
    masks = _masks(content, content.frames, planes, own)
    return Drawn(_stacked(content.segments, masks, own), _undescribed(content, masks))


def _undescribed(content: _Content, masks: dict[int, BoolArray]) -> tuple[Remark, ...]:
    known = {0, content.padding} | {segment.value for segment in content.segments}
    sizes = {number: int(mask.sum()) for number, mask in masks.items() if number not in known}
    words = [f"{number} ({size} voxels)" for number, size in sorted(sizes.items()) if size]
    if not words:
        return ()
    rest = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    message = f"segments that the object does not describe: {', '.join(words[:_LISTED])}{rest}"
    return (Remark(None, catalog.REGION_LEFT_OUT, message),)


def _content(dataset: Dataset, max_voxels: int) -> _Content:
    """What the object says and holds, decoded."""
    _require_supported(dataset)
    segments = _segments(dataset)
    count = int(numbers(dataset, "NumberOfFrames", 1)[0]) if "NumberOfFrames" in dataset else 0
    groups = items(dataset, "PerFrameFunctionalGroupsSequence")
    if len(groups) != count:
        raise FileFaultError(
            catalog.MASK_UNREADABLE, f"{count} frames are promised, {len(groups)} are described"
        )
    if not count:
        return _Content(segments, None, np.zeros((0, 0, 0), np.uint8))
    pixels = _pixels(dataset, count, max_voxels)
    if _kind(dataset) == "FRACTIONAL":
        _require_two_valued(pixels, int(numbers(dataset, "MaximumFractionalValue", 1)[0]))
    padding = int(dataset.get("PixelPaddingValue") or 0) if _kind(dataset) == "LABELMAP" else 0
    return _Content(segments, _frames(dataset, groups), pixels, padding)


def _kind(dataset: Dataset) -> str:
    return str(dataset.get("SegmentationType", "")).upper()


def _require_two_valued(pixels: npt.NDArray[np.unsignedinteger[Any]], whole: int) -> None:
    """FileFaultError when a fractional object holds fractions (PS3.3 C.8.20.2.3)."""
    parts = int(np.count_nonzero((pixels != 0) & (pixels != whole)))
    if parts:
        raise FileFaultError(
            catalog.MASK_UNSUPPORTED,
            f"a FRACTIONAL segmentation with {parts} voxels between 0 and the whole ({whole}); "
            "where its border lies is not said",
        )


def _require_supported(dataset: Dataset) -> None:
    kind = _kind(dataset)
    if kind not in {"BINARY", "LABELMAP", "FRACTIONAL"}:
        raise FileFaultError(
            catalog.MASK_UNSUPPORTED,
            f"a segmentation of type {kind[:16] or 'unknown'}; BINARY, LABELMAP and two-valued "
            "FRACTIONAL are read",
        )
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    if syntax not in _PLAIN_SYNTAXES:
        raise FileFaultError(
            catalog.MASK_UNSUPPORTED, "the frames of the DICOM segmentation are compressed"
        )


def _segments(dataset: Dataset) -> tuple[Segment, ...]:
    rows = items(dataset, "SegmentSequence")
    names = distinct_names([str(row.get("SegmentLabel", "")).strip() for row in rows])
    segments = []
    for name, row in zip(names, rows, strict=True):
        number = int(numbers(row, "SegmentNumber", 1)[0])
        if number == 0:  # label maps may list their background
            continue
        code = coded(row, "SegmentedPropertyTypeCodeSequence")
        side = coded_side(row, "SegmentedPropertyTypeCodeSequence")
        segments.append(Segment(name, number, 0, recommended_color(row), code, side=side))
    if len({s.value for s in segments}) != len(segments):
        raise FileFaultError(catalog.MASK_UNREADABLE, "two segments share a segment number")
    return tuple(segments)


def _stacked(
    segments: tuple[Segment, ...], masks: dict[int, BoolArray], geometry: Geometry
) -> Segmentation:
    stack = LayerStack(geometry, max((s.value for s in segments), default=1))
    nothing = np.zeros(geometry.shape, dtype=bool)
    for segment in segments:
        stack.add(segment, masks.get(segment.value, nothing))
    return stack.result()


def _frames(dataset: Dataset, groups: list[Any]) -> _Frames:
    shared = (items(dataset, "SharedFunctionalGroupsSequence") or [{}])[0]
    orientations = np.array(
        [
            numbers(_group(g, shared, "PlaneOrientationSequence"), "ImageOrientationPatient", 6)
            for g in groups
        ]
    )
    if np.abs(orientations - orientations[0]).max() > 1e-4:
        raise FileFaultError(
            catalog.MASK_UNSUPPORTED, "frames of the segmentation differ in orientation"
        )
    measures = _group(groups[0], shared, "PixelMeasuresSequence")
    row_gap, column_gap = numbers(measures, "PixelSpacing", 2)
    return _Frames(
        positions=np.array(
            [
                numbers(_group(g, shared, "PlanePositionSequence"), "ImagePositionPatient", 3)
                for g in groups
            ]
        ),
        along_row=orientations[0][:3],
        along_column=orientations[0][3:],
        spacing=(column_gap, row_gap),
        stated_gap=abs(float(measures.get("SpacingBetweenSlices") or 0.0)),
        thickness=abs(float(measures.get("SliceThickness") or 0.0)),
        segments=np.array([_segment_number(g, shared) for g in groups]),
    )


def _group(frame: Any, shared: Any, keyword: str) -> Any:
    found = items(frame, keyword) or items(shared, keyword)
    if not found:
        raise FileFaultError(catalog.MASK_UNREADABLE, f"the frames have no {keyword}")
    return found[0]


def _segment_number(frame: Any, shared: Any) -> int:
    found = items(frame, "SegmentIdentificationSequence") or items(
        shared, "SegmentIdentificationSequence"
    )
    return int(numbers(found[0], "ReferencedSegmentNumber", 1)[0]) if found else 0


def _own_grid(
    frames: _Frames, shape: tuple[int, ...], image: Geometry | None
) -> tuple[npt.NDArray[np.int64], Geometry]:
    """The slice of each frame, and the grid that holds all frames.

    The slice distance is the first of these on whose multiples the frames lie: the spacing between
    slices that the object states, the image's, the slice thickness, the smallest distance between
    frames. Objects that state none often hold only some slices of their image.
    """
    normal = np.cross(frames.along_row, frames.along_column)
    heights = frames.positions @ normal
    lowest = frames.positions[heights.argmin()]
    offsets = heights - heights.min()
    drift = frames.positions - lowest - np.outer(offsets, normal)
    if np.abs(drift).max() > LATTICE_SLACK * min(frames.spacing):
        raise FileFaultError(
            catalog.MASK_UNSUPPORTED, "frames of the segmentation are shifted in their plane"
        )
    gap = _slice_gap(frames, offsets, normal, image)
    span = float(offsets.max()) / gap
    if span >= MAX_PLANES:
        raise FileFaultError(
            catalog.IMPLAUSIBLE_SIZE,
            f"the frames span {span:.3g} slices, more than the limit of {MAX_PLANES}",
        )
    planes = np.rint(offsets / gap).astype(np.int64)
    affine = np.eye(4)
    affine[:3, 0] = frames.along_row * frames.spacing[0]
    affine[:3, 1] = frames.along_column * frames.spacing[1]
    affine[:3, 2] = normal * gap
    affine[:3, 3] = lowest
    try:
        grid = Geometry.from_affine(affine, (shape[2], shape[1], int(planes.max()) + 1))
    except GeometryError as error:
        raise FileFaultError(catalog.MASK_UNREADABLE, str(error)) from None
    return planes, grid


def _slice_gap(
    frames: _Frames, offsets: FloatArray, normal: FloatArray, image: Geometry | None
) -> float:
    stated, of_image = frames.stated_gap, 0.0
    if image is not None:
        along = np.abs(normal @ np.reshape(image.direction, (3, 3)))
        of_image = image.spacing[int(along.argmax())] if along.max() > 1 - 1e-4 else 0.0
    if abs(stated - of_image) <= LATTICE_SLACK * of_image:
        stated = 0.0  # the image's spacing, with fewer digits
    steps = np.diff(np.unique(np.round(offsets, 3)))
    smallest = float(steps.min()) if len(steps) else 0.0
    candidates = (stated, of_image, frames.thickness, smallest, 1.0)
    for gap in candidates:
        if gap > 0 and np.abs(offsets / gap - np.rint(offsets / gap)).max() <= LATTICE_SLACK:
            return gap
    raise FileFaultError(catalog.MASK_UNREADABLE, "the frames are not evenly spaced")


def _pixels(dataset: Dataset, count: int, max_voxels: int) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Frames as (n, rows, columns). Binary ones are packed, eight pixels a byte, lowest first."""
    rows, columns = int(numbers(dataset, "Rows", 1)[0]), int(numbers(dataset, "Columns", 1)[0])
    bits = int(numbers(dataset, "BitsAllocated", 1)[0])
    shape = (count, rows, columns)
    total = count * rows * columns
    data: bytes = dataset.get("PixelData") or b""
    need = -(-total * bits // 8)
    if bits not in {1, 8, 16} or len(data) < need:
        raise FileFaultError(
            catalog.MASK_UNREADABLE,
            f"{need} bytes of pixels of {bits} bits are promised, {len(data)} found",
        )
    require_plausible(shape, 1, available=len(data), ratio=8, max_voxels=4 * max_voxels)
    if bits == 1:
        packed = np.frombuffer(data, np.uint8, count=need)
        return np.unpackbits(packed, count=total, bitorder="little").reshape(shape)
    dtype = np.dtype("u1" if bits == 8 else "<u2")
    return np.frombuffer(data, dtype, count=total).reshape(shape)


def _masks(
    content: _Content, frames: _Frames, planes: npt.NDArray[np.int64], grid: Geometry
) -> dict[int, BoolArray]:
    """One boolean volume per segment that has a frame; frames of one plane are united."""
    masks: dict[int, BoolArray] = {}
    for frame, number, plane in zip(content.pixels, frames.segments, planes, strict=True):
        values = [int(number)] if number else [int(v) for v in np.unique(frame) if v]
        for value in values:
            mask = masks.setdefault(value, np.zeros(grid.shape, dtype=bool))
            mask[plane] |= frame.astype(bool) if number else frame == value
    return masks
