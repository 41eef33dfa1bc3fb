"""The vote: every kind of tie, overlapping segments, absent annotations, and the record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from core.cohort_samples import SCHEMA, packed_case
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from MedPrepLib import words
from MedPrepLib.config.settings import Consensus, Pack
from MedPrepLib.consensus import consensus, majority_vote, reading_hash
from MedPrepLib.consensus.slices import vote_slices
from MedPrepLib.errors import GeometryError, LabelError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, to_sitk
from MedPrepLib.load.case import read_case
from MedPrepLib.pack import write_case
from MedPrepLib.results import SliceLabels, SliceRange
from MedPrepLib.segmentation import Segment, Segmentation, from_masks
from MedPrepLib.targets import derive

VALUES = {"one": 1, "two": 2, "three": 3}
NAMES = tuple(VALUES)


def reading(array, names=NAMES, dtype=np.uint8, values=VALUES):
    array = np.asarray(array, dtype=dtype)
    segments = tuple(Segment(n, values[n]) for n in names)
    return Segmentation((array,), Geometry(tuple(reversed(array.shape))), segments)


def column(*votes):
    """One voxel per rater."""
    return {f"r{n}": reading([[[vote]]]) for n, vote in enumerate(votes)}


def vote(readings, ties="background", labels=NAMES, values=VALUES):
    return majority_vote(readings, labels, values, Consensus(ties=ties))


def outcome(*votes, ties="background"):
    result = vote(column(*votes), ties)
    return int(result.label_map[0, 0, 0]), result.record.tied_voxels


@pytest.mark.parametrize(
    ("votes", "background", "foreground", "first", "tied"),
    [
        ((1, 1), 1, 1, 1, 0),
        ((0, 1), 0, 1, 0, 1),
        ((1, 0), 0, 1, 1, 1),
        ((1, 2), 0, 1, 1, 1),
        ((2, 1), 0, 1, 2, 1),
        ((2, 1, 1), 1, 1, 1, 0),
        ((1, 2, 3), 0, 1, 1, 1),
        ((3, 2, 1), 0, 1, 3, 1),
        ((0, 1, 2), 0, 1, 0, 1),
        ((1, 1, 2, 2), 0, 1, 1, 1),
        ((0, 0, 2, 2), 0, 2, 0, 1),
        ((0, 0, 1, 2), 0, 0, 0, 0),
        ((3, 0, 3, 1, 2), 3, 3, 3, 0),
        ((3, 1, 1, 2, 2), 0, 1, 0, 1),
        ((2, 2, 3, 3, 0, 0), 0, 2, 2, 1),
    ],
    ids=str,
)
def test_ties_follow_the_rule(votes, background, foreground, first, tied):
    assert outcome(*votes) == (background, tied)
    assert outcome(*votes, ties="foreground") == (foreground, tied)
    assert outcome(*votes, ties="rater:r0") == (first, tied)


@pytest.mark.parametrize(
    ("votes", "undecided"),
    [
        ((1, 1), 1),
        ((0, 1), 255),
        ((1, 2), 255),
        ((2, 1, 1), 1),
        ((1, 2, 3), 255),
        ((0, 1, 2), 255),
        ((0, 0, 1, 1), 255),
        ((0, 0, 1, 2), 0),
        ((3, 0, 3, 1, 2), 3),
    ],
    ids=str,
)
def test_an_undecided_voxel_gets_the_ignore_value_and_the_record_says_so(votes, undecided):
    result = vote(column(*votes), "undecided")
    assert int(result.label_map[0, 0, 0]) == undecided
    assert result.record.tied_voxels == (undecided == 255)
    assert (result.record.tie_rule, result.record.ignore_value) == ("undecided", 255)
    assert vote(column(*votes)).record.ignore_value is None


def test_the_ignore_value_is_the_highest_of_the_type_and_never_a_label():
    wide = {"one": 300}
    readings = {
        n: reading([[[v, 0]]], ("one",), np.uint16, wide) for n, v in {"a": 300, "b": 0}.items()
    }
    result = vote(readings, "undecided", ("one",), wide)
    assert (result.label_map.dtype, result.label_map.tolist()) == (np.uint16, [[[65535, 0]]])
    assert result.record.ignore_value == 65535
    for value, dtype in ((255, np.uint8), (65535, np.uint16)):
        full = {"one": value}
        readings = {n: reading([[[value, 0]]], ("one",), dtype, full) for n in "ab"}
        with pytest.raises(LabelError, match=f"{value}.*undecided"):
            vote(readings, "undecided", ("one",), full)
        assert vote(readings, labels=("one",), values=full).label_map.tolist() == [[[value, 0]]]


@pytest.mark.parametrize("first_looked_for", [("one", "high"), ("one",)])
def test_undecided_is_no_label_where_the_schema_is_wider_than_the_drawings(first_looked_for):
    values = {"one": 3, "high": 255, "unused": 400}
    readings = {
        "a": reading([[[3] * 20, [0] * 20]], first_looked_for, values=values),
        "b": reading([[[0] * 20, [3] * 20]], ("one", "high"), values=values),
    }
    result = vote(readings, "undecided", tuple(values), values)
    assert result.record.ignore_value == 65_535
    assert result.label_map.dtype == np.uint16
    assert np.unique(result.label_map).tolist() == [65_535]


def test_a_stray_value_in_a_file_is_never_taken_for_undecided():
    readings = {n: reading([[[255, 1, 255]]]) for n in "ab"}
    readings["c"] = reading([[[255, 1, 0]]])
    assert vote(readings, "undecided").label_map.tolist() == [[[0, 1, 0]]]
    two = {"a": reading([[[7, 5, 7]]]), "b": reading([[[7, 5, 5]]])}
    own = {"one": 5, "two": 9}
    undeclared = {n: replace(r, segments=(Segment("one", 5),)) for n, r in two.items()}
    result = vote(undeclared, labels=("one", "two"), values=own)
    assert result.label_map.tolist() == [[[0, 5, 0]]]


def test_undecided_is_the_topmost_segment_that_is_tied_where_segments_overlap():
    readings = {
        "a": nested([1, 1, 0, 1, 0], [0, 1, 0, 1, 0]),
        "b": nested([1, 1, 1, 0, 0], [0, 0, 0, 1, 0]),
    }
    result = vote(readings, "undecided")
    assert result.label_map.tolist() == [[[1, 255, 255, 3, 0]]]
    assert (result.record.tied_voxels, result.record.ignore_value) == (3, 255)


def undecided_case():
    """A case whose mask has undecided voxels, packed with the record that says so."""
    packed = packed_case("undecided", (40, 45, 37))
    mask = packed.mask.copy()
    mask[7, 12, 12:20] = 255
    record = structs.replace(packed.consensus, tie_rule="undecided", ignore_value=255)
    return replace(packed, mask=mask, consensus=record)


def test_undecided_voxels_reach_the_loader_and_belong_to_no_label(tmp_path):
    packed = undecided_case()
    name = write_case(tmp_path, packed, Pack(foreground_voxels=100_000), SCHEMA).name
    loaded = read_case(tmp_path / name)
    assert (loaded.ignore_value, loaded.consensus["ignore_value"]) == (255, 255)
    assert np.array_equal(loaded.mask, packed.mask)
    for label in SCHEMA:
        coordinates = loaded.foreground[label.name]
        assert len(coordinates) == np.count_nonzero(packed.mask == label.value)
        assert (packed.mask[tuple(coordinates.T)] == label.value).all()
    decided = replace(packed, mask=np.where(packed.mask == 255, 0, packed.mask))
    without = write_case(tmp_path, replace(decided, consensus=None), Pack(), SCHEMA).name
    assert read_case(tmp_path / without).ignore_value is None


def test_a_mask_may_hold_the_ignore_value_only_if_the_record_names_it_and_no_label_has_it(tmp_path):
    packed = undecided_case()
    with pytest.raises(LabelError, match="255"):
        write_case(tmp_path, replace(packed, consensus=None), Pack(), SCHEMA)
    clash = structs.replace(packed.consensus, ignore_value=3)
    with pytest.raises(LabelError, match="value 3, which undecided voxels hold"):
        write_case(tmp_path, replace(packed, consensus=clash), Pack(), SCHEMA)


def test_undecided_voxels_are_no_target():
    packed = undecided_case()
    cleared = np.where(packed.mask == 255, 0, packed.mask)
    geometry = packed.image.geometry
    assert derive(packed.mask, geometry, SCHEMA) == derive(cleared, geometry, SCHEMA)


def test_a_named_rater_who_is_absent_leaves_ties_to_the_background_and_says_so():
    result = vote(column(1, 2), ties="rater:someone")
    assert result.label_map[0, 0, 0] == 0
    assert result.record.tie_rule == "rater:someone (absent: background)"


def test_ties_go_to_the_named_rater_also_where_all_readings_of_that_person_have_numbers():
    readings = {"ana@1": reading([[[1, 0]]]), "ben": reading([[[0, 1]]])}
    result = vote(readings, "rater:ana")
    assert result.label_map.ravel().tolist() == [1, 0]
    assert result.record.tie_rule == "rater:ana"
    noted = [
        SliceLabels(rater, 4, ("one",), (SliceRange("one", start, stop),))
        for rater, start, stop in (("ana@1", 0, 2), ("ben", 1, 4))
    ]
    voted = vote_slices(noted, ["one"], "rater:ana")
    assert [(r.start, r.stop) for r in voted.labels.ranges] == [(0, 2)]
    assert voted.tie_rule == "rater:ana"


def test_a_rater_who_did_not_annotate_a_label_does_not_vote_it_down():
    only_one = reading([[[1, 0, 0]]], names=("one",))
    readings = {
        "a": reading([[[1, 2, 2]]]),
        "b": reading([[[1, 2, 0]]]),
        "c": only_one,
        "d": only_one,
    }
    result = vote(readings)
    assert result.label_map.tolist() == [[[1, 2, 0]]]
    assert result.record.tied_voxels == 1


def test_nobody_annotated_a_label_so_nobody_votes():
    readings = {n: reading([[[1, 0]]], names=("one",)) for n in "ab"}
    assert vote(readings).label_map.tolist() == [[[1, 0]]]


def nested(organ, tumor):
    grid = Geometry((len(organ), 1, 1))
    masks = {"one": [[organ]], "three": [[tumor]]}
    return from_masks({k: np.array(v, bool) for k, v in masks.items()}, grid, values=(1, 3))


def test_a_tumor_inside_an_organ_is_voted_on_alone_and_lies_on_top():
    readings = {
        "a": nested([1, 1, 1, 1, 0], [0, 1, 1, 0, 0]),
        "b": nested([1, 1, 1, 0, 0], [0, 1, 0, 0, 0]),
        "c": nested([1, 1, 1, 0, 0], [0, 0, 1, 0, 1]),
    }
    result = vote(readings)
    assert result.label_map.tolist() == [[[1, 3, 3, 0, 0]]]
    assert result.record.tied_voxels == 0


def test_overlapping_segments_follow_the_tie_rule_one_by_one():
    readings = {"a": nested([1, 1, 0], [0, 1, 0]), "b": nested([1, 1, 0], [0, 0, 1])}
    assert vote(readings).label_map.tolist() == [[[1, 1, 0]]]
    assert vote(readings, "foreground").label_map.tolist() == [[[1, 3, 3]]]
    assert vote(readings, "rater:b").label_map.tolist() == [[[1, 1, 3]]]
    assert vote(readings).record.tied_voxels == 2


def test_a_single_reading_is_taken_as_it_is():
    array = np.random.default_rng(0).integers(0, 4, size=(3, 4, 5))
    result = vote({"a": reading(array)})
    assert np.array_equal(result.label_map, array)
    assert (result.record.method, result.record.tied_voxels) == ("single reader", 0)


def test_values_of_the_schema_replace_those_of_the_files():
    own = {"one": 7, "two": 5, "three": 9}
    readings = {"a": reading([[[7, 5, 0]]], values=own), "b": reading([[[1, 2, 0]]])}
    assert vote(readings).label_map.tolist() == [[[1, 2, 0]]]


def test_values_that_no_wanted_segment_declares_become_background():
    readings = {"a": reading([[[1, 9, 9, 2]]]), "b": reading([[[1, 9, 1, 2]]])}
    assert vote(readings).label_map.tolist() == [[[1, 0, 0, 2]]]
    assert vote(readings, labels=("one",)).label_map.tolist() == [[[1, 0, 0, 0]]]


@pytest.mark.parametrize("method", ["majority", "staple"])
def test_a_value_that_a_reader_does_not_declare_is_no_vote_for_the_label_of_another(method):
    a = reading([[[1, 1, 2, 2, 0, 0, 0, 0]]], names=("one", "two"))
    b = reading([[[1, 1, 2, 2, 1, 1, 0, 0]]], names=("two",))
    clean = reading([[[0, 0, 2, 2, 0, 0, 0, 0]]], names=("two",))
    rule = Consensus(method=method, ties="foreground")
    labels = ("one", "two")
    found = consensus({"a": a, "b": b}, labels, VALUES, rule)
    wanted = consensus({"a": a, "b": clean}, labels, VALUES, rule)
    np.testing.assert_array_equal(found.label_map, wanted.label_map)
    assert found.label_map.ravel().tolist() == [1, 1, 2, 2, 0, 0, 0, 0]
    assert found.record.tied_voxels == wanted.record.tied_voxels


def test_the_label_map_is_as_narrow_as_the_largest_value_allows():
    assert vote(column(1, 1)).label_map.dtype == np.uint8
    wide = {"one": 300}
    readings = {n: reading([[[300, 0]]], ("one",), np.uint16, wide) for n in "ab"}
    result = vote(readings, labels=("one",), values=wide)
    assert result.label_map.dtype == np.uint16
    assert result.label_map.tolist() == [[[300, 0]]]


def noisy(seed, raters, shape):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 4, size=shape).astype(np.uint8)
    return [
        np.where(rng.random(shape) < 0.8, base, rng.integers(0, 4, size=shape)).astype(np.uint8)
        for _ in range(raters)
    ]


def plain_vote(maps):
    """Plurality, voxel by voxel; None where the first two are level."""
    winners = []
    for votes in zip(*(m.ravel().tolist() for m in maps), strict=True):
        counts = sorted(((votes.count(v), v) for v in set(votes)), reverse=True)
        level = len(counts) > 1 and counts[0][0] == counts[1][0]
        winners.append(None if level else counts[0][1])
    return winners


@pytest.mark.parametrize("raters", [2, 3, 5, 9])
def test_the_vote_over_many_chunks_equals_a_plain_count(raters, monkeypatch):
    monkeypatch.setattr(words, "_CHUNK_WORDS", 4)
    monkeypatch.setattr(words, "_BATCH_WORDS", 8)
    maps = noisy(raters, raters, (5, 7, 9))
    result = vote({f"r{n}": reading(m) for n, m in enumerate(maps)})
    expected = plain_vote(maps)
    assert result.label_map.ravel().tolist() == [w or 0 for w in expected]
    assert result.record.tied_voxels == expected.count(None)


@pytest.mark.parametrize("raters", [3, 4, 8])
def test_voxels_without_a_tie_equal_simpleitk_label_voting(raters):
    import SimpleITK as sitk

    maps = noisy(raters, raters, (12, 14, 17))
    grid = Geometry((17, 14, 12), (0.7, 0.7, 5), (1, 2, 3), (-1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    phantom = 77
    images = [to_sitk(Volume(m, grid)) for m in maps]
    theirs = sitk.GetArrayFromImage(sitk.LabelVoting(images, phantom))
    result = vote({f"r{n}": reading(m) for n, m in enumerate(maps)})
    decided = theirs != phantom
    assert np.array_equal(result.label_map[decided], theirs[decided])
    assert (result.label_map[~decided] == 0).all()
    assert result.record.tied_voxels == np.count_nonzero(~decided)
    assert result.label_map.max() <= 3


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    raters=st.integers(2, 5),
    ties=st.sampled_from(["background", "foreground", "rater:r1"]),
)
def test_the_order_of_raters_and_the_margin_of_the_grid_do_not_matter(seed, raters, ties):
    maps = noisy(seed, raters, (2, 3, 5))
    forward = vote({f"r{n}": reading(m) for n, m in enumerate(maps)}, ties)
    backward = vote({f"r{n}": reading(maps[n]) for n in reversed(range(raters))}, ties)
    assert np.array_equal(forward.label_map, backward.label_map)
    assert forward.record == backward.record
    padded = vote({f"r{n}": reading(np.pad(m, 3)) for n, m in enumerate(maps)}, ties)
    assert np.array_equal(padded.label_map, np.pad(forward.label_map, 3))
    drawn = (forward.label_map == np.stack(maps)).any(axis=0)
    assert (drawn | (forward.label_map == 0)).all(), "no label where nobody drew it"


def test_the_record_names_everything_that_decided():
    readings = column(1, 0, 0)
    record = vote(readings, "rater:r2").record
    assert (record.method, record.raters) == ("majority", ("r0", "r1", "r2"))
    assert record.tie_rule == "rater:r2"
    assert record.inputs == {r: reading_hash(s) for r, s in readings.items()}


def test_a_consensus_needs_readings_on_one_grid_and_values():
    with pytest.raises(GeometryError, match="at least one"):
        vote({})
    with pytest.raises(GeometryError, match="different grids"):
        vote({"a": reading([[[1, 0]]]), "b": reading([[[1, 0, 0]]])})
    with pytest.raises(LabelError, match="four"):
        vote(column(1, 1), labels=("one", "four"))


def test_the_hash_ignores_what_does_not_change_the_reading():
    masks = {"one": [[[1, 1, 0]]], "two": [[[0, 1, 1]]]}
    grid = Geometry((3, 1, 1), origin=(0.0, 1.0, 2.0))
    base = from_masks(masks, grid, values=(1, 2))
    turned = from_masks(dict(reversed(masks.items())), grid, values=(2, 1))
    wide = replace(base, layers=tuple(layer.astype(np.uint16) for layer in base.layers))
    near = replace(base, geometry=replace(grid, origin=(1e-9, 1.0, 2.0)))
    assert {reading_hash(s) for s in (turned, wide, near)} == {reading_hash(base)}
    assert len(reading_hash(base)) == 64


def test_the_hash_changes_with_voxels_names_values_and_grid():
    array = np.zeros((3, 5, 7), np.uint8)
    array[1, 2, 3:6] = 1
    base = reading(array)
    moved, last = array.copy(), array.copy()
    moved[1, 2, 2], moved[1, 2, 5] = 1, 0
    last[2, 4, 6] = 1
    others = [
        reading(moved),
        reading(last),
        reading(array, names=("one", "two")),
        reading(array, values={"one": 1, "two": 3, "three": 2}),
        replace(base, geometry=replace(base.geometry, origin=(0.0, 0.0, 0.001))),
    ]
    hashes = [reading_hash(s) for s in (base, *others)]
    assert len(set(hashes)) == len(hashes)


def test_kidney_tumors_of_three_raters_vote_as_simpleitk_does(shared_data):
    import SimpleITK as sitk

    from MedPrepLib.images import from_sitk

    for folder in sorted((shared_data / "multirater" / "kits").glob("*/*")):
        images = [sitk.ReadImage(str(p), sitk.sitkUInt8) for p in sorted(folder.glob("*.nii.gz"))]
        volumes = [from_sitk(image) for image in images]
        readings = {
            f"r{n}": Segmentation((v.array,), v.geometry, (Segment("one", 1),))
            for n, v in enumerate(volumes)
        }
        theirs = sitk.GetArrayFromImage(sitk.LabelVoting(images))
        result = vote(readings, labels=("one",))
        assert np.array_equal(result.label_map, theirs)
        assert result.record.tied_voxels == 0
