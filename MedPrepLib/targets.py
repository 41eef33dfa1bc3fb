"""What a model can be trained to predict: volumes, boxes and slices, derived from a label map."""

from __future__ import annotations

import itertools

import numpy as np

from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import Geometry, Triple
from MedPrepLib.images import VoxelArray
from MedPrepLib.joint import value_counts
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.regions import EMPTY, Components, Slices, components, label_extents
from MedPrepLib.results import Box, SliceRange, Targets


def derive(label_map: VoxelArray, geometry: Geometry, schema: LabelSchema) -> Targets:
    """Voxels, boxes per 26-connected component, and slice ranges of every label of the schema.

    ``label_map`` (k, j, i) holds the schema's values; others (undecided voxels) are ignored. Boxes
    and ranges come in order of label value, boxes of one label in scan order of their first voxel.
    Raises GeometryError when the array does not fit the geometry.
    """
    if label_map.shape != geometry.shape:
        raise GeometryError(
            f"a label map of shape {label_map.shape} does not fit a grid of {geometry.shape}"
        )
    counts = value_counts(label_map)
    extents = label_extents(label_map)
    boxes: list[Box] = []
    ranges: list[SliceRange] = []
    for label in schema:
        where = extents.get(label.value, EMPTY)
        if where != EMPTY:
            boxes += _boxes(components(label_map, label.value, where), label, geometry)
            ranges += _ranges(label_map, label, where)
    voxels = {label.name: counts.get(label.value, 0) for label in schema}
    return Targets(voxels, tuple(boxes), tuple(ranges))


def _boxes(found: Components, label: Label, geometry: Geometry) -> list[Box]:
    from scipy import ndimage

    sizes = np.bincount(found.ids.ravel(), minlength=found.count + 1)
    inner = ndimage.find_objects(found.ids, max_label=found.count)
    return [
        _box(label.name, box, found.where, int(size), geometry)
        for box, size in zip(inner, sizes[1:], strict=True)
    ]


def _box(name: str, inner: Slices, outer: Slices, voxels: int, geometry: Geometry) -> Box:
    k, j, i = (o.start + s.start for s, o in zip(inner, outer, strict=True))
    depth, height, width = (s.stop - s.start for s in inner)
    start, stop = (i, j, k), (i + width, j + height, k + depth)
    low, high = edges_mm(start, stop, geometry)
    return Box(name, start, stop, low, high, voxels)


def edges_mm(
    start: tuple[int, int, int], stop: tuple[int, int, int], geometry: Geometry
) -> tuple[Triple, Triple]:
    """Lowest and highest LPS millimeters of the voxel edges of an index box (``stop`` exclusive).

    A voxel reaches half a voxel to each side of its center, so the edges are at start - 0.5 and
    stop - 0.5. On oblique grids this is the axis-aligned hull of the turned box.
    """
    corners = np.array(list(itertools.product(*zip(start, stop, strict=True))), dtype=float) - 0.5
    points = corners @ geometry.affine[:3, :3].T + geometry.affine[:3, 3]
    (x0, y0, z0), (x1, y1, z1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return (x0, y0, z0), (x1, y1, z1)


def _ranges(label_map: VoxelArray, label: Label, where: Slices) -> list[SliceRange]:
    present = np.equal(label_map[where], label.value).any(axis=(1, 2))
    steps = np.diff(present.astype(np.int8), prepend=0, append=0)
    starts = np.flatnonzero(steps == 1) + where[0].start
    stops = np.flatnonzero(steps == -1) + where[0].start
    return [SliceRange(label.name, int(a), int(b)) for a, b in zip(starts, stops, strict=True)]
