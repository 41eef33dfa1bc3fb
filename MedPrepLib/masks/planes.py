"""Contours of one region sorted into planes, and planes into the slices of a grid.

Contours that a program wrote on one plane come back at slightly different heights: coordinates are
decimal text, and on an oblique grid their rounding tilts and lifts every contour a little. So
heights are grouped before planes compete for a slice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from MedPrepLib.dicom.annotated import PLANE_TOLERANCE
from MedPrepLib.geometry import FloatArray, Geometry
from MedPrepLib.masks.polygons import pixels_enclosed

SAME_PLANE = 0.05
"""Part of the slice distance between the heights of contours that still share a plane. It may be
up to PLANE_TOLERANCE where the points of a contour themselves lie that unevenly."""

MAX_TILT = 0.5
"""Slices that a contour may span and still be one of a slice."""


MAX_COUNTED = 10_000_000
"""Crossings of contours with rows, of one region, that are counted to tell how much lies outside of
the image; of contours that cross more, some rows stand for all."""

_FEW = 100
"""Crossings of a slice that are counted in any case."""


@dataclass(frozen=True)
class Planes:
    """The contours of one region by slice, in indices (i, j), and what did not fit.

    ``polygons``: also of slices before the first and after the last of the grid; ``heights``: of
    their planes, in slices. In the slices of the grid, ``largest_offset`` is the distance of a
    used plane from its slice, in slices, and ``unused`` counts planes of which a nearer one took
    the slice. ``tilt``: slices that the steepest contour spans. ``repeated``: contours that were
    there already.
    """

    polygons: Mapping[int, list[FloatArray]]
    heights: Mapping[int, float]
    largest_offset: float = 0.0
    unused: int = 0
    tilt: float = 0.0
    repeated: int = 0


@dataclass(frozen=True)
class _Outline:
    """One contour: indices (n, 2), its mean height, and how far its points reach from it."""

    points: FloatArray
    height: float
    reach: float


def planes_of(contours: Sequence[FloatArray], geometry: Geometry) -> Planes:
    """Sort contours (n, 3) in LPS mm into slices; of planes that compete the nearest one wins."""
    once = _distinct(contours)
    outlines, tilt = _outlines(once, geometry)
    by_slice: dict[int, list[tuple[float, float, list[FloatArray]]]] = {}
    for plane in _grouped(outlines):
        height = round(float(np.mean([outline.height for outline in plane])), 3)
        number = int(np.floor(height + 0.5))
        points = [outline.points for outline in plane]
        by_slice.setdefault(number, []).append((abs(height - number), height, points))
    nearest = {number: min(planes, key=lambda p: p[:2]) for number, planes in by_slice.items()}
    within = [number for number in by_slice if 0 <= number < geometry.size[2]]
    return Planes(
        {number: points for number, (_, _, points) in nearest.items()},
        {number: height for number, (_, height, _) in nearest.items()},
        max((nearest[number][0] for number in within), default=0.0),
        sum(len(by_slice[number]) - 1 for number in within),
        tilt,
        len(contours) - len(once),
    )


def _distinct(contours: Sequence[FloatArray]) -> list[FloatArray]:
    """Every contour once, wherever it starts and whichever way it runs.

    By the even-odd rule a contour that is stored twice encloses nothing.
    """
    boxes = [(*c.min(axis=0), *c.max(axis=0)) if len(c) else () for c in contours]
    alike = Counter(boxes)
    seen: set[bytes] = set()
    kept = []
    for contour, box in zip(contours, boxes, strict=True):
        if alike[box] > 1 and len(contour) > 2:
            edges = _edges_of(contour)
            if edges in seen:
                continue
            seen.add(edges)
        kept.append(contour)
    return kept


def _edges_of(contour: FloatArray) -> bytes:
    """The edges of a closed contour, in an order and direction that do not tell how it was drawn.

    By these alone it is decided what the contour encloses.
    """
    edges = np.stack([contour, np.roll(contour, -1, axis=0)], axis=1)
    edges = edges[(edges[:, 0] != edges[:, 1]).any(axis=1)]
    first, second = edges[:, 0], edges[:, 1]
    differs = first != second
    axis = differs.argmax(axis=1)
    row = np.arange(len(edges))
    turned = first[row, axis] > second[row, axis]
    edges[turned] = edges[turned, ::-1]
    flat = edges.reshape(-1, 6) + 0.0  # no negative zeros
    return np.ascontiguousarray(flat[np.lexsort(flat.T)]).tobytes()


def _outlines(contours: Sequence[FloatArray], geometry: Geometry) -> tuple[list[_Outline], float]:
    """The contours that enclose something, by height; and what the steepest of them spans."""
    inverse = np.linalg.inv(geometry.affine)
    outlines, tilt = [], 0.0
    for contour in contours:
        if len(contour) < 3:
            continue
        index = contour @ inverse[:3, :3].T + inverse[:3, 3]
        span = float(np.ptp(index[:, 2]))
        tilt = max(tilt, span)
        outlines.append(_Outline(index[:, :2], float(index[:, 2].mean()), span / 2))
    return sorted(outlines, key=lambda outline: outline.height), tilt


def _grouped(outlines: Sequence[_Outline]) -> list[list[_Outline]]:
    """Outlines in order of height as planes: neighbors less than a tolerance apart.

    A plane is never thicker than twice PLANE_TOLERANCE, however many neighbors follow closely.
    """
    planes: list[list[_Outline]] = []
    for outline in outlines:
        if planes:
            last = planes[-1][-1]
            near = min(max(SAME_PLANE, last.reach, outline.reach), PLANE_TOLERANCE)
            thick = outline.height - planes[-1][0].height
            if outline.height - last.height <= near and thick <= 2 * PLANE_TOLERANCE:
                planes[-1].append(outline)
                continue
        planes.append([outline])
    return planes


def empty_between(planes: Planes, geometry: Geometry) -> tuple[float, int]:
    """The regular step of planes that lie farther apart than slices, and slices left empty by it.

    In slices; (0, 0) where planes follow slice by slice, or no step is that of most planes.
    """
    numbers = sorted(number for number in planes.polygons if 0 <= number < geometry.size[2])
    if len(numbers) < 3:
        return 0.0, 0
    steps = np.diff([planes.heights[number] for number in numbers])
    step = float(np.median(steps))
    regular = np.abs(steps - step) <= PLANE_TOLERANCE * step
    empty = int((np.diff(numbers) - 1)[regular].sum())
    if step <= 1 + PLANE_TOLERANCE or not empty or regular.mean() <= 0.5:
        return 0.0, 0
    return step, empty


def pixels_outside(planes: Planes, geometry: Geometry) -> int:
    """How many voxels the planes enclose beyond the field and beyond the slices of the grid."""
    columns, rows, slices = geometry.size
    leaving = {
        number: polygons
        for number, polygons in planes.polygons.items()
        if not 0 <= number < slices or any(_leaves(p, columns, rows) for p in polygons)
    }
    outside = 0
    for number, polygons in leaving.items():
        limit = MAX_COUNTED // len(leaving)
        within, everywhere = pixels_enclosed(polygons, (rows, columns), max(limit, _FEW))
        outside += everywhere - within if 0 <= number < slices else everywhere
    return outside


def _leaves(polygon: FloatArray, columns: int, rows: int) -> bool:
    """True when a point lies beyond the outermost voxel centers."""
    return bool((polygon < 0).any() or (polygon > (columns - 1, rows - 1)).any())
