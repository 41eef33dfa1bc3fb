"""Consensus of boxes and slice labels: who must agree, where a box lies, what becomes of ties."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from MedPrepLib.agree.slices import agree_slices
from MedPrepLib.boxes import WorldBox, index_box, iou, to_world
from MedPrepLib.cohort import ReadingFile, SliceReading
from MedPrepLib.consensus.boxes import merge_boxes
from MedPrepLib.consensus.slices import vote_slices
from MedPrepLib.errors import GeometryError, LabelError
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.geometry import Geometry
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.masks.slices import load_slices
from MedPrepLib.results import SliceLabels, SliceRange
from MedPrepLib.slicelabels import flag_ranges, read_slices, slice_flags, slice_labels, write_slices
from MedPrepLib.targets import derive

AXES = (0.8, -0.6, 0.0, 0.48, 0.64, -0.6, 0.36, 0.48, 0.8)
GRID = Geometry((30, 40, 20), (0.7, 1.1, 4.0), (-31.0, 12.5, 7.25), AXES)
SCHEMA = LabelSchema((Label("tumor", 1, aliases=("lesion",)), Label("node", 2)))


def box(x, stop=None, label="tumor", y=0):
    return index_box(label, (x, y, 0), (stop or x + 10, y + 10, 5), GRID)


def merge(readings, **options):
    return merge_boxes(readings, geometry=GRID, **options)


# --- boxes ----------------------------------------------------------------------------------


def test_a_box_that_most_raters_drew_is_kept_at_the_median_of_its_faces():
    found = merge({"a": [box(0)], "b": [box(1, 12)], "c": [box(3, 13)]})
    (merged,) = found.boxes
    assert (merged.box.start, merged.box.stop) == ((1, 0, 0), (12, 10, 5))
    assert merged.raters == ("a", "b", "c")
    pairs = [iou(*p) for p in itertools.combinations([box(0), box(1, 12), box(3, 13)], 2)]
    assert merged.iou_low == min(pairs)
    assert merged.iou_mean == pytest.approx(sum(pairs) / 3)
    assert (found.quorum, found.raters, found.dissent) == (2, ("a", "b", "c"), ())


def test_a_box_of_one_rater_is_dissent_and_not_lost():
    found = merge({"a": [box(0), box(15)], "b": [box(1)], "c": []})
    assert [m.raters for m in found.boxes] == [("a", "b")]
    (alone,) = found.dissent
    assert (alone.box, alone.raters, alone.iou_low, alone.iou_mean) == (box(15), ("a",), None, None)


def test_half_of_the_raters_is_no_majority_and_is_counted_as_a_tie():
    readings = {"a": [box(0)], "b": [box(1)], "c": [], "d": []}
    found = merge(readings)
    assert (len(found.boxes), len(found.dissent), found.tied, found.quorum) == (0, 1, 1, 3)
    lowered = merge(readings, quorum=2)
    assert (len(lowered.boxes), lowered.tied) == (1, 1)


def test_two_raters_must_both_have_drawn_it():
    found = merge({"a": [box(0)], "b": []})
    assert (found.quorum, len(found.boxes), len(found.dissent), found.tied) == (2, 0, 1, 1)


def test_half_a_voxel_goes_outward():
    (merged,) = merge({"a": [box(0, 10)], "b": [box(1, 11)]}).boxes
    assert (merged.box.start[0], merged.box.stop[0]) == (0, 11)


def test_one_rater_never_stands_twice_in_a_box():
    """Two nearly equal boxes of one rater: the better one is joined, the other is left over."""
    found = merge({"a": [box(0), box(1)], "b": [box(1)]})
    assert [m.raters for m in found.boxes] == [("a", "b")]
    assert found.boxes[0].box.start == (1, 0, 0)
    assert found.dissent[0].box.start == (0, 0, 0)


def test_many_raters_do_not_pull_a_second_box_of_one_rater_into_theirs():
    readings = {"a": [box(0), box(1)], **{rater: [box(0)] for rater in "bcdef"}}
    found = merge(readings, limit=0.1)
    assert [m.raters for m in found.boxes] == [tuple("abcdef")]
    assert [(m.box, m.raters) for m in found.dissent] == [(box(1), ("a",))]


def test_labels_are_never_mixed():
    found = merge({"a": [box(0)], "b": [box(0, label="node")]})
    assert (found.boxes, len(found.dissent)) == ((), 2)


def test_a_chain_of_boxes_is_not_joined_where_its_ends_share_too_little():
    # Neighbors share 0.6, the ends 0.25 of their union: mean of {a, b} with c is 0.43.
    chain = {"a": [box(0, 8)], "b": [box(2, 10)], "c": [box(4, 12)]}
    assert iou(box(0, 8), box(2, 10)) == pytest.approx(0.6)
    found = merge(chain, limit=0.5)
    assert [m.raters for m in found.boxes] == [("a", "b")]
    assert [m.raters for m in found.dissent] == [("c",)]
    assert [m.raters for m in merge(chain, limit=0.4).boxes] == [("a", "b", "c")]


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_raters_and_boxes_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    readings = {
        rater: [box(int(x), y=int(y)) for x, y in rng.integers(0, 14, (6, 2))] for rater in "abcd"
    }
    names = list(readings)
    rng.shuffle(names)
    shuffled = {n: [readings[n][m] for m in rng.permutation(6)] for n in names}
    assert merge(shuffled, limit=0.3) == merge(readings, limit=0.3)


def test_every_box_ends_in_exactly_one_cluster():
    rng = np.random.default_rng(9)
    readings = {r: [box(int(x)) for x in rng.integers(0, 18, 5)] for r in "abc"}
    found = merge(readings, limit=0.3)
    assert sum(len(m.raters) for m in (*found.boxes, *found.dissent)) == 15
    assert all(len(set(m.raters)) == len(m.raters) for m in (*found.boxes, *found.dissent))


def test_boxes_in_the_world_are_merged_as_those_of_voxels_on_a_turned_grid():
    drawn = {"a": box(0), "b": box(1, 12), "c": box(3, 13)}
    world = merge_boxes({rater: [to_world(b, GRID)] for rater, b in drawn.items()})
    (merged,) = world.boxes
    wanted = to_world(merge({r: [b] for r, b in drawn.items()}).boxes[0].box, GRID)
    assert merged.box.center_mm == pytest.approx(wanted.center_mm)
    assert iou(merged.box, wanted) == pytest.approx(1)


def test_a_box_turned_differently_is_merged_in_the_frame_of_the_one_most_alike():
    c, s = math.cos(0.1), math.sin(0.1)
    straight = [WorldBox("tumor", (x, 0, 0), (20, 10, 10)) for x in (0, 1)]
    turned = WorldBox("tumor", (0.5, 0, 0), (20, 10, 10), (c, -s, 0, s, c, 0, 0, 0, 1))
    found = merge_boxes({"a": [straight[0]], "b": [straight[1]], "c": [turned]})
    (merged,) = found.boxes
    assert merged.raters == ("a", "b", "c")
    assert min(iou(merged.box, b) for b in (*straight, turned)) > 0.8
    assert found == merge_boxes({"c": [turned], "b": [straight[1]], "a": [straight[0]]})


def test_nobody_drew_anything_is_an_empty_consensus():
    found = merge({"a": [], "b": []})
    assert (found.boxes, found.dissent, found.raters, found.tied) == ((), (), ("a", "b"), 0)


def test_bad_calls_are_refused():
    with pytest.raises(GeometryError, match="quorum of 3 of 2"):
        merge({"a": [], "b": []}, quorum=3)
    with pytest.raises(GeometryError, match="on the grid of their image"):
        merge_boxes({"a": [box(0)]})
    with pytest.raises(GeometryError, match="cannot be compared"):
        merge({"a": [box(0)], "b": [to_world(box(0), GRID)]})


# --- slices ---------------------------------------------------------------------------------


def labeled(rater, *ranges, annotated=("tumor", "node"), slices=20):
    return slice_labels(rater, slices, [SliceRange(*r) for r in ranges], annotated)


def random_readings(seed, raters="abcde", slices=37):
    rng = np.random.default_rng(seed)
    flags = {r: {x: rng.random(slices) < 0.5 for x in ("tumor", "node")} for r in raters}
    readings = [
        slice_labels(
            r, slices, [s for x, f in own.items() for s in flag_ranges(x, f)], ("tumor", "node")
        )
        for r, own in flags.items()
    ]
    return flags, readings


def test_ranges_are_united_sorted_and_cut_at_the_image():
    found = labeled("a", ("tumor", 5, 8), ("tumor", 7, 9), ("tumor", 9, 11), ("tumor", 18, 30))
    assert found.ranges == (SliceRange("tumor", 5, 11), SliceRange("tumor", 18, 20))
    assert found.annotated == ("tumor", "node")


def test_slices_of_a_mask_are_ranges_of_the_same_kind():
    mask = np.zeros(GRID.shape, np.uint8)
    mask[3:7, 2, 2] = mask[9, 3, 3] = 1
    targets = derive(mask, GRID, SCHEMA)
    found = slice_labels("mask", GRID.size[2], targets.slices, SCHEMA.names)
    assert np.flatnonzero(slice_flags(found, "tumor")).tolist() == [3, 4, 5, 6, 9]


@pytest.mark.parametrize("seed", range(3))
def test_kappa_and_dice_equal_scikit_learn(seed):
    from sklearn.metrics import cohen_kappa_score, f1_score

    flags, readings = random_readings(seed)
    for row in agree_slices(readings[::-1], ("tumor", "node")):
        a, b = flags[row.rater_a][row.label], flags[row.rater_b][row.label]
        assert row.kappa == pytest.approx(cohen_kappa_score(a, b))
        assert row.dice == pytest.approx(f1_score(a, b))
        assert (row.slices_a, row.slices_b, row.common) == (a.sum(), b.sum(), (a & b).sum())


def test_the_policy_for_empty_and_missing_slice_labels_is_that_of_masks():
    readings = [
        labeled("a", ("tumor", 0, 4)),
        labeled("b"),
        labeled("c", annotated=("node",)),
    ]
    rows = {(r.label, r.rater_a, r.rater_b): r for r in agree_slices(readings, ("tumor", "node"))}
    one = rows["tumor", "a", "b"]
    assert (one.outcome, one.dice, one.kappa) == ("one empty", 0, 0)
    none = rows["tumor", "a", "c"]
    assert (none.outcome, none.dice, none.kappa, none.slices_a) == ("not annotated", None, None, 4)
    both = rows["node", "b", "c"]
    assert (both.outcome, both.dice, both.kappa) == ("both empty", None, None)


@pytest.mark.parametrize("raters", ["abc", "abcd"])
def test_the_vote_is_a_strict_majority_of_flags(raters):
    flags, readings = random_readings(4, raters)
    for label in ("tumor", "node"):
        votes = sum(flags[r][label].astype(int) for r in raters)
        level = 2 * votes == len(raters)
        background = vote_slices(readings, ("tumor", "node"))
        assert slice_flags(background.labels, label).tolist() == (2 * votes > len(raters)).tolist()
        assert background.tied[label] == level.sum()
        foreground = vote_slices(readings, ("tumor", "node"), "foreground")
        assert slice_flags(foreground.labels, label).tolist() == (2 * votes >= len(raters)).tolist()


def test_ties_can_go_to_a_named_rater_or_stay_undecided():
    readings = [labeled("a", ("tumor", 0, 6)), labeled("b", ("tumor", 3, 9))]
    by_b = vote_slices(readings, ("tumor",), "rater:b")
    assert by_b.labels.ranges == (SliceRange("tumor", 3, 9),)
    open_ = vote_slices(readings, ("tumor",), "undecided")
    assert open_.labels.ranges == (SliceRange("tumor", 3, 6),)
    assert open_.undecided == (SliceRange("tumor", 0, 3), SliceRange("tumor", 6, 9))
    assert open_.tied == {"tumor": 6}
    absent = vote_slices(readings, ("tumor",), "rater:zoe")
    assert absent.labels.ranges == (SliceRange("tumor", 3, 6),)
    assert absent.tie_rule == "rater:zoe (absent: background)"


def test_who_did_not_look_for_a_label_has_no_vote_on_it():
    readings = [
        labeled("a", ("tumor", 0, 5)),
        labeled("b", annotated=("node",)),
        labeled("c", annotated=("node",)),
    ]
    found = vote_slices(readings, ("tumor", "node", "cyst"))
    assert found.labels.ranges == (SliceRange("tumor", 0, 5),)
    assert found.labels.annotated == ("tumor", "node")


def test_the_vote_does_not_depend_on_the_order_of_raters():
    _, readings = random_readings(6, "abcd")
    assert vote_slices(readings, ("tumor", "node")) == vote_slices(
        readings[::-1], ("tumor", "node")
    )


def test_readings_of_different_images_are_refused():
    with pytest.raises(GeometryError, match=r"\[19, 20\]"):
        vote_slices([labeled("a"), labeled("b", slices=19)], ("tumor",))
    with pytest.raises(GeometryError, match="twice"):
        agree_slices([labeled("a"), labeled("a")], ("tumor",))
    with pytest.raises(GeometryError, match="no slice readings"):
        vote_slices([], ("tumor",))
    with pytest.raises(LabelError, match="no tie rule"):
        vote_slices([labeled("a")], ("tumor",), "coin")


# --- tables of slices -----------------------------------------------------------------------


def table(tmp_path, text, name="ana.slices.csv"):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return SliceReading("ana", (ReadingFile(str(tmp_path / name)),))


def test_a_table_of_slices_is_read_with_the_names_of_the_schema(tmp_path):
    source = table(tmp_path, "\ufefflabel;start;stop;note\nLesion;3;7;x\ntumor;10;11;\nnode;;;\n")
    labels, findings = load_slices(source, GRID, SCHEMA, "c/ana")
    assert findings == ()
    assert labels == SliceLabels(
        "ana", 20, ("tumor", "node"), (SliceRange("tumor", 3, 7), SliceRange("tumor", 10, 11))
    )


def test_a_written_table_is_read_again(tmp_path):
    labels = labeled("ana", ("tumor", 3, 7), ("tumor", 9, 12))
    write_slices(tmp_path / "ana.slices.csv", labels)
    source = SliceReading("ana", (ReadingFile(str(tmp_path / "ana.slices.csv")),))
    assert load_slices(source, GRID, SCHEMA, "c/ana") == (labels, ())


def test_a_table_without_rows_has_looked_for_everything_and_found_nothing(tmp_path):
    labels, (finding,) = load_slices(table(tmp_path, "label,start,stop\n"), GRID, SCHEMA, "c/ana")
    assert (labels.annotated, labels.ranges) == (("tumor", "node"), ())
    assert finding.code == "READING_EMPTY"


def test_a_label_that_no_row_names_was_not_annotated(tmp_path):
    labels, _ = load_slices(table(tmp_path, "label,start,stop\nnode,1,2\n"), GRID, SCHEMA, "c/ana")
    assert labels.annotated == ("node",)


def test_a_file_of_one_label_is_about_this_label_whatever_its_rows_say(tmp_path):
    table(tmp_path, "label,start,stop\nx,1,2\n", "node.slices.csv")
    source = SliceReading("ana", (ReadingFile(str(tmp_path / "node.slices.csv"), "node"),))
    labels, findings = load_slices(source, GRID, SCHEMA, "c/ana")
    assert (labels.ranges, findings) == ((SliceRange("node", 1, 2),), ())


def test_unknown_labels_and_slices_beyond_the_image_are_left_out_and_said(tmp_path):
    text = "label,start,stop\ncyst,1,2\ntumor,15,24\nnode,30,31\n"
    labels, findings = load_slices(table(tmp_path, text), GRID, SCHEMA, "c/ana")
    assert labels.ranges == (SliceRange("tumor", 15, 20),)
    assert [f.code for f in findings] == ["LABEL_UNKNOWN", "SLICES_OUTSIDE"]
    assert "'cyst'" in findings[0].message
    assert "2 range(s) reach slice 30; the image ends at slice 19" in findings[1].message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column label, start, stop"),
        ("tumor,1,2\n", "no column"),
        ("label,start,stop\ntumor,1\n", "line 2 has 2 columns"),
        ("label,start,stop\ntumor,1,2\ntumor,5,5\n", "line 3 is no label"),
        ("label,start,stop\ntumor,-1,2\n", "line 2 is no label"),
        ("label,start,stop\ntumor,1.5,2\n", "line 2 is no label"),
        ("label,start,stop\ntumor,,2\n", "line 2 is no label"),
        ("label,start,stop\n,1,2\n", "line 2 is no label"),
        (b"label,start,stop\n\xff,1,2\n", "not UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_line(tmp_path, text, words):
    source = table(tmp_path, text)
    with pytest.raises(FileFaultError, match=words):
        read_slices(tmp_path / "ana.slices.csv")
    labels, (finding,) = load_slices(source, GRID, SCHEMA, "c/ana")
    assert (labels.annotated, finding.code) == ((), "READING_UNREADABLE")
