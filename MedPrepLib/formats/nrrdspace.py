"""Where the axes of an NRRD file lie: directions, spacings, origin, anatomical space."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.geometry import FloatArray

_SPACE_TO_LPS = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
    "scanner-xyz": (1, 1, 1),
    "3d-right-handed": (1, 1, 1),
}


def space_of(fields: Mapping[str, str], sizes: tuple[int, ...]) -> tuple[int | None, FloatArray]:
    """The axis outside space, and the index-to-LPS matrix of the others."""
    vectors = _axis_vectors(fields, len(sizes))
    outside = [axis for axis, vector in enumerate(vectors) if vector is None]
    if len(outside) > 1 or len(vectors) != len(sizes):
        raise FileFaultError(catalog.FOUR_D, f"{len(outside)} NRRD axes have no place in space")
    columns = [vector for vector in vectors if vector is not None]
    matrix = np.eye(4)
    if len(columns) == 3:
        if any(len(vector) != 3 for vector in columns):
            raise FileFaultError(
                catalog.AFFINE_INVALID, "NRRD space directions are not 3-D vectors"
            )
        matrix[:3, :3] = np.transpose(columns)
        matrix[:3, 3] = _origin(fields)
        space = fields.get("space", "left-posterior-superior").lower()
        if space not in _SPACE_TO_LPS:
            raise FileFaultError(catalog.AFFINE_INVALID, "the NRRD space is not an anatomical one")
        matrix[:3] *= np.array(_SPACE_TO_LPS[space])[:, np.newaxis]
    return (outside[0] if outside else None), matrix


def _axis_vectors(fields: Mapping[str, str], dimension: int) -> list[list[float] | None]:
    """One vector per axis, None for axes outside space."""
    if "space directions" in fields:
        words = re.findall(r"none|\([^)]*\)", fields["space directions"], re.IGNORECASE)
        return [_vector(word) for word in words]
    try:
        spacings = [float(x) for x in fields.get("spacings", "").split()]
    except ValueError:
        spacings = []
    if len(spacings) != dimension:
        raise FileFaultError(
            catalog.AFFINE_INVALID, "the NRRD header has neither space directions nor spacings"
        )
    inside = [axis for axis, spacing in enumerate(spacings) if np.isfinite(spacing)]
    return [
        [spacings[axis] if row == inside.index(axis) else 0.0 for row in range(len(inside))]
        if axis in inside
        else None
        for axis in range(dimension)
    ]


def _vector(word: str) -> list[float] | None:
    if word.lower() == "none":
        return None
    try:
        vector = [float(x) for x in word.strip("()").split(",")]
    except ValueError:
        raise FileFaultError(
            catalog.AFFINE_INVALID, "an NRRD vector is not made of numbers"
        ) from None
    return None if np.isnan(vector).all() else vector


def _origin(fields: Mapping[str, str]) -> list[float]:
    if "space origin" in fields:
        origin = _vector(fields["space origin"])
        if origin is not None and len(origin) == 3:
            return origin
        raise FileFaultError(catalog.AFFINE_INVALID, "the NRRD space origin is not a 3-D point")
    try:
        mins = [float(x) for x in fields.get("axis mins", "").split()]
    except ValueError:
        mins = []
    mins = [x for x in mins if np.isfinite(x)]
    return mins if len(mins) == 3 else [0.0, 0.0, 0.0]
