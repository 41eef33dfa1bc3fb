"""Segmentation objects find the image that they were drawn on.

In this order: the series they refer to (PS3.3 C.8.8.5, C.8.20.1); the series that holds an image
they refer to; the only series in their frame of reference; of several there, those whose grid the
contours or frames fit. An object that finds nothing is said, never silently left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from MedPrepLib import catalog
from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.annotated import Annotated, read_annotated
from MedPrepLib.dicom.series import SeriesGroup, arrange_volumes
from MedPrepLib.findings import Finding
from MedPrepLib.geometry import FloatArray, Geometry

PLANE_TOLERANCE = 0.1
"""Part of the slice distance by which a contour that was drawn on a slice may lie off it."""

_NO_SERIES = "refer to series that are not here"
_NO_FRAME = "refer to a frame of reference that no image here has"
_NOTHING = "refer to nothing"


def find_images(
    groups: Sequence[SeriesGroup], screen: Screen, called: str
) -> tuple[tuple[SeriesGroup, ...], tuple[Finding, ...]]:
    """The groups, every segmentation object among them with the series of its images.

    Objects that find none are left out, with ANNOTATION_ORPHANED or ANNOTATION_AMBIGUOUS about
    ``called``. One that refers to nothing stays as it is where there is just one image.
    """
    images = [g for g in groups if g.kind == "image"]
    kept: list[SeriesGroup] = []
    lost: Counter[str] = Counter()
    unclear = 0
    for group in groups:
        if group.kind not in ("rtstruct", "seg") or _refers_to(group, images):
            kept.append(group)
            continue
        object_ = read_annotated(group.headers[0].path)
        if object_.series | object_.frames | object_.instances == frozenset() and len(images) == 1:
            kept.append(group)
            continue
        there = _in_frame(object_, images)
        mine = _by_instance(object_, images) or (
            there if len(there) == 1 else _fitting(object_.points, there, screen)
        )
        if mine:
            kept.append(_referring(group, mine))
        elif there:
            unclear += 1
        else:
            lost[_why_lost(object_)] += 1
    return tuple(kept), _said(lost, unclear, called)


def _refers_to(group: SeriesGroup, images: Sequence[SeriesGroup]) -> bool:
    return any(image.series_uid in group.referenced_series for image in images)


def _by_instance(object_: Annotated, images: Sequence[SeriesGroup]) -> list[SeriesGroup]:
    return [g for g in images if any(h.sop_uid in object_.instances for h in g.headers)]


def _in_frame(object_: Annotated, images: Sequence[SeriesGroup]) -> list[SeriesGroup]:
    return [g for g in images if any(h.frame_of_reference_uid in object_.frames for h in g.headers)]


def _fitting(
    points: FloatArray, images: Sequence[SeriesGroup], screen: Screen
) -> list[SeriesGroup]:
    return [group for group in images if any(fits(points, g) for g in _grids(group, screen))]


def _grids(group: SeriesGroup, screen: Screen) -> list[Geometry]:
    """The grids of the volumes that a series holds."""
    volumes = arrange_volumes(group.headers, "", screen)
    return [volume.geometry for volume in volumes if volume.geometry is not None]


def fits(points: FloatArray, grid: Geometry) -> bool:
    """True when every point (n, 3; LPS mm) lies on a slice of the grid and within its field."""
    if len(points) == 0:
        return False
    inverse = np.linalg.inv(grid.affine)
    index = points @ inverse[:3, :3].T + inverse[:3, 3]
    off = np.abs(index[:, 2] - np.rint(index[:, 2])).max()
    inside = (index >= -0.5) & (index <= np.array(grid.size) - 0.5)
    return bool(off <= PLANE_TOLERANCE and inside.all())


def _referring(group: SeriesGroup, images: Sequence[SeriesGroup]) -> SeriesGroup:
    """The object as if it named the series of ``images``."""
    series = tuple(dict.fromkeys(image.series_uid for image in images))
    headers = tuple(
        msgspec.structs.replace(header, referenced_series=series) for header in group.headers
    )
    return msgspec.structs.replace(group, headers=headers)


def _why_lost(object_: Annotated) -> str:
    if object_.frames:
        return _NO_FRAME
    return _NO_SERIES if object_.series or object_.instances else _NOTHING


def _said(lost: Counter[str], unclear: int, called: str) -> tuple[Finding, ...]:
    findings = []
    if lost:
        reasons = ", ".join(f"{lost[why]} {why}" for why in sorted(lost))
        message = f"{lost.total()} segmentation objects belong to no image here: {reasons}"
        findings.append(catalog.ANNOTATION_ORPHANED.at(called, message))
    if unclear:
        message = (
            f"{unclear} segmentation objects share a frame of reference with several images "
            "and fit the slices of none; whose are they?"
        )
        findings.append(catalog.ANNOTATION_AMBIGUOUS.at(called, message))
    return tuple(findings)
