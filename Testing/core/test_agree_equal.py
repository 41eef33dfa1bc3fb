"""Masks of two people that are equal to the voxel are told: they are copies, or nobody's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from core.small_studies import GRID, finished, write_study
from core.test_agree import LABELS, reading

from MedPrepLib.agree import agree
from MedPrepLib.agree.equal import equal_masks
from MedPrepLib.config.settings import Agree
from MedPrepLib.images import Volume
from MedPrepLib.sample.niftifile import write_nifti


def cube(edge: int, label: int = 1) -> np.ndarray:
    array = np.zeros((16, 16, 16), np.uint8)
    array[:edge, :edge, :edge] = label
    return array


def said(least: int = 500, **arrays: np.ndarray) -> list[str]:
    readings = {rater.replace("_", "@"): reading(array) for rater, array in arrays.items()}
    settings = Agree(equal_voxels=least)
    return [found.message for found in equal_masks(agree(readings, LABELS), settings, "c1")]


def test_equal_masks_of_two_people_are_named_with_label_and_voxels():
    assert said(ana=cube(8), ben=cube(8), eva=cube(9)) == [
        "ana and ben drew the same voxels of 'organ' (512 voxels)"
    ]


def test_one_voxel_makes_the_difference():
    other = cube(8)
    other[0, 0, 8] = 1
    assert said(ana=cube(8), ben=other) == []


@pytest.mark.parametrize("edge", [0, 7])
def test_small_structures_and_empty_masks_may_be_equal(edge: int):
    assert said(ana=cube(edge), ben=cube(edge)) == []
    assert said(edge**3 or 1, ana=cube(edge), ben=cube(edge)) == (
        ["ana and ben drew the same voxels of 'organ' (343 voxels)"] if edge else []
    )


def test_two_readings_of_one_person_are_no_matter_of_two_people():
    assert said(ana=cube(8), ana_2=cube(8)) == []
    assert said(ana=cube(9), ana_2=cube(8), ben=cube(8)) == [
        "ana@2 and ben drew the same voxels of 'organ' (512 voxels)"
    ]


def test_a_run_asks_for_a_look_at_a_mask_that_was_copied(tmp_path: Path):
    study = write_study(tmp_path / "study", [{"case": "c0", "patient": "p0"}])
    drawn = np.zeros(GRID.shape, np.uint8)
    drawn[2:10, 2:12, 2:12] = 3
    for rater in ("ana", "ben"):
        write_nifti(study / f"raw/0-{rater}.nii.gz", Volume(drawn, GRID))
    assert "READINGS_EQUAL" in [finding.code for finding in finished(study).findings]
