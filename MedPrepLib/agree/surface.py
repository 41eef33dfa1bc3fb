"""How far apart the surfaces are that raters drew, in millimeters, per label and pair.

Several definitions are in use under the same names; each field of ``SurfaceDistances`` follows
the one that its docstring in results.py states. All of them use the spacing of the grid, do not
depend on its extent or direction, and are the same for (a, b) and (b, a). Distances to an empty
mask do not exist: they are None, never 0 and never infinite.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from MedPrepLib.agree.border import Surface, find_surfaces
from MedPrepLib.agree.nearest import Points, Ruler, ruler
from MedPrepLib.agree.pairs import layer_groups, require_one_grid
from MedPrepLib.agree.surfacearea import element_areas
from MedPrepLib.errors import GeometryError, LabelError
from MedPrepLib.geometry import FloatArray, Geometry, Triple
from MedPrepLib.images import VoxelArray
from MedPrepLib.regions import EMPTY, Slices, extent
from MedPrepLib.results import PairSurface, SurfaceDistances
from MedPrepLib.segmentation import BoolArray, Segment, Segmentation

_SLACK = 1 + 1e-9
"""Three voxels of 0.1 mm are within 0.3 mm, although 3 * 0.1 > 0.3 in binary."""


def surface_distances(
    a: BoolArray, b: BoolArray, spacing_mm: Triple, tolerance_mm: float
) -> SurfaceDistances:
    """How far the surfaces of two masks (k, j, i) of one grid are apart.

    ``spacing_mm`` is (i, j, k). ``tolerance_mm`` is the distance up to which surfaces count as
    equal in ``nsd``. Raises GeometryError for unequal shapes, anything but three axes, and
    spacings or tolerances that are no lengths; LabelError for arrays that are not boolean.
    """
    if a.dtype != np.bool_ or b.dtype != np.bool_:
        raise LabelError(f"arrays of {a.dtype} and {b.dtype} are no masks; compare boolean ones")
    if a.shape != b.shape or a.ndim != 3:
        raise GeometryError(f"masks of shapes {a.shape} and {b.shape} are not on one 3-D grid")
    k, j, i = a.shape
    grid = Geometry((i, j, k), spacing_mm)
    segments = (Segment("mask", 1),)
    readings = {
        name: Segmentation((np.ascontiguousarray(mask).view(np.uint8),), grid, segments)
        for name, mask in (("a", a), ("b", b))
    }
    (pair,) = surfaces(readings, ["mask"], tolerance_mm)
    return SurfaceDistances(**{f: getattr(pair, f) for f in SurfaceDistances.__struct_fields__})


def surfaces(
    readings: Mapping[str, Segmentation], labels: Sequence[str], tolerance_mm: float
) -> tuple[PairSurface, ...]:
    """Compare the surfaces of every label for every pair of raters, matched by segment name.

    ``readings`` (rater to reading) must lie on one grid. Pairs come in the order of ``labels``,
    then by rater name. ``tolerance_mm`` is the distance up to which surfaces count as equal in
    ``nsd``. Raises GeometryError when the grids differ or the tolerance is no length.
    """
    if not (math.isfinite(tolerance_mm) and tolerance_mm >= 0):
        raise GeometryError(f"a tolerance of {tolerance_mm} mm is not 0 or more")
    require_one_grid(readings)
    pairs = list(itertools.combinations(sorted(readings), 2))
    if not pairs:
        return ()
    found: dict[str, list[PairSurface]] = {}
    for places, names in layer_groups(readings, labels).items():
        layers = {rater: readings[rater].layers[layer] for rater, layer in places}
        drawn = _draw(layers, next(iter(readings.values())).geometry.spacing)
        for name in names:
            outlines = {
                rater: drawn.outline(rater, segment.value)
                for rater, reading in readings.items()
                if (segment := reading.find(name)) is not None
            }
            found[name] = [_pair(name, a, b, outlines, tolerance_mm) for a, b in pairs]
    return tuple(itertools.chain.from_iterable(found[label] for label in labels))


@dataclass(frozen=True, eq=False)
class _Outline:
    """The surface of one label of one rater: border voxels, and cells with their areas in mm2."""

    voxels: Points
    cells: Points
    areas_mm2: FloatArray


@dataclass(frozen=True, eq=False)
class _Drawing:
    """The surfaces of several raters, by rater and value, and what measures between them."""

    ruler: Ruler
    surfaces: dict[str, dict[int, Surface]]

    def outline(self, rater: str, value: int) -> _Outline | None:
        """What a rater drew with a value; None when it owns no voxel."""
        surface = self.surfaces[rater].get(value)
        if surface is None:
            return None
        areas = element_areas(self.ruler.spacing_mm)[surface.cases]
        return _Outline(
            Points(surface.voxels, self.ruler), Points(surface.cells, self.ruler), areas
        )


def _draw(layers: Mapping[str, VoxelArray], spacing_mm: Triple) -> _Drawing:
    boxes = [box for box in map(extent, layers.values()) if box != EMPTY]
    where = _around(boxes) if boxes else EMPTY
    measure = ruler(where, spacing_mm)
    return _Drawing(measure, {r: find_surfaces(map_, measure.frame) for r, map_ in layers.items()})


def _around(boxes: Sequence[Slices]) -> Slices:
    """The smallest box that holds all of ``boxes``."""
    k, j, i = (
        slice(min(part.start for part in parts), max(part.stop for part in parts))
        for parts in zip(*boxes, strict=True)
    )
    return (k, j, i)


def _pair(
    label: str, a: str, b: str, outlines: Mapping[str, _Outline | None], tolerance_mm: float
) -> PairSurface:
    if a in outlines and b in outlines:
        measured = _compared(outlines[a], outlines[b], tolerance_mm)
    else:
        measured = SurfaceDistances(outcome="not annotated")
    return PairSurface(label=label, rater_a=a, rater_b=b, **msgspec.structs.asdict(measured))


def _compared(a: _Outline | None, b: _Outline | None, tolerance_mm: float) -> SurfaceDistances:
    if a is None and b is None:
        return SurfaceDistances(outcome="both empty")
    if a is None or b is None:
        return SurfaceDistances(outcome="one empty", nsd=0.0)
    there, back = a.voxels.distances_mm(b.voxels), b.voxels.distances_mm(a.voxels)
    pooled = np.concatenate([there, back])
    return SurfaceDistances(
        outcome="measured",
        hausdorff_mm=float(pooled.max()),
        hd95_max_mm=float(max(np.percentile(there, 95), np.percentile(back, 95))),
        hd95_pooled_mm=float(np.percentile(pooled, 95)),
        assd_mm=float(pooled.mean()),
        **_by_area(a, b, tolerance_mm),
    )


def _by_area(a: _Outline, b: _Outline, tolerance_mm: float) -> dict[str, float]:
    """The measures that weigh each distance with the surface area that has it."""
    there, back = a.cells.distances_mm(b.cells), b.cells.distances_mm(a.cells)
    limit = tolerance_mm * _SLACK
    near = a.areas_mm2[there <= limit].sum() + b.areas_mm2[back <= limit].sum()
    return {
        "hd95_area_mm": max(_weighted_95(there, a.areas_mm2), _weighted_95(back, b.areas_mm2)),
        "nsd": float(near / (a.areas_mm2.sum() + b.areas_mm2.sum())),
    }


def _weighted_95(distances_mm: FloatArray, areas_mm2: FloatArray) -> float:
    """The smallest distance within which at least 95 % of the area lies."""
    order = np.argsort(distances_mm)
    within = np.cumsum(areas_mm2[order])
    return float(distances_mm[order[np.searchsorted(within, 0.95 * within[-1])]])
