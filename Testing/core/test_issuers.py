"""A patient id with and without its issuer: one person for the split, whatever comes first."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest
from core.issued_series import STUDY, add
from core.small_studies import KEY
from hypothesis import given
from hypothesis import strategies as st

from MedPrepLib.cohort import Case, ImageSource, Patient, Scan
from MedPrepLib.config import parse_study
from MedPrepLib.identity import person, public_names
from MedPrepLib.issuers import doubtful_issuers
from MedPrepLib.load import open_cohort
from MedPrepLib.manifest import read_manifest
from MedPrepLib.pipeline import Order, Summary, run
from MedPrepLib.screen import screen_people
from MedPrepLib.split import Member, leaks


def case(case_id: str, patient: str, issuer: str = "", center: str = "north") -> Case:
    return Case(case_id, Patient(patient, center, issuer), Scan(), ImageSource("file", ("x",)))


def tied(*cases: Case) -> list[set[str]]:
    """The cases that are kept together, in sets."""
    doubts = doubtful_issuers(cases)
    keys = {doubt.key for doubt in doubts.values()}
    sets = [{item for item, doubt in doubts.items() if doubt.key == key} for key in keys]
    return sorted(sets, key=sorted)


def told(*cases: Case) -> list[tuple[str, str, str]]:
    return [(f.item, f.code, f.message) for f in screen_people(cases)]


@pytest.mark.fault("F39")
def test_an_id_without_issuer_is_the_person_with_the_only_issuer_of_that_id() -> None:
    cases = case("a", "7"), case("b", " 7 ", "H1"), case("c", "7", "H1"), case("d", "8", "H1")
    assert tied(*cases) == [{"a", "b", "c"}]
    message = "the same patient id occurs in this center without an issuer and with one"
    assert told(*cases) == [(item, "ISSUER_MISSING", message) for item in "abc"]


@pytest.mark.fault("F39")
def test_an_id_without_issuer_beside_several_issuers_is_a_question_and_keeps_all_together() -> None:
    cases = case("a", "7", "H1"), case("b", "7"), case("c", "7", "H2")
    assert tied(*cases) == [{"a", "b", "c"}]
    message = "the same patient id occurs in this center without an issuer and with 2"
    assert told(*cases) == [(item, "ISSUER_AMBIGUOUS", message) for item in "abc"]


@pytest.mark.fault("F39")
def test_two_issuers_of_one_id_are_two_people() -> None:
    assert tied(case("a", "7", "H1"), case("b", "7", "H2")) == []


def test_an_issuer_written_in_two_ways_is_one_issuer() -> None:
    cases = case("a", "7", "H1"), case("b", "7", "h1 "), case("c", "7", "H2")
    assert tied(*cases) == [{"a", "b"}]
    assert [code for _, code, _ in told(*cases)] == ["ISSUER_MISSING"] * 2


def test_other_centers_and_ids_that_identify_nobody_are_not_tied() -> None:
    assert tied(case("a", "7"), case("b", "7", "H1", "south")) == []
    assert tied(case("a", "anonymous"), case("b", "Anonymous", "H1")) == []


@given(st.permutations(range(6)))
def test_who_is_one_person_does_not_depend_on_who_comes_first(order: list[int]) -> None:
    cases = [case(f"c{n}", "7", issuer) for n, issuer in enumerate(("", "H1", "H2", "h1", "", ""))]
    turned = [cases[n] for n in order]
    assert doubtful_issuers(turned) == doubtful_issuers(cases)
    assert {f.item for f in screen_people(turned)} == {f"c{n}" for n in range(6)}


def test_public_names_do_not_change_when_the_id_arrives_with_its_issuer() -> None:
    first, later = case("a", "7"), case("b", "7", "H1")
    alone, both = (public_names(each, KEY, "pseudonym") for each in ([first], [later, first]))
    assert alone.patients == {person(first): both.patient_of(first)}
    assert public_names([later], KEY, "pseudonym").patient_of(later) == both.patient_of(later)


# --- whole runs -------------------------------------------------------------------------------
def finished(folder: Path, seed: int = 0) -> Summary:
    text = f'name = "issuers"\nseed = {seed}\n{STUDY}test_fraction = 0.4\n'
    return run(Order(parse_study(text), text, folder, folder / "cohort", workers=1), key=KEY)


def places(folder: Path, summary: Summary) -> dict[str, tuple[str, int | None]]:
    """Where the cases of every patient lie."""
    assert all(result.included for result in summary.results)
    return {c.patient: (c.split, c.fold) for c in open_cohort(folder / "cohort").cases}


def both_names(patients: int) -> dict[tuple[str, str, str], str]:
    """The public names of so many patients, without and with the issuer."""
    every = itertools.product(range(patients), ("", "H1"))
    cases = [case(f"{n}{issuer}", f"70{n}", issuer) for n, issuer in every]
    return public_names(cases, KEY, "pseudonym").patients


@pytest.mark.fault("F39")
def test_a_person_whose_id_comes_with_its_issuer_later_stays_in_one_set(tmp_path: Path) -> None:
    """Five patients have places; all of them come again, now with an issuer."""
    for patient in range(5):
        add(tmp_path, f"first{patient}", f"70{patient}")
    before = places(tmp_path, finished(tmp_path))
    for patient in range(5):
        add(tmp_path, f"second{patient}", f"70{patient}", "H1")
    summary = finished(tmp_path)
    after = places(tmp_path, summary)
    assert {patient: after[patient] for patient in before} == before
    assert len(after) == 10
    names = both_names(5)
    for patient in (f"70{n}" for n in range(5)):
        without, with_issuer = names["north", "", patient], names["north", "H1", patient]
        assert after[with_issuer] == after[without] == before[without]
    assert len({place for place in after.values() if place[0] == "test"}) == 1
    assert [f.code for f in summary.findings].count("ISSUER_MISSING") == 10
    proof = read_manifest(tmp_path / "cohort").split.leakage
    assert (proof.carriers["patient id"], proof.shared["patient id"]) == (10, 0)


def test_people_who_were_placed_apart_before_are_joined_where_training_saw_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cohort of a version that took an id without its issuer for somebody else."""
    for patient in range(4):
        add(tmp_path, f"one{patient}", f"70{patient}")
        add(tmp_path, f"two{patient}", f"70{patient}", "H1")
    with monkeypatch.context() as older:
        older.setattr("MedPrepLib.pipeline.splitwork.doubtful_issuers", lambda _: {})
        before = places(tmp_path, finished(tmp_path))
    names = both_names(4)
    summary = finished(tmp_path)
    after = places(tmp_path, summary)
    apart = 0
    for patient in (f"70{n}" for n in range(4)):
        pair = names["north", "", patient], names["north", "H1", patient]
        was = {before[name] for name in pair}
        apart += len(was) > 1
        (now,) = {after[name] for name in pair}
        assert now in was
        assert now[0] == ("train" if any(place[0] == "train" for place in was) else "test")
    assert apart
    assert [f.code for f in summary.findings].count("SPLIT_MOVED") == apart


def test_an_image_under_two_names_of_one_person_is_not_that_of_another_patient() -> None:
    apart = [Member(name, name, "north", frozenset(), pixel_hash="x") for name in ("p1", "p2")]
    assert [finding.item for finding in leaks(apart)] == ["p1", "p2"]
    assert leaks([msgspec.structs.replace(member, person="p1") for member in apart]) == ()
