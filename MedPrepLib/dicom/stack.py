"""A stack of slices: positions along the normal, and the regular grid they form, if they do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib import catalog
from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.errors import GeometryError
from MedPrepLib.findings import Finding
from MedPrepLib.geometry import SHEAR_TOLERANCE, Geometry

FloatArray = npt.NDArray[np.float64]

SAME_POSITION_MM = 1e-3
"""Slices closer than this lie at one position; no scanner reconstructs 1 um apart."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices sorted along the normal (row x column direction) of the first one.

    ``heights_mm`` are the projections of the positions on the normal, ``positions_mm`` (n, 3) the
    centers of the first voxels, LPS; ``axes`` (3, 3) has row direction, column direction and
    normal as rows, each a unit vector.
    """

    headers: tuple[SliceHeader, ...]
    heights_mm: FloatArray
    positions_mm: FloatArray
    axes: FloatArray


def stack_of(headers: Sequence[SliceHeader]) -> Stack:
    """The slices in order; ties are broken by instance number and UID, never by the path alone.

    Every header needs position and orientation: GeometryError otherwise, and for an orientation
    whose directions have no length or are parallel.
    """
    if not headers or any(h.position is None or h.orientation is None for h in headers):
        raise GeometryError("a slice without position or orientation has no place in a stack")
    axes = _axes(headers[0])
    positions = np.array([h.position for h in headers], dtype=np.float64)
    heights = positions @ axes[2]
    ties = [(h.instance_number or 0, h.sop_uid, h.frame, h.path) for h in headers]
    ranks = list(zip(np.round(heights, 3).tolist(), ties, strict=True))
    order = sorted(range(len(headers)), key=ranks.__getitem__)
    return Stack(tuple(headers[n] for n in order), heights[order], positions[order], axes)


def stack_geometry(stack: Stack) -> Geometry:
    """The grid of an evenly spaced stack: i along the rows' direction, k along the normal.

    The distance of slices is the mean over the stack. Raises GeometryError for a single slice, or
    where PixelSpacing is missing or the axes are not orthogonal.
    """
    first = stack.headers[0]
    if len(stack.headers) < 2:
        raise GeometryError("the distance between slices of a single slice is unknown")
    if first.pixel_spacing is None:
        raise GeometryError("the slices have no PixelSpacing")
    along_column, along_row = first.pixel_spacing
    step = float(stack.heights_mm[-1] - stack.heights_mm[0]) / (len(stack.headers) - 1)
    x, y, z = (float(v) for v in stack.positions_mm[0])
    return Geometry(
        size=(first.columns, first.rows, len(stack.headers)),
        spacing=(along_row, along_column, step),
        origin=(x, y, z),
        direction=tuple(float(v) for v in stack.axes.T.ravel()),
    )


def usual_step_mm(heights_mm: FloatArray) -> float:
    """The usual distance of neighbors: the lower median, so that a gap never sets the scale."""
    steps = np.sort(np.diff(heights_mm))
    return float(steps[(len(steps) - 1) // 2])


def tilt_findings(stack: Stack, item: str, settings: Screen) -> list[Finding]:
    """The drift of the slices' corners within the plane, which an orthogonal grid cannot hold.

    Slices that lie beside the line of all others are named; else it is the gantry.
    """
    limit = settings.max_tilt_mm
    moved = stack.positions_mm - stack.positions_mm[0]
    heights = stack.heights_mm - stack.heights_mm[0]
    aside = moved - np.outer(heights, stack.axes[2])
    drift = np.sqrt((aside**2).sum(axis=1))
    if drift.max() <= limit:
        return []
    shear, beside = _usual_line(heights, aside, limit)
    findings = _displaced_findings(beside, limit, item)
    drift = shear * heights if findings else drift
    at = int(drift.argmax())
    if findings and drift[at] <= limit:
        return findings
    angle = math.degrees(math.atan2(float(drift[-1]), float(heights[-1])))
    tag = next((h.gantry_tilt_deg for h in stack.headers if h.gantry_tilt_deg), None)
    said = f"; the header says {abs(tag):.1f} degrees" if tag else ""
    return [
        *findings,
        catalog.GANTRY_TILT.at(
            item,
            f"the corner of slice {at + 1} of {len(heights)} lies {drift[at]:.2f} mm off an "
            f"orthogonal stack (limit {limit:g} mm), a shear of {angle:.1f} degrees{said}",
        ),
    ]


def _usual_line(
    heights: FloatArray, aside: FloatArray, limit_mm: float
) -> tuple[float, FloatArray]:
    """How far the corners of most slices move aside per mm of height, and how far each is off that.

    Of the ways to look at it (not at all, by neighbors, by half a stack) the one counts that
    leaves the fewest slices beside; medians, so that these do not decide.
    """
    half = len(heights) // 2
    slopes = [np.zeros(3)]
    for gap in (1, half):
        steps = (aside[gap:] - aside[:-gap]) / (heights[gap:] - heights[:-gap])[:, np.newaxis]
        slopes.append(np.median(steps, axis=0))
    found = []
    for slope in slopes:
        rest = aside - np.outer(heights, slope)
        beside = np.sqrt(((rest - np.median(rest, axis=0)) ** 2).sum(axis=1))
        found.append((float(np.sqrt((slope**2).sum())), beside))
    return min(found, key=lambda f: int(np.count_nonzero(f[1] > limit_mm)))


def _displaced_findings(beside: FloatArray, limit_mm: float, item: str) -> list[Finding]:
    far = np.flatnonzero(beside > limit_mm)
    if not len(far):
        return []
    first, count = int(far[0]) + 1, len(beside)
    what = f"slice {first} of {count} lies {beside[first - 1]:.2f} mm"
    if len(far) > 1:
        what = f"{len(far)} of {count} slices, first slice {first}, lie up to {beside.max():.2f} mm"
    message = f"{what} beside the others within the slice plane (limit {limit_mm:g} mm)"
    return [catalog.SLICE_DISPLACED.at(item, message)]


def _axes(header: SliceHeader) -> FloatArray:
    directions = np.reshape(np.array(header.orientation, dtype=np.float64), (2, 3))
    normal = np.cross(directions[0], directions[1])
    axes = np.vstack([directions, normal])
    lengths = np.sqrt((axes**2).sum(axis=1))
    if lengths.min() < 0.5:
        raise GeometryError("ImageOrientationPatient does not hold two different directions")
    if abs(float(directions[0] @ directions[1])) > SHEAR_TOLERANCE:
        raise GeometryError("the directions of ImageOrientationPatient are not at right angles")
    axes /= lengths[:, np.newaxis]
    return axes
