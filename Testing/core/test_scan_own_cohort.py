"""A cohort that was made where its source lies is no part of the source."""

from __future__ import annotations

from pathlib import Path

import pytest
from core.case_folders import found, nifti
from core.small_studies import KEY
from dicom_files import write_series

from MedPrepLib.config import parse_study
from MedPrepLib.pipeline import Order, Shard, Summary, run

STUDY = 'name = "here"\n[[sources]]\nkind = "{kind}"\npath = "."\n[labels.lesion]\nvalue = 1\n'


def made(folder: Path, kind: str, **how: object) -> Summary:
    text = STUDY.format(kind=kind)
    order = Order(parse_study(text, base=folder), text, folder, folder / "cohort", workers=1, **how)
    return run(order, key=KEY)


@pytest.mark.parametrize("kind", ["dicom", "folders"])
def test_a_second_run_finds_what_the_first_one_found(tmp_path: Path, kind: str) -> None:
    if kind == "dicom":
        write_series(tmp_path / "ct", 4)
    else:
        nifti(tmp_path / "north/p1/c1/image.nii.gz")
    first, second = (made(tmp_path, kind) for _ in range(2))
    assert second.findings == first.findings
    assert (second.cases_done, second.unchanged) == (0, True)


def test_a_part_of_a_run_alone_makes_a_folder_of_medprep(tmp_path: Path) -> None:
    nifti(tmp_path / "north/p1/c1/image.nii.gz")
    made(tmp_path, "folders", shard=Shard(1, 2))
    scanned = found(tmp_path, 'kind = "folders"\npath = "."')
    assert [case.case.id for case in scanned.candidates] == ["north/p1/c1"]
    assert scanned.findings == ()


def test_a_folder_is_not_left_out_for_its_name(tmp_path: Path) -> None:
    nifti(tmp_path / "raw/clinic-private/p1/c1/image.nii.gz")
    nifti(tmp_path / "raw/clinic/p1/c1/image.nii.gz")
    assert len(found(tmp_path).candidates) == 2
