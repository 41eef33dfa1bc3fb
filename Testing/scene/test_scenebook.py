"""A case made of what is in a scene: read as the same case from files would be."""

from __future__ import annotations

import numpy as np
import pytest
import vtk
from scene.case_samples import COLORS, GRID, opened, write_study

from MedPrepLib.casebook import CaseAnalysis, NotShownError
from MedPrepLib.config.settings import Consensus
from MedPrepLib.mrml import CaseNodes, SceneBook, add_segmentation, add_volume
from MedPrepLib.review import Review
from MedPrepLib.segmentation import Segment, Segmentation


@pytest.fixture
def files_case(tmp_path):
    write_study(tmp_path)
    return opened(tmp_path)


@pytest.fixture
def book(scene, files_case, tmp_path):
    volume = add_volume(scene, files_case.image, "thorax")
    nodes = tuple(
        add_segmentation(scene, mask, rater, volume) for rater, mask in files_case.masks.items()
    )
    return SceneBook(volume, nodes, tmp_path / "reviews")


def test_a_scene_is_read_as_the_files_are(book, files_case):
    (entry,) = book.entries
    assert (entry.title, entry.raters) == ("thorax", ("ana", "ben", "eva"))
    case = book.read(entry.name)
    assert np.array_equal(case.image.array, files_case.image.array)
    assert case.labels == ("organ", "tumor")
    assert CaseAnalysis(case).agreement.pairs == CaseAnalysis(files_case).agreement.pairs
    assert {v.verdict for v in case.verdicts.values()} == {"same"}


def test_reading_again_sees_what_was_edited(scene, book):
    before = CaseAnalysis(book.read("thorax")).agreement.lowest
    image = book.segmentations[0].GetSegmentation().GetLayerDataObject(0, "Binary labelmap")
    image.GetPointData().GetScalars().Fill(0)
    assert CaseAnalysis(book.read("thorax")).agreement.lowest == 0
    assert before > 0


def test_a_segmentation_under_a_transform_is_judged_where_it_lies(scene, book):
    above = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, -4.0)
    above.SetMatrixTransformToParent(matrix)
    book.segmentations[1].SetAndObserveTransformNodeID(above.GetID())
    case = book.read("thorax")
    assert case.verdicts["ben"].verdict == "move"
    assert case.verdicts["ben"].displacement_mm == pytest.approx(4.0)
    assert set(case.as_drawn) == {"ben"}


def test_a_segmentation_that_cannot_be_read_leaves_the_others(scene, book):
    above = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for point in ((0, 0, 0), (10, 0, 0), (0, 10, 0), (0, 0, 10)):
        points.InsertNextPoint(point)
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(points)
    above.SetAndObserveTransformToParent(spline)
    book.segmentations[1].SetAndObserveTransformNodeID(above.GetID())
    case = book.read("thorax")
    assert set(case.masks) == {"ana", "eva"}
    (finding,) = [f for f in case.findings if f.item == "scene/ben"]
    assert (finding.code, "warp" in finding.message) == ("MASK_UNREADABLE", True)


def test_a_fix_takes_the_voxels_as_those_of_the_image(scene, book):
    above = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, -3.3)
    above.SetMatrixTransformToParent(matrix)
    book.segmentations[1].SetAndObserveTransformNodeID(above.GetID())
    before = CaseAnalysis(book.read("thorax")).agreement.lowest
    case = book.read("thorax", frozenset({"ben"}))
    assert CaseAnalysis(case).agreement.lowest > before
    assert "GRID_ADOPTED" in {finding.code for finding in case.findings}


def test_segments_annotated_empty_are_not_forgotten(scene, files_case, tmp_path):
    volume = add_volume(scene, files_case.image, "thorax")
    layer = np.zeros(GRID.shape, np.uint8)
    nothing = Segmentation((layer,), GRID, (Segment("tumor", 3),))
    nodes = (
        add_segmentation(scene, files_case.masks["ana"], "ana", volume),
        add_segmentation(scene, nothing, "max", volume),
    )
    case = SceneBook(volume, nodes, tmp_path).read("thorax")
    (pair,) = CaseAnalysis(case).pairs("tumor")
    assert (pair.outcome, pair.dice) == ("one empty", 0)
    (organ,) = CaseAnalysis(case).pairs("organ")
    assert organ.outcome == "not annotated"


def sided(scene, volume, rater, *segments):
    """Segments of one name and code; a modifier of the code says the side, as Slicer's does."""
    layer = np.zeros(GRID.shape, np.uint8)
    for value, (column, _side) in enumerate(segments, start=1):
        layer[2:10, 2:20, column : column + 6] = value
    named = tuple(Segment(f"kidney{n}", n + 1) for n in range(len(segments)))
    node = add_segmentation(scene, Segmentation((layer,), GRID, named), rater, volume)
    modifiers = {"left": "SCT^7771000^Left", "right": "SCT^24028007^Right", "": "^^"}
    for number, (_column, side) in enumerate(segments):
        segment = node.GetSegmentation().GetNthSegment(number)
        segment.SetName("kidney")
        segment.SetTag(
            "TerminologyEntry",
            "Segmentation category and type - 3D Slicer General Anatomy list"
            f"~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~{modifiers[side]}"
            "~Anatomic codes - DICOM master list~^^~^^",
        )
    return node


LEFT_AT, RIGHT_AT = 15, 3


def test_left_and_right_of_one_name_are_told_apart_by_their_codes(scene, files_case, tmp_path):
    volume = add_volume(scene, files_case.image, "abdomen")
    nodes = (
        sided(scene, volume, "ana", (LEFT_AT, "left"), (RIGHT_AT, "right")),
        sided(scene, volume, "ben", (RIGHT_AT, "right"), (LEFT_AT, "left")),
    )
    book = SceneBook(volume, nodes, tmp_path)
    case = book.read("abdomen")
    assert case.labels == ("kidney left", "kidney right")
    assert [pair.dice for pair in CaseAnalysis(case).agreement.pairs] == [1.0, 1.0]
    shown = CaseNodes.adopt(scene, case, volume, book.readings)
    shown.show("kidney left", ["ana", "ben"])
    for node, left in zip(nodes, (0, 1), strict=True):
        ids = node.GetSegmentation().GetSegmentIDs()
        seen = [node.GetDisplayNode().GetSegmentVisibility(id_) for id_ in ids]
        assert seen == [number == left for number in range(2)]


def test_a_code_that_contradicts_the_name_leaves_the_segment_out_and_says_so(
    scene, files_case, tmp_path
):
    volume = add_volume(scene, files_case.image, "abdomen")
    nodes = [
        sided(scene, volume, rater, (LEFT_AT, side), (RIGHT_AT, "right"))
        for rater, side in (("ana", "left"), ("ben", "right"))
    ]
    for node in nodes:
        node.GetSegmentation().GetNthSegment(0).SetName("left kidney")
    case = SceneBook(volume, tuple(nodes), tmp_path).read("abdomen")
    assert case.masks["ben"].names == ("kidney right",)
    (said,) = [finding for finding in case.findings if finding.item == "scene/ben"]
    assert said.code == "LABEL_UNKNOWN"
    assert said.message.endswith("'left kidney' (coded as right)")


def test_a_segment_is_shown_however_its_name_is_written(scene, files_case, tmp_path):
    volume = add_volume(scene, files_case.image, "thorax")
    nodes = [
        add_segmentation(scene, files_case.masks[rater], rater, volume) for rater in ("ana", "ben")
    ]
    nodes[1].GetSegmentation().GetSegment("tumor").SetName("Tumor_")
    book = SceneBook(volume, tuple(nodes), tmp_path)
    case = book.read("thorax")
    assert case.labels == ("organ", "tumor")
    CaseNodes.adopt(scene, case, volume, book.readings).show("tumor", ["ana", "ben"])
    assert nodes[1].GetDisplayNode().GetSegmentVisibility("tumor")
    assert not nodes[1].GetDisplayNode().GetSegmentVisibility("organ")


def test_two_nodes_of_one_name_are_two_raters(scene, files_case, tmp_path):
    volume = add_volume(scene, files_case.image, "thorax")
    nodes = tuple(
        add_segmentation(scene, mask, "Segmentation", volume) for mask in files_case.masks.values()
    )
    names = SceneBook(volume, nodes, tmp_path).read("thorax").raters
    assert names == ("Segmentation", "Segmentation #2", "Segmentation #3")


def test_a_volume_that_is_none_says_why(scene, tmp_path):
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    with pytest.raises(NotShownError, match="nothing holds no voxels"):
        SceneBook(volume, (), tmp_path).read("nothing")


def test_nodes_that_were_there_stay_when_the_case_is_closed(scene, book):
    case = book.read("thorax")
    nodes = CaseNodes.adopt(scene, case, book.volume, book.readings)
    nodes.show("tumor", ["ana"])
    nodes.set_consensus(CaseAnalysis(case).consensus(Consensus()))
    nodes.remove()
    left = scene.GetNodesByClass("vtkMRMLSegmentationNode")
    assert left.GetNumberOfItems() == 3
    assert scene.IsNodePresent(book.volume)


def test_reviews_of_a_scene_are_kept_by_the_volume(book):
    book.store.save(Review(book.entries[0].name, "eva", "approved"))
    assert book.entries[0].state == "approved"
    assert COLORS.keys() == set(book.read("thorax").masks)


def test_another_image_of_the_same_name_has_reviews_of_its_own(scene, book, files_case):
    other = files_case.image.array.copy()
    other[5, 5, 5] += 1
    volume = add_volume(scene, files_case.image.with_array(other), book.volume.GetName())
    volume.SetName(book.volume.GetName())
    second = SceneBook(volume, book.segmentations, book.folder)
    book.store.save(Review(book.entries[0].name, "eva", "approved", comment="left"))
    assert second.entries[0].title == book.entries[0].title
    assert second.entries[0].state == "to do"


@pytest.mark.parametrize("name", ["\u80ba", "a/b: c", "x" * 200])
def test_a_volume_may_be_called_anything(scene, book, name):
    book.volume.SetName(name)
    public = book.entries[0].name
    book.store.save(Review(public, "eva", "flagged"))
    assert (book.entries[0].title, book.entries[0].state) == (name, "flagged")
    assert book.read(public).title == name


def test_a_reading_that_was_deleted_from_the_scene_is_gone(scene, book):
    scene.RemoveNode(book.segmentations[1])
    assert book.entries[0].raters == ("ana", "eva")
    assert set(book.read("thorax").masks) == {"ana", "eva"}


def test_an_image_that_was_deleted_from_the_scene_says_so(scene, book):
    name = book.entries[0].name
    scene.RemoveNode(book.volume)
    with pytest.raises(NotShownError, match="not in the scene any more"):
        book.read(name)


def test_a_reading_that_goes_by_the_name_of_the_consensus_is_left_out(scene, book):
    book.segmentations[1].SetName("consensus")
    case = book.read("thorax")
    assert set(case.masks) == {"ana", "eva"}
    assert [f.code for f in case.findings] == ["RATER_NAME_TAKEN"]


def test_names_that_look_like_numbered_ones_are_all_raters(scene, files_case, tmp_path):
    volume = add_volume(scene, files_case.image, "thorax")
    nodes = tuple(add_segmentation(scene, mask, "x", volume) for mask in files_case.masks.values())
    for node, name in zip(nodes, ("a", "a #2", "a"), strict=True):
        node.SetName(name)
    assert SceneBook(volume, nodes, tmp_path).read("t").raters == ("a", "a #2", "a #3")
