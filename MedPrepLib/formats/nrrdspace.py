"""Where the axes of an NRRD file lie: directions, spacings, origin, anatomical space."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.formats.faults import FileFaultError, spacing_faults
from MedPrepLib.geometry import FloatArray, Geometry

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
_WITH_TIME = {"lpst": "lps", "rast": "ras", "last": "las"}
"""Spaces whose fourth direction is time; the long names end in "-time"."""

_FINE_UNITS = {"", "mm", "millimeter", "millimeters", "???", "s", "sec", "ms"}
_LENGTHS = {
    "m": "meters", "meter": "meters", "cm": "centimeters", "in": "inches", "inch": "inches",
    "um": "micrometers", "micron": "micrometers", "microns": "micrometers", "nm": "nanometers",
}  # fmt: skip


class NrrdSpace(NamedTuple):
    """The axes that count, in file order (``sizes``), those of one element mostly left out.

    ``list_axis`` of them has no place in space; ``affine`` is the index-to-LPS matrix of the
    others, identity unless there are three.
    """

    sizes: tuple[int, ...]
    list_axis: int | None
    affine: FloatArray


class _Axis(NamedTuple):
    """``vector``: its direction times spacing; None outside space."""

    size: int
    vector: list[float] | None


def unit_faults(fields: Mapping[str, str], grid: Geometry) -> Iterator[FileFaultError]:
    """SPACING_SUSPECT where another unit than mm is stated; else as for any grid.

    Axes outside space have units of their own, of time or of nothing.
    """
    stated = fields.get("space units", fields.get("units", ""))
    units = {word.strip().lower() for word in re.findall(r'"([^"]*)"', stated)} - _FINE_UNITS
    if units:
        spacing = " x ".join(f"{x:g}" for x in grid.spacing)
        known = ", ".join(sorted(_LENGTHS.get(unit, "another unit") for unit in units))
        yield FileFaultError(
            catalog.SPACING_SUSPECT,
            f"the NRRD header states {known}; the spacing {spacing} was taken as millimeters",
        )
        return
    yield from spacing_faults(grid)


def space_of(fields: Mapping[str, str], sizes: tuple[int, ...]) -> NrrdSpace:
    """The axes of an NRRD with these sizes.

    An axis outside space with one element (one value per voxel) is none, nor is a fourth axis
    with one element (one point in time). Raises FileFaultError (AFFINE_INVALID, FOUR_D).
    """
    name = fields.get("space", "left-posterior-superior").lower()
    plain = _WITH_TIME.get(name, name.removesuffix("-time"))
    if "space directions" in fields:
        axes, origin = _directed(fields, sizes)
        axes, origin = _without_time(axes, origin) if plain != name else (axes, origin)
    else:
        axes, origin = _spaced(fields, sizes)
    axes = [axis for axis in axes if axis.vector is not None or axis.size > 1]
    outside = [n for n, axis in enumerate(axes) if axis.vector is None]
    if len(outside) > 1:
        raise FileFaultError(catalog.FOUR_D, f"{len(outside)} NRRD axes have no place in space")
    columns = [axis.vector for axis in axes if axis.vector is not None]
    matrix = np.eye(4)
    if len(columns) == 3:
        if any(len(vector) != 3 for vector in columns):
            raise FileFaultError(
                catalog.AFFINE_INVALID, "NRRD space directions are not 3-D vectors"
            )
        matrix[:3, :3] = np.transpose(columns)
        matrix[:3, 3] = _point(origin)
        if plain not in _SPACE_TO_LPS:
            raise FileFaultError(catalog.AFFINE_INVALID, "the NRRD space is not an anatomical one")
        matrix[:3] *= np.array(_SPACE_TO_LPS[plain])[:, np.newaxis]
    kept = tuple(axis.size for axis in axes)
    return NrrdSpace(kept, outside[0] if outside else None, matrix)


def _directed(
    fields: Mapping[str, str], sizes: tuple[int, ...]
) -> tuple[list[_Axis], list[float] | None]:
    """The axes and the origin of a file with space directions."""
    words = re.findall(r"none|\([^)]*\)", fields["space directions"], re.IGNORECASE)
    if len(words) != len(sizes):
        raise FileFaultError(
            catalog.AFFINE_INVALID, f"{len(words)} NRRD space directions for {len(sizes)} axes"
        )
    axes = [_Axis(size, _vector(word)) for size, word in zip(sizes, words, strict=True)]
    if "space origin" not in fields:
        return axes, [0.0] * max(len(axis.vector or ()) for axis in axes)
    return axes, _vector(fields["space origin"])


def _without_time(
    axes: list[_Axis], origin: list[float] | None
) -> tuple[list[_Axis], list[float] | None]:
    """Axes and origin in the three directions of space, of a file with one point in time.

    Files of more points are left as they are: their axes are too many.
    """
    times = [axis for axis in axes if axis.vector and not any(axis.vector[:-1])]
    if any(axis.size > 1 for axis in times):
        return axes, origin
    kept = [axis for axis in axes if axis not in times]
    if any(axis.vector and (len(axis.vector) != 4 or axis.vector[3]) for axis in kept):
        raise FileFaultError(catalog.AFFINE_INVALID, "an NRRD axis in space leads through time")
    flat = [axis._replace(vector=axis.vector[:3] if axis.vector else None) for axis in kept]
    return flat, origin[:3] if origin and len(origin) == 4 else None


def _spaced(
    fields: Mapping[str, str], sizes: tuple[int, ...]
) -> tuple[list[_Axis], list[float] | None]:
    """The axes and the origin of a file with spacings only, one direction of space for each.

    ``axis mins`` are where the samples begin: with ``centers`` of "cell", as images have where
    nothing is said, the middle of the first one is half a spacing on.
    """
    try:
        spacings = [float(x) for x in fields.get("spacings", "").split()]
    except ValueError:
        spacings = []
    if len(spacings) != len(sizes):
        raise FileFaultError(
            catalog.AFFINE_INVALID, "the NRRD header has neither space directions nor spacings"
        )
    inside = [axis for axis, spacing in enumerate(spacings) if np.isfinite(spacing)]
    while len(inside) > 3 and sizes[inside[-1]] == 1:
        inside.pop()
    axes = [_Axis(size, None) for size in sizes]
    for row, axis in enumerate(inside):
        vector = [0.0] * len(inside)
        vector[row] = spacings[axis]
        axes[axis] = _Axis(sizes[axis], vector)
    return axes, _first_centers(fields, spacings, inside)


def _first_centers(
    fields: Mapping[str, str], spacings: list[float], inside: list[int]
) -> list[float] | None:
    """The middle of the first voxel, from ``space origin`` or ``axis mins``; else 0."""
    if "space origin" in fields:
        return _vector(fields["space origin"])
    try:
        mins = [float(x) for x in fields.get("axis mins", "").split()]
    except ValueError:
        mins = []
    if len(mins) != len(spacings) or not np.isfinite([mins[axis] for axis in inside]).all():
        return [0.0] * len(inside)
    centers = fields.get("centers", "").lower().split()
    nodes = {axis for axis, center in enumerate(centers) if center == "node"}
    return [mins[axis] + (0 if axis in nodes else spacings[axis] / 2) for axis in inside]


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


def _point(origin: list[float] | None) -> list[float]:
    if origin is None or len(origin) != 3:
        raise FileFaultError(catalog.AFFINE_INVALID, "the NRRD space origin is not a 3-D point")
    return origin
