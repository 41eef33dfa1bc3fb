"""From a planned grid to a geometry: how the slices lie in the body, in exact decimals."""

from __future__ import annotations

from dataclasses import replace

from MedPrepLib.geometry import Geometry, Triple
from MedPrepLib.sample.roster import Grid, Plane

_DECIMALS = 6


def _cross(a: Triple, b: Triple) -> Triple:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def _oblique_axes() -> tuple[Triple, Triple]:
    """Row and column direction turned by 16.26 deg about x and 11.42 deg about z.

    Cosines and sines come from tan(a/2) = 1/7 and 1/10, (1 - t^2) / (1 + t^2) and
    2t / (1 + t^2), so that no trigonometry of the machine is involved.
    """
    cx, sx = 0.96, 0.28
    cz, sz = 0.99 / 1.01, 0.2 / 1.01
    row = (cz, sz * cx, sz * sx)
    column = (-sz, cz * cx, cz * sx)
    return _rounded(row, 10), _rounded(column, 10)


def _rounded(point: Triple, decimals: int = _DECIMALS) -> Triple:
    x, y, z = (round(v, decimals) for v in point)
    return (x, y, z)


_AXES: dict[Plane, tuple[Triple, Triple]] = {
    "axial": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "sagittal": ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
    "coronal": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "oblique": _oblique_axes(),
}
"""Directions along which i (a row of the picture) and j (a column) grow, LPS."""


def row_and_column(plane: Plane) -> tuple[Triple, Triple]:
    """The two halves of ImageOrientationPatient (0020,0037) for a plane."""
    return _AXES[plane]


def geometry_of(grid: Grid, middle_mm: Triple) -> Geometry:
    """The geometry of a planned grid whose middle lies at ``middle_mm`` (LPS)."""
    row, column = _AXES[grid.plane]
    normal = _cross(row, column)
    half = [(n - 1) * s / 2 for n, s in zip(grid.size, grid.spacing, strict=True)]
    x, y, z = (
        middle_mm[a] - (row[a] * half[0] + column[a] * half[1] + normal[a] * half[2])
        for a in range(3)
    )
    direction = tuple(v for a in range(3) for v in (row[a], column[a], normal[a]))
    return Geometry(grid.size, grid.spacing, _rounded((x, y, z), 3), direction)


def slice_position(geometry: Geometry, k: int) -> Triple:
    """ImagePositionPatient (0020,0032) of slice ``k``, to the last written decimal."""
    d, step = geometry.direction, k * geometry.spacing[2]
    x, y, z = geometry.origin
    return _rounded((x + d[2] * step, y + d[5] * step, z + d[8] * step))


def tidy(geometry: Geometry) -> Geometry:
    """The grid with its origin in full micrometers: matrix products round by machine."""
    return replace(geometry, origin=_rounded(geometry.origin))
