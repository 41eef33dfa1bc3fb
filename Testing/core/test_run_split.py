"""The split through whole runs: places fixed by hand, taken from a manifest, strata by disease."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from core.small_studies import finished, write_study

from MedPrepLib.errors import ConfigError
from MedPrepLib.formats.files import read_volume
from MedPrepLib.load import open_cohort
from MedPrepLib.sample.niftifile import write_nifti

RANDOM = "[split]\ntest_fraction = 0.25\nfolds = 2\n"


def rows(count: int, **more: str) -> list[dict[str, str]]:
    return [{"case": f"c{n}", "patient": f"p{n}", "center": "a", **more} for n in range(count)]


def places(folder: Path, cohort: str = "cohort") -> dict[str, tuple[str, int | None]]:
    """Set and fold of every patient, by the source's own name."""
    with (folder / f"{cohort}-private" / "identities.csv").open(encoding="utf-8") as stream:
        names = {row["patient"]: row["source_patient"] for row in csv.DictReader(stream)}
    return {names[c.patient]: (c.split, c.fold) for c in open_cohort(folder / cohort).cases}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight patients of one center; nothing was run yet."""
    return write_study(tmp_path_factory.mktemp("split"), rows(8))


@pytest.fixture(scope="module")
def drawn(study: Path) -> dict[str, tuple[str, int | None]]:
    """The places that chance gives."""
    summary = finished(study, RANDOM, "drawn")
    assert len(summary.included) == 8
    return places(study, "drawn")


def test_who_is_fixed_by_hand_lies_there_and_the_others_are_drawn(study: Path, drawn):
    tests = sorted(patient for patient, place in drawn.items() if place[0] == "test")
    trains = sorted(patient for patient, place in drawn.items() if place == ("train", 0))
    assert tests
    assert trains
    lines = ["case,patient,set,fold", f",{trains[0]},test,", f"c{tests[0][1:]},,train,1"]
    (study / "fixed.csv").write_text("\n".join([*lines, ",nobody,train,"]) + "\n")
    summary = finished(study, RANDOM + 'fixed = "fixed.csv"\n', "fixed")
    found = places(study, "fixed")
    assert found[trains[0]] == ("test", None)
    assert found[tests[0]] == ("train", 1)
    assert sum(place[0] == "test" for place in found.values()) == 2
    (told,) = [f for f in summary.findings if f.code == "SPLIT_FIXED_UNKNOWN"]
    assert told.message.startswith("1 lines of fixed.csv name nobody")
    assert "nobody," not in (study / "fixed" / "manifest.json").read_text()
    folds = json.loads((study / "fixed" / "splits_final.json").read_text())
    assert len(folds) == 2


def test_a_list_fixed_by_hand_that_contradicts_itself_stops_the_run(study: Path):
    for text, said in (
        ("patient,set\np1,train\np1,test\n", "names a patient twice"),
        ("patient,set,fold\np1,test,1\n", "line 2: the test set has no folds"),
        ("patient,set,fold\np1,train,2\n", r"line 2: fold is no number of 0\.\.1"),
        ("patient,part\np1,train\n", "needs the columns case or patient; set"),
    ):
        (study / "wrong.csv").write_text(text)
        with pytest.raises(ConfigError, match=said):
            finished(study, RANDOM + 'fixed = "wrong.csv"\n', "wrong")
        assert not (study / "wrong" / "manifest.json").exists()


def test_without_its_record_a_split_is_taken_from_the_manifest(study: Path, drawn, tmp_path: Path):
    """The private folder is lost or left at another machine; a patient more comes in."""
    folder = Path(shutil.copytree(study, tmp_path / "study"))
    (folder / "drawn-private" / "split.json").unlink()
    _one_more(folder)
    finished(folder, RANDOM, "drawn")
    after = places(folder, "drawn")
    assert {patient: after[patient] for patient in drawn} == drawn
    assert len(after) == 9
    assert (folder / "drawn-private" / "split.json").is_file()


def test_the_whole_private_folder_may_be_lost(study: Path, drawn, tmp_path: Path):
    folder = Path(shutil.copytree(study, tmp_path / "study"))
    shutil.rmtree(folder / "drawn-private")
    _one_more(folder)
    finished(folder, RANDOM, "drawn")
    assert {patient: places(folder, "drawn")[patient] for patient in drawn} == drawn


def test_a_manifest_of_other_settings_tells_who_changed_sides(study: Path, drawn, tmp_path: Path):
    """Half of the patients test instead of a quarter: everything is drawn anew."""
    folder = Path(shutil.copytree(study, tmp_path / "study"))
    (folder / "drawn-private" / "split.json").unlink()
    summary = finished(folder, RANDOM.replace("0.25", "0.5"), "drawn", rebuild=True)
    now = places(folder, "drawn")
    moved = sum(now[patient][0] != place[0] for patient, place in drawn.items())
    (told,) = [f for f in summary.findings if f.code == "SPLIT_REDRAWN"]
    assert moved >= 2
    assert told.message.startswith(f"{moved} of 8 patients")


def _one_more(folder: Path) -> None:
    """A ninth patient: the readings of the second one, on an image of its own."""
    table = (folder / "cases.csv").read_text().splitlines()
    ninth = table[1].replace("c0,p0,", "c8,p8,").replace("raw/0", "raw/8")
    for path in list((folder / "raw").glob("1*")):
        shutil.copy(path, path.with_name("8" + path.name[1:]))
    # Another image than the first: a copy of it under another name is a leak, and told.
    image = read_volume(folder / "raw" / "8.nii.gz")
    changed = np.random.default_rng(88).integers(0, 500, image.array.shape).astype(np.int16)
    write_nifti(folder / "raw" / "8.nii.gz", image.with_array(changed))
    (folder / "cases.csv").write_text("\n".join([*table, ninth]) + "\n")


def test_the_disease_column_stratifies_in_place_of_labels(tmp_path: Path):
    """All show the same label; only the column tells a quarter of the patients apart."""
    ill = rows(12)
    for n, row in enumerate(ill):
        row["disease"] = "Morbus X" if n in (0, 3, 6, 9) else "none"
    folder = write_study(tmp_path, ill)
    settings = "[split]\ntest_fraction = 0.25\nfolds = 2\n"
    finished(folder, settings)
    found = places(folder)
    sick = {f"p{n}" for n in (0, 3, 6, 9)}
    parts = Counter((place, patient in sick) for patient, place in found.items())
    assert sum(place[0] == "test" for place in found.values()) == 3
    assert parts[("test", None), True] == 1
    assert [parts[("train", fold), True] for fold in (0, 1)] in ([1, 2], [2, 1])
    for path in (folder / "cohort").rglob("*"):
        if path.suffix in (".json", ".md", ".csv", ".html"):
            assert "Morbus" not in path.read_text("utf-8"), path
