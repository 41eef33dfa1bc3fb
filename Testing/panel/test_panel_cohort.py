"""The section Cohort: what is open, which cases there are, and moving between them."""

from __future__ import annotations

import shutil
import threading

import pytest
from panel.user import DICE, FLAGS, RATERS, STATE, TITLE
from scene.case_samples import write_study

TITLES = ["p1/c1", "p2/c1", "p3/c1"]


@pytest.fixture
def study(tmp_path):
    """Three cases alike."""
    path = write_study(tmp_path)
    for patient in ("p2", "p3"):
        shutil.copytree(tmp_path / "raw/north/p1", tmp_path / "raw/north" / patient)
    return path


# --- opening --------------------------------------------------------------------------------


def test_at_first_the_panel_says_what_to_do(user):
    assert user.ui.caseLabel.text == "Open a study, a cohort, or what is in the scene."
    assert user.why_not("nextButton") == "Open a study or a cohort first"
    assert user.why_not("approveButton") == "Open a case first"
    assert user.why_not("makeConsensusButton") == "Open a case with readings first"
    assert user.why_not("nextPlaceButton") == "Open a case first"
    assert user.why_not("runButton").startswith("Open a study file first")
    assert user.told == ""


def test_a_study_lists_its_cases(user, study):
    user.open(study)
    assert user.column(TITLE) == TITLES
    assert user.column(STATE) == ["to do"] * 3
    assert user.column(RATERS) == ["3"] * 3
    assert user.ui.reviewedLabel.text == "0 of 3 reviewed"
    assert user.told == ""


def test_the_sample_study_is_made_and_opened_from_the_menu(user):
    menu = user.ui.openButton.menu()
    user.panel.click(next(a for a in menu.actions() if a.text == "Sample study"))
    user.idle()
    assert len(user.column(TITLE)) == 18
    assert user.ui.pathLineEdit.text.endswith("study.toml")


def test_a_study_is_chosen_in_a_file_dialog(user, study):
    user.panel.dialogs.choose(str(study))
    user.panel.click(user.ui.openButton.menu().actions()[0])
    user.idle()
    assert user.column(TITLE) == TITLES


def test_a_dialog_that_was_cancelled_changes_nothing(user, study):
    user.open(study)
    user.panel.dialogs.choose("")
    user.panel.click(user.ui.openButton.menu().actions()[0])
    user.idle()
    assert user.column(TITLE) == TITLES


@pytest.mark.parametrize("name", ["nowhere.toml", "empty"])
def test_what_cannot_be_opened_is_a_line_in_the_panel(user, tmp_path, name):
    (tmp_path / "empty").mkdir()
    user.open(tmp_path / name)
    assert name in user.told
    assert user.column(TITLE) == []
    assert user.panel.dialogs.shown == []


def test_a_faulty_study_file_names_its_faults(user, study):
    study.write_text(study.read_text().replace("value = 3", "value = 300000"))
    user.open(study)
    assert "labels.tumor" in user.told


def test_opening_another_study_saves_and_closes_the_case(user, study, tmp_path):
    user.open(study)
    user.open_case("p1")
    user.click("makeConsensusButton")
    other = write_study(tmp_path / "other")
    user.open(other)
    assert user.column(TITLE) == ["p1/c1"]
    assert user.desk is None
    assert user.nodes("vtkMRMLSegmentationNode") == []
    user.open(study)
    assert user.column(STATE) == ["begun", "to do", "to do"]


# --- the list -------------------------------------------------------------------------------


def test_after_a_run_the_list_shows_where_eyes_are_needed(user, study):
    from MedPrepLib.pipeline import order_of, run

    run(order_of(study, workers=1))
    user.open(study)
    assert user.column(DICE) == ["0.533"] * 3
    assert user.column(FLAGS) == ["low agreement, mask shifted"] * 3
    user.open(study.parent / "cohort")
    assert user.column(DICE) == ["0.533"] * 3
    assert len(user.column(TITLE)) == 3
    user.open_case("")
    assert user.desk.case.packed is not None


def test_words_and_states_narrow_the_list(user, study):
    user.open(study)
    user.panel.type_text(user.ui.searchLineEdit, "p2/ north")
    assert user.column(TITLE) == ["p2/c1"]
    user.open_case("p2")
    user.click("flagButton")
    user.panel.type_text(user.ui.searchLineEdit, "")
    user.choose("stateComboBox", "Flagged")
    assert user.column(TITLE) == ["p2/c1"]
    user.choose("stateComboBox", "To do")
    assert user.column(TITLE) == ["p1/c1", "p3/c1"]
    assert user.ui.reviewedLabel.text == "1 of 3 reviewed"


def test_a_click_on_a_title_sorts_and_next_follows_the_order(user, study):
    import qt

    user.open(study)
    user.ui.caseTable.sortItems(TITLE, qt.Qt.DescendingOrder)
    assert user.column(TITLE) == TITLES[::-1]
    user.open_case("p3")
    user.click("nextButton")
    assert "p2" in user.ui.caseLabel.text


# --- cases ----------------------------------------------------------------------------------


def test_a_click_on_a_row_opens_the_case(user, study):
    user.open(study)
    user.open_case("p2")
    assert "north/p2/c1" in user.ui.caseLabel.text
    assert [n.GetName() for n in user.nodes("vtkMRMLSegmentationNode")] == ["ana", "ben", "eva"]
    assert len(user.nodes("vtkMRMLScalarVolumeNode")) == 1


def test_next_and_previous_walk_the_list_and_stop_at_its_ends(user, study):
    user.open(study)
    user.click("nextButton")
    assert "p1" in user.ui.caseLabel.text
    assert user.why_not("previousButton") == "This is the first case"
    user.panel.press("Ctrl+N")
    user.idle()
    user.panel.press("Ctrl+N")
    user.idle()
    assert "p3" in user.ui.caseLabel.text
    assert user.why_not("nextButton") == "This is the last case listed"
    user.panel.press("Ctrl+N")
    user.panel.press("Ctrl+P")
    user.idle()
    assert "p2" in user.ui.caseLabel.text


def test_a_search_that_nothing_matches_is_the_reason_why_there_is_no_next_case(user, study):
    assert user.why_not("nextButton") == "Open a study or a cohort first"
    user.open(study)
    user.panel.type_text(user.ui.searchLineEdit, "nobody")
    assert user.why_not("nextButton") == "No case matches"


def test_next_goes_on_where_the_approved_case_stood(user, study):
    user.open(study)
    user.choose("stateComboBox", "To do")
    user.open_case("p2")
    user.click("approveButton")
    assert [title[:2] for title in user.column(TITLE)] == ["p1", "p3"]
    user.click("nextButton")
    assert "p3" in user.ui.caseLabel.text
    user.click("approveButton")
    assert user.why_not("nextButton") == "This is the last case listed"
    user.click("previousButton")
    assert "p1" in user.ui.caseLabel.text


def test_raters_are_sorted_by_their_number(user, study):
    masks = study.parent / "raw/north/p2/c1/masks"
    for number in range(8):
        shutil.copy(masks / "ana.nii.gz", masks / f"zoe{number}.nii.gz")
    (study.parent / "raw/north/p1/c1/masks/ben.nii.gz").unlink()
    user.open(study)
    user.ui.caseTable.sortItems(RATERS)
    user.panel.process()
    assert user.column(RATERS) == ["2", "3", "11"]


def test_a_case_that_left_leaves_nothing_in_the_scene(user, study):
    import slicer

    user.open(study)
    empty = slicer.mrmlScene.GetNumberOfNodes()
    user.click("nextButton")
    opened = slicer.mrmlScene.GetNumberOfNodes()
    for _ in range(2):
        user.click("makeConsensusButton")
        user.click("nextButton")
        assert slicer.mrmlScene.GetNumberOfNodes() == opened
    user.open(study)
    assert slicer.mrmlScene.GetNumberOfNodes() == empty


def test_the_next_case_is_read_while_this_one_is_looked_at(user, study, monkeypatch):
    user.open(study)
    read = []
    real = user.session.read
    monkeypatch.setattr(user.session, "read", lambda name: read.append(name) or real(name))
    names = user.inside.cases.names()
    user.open_case("p1")
    user.panel.wait_until(lambda: len(read) == 2)
    user.click("nextButton")
    assert read[:2] == names[:2]
    assert read.count(names[1]) == 1
    assert "p2" in user.ui.caseLabel.text


def test_nothing_is_read_ahead_when_that_is_not_wanted(user, study, monkeypatch):
    user.open(study)
    user.click("advancedCollapsibleButton")
    user.click("prefetchCheckBox")
    read = []
    real = user.session.read
    monkeypatch.setattr(user.session, "read", lambda name: read.append(name) or real(name))
    user.open_case("p1")
    assert len(read) == 1


def test_a_case_that_cannot_be_shown_says_why_and_the_next_one_opens(user, study):
    image = study.parent / "raw/north/p2/c1/image.nii.gz"
    image.write_bytes(image.read_bytes()[:200])
    user.open(study)
    user.open_case("p1")
    user.click("nextButton")
    assert "cannot be shown" in user.told
    assert user.ui.caseLabel.text == "Click a case to open it."
    assert user.nodes("vtkMRMLSegmentationNode") == []
    user.open_case("p3")
    assert user.told == ""
    assert "p3" in user.ui.caseLabel.text


def test_whoever_clicks_faster_than_cases_are_read_gets_the_last_one(user, study):
    user.open(study)
    for row in (0, 1, 2):
        user.panel.click_cell(user.ui.caseTable, row, TITLE)
    user.idle()
    assert "p3" in user.ui.caseLabel.text
    assert len(user.nodes("vtkMRMLScalarVolumeNode")) == 1


# --- what is in the scene -------------------------------------------------------------------


def test_what_is_in_the_scene_is_compared_and_stays_there(user, study):
    import slicer

    from MedPrepLib.casebook import open_book
    from MedPrepLib.mrml import add_segmentation, add_volume

    book = open_book(study)
    case = book.read(book.entries[0].name)
    volume = add_volume(slicer.mrmlScene, case.image, "thorax")
    for rater, mask in case.masks.items():
        add_segmentation(slicer.mrmlScene, mask, rater, volume)
    user.panel.click(user.ui.openButton.menu().actions()[2])
    assert user.why_not("compareButton") == "Choose an image"
    user.choose("imageSelector", "thorax")
    assert user.why_not("compareButton") == "Check at least one segmentation"
    for node in user.nodes("vtkMRMLSegmentationNode")[:2]:
        user.ui.segmentationsSelector.check(node)
    user.click("compareButton")
    assert user.desk.case.raters == ("ana", "ben")
    assert user.matrix()[0][1] != ""
    user.click("makeConsensusButton")
    user.click("approveButton")
    assert "Approved, version 1" in user.ui.savedLabel.text
    user.open(study)
    assert {n.GetName() for n in user.nodes("vtkMRMLSegmentationNode")} == {"ana", "ben", "eva"}


@pytest.fixture
def scene_case(user, study, tmp_path, monkeypatch):
    """Ana, ben and eva on one volume of the scene, compared."""
    import slicer

    from MedPrepLib.casebook import open_book
    from MedPrepLib.mrml import add_segmentation, add_volume

    book = open_book(study)
    case = book.read(book.entries[0].name)
    volume = add_volume(slicer.mrmlScene, case.image, "thorax")
    nodes = [add_segmentation(slicer.mrmlScene, m, r, volume) for r, m in case.masks.items()]
    monkeypatch.setattr(user.inside.logic, "sceneReviews", lambda: tmp_path / "reviews")
    user.inside.opener.open_scene(volume, nodes)
    return user


def test_the_scene_is_read_anew_in_the_main_thread(scene_case, monkeypatch):
    from MedPrepLib.mrml import SceneBook

    user, threads = scene_case, []
    read = SceneBook.read

    def seen(self, *args):
        threads.append(threading.current_thread())
        return read(self, *args)

    monkeypatch.setattr(SceneBook, "read", seen)
    user.click("makeConsensusButton")
    user.nodes("vtkMRMLSegmentationNode")[1].GetSegmentation().RemoveAllSegments()
    user.panel.click_cell(user.ui.caseTable, 0, 0)
    user.idle()
    assert threads == [threading.main_thread()]
    assert user.desk.case.masks["ben"].names == ()
    assert "have changed since version 1" in user.told


def test_what_is_made_for_a_case_is_no_reading_of_the_scene(scene_case):
    user = scene_case
    user.click("makeConsensusButton")
    user.panel.click(user.ui.openButton.menu().actions()[2])
    user.choose("imageSelector", "thorax")
    for node in user.nodes("vtkMRMLSegmentationNode"):
        user.ui.segmentationsSelector.check(node)
    user.click("compareButton")
    assert user.desk.case.raters == ("ana", "ben", "eva")


def test_readings_that_are_left_out_are_named_with_the_reason(scene_case):
    user = scene_case
    user.nodes("vtkMRMLSegmentationNode")[0].SetName("consensus")
    user.panel.click_cell(user.ui.caseTable, 0, 0)
    user.idle()
    assert "consensus is left out: a rater is called 'consensus'" in user.told
