"""Where each voxel of an augmented patch comes from: flips, a rotation, an elastic field.

Everything here is in the order of array axes (k, j, i); millimeters are along the grid's axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Coordinates = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Elastic:
    """A displacement of cubic B-splines: ``coefficients`` (3, K, J, I) in mm along (k, j, i)."""

    coefficients: Floats
    spacing_mm: float


def rotation(angles_deg: npt.ArrayLike) -> Floats:
    """3x3 matrix in LPS: first about L by the first angle, then about P, then about S.

    Positive angles turn as the right hand does: P towards S, S towards L, L towards P.
    """
    a, b, c = np.deg2rad(np.asarray(angles_deg, dtype=np.float64))
    about_l = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_p = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_s = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    turned: Floats = about_s @ about_p @ about_l
    return turned


def random_elastic(
    shape: tuple[int, ...],
    spacing: Floats,
    largest_mm: float,
    control_mm: float,
    rng: np.random.Generator,
) -> Elastic:
    """A field over ``shape`` voxels of ``spacing`` (k, j, i) mm, displacements within the largest.

    With ``largest_mm`` below a sixth of ``control_mm`` it cannot fold; see config.augment_problems.
    """
    extent = (np.array(shape) - 1) * spacing
    counts = np.ceil(extent / control_mm).astype(int) + 4
    return Elastic(rng.uniform(-largest_mm, largest_mm, (3, *counts)), control_mm)


ALL = slice(None)
"""Every plane."""


def displacements_mm(
    elastic: Elastic, shape: tuple[int, ...], spacing: Floats, planes: slice = ALL
) -> npt.NDArray[np.float32]:
    """The field at every voxel of some ``planes`` k, (3, k, j, i) in mm along (k, j, i)."""
    weights = [
        _weights(np.arange(n) * step / elastic.spacing_mm, count)
        for n, step, count in zip(shape, spacing, elastic.coefficients.shape[1:], strict=True)
    ]
    weights[0] = weights[0][planes]
    field = elastic.coefficients.astype(np.float32)
    for axis, matrix in enumerate(weights, start=1):
        field = np.moveaxis(
            np.einsum("nc,...c->...n", matrix, np.moveaxis(field, axis, -1)), -1, axis
        )
    return np.ascontiguousarray(field)


def _weights(places: Floats, count: int) -> npt.NDArray[np.float32]:
    """Cubic B-splines (n, count) at ``places`` in units of the control spacing; rows sum to 1."""
    away = np.abs(places[:, None] + 1 - np.arange(count))
    near = 2 / 3 - away**2 + away**3 / 2
    far = np.clip(2 - away, 0, None) ** 3 / 6
    return np.where(away < 1, near, far).astype(np.float32)


def coordinates(
    shape: tuple[int, ...],
    axes_mm: Floats,
    turn: Floats,
    elastic: Elastic | None,
    planes: slice = ALL,
) -> Coordinates:
    """For every voxel of some ``planes`` k, the index (3, k, j, i) it comes from.

    ``axes_mm``: 3x3, column a is the step in LPS mm along array axis a. The content is displaced
    by the elastic field, then turned by ``turn`` about the middle of the patch, both physically.
    """
    middle = (np.array(shape) - 1) / 2
    back = np.linalg.inv(axes_mm) @ turn.T @ axes_mm
    steps = [
        np.arange(n, dtype=np.float32) - np.float32(m) for n, m in zip(shape, middle, strict=True)
    ]
    steps[0] = steps[0][planes]
    offsets: list[npt.NDArray[np.float32]] = [
        steps[0][:, None, None], steps[1][:, None], steps[2]
    ]  # fmt: skip
    if elastic is not None:
        spacing = np.linalg.norm(axes_mm, axis=0)
        field = displacements_mm(elastic, shape, spacing, planes)
        offsets = [
            offset + shift / np.float32(step)
            for offset, shift, step in zip(offsets, field, spacing, strict=True)
        ]
    result = np.empty((3, len(steps[0]), *shape[1:]), np.float32)
    for row in range(3):
        result[row] = np.float32(middle[row])
        for column, offset in enumerate(offsets):
            if back[row, column]:
                result[row] += np.float32(back[row, column]) * offset
    return result
