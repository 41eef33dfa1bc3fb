"""What lies in a folder of masks and is not read is told; DICOM is read by content."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from core.case_folders import CASE, FOLDERS, found, nifti, only, posix
from dicom_files import save, slice_dataset, write_series
from pydicom import dcmread
from pydicom.uid import RTStructureSetStorage

from MedPrepLib.findings import Finding
from MedPrepLib.scan import Candidate


def said(candidate: Candidate, code: str) -> Finding:
    (finding,) = [f for f in candidate.findings if f.code == code]
    assert finding.item == candidate.case.id
    return finding


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    nifti(tmp_path / CASE / "image.nii.gz")
    nifti(tmp_path / CASE / "masks/ana.nii.gz")
    return tmp_path / CASE / "masks"


def contours(path: Path) -> None:
    ds = slice_dataset(0)
    del ds.PixelData
    ds.SOPClassUID, ds.Modality, ds.SOPInstanceUID = RTStructureSetStorage, "RTSTRUCT", "1.2.77"
    save(ds, path)


def test_masks_in_formats_that_are_not_read_are_counted_and_not_named(tmp_path, masks) -> None:
    voxels = np.zeros((6, 5, 4), np.uint8)
    nib.save(nib.Nifti1Pair(voxels, np.eye(4)), masks / "bob.img")
    nib.save(nib.MGHImage(voxels, np.eye(4)), masks / "cy.mgz")
    (masks / "Meier.Anna").write_bytes(b"x" * 200)
    finding = said(only(tmp_path), "MASK_IGNORED")
    assert finding.severity.word == "review"
    assert "4 files of no format that is read (1 .hdr, 1 .img, 1 .mgz, 1 others)" in finding.message
    assert not any(word in finding.message for word in ("bob", "cy", "Meier", "Anna"))


def test_files_below_a_rater_s_folder_are_counted_as_too_deep(tmp_path, masks) -> None:
    nifti(masks / "ben/lesion.nii.gz")
    assert only(tmp_path).findings == ()
    nifti(masks / "ben/segmentations/lesion.nii.gz")
    nifti(masks / "ben/segmentations/more/organ.nii.gz")
    finding = said(only(tmp_path), "MASK_IGNORED")
    assert "2 files deeper than the folder of a rater" in finding.message


def test_what_a_rule_leaves_out_is_not_told(tmp_path, masks) -> None:
    nib.save(nib.MGHImage(np.zeros((6, 5, 4), np.uint8), np.eye(4)), masks / "cy.mgz")
    nifti(masks / "ben/old/lesion.nii.gz")
    rules = "".join(f"\n[sources.annotations.{n}]\nignore = true" for n in ("cy", "old"))
    scanned = found(tmp_path, FOLDERS + rules)
    assert (scanned.candidates[0].findings, scanned.findings) == ((), ())


def test_notes_beside_masks_are_a_note_and_voxels_of_a_header_nothing(tmp_path, masks) -> None:
    (masks / "readme.txt").write_text("drawn twice")
    (masks / "ben.mhd").write_text("ObjectType = Image\nElementDataFile = ben.zraw\n")
    (masks / "ben.zraw").write_bytes(b"")
    (masks / ".DS_Store").write_bytes(b"")
    one = only(tmp_path)
    assert [(f.code, f.severity.word) for f in one.findings] == [("FILE_IGNORED", "note")]


def test_what_belongs_to_a_header_is_what_the_header_says_and_nothing_else(tmp_path, masks) -> None:
    (masks / "ben.mhd").write_text("ObjectType = Image\nElementDataFile = ben.voxels\n")
    for name in ("ben.voxels", "cy.raw", "dora.img"):
        (masks / name).write_bytes(b"")
    message = said(only(tmp_path), "MASK_IGNORED").message
    assert "2 files of no format that is read (1 .img, 1 .raw)" in message


@pytest.mark.parametrize(
    ("name", "rater"),
    [
        ("ana_contours", "ana_contours"),
        ("ben.IMA", "ben"),
        ("RS.1.2.840.113619.2.55.3", "dicom"),
        ("RS.1.2.840.113619.2.55.3.dcm", "dicom"),
    ],
)
def test_dicom_masks_are_read_by_content_and_a_uid_is_no_rater(
    tmp_path, masks, name: str, rater: str
) -> None:
    contours(masks / name)
    one = only(tmp_path)
    assert sorted(r.rater for r in one.case.readings) == sorted(["ana", rater])
    assert one.findings == ()


def test_contours_without_an_ending_in_a_rater_s_folder_name_their_labels(tmp_path, masks) -> None:
    contours(masks / "ben/RS.1.2.840.113619.2.55.3")
    contours(masks / "cy/structures")
    contours(masks / "dora/lesion.dcm")
    of = {r.rater: [part.label for part in r.parts] for r in only(tmp_path).case.readings}
    assert of == {"ana": [None], "ben": [None], "cy": [None], "dora": ["lesion"]}


def test_a_backup_of_a_dicom_mask_is_no_reading(tmp_path, masks) -> None:
    contours(masks / "ben.dcm.bak")
    one = only(tmp_path)
    assert [r.rater for r in one.case.readings] == ["ana"]
    assert "1 .bak" in said(one, "MASK_IGNORED").message


@posix
@pytest.mark.fault("F25")
def test_links_among_masks_slices_and_folders_are_told_and_not_followed(tmp_path, masks) -> None:
    (masks / "ben.nii.gz").symlink_to(nifti(tmp_path / "annex/k.nii.gz"))
    (masks / "cy").symlink_to(tmp_path / "annex")
    one = only(tmp_path)
    assert [r.rater for r in one.case.readings] == ["ana"]
    assert "2 symbolic links are not followed" in said(one, "LINK_IGNORED").message
    (tmp_path / "raw/north/p2").symlink_to(tmp_path / "raw/north/p1")
    (finding,) = found(tmp_path).findings
    assert (finding.code, finding.item) == ("LINK_IGNORED", "source 1")


@posix
@pytest.mark.fault("F25")
def test_a_series_some_slices_of_which_are_links_is_not_silently_shorter(tmp_path) -> None:
    write_series(tmp_path / CASE / "image", 6)
    for path in sorted((tmp_path / CASE / "image").iterdir())[:2]:
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    one = only(tmp_path)
    assert len(one.slices) == 4
    assert "2 symbolic links are" in said(one, "LINK_IGNORED").message
    assert said(one, "LINK_IGNORED").severity.word == "review"


@posix
@pytest.mark.fault("F25")
def test_links_of_an_nnunet_folder_are_told_and_not_followed(tmp_path) -> None:
    for name in ("imagesTr/a_0000", "labelsTr/b", "annex/k"):
        nifti(tmp_path / f"raw/{name}.nii.gz")
    for name in ("imagesTr/b_0000", "labelsTr/a"):
        (tmp_path / f"raw/{name}.nii.gz").symlink_to(tmp_path / "raw/annex/k.nii.gz")
    (tmp_path / "raw/dataset.json").write_text(json.dumps({"labels": {"lesion": 1}}))
    a, b = found(tmp_path, 'kind = "nnunet"\npath = "raw"').candidates
    assert (len(a.case.image.paths), a.case.readings) == (1, ())
    assert said(a, "LINK_IGNORED")
    assert (b.case.image.paths, len(b.case.readings)) == ((), 1)
    assert "symbolic link" in said(b, "FILE_MISSING").message


@posix
@pytest.mark.fault("F26")
@pytest.mark.parametrize("name", ["masks", "Masks"])
def test_a_link_in_place_of_the_folder_of_masks_is_told_and_not_followed(
    tmp_path, masks, name
) -> None:
    masks.rename(tmp_path / "annex")
    (masks.parent / name).symlink_to(tmp_path / "annex")
    one = only(tmp_path)
    assert one.case.readings == ()
    assert "1 symbolic link is not followed" in said(one, "LINK_IGNORED").message


@posix
@pytest.mark.fault("F26")
def test_a_link_in_place_of_a_folder_of_slices_is_told_and_not_followed(tmp_path) -> None:
    write_series(tmp_path / "annex", 5)
    (tmp_path / CASE).mkdir(parents=True)
    (tmp_path / CASE / "image").symlink_to(tmp_path / "annex")
    assert "1 symbolic link lies where" in said(only(tmp_path), "FILE_MISSING").message


@posix
@pytest.mark.fault("F25")
def test_a_mask_that_a_table_names_by_a_link_is_told_and_not_followed(tmp_path) -> None:
    """As it is of images."""
    for name in ("image", "ben", "annex"):
        nifti(tmp_path / f"{name}.nii.gz")
    (tmp_path / "ana.nii.gz").symlink_to(tmp_path / "annex.nii.gz")
    (tmp_path / "cases.csv").write_text(
        "case,patient,image,annotations\na,p,image.nii.gz,ana=ana.nii.gz;ben=ben.nii.gz\n"
    )
    one = only(tmp_path, 'kind = "table"\npath = "cases.csv"')
    assert [r.rater for r in one.case.readings] == ["ben"]
    assert "1 symbolic link is not followed" in said(one, "LINK_IGNORED").message


# --- masks that match no case -------------------------------------------------------------------


TREE = 'kind = "dicom"\npath = "raw"\nmasks = "masks"'


def test_masks_of_a_tree_that_match_no_case_are_named_on_the_site_only(tmp_path) -> None:
    write_series(tmp_path / "raw/a/ct", 5)
    series = write_series(tmp_path / "raw/b", 5)
    for name in ("a/ct/ana", "a/mr/ana", "a/mr/ben/lesion", "Meier/ana", "loose"):
        nifti(tmp_path / f"masks/{name}.nii.gz")
    nifti(tmp_path / "masks" / dcmread(series[0]).SeriesInstanceUID / "ana.nii.gz")
    (tmp_path / "masks/empty").mkdir()
    (tmp_path / "masks/readme.txt").write_text("of Meier")
    scanned = found(tmp_path, TREE)
    assert [[r.rater for r in c.case.readings] for c in scanned.candidates] == [["ana"], ["ana"]]
    folders, loose = scanned.findings
    assert {folders.code, loose.code} == {"MASK_UNMATCHED"}
    assert '2 folders of masks match no case: "Meier", "a/mr"' in folders.message
    assert "Meier" not in folders.public().message
    assert loose.message == "1 mask file lies in no folder of a case"


def test_masks_of_a_case_that_has_cases_below_it_are_not_called_unmatched(tmp_path) -> None:
    write_series(tmp_path / "raw/a", 5)
    write_series(tmp_path / "raw/a/late", 5)
    for name in ("a/ana", "a/ben/lesion"):
        nifti(tmp_path / f"masks/{name}.nii.gz")
    scanned = found(tmp_path, TREE)
    raters = {c.case.id: [r.rater for r in c.case.readings] for c in scanned.candidates}
    assert (raters, scanned.findings) == ({"a": ["ana", "ben"], "a/late": []}, ())


def test_trees_that_share_a_folder_of_masks_know_the_cases_of_each_other(tmp_path) -> None:
    for name in ("raw/a/ct", "south/b/ct"):
        write_series(tmp_path / name, 5)
    for name in ("a/ct/ana", "b/ct/ana", "c/ct/ana"):
        nifti(tmp_path / f"masks/{name}.nii.gz")
    south = f"{TREE}\n[[sources]]\n{TREE}".replace('"raw"', '"south"', 1)
    scanned = found(tmp_path, south.replace('"masks"', '"south/../masks"', 1))
    assert [[r.rater for r in c.case.readings] for c in scanned.candidates] == [["ana"], ["ana"]]
    (finding,) = scanned.findings
    assert (finding.item, finding.code) == ("source 1", "MASK_UNMATCHED")
    assert finding.message == '1 folder of masks matches no case: "c"'


@posix
@pytest.mark.fault("F26")
@pytest.mark.parametrize("name", ["a", "a/ct"])
def test_links_on_the_way_to_the_masks_of_a_tree_are_told_and_not_followed(tmp_path, name) -> None:
    write_series(tmp_path / "raw/a/ct", 5)
    nifti(tmp_path / "annex/ana.nii.gz")
    nifti(tmp_path / "annex/ct/ana.nii.gz")
    (tmp_path / "masks" / name).parent.mkdir(parents=True)
    (tmp_path / "masks" / name).symlink_to(tmp_path / "annex")
    scanned = found(tmp_path, TREE)
    assert scanned.candidates[0].case.readings == ()
    assert [f.code for f in scanned.findings] == ["LINK_IGNORED"]


@pytest.mark.fault("F27")
@pytest.mark.parametrize("uid", ["../annex", "..", "ABSOLUTE"])
def test_a_series_uid_leads_out_of_no_folder_of_masks(tmp_path, uid) -> None:
    nifti(tmp_path / "annex/ana.nii.gz")
    nifti(tmp_path / "ana.nii.gz")
    (tmp_path / "masks").mkdir()
    where = uid if uid != "ABSOLUTE" else str(tmp_path / "annex")

    def named(ds, k: int) -> None:
        ds.SeriesInstanceUID = where

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_series(tmp_path / "raw/a", 5, named)
    (one,) = found(tmp_path, TREE).candidates
    assert (len(one.slices), one.case.readings) == (5, ())


# --- several files of one rater ---------------------------------------------------------------


@pytest.mark.parametrize(
    "second", ["ana.nii", "ana.seg.nrrd", "ana/lesion.nii.gz", "ana/lesion.nii.gz,ana/lesion.nii"]
)
def test_files_of_a_rater_that_may_be_versions_are_a_question(tmp_path, masks, second) -> None:
    for name in second.split(","):
        nifti(masks / name)
    one = only(tmp_path)
    assert [r.rater for r in one.case.readings] == ["ana"]
    finding = said(one, "READING_TWICE")
    assert finding.severity.word == "review"
    assert f"{2 + second.count(',')} mask files of ana may hold the same labels" in finding.message


def test_one_label_in_two_files_of_a_rater_s_folder_is_a_question(tmp_path, masks) -> None:
    nifti(masks / "ben/lesion.nii")
    nifti(masks / "ben/organ.nii")
    assert only(tmp_path).findings == ()
    nifti(masks / "ben/lesion.nii.gz")
    assert "3 mask files of ben" in said(only(tmp_path), "READING_TWICE").message


def test_files_that_rules_map_are_what_the_rules_say(tmp_path, masks) -> None:
    nifti(masks / "ana2.nii.gz")
    nifti(masks / "ana3.nii.gz")
    rules = (
        "\n[sources.annotations.ana2]\nrater = 'ana'\nlabel = 'lesion'"
        "\n[sources.annotations.ana3]\nrater = 'ana'\nlabel = 'lesion'"
    )
    (one,) = found(tmp_path, FOLDERS + rules).candidates
    assert (len(one.case.readings), one.findings) == (1, ())
    whole = rules.replace("label = 'lesion'", "")
    assert "3 mask files of ana" in said(only(tmp_path, FOLDERS + whole), "READING_TWICE").message


def test_a_table_that_names_a_rater_twice_is_asked(tmp_path, masks) -> None:
    nifti(masks / "old.nii.gz")
    text = f"ana={CASE}/masks/ana.nii.gz;ana={CASE}/masks/old.nii.gz"
    rows = f"case,patient,image,annotations\nx,1,{CASE}/image.nii.gz,{text}\n"
    (tmp_path / "cases.csv").write_text(rows)
    one = only(tmp_path, 'kind = "table"\npath = "cases.csv"')
    assert said(one, "READING_TWICE")
