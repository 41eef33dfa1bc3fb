"""Masks that number the slices of a series with a gap, which their file format cannot state.

A NIfTI, NRRD or MetaImage file has one distance of slices. Of a series with a gap, dcm2niix writes
every slice in order with the distance of the first two (it warns, and adds an equidistant copy),
ITK's series reader with the mean distance; both begin where the series begins. What is drawn on
such a file is right by the number of the slice and displaced by its position behind the gap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from MedPrepLib.align.grids import along_axes_mm, rounding_limit_mm, snapped_to_lattice
from MedPrepLib.config.settings import Align
from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import FloatArray, Geometry


def by_number(
    image: Geometry, stack_mm: Sequence[float], mask: Geometry, settings: Align
) -> tuple[Geometry, float] | None:
    """The grid on which slice n of ``mask`` lies on slice n of the series, and how far that is.

    ``image`` is the even run that is used of a series, ``stack_mm`` where all slices of the series
    lie along its normal, in ascending order, from the first one that is used. The distance, mm, is
    the largest between a used slice and where the mask's header has the slice of its number.

    None where the mask has to be taken by its position: its header is right for all that is used,
    or it is no copy of the series. A copy has as many slices as the series, the slices' own grid
    within the plane, and begins or ends where the series does. No mask that was drawn on the
    complete scan is like that, unless as many slices were cut from its end as the gap has lost.
    """
    axis = int(np.abs(_along(image, mask)).argmax())
    if mask.size[axis] != len(stack_mm):
        return None
    limit = rounding_limit_mm(image, settings)
    off = _heights(image, mask, axis) - np.asarray(stack_mm)
    first = list(stack_mm).index(0.0)
    apart = float(np.abs(off[first : first + image.size[2]]).max())
    if apart <= limit or min(abs(off[0]), abs(off[-1])) > limit:
        return None
    placed = _placed(image, mask, axis, first)
    if placed is None or not _has_its_plane(image, placed, limit):
        return None
    return placed, apart


def _along(image: Geometry, mask: Geometry) -> FloatArray:
    """The cosines between the axes of the mask and the normal of the slices."""
    cosines: FloatArray = np.reshape(mask.direction, (3, 3)).T @ _normal(image)
    return cosines


def _normal(image: Geometry) -> FloatArray:
    return np.reshape(np.array(image.direction), (3, 3))[:, 2]


def _heights(image: Geometry, mask: Geometry, axis: int) -> FloatArray:
    """Where the header of the mask has its slices, mm along the normal, in ascending order."""
    start = (np.array(mask.origin) - np.array(image.origin)) @ _normal(image)
    step = mask.spacing[axis] * _along(image, mask)[axis]
    heights: FloatArray = np.sort(start + step * np.arange(mask.size[axis]))
    return heights


def _placed(image: Geometry, mask: Geometry, axis: int, first: int) -> Geometry | None:
    """The mask with the slices' distance of the image, its slice ``first`` on slice 0 of that."""
    upward = _along(image, mask)[axis] > 0
    step = _normal(image) * image.spacing[2] * (1.0 if upward else -1.0)
    index = first if upward else mask.size[axis] - 1 - first
    height = (np.array(mask.origin) - np.array(image.origin)) @ _normal(image)
    affine = np.array(mask.affine)
    affine[:3, axis] = step
    affine[:3, 3] += -height * _normal(image) - index * step
    try:
        return Geometry.from_affine(affine, mask.size)
    except GeometryError:  # the slices of the mask lie across those of the image
        return None


def _has_its_plane(image: Geometry, placed: Geometry, limit: float) -> bool:
    """True when rows and columns of a mask are those of the image, in whatever order."""
    snapped = snapped_to_lattice(image, placed)
    if snapped is None or along_axes_mm(placed, snapped) > limit:
        return False
    corners = np.rint([image.index_at(corner) for corner in snapped.corners_mm])[:, :2]
    ends = np.array(image.size[:2]) - 1
    return bool((corners.min(axis=0) == 0).all() and (corners.max(axis=0) == ends).all())
