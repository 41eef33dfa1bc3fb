"""Case folders of the folder convention: what is taken for the image, and what never is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from core.case_folders import CASE, FOLDERS, nifti, only, posix
from dicom_files import save, slice_dataset, write_series
from pydicom.uid import RTStructureSetStorage

from MedPrepLib.formats.files import check_file
from MedPrepLib.onecase import check_alignment
from MedPrepLib.scan import Candidate


def codes(candidate: Candidate) -> list[str]:
    return [finding.code for finding in candidate.findings]


def contours(path: Path) -> Path:
    """An RTSTRUCT without any contour."""
    ds = slice_dataset(0)
    del ds.PixelData
    ds.SOPClassUID, ds.Modality, ds.SeriesInstanceUID = RTStructureSetStorage, "RTSTRUCT", "1.2.77"
    ds.SOPInstanceUID = f"1.2.77.{len(str(path))}"
    return save(ds, path)


@pytest.mark.parametrize("masks", ["masks", "Masks"])
def test_a_mask_is_never_taken_for_the_image_that_is_missing(tmp_path, masks: str) -> None:
    nifti(tmp_path / CASE / masks / "ana.nii.gz")
    one = only(tmp_path)
    assert one.case.image.paths == ()
    assert [r.rater for r in one.case.readings] == ["ana"]
    assert codes(one) == ["FILE_MISSING"]
    assert one.findings[0].severity.word == "reject"


@pytest.mark.parametrize("lone", ["ana.seg.nrrd", "image.seg.nrrd"])
def test_a_segmentation_by_its_ending_is_no_image(tmp_path, lone: str) -> None:
    (tmp_path / CASE).mkdir(parents=True)
    (tmp_path / CASE / lone).write_bytes(b"NRRD0004\n")
    one = only(tmp_path)
    assert one.case.image.paths == ()
    assert codes(one) == ["FILE_UNREADABLE"]
    nifti(tmp_path / CASE / "ct.nii.gz")
    assert [Path(path).name for path in only(tmp_path).case.image.paths] == ["ct.nii.gz"]


def test_two_files_called_image_are_a_question(tmp_path) -> None:
    nifti(tmp_path / CASE / "image.nii")
    nifti(tmp_path / CASE / "image.nii.gz")
    one = only(tmp_path)
    assert one.case.image.paths == ()
    assert codes(one) == ["AMBIGUOUS_IMAGE"]


def test_a_table_cannot_make_a_mask_the_image(tmp_path) -> None:
    nifti(tmp_path / "c1/masks/ana.nii.gz")
    row = "case,patient,image,annotations\nx,1,c1,ana=c1/masks/ana.nii.gz\n"
    (tmp_path / "cases.csv").write_text(row, encoding="utf-8")
    one = only(tmp_path, 'kind = "table"\npath = "cases.csv"')
    assert one.case.image.paths == ()
    assert (one.case.patient.id, codes(one)) == ("1", ["FILE_MISSING"])
    assert "mask of the case" in one.findings[0].message


@posix
@pytest.mark.fault("F25")
def test_a_link_in_place_of_the_image_is_named_as_one_and_nothing_else_is_taken(tmp_path) -> None:
    target = nifti(tmp_path / "annex/k.nii.gz")
    nifti(tmp_path / CASE / "masks/ana.nii.gz")
    (tmp_path / CASE / "image.nii.gz").symlink_to(target)
    one = only(tmp_path)
    assert (one.case.image.paths, codes(one)) == ((), ["FILE_MISSING"])
    assert "1 symbolic link lies where the image should be" in one.findings[0].message
    nifti(tmp_path / CASE / "pet.nii.gz")
    assert (only(tmp_path).case.image.paths, codes(only(tmp_path))) == ((), ["FILE_MISSING"])


@posix
@pytest.mark.fault("F25")
def test_a_link_to_another_image_makes_the_one_image_a_question(tmp_path) -> None:
    nifti(tmp_path / CASE / "t1.nii.gz")
    (tmp_path / CASE / "t2.nii.gz").symlink_to(nifti(tmp_path / "annex/k.nii.gz"))
    one = only(tmp_path)
    assert (one.case.image.paths, codes(one)) == ((), ["AMBIGUOUS_IMAGE"])
    shutil.move(tmp_path / CASE / "t1.nii.gz", tmp_path / CASE / "image.nii.gz")
    assert len(only(tmp_path).case.image.paths) == 1  # a name says which one is meant


def test_dicom_masks_beside_slices_in_the_case_folder_vote_once(tmp_path) -> None:
    write_series(tmp_path / CASE)
    for rater in ("ana", "bob"):
        contours(tmp_path / CASE / f"masks/{rater}.dcm")
    one = only(tmp_path)
    assert len(one.slices) == 5
    assert [r.rater for r in one.case.readings] == ["ana", "bob"]
    rule = "\n[sources.annotations.bob]\nignore = true"
    assert [r.rater for r in only(tmp_path, FOLDERS + rule).case.readings] == ["ana"]


def test_contours_beside_slices_are_still_a_reading(tmp_path) -> None:
    write_series(tmp_path / CASE)
    contours(tmp_path / CASE / "structures.dcm")
    assert [r.rater for r in only(tmp_path).case.readings] == ["rtstruct"]


# --- several series in the folder of an image -------------------------------------------------


def test_a_smaller_series_never_stands_in_for_a_larger_one_that_is_refused(tmp_path) -> None:
    write_series(tmp_path / CASE / "image/ct", 40, skip=(20,))
    write_series(tmp_path / CASE / "image/other", 21)
    one = only(tmp_path)
    (question,) = one.findings
    assert (question.code, question.severity.word) == ("AMBIGUOUS_IMAGE", "reject")
    assert "series1 has 39 slices and the volume that was chosen 21" in question.message
    assert "series1 is refused (SLICE_GAP, " in question.message
    named = only(tmp_path, FOLDERS + '\npart = "series2"')
    assert (len(named.slices), named.findings) == (21, ())


def test_smaller_volumes_that_cannot_be_used_are_told(tmp_path) -> None:
    write_series(tmp_path / CASE / "image/ct", 9)
    write_series(tmp_path / CASE / "image/two", 2)
    one = only(tmp_path)
    assert len(one.slices) == 9
    (note,) = one.findings
    assert (note.code, note.severity.word) == ("FILE_IGNORED", "note")
    assert "series2 (2 slices)" in note.message


def test_a_series_with_a_localizer_among_its_slices_is_still_one_to_choose(tmp_path) -> None:
    def scout(ds, k: int) -> None:
        if k == 0:
            ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    write_series(tmp_path / CASE / "image/ct", 9, scout)
    write_series(tmp_path / CASE / "image/other", 5)
    (question,) = [f for f in only(tmp_path).findings if f.code == "AMBIGUOUS_IMAGE"]
    assert "series1 (8 slices), series2 (5 slices)" in question.message


def test_localizers_beside_a_series_are_no_question_however_many_they_are(tmp_path) -> None:
    def scout(ds, k: int) -> None:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    write_series(tmp_path / CASE / "image/ct", 5)
    write_series(tmp_path / CASE / "image/scouts", 9, scout)
    one = only(tmp_path)
    assert (len(one.slices), codes(one)) == (5, ["LOCALIZER"])


def test_a_folder_of_localizers_is_told_to_be_one(tmp_path) -> None:
    def scout(ds, k: int) -> None:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    write_series(tmp_path / CASE / "image", 2, scout)
    missing = only(tmp_path).findings
    assert {f.code for f in missing} == {"ONLY_LOCALIZERS", "LOCALIZER"}
    mask = nifti(tmp_path / CASE / "masks/ana.nii.gz")
    verdicts, findings = check_alignment(tmp_path / CASE / "image", [mask])
    assert verdicts == {}
    assert {f.message for f in findings} == {
        "only localizers lie here, no image volume",
        "2 of 2 files are localizers",
    }


def test_a_dicom_slice_is_not_called_an_unknown_file(tmp_path) -> None:
    path = Path(write_series(tmp_path, 1)[0])
    (finding,) = check_file(path, "x")
    assert finding.message.startswith("this is a DICOM file, a part of a series and no volume file")
