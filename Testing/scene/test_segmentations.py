"""Segmentations in a scene: every segment exact, in every layer, wherever it was cropped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk

from MedPrepLib.align import compare_grids, to_grid
from MedPrepLib.config.settings import Align
from MedPrepLib.errors import LabelError
from MedPrepLib.formats.segnrrd import read_seg_nrrd, write_seg_nrrd
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.labels import Terminology
from MedPrepLib.masks import merge
from MedPrepLib.mrml import (
    TransformedError,
    add_segmentation,
    add_volume,
    parts_of,
    replace_segments,
)
from MedPrepLib.mrml.segmentations import BINARY, SURFACE, lineage, tag_of
from MedPrepLib.reading import align_parts
from MedPrepLib.segmentation import Segment, Segmentation

COS, SIN = np.cos(0.4), np.sin(0.4)
OBLIQUE = (COS, -SIN, 0.0, SIN, COS, 0.0, 0.0, 0.0, 1.0)
LEFT_HANDED = (COS, -SIN, 0.0, SIN, COS, 0.0, 0.0, 0.0, -1.0)
GRIDS = {
    "plain": Geometry((24, 20, 11), (0.7, 0.9, 5.0), (12.0, -140.0, 33.0)),
    "oblique": Geometry((24, 20, 11), (0.7, 0.9, 5.0), (12.0, -140.0, 33.0), OBLIQUE),
    "left-handed": Geometry((24, 20, 11), (0.7, 0.9, 5.0), (12.0, -140.0, 33.0), LEFT_HANDED),
}
LIVER = Terminology("SCT", "10200004", "Liver")


def drawn(grid):
    """Two labels that exclude each other, one that overlaps both, and one without a voxel."""
    first, second = np.zeros((2, *grid.shape), np.uint8)
    first[2:5, 3:9, 4:15] = 1
    first[6:9, 3:12, 4:20] = 2
    second[4:8, 5:10, 6:12] = 1
    segments = (
        Segment("liver", 1, 0, (200, 10, 30), LIVER),
        Segment("left lung", 2, 0, (10, 200, 30)),
        Segment("tumor", 1, 1, (250, 250, 0)),
        Segment("cyst", 3, 0),
    )
    return Segmentation((first, second), grid, segments)


def on(grid, node):
    """What a node holds, brought to a grid as the panel does it."""
    parts, empty = parts_of(node)
    aligned = align_parts(parts, grid, Align(), "item")
    return merge(aligned.parts, "item").segmentation, empty


def assert_equal(one, other):
    assert set(one.names) == set(other.names)
    for name in one.names:
        assert np.array_equal(one.mask(name), other.mask(name)), name


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_segments_come_back_voxel_for_voxel_with_names_colors_and_codes(scene, grid):
    before = drawn(grid)
    back, empty = on(grid, add_segmentation(scene, before, "ana"))
    listed = {segment.name: segment for segment in (*back.segments, *empty)}
    for segment in before.segments:
        assert np.array_equal(back.mask(segment.name), before.mask(segment.name))
        assert listed[segment.name].terminology == segment.terminology
    assert listed["liver"].color == (200, 10, 30)


def test_a_segment_without_voxels_stays_listed(scene):
    layer = np.zeros(GRIDS["plain"].shape, np.uint8)
    empty = Segmentation((layer,), GRIDS["plain"], (Segment("tumor", 1), Segment("cyst", 2)))
    node = add_segmentation(scene, empty, "ana")
    parts, nowhere = parts_of(node)
    names = {segment.name for part in parts for segment in part.segments}
    assert names | {segment.name for segment in nowhere} == {"tumor", "cyst"}


def test_segments_that_exclude_each_other_share_a_label_map(scene):
    """What Slicer gives for one of them is the shared map: only its value counts."""
    node = add_segmentation(scene, drawn(GRIDS["plain"]), "ana")
    segments = node.GetSegmentation()
    assert segments.GetNumberOfLayers(BINARY) == 2
    ids = segments.GetSegmentIDsForLayer(0, BINARY)
    shared = segments.GetLayerDataObject(0, BINARY)
    values = {segments.GetSegment(i).GetName(): segments.GetSegment(i).GetLabelValue() for i in ids}
    assert values == {"liver": 1, "left lung": 2, "cyst": 3}
    low, high = shared.GetScalarRange()
    assert (low, high) == (0, 2)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_what_slicer_saves_we_read(scene, files, tmp_path, grid):
    before = drawn(grid)
    volume = add_volume(scene, Volume(np.zeros(grid.shape, np.int16), grid), "image")
    node = add_segmentation(scene, before, "ana", volume)
    path = tmp_path / "ana.seg.nrrd"
    assert files.save("SegmentationFile", {"nodeID": node.GetID(), "fileName": str(path)})
    back = read_seg_nrrd(path)
    verdict = compare_grids(grid, back.geometry, Align())
    placed = to_grid(back, grid, verdict, Align(), "item").segmentation
    assert_equal(placed, before)
    assert placed.find("liver").terminology == LIVER


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_what_we_save_slicer_reads(scene, files, tmp_path, grid):
    before = drawn(grid)
    path = tmp_path / "ana.seg.nrrd"
    write_seg_nrrd(path, before)
    assert files.load("SegmentationFile", {"fileName": str(path)})
    back, empty = on(grid, scene.GetFirstNodeByClass("vtkMRMLSegmentationNode"))
    listed = {s.name for s in (*back.segments, *empty)}
    assert listed == set(before.names)
    for name in back.names:
        assert np.array_equal(back.mask(name), before.mask(name))


def test_a_cropped_segmentation_comes_back_to_its_place(scene, files, tmp_path):
    """Slicer stores what is drawn and a margin, not the whole grid."""
    grid = GRIDS["oblique"]
    layer = np.zeros(grid.shape, np.uint8)
    layer[7:9, 11:14, 15:18] = 1
    before = Segmentation((layer,), grid, (Segment("tumor", 1),))
    path = tmp_path / "tumor.seg.nrrd"
    cropped = Segmentation(
        (layer[7:9, 11:14, 15:18],), grid.cropped((15, 11, 7), (3, 3, 2)), before.segments
    )
    write_seg_nrrd(path, cropped)
    files.load("SegmentationFile", {"fileName": str(path)})
    node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    parts, _ = parts_of(node)
    assert parts[0].geometry.size != grid.size
    back, _ = on(grid, node)
    assert_equal(back, before)


def test_names_that_occur_twice_are_told_apart(scene):
    import slicer

    node = add_segmentation(scene, drawn(GRIDS["plain"]), "ana")
    extra = slicer.vtkSegment()
    extra.SetName("tumor")
    extra.SetLabelValue(1)
    image = slicer.vtkOrientedImageData()
    image.DeepCopy(node.GetSegmentation().GetLayerDataObject(1, BINARY))
    extra.AddRepresentation(BINARY, image)
    node.GetSegmentation().AddSegment(extra, "another")
    back, _ = on(GRIDS["plain"], node)
    assert {"tumor", "tumor #2"} <= set(back.names)


def test_a_segmentation_is_replaced_in_place(scene):
    grid = GRIDS["plain"]
    node = add_segmentation(scene, drawn(grid), "consensus")
    layer = np.zeros(grid.shape, np.uint8)
    layer[1:3] = 5
    replace_segments(node, Segmentation((layer,), grid, (Segment("bone", 5),)))
    back, empty = on(grid, node)
    assert (back.names, empty) == (("bone",), ())
    assert np.array_equal(back.mask("bone"), layer > 0)


def test_sixteen_bit_labels_survive(scene):
    grid = GRIDS["plain"]
    layer = np.zeros(grid.shape, np.uint16)
    layer[1:3] = 5000
    back, _ = on(
        grid, add_segmentation(scene, Segmentation((layer,), grid, (Segment("b", 5000),)), "x")
    )
    assert np.array_equal(back.mask("b"), layer > 0)


def test_the_scene_holds_a_copy(scene):
    before = drawn(GRIDS["plain"])
    node = add_segmentation(scene, before, "ana")
    node.GetSegmentation().GetLayerDataObject(0, BINARY).GetPointData().GetScalars().Fill(0)
    assert before.mask("liver").any()


# --- transforms -----------------------------------------------------------------------------


def shifted(scene, node, mm):
    above = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "above")
    matrix = vtk.vtkMatrix4x4()
    for axis, length in enumerate(mm):
        matrix.SetElement(axis, 3, length)
    above.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(above.GetID())
    return above


def test_a_transform_above_moves_the_segments_and_nothing_is_cut_off(scene):
    """Slicer's own array for a reference volume cuts off silently what leaves the volume."""
    grid = GRIDS["plain"]
    node = add_segmentation(scene, drawn(grid), "ana")
    shifted(scene, node, (-0.7 * 3, 0, 0))  # RAS: three voxels along x in LPS
    parts, _ = parts_of(node)
    assert parts[0].geometry.origin[0] == pytest.approx(12.0 + 0.7 * 3)
    assert parts[0].mask("liver").sum() == drawn(grid).mask("liver").sum()
    aligned = align_parts(parts, grid, Align(), "item")
    assert aligned.verdict is not None
    assert aligned.verdict.verdict == "move"
    moved = merge(aligned.parts, "item").segmentation
    assert np.array_equal(moved.mask("liver")[:, :, 3:], drawn(grid).mask("liver")[:, :, :-3])


def test_hardening_changes_nothing_about_where_segments_are(scene):
    grid = GRIDS["oblique"]
    node = add_segmentation(scene, drawn(grid), "ana")
    shifted(scene, node, (3.3, -2.2, 7.1))
    before, _ = parts_of(node)
    node.HardenTransform()
    after, _ = parts_of(node)
    assert before[0].geometry.displacement_mm(after[0].geometry) < 1e-6


def test_segments_under_a_non_linear_transform_are_refused(scene):
    node = add_segmentation(scene, drawn(GRIDS["plain"]), "warped")
    above = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for point in ((0, 0, 0), (10, 0, 0), (0, 10, 0), (0, 0, 10)):
        points.InsertNextPoint(point)
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(points)
    above.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(above.GetID())
    with pytest.raises(TransformedError, match="warped lies under the non-linear transform warp"):
        parts_of(node)


# --- surfaces, facts ------------------------------------------------------------------------


def closed_surface(scene, with_reference):
    ball = vtk.vtkSphereSource()
    ball.SetCenter(-20, 148, 55)
    ball.SetRadius(6)
    ball.SetThetaResolution(48)
    ball.SetPhiResolution(48)
    ball.Update()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "contours")
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    segment = slicer.vtkSegment()
    segment.SetName("ball")
    segment.AddRepresentation("Closed surface", ball.GetOutput())
    node.GetSegmentation().AddSegment(segment, "ball")
    if with_reference:
        fine = Geometry((60, 60, 60), (0.5, 0.5, 0.5), (5.0, -163.0, 40.0))
        volume = add_volume(scene, Volume(np.zeros(fine.shape, np.int16), fine), "image")
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def test_a_surface_is_turned_into_voxels_of_the_reference_in_a_copy(scene):
    node = closed_surface(scene, with_reference=True)
    (part,), _ = parts_of(node)
    volume_mm3 = part.mask("ball").sum() * part.geometry.voxel_volume_mm3
    assert volume_mm3 == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.03)
    middle = part.geometry.index_at((20, -148, 55))
    i, j, k = (round(x) for x in middle)
    assert part.mask("ball")[k, j, i]
    assert not node.GetSegmentation().ContainsRepresentation(BINARY), "the node is as it was"


def test_a_surface_among_voxels_is_never_taken_for_an_empty_segment(scene):
    node = closed_surface(scene, with_reference=True)
    segments = node.GetSegmentation()
    assert segments.CreateRepresentation(BINARY)
    made = slicer.vtkSegment()
    made.SetName("shell")
    made.AddRepresentation(SURFACE, segments.GetSegment("ball").GetRepresentation(SURFACE))
    segments.AddSegment(made, "shell")
    segments.GetSegment("shell").RemoveRepresentation(BINARY)
    with pytest.raises(LabelError, match=r"shell of .* is a surface without voxels"):
        parts_of(node)


def test_a_node_without_segments_is_nothing_at_all(scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "nothing")
    assert parts_of(node) == ((), ())


def test_lineage_survives_slicers_own_file(scene, files, tmp_path):
    node = add_segmentation(scene, drawn(GRIDS["plain"]), "consensus")
    lineage(node, {"Method": "majority", "Raters": "ana, ben"})
    path = tmp_path / "consensus.seg.nrrd"
    files.save("SegmentationFile", {"nodeID": node.GetID(), "fileName": str(path)})
    scene.RemoveNode(node)
    files.load("SegmentationFile", {"fileName": str(path)})
    back = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode").GetSegmentation()
    for id_ in back.GetSegmentIDs():
        assert tag_of(back.GetSegment(id_), "MedPrep.Method") == "majority"
        assert tag_of(back.GetSegment(id_), "MedPrep.Raters") == "ana, ben"


def test_fractions_are_no_labels(scene):
    import slicer

    node = add_segmentation(scene, drawn(GRIDS["plain"]), "soft")
    image = node.GetSegmentation().GetLayerDataObject(0, BINARY)
    scalars = vtk.vtkFloatArray()
    scalars.SetNumberOfTuples(image.GetNumberOfPoints())
    scalars.Fill(0.5)
    image.GetPointData().SetScalars(scalars)
    assert isinstance(image, slicer.vtkOrientedImageData)
    with pytest.raises((LabelError, OSError), match="fractions"):
        parts_of(node)


def test_simpleitk_and_slicer_see_a_segment_at_the_same_point(scene, files, tmp_path):
    grid = replace(GRIDS["left-handed"], origin=(-7.0, 3.0, 11.0))
    layer = np.zeros(grid.shape, np.uint8)
    layer[9, 4, 20] = 1
    node = add_segmentation(scene, Segmentation((layer,), grid, (Segment("dot", 1),)), "ana")
    path = tmp_path / "dot.seg.nrrd"
    files.save("SegmentationFile", {"nodeID": node.GetID(), "fileName": str(path)})
    image = sitk.ReadImage(str(path))
    index = image.TransformPhysicalPointToIndex(grid.point_at((20, 4, 9)))
    assert image[index] == 1
    assert sitk.GetArrayFromImage(image).sum() == 1
