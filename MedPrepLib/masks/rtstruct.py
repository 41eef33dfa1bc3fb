"""RTSTRUCT: contours in the world, filled on the grid of the image they were drawn on.

Source: DICOM PS3.3 C.8.8.5 (Structure Set) and C.8.8.6 (ROI Contour); even-odd filling of voxel
centers (polygons.py), which reproduces the masks of the IBSI reference cohort exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.dicom.annotated import PLANE_TOLERANCE
from MedPrepLib.dicom.decimals import MAX_POINTS, points_of
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.formats.segnrrd import distinct_names
from MedPrepLib.geometry import FloatArray, Geometry
from MedPrepLib.labels import Color, Terminology
from MedPrepLib.masks.layers import LayerStack
from MedPrepLib.masks.objects import coded, coded_side, decoding, items, kind_of, read_dataset
from MedPrepLib.masks.planes import (
    MAX_TILT,
    Planes,
    empty_between,
    pixels_outside,
    planes_of,
)
from MedPrepLib.masks.polygons import fill_even_odd
from MedPrepLib.masks.remarks import Drawn, Remark
from MedPrepLib.segmentation import BoolArray, Segment, Segmentation
from MedPrepLib.sides import Side

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_DISTANCE_MM = 1e5
"""Of a contour point from the origin; the longest tables are 2 m."""

_ELSEWHERE = "the region lies in another frame of reference than the image"
_CLOSED = {"CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "CLOSED_PLANAR_XOR"}


@dataclass(frozen=True)
class Roi:
    """One region: closed contours as arrays (n, 3) of LPS millimeters.

    ``frame``: the UID of its frame of reference; private, for comparison only. ``opened``: how
    many points and open lines are drawn besides.
    """

    name: str
    color: Color | None
    terminology: Terminology | None
    contours: tuple[FloatArray, ...]
    side: Side = ""
    frame: str = ""
    opened: int = 0


@dataclass(frozen=True)
class Structures:
    """The regions of an RTSTRUCT in file order, and every frame of reference that it names.

    ``open_rois``: regions of nothing but points and open lines.
    """

    rois: tuple[Roi, ...]
    open_rois: tuple[Roi, ...]
    frames: frozenset[str]


def read_rtstruct(path: Path, geometry: Geometry) -> Segmentation:
    """The regions of an RTSTRUCT on the image grid ``geometry``, values 1, 2, 3... in file order.

    A plane of contours belongs to the slice whose center lies nearest along the normal. Contours
    of one region on one plane combine by exclusive or (holes, keyholes), and one that is stored
    twice counts once; where a slice has several planes, as when a thick-sliced image is combined
    with contours drawn elsewhere, the nearest plane alone is used. Slices between planes are not
    interpolated. All of that is remarked. A region with an item of the ROI Contour Sequence but
    no contours in it stays listed (annotated empty); one without an item, or with points or open
    lines only, is left out, as are such contours beside closed ones, which is remarked. What lies
    beyond the grid is left out and counted, by segment (``Segment.outside``). Regions share one
    layer unless they overlap. One that encloses no voxel center is empty, which is remarked.

    Regions with contours that are not parallel to the slices are left out; the object is refused
    (MASK_UNSUPPORTED) when nothing is left. Raises FileFaultError.
    """
    return read_rtstruct_with_remarks(path, geometry, "").segmentation


def read_rtstruct_with_remarks(path: Path, geometry: Geometry, frame: str) -> Drawn:
    """As :func:`read_rtstruct`, and what a person should know about each region.

    ``frame``: the UID of the image's frame of reference, where it is known. Regions of another
    one are left out of an object that names the image's. (An object that does not is another
    matter: all of it was drawn elsewhere, or copied; see ``belonging``.)
    """
    found = read_structures(path)
    names = distinct_names([roi.name for roi in found.rois])
    stack = LayerStack(geometry, max(len(found.rois), 1))
    remarks: list[Remark] = []
    for value, (name, roi) in enumerate(zip(names, found.rois, strict=True), start=1):
        segment = Segment(name, value, 0, roi.color, roi.terminology, side=roi.side)
        elsewhere = frame in found.frames and roi.frame not in {"", frame}
        planes = planes_of(() if elsewhere else roi.contours, geometry)
        why = _ELSEWHERE if elsewhere else _tilted(planes)
        if why:
            remarks.append(Remark(segment, catalog.REGION_LEFT_OUT, why, lost=True))
            continue
        segment = replace(segment, outside=pixels_outside(planes, geometry))
        mask, start, stop = _filled(planes.polygons, geometry)
        stack.add(segment, mask, (slice(start, stop), slice(None), slice(None)))
        remarks += _region_remarks(segment, roi.opened, planes, geometry)
        if roi.contours and not (segment.outside or mask.any()):
            remarks.append(Remark(segment, catalog.LESION_LOST, _too_small(len(roi.contours))))
    segmentation = stack.result()
    if found.rois and not segmentation.segments:
        raise FileFaultError(catalog.MASK_UNSUPPORTED, f"no region is left: {remarks[0].message}")
    open_only = tuple(_bare(roi) for roi in found.open_rois)
    return Drawn(segmentation, tuple(remarks), open_only=open_only)


def _too_small(contours: int) -> str:
    drawn = "the only contour encloses" if contours == 1 else f"its {contours} contours enclose"
    return f"{drawn} no voxel center: too small for the grid of the image"


def _bare(roi: Roi) -> Segment:
    return Segment(roi.name, 1, 0, roi.color, roi.terminology, side=roi.side)


def read_structures(path: Path) -> Structures:
    """The regions of an RTSTRUCT; FileFaultError when it is none."""
    if kind_of(path) != "rtstruct":
        raise FileFaultError(catalog.MASK_UNSUPPORTED, "the file is no RTSTRUCT")
    with decoding():
        dataset = read_dataset(path)
        every = _rois(dataset)
        rois, open_rois = (
            tuple(roi for roi in every if (not roi.contours and roi.opened > 0) == is_open)
            for is_open in (False, True)
        )
        named = items(dataset, "ReferencedFrameOfReferenceSequence")
        frames = [str(x.get("FrameOfReferenceUID") or "") for x in (dataset, *named)]
        known = frozenset([*frames, *(roi.frame for roi in rois)]) - {""}
        return Structures(rois, open_rois, known)


def _rois(dataset: Dataset) -> tuple[Roi, ...]:
    if "ROIContourSequence" not in dataset:
        raise FileFaultError(
            catalog.MASK_UNREADABLE, "the RTSTRUCT has no ROI contours; was it cut off?"
        )
    drawn = _by_number(dataset, "ROIContourSequence")
    observed = _by_number(dataset, "RTROIObservationsSequence")
    rois: list[Roi] = []
    left = MAX_POINTS
    for row in items(dataset, "StructureSetROISequence"):
        number = str(row.get("ROINumber"))
        listed = drawn.get(number, [])
        sequence = [c for entry in listed for c in items(entry, "ContourSequence")]
        closed = [c for c in sequence if str(c.get("ContourGeometricType")) in _CLOSED]
        if not listed:
            continue
        points = tuple(_points(c) for c in closed)
        left -= sum(map(len, points))
        if left < 0:
            raise FileFaultError(
                catalog.MASK_UNREADABLE, f"the contours have more than {MAX_POINTS} points"
            )
        seen = observed.get(number, [{}])[-1]
        roi = _roi(row, number, listed, seen, points)
        rois.append(replace(roi, opened=len(sequence) - len(closed)))
    return tuple(rois)


def _by_number(dataset: Dataset, keyword: str) -> dict[str, list[Any]]:
    """Items by the region that they are about; some programs write several for one."""
    found: dict[str, list[Any]] = {}
    for item in items(dataset, keyword):
        found.setdefault(str(item.get("ReferencedROINumber")), []).append(item)
    return found


def _roi(
    row: Any, number: str, listed: Sequence[Any], seen: Any, points: tuple[FloatArray, ...]
) -> Roi:
    return Roi(
        name=str(row.get("ROIName") or f"ROI {number}").strip(),
        color=next((color for x in listed if (color := _color(x))), None),
        terminology=coded(seen, "RTROIIdentificationCodeSequence"),
        contours=points,
        side=coded_side(seen, "RTROIIdentificationCodeSequence"),
        frame=str(row.get("ReferencedFrameOfReferenceUID") or ""),
    )


def _points(contour: Any) -> FloatArray:
    try:
        points = points_of(contour.get_item("ContourData"))
    except (TypeError, ValueError):
        raise FileFaultError(
            catalog.MASK_UNREADABLE, "contour data are not triples of numbers"
        ) from None
    stated = contour.get("NumberOfContourPoints")
    if stated is not None and int(stated) != len(points):
        raise FileFaultError(
            catalog.MASK_UNREADABLE, f"a contour of {stated} points holds {len(points)}"
        )
    if not (np.abs(points) <= MAX_DISTANCE_MM).all():  # NaN fails, too
        raise FileFaultError(
            catalog.MASK_UNREADABLE,
            f"contour data are not finite, or farther than {MAX_DISTANCE_MM:g} mm from the origin",
        )
    return points


def _color(contour: Any) -> Color | None:
    value = contour.get("ROIDisplayColor")
    try:
        r, g, b = (min(max(int(x), 0), 255) for x in value or ())
    except (TypeError, ValueError):
        return None
    return (r, g, b)


def _tilted(planes: Planes) -> str:
    """What is wrong with contours that are not parallel to the slices; empty for others."""
    if planes.tilt <= MAX_TILT:
        return ""
    return (
        f"a contour is not parallel to the slices: it spans {planes.tilt:.2f} slices, "
        f"more than {MAX_TILT:g}"
    )


def _filled(
    polygons: Mapping[int, list[FloatArray]], geometry: Geometry
) -> tuple[BoolArray, int, int]:
    """The mask of the slices from the first to the last with a contour, and these two."""
    within = [number for number in polygons if 0 <= number < geometry.size[2]]
    if not within:
        return np.zeros((0, *geometry.shape[1:]), dtype=bool), 0, 0
    start, stop = min(within), max(within) + 1
    mask = np.zeros((stop - start, *geometry.shape[1:]), dtype=bool)
    for number in within:
        mask[number - start] = fill_even_odd(polygons[number], (geometry.size[1], geometry.size[0]))
    return mask, start, stop


def _region_remarks(
    segment: Segment, opened: int, planes: Planes, geometry: Geometry
) -> list[Remark]:
    closed = sum(map(len, planes.polygons.values()))
    found = [
        (catalog.CONTOURS_OPEN, _open(opened, closed)),
        (catalog.GRID_RESAMPLED, _off_the_slices(planes, geometry.spacing[2])),
        (catalog.CONTOURS_REPEATED, f"{planes.repeated} contours are stored more than once"
                                    if planes.repeated else ""),
        (catalog.CONTOURS_SPARSE, _sparse(planes, geometry)),
    ]  # fmt: skip
    return [Remark(segment, kind, words) for kind, words in found if words]


def _open(opened: int, closed: int) -> str:
    if not opened:
        return ""
    left_out = "1 contour is a point or an open line and was"
    if opened > 1:
        left_out = f"{opened} contours are points or open lines and were"
    return f"{left_out} left out; closed contours that were filled: {closed}"


def _off_the_slices(planes: Planes, spacing_mm: float) -> str:
    words = []
    if planes.largest_offset > PLANE_TOLERANCE:
        off, limit = planes.largest_offset * spacing_mm, PLANE_TOLERANCE * spacing_mm
        words.append(f"contours lie up to {off:.3g} mm off the slices (limit {limit:.3g} mm)")
    if planes.unused:
        words.append(f"{planes.unused} planes of contours lie between those of the slices")
    return f"{' and '.join(words)}; each slice took the nearest plane" if words else ""


def _sparse(planes: Planes, geometry: Geometry) -> str:
    step, empty = empty_between(planes, geometry)
    if not empty:
        return ""
    return (
        f"contours lie {step * geometry.spacing[2]:.3g} mm apart on slices of "
        f"{geometry.spacing[2]:.3g} mm; {empty} slices between them are empty"
    )
