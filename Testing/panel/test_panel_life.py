"""The life of the panel: scenes that are closed, saved and loaded, reloading, and its look."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from panel.user import MEDPREP, TITLE, User
from scene.case_samples import write_study

SECTIONS = ("cohort", "alignment", "agreement", "consensus", "review", "export", "advanced")


@pytest.fixture
def study(tmp_path):
    path = write_study(tmp_path, elsewhere=True)
    shutil.copytree(tmp_path / "raw/north/p1", tmp_path / "raw/north/p2")
    return path


@pytest.fixture
def opened(user, study):
    user.open(study)
    user.open_case("p1")
    return user


def test_closing_the_scene_saves_the_case_and_empties_the_panel(opened, study):
    opened.click("makeConsensusButton")
    opened.panel.type_text(opened.ui.commentTextEdit, "half done")
    opened.panel.close_scene()
    assert opened.desk is None
    assert opened.ui.pathLineEdit.text == ""
    assert opened.matrix() == []
    assert opened.column(TITLE) == []
    assert opened.why_not("approveButton") == "Open a case first"
    opened.open(study)
    opened.open_case("p1")
    assert opened.ui.commentTextEdit.plainText == "half done"
    assert opened.desk.has_mask


def test_what_was_in_the_scene_already_is_kept_alive_by_nobody_else(user, study):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "own")
    before = node.GetReferenceCount()
    user.open(study)
    user.open_case("p1")
    assert node.GetReferenceCount() == before


def test_segments_go_before_their_item_in_the_hierarchy(opened):
    import slicer

    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    node = opened.nodes("vtkMRMLSegmentationNode")[0]
    items = []
    removed = slicer.vtkSegmentation.SegmentRemoved
    node.AddObserver(removed, lambda *_: items.append(tree.GetItemByDataNode(node)))
    opened.panel.close_scene()
    assert items
    assert all(items)


def test_a_saved_scene_holds_the_case_and_the_choice_of_the_study(opened, study, tmp_path):
    opened.click("makeConsensusButton")
    opened.panel.save_scene(tmp_path / "scene.mrb")
    opened.panel.close_scene()
    opened.panel.load_scene(tmp_path / "scene.mrb")
    assert opened.ui.pathLineEdit.text == str(study)
    names = {n.GetName() for n in opened.nodes("vtkMRMLSegmentationNode")}
    assert {"ana", "ben", "eva", "consensus"} <= names
    assert "Press Enter" in opened.ui.caseLabel.text


def test_what_a_loaded_scene_holds_of_the_case_is_hidden_when_the_case_is_opened(
    opened, study, tmp_path
):
    opened.panel.save_scene(tmp_path / "scene.mrb")
    opened.panel.close_scene()
    opened.panel.load_scene(tmp_path / "scene.mrb")
    opened.open(study)
    opened.open_case("p1")
    mine = set(opened.desk.nodes.readings.values())
    others = [n for n in opened.nodes("vtkMRMLSegmentationNode") if n not in mine]
    assert len(others) == 3
    assert not any(n.GetDisplayNode().GetVisibility() for n in others)


def test_nodes_that_a_user_deletes_break_nothing(opened):
    import slicer

    opened.click("makeConsensusButton")
    for node in opened.nodes("vtkMRMLSegmentationNode"):
        slicer.mrmlScene.RemoveNode(node)
    opened.click("nextPlaceButton")
    opened.choose_part("labelComboBox", "organ")
    opened.click("mapCheckBox")
    opened.click("flagButton")
    opened.click("nextButton")
    assert "p2" in opened.ui.caseLabel.text


def test_another_module_finds_the_review_saved_and_the_case_in_the_scene(opened, study):
    opened.click("makeConsensusButton")
    opened.handle.exit()
    assert len(list((study.parent / "reviews").rglob("*.review.json"))) == 1
    assert len(opened.nodes("vtkMRMLSegmentationNode")) == 4
    opened.handle.enter()
    assert opened.desk is not None
    assert "p1" in opened.ui.caseLabel.text


def test_a_reloaded_module_starts_anew_and_saves_what_was_open(opened, study):
    import slicer

    opened.click("makeConsensusButton")
    slicer.util.reloadScriptedModule("MedPrep")
    opened.panel.process()
    assert opened.nodes("vtkMRMLSegmentationNode") == []
    assert len(list((study.parent / "reviews").rglob("*.review.json"))) == 1


def test_packages_that_are_missing_are_asked_for_when_they_are_needed(user, study, monkeypatch):
    from MedPrepPanel import library

    monkeypatch.setattr(library, "missing", lambda _lines: ["msgspec>=0.19"])
    user.open(study)
    assert "msgspec" in user.told
    assert user.column(TITLE) == []
    assert user.panel.dialogs.shown == []


def test_the_module_passes_its_own_tests(panel, tmp_path, monkeypatch):
    import slicer

    monkeypatch.setenv("MEDPREP_KEY_FILE", str(tmp_path / "site.key"))
    User(panel)
    slicer.selfTests["MedPrep"](msec=0)


# --- looks ----------------------------------------------------------------------------------


def test_no_section_is_wider_than_the_column_users_have(opened):
    opened.click("makeConsensusButton")
    opened.click("nextPlaceButton")
    opened.click("advancedCollapsibleButton")
    wide = {
        name: getattr(opened.ui, f"{name}CollapsibleButton").sizeHint.width() for name in SECTIONS
    }
    assert {name: width for name, width in wide.items() if width > 430} == {}


def test_the_values_of_raters_with_long_names_can_be_read(user, tmp_path):
    study = write_study(tmp_path)
    masks = tmp_path / "raw" / "north" / "p1" / "c1" / "masks"
    long = {rater: f"radiology_resident_in_the_second_year_{rater}" for rater in ("ana", "ben")}
    for rater, name in long.items():
        (masks / f"{rater}.nii.gz").rename(masks / f"{name}.nii.gz")
    user.open(study)
    user.open_case("p1")
    user.panel.grab(user.handle, tmp_path / "panel.png")
    table = user.ui.matrixTable
    widths = [table.columnWidth(column) for column in range(3)]
    assert min(widths) >= table.fontMetrics().horizontalAdvance("\N{BLACK SQUARE} 0.533")
    assert sum(widths) + table.verticalHeader().width <= 460
    for number, name in enumerate(sorted([*long.values(), "eva"])):
        assert table.horizontalHeaderItem(number).toolTip() == name
        assert table.verticalHeaderItem(number).toolTip() == name


def test_every_section_has_a_picture(opened, tmp_path):
    """Kept where MEDPREP_PANEL_PICTURES says, to be looked at."""
    folder = Path(os.environ.get("MEDPREP_PANEL_PICTURES", tmp_path / "pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    opened.click("makeConsensusButton")
    opened.click("nextPlaceButton")
    opened.click("advancedCollapsibleButton")
    heights = {}
    for name in SECTIONS:
        section = getattr(opened.ui, f"{name}CollapsibleButton")
        image = opened.panel.grab(section, folder / f"{name}.png")
        colors = {
            image.pixel(x, y) for x in range(0, image.width(), 2) for y in range(image.height())
        }
        assert len(colors) > 20, f"{name} is empty"
        heights[name] = image.height()
    whole = opened.panel.grab(opened.handle, folder / "panel.png")
    assert whole.width() == 460
    assert whole.height() >= sum(heights.values())


def test_the_batch_script_works_in_a_running_slicer(panel, study, tmp_path, monkeypatch):
    """Where there is a scene already, it is used, and left as it was."""
    import runpy

    import slicer

    monkeypatch.setenv("MEDPREP_KEY_FILE", str(tmp_path / "site.key"))
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "mine")
    script = runpy.run_path(str(MEDPREP.parent / "Scripts" / "medprep_batch.py"))
    status = script["main"](["--", str(study), "--out", str(tmp_path / "out"), "--scenes"])
    assert status == 0
    assert len(list((tmp_path / "out").rglob("*.seg.nrrd"))) == 2
    assert len(list((tmp_path / "out").rglob("*.mrb"))) == 2
    assert slicer.util.getNode("mine") is not None
    for kind in ("vtkMRMLSegmentationNode", "vtkMRMLScalarVolumeNode", "vtkMRMLMarkupsROINode"):
        assert slicer.util.getNodesByClass(kind) == []
