"""Boxes, slice labels and weighted consensus, from files on disk to the packed case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from core.drawn_readings import GRID, draw_box, draw_mask, finished, image

from MedPrepLib.export import export_cohort
from MedPrepLib.formats.segnrrd import read_seg_nrrd, write_seg_nrrd
from MedPrepLib.load import CohortDataset, open_cohort
from MedPrepLib.pipeline import Summary
from MedPrepLib.segmentation import Segment, Segmentation


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    return image(tmp_path)


def test_boxes_of_three_raters_become_one_box_by_median(tmp_path, masks) -> None:
    draw_box(masks / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
    draw_box(masks / "ben.mrk.json", (5, 4, 4), (11, 10, 8))
    draw_box(masks / "chen.mrk.json", (4, 4, 4), (10, 11, 9))
    summary = finished(tmp_path)
    (case,) = summary.included
    assert case.agreement is not None
    assert {row.outcome for row in case.agreement.boxes} == {"measured"}
    assert all(row.matched == 1 for row in case.agreement.boxes)
    packed = open_cohort(tmp_path / "cohort").read("north_p1_c1")
    assert packed.boxes.tolist() == [[4, 4, 4, 8, 10, 10]]  # k0, j0, i0, k1, j1, i1
    assert packed.box_labels.tolist() == [3]
    assert packed.annotated is False


def test_slice_labels_are_voted_on(tmp_path, masks) -> None:
    for rater, stop in (("ana", 6), ("ben", 7), ("chen", 9)):
        (masks / f"{rater}.slices.csv").write_text(f"label,start,stop\ntumor,3,{stop}\n")
    summary = finished(tmp_path)
    (case,) = summary.included
    assert case.targets is not None
    assert [(s.label, s.start, s.stop) for s in case.targets.slices] == [("tumor", 3, 7)]
    packed = open_cohort(tmp_path / "cohort").read("north_p1_c1")
    assert packed.slices.tolist() == [[3, 3, 7]]


def test_a_box_file_that_cannot_be_read_leaves_the_other_raters(tmp_path, masks) -> None:
    draw_box(masks / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
    (masks / "ben.mrk.json").write_text("{broken")
    summary = finished(tmp_path)
    (case,) = summary.included
    codes = {(f.item, f.code) for f in case.findings}
    assert ("north_p1_c1/ben", "READING_UNREADABLE") in codes
    assert case.targets is not None
    assert len(case.targets.boxes) == 1


def test_an_image_without_any_reading_is_left_out_before_its_voxels_are_read(
    tmp_path, masks
) -> None:
    assert not list(masks.iterdir())
    summary = finished(tmp_path)
    (case,) = summary.excluded
    assert [f.code for f in case.findings if f.severity.word == "reject"] == ["NO_READING"]
    assert case.geometry is not None
    assert case.statistics is None


def test_staple_weighs_raters_and_says_how(tmp_path, masks) -> None:
    draw_mask(masks / "ana.nii.gz", slice(4, 10), slice(4, 10))
    draw_mask(masks / "ben.nii.gz", slice(4, 10), slice(4, 10))
    draw_mask(masks / "chen.nii.gz", slice(12, 16), slice(12, 16))
    summary = finished(tmp_path, '[consensus]\nmethod = "staple"\n')
    (case,) = summary.included
    assert case.consensus is not None
    assert case.consensus.method == "staple"
    performance = {row.rater: row.sensitivity for row in case.consensus.performance}
    assert performance["ana"] == pytest.approx(1, abs=1e-3)
    assert performance["chen"] == pytest.approx(0, abs=1e-3)
    assert case.agreement is not None
    causes = {(c.rater_a, c.rater_b): c.code for c in case.agreement.causes if c.best}
    assert set(causes) == {("ana", "chen"), ("ben", "chen")}


def test_undecided_voxels_keep_their_own_value_in_the_packed_mask(tmp_path, masks) -> None:
    draw_mask(masks / "ana.nii.gz", slice(4, 10), slice(4, 10))
    draw_mask(masks / "ben.nii.gz", slice(4, 10), slice(6, 12))
    finished(tmp_path, '[consensus]\nties = "undecided"\n')
    packed = open_cohort(tmp_path / "cohort").read("north_p1_c1")
    assert packed.ignore_value == 255
    assert np.count_nonzero(packed.mask == 255) == 4 * 6 * 4  # two columns on either side
    assert np.count_nonzero(packed.mask == 3) == 4 * 6 * 4


def test_a_repeated_reading_has_no_second_vote_and_is_told_apart(tmp_path, masks) -> None:
    draw_mask(masks / "ana.nii.gz", slice(4, 10), slice(4, 10))
    draw_mask(masks / "ana@2.nii.gz", slice(4, 10), slice(4, 11))
    draw_mask(masks / "ben.nii.gz", slice(4, 10), slice(4, 10))
    summary = finished(tmp_path)
    (case,) = summary.included
    assert case.consensus is not None
    assert case.consensus.raters == ("ana", "ben")
    assert case.agreement is not None
    (row,) = case.agreement.labels
    assert (row.mean_dice, row.pairs_defined) == (1.0, 1)
    assert row.intra_mean_dice == pytest.approx(2 * 144 / (144 + 168))
    table = (tmp_path / "cohort/report/agreement.csv").read_text()
    assert [table.count(f'"{kind}"') for kind in ("inter", "intra", "repeat")] == [1, 1, 1]
    page = (tmp_path / "cohort/report/index.html").read_text()
    assert "tumor mean Dice 0.923 of 1 pair, lowest 0.923" in page


def test_a_mask_that_is_shifted_is_named_where_only_a_repeated_reading_shows_it(
    tmp_path, masks
) -> None:
    draw_mask(masks / "ana.nii.gz", slice(4, 10), slice(4, 10))
    draw_mask(masks / "ana@2.nii.gz", slice(4, 10), slice(8, 14))
    draw_mask(masks / "ben.nii.gz", slice(4, 10), slice(4, 10))
    (case,) = finished(tmp_path).included
    codes = {finding.code for finding in case.findings}
    assert "MASK_SHIFTED" in codes
    assert "LOW_AGREEMENT" not in codes


def test_a_repeated_reading_has_no_second_vote_on_boxes(tmp_path, masks) -> None:
    draw_box(masks / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
    draw_box(masks / "ana@2.mrk.json", (4, 4, 4), (10, 10, 8))
    draw_box(masks / "ben.mrk.json", (12, 12, 1), (16, 16, 3))
    summary = finished(tmp_path)
    assert summary.included[0].targets is not None
    assert summary.included[0].targets.boxes == ()


def test_a_repeated_reading_has_no_second_vote_on_slices(tmp_path, masks) -> None:
    for rater, start, stop in (("ana", 3, 6), ("ana@2", 3, 6), ("ben", 5, 9)):
        (masks / f"{rater}.slices.csv").write_text(f"label,start,stop\ntumor,{start},{stop}\n")
    finished(tmp_path)
    packed = open_cohort(tmp_path / "cohort").read("north_p1_c1")
    assert packed.slices.tolist() == [[3, 5, 6]]


def test_chance_is_that_of_persons(tmp_path, masks) -> None:
    draw_mask(masks / "ana.nii.gz", slice(4, 10), slice(4, 10))
    draw_mask(masks / "ben.nii.gz", slice(4, 10), slice(8, 14))
    once = finished(tmp_path).included[0].agreement
    draw_mask(masks / "ana@2.nii.gz", slice(4, 10), slice(4, 10))
    twice = finished(tmp_path).included[0].agreement
    assert once is not None
    assert twice is not None
    assert twice.raters == ("ana", "ana@2", "ben")
    assert twice.chance == once.chance


def test_a_label_that_only_some_raters_drew_is_named_with_them(tmp_path, masks) -> None:
    draw_mask(masks / "ana.nii.gz", slice(4, 10), slice(4, 10))
    (masks / "ben").mkdir()
    draw_mask(masks / "ben" / "edema.nii.gz", slice(4, 10), slice(4, 10))
    summary = finished(tmp_path, "[labels.edema]\nvalue = 4\n")
    (case,) = summary.included
    said = {f.message for f in case.findings if f.code == "LABEL_NOT_ANNOTATED"}
    assert said == {
        "label 'tumor': annotated by ana, not by ben",
        "label 'edema': annotated by ben, not by ana",
    }
    assert case.agreement is not None
    assert {pair.outcome for pair in case.agreement.pairs} == {"not annotated"}


def test_changing_a_reading_makes_the_consensus_anew(tmp_path, masks) -> None:
    draw_mask(masks / "ana.nii.gz", slice(4, 10), slice(4, 10))
    draw_mask(masks / "ben.nii.gz", slice(4, 10), slice(4, 10))
    first = finished(tmp_path).included[0].consensus
    draw_mask(masks / "ben.nii.gz", slice(4, 10), slice(5, 10))
    second = finished(tmp_path).included[0].consensus
    assert first is not None
    assert second is not None
    assert first.inputs["ana"] == second.inputs["ana"]
    assert first.inputs["ben"] != second.inputs["ben"]


# --- one label's boxes and slices, and those of the others -----------------------------------


ORGAN = "[labels.organ]\nvalue = 4\n"


def draw_organ_and_tumor(path: Path) -> None:
    voxels = np.zeros(GRID.shape, np.uint8)
    voxels[2:9, 3:15, 3:15] = 4
    voxels[4:6, 5:8, 5:8] = 3
    segments = (Segment("tumor", 3), Segment("organ", 4))
    write_seg_nrrd(path, Segmentation((voxels,), GRID, segments))


def test_a_box_of_the_tumor_leaves_the_box_of_the_organ(tmp_path, masks) -> None:
    draw_organ_and_tumor(masks / "ana.seg.nrrd")
    draw_box(masks / "ben.mrk.json", (5, 5, 4), (9, 9, 6))
    finished(tmp_path, ORGAN)
    packed = open_cohort(tmp_path / "cohort").read("north_p1_c1")
    assert packed.boxes.tolist() == [[4, 5, 5, 6, 9, 9], [2, 3, 3, 9, 15, 15]]
    assert packed.box_labels.tolist() == [3, 4]


def test_slices_of_the_tumor_leave_the_slices_of_the_organ(tmp_path, masks) -> None:
    draw_organ_and_tumor(masks / "ana.seg.nrrd")
    (masks / "ben.slices.csv").write_text("label,start,stop\ntumor,4,7\n")
    finished(tmp_path, ORGAN)
    packed = open_cohort(tmp_path / "cohort").read("north_p1_c1")
    assert packed.slices.tolist() == [[3, 4, 7], [4, 2, 9]]


def test_a_label_that_slices_were_read_for_without_finding_it_is_on_none(tmp_path, masks) -> None:
    draw_organ_and_tumor(masks / "ana.seg.nrrd")
    (masks / "ben.slices.csv").write_text("label,start,stop\ntumor,,\n")
    finished(tmp_path, ORGAN)
    packed = open_cohort(tmp_path / "cohort").read("north_p1_c1")
    assert packed.slices.tolist() == [[4, 2, 9]]


# --- disagreement on boxes and slices ----------------------------------------------------------


def said(summary: Summary, code: str) -> list[tuple[str, str]]:
    (case,) = summary.included
    return [(f.severity.word, f.message) for f in case.findings if f.code == code]


def two_boxes(masks: Path) -> None:
    draw_box(masks / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
    draw_box(masks / "ben.mrk.json", (12, 12, 1), (16, 16, 3))


def two_slices(masks: Path) -> None:
    for rater, start, stop in (("ana", 3, 6), ("ben", 8, 10)):
        (masks / f"{rater}.slices.csv").write_text(f"label,start,stop\ntumor,{start},{stop}\n")


def test_boxes_in_other_places_ask_for_a_look(tmp_path, masks) -> None:
    two_boxes(masks)
    summary = finished(tmp_path)
    message = "label 'tumor': F1 of the boxes of ana and ben 0.000 is below 0.7 (rule worst_pair)"
    assert said(summary, "LOW_AGREEMENT") == [("review", message)]
    assert said(summary, "CONSENSUS_TIES") == [
        ("note", "2 box(es) without a majority were left out")
    ]
    assert said(summary, "TIES_NOT_UNDECIDED") == []


def test_slices_that_differ_ask_for_a_look(tmp_path, masks) -> None:
    two_slices(masks)
    summary = finished(tmp_path, '[agree]\nrule = "mean_pair"\n[consensus]\nties = "foreground"\n')
    assert said(summary, "LOW_AGREEMENT") == [
        (
            "review",
            (
                "label 'tumor': Dice of the slices of 1 pair(s), on average 0.000 is below 0.7 "
                "(rule mean_pair); worst pair ana and ben 0.000"
            ),
        )
    ]
    assert said(summary, "CONSENSUS_TIES") == [
        ("note", "5 slice(s) without a majority went to foreground")
    ]
    assert summary.included[0].targets is not None
    assert [(r.start, r.stop) for r in summary.included[0].targets.slices] == [(3, 6), (8, 10)]


def test_the_rule_consensus_judges_boxes_and_slices_against_it(tmp_path, masks) -> None:
    two_boxes(masks)
    draw_box(masks / "chen.mrk.json", (4, 4, 4), (10, 10, 8))
    for rater, stop in (("ana", 6), ("ben", 6), ("chen", 12)):
        (masks / f"{rater}.slices.csv").write_text(f"label,start,stop\ntumor,3,{stop}\n")
    summary = finished(tmp_path, '[agree]\nrule = "consensus"\n')
    assert [message for _, message in said(summary, "LOW_AGREEMENT")] == [
        "label 'tumor': F1 of the boxes of ben and consensus 0.000 is below 0.7 (rule consensus)",
        (
            "label 'tumor': Dice of the slices of chen and consensus 0.500 is below 0.7 "
            "(rule consensus)"
        ),
    ]


def test_a_repeated_reading_is_not_judged_against_the_others(tmp_path, masks) -> None:
    draw_box(masks / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
    draw_box(masks / "ben.mrk.json", (4, 4, 4), (10, 10, 8))
    draw_box(masks / "ana@2.mrk.json", (12, 12, 1), (16, 16, 3))
    assert said(finished(tmp_path), "LOW_AGREEMENT") == []


def test_boxes_that_cannot_stay_undecided_are_told(tmp_path, masks) -> None:
    two_boxes(masks)
    summary = finished(tmp_path, '[consensus]\nties = "undecided"\n')
    message = "2 box(es) without a majority were left out"
    assert said(summary, "TIES_NOT_UNDECIDED") == [("review", message)]


def test_slices_without_a_majority_stay_undecided_in_the_packed_labels(tmp_path, masks) -> None:
    for rater, rows in (
        ("ana", ("tumor,3,6", "cyst,,")),
        ("ben", ("tumor,4,9", "cyst,2,4")),
    ):
        (masks / f"{rater}.slices.csv").write_text("\n".join(("label,start,stop", *rows)))
    settings = '[labels.cyst]\nvalue = 5\n[consensus]\nties = "undecided"\n'
    summary = finished(tmp_path, settings, task="classification")
    assert said(summary, "TIES_NOT_UNDECIDED") == []
    assert said(summary, "CONSENSUS_TIES") == [
        ("note", "6 slice(s) without a majority stay undecided")
    ]
    packed = open_cohort(tmp_path / "cohort").read("north_p1_c1")
    assert packed.slices.tolist() == [[3, 4, 6]]
    assert packed.undecided_slices.tolist() == [[3, 3, 4], [3, 6, 9], [5, 2, 4]]
    tumor, cyst = packed.slice_labels().T.tolist()
    assert tumor == [0, 0, 0, 255, 1, 1, 255, 255, 255, 0, 0, 0]
    assert cyst == [0, 0, 255, 255, *[0] * 8]
    (item,) = CohortDataset(tmp_path / "cohort", None, as_torch=False)
    assert item["slice_labels"].T.tolist() == [tumor, cyst]
    assert item["labels"].tolist() == [1, 255]  # somewhere for sure; perhaps nowhere
    assert summary.included[0].targets is not None
    assert summary.included[0].targets.present == {"tumor"}


def test_one_rater_alone_does_not_stop_a_run_that_wants_two(tmp_path, masks) -> None:
    draw_box(masks / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
    summary = finished(tmp_path, "[consensus]\nbox_quorum = 2\n")
    assert summary.included[0].targets is not None
    assert len(summary.included[0].targets.boxes) == 1
    assert said(summary, "QUORUM_LOWERED") == [
        ("note", "1 rater(s) looked for boxes, box_quorum is 2")
    ]


def test_a_quorum_that_can_be_met_is_kept(tmp_path, masks) -> None:
    two_boxes(masks)
    draw_box(masks / "chen.mrk.json", (4, 4, 4), (10, 10, 8))
    summary = finished(tmp_path, "[consensus]\nbox_quorum = 3\n")
    assert summary.included[0].targets is not None
    assert summary.included[0].targets.boxes == ()
    assert said(summary, "QUORUM_LOWERED") == []


# --- a rater who goes by the name of the consensus ---------------------------------------------


def test_a_reading_called_consensus_is_left_out_and_its_case_goes_on(tmp_path, masks) -> None:
    draw_mask(masks / "ana.nii.gz", slice(4, 10), slice(4, 10))
    draw_mask(masks / "ben.nii.gz", slice(4, 10), slice(4, 10))
    draw_mask(masks / "consensus.nii.gz", slice(4, 10), slice(8, 14))
    draw_box(masks / "consensus.mrk.json", (12, 12, 1), (16, 16, 3))
    summary = finished(tmp_path)
    (case,) = summary.included
    assert [r.rater for r in case.readings] == ["ana", "ben"]
    assert case.agreement is not None
    assert case.agreement.lowest == 1
    said = [(f.item, f.severity.word) for f in case.findings if f.code == "RATER_NAME_TAKEN"]
    assert said == [("north_p1_c1/consensus", "reject")]
    assert case.targets is not None
    assert [box.start for box in case.targets.boxes] == [(4, 4, 4)]


def test_a_case_of_nothing_but_a_consensus_has_no_reading(tmp_path, masks) -> None:
    (masks / "consensus.slices.csv").write_text("label,start,stop\ntumor,3,6\n")
    (case,) = finished(tmp_path).excluded
    assert {"RATER_NAME_TAKEN", "NO_READING"} <= {f.code for f in case.findings}


# --- labels that nobody looked for --------------------------------------------------------------


def test_a_label_that_nobody_looked_for_is_named_and_not_in_the_record(tmp_path, masks) -> None:
    draw_organ_and_tumor(masks / "ana.seg.nrrd")
    summary = finished(tmp_path, ORGAN + "[labels.edema]\nvalue = 5\n")
    assert said(summary, "LABEL_NOT_ANNOTATED") == [("note", "label 'edema': in no mask")]
    record = open_cohort(tmp_path / "cohort").read("north_p1_c1").consensus
    assert record is not None
    assert record["annotated"] == ["tumor", "organ"]


def test_a_label_that_no_table_of_slices_speaks_of_is_named(tmp_path, masks) -> None:
    (masks / "ana.slices.csv").write_text("label,start,stop\ntumor,3,6\ncyst,,\n")
    (masks / "ben.slices.csv").write_text("label,start,stop\ntumor,3,6\n")
    labels = "[labels.cyst]\nvalue = 5\n[labels.node]\nvalue = 6\n"
    summary = finished(tmp_path, labels, task="classification")
    assert said(summary, "LABEL_NOT_ANNOTATED") == [
        ("note", "label 'cyst': looked for on slices by ana, not by ben"),
        ("note", "label 'node': in no table of slices"),
    ]


def test_an_exported_consensus_lists_no_label_that_nobody_looked_for(tmp_path, masks) -> None:
    empty = Segmentation((np.zeros(GRID.shape, np.uint8),), GRID, (Segment("tumor", 3),))
    write_seg_nrrd(masks / "ana.seg.nrrd", empty)
    finished(tmp_path, ORGAN)
    export_cohort(tmp_path / "cohort", "seg.nrrd", tmp_path / "out")
    consensus = read_seg_nrrd(tmp_path / "out" / "north_p1_c1" / "consensus.seg.nrrd")
    assert consensus.names == ("tumor",), "looked for and not found, which is not organ's case"
