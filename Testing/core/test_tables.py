"""Agreement tables: what stands in a row, who differs from the others, and what a file may hold."""

from __future__ import annotations

import csv
import json
import math
import statistics

import msgspec
import numpy as np
import pytest

from MedPrepLib.agree import agree
from MedPrepLib.catalog import NO_READING
from MedPrepLib.errors import RunError
from MedPrepLib.geometry import Geometry
from MedPrepLib.report.summary import raters_of
from MedPrepLib.results import CaseResult, GridVerdict, ReadingResult
from MedPrepLib.segmentation import Segment, Segmentation
from MedPrepLib.tables import (
    AgreementRow,
    RaterRow,
    agreement_rows,
    no_formula,
    rater_summary,
    write_csv,
    write_json,
)

GRID = Geometry((10, 10, 10), (0.5, 2.0, 5.0))  # a voxel is 5 mm3
LABELS = ("organ", "tumor")
SAME = GridVerdict("same", 0, "", "")


def reading(counts):
    """The first ``n`` voxels after an offset, per label: {label: (offset, n)}."""
    array = np.zeros(1000, np.uint8)
    for value, label in enumerate(LABELS, start=1):
        offset, count = counts.get(label, (0, 0))
        array[offset : offset + count] = value
    segments = tuple(Segment(n, v) for v, n in enumerate(LABELS, start=1) if n in counts)
    return Segmentation((array.reshape(10, 10, 10),), GRID, segments)


def case(name, readings, findings=(), geometry=GRID, center="north"):
    drawn = {rater: reading(counts) for rater, counts in readings.items()}
    found = tuple(
        ReadingResult(r, SAME, {n: int(s.mask(n).sum()) for n in s.names}, "")
        for r, s in drawn.items()
    )
    return CaseResult(
        id=name,
        patient="p",
        center=center,
        modality="CT",
        device="",
        sex="F",
        age_years=None,
        findings=findings,
        geometry=geometry,
        readings=found,
        agreement=agree(drawn, LABELS) if len(drawn) > 1 else None,
    )


def test_a_row_holds_dice_jaccard_and_volumes_in_milliliters():
    result = case("c1", {"a": {"organ": (0, 100)}, "b": {"organ": (50, 150)}})
    row = agreement_rows([result], {"c1": "test"})[0]
    assert (row.case, row.center, row.set, row.included) == ("c1", "north", "test", True)
    assert (row.label, row.rater_a, row.rater_b, row.outcome) == ("organ", "a", "b", "measured")
    assert row.dice == 2 * 50 / 250
    assert row.jaccard == pytest.approx(50 / 200)
    assert (row.volume_a_ml, row.volume_b_ml) == (0.5, 0.75)
    assert row.volume_difference_percent == pytest.approx(100 * 0.25 / 0.625)


@pytest.mark.parametrize(("offset", "count"), [(0, 7), (3, 20), (90, 30), (0, 100)])
def test_jaccard_equals_scikit_learn(offset, count):
    from sklearn.metrics import jaccard_score

    drawn = {"a": {"organ": (0, 100)}, "b": {"organ": (offset, count)}}
    row = agreement_rows([case("c1", drawn)])[0]
    masks = [reading(counts).mask("organ").ravel() for counts in drawn.values()]
    assert row.jaccard == pytest.approx(jaccard_score(*masks))


def test_undefined_values_are_none_and_outcomes_stay_apart():
    readings = {
        "a": {"organ": (0, 10), "tumor": (20, 0)},
        "b": {"organ": (0, 0), "tumor": (20, 0)},
        "c": {"organ": (0, 10)},
    }
    rows = {(r.label, r.rater_a, r.rater_b): r for r in agreement_rows([case("c1", readings)])}
    both = rows["tumor", "a", "b"]
    assert (both.outcome, both.dice, both.jaccard) == ("both empty", None, None)
    assert (both.volume_a_ml, both.volume_difference_percent) == (0, None)
    one = rows["organ", "a", "b"]
    assert (one.dice, one.jaccard, one.volume_difference_percent) == (0, 0, -200)
    none = rows["tumor", "b", "c"]
    assert (none.outcome, none.dice, none.volume_a_ml, none.volume_b_ml) == (
        "not annotated",
        None,
        0,
        None,
    )


def test_rows_come_in_order_of_case_label_and_rater_whatever_the_input_order():
    cases = [case(n, {r: {"organ": (0, 9)} for r in "cab"}) for n in ("c2", "c10", "c1")]
    rows = agreement_rows(cases)
    assert rows == agreement_rows(cases[::-1])
    assert [r.case for r in rows] == sorted(r.case for r in rows)
    assert [(r.label, r.rater_a, r.rater_b) for r in rows[:4]] == [
        ("organ", "a", "b"),
        ("organ", "a", "c"),
        ("organ", "b", "c"),
        ("tumor", "a", "b"),
    ]


def test_cases_left_out_are_listed_as_such_and_single_readings_are_not_compared():
    readings = {"a": {"organ": (0, 9)}, "b": {"organ": (0, 9)}}
    rejected = case("c1", readings, (NO_READING.at("c1", "x"),))
    rows = agreement_rows([rejected, case("c2", {"a": readings["a"]})])
    assert {(r.case, r.included) for r in rows} == {("c1", False)}


def test_without_a_grid_there_are_no_volumes():
    result = case("c1", {r: {"organ": (0, 9)} for r in "ab"}, geometry=None)
    assert agreement_rows([result])[0].volume_a_ml is None


# --- raters ---------------------------------------------------------------------------------


def three_raters():
    """c draws twice as much as the others, half of it elsewhere."""
    return [
        case(f"c{n}", {
            "a": {"organ": (0, 100 + n)}, "b": {"organ": (0, 104)}, "c": {"organ": (0, 208)}
        })
        for n in range(5)
    ]  # fmt: skip


def test_the_rater_who_differs_from_the_others_is_found_with_gap_and_bias():
    rows = agreement_rows(three_raters())
    summary = {r.rater: r for r in rater_summary(rows, 0.7) if r.label == "organ"}
    odd = summary["c"]
    values = [r.dice for r in rows if r.label == "organ" and "c" in (r.rater_a, r.rater_b)]
    others = [r.dice for r in rows if r.label == "organ" and "c" not in (r.rater_a, r.rater_b)]
    assert (odd.cases, odd.pairs, odd.lowest) == (5, 10, True)
    assert odd.median_dice == statistics.median(values)
    assert odd.mean_dice == pytest.approx(np.mean(values))
    assert odd.below == sum(v < 0.7 for v in values) == 10
    assert odd.others_median_dice == statistics.median(others)
    assert odd.gap == statistics.median(others) - statistics.median(values) > 0.25
    assert odd.volume_bias_percent == pytest.approx(200 / 3, abs=2)
    assert summary["b"].volume_bias_percent < 0
    assert not summary["a"].lowest
    assert not summary["b"].lowest


def test_of_two_raters_nobody_is_the_odd_one():
    rows = agreement_rows([case("c1", {"a": {"organ": (0, 9)}, "b": {"organ": (5, 9)}})])
    for row in rater_summary(rows, 0.7):
        assert (row.lowest, row.others_median_dice, row.gap) == (False, None, None)


def test_undefined_pairs_are_counted_and_left_out_of_means():
    rows = agreement_rows([
        case("c1", {"a": {"organ": (0, 0)}, "b": {"organ": (0, 0)}}),
        case("c2", {"a": {"organ": (0, 8)}, "b": {"organ": (0, 8)}}),
        case("c3", {"a": {"organ": (0, 8)}, "b": {"tumor": (0, 8)}}),
    ])  # fmt: skip
    row = next(r for r in rater_summary(rows, 0.7) if (r.label, r.rater) == ("organ", "a"))
    assert (row.cases, row.pairs, row.both_empty, row.not_annotated) == (1, 1, 1, 1)
    assert (row.mean_dice, row.below) == (1.0, 0)


def test_exactly_the_threshold_is_not_below_it():
    rows = agreement_rows([case("c1", {"a": {"organ": (0, 10)}, "b": {"organ": (3, 10)}})])
    assert rows[0].dice == 0.7
    assert rater_summary(rows, 0.7)[0].below == 0
    assert rater_summary(rows, math.nextafter(0.7, 1))[0].below == 1


# --- files ----------------------------------------------------------------------------------


class Odd(msgspec.Struct, frozen=True):
    text: str
    number: float | None
    flag: bool = True


@pytest.mark.fault("F30")
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_text_is_never_a_formula_and_a_number_stays_a_number(tmp_path, start):
    write_csv(tmp_path / "t.csv", [Odd(f"{start}1+1", -2.5)])
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as stream:
        header, row = csv.reader(stream)
    assert header == ["text", "number", "flag"]
    assert row == [f"'{start}1+1", "-2.5", "true"]
    assert no_formula("a=1") == "a=1"


def test_undefined_values_are_empty_cells_and_nulls(tmp_path):
    rows = [Odd("a", None), Odd("b", math.nan), Odd("c", math.inf), Odd("d", 0.0)]
    write_csv(tmp_path / "t.csv", rows)
    write_json(tmp_path / "t.json", rows)
    lines = (tmp_path / "t.csv").read_text("utf-8").splitlines()
    assert lines[1:] == ['"a","","true"', '"b","","true"', '"c","","true"', '"d","0.0","true"']
    tree = json.loads((tmp_path / "t.json").read_text("utf-8"))
    assert [r["number"] for r in tree] == [None, None, None, 0.0]


@pytest.mark.fault("F30")
def test_numbers_come_back_exactly_from_both_files(tmp_path):
    rows = agreement_rows(three_raters())
    write_csv(tmp_path / "t.csv", rows)
    write_json(tmp_path / "t.json", rows)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as stream:
        cells = [float(r["dice"]) if r["dice"] else None for r in csv.DictReader(stream)]
    assert cells == [r.dice for r in rows]
    assert msgspec.json.decode((tmp_path / "t.json").read_bytes(), type=list[AgreementRow]) == [
        *rows
    ]


def test_the_same_rows_give_the_same_bytes(tmp_path):
    cases = three_raters()
    write_csv(tmp_path / "a.csv", rater_summary(agreement_rows(cases), 0.7))
    write_csv(tmp_path / "b.csv", rater_summary(agreement_rows(cases[::-1]), 0.7))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_table_without_rows_has_its_header(tmp_path):
    write_csv(tmp_path / "t.csv", (), RaterRow)
    assert (tmp_path / "t.csv").read_text("utf-8").startswith('"label","rater","cases"')
    write_json(tmp_path / "t.json", ())
    assert json.loads((tmp_path / "t.json").read_text("utf-8")) == []
    with pytest.raises(RunError, match="without rows"):
        write_csv(tmp_path / "u.csv", ())


def test_a_person_has_one_row_however_often_they_read():
    once = {"ana": {"organ": (0, 100)}, "ben": {"organ": (0, 104)}}
    twice = once | {"ana@2": {"organ": (60, 100)}}
    rows = agreement_rows([case("c1", twice), case("c2", twice), case("c3", once)])
    summary = {row.rater: row for row in rater_summary(rows, 0.7) if row.label == "organ"}
    assert set(summary) == {"ana", "ben"}
    assert summary["ana"].pairs == summary["ben"].pairs == 3
    assert summary["ana"].median_dice == 200 / 204
    assert not summary["ben"].lowest


def test_a_person_who_gave_all_readings_numbers_goes_by_their_name():
    readings = {"ana@2": {"organ": (0, 100)}, "ana@3": {"organ": (9, 9)}, "b": {"organ": (0, 100)}}
    rows = rater_summary(agreement_rows([case("c1", readings)]), 0.7)
    assert [(row.rater, row.mean_dice) for row in rows if row.pairs] == [("ana", 1.0), ("b", 1.0)]


def test_people_are_counted_and_not_their_readings():
    readings = {name: {"organ": (0, 9)} for name in ("ana", "ana@2", "ben@1")}
    assert raters_of([case("c1", readings)]) == ("ana", "ben")
