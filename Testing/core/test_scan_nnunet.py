"""nnU-Net raw folders as a source: what labels are called, and which files are images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

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
