"""What reviewers decided, from the folder of reviews to the packed cohort."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from MedPrepLib.boxes import index_box, to_world
from MedPrepLib.casebook import open_book
from MedPrepLib.config import load_study, parse_study
from MedPrepLib.consensus.drawing import UNDECIDED, as_drawing, from_drawing
from MedPrepLib.errors import LabelError
from MedPrepLib.findings import Severity
from MedPrepLib.formats.segnrrd import write_seg_nrrd
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import SiteKey
from MedPrepLib.images import Volume
from MedPrepLib.load import open_cohort
from MedPrepLib.markups import write_boxes
from MedPrepLib.pipeline import Order, Summary, run
from MedPrepLib.results import SliceRange
from MedPrepLib.review import DrawnFile, Review, ReviewStore
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.segmentation import Segment, Segmentation
from MedPrepLib.slicelabels import slice_labels, write_slices

GRID = Geometry((20, 18, 12), (1.0, 1.0, 2.0), (-10.0, 5.0, 100.0))
CASE = "north_p1_c1"
STUDY = """
name = "reviewed"
[[sources]]
kind = "folders"
path = "raw"
modality = "MR"
[labels.organ]
value = 1
[labels.tumor]
value = 3
[privacy]
case_names = "given"
[split]
test_fraction = 0
"""


def image_and_masks(folder: Path, case: str = "c1") -> Path:
    here = folder / "raw" / "north" / "p1" / case
    (here / "masks").mkdir(parents=True)
    voxels = np.random.default_rng(0).integers(0, 500, GRID.shape).astype(np.int16)
    write_nifti(here / "image.nii.gz", Volume(voxels, GRID))
    return here / "masks"


def block(i: slice) -> np.ndarray:
    voxels = np.zeros(GRID.shape, np.uint8)
    voxels[4:8, 4:10, i] = 3
    return voxels


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    folder = image_and_masks(tmp_path)
    write_nifti(folder / "ana.nii.gz", Volume(block(slice(4, 8)), GRID))
    write_nifti(folder / "ben.nii.gz", Volume(block(slice(7, 14)), GRID))
    return folder


def finished(folder: Path, settings: str = "") -> Summary:
    text = STUDY + settings
    order = Order(parse_study(text), text, folder, folder / "cohort", workers=1)
    return run(order, key=SiteKey(bytes(32)))


def case_of(summary: Summary, name: str = CASE):
    return next(result for result in summary.results if result.id == name)


def hashes(summary: Summary) -> dict[str, str]:
    return {reading.rater: reading.content_hash for reading in case_of(summary).readings}


def codes(summary: Summary, severity: Severity | None = None) -> set[str]:
    return {f.code for f in case_of(summary).findings if severity in (None, f.severity)}


def drawing(label_map: np.ndarray, undecided: bool = False) -> Segmentation:
    schema = parse_study(STUDY).schema()
    return as_drawing(label_map, GRID, schema, schema.ignore_value if undecided else None)


def save_mask(folder: Path, review: Review, segmentation: Segmentation) -> Review:
    store = ReviewStore(folder / "reviews")
    described = replace_drawn(review, DrawnFile("mask", "", ""))
    return store.save(described, {"mask": lambda path: write_seg_nrrd(path, segmentation)})


def replace_drawn(review: Review, drawn: DrawnFile) -> Review:
    return Review(
        review.case, review.reviewer, review.verdict, inputs=review.inputs, drawn=(drawn,)
    )


def packed(folder: Path):
    return open_cohort(folder / "cohort").read(CASE)


def test_the_mask_that_a_reviewer_approved_is_the_consensus(tmp_path, masks):
    first = finished(tmp_path)
    assert "LOW_AGREEMENT" in codes(first, Severity.REVIEW)
    mine = block(slice(5, 12))
    review = Review(CASE, "eva", "approved", inputs=hashes(first))
    save_mask(tmp_path, review, drawing(mine))
    summary = finished(tmp_path)
    assert np.array_equal(packed(tmp_path).mask, mine)
    record = case_of(summary).consensus
    assert record is not None
    assert record.method == "review by eva, version 1"
    assert record.inputs == hashes(first)
    against = {row.rater_a: row.dice for row in case_of(summary).agreement.consensus if row.dice}
    assert against["ana"] == pytest.approx(2 * 3 / (4 + 7))


def test_an_approved_case_asks_for_no_look_any_more(tmp_path, masks):
    first = finished(tmp_path)
    ReviewStore(tmp_path / "reviews").save(Review(CASE, "eva", "approved", inputs=hashes(first)))
    summary = finished(tmp_path)
    assert codes(summary, Severity.REVIEW) == set()
    assert {"LOW_AGREEMENT", "REVIEW_APPROVED"} <= codes(summary, Severity.NOTE)


def test_a_flag_beats_an_approval(tmp_path, masks):
    store = ReviewStore(tmp_path / "reviews")
    store.save(Review(CASE, "eva", "approved"))
    store.save(Review(CASE, "max", "flagged", comment="wrong patient?"))
    summary = finished(tmp_path)
    assert {"LOW_AGREEMENT", "REVIEW_FLAGGED"} <= codes(summary, Severity.REVIEW)
    texts = [f.message for f in case_of(summary).findings]
    assert not any("wrong patient" in text for text in texts), "comments stay at the site"


def test_a_review_of_other_readings_is_not_used(tmp_path, masks):
    first = finished(tmp_path)
    review = Review(CASE, "eva", "approved", inputs=hashes(first))
    save_mask(tmp_path, review, drawing(block(slice(5, 12))))
    write_nifti(masks / "ben.nii.gz", Volume(block(slice(8, 14)), GRID))
    summary = finished(tmp_path)
    assert "REVIEW_STALE" in codes(summary, Severity.REVIEW)
    assert "LOW_AGREEMENT" in codes(summary, Severity.REVIEW)
    assert not np.array_equal(packed(tmp_path).mask, block(slice(5, 12)))
    assert case_of(summary).consensus.method == "majority"


def test_read_and_nothing_found_is_an_empty_target(tmp_path, masks):
    first = finished(tmp_path)
    review = Review(CASE, "eva", "approved", nothing_found=True, inputs=hashes(first))
    ReviewStore(tmp_path / "reviews").save(review)
    summary = finished(tmp_path)
    assert not packed(tmp_path).mask.any()
    assert packed(tmp_path).annotated
    assert "nothing found" in case_of(summary).consensus.method


def test_a_mask_with_a_wrong_header_is_used_where_a_reviewer_says_that_it_lies(tmp_path, masks):
    wrong = replace(GRID, origin=(-6.0, 5.0, 100.0))
    write_nifti(masks / "ben.nii.gz", Volume(block(slice(4, 8)), wrong))
    first = finished(tmp_path)
    assert case_of(first).agreement.lowest == 0
    ReviewStore(tmp_path / "reviews").save(Review(CASE, "eva", fixes=("ben",)))
    summary = finished(tmp_path)
    assert case_of(summary).agreement.lowest == 1
    assert "GRID_ADOPTED" in codes(summary, Severity.NOTE)


def test_only_the_reviewed_case_is_done_again(tmp_path, masks):
    other = image_and_masks(tmp_path, "c2")
    write_nifti(other / "ana.nii.gz", Volume(block(slice(4, 8)), GRID))
    assert finished(tmp_path).cases_done == 2
    assert finished(tmp_path).unchanged
    ReviewStore(tmp_path / "reviews").save(Review(CASE, "eva", "approved"))
    assert finished(tmp_path).cases_done == 1


def test_voxels_that_the_reviewer_left_undecided_stay_so(tmp_path, masks):
    mine = block(slice(5, 12))
    mine[5, 5, 5] = 255
    save_mask(tmp_path, Review(CASE, "eva", "approved"), drawing(mine, undecided=True))
    finished(tmp_path, '[consensus]\nties = "undecided"\n')
    case = packed(tmp_path)
    assert case.ignore_value == 255
    assert np.array_equal(case.mask, mine)


def test_a_drawing_that_was_changed_is_not_used_and_said(tmp_path, masks):
    saved = save_mask(tmp_path, Review(CASE, "eva", "approved"), drawing(block(slice(5, 12))))
    store = ReviewStore(tmp_path / "reviews")
    path = store.path_of(saved, saved.drawn[0])
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b"x")
    summary = finished(tmp_path)
    assert "REVIEW_UNREADABLE" in codes(summary, Severity.REVIEW)
    assert "REVIEW_APPROVED" not in codes(summary), "what was approved is not what is used"
    assert case_of(summary).consensus.method == "majority"


def test_a_review_file_that_cannot_be_read_is_a_finding_of_its_case(tmp_path, masks):
    ReviewStore(tmp_path / "reviews").save(Review(CASE, "eva", "approved"))
    (tmp_path / "reviews" / CASE / "eva.review.json").write_text("{")
    assert "REVIEW_UNREADABLE" in codes(finished(tmp_path), Severity.REVIEW)


def test_boxes_that_a_reviewer_approved_are_the_target(tmp_path, masks):
    box = to_world(index_box("tumor", (4, 4, 4), (9, 10, 8), GRID), GRID)
    store = ReviewStore(tmp_path / "reviews")
    review = Review(CASE, "eva", "approved", drawn=(DrawnFile("boxes", "", ""),))
    store.save(review, {"boxes": lambda path: write_boxes(path, [box])})
    summary = finished(tmp_path)
    assert [(b.start, b.stop) for b in case_of(summary).targets.boxes] == [((4, 4, 4), (9, 10, 8))]


def test_slice_labels_that_a_reviewer_approved_are_the_target(tmp_path, masks):
    store = ReviewStore(tmp_path / "reviews")
    review = Review(CASE, "eva", "approved", drawn=(DrawnFile("slices", "", ""),))
    text = b"label,start,stop\ntumor,2,5\n"
    store.save(review, {"slices": lambda path: path.write_bytes(text)})
    summary = finished(tmp_path)
    assert [(s.label, s.start, s.stop) for s in case_of(summary).targets.slices] == [
        ("tumor", 2, 5)
    ]


def test_slices_that_raters_are_divided_on_are_decided_by_a_review(tmp_path, masks):
    for rater, start in (("ana", 2), ("ben", 4)):
        (masks / f"{rater}.slices.csv").write_text(f"label,start,stop\ntumor,{start},6\n")
    undecided = '[consensus]\nties = "undecided"\n'
    finished(tmp_path, undecided)
    assert packed(tmp_path).undecided_slices.tolist() == [[3, 2, 4]]
    review = Review(CASE, "eva", "approved", drawn=(DrawnFile("slices", "", ""),))
    text = b"label,start,stop\ntumor,3,6\n"
    store = ReviewStore(tmp_path / "reviews")
    store.save(review, {"slices": lambda path: path.write_bytes(text)})
    finished(tmp_path, undecided)
    assert packed(tmp_path).slices.tolist() == [[3, 3, 6]]
    assert packed(tmp_path).undecided_slices.tolist() == []


def test_an_image_that_only_a_reviewer_drew_on_is_a_case(tmp_path):
    image_and_masks(tmp_path)
    save_mask(tmp_path, Review(CASE, "eva", "approved"), drawing(block(slice(5, 12))))
    summary = finished(tmp_path)
    assert [case.id for case in summary.included] == [CASE]
    assert np.array_equal(packed(tmp_path).mask, block(slice(5, 12)))


def test_the_folder_of_reviews_can_be_named(tmp_path, masks):
    ReviewStore(tmp_path / "desk").save(Review(CASE, "eva", "flagged"))
    (tmp_path / "study.toml").write_text('reviews = "desk"\n' + STUDY, encoding="utf-8")
    study = load_study(tmp_path / "study.toml")
    order = Order(study, "", tmp_path, tmp_path / "cohort", workers=1)
    assert "REVIEW_FLAGGED" in codes(run(order, key=SiteKey(bytes(32))))


# --- a consensus as a drawing ---------------------------------------------------------------


def test_a_consensus_survives_being_a_drawing():
    schema = parse_study(STUDY).schema()
    label_map = np.zeros(GRID.shape, np.uint8)
    label_map[3:6] = 1
    label_map[4:6, 3:9] = 3
    label_map[5, 5, :] = 255
    drawn = as_drawing(label_map, GRID, schema, 255)
    assert drawn.names == ("organ", "tumor", UNDECIDED)
    back, ignore = from_drawing(drawn, schema)
    assert ignore == 255
    assert np.array_equal(back, label_map)


def test_without_undecided_voxels_there_is_no_value_for_them():
    schema = parse_study(STUDY).schema()
    drawn = as_drawing(np.zeros(GRID.shape, np.uint8), GRID, schema, 255)
    assert from_drawing(drawn, schema)[1] is None


def test_overlapping_segments_are_stacked_by_value():
    schema = parse_study(STUDY).schema()
    organ, tumor = np.zeros((2, *GRID.shape), np.uint8)
    organ[2:8], tumor[5:9] = 1, 1
    segments = (Segment("Tumor", 1, 1), Segment("organ", 1, 0))
    label_map, _ = from_drawing(Segmentation((organ, tumor), GRID, segments), schema)
    assert label_map[:, 0, 0].tolist() == [0, 0, 1, 1, 1, 3, 3, 3, 3, 0, 0, 0]


def test_a_segment_that_is_no_label_is_refused_if_it_holds_anything():
    schema = parse_study(STUDY).schema()
    layer = np.zeros(GRID.shape, np.uint8)
    drawn = Segmentation((layer,), GRID, (Segment("Segment_1", 1),))
    assert not from_drawing(drawn, schema)[0].any()
    layer = layer.copy()
    layer[0] = 1
    with pytest.raises(LabelError, match="'Segment_1' is no label of the study"):
        from_drawing(Segmentation((layer,), GRID, drawn.segments), schema)


def test_reviews_of_cases_that_are_gone_or_renamed_are_noted(tmp_path, masks):
    first = finished(tmp_path)
    store = ReviewStore(tmp_path / "reviews")
    store.save(Review(CASE, "eva", "approved", inputs=hashes(first)))
    assert not [f for f in finished(tmp_path).findings if f.code == "REVIEW_UNUSED"]
    (tmp_path / "raw" / "north" / "p1" / "c1").rename(tmp_path / "raw" / "north" / "p1" / "c2")
    (finding,) = [f for f in finished(tmp_path).findings if f.code == "REVIEW_UNUSED"]
    assert (finding.item, finding.severity) == ("reviews", Severity.NOTE)
    assert finding.message == "1 of 1 reviewed cases are not in the sources"


def test_a_reviewed_box_of_the_tumor_leaves_the_box_of_the_organ(tmp_path, masks):
    both = block(slice(4, 8))
    both[9:11, 2:14, 2:14] = 1
    write_nifti(masks / "ana.nii.gz", Volume(both, GRID))
    (masks / "ben.nii.gz").unlink()
    review = Review(CASE, "eva", "approved", drawn=(DrawnFile("boxes", "", ""),))
    box = to_world(index_box("tumor", (4, 4, 4), (9, 10, 8), GRID), GRID)
    store = ReviewStore(tmp_path / "reviews")
    store.save(review, {"boxes": lambda path: write_boxes(path, [box])})
    summary = finished(tmp_path)
    found = [(b.label, b.start, b.stop) for b in case_of(summary).targets.boxes]
    assert found == [("organ", (2, 2, 9), (14, 14, 11)), ("tumor", (4, 4, 4), (9, 10, 8))]


def rater_box(path: Path, start, stop) -> None:
    write_boxes(path, [to_world(index_box("tumor", start, stop, GRID), GRID)])


def test_nothing_found_takes_the_boxes_and_slices_of_raters_away(tmp_path, masks):
    rater_box(masks / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
    (masks / "ana.slices.csv").write_text("label,start,stop\ntumor,3,6\n")
    ReviewStore(tmp_path / "reviews").save(Review(CASE, "eva", "approved", nothing_found=True))
    targets = case_of(finished(tmp_path)).targets
    assert (targets.boxes, targets.slices) == ((), ())
    assert set(targets.voxels.values()) == {0}


def test_nothing_found_holds_for_a_case_of_boxes_alone(tmp_path):
    folder = image_and_masks(tmp_path)
    rater_box(folder / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
    assert len(case_of(finished(tmp_path)).targets.boxes) == 1
    ReviewStore(tmp_path / "reviews").save(Review(CASE, "eva", "approved", nothing_found=True))
    assert case_of(finished(tmp_path)).targets.boxes == ()


def test_a_later_nothing_found_beats_an_older_drawing_and_both_are_named(tmp_path, masks):
    save_mask(tmp_path, Review(CASE, "ana", "approved"), drawing(block(slice(5, 12))))
    ReviewStore(tmp_path / "reviews").save(Review(CASE, "eva", "approved", nothing_found=True))
    summary = finished(tmp_path)
    assert not packed(tmp_path).mask.any()
    assert "REVIEWS_CONTRADICT" in codes(summary, Severity.REVIEW)
    (said,) = (f.message for f in case_of(summary).findings if f.code == "REVIEWS_CONTRADICT")
    assert said == "ana (version 1) drew something, then eva (version 1) found nothing"
    assert "REVIEW_APPROVED" not in codes(summary), "it still asks for a look"


@pytest.mark.parametrize("other", [replace(GRID, spacing=(1.5, 1.0, 2.0)),
                                   replace(GRID, origin=(-3.0, 5.0, 100.0))])  # fmt: skip
def test_a_drawing_on_another_grid_than_the_image_has_now_is_not_used(tmp_path, other):
    masks = image_and_masks(tmp_path)
    save_mask(tmp_path, Review(CASE, "eva", "approved"), drawing(block(slice(1, 9))))
    assert np.array_equal(finished_mask(tmp_path), block(slice(1, 9)))
    voxels = np.random.default_rng(1).integers(0, 500, GRID.shape).astype(np.int16)
    write_nifti(masks.parent / "image.nii.gz", Volume(voxels, other))
    summary = finished(tmp_path)
    assert "REVIEW_UNREADABLE" in codes(summary, Severity.REVIEW)
    (said,) = (f.message for f in case_of(summary).findings if f.code == "REVIEW_UNREADABLE")
    assert said.startswith("eva.v1.seg.nrrd was drawn on another grid than the image has now")
    assert case_of(summary).consensus is None


def finished_mask(folder: Path) -> np.ndarray:
    finished(folder)
    return packed(folder).mask


def differ(summary: Summary) -> list[tuple[Severity, str]]:
    found = (f for f in case_of(summary).findings if f.code == "REVIEWS_DIFFER")
    return [(f.severity, f.message) for f in found]


def test_two_approved_masks_that_differ_much_ask_for_a_look(tmp_path, masks):
    save_mask(tmp_path, Review(CASE, "ana", "approved"), drawing(block(slice(5, 12))))
    save_mask(tmp_path, Review(CASE, "eva", "approved"), drawing(block(slice(9, 14))))
    summary = finished(tmp_path)
    used = packed(tmp_path).mask
    last = "eva" if np.array_equal(used, block(slice(9, 14))) else "ana"
    first = {"eva": "ana", "ana": "eva"}[last]
    ((severity, message),) = differ(summary)
    assert severity == Severity.REVIEW
    assert message == (
        f"the masks that {first} (version 1) and {last} (version 1) approved differ: label "
        "'tumor', Dice 0.500 is below 0.7; the latter are used"
    )
    assert "REVIEW_APPROVED" not in codes(summary), "it still asks for a look"
    assert "LOW_AGREEMENT" in codes(summary, Severity.REVIEW)


def test_two_approved_masks_that_differ_little_are_noted(tmp_path, masks):
    save_mask(tmp_path, Review(CASE, "ana", "approved"), drawing(block(slice(5, 12))))
    save_mask(tmp_path, Review(CASE, "eva", "approved"), drawing(block(slice(5, 13))))
    summary = finished(tmp_path)
    ((severity, message),) = differ(summary)
    assert severity == Severity.NOTE
    assert "Dice 0.933 reaches 0.7" in message
    assert "REVIEW_APPROVED" in codes(summary)


def test_reviewers_who_drew_the_same_do_not_differ(tmp_path, masks):
    for reviewer in ("ana", "eva"):
        save_mask(tmp_path, Review(CASE, reviewer, "approved"), drawing(block(slice(5, 12))))
    assert differ(finished(tmp_path)) == []


def test_a_drawing_that_is_not_approved_and_one_of_another_kind_do_not_differ(tmp_path, masks):
    save_mask(tmp_path, Review(CASE, "ana"), drawing(block(slice(5, 12))))
    save_mask(tmp_path, Review(CASE, "eva", "approved"), drawing(block(slice(9, 14))))
    boxed_by(tmp_path, "max", (5, 5, 4))
    assert differ(finished(tmp_path)) == []


def boxed_by(folder: Path, reviewer: str, start: tuple[int, int, int]) -> None:
    box = to_world(index_box("tumor", start, (9, 9, 7), GRID), GRID)
    review = Review(CASE, reviewer, "approved", drawn=(DrawnFile("boxes", "", ""),))
    store = ReviewStore(folder / "reviews")
    store.save(review, {"boxes": lambda path: write_boxes(path, [box])})


def noted_by(folder: Path, reviewer: str, stop: int) -> None:
    review = Review(CASE, reviewer, "approved", drawn=(DrawnFile("slices", "", ""),))
    labels = slice_labels(reviewer, 12, [SliceRange("tumor", 2, stop)], ["tumor"])
    store = ReviewStore(folder / "reviews")
    store.save(review, {"slices": lambda path: write_slices(path, labels)})


def test_approved_boxes_and_slices_that_differ_are_named(tmp_path, masks):
    boxed_by(tmp_path, "ana", (5, 5, 4))
    boxed_by(tmp_path, "eva", (8, 8, 4))
    noted_by(tmp_path, "max", 8)
    noted_by(tmp_path, "zoe", 9)
    boxes, slices = differ(finished(tmp_path))
    assert boxes[0] == Severity.REVIEW
    assert "the boxes that" in boxes[1]
    assert "label 'tumor', F1 0.000 is below 0.7" in boxes[1]
    assert slices[0] == Severity.NOTE
    assert "the slice labels that" in slices[1]
    assert "Dice of the slices 0.923 reaches 0.7" in slices[1]
    noted_by(tmp_path, "zoe", 8)
    assert [message for _, message in differ(finished(tmp_path)) if "slice" in message] == []


# --- boxes and slices that a review speaks of -------------------------------------------------


STUDY_FILE = "study.toml"


def inputs_now(folder: Path) -> dict[str, str]:
    """What a reviewer who opens the case now would judge."""
    (folder / STUDY_FILE).write_text(STUDY, encoding="utf-8")
    return open_book(folder / STUDY_FILE, key=SiteKey(bytes(32))).read(CASE).inputs


def approve_box(folder: Path, inputs: dict[str, str]) -> None:
    box = to_world(index_box("tumor", (5, 5, 4), (9, 9, 7), GRID), GRID)
    review = Review(CASE, "eva", "approved", inputs=inputs, drawn=(DrawnFile("boxes", "", ""),))
    store = ReviewStore(folder / "reviews")
    store.save(review, {"boxes": lambda path: write_boxes(path, [box])})


@pytest.fixture
def boxed(tmp_path: Path) -> Path:
    folder = image_and_masks(tmp_path)
    for rater in ("ana", "ben"):
        rater_box(folder / f"{rater}.mrk.json", (4, 4, 4), (10, 10, 8))
    return folder


def starts(summary: Summary) -> list[tuple[int, int, int]]:
    return [box.start for box in case_of(summary).targets.boxes]


def test_a_review_of_boxes_is_out_of_date_when_raters_draw_others(tmp_path, boxed):
    approve_box(tmp_path, inputs_now(tmp_path))
    summary = finished(tmp_path)
    assert starts(summary) == [(5, 5, 4)]
    assert {"REVIEW_APPROVED"} == {c for c in codes(summary) if c.startswith("REVIEW")}
    for rater in ("ana", "ben"):
        rater_box(boxed / f"{rater}.mrk.json", (12, 12, 1), (16, 16, 3))
    summary = finished(tmp_path)
    assert starts(summary) == [(12, 12, 1)]
    assert "REVIEW_STALE" in codes(summary, Severity.REVIEW)


def test_a_review_is_out_of_date_when_somebody_labels_slices_afterwards(tmp_path, boxed):
    approve_box(tmp_path, inputs_now(tmp_path))
    (boxed / "ana.slices.csv").write_text("label,start,stop\ntumor,3,6\n")
    assert "REVIEW_STALE" in codes(finished(tmp_path), Severity.REVIEW)


def test_a_review_that_does_not_say_which_boxes_it_judged_is_used_and_told(tmp_path, boxed):
    approve_box(tmp_path, {})
    summary = finished(tmp_path)
    assert starts(summary) == [(5, 5, 4)]
    assert {"REVIEW_UNBOUND", "REVIEW_APPROVED"} <= codes(summary, Severity.NOTE)
    (said,) = (f.message for f in case_of(summary).findings if f.code == "REVIEW_UNBOUND")
    assert said == "the review of eva does not say which boxes it judged"


def test_a_reviewed_consensus_tells_what_somebody_looked_for(tmp_path, masks):
    for rater, at in (("ana", slice(4, 8)), ("ben", slice(7, 14))):
        (masks / f"{rater}.nii.gz").unlink()
        drawn = Segmentation((block(at),), GRID, (Segment("tumor", 3),))
        write_seg_nrrd(masks / f"{rater}.seg.nrrd", drawn)
    save_mask(tmp_path, Review(CASE, "ana", "approved"), drawing(block(slice(5, 12))))
    assert case_of(finished(tmp_path)).consensus.annotated == ("tumor",)
    ReviewStore(tmp_path / "reviews").save(Review(CASE, "eva", "approved", nothing_found=True))
    assert case_of(finished(tmp_path)).consensus.annotated == ("organ", "tumor")
