"""RTSTRUCT: contours in the world, filled on the grid of the image they were drawn on.

Source: DICOM PS3.3 C.8.8.5 (Structure Set) and C.8.8.6 (ROI Contour); even-odd filling of voxel
centers (polygons.py), which reproduces the masks of the IBSI reference cohort exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.dicom.decimals import MAX_POINTS, points_of
from MedPrepLib.findings import Finding
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.formats.segnrrd import distinct_names
from MedPrepLib.geometry import FloatArray, Geometry
from MedPrepLib.labels import Color, Terminology
from MedPrepLib.masks.layers import LayerStack
from MedPrepLib.masks.objects import coded, coded_side, decoding, items, kind_of, read_dataset
from MedPrepLib.masks.planes import MAX_TILT, PLANE_TOLERANCE, Planes, pixels_outside, planes_of
from MedPrepLib.masks.polygons import fill_even_odd
from MedPrepLib.segmentation import BoolArray, Segment, Segmentation
from MedPrepLib.sides import Side

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_DISTANCE_MM = 1e5
"""Of a contour point from the origin; the longest tables are 2 m."""

_CLOSED = {"CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "CLOSED_PLANAR_XOR"}


@dataclass(frozen=True)
class Roi:
    """One region: closed contours as arrays (n, 3) of LPS millimeters."""

    name: str
    color: Color | None
    terminology: Terminology | None
    contours: tuple[FloatArray, ...]
    side: Side = ""


def read_rtstruct(path: Path, geometry: Geometry) -> Segmentation:
    """The regions of an RTSTRUCT on the image grid ``geometry``, values 1, 2, 3... in file order.

    A plane of contours belongs to the slice whose center lies nearest along the normal. Contours
    of one region on one plane combine by exclusive or (holes, keyholes); where a slice has
    several planes, as when a thick-sliced image is combined with contours drawn elsewhere, the
    nearest plane alone is used, and how many were not is said. A contour that is stored twice
    counts once. Slices between planes are not
    interpolated. A region with an item of the ROI Contour Sequence but no contours in it stays
    listed (annotated empty); one without an item, or with points or open lines only, is left out.
    What lies beyond the grid is left out and counted, by segment (``Segment.outside``).
    Regions share one layer unless they overlap. Raises FileFaultError.
    """
    return read_rtstruct_with_findings(path, geometry, "")[0]


def read_rtstruct_with_findings(
    path: Path, geometry: Geometry, item: str
) -> tuple[Segmentation, tuple[Finding, ...]]:
    """As :func:`read_rtstruct`, and what a person should know about contours off the slices."""
    rois = read_rois(path)
    names = distinct_names([roi.name for roi in rois])
    stack = LayerStack(geometry, max(len(rois), 1))
    findings: list[Finding] = []
    for value, (name, roi) in enumerate(zip(names, rois, strict=True), start=1):
        planes = _planes(roi, geometry)
        outside = pixels_outside(planes, geometry)
        segment = Segment(name, value, 0, roi.color, roi.terminology, outside, roi.side)
        mask, start, stop = _filled(planes.polygons, geometry)
        stack.add(segment, mask, (slice(start, stop), slice(None), slice(None)))
        findings += _plane_findings(planes, geometry, item, f"region {value}")
    return stack.result(), tuple(findings)


def read_rois(path: Path) -> tuple[Roi, ...]:
    """The regions of an RTSTRUCT in file order; FileFaultError when it is none."""
    if kind_of(path) != "rtstruct":
        raise FileFaultError(catalog.MASK_UNSUPPORTED, "the file is no RTSTRUCT")
    with decoding():
        return _rois(read_dataset(path))


def _rois(dataset: Dataset) -> tuple[Roi, ...]:
    if "ROIContourSequence" not in dataset:
        raise FileFaultError(
            catalog.MASK_UNREADABLE, "the RTSTRUCT has no ROI contours; was it cut off?"
        )
    contours = {str(c.get("ReferencedROINumber")): c for c in items(dataset, "ROIContourSequence")}
    observed = {str(o.get("ReferencedROINumber")): o
                for o in items(dataset, "RTROIObservationsSequence")}  # fmt: skip
    rois: list[Roi] = []
    left = MAX_POINTS
    for row in items(dataset, "StructureSetROISequence"):
        number = str(row.get("ROINumber"))
        listed = contours.get(number)
        sequence = items(listed, "ContourSequence") if listed is not None else []
        closed = [c for c in sequence if str(c.get("ContourGeometricType")) in _CLOSED]
        if listed is None or (sequence and not closed):
            continue
        name = str(row.get("ROIName") or f"ROI {number}").strip()
        points = tuple(_points(c) for c in closed)
        left -= sum(map(len, points))
        if left < 0:
            raise FileFaultError(
                catalog.MASK_UNREADABLE, f"the contours have more than {MAX_POINTS} points"
            )
        seen = observed.get(number, {})
        code = coded(seen, "RTROIIdentificationCodeSequence")
        side = coded_side(seen, "RTROIIdentificationCodeSequence")
        rois.append(Roi(name, _color(listed), code, points, side))
    return tuple(rois)


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
    value = contour.get("ROIDisplayColor") if contour is not None else None
    try:
        r, g, b = (min(max(int(x), 0), 255) for x in value or ())
    except (TypeError, ValueError):
        return None
    return (r, g, b)


def _planes(roi: Roi, geometry: Geometry) -> Planes:
    planes = planes_of(roi.contours, geometry)
    if planes.tilt > MAX_TILT:
        raise FileFaultError(
            catalog.MASK_UNSUPPORTED,
            f"a contour is not parallel to the slices: it spans {planes.tilt:.2f} slices, "
            f"more than {MAX_TILT:g}",
        )
    return planes


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


def _plane_findings(planes: Planes, geometry: Geometry, item: str, name: str) -> list[Finding]:
    findings = []
    limit = PLANE_TOLERANCE * geometry.spacing[2]
    words = []
    if planes.largest_offset > PLANE_TOLERANCE:
        off = planes.largest_offset * geometry.spacing[2]
        words.append(f"lie up to {off:.3g} mm off the slices (limit {limit:.3g} mm)")
    if planes.unused:
        words.append(f"have {planes.unused} more planes than there are slices for them")
    if words:
        message = f"contours of {name} {' and '.join(words)}; each slice took the nearest plane"
        findings.append(catalog.GRID_RESAMPLED.at(item, message))
    if planes.repeated:
        message = f"{planes.repeated} contours of {name} are stored more than once"
        findings.append(catalog.CONTOURS_REPEATED.at(item, message))
    return findings
