"""A consensus as a segmentation that a person can edit, and back."""

from __future__ import annotations

import numpy as np

from MedPrepLib.consensus.ties import map_type
from MedPrepLib.errors import LabelError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import VoxelArray
from MedPrepLib.labels import LabelSchema
from MedPrepLib.segmentation import Segment, Segmentation

UNDECIDED = "undecided"
"""What the segment of undecided voxels is called."""
_GRAY = (160, 160, 160)


def as_drawing(
    label_map: VoxelArray, geometry: Geometry, schema: LabelSchema, ignore_value: int | None
) -> Segmentation:
    """The label map (k, j, i) as segments of the schema, each of them listed, drawn or not.

    ``ignore_value``: what undecided voxels hold, if there may be any; they are a segment too.
    """
    segments = [Segment(x.name, x.value, 0, x.color, x.terminology) for x in schema]
    if ignore_value is not None:
        segments.append(Segment(UNDECIDED, ignore_value, 0, _GRAY))
    return Segmentation((label_map,), geometry, tuple(segments))


def from_drawing(drawing: Segmentation, schema: LabelSchema) -> tuple[VoxelArray, int | None]:
    """One value of the schema per voxel, and the value of undecided voxels if there are any.

    Where segments overlap the label with the higher value lies above, and undecided above all.
    Raises LabelError for a segment with voxels that is no label of the schema.
    """
    values = {label.name: label.value for label in schema}
    dtype = map_type({**values, UNDECIDED: schema.ignore_value})
    label_map = np.zeros(drawing.geometry.shape, dtype)
    found: list[tuple[int, Segment]] = []
    for segment in drawing.segments:
        label = schema.find(segment.name)
        if label is not None:
            found.append((label.value, segment))
        elif segment.name == UNDECIDED and schema.valued(schema.ignore_value) is None:
            found.append((schema.ignore_value, segment))
        elif drawing.mask(segment.name).any():
            raise LabelError(
                f"the segment {segment.name!r} is no label of the study "
                f"({', '.join(schema.names)}); rename it, or delete it"
            )
    undecided = False
    for value, segment in sorted(found, key=lambda pair: pair[0]):
        mask = drawing.mask(segment.name)
        label_map[mask] = value
        undecided = undecided or (value == schema.ignore_value and bool(mask.any()))
    return label_map, schema.ignore_value if undecided else None
