"""The sections Alignment and Agreement: whether masks lie on the image, who differs, and where."""

from __future__ import annotations

import re

import pytest
from scene.case_samples import GRID, label_map, write_study

from MedPrepLib.boxes import index_box, to_world
from MedPrepLib.images import Volume
from MedPrepLib.markups import write_boxes
from MedPrepLib.sample.niftifile import write_nifti


@pytest.fixture
def opened(user, tmp_path):
    user.open(write_study(tmp_path))
    user.open_case("p1")
    return user


@pytest.fixture
def elsewhere(user, tmp_path):
    """Ben's mask lies 3.2 mm off the image."""
    user.open(write_study(tmp_path, elsewhere=True))
    user.open_case("p1")
    return user


def visible(user):
    """The raters whose segmentations are shown."""
    nodes = user.nodes("vtkMRMLSegmentationNode")
    return [n.GetName() for n in nodes if n.GetDisplayNode().GetVisibility()]


def view_center(user):
    """Where the slice views are, LPS mm."""
    return user.desk.center_of_views


# --- views ----------------------------------------------------------------------------------


def test_an_opened_case_is_looked_at_where_something_was_drawn(opened):
    case = opened.desk.case
    focus = case.center_mm
    middle = case.geometry.point_at([(count - 1) / 2 for count in case.geometry.size])
    assert focus != pytest.approx(middle, abs=1.0)
    assert view_center(opened) == pytest.approx(focus, abs=1e-3)


# --- alignment ------------------------------------------------------------------------------


def test_masks_that_lie_on_the_image_are_one_sentence(opened):
    assert opened.ui.alignmentLabel.text == "Image and 3 masks share one grid, 0.000 mm."
    assert not opened.ui.alignmentTable.visible
    assert not opened.ui.fixButton.visible


def test_a_mask_that_lay_elsewhere_is_named_with_millimeters_and_cause(elsewhere):
    assert elsewhere.ui.alignmentLabel.text == "1 of 3 masks had a grid of their own:"
    table = elsewhere.ui.alignmentTable
    assert table.item(0, 0).text() == "ben"
    assert "3.2 mm" in table.item(0, 1).text()
    assert "origin" in table.item(0, 1).text()


def test_a_mask_is_shifted_into_place_and_the_gain_is_said(elsewhere):
    before = elsewhere.matrix()[0][1]
    elsewhere.click("fixButton")
    assert elsewhere.told.startswith("ben is taken to lie on the image; the lowest Dice goes from")
    assert elsewhere.matrix()[0][1] != before
    assert elsewhere.ui.alignmentTable.item(0, 1).text().startswith("Taken to lie on the image")
    assert elsewhere.ui.fixButton.text == "Use its header again"
    elsewhere.click("fixButton")
    assert elsewhere.matrix()[0][1] == before


def test_a_shift_is_kept_with_the_review_and_found_again(elsewhere, tmp_path):
    elsewhere.click("fixButton")
    elsewhere.click("approveButton")
    shifted = elsewhere.matrix()
    elsewhere.open(tmp_path / "study.toml")
    elsewhere.open_case("p1")
    assert elsewhere.matrix() == shifted
    assert elsewhere.ui.fixButton.text == "Use its header again"


def test_where_a_mask_lay_is_shown_beside_and_taken_away(elsewhere):
    elsewhere.click("asDrawnButton")
    assert "ben as drawn" in visible(elsewhere)
    elsewhere.click("asDrawnButton")
    assert "ben as drawn" not in visible(elsewhere)


def test_the_button_tells_of_which_mask_it_is_shown_where_it_lay(elsewhere):
    elsewhere.click("asDrawnButton")
    assert elsewhere.ui.asDrawnButton.checked
    elsewhere.click("fixButton")
    assert not elsewhere.ui.asDrawnButton.checked, "the case was laid out anew"
    assert "ben as drawn" not in visible(elsewhere)
    elsewhere.click("asDrawnButton")
    assert "ben as drawn" in visible(elsewhere)


# --- matrix ---------------------------------------------------------------------------------


def test_every_pair_of_raters_has_a_colored_cell(opened):
    assert opened.ui.labelComboBox.currentText == "tumor (0.533)"
    low, lower = (f"\N{BLACK DOWN-POINTING SMALL TRIANGLE} {dice}" for dice in ("0.625", "0.533"))
    assert opened.matrix() == [["", lower, "0.933"], [lower, "", low], ["0.933", low, ""]]
    colors = {
        opened.ui.matrixTable.item(row, column).background().color().name()
        for row, column in ((0, 1), (0, 2), (1, 2))
    }
    assert len(colors) == 3


def test_the_cause_of_the_worst_pair_is_a_sentence(opened):
    assert opened.ui.causeLabel.text.startswith("ana and ben, Dice 0.533: ")
    assert "..." not in opened.ui.causeLabel.text


def test_the_worst_pair_is_never_one_with_a_repeated_reading(user, tmp_path):
    study = write_study(tmp_path)
    again = tmp_path / "raw" / "north" / "p1" / "c1" / "masks" / "ana@2.nii.gz"
    write_nifti(again, Volume(label_map(14, 22), GRID))
    user.open(study)
    user.open_case("p1")
    assert user.ui.labelComboBox.currentText == "tumor (0.533)"
    assert user.ui.causeLabel.text.startswith("ana and ben, Dice 0.533: ")


def test_another_label_shows_its_own_numbers(opened):
    opened.choose_part("labelComboBox", "organ")
    assert opened.matrix()[0][1] not in ("", "...")
    assert opened.ui.causeLabel.text != ""
    shown = opened.desk.nodes.readings["ana"].GetDisplayNode()
    ids = list(opened.desk.nodes.readings["ana"].GetSegmentation().GetSegmentIDs())
    assert [shown.GetSegmentVisibility(i) for i in ids].count(True) == 1


def test_every_metric_fills_the_table(opened):
    combo = opened.ui.metricComboBox
    texts = [combo.itemText(n) for n in range(combo.count)]
    assert {"Dice", "Hausdorff, mm", "surface Dice"} <= set(texts)
    assert not any("boxes" in text for text in texts)
    seen = set()
    for text in texts:
        opened.choose("metricComboBox", text)
        assert opened.matrix()[0][1] not in ("", "...")
        seen.add(str(opened.matrix()))
    assert len(seen) > 5


def test_a_click_on_a_cell_shows_that_pair_and_why_it_differs(opened):
    opened.panel.click_cell(opened.ui.matrixTable, 1, 2)
    assert visible(opened) == ["ben", "eva"]
    assert opened.ui.causeLabel.text.startswith("ben and eva, Dice")
    opened.panel.click_cell(opened.ui.matrixTable, 0, 0)
    assert visible(opened) == ["ana"]
    assert "drew" in opened.ui.matrixTable.item(1, 2).toolTip()


def test_raters_are_hidden_shown_and_looked_at_alone(opened):
    item = opened.ui.ratersList.item(1)
    item.setCheckState(item.checkState().__class__(0))
    assert visible(opened) == ["ana", "eva"]
    opened.inside.agreement.on_rater_alone(item)
    assert visible(opened) == ["ben"]
    opened.inside.agreement.on_rater_alone(item)
    assert visible(opened) == ["ana", "ben", "eva"]


def test_blinded_raters_are_numbers_everywhere(opened):
    opened.click("blindedCheckBox")
    names = {"ana", "ben", "eva"}
    texts = [opened.ui.causeLabel.text, opened.ui.placeLabel.text]
    texts += [opened.ui.ratersList.item(n).text() for n in range(3)]
    texts += [opened.ui.matrixTable.horizontalHeaderItem(n).text() for n in range(3)]
    texts += [n.GetName() for n in opened.nodes("vtkMRMLSegmentationNode")]
    opened.click("nextPlaceButton")
    texts.append(opened.ui.placeLabel.text)
    opened.click("makeConsensusButton")
    texts.append(opened.ui.consensusLabel.text)
    texts += [opened.ui.sourceComboBox.itemText(n) for n in range(3)]
    assert [text for text in texts if names & set(text.replace(",", " ").split())] == []
    assert {"rater 1", "rater 2", "rater 3"} <= set(texts)
    opened.click("blindedCheckBox")
    assert opened.ui.matrixTable.horizontalHeaderItem(0).text() == "ana"


@pytest.mark.parametrize(
    ("names", "cause_is_told"), [(("be", "mo", "is"), True), (("1", "2", "3"), False)]
)
def test_blinded_sentences_stay_readable_whatever_raters_are_called(
    user, tmp_path, names, cause_is_told
):
    study = write_study(tmp_path)
    masks = tmp_path / "raw" / "north" / "p1" / "c1" / "masks"
    for before, name in zip(("ana", "ben", "eva"), names, strict=True):
        (masks / f"{before}.nii.gz").rename(masks / f"{name}.nii.gz")
    user.open(study)
    user.open_case("p1")
    plain = user.ui.causeLabel.text
    user.click("blindedCheckBox")
    text = user.ui.causeLabel.text
    head = re.match(r"(rater \d) and (rater \d), Dice 0\.533[:.]", text)
    assert head is not None, text
    assert ("moving the mask of rater" in text) == cause_is_told
    assert "moving the mask of" in plain
    assert re.search(r"rater \d[^ ,:;.]|[^ ]rater", text) is None


def test_a_case_is_opened_blinded_when_the_box_is_ticked_before(user, tmp_path):
    user.open(write_study(tmp_path))
    user.click("blindedCheckBox")
    user.open_case("p1")
    assert {n.GetName() for n in user.nodes("vtkMRMLSegmentationNode")} == {
        "rater 1", "rater 2", "rater 3",
    }  # fmt: skip


def test_a_reading_that_is_left_out_is_named_unless_names_are_hidden(user, tmp_path):
    """Who knows the two raters would know the one by the name of the other."""
    study = write_study(tmp_path)
    masks = tmp_path / "raw" / "north" / "p1" / "c1" / "masks"
    (masks / "eva.nii.gz").write_bytes((masks / "eva.nii.gz").read_bytes()[:100])
    user.open(study)
    user.open_case("p1")
    assert "eva is left out: " in user.told
    user.open(study)
    user.click("blindedCheckBox")
    user.open_case("p1")
    assert re.search(r"One reading is left out: [A-Z].*\.", user.told), user.told
    assert "eva" not in user.told


def test_a_threshold_of_ones_own_is_used_at_once(opened):
    opened.click("advancedCollapsibleButton")
    opened.ui.thresholdSpinBox.setValue(0.5)
    opened.idle()
    assert opened.matrix()[0][1] == "0.533"
    assert "not below 0.5" in opened.ui.causeLabel.text
    opened.ui.thresholdSpinBox.setValue(0.0)
    opened.idle()
    assert "0.533" in opened.matrix()[0][1]
    assert opened.matrix()[0][1] != "0.533"


# --- places ---------------------------------------------------------------------------------


def test_the_views_step_through_the_places_where_raters_differ(opened):
    places = opened.desk.analysis.places("tumor")
    assert len(places) > 1
    for number, place in enumerate(places, start=1):
        opened.click("nextPlaceButton")
        assert opened.ui.placeCountLabel.text == f"{number} of {len(places)}"
        assert view_center(opened) == pytest.approx(place.center_mm, abs=1e-3)
    opened.panel.press("Ctrl+Shift+N")
    assert opened.ui.placeCountLabel.text.startswith("1 of")
    opened.panel.press("Ctrl+Shift+P")
    assert opened.ui.placeCountLabel.text.startswith(f"{len(places)} of")
    assert "drawn by" in opened.ui.placeLabel.text


def test_the_worst_slice_of_every_axis_is_in_the_menu(opened):
    opened.click("worstButton")
    worst = opened.desk.analysis.worst("tumor")
    assert view_center(opened) == pytest.approx(worst[-1].position_mm, abs=1e-3)
    menu = opened.ui.worstButton.menu()
    menu.aboutToShow.emit()
    first = menu.actions()[0]
    assert first.text == f"slice {worst[0].index} along i: {worst[0].voxels} voxels differ"
    opened.panel.click(first)
    assert view_center(opened) == pytest.approx(worst[0].position_mm, abs=1e-3)


def test_the_map_goes_with_its_mark_when_the_agreement_is_judged_anew(opened):
    opened.click("mapCheckBox")
    assert opened.desk.nodes.disagreement is not None
    opened.ui.thresholdSpinBox.setValue(0.5)
    opened.idle()
    assert not opened.ui.mapCheckBox.checked
    assert opened.desk.nodes.disagreement is None


def test_the_map_of_disagreement_lies_over_the_image_and_goes(opened):
    opened.click("mapCheckBox")
    assert len(opened.nodes("vtkMRMLScalarVolumeNode")) == 2
    opened.choose_part("labelComboBox", "organ")
    assert opened.desk.nodes.disagreement is not None
    opened.panel.press("Ctrl+Shift+M")
    assert len(opened.nodes("vtkMRMLScalarVolumeNode")) == 1


# --- other kinds of reading -----------------------------------------------------------------


@pytest.fixture
def boxes(user, tmp_path):
    """No masks: two raters drew boxes and noted slices."""
    study = write_study(tmp_path)
    masks = tmp_path / "raw/north/p1/c1/masks"
    for mask in masks.iterdir():
        mask.unlink()
    from scene.case_samples import GRID

    both = to_world(index_box("tumor", (5, 6, 4), (12, 12, 8), GRID), GRID)
    more = to_world(index_box("tumor", (16, 14, 8), (20, 18, 10), GRID), GRID)
    write_boxes(masks / "ana.mrk.json", [both, more])
    write_boxes(masks / "ben.mrk.json", [both])
    for rater, stop in {"ana": 7, "ben": 9}.items():
        (masks / f"{rater}.slices.csv").write_text(f"label,start,stop\ntumor,3,{stop}\n")
    user.open(study)
    user.open_case("p1")
    return user


def test_boxes_and_slices_have_metrics_and_places_of_their_own(boxes):
    assert boxes.ui.alignmentLabel.text == "Nobody drew a mask on this image."
    assert boxes.ui.metricComboBox.currentText == "boxes, F1"
    assert boxes.matrix() == [["", "0.667"], ["0.667", ""]]
    assert "2 boxes" in boxes.ui.matrixTable.item(0, 1).toolTip()
    boxes.choose("metricComboBox", "slices, Dice")
    assert boxes.matrix()[0][1] == "0.800"
    boxes.click("nextPlaceButton")
    assert boxes.ui.placeLabel.text.startswith("box, ")
    boxes.click("nextPlaceButton")
    assert boxes.ui.placeLabel.text == "slices 7 to 8: noted by ben, not by ana"
    assert "masks only" in boxes.why_not("mapCheckBox")
    assert "masks only" in boxes.why_not("worstButton")


def test_boxes_and_slices_are_decided_changed_and_approved(boxes):
    boxes.click("makeConsensusButton")
    assert boxes.ui.consensusLabel.text == "one box; one range of slices."
    boxes.click("nextPlaceButton")
    boxes.choose("sourceComboBox", "ana")
    boxes.click("acceptButton")
    assert len(boxes.desk.drawn_boxes()) == 2
    boxes.click("boxButton")
    assert len(boxes.desk.drawn_boxes()) == 3
    table = boxes.ui.slicesTable
    table.item(0, 2).setText("9")
    assert [(r.start, r.stop) for r in boxes.desk.slices] == [(3, 10)]
    table.item(1, 0).setText("tumor")
    table.item(1, 1).setText("0")
    assert boxes.told == ""
    table.item(1, 2).setText("12")
    assert boxes.told == "tumor: 0 to 12 is no range of slices from 0 to 11"
    table.item(1, 0).setText("lung")
    assert boxes.told.startswith("lung is no label of this study; its labels are organ, tumor")
    table.item(1, 0).setText("tumor")
    table.item(1, 2).setText("1")
    assert boxes.told == ""
    assert [(r.start, r.stop) for r in boxes.desk.slices] == [(3, 10), (0, 2)]
    boxes.click("approveButton")
    table.item(1, 0).setText("")
    assert [(r.start, r.stop) for r in boxes.desk.slices] == [(3, 10)]
    kinds = {drawn.kind for drawn in boxes.session.review.drawn}
    assert kinds == {"boxes", "slices"}
