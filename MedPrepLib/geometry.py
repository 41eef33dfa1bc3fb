"""The voxel grid: where voxel (i, j, k) lies in the world, apart from any voxel values.

World coordinates are LPS millimeters (x to the patient's Left, y to Posterior, z to Superior),
as in DICOM and ITK. Tuples are (i, j, k), fastest index first. Geometry is frozen and hashable.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import GeometryError

FloatArray = npt.NDArray[np.float64]
Triple = tuple[float, float, float]
Index = tuple[int, int, int]

SHEAR_TOLERANCE = 1e-3
"""Largest |cosine| between two axes of a grid that still counts as orthogonal (0.06 degrees).
Scanner headers round direction cosines to 1e-6 or so; a tilted gantry gives 0.1 and more."""

LATTICE_TOLERANCE = 1e-3
"""Largest deviation, in voxels, at any corner of a grid, for two lattices to count as the same."""

IDENTITY_DIRECTION = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Multiplied from the left, turns an index-to-LPS affine into index-to-RAS, and back."""


@dataclass(frozen=True)
class Geometry:
    """A regular, orthogonal voxel grid.

    size: voxels along i, j, k. spacing: millimeters between voxel centers. origin: LPS
    millimeters of the center of voxel (0, 0, 0). direction: 3x3 cosines in row-major order, as
    SimpleITK's ``GetDirection``: column a is the unit vector along which index a grows. Left-handed
    grids (negative determinant) are as good as right-handed ones.

    Raises GeometryError for sizes below 1, spacings that are not positive and finite, and axes
    that are not orthogonal unit vectors (within SHEAR_TOLERANCE).
    """

    size: Index
    spacing: Triple = (1.0, 1.0, 1.0)
    origin: Triple = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = IDENTITY_DIRECTION

    def __post_init__(self) -> None:
        if len(self.size) != 3 or min(self.size) < 1:
            raise GeometryError(f"size {self.size} must be three numbers of at least 1")
        _require_finite("spacing", self.spacing, 3)
        _require_finite("origin", self.origin, 3)
        _require_finite("direction", self.direction, 9)
        if min(self.spacing) <= 0:
            raise GeometryError(f"spacing {self.spacing} mm must be positive")
        deviation = orthonormality_error(np.reshape(self.direction, (3, 3)))
        if deviation > SHEAR_TOLERANCE:
            raise GeometryError(_axes_problem(np.reshape(self.direction, (3, 3)), deviation))

    @classmethod
    def from_affine(cls, affine: npt.ArrayLike, size: Sequence[int]) -> Geometry:
        """The grid whose 4x4 index-to-LPS matrix (millimeters) is ``affine``.

        Raises GeometryError when the matrix is not finite, is singular, or is sheared.
        """
        matrix = np.asarray(affine, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise GeometryError("an affine must be a 4x4 matrix of finite numbers")
        columns = matrix[:3, :3]
        spacing = np.sqrt((columns**2).sum(axis=0))
        if spacing.min() <= 0:
            raise GeometryError("an affine with a zero column has no spacing along that axis")
        return cls(
            size=_index(size),
            spacing=_triple(spacing),
            origin=_triple(matrix[:3, 3]),
            direction=tuple(float(x) for x in (columns / spacing).ravel()),
        )

    @cached_property
    def affine(self) -> FloatArray:
        """4x4 matrix from (i, j, k, 1) to LPS millimeters (read-only)."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(self.direction, (3, 3)) * self.spacing
        matrix[:3, 3] = self.origin
        matrix.flags.writeable = False
        return matrix

    @cached_property
    def corners_mm(self) -> FloatArray:
        """The centers of the eight corner voxels, LPS millimeters, shape (8, 3)."""
        corners = np.array(list(itertools.product(*((0, n - 1) for n in self.size))), dtype=float)
        points: FloatArray = corners @ self.affine[:3, :3].T + self.affine[:3, 3]
        points.flags.writeable = False
        return points

    @property
    def shape(self) -> Index:
        """The shape of the numpy array of this grid: (k, j, i)."""
        return (self.size[2], self.size[1], self.size[0])

    @property
    def voxels(self) -> int:
        """How many voxels the grid has."""
        return math.prod(self.size)

    @property
    def voxel_volume_mm3(self) -> float:
        """The volume of one voxel in cubic millimeters."""
        return math.prod(self.spacing)

    @property
    def is_left_handed(self) -> bool:
        """True when the direction matrix has a negative determinant."""
        return bool(np.linalg.det(np.reshape(self.direction, (3, 3))) < 0)

    def point_at(self, index: Sequence[float]) -> Triple:
        """The LPS position in millimeters of the (fractional) index (i, j, k)."""
        return _triple(self.affine[:3, :3] @ np.asarray(index, float) + self.affine[:3, 3])

    def index_at(self, point_mm: Sequence[float]) -> Triple:
        """The fractional index (i, j, k) of an LPS position in millimeters."""
        offset = np.asarray(point_mm, float) - self.affine[:3, 3]
        return _triple(np.linalg.solve(self.affine[:3, :3], offset))

    def displacement_mm(self, other: Geometry) -> float:
        """How far apart two grids are: the largest distance of corresponding corners, mm.

        Voxels with the same index are compared, so a flipped or cropped copy is far away even
        where it covers the same space; :func:`lattice_relation` tells such cases apart.
        """
        gaps = self.corners_mm - other.corners_mm
        return float(np.sqrt((gaps**2).sum(axis=1)).max())

    def cropped(self, start: Sequence[int], size: Sequence[int]) -> Geometry:
        """The part of this grid (or beyond it) that begins at index ``start``."""
        return replace(self, size=_index(size), origin=self.point_at(start))


class Relation(Enum):
    """How the voxel lattice of a source grid lies to that of a target grid."""

    SAME = "same"
    SHIFT = "integer shift"
    FLIP = "flip"
    AXIS_ALIGNED = "axis-aligned"
    OBLIQUE = "oblique"


@dataclass(frozen=True)
class Lattice:
    """The map from target indices to source indices, in its simplest true form.

    For every relation but OBLIQUE, source index ``axes[t]`` = ``scale[t]`` * target index t +
    ``offset[t]``: ``axes`` says which source axis follows target axis t. ``matrix`` (4x4) holds
    the exact map for all relations.
    """

    relation: Relation
    axes: Index
    scale: Triple
    offset: Triple
    matrix: FloatArray


def lattice_relation(target: Geometry, source: Geometry) -> Lattice:
    """How to find, for each voxel of ``target``, its place in ``source``.

    SAME, SHIFT and FLIP (any axis permutation with signs) mean that voxel centers coincide to
    LATTICE_TOLERANCE voxels over the whole target grid, so that labels move without
    interpolation; sizes may differ. The judgment is made at the corners of ``target``, where
    a small rotation does its worst.
    """
    matrix: FloatArray = np.linalg.solve(source.affine, target.affine).astype(np.float64)
    axes = _index(np.abs(matrix[:3, :3]).argmax(axis=0))
    reach = np.maximum(np.array(target.size) - 1, 1)
    if sorted(axes) != [0, 1, 2]:
        return _lattice(Relation.OBLIQUE, axes, matrix)
    off_axis = np.abs(matrix[:3, :3]).copy()
    off_axis[list(axes), range(3)] = 0.0
    if (off_axis * reach).sum(axis=1).max() > LATTICE_TOLERANCE:
        return _lattice(Relation.OBLIQUE, axes, matrix)
    scale = matrix[list(axes), range(3)]
    offset = matrix[list(axes), 3]
    drift = np.abs(np.abs(scale) - 1.0) * reach + np.abs(offset - np.rint(offset))
    if drift.max() > LATTICE_TOLERANCE:
        return _lattice(Relation.AXIS_ALIGNED, axes, matrix)
    if axes != (0, 1, 2) or (scale < 0).any():
        return _lattice(Relation.FLIP, axes, matrix)
    moved = bool(np.rint(offset).any())
    return _lattice(Relation.SHIFT if moved else Relation.SAME, axes, matrix)


def _lattice(relation: Relation, axes: Index, matrix: FloatArray) -> Lattice:
    scale = matrix[list(axes), range(3)]
    offset = matrix[list(axes), 3]
    if relation in (Relation.SAME, Relation.SHIFT, Relation.FLIP):
        scale, offset = np.sign(scale), np.rint(offset)
    return Lattice(relation, axes, _triple(scale), _triple(offset), matrix)


def orthonormality_error(direction: FloatArray) -> float:
    """The largest entry of |DᵀD - 1|: 0 for orthogonal unit axes, the cosine for sheared ones."""
    return float(np.abs(direction.T @ direction - np.eye(3)).max())


def shear_deg(direction: FloatArray) -> float:
    """The largest deviation of two axes from a right angle, degrees; 90 where two are parallel.

    Axes need not be unit vectors; one without length stands at a right angle to all.
    """
    lengths = np.sqrt((direction**2).sum(axis=0))
    columns = direction / np.where(lengths > 0, lengths, 1.0)
    cosines = columns.T @ columns
    cosines[range(3), range(3)] = 0.0
    return float(np.degrees(np.arcsin(np.clip(np.abs(cosines).max(), 0.0, 1.0))))


def _axes_problem(direction: FloatArray, deviation: float) -> str:
    angle, allowed = shear_deg(direction), math.degrees(math.asin(SHEAR_TOLERANCE))
    if angle <= allowed:
        return f"the axes are no unit vectors: lengths deviate by {deviation:.3g}"
    return f"the axes are sheared by {angle:.3g} degrees; {allowed:.2g} degrees is the limit"


def _require_finite(name: str, values: Sequence[float], count: int) -> None:
    if len(values) != count or not all(math.isfinite(v) for v in values):
        raise GeometryError(f"{name} {tuple(values)} must be {count} finite numbers")


def _triple(values: npt.ArrayLike) -> Triple:
    x, y, z = np.asarray(values, dtype=np.float64).tolist()
    return (x, y, z)


def _index(values: npt.ArrayLike) -> Index:
    i, j, k = (int(v) for v in np.asarray(values).tolist())
    return (i, j, k)
