"""The split: whole patients, whole centers, nobody on both sides."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from MedPrepLib.config.settings import Split
from MedPrepLib.errors import ConfigError, MedPrepError
from MedPrepLib.split import Member, Place, Record, audit, leaks, settings_digest, split


def member(
    number: int,
    center: str = "a",
    patient: str = "",
    classes: tuple[str, ...] = (),
    image: str = "",
) -> Member:
    who = patient or f"{center}-p{number:03d}"
    return Member(f"{center}-c{number:03d}", who, center, frozenset(classes), image)


def people(count: int, center: str, positive: int = 0) -> list[Member]:
    return [member(i, center, classes=("lesion",) if i < positive else ()) for i in range(count)]


def test_the_smallest_set_of_whole_centers_that_suffices_is_held_out() -> None:
    cohort = people(10, "big") + people(6, "mid") + people(4, "small")
    plan, findings = split(cohort, Split(), 0)
    assert plan.test_centers == ("small",)
    assert plan.test_patients == 4
    assert {c for c, p in plan.places.items() if p.part == "test"} == {
        m.id for m in people(4, "small")
    }
    assert not [f for f in findings if f.code == "SPLIT_UNEVEN"]


def test_centers_add_up_until_they_reach_the_fraction_of_patients() -> None:
    cohort = people(16, "a") + people(2, "b") + people(2, "c") + people(1, "d")
    plan, _ = split(cohort, Split(), 0)
    assert plan.test_patients == 5
    assert plan.test_centers == ("b", "c", "d")


def test_twenty_percent_counts_patients_not_cases() -> None:
    many_scans = [member(i, "a", patient="a-one") for i in range(50)]
    cohort = many_scans + people(7, "b") + people(1, "c")
    plan, _ = split(cohort, Split(), 0)
    # "a" has most cases but is one patient of nine; b alone would be more than half.
    assert plan.test_centers == ("a", "c")
    assert plan.test_patients / plan.patients >= 0.2


def test_a_single_center_is_split_by_class() -> None:
    plan, _ = split(people(40, "a", positive=10), Split(), 3)
    tested = [c for c, p in plan.places.items() if p.part == "test"]
    positives = [c for c in tested if int(c[-3:]) < 10]
    assert (len(tested), len(positives)) == (8, 2)
    assert plan.test_centers == ()


def test_two_equal_centers_may_be_train_and_test() -> None:
    plan, _ = split(people(5, "a") + people(5, "b"), Split(), 0)
    assert plan.test_centers == ("a",)


def test_a_center_that_is_nearly_everything_is_not_held_out() -> None:
    plan, _ = split(people(95, "a") + people(5, "b"), Split(), 0)
    assert plan.test_centers == ()
    assert plan.test_patients == 20


@pytest.mark.parametrize("word", ["Unknown", "n/a", "?", "N/A "])
def test_words_for_an_unknown_center_are_no_independent_one(word: str) -> None:
    plan, _ = split(people(12, "a") + people(4, word), Split(), 0)
    assert word not in plan.test_centers


def test_a_held_out_center_of_whom_somebody_trains_is_not_called_independent() -> None:
    cohort = people(8, "a") + people(4, "b")
    fixed = {"b-p000": Place("train", None)}
    plan, findings = split(cohort, Split(test_centers=("b",)), 0, fixed=fixed)
    assert (plan.test_centers, plan.mixed_centers) == ((), ("b",))
    assert plan.sentence == "test: 3 of 12 patients, a part of b, where others train"
    (told,) = [f for f in findings if f.code == "SPLIT_CENTER_TRAINS"]
    assert "b is held out, but 1 patients" in told.message
    record = Record("").after(plan, cohort, settings_digest(Split(test_centers=("b",)), 0))
    assert record.centers == ("b",)  # who comes later tests all the same


def test_a_test_set_chosen_by_hand_is_called_so() -> None:
    cohort = people(10, "a")
    fixed = {f"a-p{n:03d}": Place("test", None) for n in range(3)}
    assert split(cohort, Split(), 0, fixed=fixed)[0].origin == "chosen by hand"
    assert split(cohort, Split(), 0)[0].origin == "drawn at random within each class"


def test_cases_of_unknown_origin_are_no_independent_center() -> None:
    plan, _ = split(people(10, "a") + people(3, "unknown") + people(4, "b"), Split(), 0)
    assert plan.test_centers == ("b",)


def test_named_test_centers_are_obeyed_and_unknown_ones_refused() -> None:
    cohort = people(10, "a") + people(1, "b")
    plan, findings = split(cohort, Split(test_centers=("b",)), 0)
    assert plan.test_centers == ("b",)
    assert [f.code for f in findings if f.code == "SPLIT_UNEVEN"]
    with pytest.raises(ConfigError, match="no included case"):
        split(cohort, Split(test_centers=("z",)), 0)


def test_folds_are_balanced_in_size_and_class() -> None:
    plan, findings = split(people(50, "a", positive=15), Split(test_fraction=0), 1)
    sizes = Counter(p.fold for p in plan.places.values())
    assert set(sizes.values()) == {10}
    positives = Counter(p.fold for c, p in plan.places.items() if int(c[-3:]) < 15)
    assert set(positives.values()) == {3}
    assert not findings


def test_a_class_rarer_than_the_folds_is_told() -> None:
    _, findings = split(people(30, "a", positive=3), Split(test_fraction=0), 1)
    (rare,) = [f for f in findings if f.code == "RARE_CLASS"]
    assert "(3)" in rare.message


@pytest.mark.fault("F38")
def test_the_same_image_under_two_patients_keeps_them_together() -> None:
    cohort = people(30, "a")
    copy = Member("a-x", "a-stranger", "a", frozenset(), "same")
    original = Member("a-y", "a-other", "a", frozenset(), "same")
    for seed in range(20):
        plan, _ = split([*cohort, copy, original], Split(), seed)
        assert plan.places["a-x"] == plan.places["a-y"]
    found = leaks([*cohort, copy, original])
    assert {f.item for f in found} == {"a-x", "a-y"}
    assert "a-y" in next(f.message for f in found if f.item == "a-x")


@pytest.mark.fault("F38")
def test_a_copy_in_a_held_out_center_takes_its_original_along() -> None:
    cohort = [*people(10, "a"), *people(3, "b")]
    cohort += [
        Member("b-copy", "b-z", "b", frozenset(), "s"),
        Member("a-orig", "a-z", "a", frozenset(), "s"),
    ]
    plan, _ = split(cohort, Split(), 0)
    assert plan.places["b-copy"] == plan.places["a-orig"]


def test_a_linked_study_ties_patients_together() -> None:
    linked = [
        Member("x", "p1", "a", frozenset(), "", ("u",)),
        Member("y", "p2", "a", frozenset(), "", ("u",)),
    ]
    plan, _ = split([*people(20, "a"), *linked], Split(), 5)
    assert plan.places["x"] == plan.places["y"]


def test_the_audit_names_both_cases_of_a_leak() -> None:
    one, two = member(1, patient="p"), member(2, patient="p")
    places = {one.id: Place("train", 0), two.id: Place("test", None)}
    with pytest.raises(MedPrepError, match=r"a-c001.*a-c002.*patient"):
        audit([one, two], places)
    with pytest.raises(MedPrepError, match="forgot"):
        audit([one], {})


def test_an_empty_cohort_has_an_empty_split() -> None:
    plan, findings = split([], Split(), 0)
    assert plan.places == {}
    assert findings == ()


@settings(max_examples=60, deadline=None)
@given(
    patients=st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from("abc"), st.booleans(), st.integers(0, 20)),
        min_size=1,
        max_size=40,
    ),
    fraction=st.sampled_from([0.0, 0.2, 0.5]),
    folds=st.integers(2, 6),
    seed=st.integers(0, 10),
)
def test_every_case_has_one_place_and_no_patient_two_whatever_the_order(
    patients: list[tuple[int, str, bool, int]], fraction: float, folds: int, seed: int
) -> None:
    cohort = [
        Member(f"c{i}", f"{c}{p}", c, frozenset({"x"} if x else ()), f"h{h}" if h < 5 else "")
        for i, (p, c, x, h) in enumerate(patients)
    ]
    wanted = Split(test_fraction=fraction, folds=folds)
    plan, _ = split(cohort, wanted, seed)
    again, _ = split(cohort[::-1], wanted, seed)
    assert plan == again
    assert set(plan.places) == {m.id for m in cohort}
    audit(cohort, plan.places)
    assert all((p.fold is None) == (p.part == "test") for p in plan.places.values())
