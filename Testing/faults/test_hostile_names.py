"""Whatever patients, cases and raters are called: files stay in the cohort, on any system."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from dicom_files import save, slice_dataset
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scene.case_samples import KEY, write_study

from MedPrepLib.cohort import Case, ImageSource, Patient, Scan
from MedPrepLib.errors import MedPrepError
from MedPrepLib.identity import public_names, slug
from MedPrepLib.layout import case_file_name, is_safe_name, slugs
from MedPrepLib.pipeline import order_of, run
from MedPrepLib.review.store import file_stem

NASTY = ("../../x", "..", ".", "C:\\x", "CON", "con.txt", "NUL", "a\0b", "x" * 300, "dot.", "a:b",
         "\u202egnp.exe", "e\u0301", "\u00e9", "A", "a", "/etc/passwd", "~", "$HOME", "%PATH%",
         "a\nb", " ", "-rf", "COM1.h5", "\udcff", "aux", "*?<>|\"")  # fmt: skip
TEXTS = st.one_of(st.sampled_from(NASTY), st.text(max_size=80))
WINDOWS = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


def valid_on_windows(name: str) -> bool:
    """What CreateFile takes as one part of a path."""
    odd = re.search(r'[<>:"/\\|?*\x00-\x1f]', name) or name[-1:] in {".", " ", ""}
    return not odd and not WINDOWS.fullmatch(name) and len(name) <= 200


@pytest.mark.fault("F27")
@settings(deadline=None)
@given(TEXTS)
def test_every_text_becomes_a_name_that_is_a_file_name_everywhere(text):
    for name in (slug(text), file_stem(text)):
        assert valid_on_windows(name), name
        assert name.isascii()
        assert is_safe_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", slugs([text])[text]), "a name inside a case file"


@pytest.mark.fault("F27", "F40")
@settings(deadline=None, max_examples=50)
@given(st.lists(TEXTS, min_size=2, max_size=6, unique=True))
def test_different_names_stay_different_or_are_refused(texts):
    assert len(set(slugs(texts).values())) == len(texts)
    cases = [Case(t, Patient(t, "c"), Scan(), ImageSource("file", ())) for t in texts]
    for policy in ("pseudonym", "given"):
        try:
            names = public_names(cases, KEY, policy)
        except MedPrepError:
            assert policy == "given"
            continue
        folded = {name.casefold() for name in names.cases.values()}
        assert len(folded) == len(texts)
        for name in names.cases.values():
            assert valid_on_windows(name)
            place = Path("cohort", case_file_name(name, "ab" * 32)).resolve()
            assert place.is_relative_to(Path("cohort").resolve())


@pytest.mark.fault("F27")
@settings(deadline=None)
@given(st.text(max_size=40))
def test_a_manifest_never_names_a_file_outside_its_folder(name):
    if is_safe_name(name):
        assert Path("cohort", name).resolve().is_relative_to(Path("cohort").resolve())


FILE_NAMES = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="/\0"), min_size=1, max_size=30
).filter(lambda t: t not in {".", ".."} and len(t.encode()) < 200)


@pytest.mark.fault("F27")
@settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(FILE_NAMES, FILE_NAMES, FILE_NAMES)
@example("..x", "CON", "\u202egnp")
@example("=1+1", "a:b", "a\nb")
def test_what_a_run_writes_has_safe_names_whatever_folders_are_called(
    tmp_path, center, patient, rater
):  # fmt: skip
    base = tmp_path / "study"
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir()
    study = write_study(base)
    north = base / "raw" / "north"
    (north / "p1" / "c1" / "masks" / "ana.nii.gz").rename(
        north / "p1" / "c1" / "masks" / f"{rater}.nii.gz"
    )
    (north / "p1").rename(north / patient)
    north.rename(base / "raw" / center)
    before = set(tmp_path.rglob("*"))
    run(order_of(study, workers=1), key=KEY)
    written = set(tmp_path.rglob("*")) - before
    assert written
    for path in written:
        assert path.is_relative_to(base / "cohort") or path.is_relative_to(base / "cohort-private")
        for part in path.relative_to(base).parts:
            assert valid_on_windows(part.removeprefix(".")), path
            assert part.isascii()


@pytest.mark.fault("F27")
@pytest.mark.skipif(shutil.os.name != "posix", reason="names of bytes are a POSIX matter")
def test_names_that_are_no_text_are_no_reason_to_stop(tmp_path):
    study = write_study(tmp_path)
    odd = tmp_path / "raw" / "north" / "p\udcff"
    shutil.copytree(tmp_path / "raw" / "north" / "p1", odd)
    result = run(order_of(study, workers=1), key=KEY)
    assert len(result.included) == 1
    assert "FOLDER_UNREADABLE" in {finding.code for finding in result.findings}


@pytest.mark.fault("F27")
@pytest.mark.parametrize("text", ["../../x", "CON", "a:b", "\u202egnp", "dot."])
def test_no_tag_becomes_a_file_name(tmp_path, text):
    for k in range(4):
        ds = slice_dataset(k)
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.PatientID = ds.SeriesDescription = ds.StudyDescription = text.replace("\\", "/")
        save(ds, tmp_path / "raw" / f"{k}")
    (tmp_path / "study.toml").write_text(
        'name = "s"\n[[sources]]\nkind = "dicom"\npath = "raw"\n[labels.organ]\nvalue = 1\n'
        '[screen]\nmin_slices = 2\n[screen.severity]\nNO_READING = "note"\n'
        '[privacy]\ncase_names = "given"\n'
    )
    before = set(tmp_path.rglob("*"))
    run(order_of(tmp_path / "study.toml", workers=1), key=KEY)
    for path in set(tmp_path.rglob("*")) - before:
        assert path.is_relative_to(tmp_path / "cohort") or path.is_relative_to(
            tmp_path / "cohort-private"
        )
        assert valid_on_windows(path.name.removeprefix(".")), path
