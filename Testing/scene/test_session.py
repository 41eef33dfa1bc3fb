"""A reviewer at work: what is decided is shown, saved, found again and used by the next run."""

from __future__ import annotations

import numpy as np
import pytest
from scene.case_samples import GRID, KEY, STUDY, label_map, write_study

from MedPrepLib.boxes import index_box, to_world
from MedPrepLib.casebook import open_book
from MedPrepLib.config.settings import Consensus
from MedPrepLib.errors import LabelError, MedPrepError, RunError
from MedPrepLib.formats.segnrrd import read_seg_nrrd, write_seg_nrrd
from MedPrepLib.load import open_cohort
from MedPrepLib.markups import write_boxes
from MedPrepLib.mrml import SceneBook, Session, add_segmentation, add_volume
from MedPrepLib.pipeline import order_of, run
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.segmentation import Segment, Segmentation


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path, boxes=True)


@pytest.fixture
def session(scene, study):
    return reviewing(scene, study)


def open_first(session, **how):
    return session.open_case(session.entries[0].name, **how)


def again(session, study):
    """The same reviewer on another day."""
    return reviewing(session.scene, study, session.reviewer)


def reviewing(scene, study, reviewer="eva"):
    """Somebody who has opened the study as it is on disk now."""
    other = Session(scene, reviewer)
    other.take_book(open_book(study, key=KEY))
    return other


def test_opening_a_case_shows_it_and_closing_takes_it_away(session):
    desk = open_first(session)
    assert set(desk.nodes.readings) == {"ana", "ben", "eva"}
    session.close_case()
    assert session.desk is None
    assert session.scene.GetNodesByClass("vtkMRMLSegmentationNode").GetNumberOfItems() == 0


def test_a_look_without_a_decision_leaves_no_review(session):
    open_first(session)
    assert not session.has_changes()
    session.close_case()
    assert session.entries[0].state == "to do"


def test_leaving_a_case_saves_what_was_decided(session, study):
    desk = open_first(session)
    record = desk.decide(Consensus())
    assert record.method == "majority"
    assert session.has_changes()
    session.close_case()
    assert session.entries[0].state == "begun"
    other = again(session, study)
    found = open_first(other)
    assert found.start is not None
    assert found.is_unchanged
    assert other.review.version == 1
    assert not other.has_changes()


def test_a_verdict_is_saved_with_the_consensus_as_it_is_in_the_scene(session, study):
    desk = open_first(session)
    desk.decide(Consensus())
    mine = label_map(5, 16)
    desk.nodes.put_consensus(mine, None)
    review = session.save("approved", difficulty="hard", comment="lobulated")
    (drawn,) = [d for d in review.drawn if d.kind == "mask"]
    path = session.book.store.path_of(review, drawn)
    saved = read_seg_nrrd(path)
    assert np.array_equal(saved.mask("tumor"), mine == 3)
    assert (drawn.unchanged, drawn.start.method) == (False, "majority")
    assert (session.entries[0].state, session.entries[0].reviewed_by) == (
        "approved",
        ("eva: approved",),
    )
    summary = run(order_of(study, workers=1), key=KEY)
    packed = open_cohort(study.parent / "cohort").read(summary.included[0].id)
    assert np.array_equal(packed.mask, mine)


def test_a_consensus_nobody_changed_is_marked_so(session):
    open_first(session).decide(Consensus(method="staple"))
    review = session.save("approved")
    (drawn,) = [d for d in review.drawn if d.kind == "mask"]
    assert drawn.unchanged
    assert drawn.start.method == "staple"


def test_a_repeated_reading_has_no_second_vote_on_the_desk(session, study):
    folder = next(study.parent.rglob("ana.mrk.json")).parent
    for other in folder.glob("*.mrk.json"):
        if other.name != "ana.mrk.json":
            other.unlink()
    (folder / "ana@2.mrk.json").write_bytes((folder / "ana.mrk.json").read_bytes())
    write_boxes(
        folder / "ben.mrk.json", [to_world(index_box("tumor", (0, 0, 0), (2, 2, 2), GRID), GRID)]
    )
    for rater, start, stop in (("ana", 2, 5), ("ana@2", 2, 5), ("ben", 4, 7)):
        (folder / f"{rater}.slices.csv").write_text(f"label,start,stop\ntumor,{start},{stop}\n")
    desk = open_first(again(session, study))
    desk.decide(Consensus())
    assert desk.drawn_boxes() == ()
    assert [(found.start, found.stop) for found in desk.slices] == [(4, 5)]


def test_the_desk_takes_all_raters_where_more_are_wanted(session):
    desk = open_first(session)
    desk.decide(Consensus(box_quorum=3))
    three = desk.drawn_boxes()
    desk.decide(Consensus(box_quorum=9))
    assert desk.drawn_boxes() == three


def test_saving_twice_makes_one_version(session):
    open_first(session).decide(Consensus())
    first = session.save("approved")
    assert session.save("approved").version == first.version == 1
    assert session.save("flagged").version == 2
    assert [r.verdict for r in session.history()] == ["approved", "flagged"]


def test_one_thing_is_changed_and_the_others_stay(session):
    open_first(session)
    session.save("flagged", comment="left?", difficulty="easy")
    review = session.save(comment="right")
    assert (review.verdict, review.difficulty, review.comment) == ("flagged", "easy", "right")


def test_nothing_found_does_not_go_with_something_drawn(session):
    desk = open_first(session)
    desk.decide(Consensus())
    with pytest.raises(RunError, match="nothing found"):
        session.save("approved", nothing_found=True)
    desk.nodes.put_consensus(np.zeros_like(label_map(5, 6)), None)
    desk.nodes.set_boxes("consensus", [], (1, 2, 3))
    assert session.save("approved", nothing_found=True).nothing_found


def test_without_a_name_nothing_is_saved_and_nothing_is_lost(session):
    session.reviewer = " "
    desk = open_first(session)
    desk.decide(Consensus())
    with pytest.raises(RunError, match="name"):
        session.close_case()
    assert session.desk is desk
    session.reviewer = "eva"
    session.close_case()
    assert session.entries[0].state == "begun"


def test_a_segment_that_is_no_label_keeps_the_case_open(session):
    desk = open_first(session)
    segments = desk.nodes.set_consensus(desk.analysis.consensus(Consensus())).GetSegmentation()
    segments.GetSegment(segments.GetSegmentIdBySegmentName("tumor")).SetName("Segment_1")
    with pytest.raises(LabelError, match="Segment_1"):
        session.close_case()
    assert session.desk is desk


def test_readings_that_changed_since_make_the_review_stale(session, study):
    open_first(session).decide(Consensus())
    session.save("approved")
    session.close_case()
    masks = study.parent / "raw" / "north" / "p1" / "c1" / "masks"
    image = session.book.read(session.entries[0].name).image
    write_nifti(masks / "ben.nii.gz", image.with_array(label_map(9, 17)))
    other = again(session, study)
    desk = open_first(other)
    assert other.stale
    assert not desk.has_mask
    assert not other.has_changes()
    other.save("flagged")
    assert not other.stale


def changed_reading(session, study):
    """Ben's mask is another one since; the same reviewer opens the case again."""
    session.close_case()
    masks = study.parent / "raw" / "north" / "p1" / "c1" / "masks"
    image = session.book.read(session.entries[0].name).image
    write_nifti(masks / "ben.nii.gz", image.with_array(label_map(9, 17)))
    other = again(session, study)
    open_first(other)
    return other


def test_an_approval_of_other_readings_does_not_become_one_of_these(session, study):
    open_first(session).decide(Consensus())
    session.save("approved")
    other = changed_reading(session, study)
    review = other.save(comment="ben drew it anew")
    assert (review.verdict, review.drawn) == ("", ())
    assert other.withdrawn == other.entries[0].name
    summary = run(order_of(study, workers=1), key=KEY)
    assert summary.included[0].consensus.method == "majority"


def test_approving_changed_readings_does_not_approve_what_was_drawn_on_the_old_ones(session, study):
    open_first(session).decide(Consensus())
    session.save("approved")
    review = changed_reading(session, study).save("approved")
    assert (review.verdict, review.drawn) == ("approved", ())


def test_nothing_found_in_other_readings_is_said_anew_or_not_at_all(session, study):
    open_first(session)
    session.save("approved", nothing_found=True)
    assert not changed_reading(session, study).save("approved").nothing_found


def test_what_is_drawn_after_an_approval_takes_it_back(session):
    desk = open_first(session)
    desk.decide(Consensus())
    session.save("approved", comment="fine")
    assert session.save(comment="very fine").verdict == "approved"
    desk.nodes.put_consensus(label_map(5, 20), None)
    session.close_case()
    assert session.entries[0].state == "begun"
    assert session.withdrawn == session.entries[0].name
    desk = open_first(session)
    assert np.array_equal(desk.nodes.drawn_consensus()[0], label_map(5, 20))
    assert session.save("approved").verdict == "approved"
    assert session.withdrawn == ""


def test_a_mark_that_nothing_is_found_takes_an_approval_back(session):
    open_first(session)
    session.save("approved")
    assert session.save(nothing_found=True).verdict == ""


def test_a_flag_stays_whatever_is_drawn(session):
    desk = open_first(session)
    session.save("flagged")
    desk.decide(Consensus())
    session.close_case()
    assert session.entries[0].state == "flagged"


def test_a_drawing_that_was_damaged_is_said_and_left_out(session, study):
    open_first(session).decide(Consensus())
    review = session.save("approved")
    (drawn,) = [d for d in review.drawn if d.kind == "mask"]
    path = session.book.store.path_of(review, drawn)
    session.close_case()
    path.write_bytes(path.read_bytes()[:-7])
    other = again(session, study)
    desk = open_first(other)
    assert not desk.has_mask
    assert "changed afterwards" in other.problems[0]


# --- places ---------------------------------------------------------------------------------


def first_place(desk, label="tumor"):
    return desk.analysis.places(label)[0]


def test_what_a_rater_drew_can_be_taken_at_one_place(session):
    desk = open_first(session)
    desk.decide(Consensus())
    place = first_place(desk)
    desk.accept(place, "ben")
    after = desk.nodes.drawn_consensus()[0]
    i, j, k = place.difference.index
    expected = 3 if desk.case.masks["ben"].mask("tumor")[k, j, i] else 1
    assert after[k, j, i] == expected
    assert not desk.is_unchanged
    assert [(a.label, a.source) for a in desk.accepted] == [("tumor", "ben")]


def test_taking_one_rater_everywhere_gives_that_raters_label(session):
    desk = open_first(session)
    desk.decide(Consensus())
    for place in desk.analysis.places("tumor"):
        desk.accept(place, "ben")
    after = desk.nodes.drawn_consensus()[0]
    assert np.array_equal(after == 3, desk.case.masks["ben"].mask("tumor"))
    assert np.array_equal(after > 0, label_map(5, 12) > 0), "the organ is whole"


def nested(study, **blocks):
    """Have raters draw labels that overlap: by rater, which of the blocks that are returned."""
    masks = study.parent / "raw/north/p1/c1/masks"
    for path in masks.iterdir():
        path.unlink()
    drawn = {
        "organ": (slice(2, 10), slice(2, 20), slice(2, 24)),
        "tumor": (slice(4, 8), slice(6, 12), slice(5, 12)),
        "second": (slice(8, 9), slice(14, 16), slice(15, 17)),
    }
    for rater, names in blocks.items():
        organ, tumor = np.zeros((2, *GRID.shape), np.uint8)
        for name in names:
            (organ if name == "organ" else tumor)[drawn[name]] = 1
        segments = (Segment("organ", 1, 0), Segment("tumor", 1, 1))
        write_seg_nrrd(masks / f"{rater}.seg.nrrd", Segmentation((organ, tumor), GRID, segments))
    return drawn


def test_taking_a_tumor_away_leaves_the_organ_around_it(scene, study):
    both, with_second = ("organ", "tumor"), ("organ", "second")
    drawn = nested(study, ana=both, ben=with_second, eva=both)
    desk = open_first(reviewing(scene, study))
    desk.decide(Consensus())
    before = desk.nodes.drawn_consensus()[0]
    assert (before[drawn["tumor"]] == 3).all()
    (place,) = [p for p in desk.analysis.places("tumor") if "ben" in p.raters_against]
    desk.accept(place, "ben")
    after = desk.nodes.drawn_consensus()[0]
    assert (after[drawn["tumor"]] == 1).all()
    assert np.array_equal(after > 0, before > 0)
    desk.accept(place, "ana")
    assert desk.is_unchanged


def test_taking_an_organ_leaves_the_tumor_above_it(scene, study):
    drawn = nested(study, ana=("organ", "tumor"), ben=("tumor",), eva=("organ", "tumor"))
    desk = open_first(reviewing(scene, study))
    desk.decide(Consensus())
    (place,) = desk.analysis.places("organ")
    desk.accept(place, "ben")
    after = desk.nodes.drawn_consensus()[0]
    assert (after[drawn["tumor"]] == 3).all()
    assert set(np.unique(after)) == {0, 3}
    desk.accept(place, "ana")
    assert desk.is_unchanged


def test_a_place_can_be_given_back_to_the_method(session):
    desk = open_first(session)
    desk.decide(Consensus())
    place = first_place(desk)
    desk.accept(place, "ben")
    desk.accept(place, "consensus")
    assert desk.is_unchanged


def test_accepted_places_are_kept_with_the_review(session, study):
    desk = open_first(session)
    desk.decide(Consensus())
    desk.accept(first_place(desk), "ben")
    decided = desk.nodes.drawn_consensus()[0]
    session.close_case()
    found = open_first(again(session, study))
    assert [(a.label, a.source) for a in found.accepted] == [("tumor", "ben")]
    assert np.array_equal(found.nodes.drawn_consensus()[0], decided)
    assert not found.is_unchanged


def test_undecided_voxels_are_settled_by_taking_a_rater(session, study):
    (study.parent / "raw/north/p1/c1/masks/eva.nii.gz").unlink()
    session = again(session, study)
    desk = open_first(session)
    desk.decide(Consensus(ties="undecided"))
    label, ignore = desk.nodes.drawn_consensus()
    assert ignore == 255
    for place in desk.analysis.places("tumor"):
        desk.accept(place, "ana")
    label, ignore = desk.nodes.drawn_consensus()
    assert ignore is None
    assert np.array_equal(label, label_map(5, 12))


def test_a_rater_who_did_not_look_for_the_label_cannot_be_taken(session):
    desk = open_first(session)
    desk.decide(Consensus())
    with pytest.raises(LabelError, match="max did not look for 'tumor'"):
        desk.accept(first_place(desk), "max")


def test_a_box_is_taken_from_a_rater_or_left_out_like_a_rater(session, study):
    masks = study.parent / "raw/north/p1/c1/masks"
    both = to_world(index_box("tumor", (5, 6, 4), (12, 12, 8), GRID), GRID)
    wider = to_world(index_box("tumor", (5, 6, 4), (13, 12, 8), GRID), GRID)
    other = to_world(index_box("tumor", (16, 14, 8), (20, 18, 10), GRID), GRID)
    write_boxes(masks / "ana.mrk.json", [both, other])
    write_boxes(masks / "ben.mrk.json", [wider])
    (masks / "eva.mrk.json").unlink()
    session = again(session, study)
    desk = open_first(session)
    desk.decide(Consensus())
    assert len(desk.drawn_boxes()) == 1
    (place,) = [p for p in desk.analysis.places("tumor") if p.kind == "box"]
    desk.accept(place, "ana")
    centers = {box.center_mm for box in desk.drawn_boxes()}
    assert other.center_mm in centers
    assert len(centers) == 2
    desk.accept(place, "ben")
    assert len(desk.drawn_boxes()) == 1
    with pytest.raises(LabelError, match="eva did not look"):
        desk.accept(place, "eva")


def test_a_box_that_nobody_drew_is_added_and_can_be_dragged(session):
    desk = open_first(session)
    desk.decide(Consensus())
    desk.add_box("tumor", (0.0, 10.0, 110.0))
    nodes = desk.nodes.boxes["consensus"]
    assert len(nodes) == 2
    assert all(node.GetDisplayNode().GetHandlesInteractive() for node in nodes)
    assert not any(node.GetLocked() for node in nodes)
    assert all(node.GetLocked() for node in desk.nodes.boxes["ana"])
    with pytest.raises(LabelError, match="liver"):
        desk.add_box("liver", (0.0, 0.0, 0.0))


def test_labels_of_slices_are_taken_from_a_rater(session, study):
    masks = study.parent / "raw/north/p1/c1/masks"
    for rater, (start, stop) in {"ana": (3, 7), "ben": (3, 7), "eva": (3, 9)}.items():
        (masks / f"{rater}.slices.csv").write_text(f"label,start,stop\ntumor,{start},{stop}\n")
    session = again(session, study)
    desk = open_first(session)
    (place,) = [p for p in desk.analysis.places("tumor") if p.kind == "slices"]
    with pytest.raises(MedPrepError, match="make one first"):
        desk.accept(place, "eva")
    desk.decide(Consensus())
    desk.accept(place, "eva")
    assert [(s.label, s.start, s.stop) for s in desk.slices] == [("tumor", 3, 9)]
    desk.accept(place, "ana")
    assert [(s.label, s.start, s.stop) for s in desk.slices] == [("tumor", 3, 7)]


# --- reviewers --------------------------------------------------------------------------------


def test_another_reviewer_is_shown_what_they_had_decided(session):
    desk = open_first(session)
    desk.decide(Consensus())
    session.change_reviewer("max")
    assert session.reviewer == "max"
    assert not session.desk.has_mask
    assert session.review.version == 0
    session.change_reviewer("eva")
    assert session.desk.has_mask, "what eva decided was saved under her name"
    assert session.review.version == 1
    assert session.entries[0].reviewed_by == ("eva: begun",)


def test_what_was_decided_without_a_name_is_saved_under_the_one_that_is_given(session):
    session.change_reviewer("")
    desk = open_first(session)
    desk.decide(Consensus())
    session.change_reviewer("max")
    assert session.desk is desk
    assert session.save("approved").reviewer == "max"


def test_a_closed_book_has_no_cases(session):
    open_first(session).decide(Consensus())
    session.close_book()
    assert (session.desk, session.entries) == (None, ())
    with pytest.raises(RunError, match="open"):
        session.read("nobody")


# --- grids, boxes, blinding, scenes -----------------------------------------------------------


def test_a_fixed_grid_is_used_at_once_saved_and_found_again(scene, tmp_path):
    study = write_study(tmp_path, elsewhere=True)
    session = Session(scene, "eva")
    session.take_book(open_book(study, key=KEY))
    before = open_first(session).analysis.agreement.lowest
    desk = session.fix_grid("ben")
    assert desk.analysis.agreement.lowest > before
    assert session.has_changes()
    session.close_case()
    other = again(session, study)
    assert open_first(other).case.fixes == {"ben"}
    assert not other.has_changes()
    other.fix_grid("ben", fixed=False)
    other.close_case()
    assert open_first(again(session, study)).case.fixes == frozenset()


def test_a_grid_that_another_reviewer_fixed_is_used_as_a_run_uses_it(scene, tmp_path):
    study = write_study(tmp_path, elsewhere=True)
    first = reviewing(scene, study, "max")
    open_first(first)
    first.fix_grid("ben")
    first.close_case()
    session = reviewing(scene, study)
    desk = open_first(session)
    assert desk.case.fixes == {"ben"}
    assert not session.has_changes(), "a look leaves no file"
    desk.decide(Consensus())
    session.save("approved")
    summary = run(order_of(study, workers=1), key=KEY)
    codes = {finding.code for finding in summary.results[0].findings}
    assert "REVIEW_STALE" not in codes
    assert summary.included[0].consensus.method == "review by eva, version 1 (from majority)"


def test_an_approval_stays_when_another_reviewer_fixes_a_grid_while_the_case_is_read(
    scene, tmp_path
):
    study = write_study(tmp_path, elsewhere=True)
    session = reviewing(scene, study)
    open_first(session).decide(Consensus())
    session.save("approved")
    session.close_case()
    name = session.entries[0].name
    case = session.read(name)
    other = reviewing(scene, study, "max")
    open_first(other)
    other.fix_grid("ben")
    other.close_case()
    session.put_on_desk(case)
    assert not session.has_changes()
    session.close_case()
    versions = session.book.store.history(name, "eva")
    assert [review.verdict for review in versions] == ["approved"]


def test_boxes_are_merged_shown_saved_and_found_again(session, study):
    desk = open_first(session)
    desk.decide(Consensus())
    (box,) = desk.drawn_boxes()
    assert box.label == "tumor"
    (node,) = desk.nodes.boxes["consensus"]
    node.SetCenterWorld(1.0, -14.0, 112.0)
    session.save("approved")
    session.close_case()
    (found,) = open_first(again(session, study)).drawn_boxes()
    assert found.center_mm == pytest.approx((-1.0, 14.0, 112.0))


def test_a_blinded_reading_shows_numbers_and_keeps_colors(session):
    desk = open_first(session, blinded=True)
    names = {node.GetName() for node in desk.nodes.readings.values()}
    assert names == {"rater 1", "rater 2", "rater 3"}
    colors = desk.colors
    desk.blind(blinded=False)
    assert {n.GetName() for n in desk.nodes.readings.values()} == {"ana", "ben", "eva"}
    assert desk.colors == colors


def test_a_scene_is_reviewed_like_a_study(scene, study, tmp_path):
    case = open_book(study, key=KEY).read(open_book(study, key=KEY).entries[0].name)
    volume = add_volume(scene, case.image, "thorax")
    nodes = [add_segmentation(scene, mask, r, volume) for r, mask in case.masks.items()]
    session = Session(scene, "eva")
    session.open_scene(volume, nodes, tmp_path / "scene-reviews")
    assert isinstance(session.book, SceneBook)
    desk = open_first(session)
    desk.decide(Consensus())
    session.save("approved")
    session.close_case()
    assert session.entries[0].state == "approved"
    assert scene.IsNodePresent(volume)
    assert scene.GetNodesByClass("vtkMRMLSegmentationNode").GetNumberOfItems() == 3


def test_calls_without_a_book_or_a_case_say_what_is_missing(scene):
    session = Session(scene, "eva")
    with pytest.raises(RunError, match="no study"):
        session.open_case("c1")
    with pytest.raises(RunError, match="no case is open"):
        session.save("approved")
    session.close_case()
    assert session.history() == ()


def test_slice_labels_are_voted_saved_and_found_again(scene, tmp_path):
    study = write_study(tmp_path)
    masks = tmp_path / "raw" / "north" / "p1" / "c1" / "masks"
    for rater, stop in {"ana": 6, "ben": 7, "eva": 7}.items():
        (masks / f"{rater}.slices.csv").write_text(f"label,start,stop\ntumor,3,{stop}\n")
    session = Session(scene, "eva")
    session.take_book(open_book(study, key=KEY))
    desk = open_first(session)
    desk.decide(Consensus())
    assert [(s.label, s.start, s.stop) for s in desk.slices] == [("tumor", 3, 7)]
    session.save("approved")
    session.close_case()
    found = open_first(again(session, study))
    assert [(s.label, s.start, s.stop) for s in found.slices] == [("tumor", 3, 7)]
    assert "tumor" in STUDY
