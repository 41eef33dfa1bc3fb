"""A DICOM series with a missing slice: left out, accepted by a person, cut to its longest run."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from dicom_files import COLUMNS, ROWS, write_series

from MedPrepLib.command import medprep
from MedPrepLib.dicom.headers import read_header
from MedPrepLib.dicom.pixels import read_series, series_geometry
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.load import open_cohort
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.verify import verify

COUNT = 20
NOTE = "both kidneys lie above the gap"
STUDY = """
name = "gap"
[[sources]]
kind = "folders"
path = "raw"
[labels.kidney]
value = 2
[split]
test_fraction = 0
[privacy]
case_names = "given"
[screen.severity]
SLICES_TRUNCATED = "note"
[report]
pictures = false
"""
RUNS = {"below": (14, range(14)), "above": (5, range(6, COUNT))}
"""The missing slice, and the longest run that is left; a mask lies on all slices."""


@pytest.fixture(params=RUNS)
def gap(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, range]:
    """A study of one series with a gap, and masks of two raters drawn on all of its slices."""
    missing, run = RUNS[request.param]
    case = tmp_path / "raw" / "north" / "p1" / "c1"
    write_series(case / "image", COUNT, skip=(missing,))
    whole = tmp_path / "whole"
    grid = series_geometry([read_header(path) for path in write_series(whole, COUNT)])
    (case / "masks").mkdir()
    for rater, wide in (("ana", 9), ("ben", 10)):
        write_nifti(case / "masks" / f"{rater}.nii.gz", Volume(drawn(wide, run), grid))
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path, run


def drawn(wide: int, run: range) -> np.ndarray:
    """Less than a third of what is drawn lies in the run that will be used."""
    mask = np.zeros((COUNT, ROWS, COLUMNS), np.uint8)
    mask[:, 2:4, 3:5] = 2
    mask[run.start + 1, 2:10, 3:wide] = 2
    for lost in set(range(COUNT)) - set(run):
        mask[lost, 2:10, 3:wide] = 2
    return mask


def answer(*words: object, key: Path) -> Result:
    env = {"MEDPREP_KEY_FILE": str(key / "site.key")}
    return CliRunner().invoke(
        medprep, [*map(str, words)], catch_exceptions=False, standalone_mode=False, env=env
    )


def summary_of(folder: Path) -> dict:
    done = answer("run", folder / "study.toml", "--json", "--workers", 1, key=folder)
    return json.loads(done.stdout)


def codes_of(summary: dict, item: str = "north_p1_c1") -> dict[str, str]:
    found = [f for f in summary["findings"] if f["item"].startswith(item)]
    return {f["code"]: f["severity"] for f in found}


def test_an_accepted_gap_brings_the_longest_run_into_the_next_cohort(gap, tmp_path: Path):
    folder, run = gap
    first = summary_of(folder)
    assert (first["included"], first["excluded"]) == (0, 1)
    listed = answer("quarantine", folder / "study.toml", key=folder).stdout
    assert "SLICE_GAP: 1 case" in listed
    assert f"accepting it means to use slices {as_listed(run)}" in listed
    accepted = answer(
        "readmit", folder / "study.toml", "north_p1_c1", "--code", "SLICE_GAP", "--by", "ana",
        "--note", NOTE, key=folder,
    )  # fmt: skip
    assert "is re-admitted in spite of SLICE_GAP" in accepted.stdout

    second = summary_of(folder)
    assert (second["included"], second["excluded"]) == (1, 0), second["findings"]
    codes = codes_of(second)
    assert (codes["SLICE_GAP"], codes["READMITTED"]) == ("note", "note")
    assert codes["MASK_OUTSIDE"] == "review"
    page = html.unescape((folder / "cohort" / "report" / "index.html").read_text("utf-8"))
    assert NOTE in page
    card = (folder / "cohort" / "README.md").read_text("utf-8")
    assert "`READMITTED` 1" in card
    assert "`SLICE_GAP` 1" in card
    assert verify(folder / "cohort") == ()

    cohort = open_cohort(folder / "cohort")
    (entry,) = cohort.cases
    case = cohort.read(entry.id)
    truth = whole_series(folder / "whole")
    np.testing.assert_array_equal(case.image, truth.array[run.start : run.stop])
    kept = truth.geometry.cropped((0, 0, run.start), (COLUMNS, ROWS, len(run)))
    assert case.geometry.displacement_mm(kept) < 1e-3
    for rater, wide in (("ana", 9), ("ben", 10)):
        (layer,) = case.readings[rater].layers
        np.testing.assert_array_equal(layer, drawn(wide, run)[run.start : run.stop])
    np.testing.assert_array_equal(
        case.mask, drawn(9, run)[run.start : run.stop]
    )  # ties: background


def as_listed(run: range) -> str:
    """As people count: from 1, among the slices that are there."""
    if run.start == 0:
        return f"1 to {run.stop} of {COUNT - 1}"
    return f"{run.start} to {run.stop - 1} of {COUNT - 1}"


def whole_series(folder: Path) -> Volume:
    """All slices as SimpleITK reads them, in order of their position."""
    import SimpleITK as sitk

    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = sitk.ReadImage(names)
    volume = read_series([read_header(name) for name in names]).volume
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.array)
    grid = Geometry(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    assert grid.displacement_mm(volume.geometry) < 1e-3
    return volume


@pytest.mark.parametrize("gap", ["above"], indirect=True)
def test_slice_labels_of_a_cut_series_are_not_guessed_at(gap):
    folder, _ = gap
    masks = folder / "raw" / "north" / "p1" / "c1" / "masks"
    (masks / "eva.slices.csv").write_text("label,start,stop\nkidney,0,3\n")
    text = STUDY.replace(
        'SLICES_TRUNCATED = "note"', 'SLICES_TRUNCATED = "note"\nSLICE_GAP = "off"'
    )
    (folder / "study.toml").write_text(text, encoding="utf-8")
    summary = summary_of(folder)
    assert summary["included"] == 1
    told = [f for f in summary["findings"] if f["code"] == "SLICES_UNPLACED"]
    assert [f["item"] for f in told] == ["north_p1_c1/eva"]
    case = open_cohort(folder / "cohort").read("north_p1_c1")
    # What is left are the masks' own slices, in the numbers of the run.
    assert case.slices.tolist() == [[2, 0, case.image.shape[0]]]
