"""The sections Consensus and Review: what is decided, by whom, and that nothing of it is lost."""

from __future__ import annotations

import json
import shutil

import pytest
from scene.case_samples import write_study


@pytest.fixture
def study(tmp_path):
    """Two cases alike."""
    path = write_study(tmp_path)
    shutil.copytree(tmp_path / "raw/north/p1", tmp_path / "raw/north/p2")
    return path


@pytest.fixture
def opened(user, study):
    user.open(study)
    user.open_case("p1")
    return user


def kept(study):
    """The reviews on disk, as JSON, by file name."""
    return {p.name: json.loads(p.read_text()) for p in (study.parent / "reviews").rglob("*.json")}


def consensus_node(user):
    return next(n for n in user.nodes("vtkMRMLSegmentationNode") if n.GetName() == "consensus")


# --- consensus ------------------------------------------------------------------------------


def test_a_vote_becomes_a_segmentation_with_its_lineage(opened):
    opened.click("makeConsensusButton")
    assert opened.ui.consensusLabel.text == "majority of ana, ben, eva."
    node = consensus_node(opened)
    assert node.GetAttribute("MedPrep.Method") == "majority"
    assert node.GetSegmentation().GetNumberOfSegments() == 2


def test_staple_says_how_each_rater_performed(opened):
    opened.click("stapleRadioButton")
    opened.click("makeConsensusButton")
    text = opened.ui.consensusLabel.text
    assert text.startswith("staple of ana, ben, eva")
    assert "tumor: ana: sensitivity" in text
    assert "specificity 1.00" in text


def test_ties_go_where_the_user_says(user, study):
    (study.parent / "raw/north/p2/c1/masks/eva.nii.gz").unlink()
    user.open(study)
    user.open_case("p2")
    user.choose("tiesComboBox", "undecided")
    user.click("makeConsensusButton")
    assert "tied voxels went to undecided" in user.ui.consensusLabel.text
    user.choose("tiesComboBox", "as ben")
    user.click("makeConsensusButton")
    assert "tied voxels went to what ben drew" in user.ui.consensusLabel.text
    user.click("blindedCheckBox")
    assert "ben" not in user.ui.consensusLabel.text
    assert "tied voxels went to what rater " in user.ui.consensusLabel.text


def test_one_place_is_taken_from_one_rater(opened):
    opened.click("makeConsensusButton")
    assert opened.why_not("acceptButton") == "Go to a place where raters differ first"
    opened.click("nextPlaceButton")
    before = opened.desk.nodes.drawn_consensus()[0]
    opened.choose("sourceComboBox", "ben")
    opened.click("acceptButton")
    assert (opened.desk.nodes.drawn_consensus()[0] != before).any()
    assert "one place taken" in opened.ui.consensusLabel.text
    opened.choose("sourceComboBox", "what the method made")
    opened.click("acceptButton")
    assert (opened.desk.nodes.drawn_consensus()[0] == before).all()


def test_the_consensus_is_edited_in_the_segment_editor(opened):
    import slicer

    assert opened.why_not("editButton") == "Make a consensus first"
    opened.click("makeConsensusButton")
    opened.panel.click(opened.ui.editButton)
    assert slicer.util.selectedModule() == "SegmentEditor"
    (editor,) = opened.nodes("vtkMRMLSegmentEditorNode")
    assert editor.GetSegmentationNode() is consensus_node(opened)
    assert editor.GetSourceVolumeNode() is opened.desk.nodes.volume
    node = consensus_node(opened)
    node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetNthSegmentID(1))
    slicer.util.selectModule("MedPrep")
    opened.idle()
    opened.click("approveButton")
    assert "as the method made it" not in opened.ui.savedLabel.text
    opened.click("nextButton")
    opened.click("previousButton")
    assert set(opened.desk.nodes.drawn_consensus()[0].ravel()) == {0, 1}


def test_a_new_consensus_keeps_the_old_one_in_the_review(opened, study):
    opened.click("makeConsensusButton")
    opened.click("nextPlaceButton")
    opened.click("acceptButton")
    opened.click("stapleRadioButton")
    opened.click("makeConsensusButton")
    opened.click("approveButton")
    (review,) = kept(study).values()
    assert [len(v["drawn"][0]["accepted"]) for v in review["versions"]] == [1, 0]


# --- review ---------------------------------------------------------------------------------


def test_an_approval_holds_who_when_and_what(opened, study):
    opened.click("makeConsensusButton")
    opened.choose("difficultyComboBox", "hard")
    opened.panel.type_text(opened.ui.commentTextEdit, "lobulated <b>margin</b>")
    opened.click("approveButton")
    (review,) = kept(study).values()
    (version,) = review["versions"]
    assert version["verdict"] == "approved"
    assert (version["reviewer"], version["difficulty"]) == ("eva", "hard")
    assert version["comment"] == "lobulated <b>margin</b>"
    assert opened.ui.savedLabel.text.startswith("Approved, version 1, 20")
    assert "as the method made it" in opened.ui.savedLabel.text
    assert opened.column(1) == ["approved", "to do"]
    assert opened.ui.reviewedProgressBar.value == 1


def test_a_flag_needs_no_consensus(opened, study):
    opened.panel.press("Ctrl+Shift+G")
    opened.idle()
    assert opened.column(1)[0] == "flagged"
    (version,) = next(iter(kept(study).values()))["versions"]
    assert version["verdict"] == "flagged"
    assert version.get("drawn", []) == []


def test_read_and_nothing_found_is_a_verdict_of_its_own(opened, study):
    opened.click("nothingFoundCheckBox")
    opened.click("approveButton")
    assert next(iter(kept(study).values()))["versions"][0]["nothing_found"] is True
    opened.click("makeConsensusButton")
    opened.click("approveButton")
    assert "nothing found" in opened.told
    assert "take the mark away" in opened.told
    opened.click("nothingFoundCheckBox")
    opened.click("approveButton")
    assert opened.told == ""
    assert "version 2" in opened.ui.savedLabel.text


def test_leaving_a_case_saves_what_was_drawn_and_typed(opened, study):
    opened.click("makeConsensusButton")
    opened.panel.type_text(opened.ui.commentTextEdit, "look again")
    opened.choose("difficultyComboBox", "easy")
    opened.click("nextButton")
    assert opened.panel.dialogs.shown == []
    assert opened.ui.commentTextEdit.plainText == ""
    assert opened.column(1) == ["begun", "to do"]
    opened.click("previousButton")
    assert opened.ui.commentTextEdit.plainText == "look again"
    assert opened.ui.difficultyComboBox.currentText == "easy"
    assert opened.ui.consensusLabel.text == "majority of ana, ben, eva."


def test_a_look_without_a_word_leaves_no_file(opened, study):
    opened.click("nextButton")
    opened.click("previousButton")
    assert kept(study) == {}


def test_another_reviewer_sees_and_keeps_their_own(opened, study):
    opened.click("makeConsensusButton")
    opened.click("approveButton")
    opened.panel.type_text(opened.ui.reviewerLineEdit, "max")
    opened.panel.press("Return", opened.ui.reviewerLineEdit)
    opened.idle()
    assert opened.ui.savedLabel.text == "Not reviewed by you yet."
    assert not opened.desk.has_mask
    opened.click("flagButton")
    assert sorted(kept(study)) == ["eva.review.json", "max.review.json"]
    assert opened.column(1)[0] == "flagged"


def test_a_reviewer_without_a_name_keeps_the_one_before(opened):
    opened.panel.type_text(opened.ui.reviewerLineEdit, "")
    opened.panel.press("Return", opened.ui.reviewerLineEdit)
    assert opened.ui.reviewerLineEdit.text == "eva"


def test_the_name_of_the_reviewer_is_remembered(opened):
    from panel.user import User

    opened.panel.type_text(opened.ui.reviewerLineEdit, "max")
    opened.panel.press("Return", opened.ui.reviewerLineEdit)
    opened.panel.close_module(opened.handle)
    assert User(opened.panel).ui.reviewerLineEdit.text == "max"


def test_a_review_of_readings_that_changed_says_so(opened, study):
    opened.click("makeConsensusButton")
    opened.click("approveButton")
    opened.click("nextButton")
    masks = study.parent / "raw/north/p1/c1/masks"
    shutil.copy(masks / "eva.nii.gz", masks / "ben.nii.gz")
    opened.open(study)
    opened.open_case("p1")
    assert "have changed since version 1" in opened.told
    assert not opened.desk.has_mask


def test_an_approved_case_that_is_changed_and_left_says_that_it_is_begun_again(opened, study):
    opened.click("makeConsensusButton")
    opened.click("approveButton")
    opened.click("nextPlaceButton")
    opened.click("acceptButton")
    title = opened.desk.case.title
    opened.click("nextButton")
    assert opened.told.startswith(f"{title} was changed after you approved it")
    assert opened.column(1) == ["begun", "to do"]
    opened.click("previousButton")
    assert opened.told == ""
    opened.click("approveButton")
    assert opened.column(1) == ["approved", "to do"]


def test_a_disk_that_refuses_keeps_the_case_open(opened, study, monkeypatch):
    from MedPrepLib.review import ReviewStore

    def refuse(self, review, drawings=None):
        raise OSError(28, "No space left on device")

    opened.click("makeConsensusButton")
    monkeypatch.setattr(ReviewStore, "save", refuse)
    opened.click("approveButton")
    assert "No space left" in opened.told
    opened.click("nextButton")
    assert "No space left" in opened.told
    assert "p1" in opened.ui.caseLabel.text
    assert opened.desk.has_mask
    monkeypatch.undo()
    opened.click("approveButton")
    assert "version 1" in opened.ui.savedLabel.text


# --- keys -----------------------------------------------------------------------------------


def test_a_case_is_read_and_approved_with_the_keyboard_alone(opened, study):
    for keys in ("Ctrl+Shift+N", "Ctrl+Shift+M", "Ctrl+Shift+C", "Ctrl+Shift+Y", "Ctrl+N"):
        opened.panel.press(keys)
        opened.idle()
    assert opened.column(1) == ["approved", "to do"]
    assert "p2" in opened.ui.caseLabel.text


def test_keys_belong_to_others_while_another_module_is_open_or_when_not_wanted(opened):
    import slicer

    slicer.util.selectModule("SegmentEditor")
    opened.panel.press("Ctrl+N")
    slicer.util.selectModule("MedPrep")
    assert "p1" in opened.ui.caseLabel.text
    opened.click("advancedCollapsibleButton")
    opened.click("keysCheckBox")
    opened.panel.press("Ctrl+N")
    opened.idle()
    assert "p1" in opened.ui.caseLabel.text
    opened.click("keysCheckBox")
    opened.panel.press("Ctrl+N")
    opened.idle()
    assert "p2" in opened.ui.caseLabel.text
