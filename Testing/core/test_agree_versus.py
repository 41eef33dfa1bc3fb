"""Raters against the consensus or against one of themselves; repeated readings have one voice."""

from __future__ import annotations

import numpy as np
import pytest

from MedPrepLib.agree import (
    against_consensus,
    against_reference,
    agree,
    first_readings,
    judge,
    judge_against,
)
from MedPrepLib.config.settings import Agree
from MedPrepLib.errors import LabelError
from MedPrepLib.geometry import Geometry
from MedPrepLib.segmentation import Segment, Segmentation

GRID = Geometry((10, 1, 1))


def reading(*voxels: int, value: int = 4) -> Segmentation:
    labels = np.zeros((1, 1, 10), np.uint8)
    labels[0, 0, list(voxels)] = value
    return Segmentation((labels,), GRID, (Segment("tumor", value),))


def test_every_rater_is_compared_with_the_consensus() -> None:
    label_map = reading(0, 1, 2, 3).layers[0]
    readings = {"ben": reading(0, 1, 2, 3), "zoe": reading(3, 4), "ana": reading()}
    rows = against_consensus(readings, label_map, {"tumor": 4})
    assert [(r.rater_a, r.rater_b, r.dice) for r in rows] == [
        ("ana", "consensus", 0.0),
        ("ben", "consensus", 1.0),
        ("zoe", "consensus", pytest.approx(1 / 3)),
    ]
    assert (rows[2].voxels_a, rows[2].voxels_b) == (2, 4)


def test_undecided_voxels_belong_to_no_label() -> None:
    label_map = reading(0, 1).layers[0].copy()
    label_map[0, 0, 5:] = 255
    (row,) = against_consensus({"ana": reading(0, 1, 5)}, label_map, {"tumor": 4})
    assert row.voxels_b == 2


def test_the_rule_consensus_names_the_farthest_rater_and_silences_the_pairs() -> None:
    readings = {"ana": reading(0, 1, 2), "ben": reading(0, 1, 2), "zoe": reading(8)}
    rows = against_consensus(readings, readings["ana"].layers[0], {"tumor": 4})
    settings = Agree(rule="consensus")
    (finding,) = judge_against(rows, settings, "case")
    assert "zoe" in finding.message
    assert "0.000" in finding.message
    assert judge(agree(readings, ["tumor"]), settings, "case") == ()
    assert judge_against(rows, Agree(), "case") == ()


def test_exactly_the_threshold_passes() -> None:
    # Dice 2*7/(10+10) would be 0.7 exactly: 7 of 10 in common, both 10 large.
    grid = Geometry((20, 1, 1))
    labels = np.zeros((2, 1, 1, 20), np.uint8)
    labels[0, ..., :10] = 4
    labels[1, ..., 3:13] = 4
    one, other = (Segmentation((x,), grid, (Segment("tumor", 4),)) for x in labels)
    rows = against_consensus({"ana": one}, other.layers[0], {"tumor": 4})
    assert rows[0].dice == 0.7
    assert judge_against(rows, Agree(rule="consensus", threshold=0.7), "c") == ()


def test_a_rater_called_consensus_is_refused() -> None:
    with pytest.raises(LabelError, match="rename"):
        against_consensus({"consensus": reading(1)}, reading(1).layers[0], {"tumor": 4})


def test_a_person_has_one_voice_however_often_they_read() -> None:
    readings = {"ana@2": reading(1), "ana": reading(2), "ben@3": reading(3), "ben@1": reading(4)}
    assert list(first_readings(readings)) == ["ana", "ben@1"]


def test_sensitivity_and_precision_against_a_named_reference() -> None:
    readings = {"gold": reading(0, 1, 2, 3), "ana": reading(2, 3, 4), "ben": reading()}
    rows = against_reference(agree(readings, ["tumor"]).pairs, "gold")
    found = {row.rater: (row.sensitivity, row.precision) for row in rows}
    assert found == {"ana": (0.5, pytest.approx(2 / 3)), "ben": (0.0, None)}


def test_sensitivity_equals_scikit_learns_recall() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    one, other = reading(0, 1, 2, 5, 7), reading(1, 2, 3, 7)
    (row,) = against_reference(agree({"a": one, "b": other}, ["tumor"]).pairs, "a")
    truth, guess = one.mask("tumor").ravel(), other.mask("tumor").ravel()
    assert row.sensitivity == pytest.approx(metrics.recall_score(truth, guess))
    assert row.precision == pytest.approx(metrics.precision_score(truth, guess))


def test_an_unknown_reference_is_named_with_those_there_are() -> None:
    with pytest.raises(LabelError, match="ana, ben"):
        against_reference(agree({"ana": reading(), "ben": reading()}, ["tumor"]).pairs, "gold")
