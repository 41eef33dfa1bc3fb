"""STAPLE of several labels: against SimpleITK, the formulas voxel by voxel, and its ties."""

from __future__ import annotations

import numpy as np
import pytest

from MedPrepLib import words
from MedPrepLib.config.settings import Consensus
from MedPrepLib.consensus import consensus, multilabel, multilabel_staple
from MedPrepLib.consensus.census import label_census
from MedPrepLib.consensus.panel import panel
from MedPrepLib.errors import LabelError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, to_sitk
from MedPrepLib.segmentation import Segment, Segmentation, from_masks

VALUES = {"one": 1, "two": 2, "three": 3}
NAMES = tuple(VALUES)
STAPLE = Consensus(method="staple")
UNDECIDED = Consensus(method="staple", ties="undecided")
GRID = Geometry((17, 13, 11), (0.7, 0.8, 5), (1, 2, 3), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, -1.0))


def reading(array, names=NAMES, values=VALUES):
    array = np.asarray(array)
    if array.dtype.kind != "u":
        array = array.astype(np.uint8)
    grid = GRID if array.shape == GRID.shape else Geometry(tuple(reversed(array.shape)))
    return Segmentation((array,), grid, tuple(Segment(n, values[n]) for n in names))


def named(maps, **kwargs):
    return {f"r{n:02}": reading(m, **kwargs) for n, m in enumerate(maps)}


def organs(raters, seed=0, noise=0.05, shape=GRID.shape):
    """Three boxes side by side as raters of unequal care draw them."""
    rng = np.random.default_rng(seed)
    maps = []
    for n in range(raters):
        labels = np.zeros(shape, np.uint8)
        for value, start in ((1, 1), (2, 6), (3, 11)):
            j, i = rng.integers(0, 2, 2)
            labels[2:9, 3 + j : 10 + j, start + i : start + i + 5] = value
        wrong = rng.random(shape) < noise * (n + 1) / raters
        maps.append(np.where(wrong, rng.integers(0, 4, shape), labels).astype(np.uint8))
    return maps


def by_simpleitk(maps, undecided=99):
    import SimpleITK as sitk

    made = sitk.MultiLabelSTAPLEImageFilter()
    made.SetLabelForUndecidedPixels(undecided)
    labels = sitk.GetArrayFromImage(made.Execute([to_sitk(Volume(m, GRID)) for m in maps]))
    size = 1 + max(int(m.max()) for m in maps)
    tables = [np.reshape(made.GetConfusionMatrix(n), (size + 1, size)) for n in range(len(maps))]
    return labels, [table[:size] for table in tables]


def by_hand(maps, classes=4, threshold=1e-5):
    """Rohlfing 2004 voxel by voxel: probabilities (classes, voxels) and confusion matrices."""
    votes = np.array([m.ravel() for m in maps])
    counts = np.array([(votes == c).sum(axis=0) for c in range(classes)])
    clear = (counts == counts.max(axis=0)).sum(axis=0) == 1
    theta = np.zeros((len(maps), classes, classes))
    for r, own in enumerate(votes):
        np.add.at(theta[r], (own[clear], counts.argmax(axis=0)[clear]), 1)
        theta[r] /= np.maximum(theta[r].sum(axis=1, keepdims=True), 1)
    prior = counts.sum(axis=1) / counts.sum()
    while True:
        inside = probabilities(votes, theta, prior)
        updated = np.zeros_like(theta)
        for r, own in enumerate(votes):
            np.add.at(updated[r], own, inside.T)
            updated[r] /= np.where(updated[r].sum(axis=0) > 0, updated[r].sum(axis=0), 1)
        change = np.abs(updated - theta).max()
        theta = updated
        if change < threshold:
            return probabilities(votes, theta, prior), theta


def probabilities(votes, theta, prior):
    inside = np.repeat(prior[:, None], votes.shape[1], axis=1)
    for matrix, own in zip(theta, votes, strict=True):
        inside *= matrix[own].T
    total = inside.sum(axis=0)
    return inside / np.where(total > 0, total, 1)


@pytest.mark.parametrize("raters", [3, 5, 7])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_voxel_differs_from_simpleitk(raters, seed):
    maps = organs(raters, seed)
    theirs, confusion = by_simpleitk(maps)
    made = multilabel_staple(named(maps), NAMES, VALUES, UNDECIDED)
    decided = made.label_map != 255
    assert np.array_equal(made.label_map[decided], theirs[decided])
    assert decided.mean() > 0.995
    for ours, table in zip(made.confusion.values(), confusion, strict=True):
        np.testing.assert_allclose(ours, table, atol=1e-2)
    assert made.converged
    assert made.values == (0, 1, 2, 3)


@pytest.mark.parametrize("raters", [2, 3, 4, 8])
def test_labels_and_confusion_equal_the_formulas_voxel_by_voxel(raters):
    maps = organs(raters, seed=raters)
    inside, theta = by_hand(maps)
    best = inside.max(axis=0)
    tied = ((inside >= best * (1 - 1e-9)).sum(axis=0) > 1) | (best == 0)
    made = multilabel_staple(named(maps), NAMES, VALUES, UNDECIDED)
    expected = np.where(tied, 255, inside.argmax(axis=0))
    assert np.array_equal(made.label_map.ravel(), expected)
    assert made.tied == tied.sum()
    np.testing.assert_allclose(list(made.confusion.values()), theta, atol=1e-9)
    truth = inside.sum(axis=1)
    for row in made.performance:
        table = theta[int(row.rater[1:])]
        value = VALUES[row.label]
        wrong = [table[value, c] * truth[c] for c in range(4) if c != value]
        assert row.sensitivity == pytest.approx(table[value, value], abs=1e-9)
        assert row.specificity == pytest.approx(
            1 - sum(wrong) / (truth.sum() - truth[value]), abs=1e-5
        )


def test_the_order_of_raters_and_the_size_of_chunks_do_not_matter(monkeypatch):
    readings = named(organs(4))
    whole = multilabel_staple(readings, NAMES, VALUES, STAPLE)
    monkeypatch.setattr(words, "_CHUNK_WORDS", 4)
    monkeypatch.setattr(words, "_BATCH_WORDS", 8)
    pieces = multilabel_staple(dict(reversed(readings.items())), NAMES, VALUES, STAPLE)
    assert np.array_equal(pieces.label_map, whole.label_map)
    assert list(pieces.confusion) == list(whole.confusion)
    np.testing.assert_array_equal(list(pieces.confusion.values()), list(whole.confusion.values()))


@pytest.mark.parametrize(
    ("ties", "expected"),
    [
        ("background", [1, 1, 0, 0, 0, 2]),
        ("foreground", [1, 1, 1, 1, 2, 2]),
        ("undecided", [1, 1, 255, 255, 255, 2]),
        ("rater:r00", [1, 1, 1, 1, 0, 2]),
        ("rater:r01", [1, 1, 2, 0, 2, 2]),
        ("rater:r07", [1, 1, 0, 0, 0, 2]),
    ],
)
def test_two_raters_who_differ_are_tied_and_the_rule_decides(ties, expected):
    a, b = [[[1, 1, 1, 1, 0, 2]]], [[[1, 1, 2, 0, 2, 2]]]
    made = consensus(named([a, b]), NAMES, VALUES, Consensus(method="staple", ties=ties))
    assert made.label_map.tolist() == [[expected]]
    assert made.record.tied_voxels == 3
    assert made.record.ignore_value == (255 if ties == "undecided" else None)
    assert set(np.unique(made.label_map)) <= {0, 1, 2, 255}, "no label that nobody drew"


def test_a_careful_rater_counts_more_than_two_careless_ones():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2, 3], 300)
    careless = [np.where(rng.random(1200) < 0.4, rng.integers(0, 4, 1200), truth) for _ in "ab"]
    maps = [m.astype(np.uint8).reshape(1, 30, 40) for m in (truth, truth, truth, *careless)]
    made = consensus(named(maps), NAMES, VALUES, STAPLE)
    assert np.array_equal(made.label_map, maps[0])
    best = {row.rater: row.sensitivity for row in made.record.performance if row.label == "one"}
    assert best["r00"] > 0.99
    assert best["r03"] < 0.8
    assert made.record.converged is True


def test_who_did_not_annotate_a_label_does_not_vote_it_down():
    maps = organs(5)
    partial = [np.where(m == 3, 0, m) for m in maps[2:]]
    readings = named(maps[:2])
    readings |= {f"s{n}": reading(m, names=("one", "two")) for n, m in enumerate(partial)}
    made = consensus(readings, NAMES, VALUES, STAPLE)
    agreed = (maps[0] == 3) & (maps[1] == 3)
    assert agreed.any()
    kept = made.label_map[agreed & (np.stack(partial) == 0).all(axis=0)]
    assert (kept == 3).all()
    judged = {row.rater for row in made.record.performance if row.label == "three"}
    assert judged == {"r00", "r01"}


def test_the_prior_of_a_label_is_its_mean_part_in_the_readings_that_annotate_it():
    readings = named([[[[1, 1, 3, 0]]], [[[1, 3, 3, 0]]]])
    readings |= {f"s{n}": reading([[[1, 0, 0, 0]]], names=("one",)) for n in range(2)}
    made = panel(readings, ("one", "three"), VALUES, "background")
    census = label_census(made)
    drawn = np.searchsorted([0, 1, 3], census.rows)
    prior = multilabel._prior(made, census, drawn, np.array([0, 1, 3]))
    parts = np.array([8 / 4, 5 / 4, 3 / 2])
    assert prior == pytest.approx(parts / parts.sum(), abs=1e-12)


def test_empty_readings_stay_empty_and_nothing_is_estimated_of_labels_nobody_drew():
    made = consensus(named([np.zeros((2, 3, 5))] * 3), NAMES, VALUES, STAPLE)
    assert not made.label_map.any()
    assert {row.sensitivity for row in made.record.performance} == {None}
    assert {row.specificity for row in made.record.performance} == {1.0}


def test_values_are_those_of_the_schema_whatever_the_files_say():
    maps = organs(3)
    high = {"one": 40, "two": 300, "three": 1000}
    own = {"one": 3, "two": 1, "three": 2}
    table = np.array([0, 3, 1, 2], np.uint8)
    wide = np.array([0, 40, 300, 1000], np.uint16)
    readings = {"r00": reading(maps[0]), "r01": reading(table[maps[1]], values=own)}
    readings["r02"] = reading(wide[maps[2]], values=high)
    made = multilabel_staple(readings, NAMES, high, UNDECIDED)
    plain = multilabel_staple(named(maps), NAMES, VALUES, STAPLE)
    assert made.label_map.dtype == np.uint16
    assert np.array_equal(made.label_map, wide[plain.label_map])
    assert made.values == (0, 40, 300, 1000)


def test_seventy_raters_do_not_leave_the_range_of_a_double():
    made = multilabel_staple(named(organs(70)), NAMES, VALUES, UNDECIDED)
    assert made.tied == 0
    assert np.isfinite(list(made.confusion.values())).all()
    assert made.label_map[5, 6, 3] == 1


def test_overlapping_segments_are_refused_and_a_cut_run_says_so():
    grid = Geometry((3, 1, 1))
    both = from_masks({"one": [[[1, 1, 0]]], "two": [[[0, 1, 1]]]}, grid)
    with pytest.raises(LabelError, match="exclude each other"):
        multilabel_staple({"a": both, "b": both}, ("one", "two"), VALUES, STAPLE)
    short = Consensus(method="staple", max_iterations=1)
    made = multilabel_staple(named(organs(5)), NAMES, VALUES, short)
    assert (made.iterations, made.converged) == (1, False)
