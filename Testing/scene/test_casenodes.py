"""A case in a scene: shown, decided, and gone without leftovers."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import numpy as np
import pytest
from scene.case_samples import COLORS, GRID, label_map, opened, write_study

from MedPrepLib.casebook import CaseAnalysis
from MedPrepLib.config.settings import Consensus
from MedPrepLib.errors import LabelError, MedPrepError
from MedPrepLib.mrml import CaseNodes, boxes_of, parts_of, volume_of
from MedPrepLib.mrml.hierarchy import hierarchy
from MedPrepLib.mrml.segmentations import BINARY


@pytest.fixture
def case(tmp_path):
    write_study(tmp_path)
    return opened(tmp_path)


@pytest.fixture
def views(scene):
    """Two slice views with their composite nodes."""
    for name in ("Red", "Green"):
        view = scene.AddNewNodeByClass("vtkMRMLSliceNode", name)
        view.SetLayoutName(name)
        composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode", name)
        composite.SetLayoutName(name)
    return scene


def everything(scene):
    nodes = scene.GetNodes()
    return sorted(
        (node.GetClassName(), node.GetName())
        for node in (nodes.GetItemAsObject(n) for n in range(nodes.GetNumberOfItems()))
        # Slicer keeps the last used selections in single nodes of its own.
        if not node.GetSingletonTag()
    )


def visible_segments(node):
    display = node.GetDisplayNode()
    segments = node.GetSegmentation()
    if not display.GetVisibility():
        return set()
    return {
        segments.GetSegment(id_).GetName()
        for id_ in segments.GetSegmentIDs()
        if display.GetSegmentVisibility(id_)
    }


def test_a_case_is_a_volume_and_a_segmentation_per_rater_below_its_patient(scene, case):
    nodes = CaseNodes.load(scene, case, COLORS)
    assert np.array_equal(volume_of(nodes.volume).array, case.image.array)
    assert {r: n.GetName() for r, n in nodes.readings.items()} == {r: r for r in case.masks}
    for rater, node in nodes.readings.items():
        (part,), _ = parts_of(node)
        assert np.array_equal(part.mask("tumor"), case.masks[rater].mask("tumor"))
        assert part.find("tumor").color == COLORS[rater]
        assert node.GetDisplayNode().GetVisibility2DFill() == 0
    tree = hierarchy(scene)
    above = tree.GetItemParent(tree.GetItemByDataNode(nodes.volume))
    assert tree.GetItemName(above) == nodes.volume.GetName() == case.name
    assert tree.GetItemName(tree.GetItemParent(above)) == case.patient


def test_a_scene_bears_no_name_that_the_study_does_not_make_public(scene, files, tmp_path, case):
    nodes = CaseNodes.load(scene, case, COLORS)
    nodes.set_consensus(CaseAnalysis(case).consensus(Consensus()))
    files.save("SceneFile", {"fileName": str(tmp_path / "scene.mrml")})
    text = (tmp_path / "scene.mrml").read_text("utf-8")
    assert case.name in text
    assert "north/p1" not in text


def test_the_views_show_the_image_and_look_at_what_was_drawn(views, case):
    nodes = CaseNodes.load(views, case, COLORS)
    composite = views.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert composite.GetBackgroundVolumeID() == nodes.volume.GetID()
    view = views.GetFirstNodeByClass("vtkMRMLSliceNode")
    matrix = view.GetSliceToRAS()
    looked_at = np.array([-matrix.GetElement(0, 3), -matrix.GetElement(1, 3)])
    assert np.allclose(looked_at, case.center_mm[:2])


def test_a_closed_case_leaves_nothing_behind(views, case):
    before = everything(views)
    items = hierarchy(views).GetNumberOfItems()
    nodes = CaseNodes.load(views, case, COLORS)
    analysis = CaseAnalysis(case)
    nodes.set_consensus(analysis.consensus(Consensus()))
    nodes.show_disagreement(analysis.disagreement("tumor"))
    nodes.remove()
    assert everything(views) == before
    assert hierarchy(views).GetNumberOfItems() == items
    composite = views.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert composite.GetBackgroundVolumeID() is None


def test_memory_stays_flat_over_a_hundred_cases(views, case):
    analysis = CaseAnalysis(case)
    decided, bits = analysis.consensus(Consensus()), analysis.disagreement("tumor")

    def once():
        nodes = CaseNodes.load(views, case, COLORS)
        nodes.set_consensus(decided)
        nodes.show_disagreement(bits)
        nodes.remove()

    for _ in range(10):
        once()
    before = _resident_kb()
    for _ in range(100):
        once()
    grown = _resident_kb() - before
    # One copy of this case that stays is 40 KB, so 100 of them would be 4 MB.
    assert grown < 2000, f"{grown} KB stayed"


def _resident_kb():
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() // 1024


def test_closing_a_case_whose_nodes_a_user_deleted_does_not_fail(views, case):
    before = everything(views)
    nodes = CaseNodes.load(views, case, COLORS)
    nodes.set_consensus(CaseAnalysis(case).consensus(Consensus()))
    views.RemoveNode(nodes.readings["ana"])
    views.RemoveNode(nodes.consensus)
    nodes.show("tumor", ["ana", "ben"])
    nodes.rename({"ana": "A", "ben": "B", "eva": "C"})
    nodes.remove()
    left = [row for row in everything(views) if row not in before]
    assert [row for row in left if "Display" not in row[0]] == []


# --- what is seen -----------------------------------------------------------------------------


def test_one_label_of_some_raters_is_shown(scene, case):
    nodes = CaseNodes.load(scene, case, COLORS)
    nodes.show("tumor", ["ana", "eva"])
    assert {r: visible_segments(n) for r, n in nodes.readings.items()} == {
        "ana": {"tumor"},
        "ben": set(),
        "eva": {"tumor"},
    }
    nodes.show(None, ["ben"])
    assert visible_segments(nodes.readings["ben"]) == {"organ", "tumor"}


def test_raters_can_be_read_without_their_names(scene, case):
    names = {"ana": "rater 2", "ben": "rater 3", "eva": "rater 1"}
    nodes = CaseNodes.load(scene, case, COLORS, names)
    assert {n.GetName() for n in nodes.readings.values()} == set(names.values())
    nodes.rename({})
    assert {n.GetName() for n in nodes.readings.values()} == {"ana", "ben", "eva"}


def test_a_mask_that_lay_elsewhere_is_shown_beside_where_it_is_now(scene, tmp_path):
    write_study(tmp_path, elsewhere=True)
    case = opened(tmp_path)
    nodes = CaseNodes.load(scene, case, COLORS)
    assert not nodes.show_as_drawn("ana", COLORS["ana"], visible=True)
    assert nodes.show_as_drawn("ben", COLORS["ben"], visible=True)
    node = nodes.as_drawn["ben"]
    assert node.GetName() == "ben as drawn"
    (part, *_), _ = parts_of(node)
    assert part.geometry.origin[0] == pytest.approx(-6.8, abs=1e-4)
    nodes.show_as_drawn("ben", COLORS["ben"], visible=False)
    assert not node.GetDisplayNode().GetVisibility()
    nodes.remove()
    assert scene.GetNodesByClass("vtkMRMLSegmentationNode").GetNumberOfItems() == 0


def test_the_disagreement_lies_over_the_image_and_is_transparent_where_all_agree(views, case):
    nodes = CaseNodes.load(views, case, COLORS)
    nodes.show_disagreement(CaseAnalysis(case).disagreement("tumor"))
    shown = volume_of(nodes.disagreement).array
    votes = sum((case.masks[r].mask("tumor")).astype(int) for r in case.masks)
    assert np.array_equal(shown > 0, (votes > 0) & (votes < 3))
    display = nodes.disagreement.GetDisplayNode()
    assert display.GetApplyThreshold()
    assert display.GetLowerThreshold() > 0
    composite = views.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert composite.GetForegroundVolumeID() == nodes.disagreement.GetID()
    nodes.show_disagreement(None)
    assert composite.GetForegroundVolumeID() is None
    assert composite.GetBackgroundVolumeID() == nodes.volume.GetID()


# --- consensus --------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", ["background", "undecided"])
def test_a_consensus_comes_back_as_it_was_made(scene, case, ties):
    nodes = CaseNodes.load(scene, case, COLORS)
    made = CaseAnalysis(case).consensus(Consensus(ties=ties))
    nodes.set_consensus(made)
    back, ignore = nodes.drawn_consensus()
    assert np.array_equal(back, made.label_map)
    holds_undecided = made.record.ignore_value is not None and made.record.tied_voxels
    assert (ignore is not None) == bool(holds_undecided)


def test_the_consensus_has_the_labels_of_the_study_and_says_how_it_was_made(scene, case):
    nodes = CaseNodes.load(scene, case, COLORS)
    made = CaseAnalysis(case).consensus(Consensus())
    node = nodes.set_consensus(made)
    segments = node.GetSegmentation()
    colors = {
        segments.GetSegment(i).GetName(): tuple(
            round(255 * x) for x in segments.GetSegment(i).GetColor()
        )
        for i in segments.GetSegmentIDs()
    }
    assert colors == {"organ": (200, 180, 90), "tumor": (220, 40, 40)}
    assert node.GetAttribute("MedPrep.Method") == "majority"
    assert json.loads(node.GetAttribute("MedPrep.Inputs")) == dict(case.hashes)
    again = nodes.set_consensus(CaseAnalysis(case).consensus(Consensus(method="staple")))
    assert again is node
    assert node.GetAttribute("MedPrep.Method") == "staple"


def test_what_a_person_paints_is_read_back(scene, case):
    nodes = CaseNodes.load(scene, case, COLORS)
    made = CaseAnalysis(case).consensus(Consensus())
    node = nodes.set_consensus(made)
    image = node.GetSegmentation().GetLayerDataObject(0, BINARY)
    image.SetScalarComponentFromDouble(20, 15, 9, 0, 3)
    image.Modified()
    back, _ = nodes.drawn_consensus()
    changed = np.argwhere(back != made.label_map)
    assert changed.tolist() == [[9, 15, 20]]
    assert back[9, 15, 20] == 3


def test_voxels_of_the_consensus_are_replaced_and_its_lineage_stays(scene, case):
    nodes = CaseNodes.load(scene, case, COLORS)
    nodes.set_consensus(CaseAnalysis(case).consensus(Consensus()))
    nodes.put_consensus(label_map(5, 16), None)
    assert np.array_equal(nodes.drawn_consensus()[0], label_map(5, 16))
    assert nodes.consensus.GetAttribute("MedPrep.Method") == "majority"


def test_a_segment_that_is_no_label_is_named(scene, case):
    nodes = CaseNodes.load(scene, case, COLORS)
    node = nodes.set_consensus(CaseAnalysis(case).consensus(Consensus()))
    segments = node.GetSegmentation()
    segments.GetSegment(segments.GetSegmentIdBySegmentName("tumor")).SetName("Segment_1")
    with pytest.raises(LabelError, match="'Segment_1' is no label of the study"):
        nodes.drawn_consensus()


def test_without_a_consensus_there_is_nothing_to_read(scene, case):
    nodes = CaseNodes.load(scene, case, COLORS)
    with pytest.raises(MedPrepError, match="make one first"):
        nodes.drawn_consensus()


def test_a_consensus_with_all_segments_deleted_is_empty(scene, case):
    nodes = CaseNodes.load(scene, case, COLORS)
    node = nodes.set_consensus(CaseAnalysis(case).consensus(Consensus()))
    node.GetSegmentation().RemoveAllSegments()
    back, _ = nodes.drawn_consensus()
    assert back.shape == GRID.shape
    assert not back.any()


# --- boxes ------------------------------------------------------------------------------------


def test_the_boxes_of_raters_are_shown_with_their_masks(scene, tmp_path):
    write_study(tmp_path, boxes=True)
    case = opened(tmp_path)
    nodes = CaseNodes.load(scene, case, COLORS)
    assert set(nodes.boxes) == {"ana", "ben", "eva"}
    (box,) = boxes_of(nodes.boxes["ana"], "ana: ")
    assert box.label == "tumor"
    nodes.show("organ", ["ana", "ben"])
    assert not nodes.boxes["ana"][0].GetDisplayNode().GetVisibility()
    nodes.show("tumor", ["ana"])
    assert nodes.boxes["ana"][0].GetDisplayNode().GetVisibility()
    assert not nodes.boxes["ben"][0].GetDisplayNode().GetVisibility()


def test_boxes_can_be_put_under_a_name_and_read_back_after_a_person_moved_them(scene, tmp_path):
    write_study(tmp_path, boxes=True)
    case = opened(tmp_path)
    nodes = CaseNodes.load(scene, case, COLORS)
    drawn = nodes.drawn_boxes("ana")
    nodes.set_boxes("consensus", drawn, (250, 250, 250))
    nodes.set_boxes("consensus", drawn, (250, 250, 250))
    (node,) = nodes.boxes["consensus"]
    node.SetCenterWorld(0.0, -12.0, 110.0)
    (moved,) = nodes.drawn_boxes("consensus")
    assert moved.center_mm == pytest.approx((0.0, 12.0, 110.0))
    assert moved.label == "tumor"
    nodes.remove()
    assert scene.GetNodesByClass("vtkMRMLMarkupsROINode").GetNumberOfItems() == 0
