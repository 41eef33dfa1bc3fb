"""nnU-Net raw folders as a source: what labels are called, and which files are images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core.case_folders import posix

from MedPrepLib.config import parse_study
from MedPrepLib.errors import ConfigError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.masks import load_reading
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.scan import Candidate, scan

GRID = Geometry((6, 5, 4))
STUDY = 'name = "x"\n[[sources]]\nkind = "nnunet"\npath = "raw"\nmodality = "CT"\n'
SWAPPED = "[labels.tumor]\nvalue = 1\n[labels.liver]\nvalue = 2\n"
"""A schema that numbers its labels the other way round than the data set."""

V2 = {"background": 0, "liver": 1, "tumor": 2}
V1 = {"0": "background", "1": "liver", "2": "tumor"}


def data_set(folder: Path, labels: dict, *names: str) -> None:
    """A raw data set whose label maps show 8 voxels of 1 and 4 of 2."""
    drawn = np.zeros(GRID.shape, np.int16)
    drawn.reshape(-1)[:12] = [1] * 8 + [2] * 4
    for name in names:
        image = folder / f"raw/imagesTr/{name}.nii.gz"
        image.parent.mkdir(parents=True, exist_ok=True)
        write_nifti(image, Volume(drawn * 100, GRID))
        label = folder / f"raw/labelsTr/{name.rpartition('_')[0]}.nii.gz"
        label.parent.mkdir(parents=True, exist_ok=True)
        write_nifti(label, Volume(drawn, GRID))
    (folder / "raw/dataset.json").write_text(json.dumps({"labels": labels}))


def found(folder: Path, rules: str = "") -> tuple[Candidate, ...]:
    return scan(parse_study(STUDY + rules + SWAPPED), folder).candidates


def seen(folder: Path) -> tuple[Any, ...]:
    """The candidates, and the findings about the source."""
    scanned = scan(parse_study(STUDY + SWAPPED), folder)
    return (*scanned.candidates, *scanned.findings)


@pytest.mark.parametrize("labels", [V2, V1, {"liver": "1", "tumor": "2"}], ids=["v2", "v1", "text"])
def test_labels_are_matched_by_name_in_the_words_of_every_version(tmp_path, labels: dict) -> None:
    data_set(tmp_path, labels, "la_001_0000")
    (one,) = found(tmp_path)
    schema = parse_study(STUDY + SWAPPED).schema()
    loaded = load_reading(one.case.readings[0], GRID, schema, "x")
    (drawn,) = loaded.segmentations
    voxels = {name: int(drawn.mask(name).sum()) for name in drawn.names}
    assert voxels == {"liver": 8, "tumor": 4}
    assert loaded.findings == ()


@pytest.mark.parametrize(
    ("labels", "word"),
    [
        ({}, "names no label"),
        ({"background": 0}, "names no label"),
        ({"whole": [1, 2], "core": [2]}, "no regions"),
        ({"liver": True, "tumor": -1, "other": 70_000, "text": "one"}, "names no label"),
        ({"liver": 1, "tumor": 1}, "share a number"),
    ],
)
def test_labels_that_say_nothing_stop_before_any_work(tmp_path, labels: dict, word: str) -> None:
    data_set(tmp_path, labels, "la_001_0000")
    with pytest.raises(ConfigError, match=word):
        found(tmp_path)


def test_the_values_of_a_rule_win_over_those_of_the_data_set(tmp_path) -> None:
    data_set(tmp_path, V2, "la_001_0000")
    (one,) = found(tmp_path, "[sources.annotations.reference]\nvalues = { 1 = 'tumor' }\n")
    assert one.case.readings[0].parts[0].values == ((1, "tumor"),)


def test_ids_with_zeros_are_ids_and_other_channels_are_no_cases(tmp_path) -> None:
    ids = ["BraTS2021_00000", "BraTS2021_00001", "liver_0000", "x_00001"]
    data_set(tmp_path, V2, *(f"{name}_{channel:04d}" for name in ids for channel in range(4)))
    cases = [one.case for one in found(tmp_path)]
    assert [case.id for case in cases] == ids
    for case in cases:
        assert Path(case.image.paths[0]).name == f"{case.id}_0000.nii.gz"
        assert Path(case.readings[0].parts[0].path).name == f"{case.id}.nii.gz"


# --- the Medical Segmentation Decathlon -------------------------------------------------------


def drop_numbers(folder: Path) -> None:
    for path in (folder / "raw/imagesTr").iterdir():
        path.rename(path.with_name(path.name.replace("_0000.", ".")))


def test_images_without_a_channel_number_are_those_of_the_decathlon(tmp_path) -> None:
    names = ["la_003", "la_004", "case_0000", "case_0001"]
    data_set(tmp_path, V1, *(f"{name}_0000" for name in names))
    drop_numbers(tmp_path)
    (tmp_path / "raw/imagesTr/._la_003.nii.gz").write_bytes(b"of a Mac")
    cases = [one.case for one in found(tmp_path)]
    assert [case.id for case in cases] == sorted(names)
    for case in cases:
        assert Path(case.image.paths[0]).name == f"{case.id}.nii.gz"
        assert Path(case.readings[0].parts[0].path).name == f"{case.id}.nii.gz"
        assert case.readings[0].parts[0].values == ((1, "liver"), (2, "tumor"))


def test_images_of_the_decathlon_without_label_maps_are_cases_as_well(tmp_path) -> None:
    data_set(tmp_path, V1, "la_003_0000", "la_004_0000")
    drop_numbers(tmp_path)
    shutil.rmtree(tmp_path / "raw/labelsTr")
    assert [one.case.id for one in found(tmp_path)] == ["la_003", "la_004"]


def test_images_without_a_number_among_numbered_ones_are_counted(tmp_path) -> None:
    data_set(tmp_path, V2, "a_0000", "a_0001", "b_0000")
    (tmp_path / "raw/imagesTr/b_0000.nii.gz").rename(tmp_path / "raw/imagesTr/b.nii.gz")
    one, lone, unnumbered = seen(tmp_path)
    assert one.case.id == "a"
    assert unnumbered.code == "FILE_IGNORED"
    assert "1 image of imagesTr has no number of a channel" in unnumbered.message
    assert (lone.code, lone.item) == ("MASK_UNMATCHED", "source 1")
    assert '1 of 2 label maps match no image: "b"' in lone.message
    assert '"b"' not in lone.public().message


def test_an_empty_data_set_tells_what_images_would_be_called(tmp_path) -> None:
    data_set(tmp_path, V2, "a_0001")
    _, empty = seen(tmp_path)
    assert empty.code == "SOURCE_EMPTY"
    assert "imagesTr, called <case>_0000" in empty.message
    assert "Decathlon" in empty.message


def test_two_images_that_differ_by_their_ending_are_a_question(tmp_path) -> None:
    data_set(tmp_path, V2, "a_0000")
    images = tmp_path / "raw/imagesTr"
    write_nifti(images / "a_0000.nii", Volume(np.zeros(GRID.shape, np.int16), GRID))
    (one,) = found(tmp_path)
    assert [f.code for f in one.findings] == ["AMBIGUOUS_IMAGE"]
    (images / "a_0000.nii.gz").unlink()
    (one,) = found(tmp_path)
    assert Path(one.case.readings[0].parts[0].path).name == "a.nii.gz"


@posix
@pytest.mark.fault("F26")
def test_links_in_place_of_the_folders_of_a_data_set_are_told_and_not_followed(tmp_path) -> None:
    data_set(tmp_path, V2, "a_0000")
    (tmp_path / "raw/labelsTr").rename(tmp_path / "annex")
    (tmp_path / "raw/labelsTr").symlink_to(tmp_path / "annex")
    one, told = seen(tmp_path)
    assert one.case.readings == ()
    assert (told.code, told.item) == ("LINK_IGNORED", "source 1")
