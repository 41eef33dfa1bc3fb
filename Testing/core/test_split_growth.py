"""The split over time: growth, places fixed by hand, a wanted prevalence, and what is checked."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from MedPrepLib.config.settings import Split
from MedPrepLib.errors import ConfigError
from MedPrepLib.leakage import Evidence
from MedPrepLib.split import (
    Member,
    Place,
    Record,
    audit,
    read_fixed,
    settings_digest,
    split,
    splits_final,
)


def people(count: int, center: str, positive: int = 0, first: int = 0) -> list[Member]:
    return [
        Member(
            f"{center}-c{i:03d}",
            f"{center}-p{i:03d}",
            center,
            frozenset({"lesion"} if i - first < positive else ()),
        )
        for i in range(first, first + count)
    ]


def record_of(plan, cohort, seed=0) -> Record:
    digest = settings_digest(Split(), seed)
    record = Record(digest).after(plan, cohort, digest)
    return Record.parse(record.to_bytes(), "split.json")


@pytest.mark.parametrize("new", [1, 7, 40])
def test_a_cohort_that_grows_moves_nobody_and_keeps_its_proportions(new: int):
    cohort = people(50, "a", positive=15)
    plan, _ = split(cohort, Split(), 0)
    grown = [*cohort, *people(new, "a", positive=new // 3, first=500), *people(new, "0")]
    after, _ = split(grown, Split(), 0, record=record_of(plan, cohort))
    assert {c: after.places[c] for c in plan.places} == plan.places
    assert 0.2 <= after.test_patients / after.patients < 0.2 + 1.5 / len(grown)
    sizes = Counter(p.fold for p in after.places.values() if p.part == "train")
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_growth_in_small_steps_keeps_what_every_step_placed():
    cohort = people(12, "a", positive=4)
    plan, _ = split(cohort, Split(), 3)
    record = record_of(plan, cohort, seed=3)
    for step in range(12):
        cohort = [*cohort, *people(3, "a", positive=1, first=100 + 3 * step)]
        after, _ = split(cohort, Split(), 3, record=record)
        assert {c: after.places[c] for c in plan.places} == plan.places
        plan, record = after, record_of(after, cohort, seed=3)


def test_new_patients_of_a_held_out_center_test_and_others_train():
    cohort = people(10, "big") + people(6, "mid") + people(4, "small")
    plan, _ = split(cohort, Split(), 0)
    grown = [*cohort, *people(2, "small", first=50), *people(2, "big", first=50)]
    after, _ = split(grown, Split(), 0, record=record_of(plan, cohort))
    assert after.test_centers == ("small",)
    assert {after.places[f"small-c{n:03d}"].part for n in (50, 51)} == {"test"}
    assert {after.places[f"big-c{n:03d}"].part for n in (50, 51)} == {"train"}


def test_a_whole_new_center_is_held_out_too_where_the_test_set_became_too_small():
    cohort = people(10, "big") + people(6, "mid") + people(4, "small")
    plan, _ = split(cohort, Split(), 0)
    grown = [*cohort, *people(5, "new"), *people(10, "big", first=50)]
    after, findings = split(grown, Split(), 0, record=record_of(plan, cohort))
    assert after.test_centers == ("new", "small")
    assert {c: after.places[c] for c in plan.places} == plan.places
    assert "SPLIT_UNEVEN" not in {f.code for f in findings}


def test_who_left_for_a_while_comes_back_to_the_same_place():
    cohort = people(30, "a")
    plan, _ = split(cohort, Split(), 0)
    record = record_of(plan, cohort)
    fewer, _ = split(cohort[5:], Split(), 0, record=record)
    record = record.after(fewer, cohort[5:], record.settings)
    again, _ = split(cohort, Split(), 0, record=record)
    assert {c: again.places[c] for c in plan.places} == {**plan.places, **fewer.places}


def test_other_settings_draw_anew_and_say_who_changed_sides():
    cohort = people(40, "a")
    plan, _ = split(cohort, Split(), 0)
    other, findings = split(cohort, Split(), 1, record=record_of(plan, cohort))
    assert other == split(cohort, Split(), 1)[0]
    (told,) = [f for f in findings if f.code == "SPLIT_REDRAWN"]
    moved = sum(plan.places[c].part != p.part for c, p in other.places.items())
    assert told.message.startswith(f"{moved} of 40 patients")


def test_people_who_turn_out_to_be_one_are_joined_on_the_training_side():
    cohort = people(30, "a")
    plan, _ = split(cohort, Split(), 0)
    test = next(c for c, p in plan.places.items() if p.part == "test")
    train = next(c for c, p in plan.places.items() if p.part == "train")
    near = (Evidence("near-duplicate", test, train, "99 % agree"),)
    after, findings = split(cohort, Split(), 0, near=near, record=record_of(plan, cohort))
    assert after.places[test] == after.places[train] == plan.places[train]
    (told,) = [f for f in findings if f.code == "SPLIT_MOVED"]
    assert test in told.message
    assert train in told.message
    others = {c: p for c, p in plan.places.items() if c not in (test, train)}
    moved = {c for c, p in others.items() if after.places[c] != p}
    assert not moved


def test_what_a_person_fixed_stays():
    cohort = people(30, "a")
    fixed = {
        "a-p003": Place("test", None),
        "a-p004": Place("train", 2),
        "a-p005": Place("train", None),
    }
    for seed in range(10):
        plan, _ = split(cohort, Split(), seed, fixed=fixed)
        assert plan.places["a-c003"] == fixed["a-p003"]
        assert plan.places["a-c004"] == fixed["a-p004"]
        assert plan.places["a-c005"].part == "train"
        assert plan.test_patients == 6
    moved, _ = split(cohort, Split(), 0, record=record_of(plan, cohort), fixed=fixed)
    assert moved.places["a-c003"].part == "test"


def test_people_tied_together_cannot_be_fixed_apart():
    cohort = [Member("x", "p", "a", frozenset(), "h"), Member("y", "q", "a", frozenset(), "h")]
    fixed = {"p": Place("test", None), "q": Place("train", 0)}
    with pytest.raises(ConfigError, match="must stay together"):
        split([*cohort, *people(20, "a")], Split(), 0, fixed=fixed)


def test_a_list_of_fixed_places_is_read_and_its_faults_are_named_without_names(tmp_path: Path):
    path = tmp_path / "fixed_split.csv"
    path.write_text("case,patient,set,fold\nc1,,test,\n,Jane Doe,train,3\n")
    rows = read_fixed(path, 5)
    assert [(r.case, r.patient, r.place) for r in rows] == [
        ("c1", "", Place("test", None)),
        ("", "Jane Doe", Place("train", 3)),
    ]
    path.write_text("patient,set,fold\nJane Doe,tests,\nJane Doe,train,7\n,train,\n")
    with pytest.raises(ConfigError) as caught:
        read_fixed(path, 5)
    assert len(caught.value.problems) == 3
    assert "Jane" not in str(caught.value)
    assert "line 2" in caught.value.problems[0]


# --- prevalence -------------------------------------------------------------------------------
@pytest.mark.parametrize("wanted", [0.05, 0.1, 0.5])
def test_the_test_set_shows_a_class_as_often_as_wanted(wanted: float):
    cohort = people(200, "a", positive=80)
    plan, findings = split(cohort, Split(prevalence={"lesion": wanted}), 1)
    tested = [c for c, p in plan.places.items() if p.part == "test"]
    shown = sum(int(c[-3:]) < 80 for c in tested) / len(tested)
    assert len(tested) == 40
    assert shown == pytest.approx(wanted, abs=0.5 / 40)
    assert plan.prevalence["lesion"].test == pytest.approx(shown)
    assert plan.prevalence["lesion"].train == pytest.approx((80 - 40 * shown) / 160)
    assert not findings


def test_a_prevalence_out_of_reach_is_told_and_half_of_the_class_still_trains():
    cohort = people(100, "a", positive=8)
    plan, findings = split(cohort, Split(prevalence={"lesion": 0.6}), 1)
    assert [f.code for f in findings] == ["RARE_CLASS", "PREVALENCE_UNMET"]
    positives = [p.part for c, p in plan.places.items() if int(c[-3:]) < 8]
    assert positives.count("train") == 4


# --- checked, not assumed -----------------------------------------------------------------------
def test_fewer_patients_than_folds_is_told_never_an_empty_fold():
    plan, findings = split(people(4, "a"), Split(), 0)
    codes = {f.code for f in findings}
    assert "FEW_FOLDS" in codes
    folds = {p.fold for p in plan.places.values() if p.part == "train"}
    assert folds == set(range(len(folds)))


def test_patients_with_several_classes_count_for_each_and_folds_stay_even():
    rng = np.random.default_rng(5)
    cohort = [
        Member(f"c{i}", f"p{i}", "a", frozenset(x for x in "abc" if rng.random() < 0.3))
        for i in range(150)
    ]
    plan, findings = split(cohort, Split(test_fraction=0), 0)
    for name in "abc":
        shown = Counter(plan.places[m.id].fold for m in cohort if name in m.classes)
        assert max(shown.values()) - min(shown.values()) <= 3, name
    assert not [f for f in findings if f.code == "RARE_CLASS"]


def test_folds_are_as_even_as_those_of_another_tool():
    model_selection = pytest.importorskip("sklearn.model_selection")
    cohort = people(97, "a", positive=23)
    classes = np.array([int("lesion" in m.classes) for m in cohort])
    splitter = model_selection.StratifiedGroupKFold(5, shuffle=True, random_state=0)
    rounds = splitter.split(classes, classes, [m.patient for m in cohort])
    theirs = [int(classes[held].sum()) for _, held in rounds]
    plan, _ = split(cohort, Split(test_fraction=0), 0)
    ours = Counter(plan.places[m.id].fold for m in cohort if m.classes)
    assert max(ours.values()) - min(ours.values()) <= max(max(theirs) - min(theirs), 1)


def test_the_folds_are_written_as_nnunet_reads_them():
    cohort = people(20, "a")
    plan, _ = split(cohort, Split(), 0)
    rounds = json.loads(splits_final(plan.places))
    training = {c for c, p in plan.places.items() if p.part == "train"}
    assert len(rounds) == 5
    for fold, own in enumerate(rounds):
        assert set(own) == {"train", "val"}
        assert set(own["train"]) | set(own["val"]) == training
        assert {plan.places[c].fold for c in own["val"]} == {fold}
        assert not set(own["train"]) & set(own["val"])


def test_the_proof_counts_every_pair_between_the_sets():
    cohort = people(25, "a")
    plan, _ = split(cohort, Split(), 0)
    places = [plan.places[m.id] for m in cohort]
    across = sum(a != b for i, a in enumerate(places) for b in places[:i])
    assert plan.proof == audit(cohort, plan.places)
    assert (plan.proof.pairs, plan.proof.sets, plan.proof.clean) == (across, 6, True)
