"""Fleiss' kappa and Krippendorff's alpha: published examples, plain formulas, and the extent."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from MedPrepLib.agree.chance import (
    MISSING,
    chance_agreement,
    fleiss_kappa,
    krippendorff_alpha,
)
from MedPrepLib.errors import GeometryError, LabelError
from MedPrepLib.geometry import Geometry
from MedPrepLib.segmentation import Segment, Segmentation, from_masks

VALUES = {"one": 1, "two": 2, "three": 3}
NAMES = tuple(VALUES)


def reading(array, names=NAMES):
    array = np.asarray(array, dtype=np.uint8)
    segments = tuple(Segment(n, VALUES[n]) for n in names)
    return Segmentation((array,), Geometry(tuple(reversed(array.shape))), segments)


def plain_kappa(units):
    """Fleiss 1971, one rating per rater and subject, written out."""
    raters, categories = len(units[0]), sorted({r for unit in units for r in unit})
    table = [[unit.count(c) for c in categories] for unit in units]
    agreement = [(sum(n * n for n in row) - raters) / (raters * (raters - 1)) for row in table]
    shares = [sum(row[c] for row in table) / (len(units) * raters) for c in range(len(categories))]
    by_chance = sum(p * p for p in shares)
    return (sum(agreement) / len(units) - by_chance) / (1 - by_chance)


def plain_alpha(units):
    """Krippendorff 2004: observed and expected disagreement from the pairs of values."""
    pairable = [[r for r in unit if r != MISSING] for unit in units]
    pairable = [unit for unit in pairable if len(unit) > 1]
    values = [r for unit in pairable for r in unit]
    observed = sum(
        sum(a != b for a, b in itertools.permutations(unit, 2)) / (len(unit) - 1)
        for unit in pairable
    ) / len(values)
    expected = sum(a != b for a, b in itertools.permutations(values, 2))
    return 1 - observed / (expected / (len(values) * (len(values) - 1)))


def weighed(units):
    counted = {unit: units.count(unit) for unit in units}
    return list(counted), list(counted.values())


def test_fleiss_kappa_of_the_table_of_fleiss_with_fourteen_raters():
    table = [
        (0, 0, 0, 0, 14),
        (0, 2, 6, 4, 2),
        (0, 0, 3, 5, 6),
        (0, 3, 9, 2, 0),
        (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0),
        (3, 2, 6, 3, 0),
        (2, 5, 3, 2, 2),
        (6, 5, 2, 1, 0),
        (0, 2, 2, 3, 7),
    ]
    ratings = [[c for c, n in enumerate(row) for _ in range(n)] for row in table]
    assert fleiss_kappa(ratings, [1] * 10) == pytest.approx(0.20993, abs=5e-6)


def test_krippendorff_alpha_of_his_example_with_missing_values():
    x = MISSING
    by_rater = [
        (1, 2, 3, 3, 2, 1, 4, 1, 2, x, x, x),
        (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, x, 3),
        (x, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, x),
        (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, x),
    ]
    ratings = np.array(by_rater).T
    assert krippendorff_alpha(ratings, [1] * 12) == pytest.approx(0.743, abs=5e-4)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), raters=st.integers(2, 6), categories=st.integers(2, 4))
def test_weighted_rows_give_what_the_formulas_give_voxel_by_voxel(seed, raters, categories):
    rng = np.random.default_rng(seed)
    units = [tuple(row) for row in rng.integers(0, categories, size=(25, raters)).tolist()]
    if len({r for unit in units for r in unit}) > 1:
        assert fleiss_kappa(*weighed(units)) == pytest.approx(plain_kappa(units), abs=1e-12)
    holes = rng.random((25, raters)) < 0.4
    units = [tuple(row) for row in np.where(holes, MISSING, units).tolist()]
    rated = [u for u in units if sum(r != MISSING for r in u) > 1]
    if len({r for unit in rated for r in unit if r != MISSING}) > 1:
        assert krippendorff_alpha(*weighed(units)) == pytest.approx(plain_alpha(units), abs=1e-12)


def test_sums_beyond_double_precision_stay_exact():
    ratings = [(0, 0), (1, 1), (0, 1)]
    small, large = (1000, 10, 1), (1000 * 2**40, 10 * 2**40, 2**40)
    assert fleiss_kappa(ratings, large) == fleiss_kappa(ratings, small)
    assert krippendorff_alpha(ratings, large) == pytest.approx(
        krippendorff_alpha(ratings, small), abs=1e-3
    )


def test_no_variation_no_subject_or_a_single_rater_is_undefined():
    for measure in (fleiss_kappa, krippendorff_alpha):
        assert measure([(0, 0, 0)], [100]) is None
        assert measure([(2, 2)], [5]) is None
        assert measure(np.zeros((0, 3), int), []) is None
        assert measure([(0,), (1,)], [4, 4]) is None
    assert krippendorff_alpha([(0, MISSING), (MISSING, 1)], [3, 3]) is None


def test_perfect_agreement_is_one_and_chance_is_about_zero():
    assert fleiss_kappa([(0, 0), (1, 1)], [7, 3]) == 1.0
    assert krippendorff_alpha([(0, 0), (1, 1)], [7, 3]) == 1.0
    independent = list(itertools.product((0, 1), repeat=3))
    assert fleiss_kappa(independent, [1] * 8) == pytest.approx(0, abs=1e-12)


def test_kappa_refuses_missing_ratings():
    with pytest.raises(LabelError, match="every rater"):
        fleiss_kappa([(0, MISSING)], [1])


def noisy(seed, raters, shape=(5, 6, 7)):
    rng = np.random.default_rng(seed)
    base = np.zeros(shape, np.uint8)
    base[1:4, 1:5, 1:4], base[2:5, 3:6, 4:7] = 1, 2
    return [
        np.where(rng.random(shape) < 0.85, base, rng.integers(0, 3, size=shape)).astype(np.uint8)
        for _ in range(raters)
    ]


@pytest.mark.parametrize("raters", [2, 3, 9])
def test_every_label_and_all_together_equal_the_plain_formulas_over_the_grid(raters):
    maps = noisy(raters, raters)
    found = chance_agreement({f"r{n}": reading(m) for n, m in enumerate(maps)}, NAMES, "grid")
    votes = list(zip(*(m.ravel().tolist() for m in maps), strict=True))
    assert [row.label for row in found] == ["one", "two", "three", ""]
    for row in found:
        value = VALUES.get(row.label)
        units = votes if value is None else [tuple(int(r == value) for r in u) for u in votes]
        if row.label == "three":
            assert (row.fleiss_kappa, row.krippendorff_alpha) == (None, None)
            continue
        assert row.fleiss_kappa == pytest.approx(plain_kappa(units), abs=1e-12)
        assert row.krippendorff_alpha == pytest.approx(plain_alpha(units), abs=1e-12)
        assert row.raters == tuple(f"r{n}" for n in range(raters))


def test_the_box_around_what_was_drawn_counts_and_padding_does_not():
    a, b = np.zeros((2, 4, 6, 8), np.uint8)
    a[1:3, 1:4, 2:5] = 1
    b[1:3, 2:5, 2:6] = 1
    b[3, 0, 0] = 2
    (one, _, _, together) = chance_agreement({"a": reading(a), "b": reading(b)}, NAMES)
    box = (slice(1, 3), slice(1, 5), slice(2, 6))
    units = list(zip((a == 1)[box].ravel().tolist(), (b == 1)[box].ravel().tolist(), strict=True))
    assert one.fleiss_kappa == pytest.approx(plain_kappa(units), abs=1e-12)
    assert one.krippendorff_alpha == pytest.approx(plain_alpha(units), abs=1e-12)
    units = [(x, y) for x, y in zip(a[1:, :5, :6].ravel(), b[1:, :5, :6].ravel(), strict=True)]
    assert together.fleiss_kappa == pytest.approx(plain_kappa(units), abs=1e-12)
    padded = {"a": reading(np.pad(a, 5)), "b": reading(np.pad(b, 5))}
    assert chance_agreement(padded, NAMES)[0] == one
    assert chance_agreement(padded, NAMES)[3] == together
    wider = chance_agreement(padded, NAMES, "grid")[0].fleiss_kappa
    assert not math.isclose(wider, chance_agreement(padded, NAMES)[0].fleiss_kappa)


def test_who_did_not_annotate_a_label_is_missing_not_disagreeing():
    maps = noisy(3, 3)
    partial = np.where(maps[2] == 1, 1, 0)
    readings = {
        "a": reading(maps[0]),
        "b": reading(maps[1]),
        "c": reading(partial, names=("one",)),
    }
    one, two, _, together = chance_agreement(readings, NAMES, "grid")
    assert one.raters == ("a", "b", "c")
    assert two.raters == together.raters == ("a", "b")
    votes = list(zip(*(m.ravel().tolist() for m in (maps[0], maps[1], partial)), strict=True))
    known = [(a, b, c or MISSING) for a, b, c in votes]
    assert together.krippendorff_alpha == pytest.approx(plain_alpha(known), abs=1e-12)
    pairs = [(a, b) for a, b, _ in votes]
    assert together.fleiss_kappa == pytest.approx(plain_kappa(pairs), abs=1e-12)
    twos = [(a == 2, b == 2) for a, b in pairs]
    assert two.krippendorff_alpha == pytest.approx(plain_alpha(twos), abs=1e-12)


def test_overlapping_segments_have_values_of_their_own_but_none_together():
    grid = Geometry((5, 1, 1))
    organ, tumor = np.array([[[1, 1, 1, 0, 0]]], bool), np.array([[[0, 1, 0, 0, 0]]], bool)
    a = from_masks({"one": organ, "two": tumor}, grid)
    b = from_masks({"one": np.roll(organ, 1), "two": tumor}, grid)
    one, two, together = chance_agreement({"a": a, "b": b}, ("one", "two"))
    units = [(1, 0), (1, 1), (1, 1), (0, 1)]
    assert one.fleiss_kappa == pytest.approx(plain_kappa(units), abs=1e-12)
    assert two.fleiss_kappa is None, "a box that both fill has no variation"
    assert (together.fleiss_kappa, together.krippendorff_alpha) == (None, None)


def test_nobody_one_rater_or_nothing_drawn_is_undefined():
    empty = np.zeros((2, 3, 4))
    single = chance_agreement({"a": reading(empty + 1)}, NAMES)
    nothing = chance_agreement({"a": reading(empty), "b": reading(empty)}, NAMES)
    absent = chance_agreement({"a": reading(empty, ()), "b": reading(empty, ())}, NAMES)
    for row in (*single, *nothing, *absent):
        assert (row.fleiss_kappa, row.krippendorff_alpha) == (None, None)
    assert absent[0].raters == ()


def test_the_order_of_raters_does_not_matter_and_grids_must_agree():
    readings = {f"r{n}": reading(m) for n, m in enumerate(noisy(5, 4))}
    backward = dict(reversed(readings.items()))
    assert chance_agreement(readings, NAMES) == chance_agreement(backward, NAMES)
    with pytest.raises(GeometryError, match="different grids"):
        chance_agreement({"a": reading([[[1]]]), "b": reading([[[1, 0]]])}, NAMES)
