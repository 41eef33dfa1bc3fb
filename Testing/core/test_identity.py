"""Names that may leave the site."""

from __future__ import annotations

import os

import pytest

from MedPrepLib.cohort import Case, ImageSource, Patient, Scan
from MedPrepLib.errors import MedPrepError, RunError
from MedPrepLib.identity import SiteKey, load_site_key, normalized_id, person, public_names, slug

KEY = SiteKey(bytes(range(32)))


def case(case_id: str, patient: str, center: str = "north", issuer: str = "") -> Case:
    return Case(case_id, Patient(patient, center, issuer), Scan(), ImageSource("file", ("x",)))


@pytest.mark.fault("F39")
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("0012", "a"), ("0012", "a"), True),
        (("0012", "a"), (" 0012 ", "a"), True),
        (("lc 12", "a"), ("LC  12", "a"), True),
        (("0012", "a"), ("12", "a"), False),
        (("0012", "a"), ("0012", "b"), False),
        (("LC-1", "a"), ("LC_1", "a"), False),
        (("Müller7", "a"), ("MU\u0308LLER7", "a"), True),
        (("\uff14\uff12", "a"), ("42", "a"), True),
        (("12", "a"), ("12\u00a0", "a"), True),
        (("1 2", "a"), ("12", "a"), False),
        (("12.0", "a"), ("12", "a"), False),
        (("X12", "a"), ("x12", "a"), True),
        (("0012", "a"), ("0012", ""), False),
        (("", "a"), ("", "a"), False),
        ((" \t", "a"), ("", "a"), False),
        (("ANON", "a"), ("anon", "a"), False),
        (("0000", "a"), ("0000", "a"), False),
        (("0" * 20, "a"), ("0" * 20, "a"), False),
        (("Removed", "a"), ("Removed", "a"), False),
        (("XXXXXX", "a"), ("XXXXXX", "a"), False),
        (("---", "a"), ("---", "a"), False),
        (("No ID", "a"), ("no  id", "a"), False),
        (("Anonymous", "a"), ("Anonymous", "b"), False),
        (("anonymous-7", "a"), ("ANONYMOUS-7", "a"), True),
    ],
)
def test_who_is_the_same_person(one: tuple[str, str], other: tuple[str, str], same: bool) -> None:
    assert (person(case("c1", *one)) == person(case("c2", *other))) is same


@pytest.mark.fault("F39")
def test_the_issuer_tells_equal_ids_apart() -> None:
    assert person(case("c1", "7", issuer="H1")) != person(case("c2", "7", issuer="H2"))


@pytest.mark.fault("F48")
def test_pseudonyms_hide_the_id_and_depend_on_the_key() -> None:
    names = public_names([case("c1", "MUSTERMANN"), case("c2", "MUSTERMANN")], KEY, "pseudonym")
    (patient,) = set(names.patients.values())
    assert len(patient) == 12
    assert "muster" not in patient
    other = public_names([case("c1", "MUSTERMANN")], SiteKey(bytes(32)), "pseudonym")
    assert other.patients != names.patients
    assert len(set(names.cases.values())) == 2


@pytest.mark.fault("F27", "F40")
def test_given_names_that_would_collide_on_disk_are_refused() -> None:
    with pytest.raises(MedPrepError, match="rename"):
        public_names([case("A", "1"), case("a", "2")], KEY, "given")


@pytest.mark.fault("F27")
@pytest.mark.parametrize(
    "name", ["../../etc", "C:\\x", "CON", "nul.txt", "a" * 300, "Ü ä", "a:b", ".", "", "\u202eabc"]
)
def test_slugs_are_safe_file_names_everywhere(name: str) -> None:
    safe = slug(name)
    assert 0 < len(safe) <= 64
    assert set(safe) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert safe.split(".")[0].upper() not in ("CON", "NUL")
    assert not safe.startswith(".")


@pytest.mark.fault("F27")
def test_names_that_lose_something_stay_distinct() -> None:
    assert slug("a:b") != slug("a?b")


@pytest.mark.fault("F49")
def test_the_key_is_made_once_and_for_its_owner_only(tmp_path, monkeypatch) -> None:
    path = tmp_path / "sub" / "site.key"
    monkeypatch.setenv("MEDPREP_KEY_FILE", str(path))
    first = load_site_key()
    assert load_site_key() == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert first.secret.hex() not in repr(first)
    assert len(first.key_id) == 8


@pytest.mark.skipif(os.name != "posix", reason="file modes are a POSIX matter")
@pytest.mark.fault("F49")
def test_a_key_that_others_can_read_is_refused(tmp_path) -> None:
    path = tmp_path / "site.key"
    path.write_bytes(bytes(32))
    path.chmod(0o644)
    with pytest.raises(RunError, match="chmod 600"):
        load_site_key(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(RunError, match="5 bytes"):
        load_site_key(path)


@pytest.mark.fault("F39")
def test_leading_zeros_are_part_of_an_id() -> None:
    assert normalized_id("007") == "007"
