"""Boxes: where a rater saw something, as voxels of an image or in millimeters of the world.

A ``Box`` (results.py) is made of whole voxels; a ``WorldBox`` is what a person draws: anywhere,
of any size, and turned against the image if need be. Both are closed under the same few
questions: how large, how much in common, and where in the other description.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import TypeVar, final

import msgspec
import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import (
    IDENTITY_DIRECTION,
    SHEAR_TOLERANCE,
    FloatArray,
    Geometry,
    Index,
    Triple,
    orthonormality_error,
)
from MedPrepLib.results import Box

PARALLEL_TOLERANCE = 1e-6
"""Largest sine of the angle between two boxes' axes that still counts as parallel: 0.1 um over
100 mm. Beyond it the exact intersection of turned boxes is computed, which is right in any case.
"""

_FLAT = 1e-9
"""Thickness of an intersection, as a part of its length, that counts as none (float rounding)."""

_SIGNS = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
_EDGES = np.array([(a, b) for a, b in itertools.combinations(range(8), 2)
                   if np.abs(_SIGNS[a] - _SIGNS[b]).sum() == 1])  # fmt: skip


@final
class WorldBox(msgspec.Struct, frozen=True):
    """A box in the world: LPS millimeters, perhaps turned against the axes.

    ``size_mm``: edge lengths along the box's own axes. ``axes``: 3x3 cosines in row-major order,
    column a is the unit vector of edge a (as ``Geometry.direction``); signs and handedness do not
    matter to a box. Raises GeometryError for numbers that are not finite, negative sizes and axes
    that are not orthogonal unit vectors. A size of 0 is allowed: it may have been drawn so.
    """

    label: str
    center_mm: Triple
    size_mm: Triple
    axes: tuple[float, ...] = IDENTITY_DIRECTION

    def __post_init__(self) -> None:
        """Refuse numbers that are no box."""
        numbers = (*self.center_mm, *self.size_mm, *self.axes)
        if [len(self.center_mm), len(self.size_mm), len(self.axes)] != [3, 3, 9]:
            raise GeometryError("a box has three numbers of center and size, and nine of axes")
        if not all(math.isfinite(x) for x in numbers):
            raise GeometryError("a box must be made of finite numbers")
        if min(self.size_mm) < 0:
            raise GeometryError(f"a box of size {self.size_mm} mm has a negative edge")
        deviation = orthonormality_error(np.reshape(self.axes, (3, 3)))
        if deviation > SHEAR_TOLERANCE:
            raise GeometryError(
                f"the axes of a box deviate from orthogonal unit vectors by {deviation:.3g}, "
                f"more than {SHEAR_TOLERANCE:g}"
            )

    @property
    def volume_mm3(self) -> float:
        """Cubic millimeters."""
        return math.prod(self.size_mm)


AnyBox = TypeVar("AnyBox", Box, WorldBox)


def corners_mm(box: WorldBox) -> FloatArray:
    """The eight corners, LPS millimeters, shape (8, 3)."""
    corners: FloatArray = (_SIGNS * box.size_mm) @ _axes(box).T + box.center_mm
    return corners


def to_world(box: Box, geometry: Geometry) -> WorldBox:
    """The same box in the world: from voxel edge to voxel edge, turned as the image is.

    A voxel reaches half a voxel to each side of its center, so three voxels of 2 mm give 6 mm.
    """
    extents = [stop - start for start, stop in zip(box.start, box.stop, strict=True)]
    middle = [(a + b - 1) / 2 for a, b in zip(box.start, box.stop, strict=True)]
    x, y, z = (n * mm for n, mm in zip(extents, geometry.spacing, strict=True))
    return WorldBox(box.label, geometry.point_at(middle), (x, y, z), geometry.direction)


def to_index(box: WorldBox, geometry: Geometry) -> Box:
    """The voxels whose centers lie inside the box, and at least the one nearest to its center.

    The inverse of :func:`to_world`. A box that is turned against the image is replaced by its
    hull along the image's axes. Nothing is clipped: the box may reach beyond the image
    (:func:`clipped`). ``voxels`` counts the whole box.
    """
    points = corners_mm(box) - geometry.affine[:3, 3]
    indices = np.linalg.solve(geometry.affine[:3, :3], points.T).T
    start = np.ceil(indices.min(axis=0)).astype(int)
    stop = np.floor(indices.max(axis=0)).astype(int) + 1
    nearest = np.rint(geometry.index_at(box.center_mm)).astype(int)
    thin = start >= stop
    start, stop = np.where(thin, nearest, start), np.where(thin, nearest + 1, stop)
    return index_box(box.label, _index(start), _index(stop), geometry)


def index_box(label: str, start: Index, stop: Index, geometry: Geometry) -> Box:
    """The box of the voxels from ``start`` to ``stop`` (exclusive), all of them counted."""
    extents = [b - a for a, b in zip(start, stop, strict=True)]
    if min(extents) < 1:
        raise GeometryError(f"a box from {start} to {stop} holds no voxel")
    bare = Box(label, start, stop, (0, 0, 0), (0, 0, 0), math.prod(extents))
    edges = corners_mm(to_world(bare, geometry))
    low, high = _triple(edges.min(axis=0)), _triple(edges.max(axis=0))
    return msgspec.structs.replace(bare, low_mm=low, high_mm=high)


def clipped(box: Box, geometry: Geometry) -> Box | None:
    """The part of a box inside the image; None when there is none."""
    start = np.maximum(box.start, 0)
    stop = np.minimum(box.stop, geometry.size)
    if (start >= stop).any():
        return None
    return index_box(box.label, _index(start), _index(stop), geometry)


def iou(a: AnyBox, b: AnyBox) -> float:
    """Intersection over union of two boxes of one kind, 0 to 1 (Jaccard, 1901).

    Boxes of voxels are counted in voxels, boxes in the world in cubic millimeters; on one grid
    the two agree. Boxes turned against each other are intersected exactly. Labels are not
    compared. Two boxes without volume have 0. Raises GeometryError for boxes of two kinds.
    """
    return float(iou_matrix([a], [b])[0, 0])


def iou_matrix(first: Sequence[AnyBox], second: Sequence[AnyBox]) -> FloatArray:
    """:func:`iou` of every box of ``first`` (row) with every box of ``second`` (column)."""
    kinds = {type(box) for box in (*first, *second)}
    if len(kinds) > 1:
        raise GeometryError("boxes of voxels and boxes in the world cannot be compared")
    if not first or not second:
        return np.zeros((len(first), len(second)))
    if kinds == {Box}:
        low, high = _index_faces(first), _index_faces(second)
        common, ours, theirs = _overlaps(low, high)
    else:
        common, ours, theirs = _world_overlaps(_as_world(first), _as_world(second))
    union = ours[:, None] + theirs[None, :] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def in_frame(box: WorldBox, frame: WorldBox) -> FloatArray:
    """Low and high faces (2, 3) in mm along the axes of ``frame``, seen from its center.

    Exact for boxes with parallel axes; for others it is the hull in that frame.
    """
    points = (corners_mm(box) - frame.center_mm) @ _axes(frame)
    return np.array([points.min(axis=0), points.max(axis=0)])


def from_frame(faces: FloatArray, frame: WorldBox) -> WorldBox:
    """The box with these faces (2, 3) along the axes of ``frame``; inverse of in_frame."""
    center = _axes(frame) @ faces.mean(axis=0) + frame.center_mm
    return WorldBox(frame.label, _triple(center), _triple(faces[1] - faces[0]), frame.axes)


def _overlaps(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Common volume (n, m) and own volumes of axis-aligned boxes with faces (n, 2, 3)."""
    low = np.maximum(first[:, None, 0], second[None, :, 0])
    high = np.minimum(first[:, None, 1], second[None, :, 1])
    common = np.clip(high - low, 0, None).prod(axis=2)
    ours, theirs = (np.prod(faces[:, 1] - faces[:, 0], axis=1) for faces in (first, second))
    return common, ours, theirs


def _world_overlaps(
    first: Sequence[WorldBox], second: Sequence[WorldBox]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    frame = first[0]
    faces = [np.array([in_frame(box, frame) for box in boxes]) for boxes in (first, second)]
    common, _, _ = _overlaps(faces[0], faces[1])
    ours = np.array([box.volume_mm3 for box in first])
    theirs = np.array([box.volume_mm3 for box in second])
    turned = [np.array([not _parallel(box, frame) for box in boxes]) for boxes in (first, second)]
    inexact = (common > 0) & (turned[0][:, None] | turned[1][None, :])
    for row, column in np.argwhere(inexact):  # hulls that do not meet hold boxes that do not
        common[row, column] = _common_volume(first[row], second[column])
    return common, ours, theirs


def _parallel(box: WorldBox, frame: WorldBox) -> bool:
    """True when every axis of one is an axis of the other, up to order and sign."""
    cosines = np.abs(_axes(box).T @ _axes(frame))
    return bool(np.minimum(cosines, np.abs(1 - cosines)).max() <= PARALLEL_TOLERANCE)


def _common_volume(a: WorldBox, b: WorldBox) -> float:
    """Volume of the intersection of two boxes, mm3.

    Its vertices are the ends of the edges of each box, cut off at the faces of the other; the
    volume is that of their convex hull (Barber, Dobkin and Huhdanpaa, ACM TOMS 22:469, 1996).
    """
    from scipy.spatial import ConvexHull

    points = np.concatenate([_cut_edges(a, b), _cut_edges(b, a)])
    if len(points) < 4:
        return 0.0
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if spread[2] <= _FLAT * spread[0]:
        return 0.0
    return float(ConvexHull(points).volume)


def _cut_edges(box: WorldBox, other: WorldBox) -> FloatArray:
    """Ends (n, 3), LPS mm, of what lies inside ``other`` of the twelve edges of ``box``."""
    corners = corners_mm(box)
    begin, end = corners[_EDGES[:, 0]], corners[_EDGES[:, 1]]
    local, step = (begin - other.center_mm) @ _axes(other), (end - begin) @ _axes(other)
    half = np.array(other.size_mm) / 2
    moving = np.abs(step) > 1e-12 * (1 + half)
    safe = np.where(moving, step, 1.0)
    one, two = (-half - local) / safe, (half - local) / safe
    enter = np.where(moving, np.minimum(one, two), -np.inf).max(axis=1).clip(0)
    leave = np.where(moving, np.maximum(one, two), np.inf).min(axis=1).clip(None, 1)
    outside = (~moving & (np.abs(local) > half)).any(axis=1)
    kept = (enter <= leave) & ~outside
    run = (end - begin)[kept]
    parts = [begin[kept] + t[kept, None] * run for t in (enter, leave)]
    return np.concatenate(parts)


def _index_faces(boxes: Iterable[Box | WorldBox]) -> FloatArray:
    return np.array([(b.start, b.stop) for b in boxes if isinstance(b, Box)], dtype=np.float64)


def _as_world(boxes: Iterable[Box | WorldBox]) -> list[WorldBox]:
    return [box for box in boxes if isinstance(box, WorldBox)]


def _axes(box: WorldBox) -> FloatArray:
    return np.reshape(np.asarray(box.axes, dtype=np.float64), (3, 3))


def _triple(values: npt.NDArray[np.floating]) -> Triple:
    x, y, z = values.tolist()
    return (x, y, z)


def _index(values: npt.NDArray[np.integer]) -> Index:
    i, j, k = values.tolist()
    return (i, j, k)
