"""What lies beside cases, images and folders of masks and is not read is told."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from core.case_folders import CASE, found, nifti, only
from dicom_files import write_series


def told(tmp_path) -> list[tuple[str, str]]:
    """Codes and messages about the only case."""
    return [(f.code, f.message) for f in only(tmp_path).findings]


@pytest.mark.parametrize("place", ["", "north", "north/p1"])
@pytest.mark.parametrize("name", ["masks", "Masks"])
def test_masks_in_place_of_a_case_are_no_images(tmp_path, place: str, name: str) -> None:
    """``p1/masks/ana.nii.gz`` became a case whose image was what a rater had drawn."""
    nifti(tmp_path / CASE / "image.nii.gz")
    nifti(tmp_path / "raw" / place / name / "ana.nii.gz")
    nifti(tmp_path / "raw" / place / name / "p/c/ana.nii.gz")
    scanned = found(tmp_path)
    assert [c.case.id for c in scanned.candidates] == ["north/p1/c1"]
    (finding,) = scanned.findings
    assert (finding.code, finding.item) == ("MASK_UNMATCHED", "source 1")
    assert finding.message.startswith("1 folder called masks lies where a case, a patient")


def test_images_above_the_folders_of_cases_are_counted(tmp_path) -> None:
    nifti(tmp_path / CASE / "image.nii.gz")
    for name in ("a.nii.gz", "north/b.mha", "north/p1/c.dcm", "north/p1/notes.txt"):
        (tmp_path / "raw" / name).write_bytes(b"")
    (finding,) = found(tmp_path).findings
    assert finding.code == "FILE_IGNORED"
    assert finding.message == "3 image files lie above the folders of cases"


@pytest.mark.parametrize("image", ["image.nii.gz", "ct.nii.gz", "image"])
def test_masks_beside_the_image_are_a_question_where_none_are_read(tmp_path, image: str) -> None:
    if image == "image":
        write_series(tmp_path / CASE / image, 4)
    else:
        nifti(tmp_path / CASE / image)
    nifti(tmp_path / CASE / "labels/ana.nii.gz")
    (tmp_path / CASE / "empty").mkdir()
    message = "no masks lie in the folder masks, and 1 folder beside the image is not read"
    assert told(tmp_path) == [("MASK_IGNORED", message)]
    nifti(tmp_path / CASE / "masks/ana.nii.gz")
    assert told(tmp_path) == [("FILE_IGNORED", "1 folder beside the image is not read")]


def test_a_second_folder_of_masks_and_other_images_are_told(tmp_path) -> None:
    for name in ("image", "segmentation", "masks/ana", "Masks/ben"):
        nifti(tmp_path / CASE / f"{name}.nii.gz")
    if len(list((tmp_path / CASE).iterdir())) < 4:
        pytest.skip("this file system knows no difference between masks and Masks")
    message = "1 image file and 1 folder beside the image are not read"
    assert told(tmp_path) == [("FILE_IGNORED", message)]
    assert [r.rater for r in only(tmp_path).case.readings] == ["ana"]


def test_an_image_file_and_a_folder_of_its_name_are_a_question(tmp_path) -> None:
    write_series(tmp_path / CASE / "image", 4)
    nifti(tmp_path / CASE / "image.nii.gz")
    ((code, message),) = told(tmp_path)
    assert code == "AMBIGUOUS_IMAGE"
    assert "a folder and an image file are called 'image'" in message


@pytest.mark.fault("F16")
def test_a_slice_that_a_transfer_left_empty_is_lost_and_not_ignored(tmp_path) -> None:
    """At the end of a series nothing else tells that it is not whole."""
    *_, last = write_series(tmp_path / CASE / "image", 6)
    for name, content in (("last.DCM", b""), (Path(last).name, bytes(5000))):
        Path(last).unlink(missing_ok=True)
        (tmp_path / CASE / "image/last.DCM").unlink(missing_ok=True)
        (tmp_path / CASE / "image" / name).write_bytes(content)
        one = only(tmp_path)
        assert len(one.slices) == 5
        (finding,) = one.findings
        assert (finding.code, finding.severity.word) == ("FILE_UNREADABLE", "reject")


@pytest.mark.parametrize("system", ["__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN"])
def test_what_a_system_keeps_for_itself_is_no_case_no_mask_and_no_slice(tmp_path, system) -> None:
    """Of a zip file of macOS: ``__MACOSX/north/p1`` was a case without an image."""
    nifti(tmp_path / CASE / "image.nii.gz")
    for place in ("raw", f"{CASE}", f"{CASE}/masks"):
        nifti(tmp_path / place / system / "north/p1/c1/image.nii.gz")
    nifti(tmp_path / CASE / "masks/ana.nii.gz")
    scanned = found(tmp_path)
    assert [c.case.id for c in scanned.candidates] == ["north/p1/c1"]
    assert [r.rater for r in scanned.candidates[0].case.readings] == ["ana"]
    assert (scanned.candidates[0].findings, scanned.findings) == ((), ())
    write_series(tmp_path / "tree/ct", 4)
    write_series(tmp_path / "tree" / system / "deleted", 5)
    (tmp_path / "tree/dicomdir").write_bytes(bytes(200))
    scanned = found(tmp_path, 'kind = "dicom"\npath = "tree"')
    assert ([c.case.id for c in scanned.candidates], scanned.findings) == (["ct"], ())


def test_an_export_that_is_still_packed_is_told_to_be_so(tmp_path) -> None:
    path = tmp_path / CASE / "export.ZIP"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ct/1.dcm", b"")
    (code, message), *_ = told(tmp_path)
    assert (code, "1 archive that has to be unpacked" in message) == ("FILE_UNREADABLE", True)
    ignored, empty = found(tmp_path, 'kind = "dicom"\npath = "raw"').findings
    assert (ignored.code, empty.code) == ("FILE_IGNORED", "SOURCE_EMPTY")
    assert "(0 are image files, 1 archive that has to be unpacked)" in ignored.message
