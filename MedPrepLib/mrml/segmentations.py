"""Segmentation nodes to segmentations and back: names, colors, codes, overlaps, cropped extents.

In a node every segment has a label map, which segments without overlap share; the map covers
no more than what is drawn. So a node is read as one part per shared map, each on the grid that
it has, and is written as one map per layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import vtk

from MedPrepLib.errors import LabelError
from MedPrepLib.formats.segnrrd import as_labels, distinct_names
from MedPrepLib.formats.terminology import entry_of, entry_text, side_of
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import VoxelArray
from MedPrepLib.labels import Color, distinct_color, normalized_name
from MedPrepLib.mrml.arrays import fill, from_vtk_matrix, ras_matrix, right_handed, voxels
from MedPrepLib.mrml.transforms import grid_in_world
from MedPrepLib.segmentation import Segment, Segmentation
from MedPrepLib.sides import sides_in

BINARY = "Binary labelmap"
"""What Slicer calls the representation by voxels (vtkSegmentationConverter)."""
SURFACE = "Closed surface"
TERMINOLOGY = "TerminologyEntry"


def add_segmentation(
    scene: Any,
    segmentation: Segmentation,
    name: str,
    volume: Any = None,
    colors: Mapping[str, Color] | None = None,
) -> Any:
    """A new vtkMRMLSegmentationNode with a copy of all segments, also the empty ones.

    ``volume``: the volume node that the segments lie on. ``colors``: by segment name, instead of
    those of the segmentation. Segments are drawn as outlines; nothing is made in 3-D.
    """
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetVisibility2DFill(False)
    display.SetVisibility3D(False)
    if volume is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    _add_segments(node, segmentation, colors or {})
    return node


def replace_segments(node: Any, segmentation: Segmentation) -> None:
    """Put these segments in place of those that the node has; it is redrawn once."""
    changing = node.StartModify()
    remove_segments(node)
    _add_segments(node, segmentation, {})
    node.EndModify(changing)


def remove_segments(node: Any) -> None:
    """Remove all segments of a node.

    Segments let go of the map that they share first: Slicer would copy it for every single one.
    """
    segments = node.GetSegmentation()
    for id_ in segments.GetSegmentIDs():
        segments.GetSegment(id_).RemoveAllRepresentations()
    segments.RemoveAllSegments()


def drop_segments(node: Any, names: Sequence[str]) -> None:
    """Remove the segments with these names, as far as they are there."""
    segments = node.GetSegmentation()
    for id_ in segment_ids(node, names):
        segments.GetSegment(id_).RemoveAllRepresentations()
        segments.RemoveSegment(id_)


def parts_of(
    node: Any, *, sided: bool = False
) -> tuple[tuple[Segmentation, ...], tuple[Segment, ...]]:
    """What a node holds: a part per label map, on its own grid in the world, and empty segments.

    Segments without a voxel have no grid; they were annotated all the same. A linear parent
    transform is applied to the grids. Segments that are surfaces are turned into voxels of the
    reference image, in a copy. Names that occur twice are told apart by " #2". ``sided``: names
    say the side of the body that only the codes say, as "kidney left". Raises LabelError where
    that cannot be done, TransformedError for other transforms.
    """
    segments = _by_voxels(node)
    names = _names(segments, sided=sided)
    parts: list[Segmentation] = []
    empty: list[Segment] = []
    for layer in range(segments.GetNumberOfLayers(BINARY)):
        image = segments.GetLayerDataObject(layer, BINARY)
        own = [
            _segment(segments.GetSegment(id_), names[id_])
            for id_ in segments.GetSegmentIDsForLayer(layer, BINARY)
        ]
        if image is None or image.IsEmpty():
            empty += own
        else:
            parts.append(Segmentation((_labels(image),), _grid(node, image), tuple(own)))
    return tuple(parts), tuple(empty)


def lineage(node: Any, values: Mapping[str, str]) -> None:
    """Write facts into every segment's tags, which .seg.nrrd keeps, and the node's attributes."""
    segments = node.GetSegmentation()
    for key, value in values.items():
        node.SetAttribute(f"MedPrep.{key}", value)
        for id_ in segments.GetSegmentIDs():
            segments.GetSegment(id_).SetTag(f"MedPrep.{key}", value)


def _add_segments(node: Any, segmentation: Segmentation, colors: Mapping[str, Color]) -> None:
    import slicer

    segments = node.GetSegmentation()
    segments.SetSourceRepresentationName(BINARY)
    images = [_image(layer, segmentation.geometry) for layer in segmentation.layers]
    for segment in segmentation.segments:
        made = slicer.vtkSegment()
        made.SetName(segment.name)
        made.SetLabelValue(segment.value)
        color = colors.get(segment.name) or segment.color or distinct_color(segment.value)
        made.SetColor(*(part / 255 for part in color))
        if segment.terminology is not None:
            made.SetTag(TERMINOLOGY, entry_text(segment.terminology))
        made.AddRepresentation(BINARY, images[segment.layer])
        segments.AddSegment(made, segments.GenerateUniqueSegmentID(segment.name))


def _image(layer: VoxelArray, geometry: Geometry) -> Any:
    import slicer

    array, grid = right_handed(layer, geometry)
    image = slicer.vtkOrientedImageData()
    fill(image, array)
    image.SetImageToWorldMatrix(ras_matrix(grid))
    return image


def _by_voxels(node: Any) -> Any:
    """The node's vtkSegmentation, or a copy with label maps where it has none."""
    import slicer

    segments = node.GetSegmentation()
    every = [segments.GetSegment(id_) for id_ in segments.GetSegmentIDs()]
    if any(segment.GetRepresentation(BINARY) for segment in every):
        for segment in every:
            _require_voxels(node, segment)
        return segments
    if not every or segments.ContainsRepresentation(BINARY):
        return segments
    copied = slicer.vtkSegmentation()
    copied.DeepCopy(segments)
    if not copied.CreateRepresentation(BINARY):
        raise LabelError(
            f"the segments of {node.GetName()} ({segments.GetSourceRepresentationName()}) cannot "
            "be turned into voxels; choose a reference image for them in the module Segmentations"
        )
    return copied


def _require_voxels(node: Any, segment: Any) -> None:
    """LabelError for a segment that is drawn in another form alone: it would be taken for empty."""
    if segment.GetRepresentation(BINARY) is None and segment.GetRepresentation(SURFACE) is not None:
        raise LabelError(
            f"the segment {segment.GetName()} of {node.GetName()} is a surface without voxels, "
            "unlike others there; create its binary labelmap in the module Segmentations"
        )


def _names(segments: Any, *, sided: bool = False) -> dict[str, str]:
    ids = segments.GetSegmentIDs()
    given = [_sided_name(segments.GetSegment(id_), sided=sided) for id_ in ids]
    return dict(zip(ids, distinct_names(given), strict=True))


def _sided_name(segment: Any, *, sided: bool) -> str:
    """The name of a segment, and the side that its code says, where that is asked for."""
    name = str(segment.GetName())
    side = side_of(tag_of(segment, TERMINOLOGY)) if sided else ""
    return f"{name} {side}" if side and not sides_in(name) else name


def _segment(segment: Any, name: str) -> Segment:
    r, g, b = (round(255 * part) for part in segment.GetColor())
    entry = tag_of(segment, TERMINOLOGY)
    value = int(segment.GetLabelValue())
    return Segment(name, value, 0, (r, g, b), entry_of(entry), side=side_of(entry))


def tag_of(segment: Any, tag: str) -> str:
    """The text of a segment's tag; empty when it has none."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(tag, value) else ""


def _labels(image: Any) -> VoxelArray:
    array = voxels(image)
    return as_labels(array) if array.dtype.kind != "u" else array


def _grid(node: Any, image: Any) -> Geometry:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    first = np.eye(4)
    first[:3, 3] = image.GetExtent()[0::2]
    return grid_in_world(node, from_vtk_matrix(matrix) @ first, image.GetDimensions())


def segment_ids(node: Any, names: Sequence[str]) -> tuple[str, ...]:
    """The ids of the segments with these names, as far as they are there.

    Names are those of :func:`parts_of`, with the side that a code says or without, compared as
    those of labels are.
    """
    segments = node.GetSegmentation()
    wanted = {normalized_name(name) for name in names}
    by_name = [_names(segments, sided=sided) for sided in (True, False)]
    return tuple(
        id_
        for id_ in segments.GetSegmentIDs()
        if wanted & {normalized_name(found[id_]) for found in by_name}
    )
