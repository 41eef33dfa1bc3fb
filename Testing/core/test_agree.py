"""Dice per label and pair: its policy for empty masks, its symmetry, and when a case is flagged."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from MedPrepLib.agree import agree, dice, judge
from MedPrepLib.config.settings import Agree
from MedPrepLib.errors import GeometryError, LabelError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, to_sitk
from MedPrepLib.segmentation import Segment, Segmentation, from_masks

LABELS = ("organ", "tumor")


def reading(array, names=LABELS, values=None, geometry=None):
    array = np.asarray(array, dtype=np.uint8)
    grid = geometry or Geometry(tuple(reversed(array.shape)))
    numbers = values or range(1, len(names) + 1)
    segments = tuple(Segment(n, v) for n, v in zip(names, numbers, strict=True))
    return Segmentation((array,), grid, segments)


def row(*values):
    return np.array(values, dtype=np.uint8).reshape(1, 1, -1)


def only(agreement, label):
    (pair,) = [p for p in agreement.pairs if p.label == label]
    return pair


def noisy(seed, raters, labels=3, shape=(6, 9, 11)):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, labels + 1, size=shape)
    return {
        f"r{n}": np.where(rng.random(shape) < 0.7, base, rng.integers(0, labels + 1, size=shape))
        for n in range(raters)
    }


def test_two_empty_masks_are_undefined_and_left_out_of_the_mean():
    readings = {"a": reading(row(1, 0)), "b": reading(row(1, 0)), "c": reading(row(1, 2))}
    result = agree(readings, LABELS)
    both = next(p for p in result.pairs if (p.label, p.rater_a, p.rater_b) == ("tumor", "a", "b"))
    assert (both.outcome, both.dice) == ("both empty", None)
    tumor = result.labels[1]
    assert (tumor.mean_dice, tumor.pairs_defined, tumor.pairs_both_empty) == (0.0, 2, 1)


def test_one_empty_mask_is_zero_not_undefined():
    pair = only(agree({"a": reading(row(2, 2)), "b": reading(row(0, 0))}, LABELS), "tumor")
    assert (pair.outcome, pair.dice, pair.voxels_a, pair.voxels_b) == ("one empty", 0.0, 2, 0)


def test_a_label_that_was_not_annotated_differs_from_one_annotated_empty():
    readings = {"a": reading(row(1, 2)), "b": reading(row(1, 0), names=("organ",))}
    result = agree(readings, LABELS)
    pair = only(result, "tumor")
    assert (pair.outcome, pair.dice) == ("not annotated", None)
    assert result.labels[1].pairs_not_annotated == 1
    assert result.labels[1].mean_dice is None
    assert only(result, "organ").dice == 1.0


def test_swapped_labels_do_not_hide_in_the_foreground():
    result = agree({"a": reading(row(1, 1, 2, 2)), "b": reading(row(2, 2, 1, 1))}, LABELS)
    assert [p.dice for p in result.pairs] == [0.0, 0.0]
    assert result.lowest == 0.0


def test_labels_are_matched_by_name_whatever_their_numbers():
    readings = {"a": reading(row(1, 1, 2, 0)), "b": reading(row(9, 9, 4, 0), values=(9, 4))}
    assert [p.dice for p in agree(readings, LABELS).pairs] == [1.0, 1.0]


def test_a_small_missed_label_drives_the_lowest_value():
    full = np.ones((10, 20, 30), np.uint8)
    full[0, 0, :3] = 2
    missed = np.ones((10, 20, 30), np.uint8)
    result = agree({"a": reading(full), "b": reading(missed)}, LABELS)
    assert result.labels[0].mean_dice > 0.999
    assert result.lowest == 0.0


def test_overlapping_segments_are_measured_exactly_in_every_layer():
    rng = np.random.default_rng(2)
    masks = {
        rater: {name: rng.random((4, 5, 6)) < 0.6 for name in LABELS} for rater in ("a", "b", "c")
    }
    grid = Geometry((6, 5, 4))
    readings = {rater: from_masks(m, grid) for rater, m in masks.items()}
    readings["c"] = from_masks(dict(reversed(masks["c"].items())), grid, values=(7, 5))
    for pair in agree(readings, LABELS).pairs:
        a, b = masks[pair.rater_a][pair.label], masks[pair.rater_b][pair.label]
        assert pair.dice == 2 * (a & b).sum() / (a.sum() + b.sum())


def test_a_layered_and_a_flat_reading_can_be_compared():
    organ, tumor = row(1, 1, 0, 0) > 0, row(0, 0, 1, 1) > 0
    layered = from_masks({"organ": organ, "tumor": tumor}, Geometry((4, 1, 1)))
    result = agree({"a": layered, "b": reading(row(1, 1, 2, 0))}, LABELS)
    assert [p.dice for p in result.pairs] == [1.0, 2 / 3]


@pytest.mark.parametrize("seed", range(3))
def test_dice_equals_simpleitk_and_scikit_learn(seed):
    import SimpleITK as sitk
    from sklearn.metrics import f1_score

    angle = 0.3
    direction = (np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, -1)
    maps = noisy(seed, 4, labels=3)
    grid = Geometry((11, 9, 6), (0.7, 0.9, 5), (3, -4, 5), tuple(map(float, direction)))
    names = ("one", "two", "three")
    readings = {r: reading(m, names, geometry=grid) for r, m in maps.items()}
    for pair in agree(readings, names).pairs:
        value = names.index(pair.label) + 1
        a, b = maps[pair.rater_a], maps[pair.rater_b]
        measures = sitk.LabelOverlapMeasuresImageFilter()
        measures.Execute(*(to_sitk(Volume(x.astype(np.uint8), grid)) for x in (a, b)))
        assert pair.dice == pytest.approx(measures.GetDiceCoefficient(value), abs=1e-12)
        assert pair.dice == pytest.approx(f1_score(a.ravel() == value, b.ravel() == value))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), raters=st.integers(2, 4))
def test_the_result_does_not_depend_on_the_order_of_raters_and_is_symmetric(seed, raters):
    maps = noisy(seed, raters, shape=(2, 3, 5))
    names = ("one", "two", "three")
    forward = agree({r: reading(m, names) for r, m in maps.items()}, names)
    backward = agree({r: reading(maps[r], names) for r in reversed(maps)}, names)
    assert forward == backward
    for a, b in itertools.combinations(maps.values(), 2):
        assert dice(a, b, value=1) == dice(b, a, value=1)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), margin=st.integers(1, 9))
def test_padding_the_grid_changes_no_value(seed, margin):
    maps = noisy(seed, 3, shape=(3, 4, 5))
    names = ("one", "two", "three")
    small = agree({r: reading(m, names) for r, m in maps.items()}, names)
    padded = agree({r: reading(np.pad(m, margin), names) for r, m in maps.items()}, names)
    assert small == padded


def with_dice(common, alone):
    """Two masks that share ``common`` voxels and have ``alone`` each of their own."""
    first = [1] * common + [1] * alone + [0] * alone
    second = [1] * common + [0] * alone + [1] * alone
    names = ("organ",)
    return {"a": reading(row(*first), names), "b": reading(row(*second), names)}


def test_a_value_of_exactly_the_threshold_passes():
    result = agree(with_dice(7, 3), ["organ"])
    assert result.lowest == 0.7
    assert judge(result, Agree(threshold=0.7), "case") == ()


def test_a_value_just_below_the_threshold_is_flagged_although_it_rounds_to_it():
    result = agree(with_dice(69_999, 30_001), ["organ"])
    (found,) = judge(result, Agree(threshold=0.7), "case")
    assert (found.code, found.item) == ("LOW_AGREEMENT", "case")
    assert "0.69999 is below 0.7" in found.message


def test_a_mean_of_exactly_the_threshold_passes():
    mask = {"a": [1] * 10, "b": [1] * 7 + [0] * 3, "c": [1] * 7 + [0] * 3}
    readings = {r: reading(row(*m), ("organ",)) for r, m in mask.items()}
    result = agree(readings, ["organ"])
    limit = (14 / 17 + 14 / 17 + 1) / 3
    assert result.labels[0].mean_dice == pytest.approx(limit)
    exact = result.labels[0].mean_dice
    assert judge(result, Agree(threshold=exact, rule="mean_pair"), "case") == ()


def test_the_rule_decides_which_value_is_judged_and_the_message_gives_both():
    readings = {"a": row(1, 1, 1, 1), "b": row(1, 1, 1, 1), "c": row(1, 1, 0, 0)}
    result = agree({r: reading(m, ("organ",)) for r, m in readings.items()}, ["organ"])
    assert judge(result, Agree(threshold=0.7, rule="mean_pair"), "case") == ()
    (found,) = judge(result, Agree(threshold=0.7, rule="worst_pair"), "case")
    for part in ("'organ'", "a and c", "0.667", "worst_pair", "0.778", "2.0 times the volume"):
        assert part in found.message


def test_the_message_names_a_rater_who_drew_nothing():
    result = agree({"a": reading(row(2, 2)), "b": reading(row(0, 0))}, LABELS)
    (found,) = judge(result, Agree(), "case")
    assert "b annotated it as empty where a drew 2 voxels" in found.message


def test_the_message_names_masks_that_never_touch():
    result = agree({"a": reading(row(2, 2, 0, 0)), "b": reading(row(0, 0, 2, 2))}, LABELS)
    (found,) = judge(result, Agree(), "case")
    assert "share no voxel though they drew a similar volume" in found.message


def test_labels_without_a_defined_value_are_not_flagged():
    result = agree({"a": reading(row(0, 0)), "b": reading(row(0, 0))}, LABELS)
    assert result.lowest is None
    assert judge(result, Agree(threshold=1.0), "case") == ()


def test_a_single_rater_has_no_pairs():
    result = agree({"a": reading(row(1, 2))}, LABELS)
    assert (result.pairs, result.lowest) == ((), None)


def test_readings_on_different_grids_are_refused():
    other = Geometry((2, 1, 1), origin=(0.0, 0.5, 0.0))
    readings = {"a": reading(row(1, 2)), "b": reading(row(1, 2), geometry=other)}
    with pytest.raises(GeometryError, match=r"a and b lie on different grids.*0\.5 mm"):
        agree(readings, LABELS)


def test_a_reading_without_any_segment_is_not_annotated():
    blank = Segmentation((row(0, 0),), Geometry((2, 1, 1)), ())
    result = agree({"a": reading(row(1, 2)), "b": blank}, LABELS)
    assert {p.outcome for p in result.pairs} == {"not annotated"}


def test_plain_arrays_of_any_integer_type_can_be_compared():
    a, b = np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0])
    for dtype in (bool, np.int16, np.int64, np.uint8):
        assert dice(a.astype(dtype), b.astype(dtype)) == 2 / 3
    assert dice(np.zeros(4, bool), np.zeros(4, bool)) is None
    assert dice(a, np.zeros(4, int)) == 0.0


def test_plain_label_arrays_need_the_label_named():
    a, b = np.array([1, 2, 2]), np.array([2, 1, 1])
    with pytest.raises(LabelError, match="value="):
        dice(a, b)
    assert dice(a, b, value=2) == 0.0
    with pytest.raises(LabelError, match="float64"):
        dice(a.astype(float), b)
    with pytest.raises(GeometryError, match="shapes"):
        dice(a, b[:2])
