"""The three anatomical views of a volume: which index axis runs which way across a picture.

Nothing is resampled to another orientation: each view follows the index axes that lie nearest to
the patient's axes, and a picture is addressed by one affine map from its pixels to voxel indices,
so that transposed, mirrored, anisotropic and left-handed grids are all the same case.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.geometry import Geometry, Index
from MedPrepLib.images import VoxelArray

# (name, world axis to the right and its sign, world axis downwards and its sign, world normal,
# letters left, right, top, bottom); world axes 0, 1, 2 grow to Left, Posterior, Superior.
# The radiological convention: the viewer stands at the patient's feet, or faces the patient.
_CONVENTION = (
    ("axial", (0, 1), (1, 1), 2, "RLAP"),
    ("coronal", (0, 1), (2, -1), 1, "RLSI"),
    ("sagittal", (1, 1), (2, -1), 0, "APSI"),
)


@dataclass(frozen=True, slots=True)
class Run:
    """An index axis (0, 1, 2 for i, j, k) along one side of a picture; sign -1: it runs back."""

    axis: int
    sign: int


@dataclass(frozen=True, slots=True)
class View:
    """How one anatomical plane lies in the index space of a grid."""

    name: str
    right: Run
    down: Run
    normal: int
    letters: str
    """What lies at the left, right, top and bottom of the picture."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A square part of one view: pixel p of a side shows voxel coordinate start + step * p.

    Coordinates are those of voxel *edges*: voxel n covers [n, n + 1). ``pixels`` per side.
    """

    view: View
    slice_index: int
    pixels: int
    start: tuple[float, float]
    """At the left and top edge of the picture, for the axes running right and down."""
    step: tuple[float, float]
    """Voxels per pixel to the right and down; negative where the index runs back."""


@dataclass(frozen=True, slots=True)
class Part:
    """Pixels ``first`` .. ``stop`` of a side show the voxels ``order``, from ``low`` to ``high``.

    ``low`` and ``high`` are edge coordinates within ``order``, not within the grid.
    """

    first: int
    stop: int
    order: npt.NDArray[np.intp]
    low: float
    high: float


def views_of(geometry: Geometry) -> tuple[View, ...]:
    """The axial, coronal and sagittal view (patient's right on the left, A or S on top)."""
    axes, signs = anatomical_axes(geometry)
    return tuple(
        View(
            name,
            Run(axes[right], sign_r * signs[right]),
            Run(axes[down], sign_d * signs[down]),
            axes[normal],
            letters,
        )
        for name, (right, sign_r), (down, sign_d), normal, letters in _CONVENTION
    )


def anatomical_axes(geometry: Geometry) -> tuple[Index, Index]:
    """For each world axis L, P, S: the index axis nearest to it, and its sign along it."""
    direction = np.reshape(geometry.direction, (3, 3))
    orders = list(itertools.permutations(range(3)))
    strength = [float(np.abs(direction[range(3), order]).sum()) for order in orders]
    a, b, c = orders[int(np.argmax(strength))]
    signs = [1 if direction[world, axis] >= 0 else -1 for world, axis in enumerate((a, b, c))]
    return (a, b, c), (signs[0], signs[1], signs[2])


def frame(geometry: Geometry, view: View, center: Index, side_mm: float, pixels: int) -> Frame:
    """The square of ``side_mm`` about voxel ``center`` (i, j, k), moved to stay on the grid."""
    starts, steps = [], []
    for run in (view.right, view.down):
        spacing, size = geometry.spacing[run.axis], geometry.size[run.axis]
        half, whole = side_mm / 2, size * spacing
        middle = (center[run.axis] + 0.5) * spacing
        middle = whole / 2 if whole <= side_mm else min(max(middle, half), whole - half)
        starts.append((middle - run.sign * half) / spacing)
        steps.append(run.sign * side_mm / pixels / spacing)
    return Frame(view, center[view.normal], pixels, (starts[0], starts[1]), (steps[0], steps[1]))


def plane_of(array: VoxelArray, at: Frame) -> VoxelArray:
    """The slice (a view, not a copy) of ``array`` (k, j, i) that the frame lies in."""
    place: list[Any] = [slice(None)] * 3
    place[2 - at.view.normal] = at.slice_index
    plane: VoxelArray = array[tuple(place)]
    return plane


def is_transposed(view: View) -> bool:
    """True when the axis running right in the picture is the row axis of :func:`plane_of`."""
    return view.right.axis > view.down.axis


def sample_labels(plane: VoxelArray, at: Frame) -> VoxelArray:
    """The label under each pixel (pixels, pixels), row 0 on top; 0 outside the grid."""
    columns, rows = (_voxels(at, side) for side in (0, 1))
    turned = plane.T if is_transposed(at.view) else plane
    inside_rows = (rows >= 0) & (rows < turned.shape[0])
    inside_columns = (columns >= 0) & (columns < turned.shape[1])
    found = turned.take(rows.clip(0, turned.shape[0] - 1), axis=0)
    found = found.take(columns.clip(0, turned.shape[1] - 1), axis=1)
    found[~inside_rows] = 0
    found[:, ~inside_columns] = 0
    return found


def crop_box(at: Frame, geometry: Geometry) -> tuple[Part, Part]:
    """What of the grid the frame shows, to the right and down, in whole pixels."""
    right, down = (
        _part(at.start[n], at.step[n], at.pixels, geometry.size[run.axis])
        for n, run in enumerate((at.view.right, at.view.down))
    )
    return right, down


def shown_voxels(array: VoxelArray, at: Frame, parts: tuple[Part, Part]) -> VoxelArray:
    """A copy of the voxels that the parts need, in picture order: row 0 on top."""
    plane = plane_of(array, at)
    turned = plane.T if is_transposed(at.view) else plane
    return turned.take(parts[1].order, axis=0).take(parts[0].order, axis=1)


def sample_gray(
    shown: npt.NDArray[np.uint8], pixels: int, parts: tuple[Part, Part]
) -> npt.NDArray[np.uint8]:
    """The gray value of each pixel: interpolated, or averaged where voxels are smaller."""
    from PIL import Image

    right, down = parts
    size = (right.stop - right.first, down.stop - down.first)
    picture = np.zeros((pixels, pixels), dtype=np.uint8)
    if min(size) > 0:
        box = (right.low, down.low, right.high, down.high)
        source = Image.fromarray(np.ascontiguousarray(shown))
        drawn = source.resize(size, Image.Resampling.BILINEAR, box=box)
        picture[down.first : down.stop, right.first : right.stop] = np.asarray(drawn)
    return picture


def _part(start: float, step: float, pixels: int, size: int) -> Part:
    edges = sorted(((0 - start) / step, (size - start) / step))
    first = max(0, math.ceil(edges[0] - 1e-6))
    stop = min(pixels, math.floor(edges[1] + 1e-6))
    begin, end = (min(max(start + step * p, 0.0), float(size)) for p in (first, stop))
    low, high = math.floor(min(begin, end)), math.ceil(max(begin, end))
    order = np.arange(low, high) if step > 0 else np.arange(high - 1, low - 1, -1)
    near = begin - low if step > 0 else high - begin
    return Part(first, stop, order, near, near + abs(end - begin))


def _voxels(at: Frame, side: int) -> npt.NDArray[np.intp]:
    centers = at.start[side] + at.step[side] * (np.arange(at.pixels) + 0.5)
    voxels: npt.NDArray[np.intp] = np.floor(centers).astype(np.intp)
    return voxels
