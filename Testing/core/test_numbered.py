"""Masks on a series with a gap go by the number of the slice where their file cannot state it."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import COLUMNS, ROWS, STEP_MM, stored_pixels, write_series

from MedPrepLib.align.numbered import by_number
from MedPrepLib.cohort import ImageSource, MaskPart, MaskReading
from MedPrepLib.config.settings import Align, Screen
from MedPrepLib.dicom.headers import read_header
from MedPrepLib.dicom.series import group_series
from MedPrepLib.geometry import LPS_TO_RAS, Geometry
from MedPrepLib.images import Volume
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.reading import AlignedParts, align_reading
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.scan.image import found_volumes

COUNT = 20
TUMOR = LabelSchema((Label("tumor", 1),))
BEHIND, BEFORE, TWO = (6,), (14,), (3, 4, 11)
"""Missing slices; the longest run begins behind the gap, ends before it, lies behind two."""


def series(folder: Path, missing: tuple[int, ...]) -> ImageSource:
    """The image that is used of a series without some of its slices."""
    headers = [read_header(path) for path in write_series(folder, COUNT, skip=missing)]
    (group,) = group_series(headers)
    (found,) = found_volumes(group, "case", Screen())
    assert [f.code for f in found.findings if f.code == "SLICE_GAP"]
    return found.source


def there(missing: tuple[int, ...]) -> list[int]:
    """The slices of the scan that the series has, in order."""
    return [k for k in range(COUNT) if k not in missing]


def grid_of(source: ImageSource) -> Geometry:
    assert source.geometry is not None
    return source.geometry


def complete(source: ImageSource, missing: tuple[int, ...]) -> Geometry:
    """The grid of the whole scan."""
    first = there(missing)[source.stack_mm.index(0.0)]
    return grid_of(source).cropped((0, 0, -first), (COLUMNS, ROWS, COUNT))


def aligned(path: Path, source: ImageSource) -> AlignedParts:
    reading = MaskReading("ana", (MaskPart(str(path)),))
    limits = Align(min_overlap=0.0)
    return align_reading(reading, grid_of(source), TUMOR, limits, "c/ana", source=source)


def shown(found: AlignedParts) -> list[int]:
    """The slices of the used run that show the tumor."""
    (part,) = found.parts
    return [int(k) for k in np.flatnonzero(part.mask("tumor").any(axis=(1, 2)))]


def codes(found: AlignedParts) -> set[str]:
    return {f.code for f in found.findings} - {"LABEL_BY_VALUE"}


def pixels_of(source: ImageSource, k: int) -> np.ndarray:
    """What the file shows that is slice ``k`` of the run."""
    return pydicom.dcmread(source.paths[k]).pixel_array


def as_converted(source: ImageSource, numbers: list[int], step: float = STEP_MM) -> Volume:
    """Slices of the series by number, with one distance of slices, as dcm2niix stacks them."""
    voxels = np.zeros((len(source.stack_mm), ROWS, COLUMNS), np.uint8)
    voxels[numbers, 3:7, 4:9] = 1
    used = grid_of(source)
    first = used.cropped((0, 0, 0), (COLUMNS, ROWS, len(source.stack_mm)))
    normal = np.reshape(used.direction, (3, 3))[:, 2]
    origin = np.array(used.origin) + source.stack_mm[0] * normal
    spacing = (*used.spacing[:2], step)
    return Volume(voxels, Geometry(first.size, spacing, tuple(origin), used.direction))


@pytest.mark.parametrize("missing", [BEHIND, BEFORE, TWO])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_what_is_drawn_on_simpleitks_stack_lands_on_the_slice_that_was_drawn_on(
    tmp_path, capfd, missing, suffix
):
    source = series(tmp_path / "image", missing)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "image")))
    stack = reader.Execute()
    assert "missing slices" in capfd.readouterr().err
    assert stack.GetSize()[2] == COUNT - len(missing)
    used = there(missing).index(first_used(source)) + 2
    scan_slice = there(missing)[used]
    pixels = sitk.GetArrayFromImage(stack)
    assert (pixels[used] == stored_pixels(scan_slice).astype(int) - 1024).all()
    mask = np.zeros(pixels.shape, np.uint8)
    mask[used, 3:7, 4:9] = 1
    drawn = sitk.GetImageFromArray(mask)
    drawn.CopyInformation(stack)
    sitk.WriteImage(drawn, str(tmp_path / f"ana{suffix}"))
    found = aligned(tmp_path / f"ana{suffix}", source)
    (k,) = shown(found)
    assert (pixels_of(source, k) == stored_pixels(scan_slice)).all()
    assert "MASK_NUMBERED" in codes(found)
    (part,) = found.parts
    assert (part.mask("tumor")[k] == (mask[used] == 1)).all()


def first_used(source: ImageSource) -> int:
    """The number in the scan of the first slice that is used."""
    first = pixels_of(source, 0)
    return next(k for k in range(COUNT) if (stored_pixels(k) == first).all())


@pytest.mark.parametrize("flip", [(1, 1, 1), (1, 1, -1), (-1, 1, 1), (1, -1, -1)])
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0)])
def test_a_nifti_with_the_distance_of_the_first_slices_is_taken_by_number_however_it_is_stored(
    tmp_path, flip, axes
):
    source = series(tmp_path / "image", BEHIND)
    volume = as_converted(source, [8, 9])
    plain = nib.Nifti1Image(volume.array.transpose(2, 1, 0), LPS_TO_RAS @ volume.geometry.affine)
    orientation = np.column_stack([axes, flip])
    nib.save(plain.as_reoriented(orientation), tmp_path / "ana.nii.gz")
    found = aligned(tmp_path / "ana.nii.gz", source)
    assert shown(found) == [2, 3]  # six slices lie before the gap
    assert "MASK_NUMBERED" in codes(found)
    (part,) = found.parts
    assert (part.mask("tumor")[2] == (volume.array[8] == 1)).all()


def test_the_finding_says_how_far_the_header_is_off(tmp_path):
    source = series(tmp_path / "image", BEHIND)
    write_nifti(tmp_path / "ana.nii.gz", as_converted(source, [8]))
    (finding,) = [f for f in aligned(tmp_path / "ana.nii.gz", source).findings
                  if f.code == "MASK_NUMBERED"]  # fmt: skip
    assert finding.severity.word == "review"
    assert "slice n of 19" in finding.message
    assert "up to 2.000 mm away" in finding.message


def test_before_the_gap_number_and_position_are_the_same_and_nothing_is_asked(tmp_path):
    source = series(tmp_path / "image", BEFORE)
    write_nifti(tmp_path / "ana.nii.gz", as_converted(source, [8]))
    found = aligned(tmp_path / "ana.nii.gz", source)
    assert shown(found) == [8]
    assert codes(found) == {"GRID_MOVED"}


@pytest.mark.parametrize("missing", [BEHIND, BEFORE, TWO])
def test_a_mask_of_the_complete_scan_is_placed_by_position(tmp_path, missing):
    source = series(tmp_path / "image", missing)
    k = first_used(source) + 3
    mask = np.zeros((COUNT, ROWS, COLUMNS), np.uint8)
    mask[k, 3:7, 4:9] = 1
    write_nifti(tmp_path / "ana.nii.gz", Volume(mask, complete(source, missing)))
    found = aligned(tmp_path / "ana.nii.gz", source)
    assert (shown(found), codes(found)) == ([3], {"GRID_MOVED"})


def test_a_mask_of_the_slices_that_are_used_lies_on_them(tmp_path):
    source = series(tmp_path / "image", BEHIND)
    mask = np.zeros(grid_of(source).shape, np.uint8)
    mask[4, 3:7, 4:9] = 1
    write_nifti(tmp_path / "ana.nii.gz", Volume(mask, grid_of(source)))
    found = aligned(tmp_path / "ana.nii.gz", source)
    assert (shown(found), codes(found)) == ([4], set())


@pytest.mark.parametrize(
    ("start", "size"),
    [
        ((0, 0, -5), (COLUMNS, ROWS, COUNT - 1)),  # begins and ends within the series
        ((1, 0, -7), (COLUMNS - 1, ROWS, COUNT - 1)),  # less than the plane
        ((0, 0, -7), (COLUMNS, ROWS, COUNT - 2)),  # less than the series
    ],
)
def test_a_mask_that_is_no_copy_of_the_series_is_placed_by_position(tmp_path, start, size):
    source = series(tmp_path / "image", BEHIND)
    grid = grid_of(source).cropped(start, size)
    assert by_number(grid_of(source), source.stack_mm, grid, Align()) is None
    mask = np.zeros(grid.shape, np.uint8)
    mask[9, 3:7, 4:9] = 1
    write_nifti(tmp_path / "ana.nii.gz", Volume(mask, grid))
    found = aligned(tmp_path / "ana.nii.gz", source)
    assert (shown(found), codes(found)) == ([9 + start[2]], {"GRID_MOVED"})


def test_frames_of_a_dicom_segmentation_lie_where_they_say(tmp_path):
    """They are as many as the files of the series and begin with it, but are those of the scan."""
    seg = pytest.importorskip("highdicom").seg
    from highdicom.sr.coding import CodedConcept
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    source = series(tmp_path / "image", BEHIND)
    paths = sorted(write_series(tmp_path / "scan", COUNT), reverse=True)[: COUNT - 1]
    slices = [pydicom.dcmread(path) for path in paths]
    for data in slices:
        data.PatientName = data.PatientBirthDate = data.StudyID = data.AccessionNumber = ""
        data.StudyDate = data.StudyTime = data.ReferringPhysicianName = ""
    thing = CodedConcept("1", "99TEST", "tumor")
    described = seg.SegmentDescription(1, "tumor", thing, thing, "MANUAL")
    mask = np.zeros((COUNT - 1, ROWS, COLUMNS, 1), np.uint8)
    mask[[0, 9, COUNT - 2], 3:7, 4:9] = 1
    seg.Segmentation(
        slices, mask, "BINARY", [described], generate_uid(), 1, generate_uid(), 1, "maker",
        "model", "1", "serial", ExplicitVRLittleEndian,
    ).save_as(tmp_path / "ana.dcm")  # fmt: skip
    found = aligned(tmp_path / "ana.dcm", source)
    start = first_used(source)
    assert shown(found) == [9 - start, COUNT - 2 - start]
    assert "MASK_NUMBERED" not in codes(found)


def test_a_run_places_a_mask_by_number_and_says_so(tmp_path):
    from click.testing import CliRunner

    from MedPrepLib.command import medprep
    from MedPrepLib.load import open_cohort

    case = tmp_path / "raw" / "north" / "p1" / "c1"
    source = series(case / "image", BEHIND)
    (case / "masks").mkdir()
    write_nifti(case / "masks" / "ana.nii.gz", as_converted(source, [8]))
    (tmp_path / "study.toml").write_text(
        'name = "gap"\n[[sources]]\nkind = "folders"\npath = "raw"\n[labels.tumor]\nvalue = 1\n'
        '[split]\ntest_fraction = 0\n[privacy]\ncase_names = "given"\n[screen.severity]\n'
        'SLICES_TRUNCATED = "note"\nSLICE_GAP = "note"\n[report]\npictures = false\n'
    )
    words = ["run", str(tmp_path / "study.toml"), "--json", "--workers", "1"]
    env = {"MEDPREP_KEY_FILE": str(tmp_path / "site.key")}
    done = CliRunner().invoke(
        medprep, words, catch_exceptions=False, standalone_mode=False, env=env
    )
    found = json.loads(done.stdout)["findings"]
    assert [f["item"] for f in found if f["code"] == "MASK_NUMBERED"] == ["north_p1_c1/ana"]
    packed = open_cohort(tmp_path / "cohort").read("north_p1_c1")
    (k,) = np.flatnonzero((packed.mask == 1).any(axis=(1, 2)))
    drawn_on = pydicom.dcmread(source.paths[2]).pixel_array
    assert (packed.image[k] == drawn_on.astype(int) - 1024).all()
