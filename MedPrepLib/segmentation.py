"""A segmentation: named structures drawn on one grid, possibly overlapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import GeometryError, LabelError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import VoxelArray
from MedPrepLib.labels import Color, Terminology
from MedPrepLib.sides import Side

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Segment:
    """One structure of a segmentation: the voxels of layer ``layer`` equal to ``value``.

    A segment that is listed but owns no voxel was *annotated empty*; a structure that is not
    listed was *not annotated*. The two are different outcomes everywhere. ``outside`` counts the
    voxels that were drawn beyond the grid: contours are filled on the grid of an image, which may
    hold only a part of them. ``side``: of the body, where the file's codes say one.
    """

    name: str
    value: int
    layer: int = 0
    color: Color | None = None
    terminology: Terminology | None = None
    outside: int = 0
    side: Side = ""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Segments on a grid. Each layer is a label map (k, j, i) of unsigned integers.

    One layer holds everything as long as no two segments overlap; overlapping segments lie in
    different layers. Raises GeometryError for layers of another shape, LabelError for segments
    that share a name, or a layer and value.
    """

    layers: tuple[VoxelArray, ...]
    geometry: Geometry
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        frozen = []
        for layer in self.layers:
            if layer.shape != self.geometry.shape:
                raise GeometryError(
                    f"a layer of shape {layer.shape} does not fit a grid of {self.geometry.shape}"
                )
            if layer.dtype.kind != "u":
                raise LabelError(f"a layer holds {layer.dtype}, not unsigned integers")
            view = np.ascontiguousarray(layer).view()
            view.flags.writeable = False
            frozen.append(view)
        object.__setattr__(self, "layers", tuple(frozen))
        _require_distinct([s.name for s in self.segments], "name")
        _require_distinct([(s.layer, s.value) for s in self.segments], "layer and value")
        if any(not 0 <= s.layer < len(self.layers) for s in self.segments):
            raise LabelError("a segment points to a layer that does not exist")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the annotated structures, empty ones included."""
        return tuple(s.name for s in self.segments)

    def find(self, name: str) -> Segment | None:
        """The segment with exactly this name; None when it was not annotated."""
        return next((s for s in self.segments if s.name == name), None)

    def mask(self, name: str) -> BoolArray:
        """The voxels (k, j, i) of one segment; LabelError when it was not annotated."""
        segment = self.find(name)
        if segment is None:
            raise LabelError(f"no segment {name!r}; annotated: {', '.join(self.names) or 'none'}")
        return np.equal(self.layers[segment.layer], segment.value)

    def label_map(self) -> VoxelArray:
        """One value per voxel, (k, j, i): where segments overlap the highest value wins."""
        if len(self.layers) == 1:
            return self.layers[0]
        widest = np.result_type(*(layer.dtype for layer in self.layers))
        merged = np.zeros(self.geometry.shape, dtype=widest)
        for layer in self.layers:
            np.maximum(merged, layer, out=merged)
        return merged


def from_masks(
    masks: Mapping[str, npt.ArrayLike], geometry: Geometry, values: Sequence[int] | None = None
) -> Segmentation:
    """A segmentation from one boolean array (k, j, i) per structure, one layer each.

    ``values`` defaults to 1, 2, 3... in the order of the mapping.
    """
    numbers = values if values is not None else range(1, len(masks) + 1)
    layers, segments = [], []
    for layer, ((name, mask), value) in enumerate(zip(masks.items(), numbers, strict=True)):
        dtype = np.min_scalar_type(value)
        layers.append(np.where(np.asarray(mask, dtype=bool), value, 0).astype(dtype))
        segments.append(Segment(name, value, layer))
    return Segmentation(tuple(layers), geometry, tuple(segments))


def _require_distinct(keys: Sequence[object], what: str) -> None:
    if len(set(keys)) != len(keys):
        raise LabelError(f"two segments share the {what}")
