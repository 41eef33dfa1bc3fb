"""A segmentation object that lies in a source twice is one reading: a copy agrees perfectly."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pydicom
import pytest
from core.case_folders import CASE, found
from dicom_files import save, slice_dataset, write_series
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

TREE = 'kind = "dicom"\npath = "raw"'


@pytest.fixture
def contours(tmp_path: Path) -> Path:
    """An RTSTRUCT beside the series that it refers to."""
    image = pydicom.dcmread(write_series(tmp_path / CASE, 5)[0])
    ds = slice_dataset(0, "1.2.77")
    del ds.PixelData
    ds.SOPClassUID, ds.Modality = RTStructureSetStorage, "RTSTRUCT"
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = image.SeriesInstanceUID
    study.RTReferencedSeriesSequence, frame.RTReferencedStudySequence = [series], [study]
    ds.ReferencedFrameOfReferenceSequence = [frame]
    return save(ds, tmp_path / CASE / "rs.dcm")


def seen(tmp_path: Path, source: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Raters, and codes and messages of findings."""
    (one,) = found(tmp_path, source).candidates
    findings = [(f.code, f.message) for f in one.findings]
    return [r.rater for r in one.case.readings], findings


@pytest.mark.fault("F37")
@pytest.mark.parametrize("source", [TREE, 'kind = "folders"\npath = "raw"'])
def test_a_copied_object_is_no_second_rater(tmp_path, contours, source) -> None:
    for name in ("copy.dcm", "again/rs.dcm"):
        (contours.parent / name).parent.mkdir(exist_ok=True)
        shutil.copy(contours, contours.parent / name)
    raters, ((code, message),) = seen(tmp_path, source)
    assert (raters, code) == (["rtstruct"], "READING_COPIED")
    assert message.startswith("2 segmentation objects are copies of others")


@pytest.mark.parametrize("masks", ["raw/masks", "raw/north/../masks", "other/masks"])
def test_masks_within_a_tree_are_not_read_as_objects_of_the_tree_as_well(
    tmp_path, contours, masks
) -> None:
    """However the folder of masks is written: it was left out of the tree by its words."""
    place = tmp_path / "raw/masks/north/p1/c1/ana.dcm"
    place.parent.mkdir(parents=True)
    contours.rename(place)
    if masks.startswith("other"):
        if os.name != "posix":
            pytest.skip("links are a POSIX matter")
        (tmp_path / "other").symlink_to(tmp_path / "raw")
    assert seen(tmp_path, f'{TREE}\nmasks = "{masks}"') == (["ana"], [])


@pytest.mark.fault("F37")
def test_objects_of_one_uid_that_differ_are_kept_as_a_question(tmp_path, contours) -> None:
    other = pydicom.dcmread(contours)
    other.StructureSetLabel = "second"
    other.save_as(contours.parent / "v2.dcm")
    raters, ((code, message),) = seen(tmp_path, TREE)
    assert (raters, code) == (["rtstruct-1", "rtstruct-2"], "READING_TWICE")
    assert "share a SOPInstanceUID" in message
    other.SOPInstanceUID = "1.2.78"
    other.save_as(contours.parent / "v2.dcm")
    assert seen(tmp_path, TREE) == (["rtstruct-1", "rtstruct-2"], [])
