"""Series: grouping of files, order along the normal, and every way a stack can be wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pydicom
import pytest
from dicom_files import (
    COLUMN_MM,
    OBLIQUE,
    ROW_MM,
    STEP_MM,
    normal,
    position,
    save,
    set_pixels,
    slice_dataset,
    stored_pixels,
    write_series,
)
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, EnhancedMRImageStorage, JPEG2000Lossless, generate_uid

from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.headers import SliceHeader, read_header
from MedPrepLib.dicom.people import age_in_years, sex_of
from MedPrepLib.dicom.pixels import read_series
from MedPrepLib.dicom.series import Arranged, arrange, describe_objects, group_series, scan_facts
from MedPrepLib.findings import rejects
from MedPrepLib.images import geometry_from_sitk

SCREEN = Screen()


def _read(paths) -> list[SliceHeader]:
    return [read_header(str(path), SCREEN.key_tags) for path in paths]


def _arranged(paths, screen: Screen = SCREEN) -> Arranged:
    return arrange(_read(paths), "case", screen)


def _message(arranged: Arranged, code: str) -> str:
    """The message of the one finding with this code."""
    (found,) = [f for f in arranged.findings if f.code == code]
    assert "1.2." not in found.message
    assert "0042" not in found.message
    assert "/" not in found.message.replace("mm/", "")
    return found.message


def _codes(arranged: Arranged) -> set[str]:
    return {f.code for f in arranged.findings}


def _sitk_image(paths):
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(list(paths))
    return reader.Execute()


# --- good series ----------------------------------------------------------------------------


def test_the_grid_equals_simpleitks_for_an_oblique_anisotropic_series(tmp_path):
    arranged = _arranged(write_series(tmp_path))
    assert arranged.findings == ()
    geometry = arranged.geometry
    assert geometry.size == (16, 12, 5)
    assert geometry.spacing == pytest.approx((COLUMN_MM, ROW_MM, STEP_MM), abs=1e-6)
    other = geometry_from_sitk(_sitk_image(h.path for h in arranged.headers))
    assert geometry.displacement_mm(other) < 1e-4


def test_a_voxel_lies_where_the_dicom_standard_puts_it(tmp_path):
    """PS3.3 C.7.6.2.1.1: row direction times column spacing, column direction times row spacing."""
    arranged = _arranged(write_series(tmp_path))
    ds = pydicom.dcmread(arranged.headers[3].path)
    row, column = np.array(ds.ImageOrientationPatient).reshape(2, 3)
    between_rows, between_columns = ds.PixelSpacing
    i, j = 13, 2
    point = np.array(ds.ImagePositionPatient) + row * between_columns * i
    point = point + column * between_rows * j
    assert arranged.geometry.point_at((i, j, 3)) == pytest.approx(point, abs=1e-5)


@pytest.mark.parametrize("numbering", ["reversed", "shuffled", "absent", "constant"])
def test_instance_numbers_never_decide_the_order(tmp_path, numbering):
    def edit(ds, k):
        numbers = {"reversed": 50 - k, "shuffled": [3, 1, 5, 2, 4][k], "constant": 1}
        if numbering == "absent":
            del ds.InstanceNumber
        else:
            ds.InstanceNumber = numbers[numbering]

    arranged = _arranged(write_series(tmp_path, edit=edit))
    heights = [np.dot(h.position, normal()) for h in arranged.headers]
    assert heights == sorted(heights)
    assert arranged.geometry is not None
    assert arranged.findings == ()


def test_the_order_of_the_files_does_not_matter(tmp_path):
    headers = _read(write_series(tmp_path))
    assert arrange(headers, "c", SCREEN) == arrange(headers[::-1], "c", SCREEN)


def test_spacing_comes_from_positions_not_from_thickness_or_a_negative_spacing_tag(tmp_path):
    def edit(ds, _):
        ds.SliceThickness = 7
        ds.SpacingBetweenSlices = -9

    assert _arranged(write_series(tmp_path, edit=edit)).geometry.spacing[2] == pytest.approx(2)


# --- slices missing, doubled, misplaced -----------------------------------------------------


def test_a_missing_slice_is_named_with_its_position_and_never_stretched_over(tmp_path):
    arranged = _arranged(write_series(tmp_path, 9, skip=(4,)))
    assert rejects(arranged.findings)
    message = _message(arranged, "SLICE_GAP")
    assert "slices 4 and 5 of 8 are 4.000 mm apart (6.00 to 10.00 mm from the first)" in message
    assert "1 missing there" in message
    assert "slices 1 to 4 of 8, the longest even run, and to leave 4 out" in message
    assert arranged.geometry.size[2] == 4
    assert arranged.geometry.spacing[2] == pytest.approx(STEP_MM)
    assert [h.instance_number for h in arranged.headers] == [1, 2, 3, 4]
    assert len(arranged.left_aside) == 4


@pytest.mark.parametrize("skip", [(1,), (2,), (1, 2)])
def test_a_gap_in_a_stack_of_few_slices_never_sets_the_scale(tmp_path, skip):
    arranged = _arranged(write_series(tmp_path, 5, skip=skip), Screen(min_slices=2))
    assert "usual is 2.000 mm" in _message(arranged, "SLICE_GAP")
    assert arranged.geometry.spacing[2] == pytest.approx(STEP_MM)


def test_spacing_that_drifts_slowly_is_found_though_neighbors_look_alike(tmp_path):
    def edit(ds, k):
        place = k + (0.002 * k * k)  # from 2.0 to 2.15 mm over the stack
        ds.ImagePositionPatient = position(place)

    screen = Screen(gap_tolerance=0.2)
    assert _arranged(write_series(tmp_path / "a", 5, edit), screen).geometry is not None
    arranged = _arranged(write_series(tmp_path / "b", 39, edit), screen)
    assert "from where even spacing would put it" in _message(arranged, "SLICE_GAP")
    used = arranged.geometry.size[2]
    assert 5 < used < 39
    heights = np.array([np.dot(h.position, normal()) for h in arranged.headers])
    even = np.linspace(heights[0], heights[-1], used)
    assert np.abs(heights - even).max() < 0.2 * 2.1


def test_rounded_positions_are_no_gap(tmp_path):
    def edit(ds, k):
        ds.ImagePositionPatient = [round(x, 2) for x in position(k)]

    assert _arranged(write_series(tmp_path, edit=edit)).geometry is not None


def test_a_truncated_series_is_noticed_by_images_in_acquisition(tmp_path):
    def edit(ds, _):
        ds.ImagesInAcquisition = 8

    arranged = _arranged(write_series(tmp_path, 5, edit))
    assert arranged.announced == 8
    assert "5 slices found, the headers speak of 8" in _message(arranged, "SLICES_TRUNCATED")
    assert arranged.geometry is not None


def test_two_acquisitions_that_are_both_complete_are_not_truncated(tmp_path):
    def edit(ds, k):
        ds.AcquisitionNumber = 1 + (k >= 3)
        ds.ImagesInAcquisition = 3

    arranged = _arranged(write_series(tmp_path, 6, edit))
    assert arranged.announced == 6
    assert arranged.findings == ()


def test_without_any_count_completeness_is_unknown(tmp_path):
    def edit(ds, _):
        del ds.InstanceNumber

    assert _arranged(write_series(tmp_path, edit=edit)).announced is None


@pytest.mark.fault("F37")
def test_a_slice_sent_twice_is_dropped_with_a_note(tmp_path):
    paths = write_series(tmp_path)
    shutil.copy(paths[2], tmp_path / "again")
    arranged = _arranged([*paths, tmp_path / "again"])
    assert _codes(arranged) == {"DUPLICATE_SLICE"}
    assert len(arranged.headers) == 5
    assert len(arranged.left_aside) == 1
    assert arranged.geometry.spacing[2] == pytest.approx(STEP_MM)


@pytest.mark.fault("F37")
def test_one_uid_with_two_contents_is_a_conflict(tmp_path):
    paths = write_series(tmp_path)
    ds = pydicom.dcmread(paths[2])
    changed = ds.pixel_array.copy()
    changed[3, 4] += 1
    ds.PixelData = changed.tobytes()
    ds.save_as(tmp_path / "again")
    arranged = _arranged([*paths, tmp_path / "again"])
    assert "slices 3 and 4 of 6" in _message(arranged, "DUPLICATE_UID_CONFLICT")
    assert arranged.geometry is None


@pytest.mark.fault("F37")
def test_one_uid_at_two_positions_is_a_conflict(tmp_path):
    def edit(ds, k):
        ds.SOPInstanceUID = f"1.2.3.{min(k, 3)}"

    assert "DUPLICATE_UID_CONFLICT" in _codes(_arranged(write_series(tmp_path, edit=edit)))


@pytest.mark.fault("F41")
@pytest.mark.parametrize(
    ("keyword", "values", "said"),
    [
        ("DiffusionBValue", (50.0, 800.0), "b-value, 2 values (50, 800)"),
        ("TemporalPositionIdentifier", (1, 2), "TemporalPositionIdentifier"),
        ("EchoTime", (2.3, 4.6), "EchoTime (0018,0081), 2 values (2.3, 4.6)"),
        ("AcquisitionNumber", (1, 2), "AcquisitionNumber"),
    ],
)
def test_several_slices_per_position_are_rejected_naming_what_differs(
    tmp_path, keyword, values, said
):
    def edit(n):
        def change(ds, k):
            del ds.InstanceNumber
            setattr(ds, keyword, values[n])
            ds.SOPInstanceUID = f"1.2.{n + 1}.{k + 1}"
            set_pixels(ds, stored_pixels(k + 10 * n))

        return change

    paths = write_series(tmp_path / "a", edit=edit(0)) + write_series(tmp_path / "b", edit=edit(1))
    arranged = _arranged(paths)
    message = _message(arranged, "DUPLICATE_POSITION")
    assert "5 positions hold up to 2 different slices each" in message
    assert said in message
    assert arranged.geometry is None


def test_slices_that_all_lie_at_one_position_are_no_volume(tmp_path):
    def edit(ds, _):
        ds.ImagePositionPatient = position(0)

    arranged = _arranged(write_series(tmp_path, edit=edit))
    assert "all 5 slices lie at one position" in _message(arranged, "DUPLICATE_POSITION")
    assert arranged.geometry is None


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_slices_are_no_volume(tmp_path, count):
    arranged = _arranged(write_series(tmp_path, count))
    assert "at least 3 are needed" in _message(arranged, "TOO_FEW_SLICES")
    assert rejects(arranged.findings)
    assert (arranged.geometry is None) == (count == 1)  # two could be accepted, one is no volume


# --- slices that do not fit together --------------------------------------------------------


def test_a_tilted_gantry_is_rejected_with_the_shear_in_millimeters(tmp_path):
    def edit(ds, k):
        shift = k * STEP_MM * np.tan(np.deg2rad(20)) * np.array(OBLIQUE[3:])
        ds.ImagePositionPatient = [float(x) for x in np.array(position(k)) + shift]

    arranged = _arranged(write_series(tmp_path, 11, edit))
    message = _message(arranged, "GANTRY_TILT")
    assert f"slice 11 of 11 lies {20 * np.tan(np.deg2rad(20)):.2f} mm off" in message
    assert "20.0 degrees" in message
    assert arranged.geometry is None


def _moved(aside_mm, tilt_deg=0.0):
    """Slices moved along their columns, by number, in a gantry that may be tilted."""

    def edit(ds, k):
        shift = aside_mm.get(k, 0) + k * STEP_MM * np.tan(np.deg2rad(tilt_deg))
        place = np.array(position(k)) + shift * np.array(OBLIQUE[3:])
        ds.ImagePositionPatient = [f"{x:.3f}" for x in place]

    return edit


@pytest.mark.fault("F41")
@pytest.mark.parametrize("number", [0, 4, 9])
def test_a_slice_beside_the_others_is_named(tmp_path, number):
    """It is no tilt: a shear of 0.0 degrees is a riddle."""
    arranged = _arranged(write_series(tmp_path, 10, _moved({number: 7})))
    message = _message(arranged, "SLICE_DISPLACED")
    assert message == (
        f"slice {number + 1} of 10 lies 7.00 mm beside the others within the slice plane "
        "(limit 0.5 mm)"
    )
    assert _codes(arranged) == {"SLICE_DISPLACED"}
    assert arranged.geometry is None


@pytest.mark.fault("F41")
def test_a_table_that_moved_in_the_middle_leaves_its_slices_beside_the_others(tmp_path):
    arranged = _arranged(write_series(tmp_path, 10, _moved(dict.fromkeys(range(7, 10), -3))))
    assert _message(arranged, "SLICE_DISPLACED").startswith(
        "3 of 10 slices, first slice 8, lie up to 3.00 mm beside the others"
    )
    assert _codes(arranged) == {"SLICE_DISPLACED"}


@pytest.mark.fault("F41")
def test_a_slice_beside_a_tilted_stack_is_told_apart_from_the_tilt(tmp_path):
    arranged = _arranged(write_series(tmp_path, 21, _moved({5: 7}, tilt_deg=20)))
    assert "slice 6 of 21 lies 7.00 mm beside" in _message(arranged, "SLICE_DISPLACED")
    tilt = _message(arranged, "GANTRY_TILT")
    assert f"slice 21 of 21 lies {40 * np.tan(np.deg2rad(20)):.2f} mm off" in tilt
    assert "20.0 degrees" in tilt


@pytest.mark.fault("F41")
def test_a_turned_slice_is_named(tmp_path):
    def edit(ds, k):
        if k == 3:
            ds.ImageOrientationPatient = [*OBLIQUE[3:], *OBLIQUE[:3]]

    arranged = _arranged(write_series(tmp_path, 6, edit))
    message = _message(arranged, "MIXED_ORIENTATION")
    assert "slice 4 of 6 is turned by 180.0 degrees" in message


@pytest.mark.fault("F41")
def test_several_orientations_are_listed_as_sets(tmp_path):
    def edit(ds, k):
        if k >= 4:
            ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]

    message = _message(_arranged(write_series(tmp_path, 6, edit)), "MIXED_ORIENTATION")
    assert "2 orientations (4 + 2 slices)" in message


@pytest.mark.fault("F41")
def test_a_slice_of_another_size_is_named(tmp_path):
    def edit(ds, k):
        if k == 1:
            ds.Rows, ds.Columns = 16, 12

    message = _message(_arranged(write_series(tmp_path, 5, edit)), "MIXED_SIZE")
    assert "slice 2 of 5 has 12 x 16 pixels, the usual is 16 x 12 pixels" in message


@pytest.mark.fault("F41")
def test_a_slice_of_another_pixel_spacing_is_named(tmp_path):
    def edit(ds, k):
        if k == 4:
            ds.PixelSpacing = [0.5, 0.71]

    message = _message(_arranged(write_series(tmp_path, 5, edit)), "MIXED_SIZE")
    assert "slice 5 of 5 has 0.5 x 0.71 mm pixels" in message


@pytest.mark.fault("F41")
@pytest.mark.parametrize("other", ["0.781251", "0.78125", "0.78131"])
def test_pixel_spacings_that_differ_in_the_last_digit_only_are_one(tmp_path, other):
    """0.78125 and 0.781251 lie on both sides of where rounding to four digits turns."""

    def edit(ds, k):
        spacing = other if k % 3 == 0 else "0.78125"
        ds.PixelSpacing = [spacing, spacing]

    arranged = _arranged(write_series(tmp_path, 6, edit))
    assert arranged.findings == ()
    assert arranged.geometry.spacing[0] == pytest.approx(0.78125, rel=1e-4)


@pytest.mark.fault("F41")
def test_slices_of_pixel_spacings_beyond_the_tolerance_are_counted(tmp_path):
    def edit(ds, k):
        ds.PixelSpacing = [0.5, ["0.7", "0.70004", "0.7002"][k % 3]]

    message = _message(_arranged(write_series(tmp_path, 8, edit)), "MIXED_SIZE")
    assert message == (
        "slice 3 of 8 has 0.5 x 0.7002 mm pixels (2 slices in all), the usual is 0.5 x 0.7 mm "
        "pixels"
    )


@pytest.mark.fault("F41")
@pytest.mark.parametrize("change", ["bits", "sign"])
def test_a_slice_of_another_bit_depth_or_sign_is_named(tmp_path, change):
    def edit(ds, k):
        if k == 2:
            ds.BitsStored = 16 if change == "bits" else 12
            ds.PixelRepresentation = int(change == "sign")

    message = _message(_arranged(write_series(tmp_path, 5, edit)), "MIXED_BIT_DEPTH")
    assert "slice 3 of 5 has" in message
    assert "the usual is 12 of 16 bits unsigned" in message


@pytest.mark.fault("F42")
@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        (["RescaleIntercept"], "no RescaleIntercept (0028,1052)"),
        (
            ["RescaleIntercept", "RescaleSlope"],
            "no RescaleIntercept (0028,1052) and no RescaleSlope (0028,1053)",
        ),
    ],
)
def test_a_slice_without_the_rescale_values_of_the_others_is_named(tmp_path, lacking, said):
    """It would lie 1024 HU off its neighbors."""

    def edit(ds, k):
        ds.RescaleSlope = 2
        for keyword in lacking if k == 3 else ():
            delattr(ds, keyword)

    arranged = _arranged(write_series(tmp_path, 6, edit))
    assert arranged.geometry is None
    assert rejects(arranged.findings)
    message = _message(arranged, "MIXED_RESCALE")
    assert message == f"slice 4 of 6 has {said}, the usual is slope and intercept"


@pytest.mark.fault("F42")
def test_an_empty_rescale_intercept_is_an_absent_one(tmp_path):
    def edit(ds, k):
        if k < 4:
            ds.RescaleIntercept = ""

    message = _message(_arranged(write_series(tmp_path, 6, edit)), "MIXED_RESCALE")
    assert message == (
        "slice 5 of 6 has slope and intercept (2 slices in all), the usual is no RescaleIntercept "
        "(0028,1052)"
    )


@pytest.mark.fault("F42")
def test_a_rescale_value_may_be_absent_where_the_others_say_what_that_means(tmp_path):
    """And where no slice has one: stored values are the values then, as with pydicom."""

    def edit(ds, k):
        ds.RescaleIntercept = 0
        if k == 3:
            del ds.RescaleIntercept, ds.RescaleSlope

    def without(ds, k):
        del ds.RescaleIntercept, ds.RescaleSlope

    for folder, change in (("some", edit), ("all", without)):
        arranged = _arranged(write_series(tmp_path / folder, 6, change))
        assert arranged.findings == ()
        array = read_series(arranged.headers).volume.array
        stored = [pydicom.dcmread(h.path).pixel_array for h in arranged.headers]
        assert np.array_equal(array, np.stack(stored))


# --- objects that are no slices -------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "edit"),
    [
        ("COLOR_IMAGE", lambda ds: setattr(ds, "SamplesPerPixel", 3)),
        ("MULTIFRAME_UNSUPPORTED", lambda ds: setattr(ds, "NumberOfFrames", 4)),
        ("NO_POSITION", lambda ds: delattr(ds, "ImagePositionPatient")),
        ("NO_POSITION", lambda ds: delattr(ds, "ImageOrientationPatient")),
        ("NO_POSITION", lambda ds: setattr(ds, "PixelSpacing", [0, 0])),
        ("AFFINE_INVALID", lambda ds: setattr(ds, "ImageOrientationPatient", [1, 0, 0, 1, 0, 0])),
        (
            "AFFINE_INVALID",
            lambda ds: setattr(ds, "ImageOrientationPatient", [1, 0, 0, 0.5, 0.87, 0]),
        ),
        ("PIXELS_UNREADABLE", lambda ds: delattr(ds, "PixelData")),
        ("PIXELS_UNREADABLE", lambda ds: setattr(ds, "PixelData", bytes(100))),
        ("PIXELS_UNREADABLE", lambda ds: setattr(ds, "BitsStored", 17)),
        ("FILE_UNREADABLE", lambda ds: setattr(ds, "RescaleSlope", 0)),
    ],
)
def test_slices_that_cannot_be_read_as_gray_images_are_rejected(tmp_path, code, edit):
    arranged = _arranged(write_series(tmp_path, edit=lambda ds, _: edit(ds)))
    assert _message(arranged, code)
    assert arranged.geometry is None


@pytest.mark.fault("F16")
def test_a_truncated_file_is_found_before_its_pixels_are_read(tmp_path):
    paths = write_series(tmp_path)
    whole = Path(paths[1]).read_bytes()
    Path(paths[1]).write_bytes(whole[:-100])
    message = _message(_arranged(paths), "PIXELS_UNREADABLE")
    assert "1 of 5 files: pixel data are truncated, 384 bytes expected, 284 found" in message


@pytest.mark.fault("F17", "F19")
def test_a_small_compressed_file_cannot_promise_gigabytes(tmp_path):
    def edit(ds, _):
        ds.Rows = ds.Columns = 65535
        ds.PixelData = pydicom.encaps.encapsulate([bytes(64)])
        ds["PixelData"].is_undefined_length = True

    arranged = _arranged(write_series(tmp_path, 3, edit, syntax=JPEG2000Lossless))
    assert "bytes promised" in _message(arranged, "IMPLAUSIBLE_SIZE")


@pytest.mark.fault("F17")
def test_more_voxels_than_the_limit_are_implausible(tmp_path):
    arranged = _arranged(write_series(tmp_path, 6), Screen(max_voxels=1000))
    assert "16 x 12 x 6 voxels" in _message(arranged, "IMPLAUSIBLE_SIZE")


@pytest.mark.parametrize(
    ("modality", "image_type", "burned_in", "risk"),
    [("US", "AXIAL", None, True), ("XA", "AXIAL", None, True), ("US", "AXIAL", "NO", False),
     ("CT", "SCREEN SAVE", None, True), ("CT", "AXIAL", None, False), ("MR", "MPR", None, False)],
)  # fmt: skip
def test_text_in_the_pixels_is_feared_where_devices_write_it(
    tmp_path, modality, image_type, burned_in, risk
):
    def edit(ds, _):
        ds.Modality = modality
        ds.ImageType = ["ORIGINAL", "PRIMARY", image_type]
        if burned_in:
            ds.BurnedInAnnotation = burned_in

    codes = _codes(_arranged(write_series(tmp_path, edit=edit)))
    assert ("BURNED_IN_RISK" in codes) == risk


def test_slices_that_cannot_be_read_are_no_copies_of_each_other(tmp_path):
    def edit(name):
        def change(ds, k):
            ds.SOPInstanceUID = f"1.2.{k + 1}.{name}"
            ds.SeriesInstanceUID = "1.2.3"

        return change

    headers = _read(write_series(tmp_path / "a", edit=edit(1)))
    headers += _read(write_series(tmp_path / "b", edit=edit(2)))
    for header in headers:
        Path(header.path).unlink()
    assert "DUPLICATE_POSITION" in _codes(arrange(headers, "case", SCREEN))


def test_a_localizer_is_no_volume_and_no_fault(tmp_path):
    def edit(ds, _):
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    arranged = _arranged(write_series(tmp_path, edit=edit))
    assert _codes(arranged) == {"LOCALIZER"}
    assert arranged.geometry is None


@pytest.mark.fault("F41")
def test_a_localizer_inside_a_series_is_left_aside(tmp_path):
    def edit(ds, k):
        if k == 5:
            ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]

    arranged = _arranged(write_series(tmp_path, 6, edit))
    assert "1 of 6 files are localizers" in _message(arranged, "LOCALIZER")
    assert arranged.geometry.size[2] == 5


def test_a_derived_series_is_used_but_reviewed(tmp_path):
    def edit(ds, _):
        ds.ImageType = ["DERIVED", "SECONDARY", "MPR"]

    arranged = _arranged(write_series(tmp_path, edit=edit))
    assert "5 of 5 slices are derived" in _message(arranged, "DERIVED")
    assert arranged.geometry is not None


def _object(folder: Path, sop_class: str, modality: str, **attributes) -> str:
    ds = slice_dataset(0, "1.2.3.77")
    for keyword in ("PixelData", "Rows", "Columns", "ImagePositionPatient"):
        del ds[keyword]
    ds.SOPClassUID, ds.Modality = sop_class, modality
    for name, value in attributes.items():
        setattr(ds, name, value)
    return str(save(ds, folder / f"{modality}-{generate_uid()[-8:]}"))


def test_objects_that_are_no_images_are_told_apart_and_counted(tmp_path):
    storage = "1.2.840.10008.5.1.4.1.1."
    paths = write_series(tmp_path / "ct")
    paths += [
        _object(tmp_path, storage + "88.33", "SR"),
        _object(tmp_path, storage + "481.5", "RTPLAN"),
        _object(tmp_path, storage + "481.2", "RTDOSE"),
        _object(tmp_path, storage + "11.1", "PR"),
        _object(tmp_path, storage + "7", "CT"),
    ]
    groups = group_series(_read(paths))
    assert {g.kind: len(g.headers) for g in groups} == {"image": 5, "other": 5}
    findings = describe_objects(groups, "source")
    text = " ".join(f.message for f in findings)
    for word in ("structured report", "RT plan", "RT dose", "presentation state", "secondary"):
        assert word in text
    assert {f.severity.word for f in findings} == {"note"}
    assert "BURNED_IN_RISK" in {f.code for f in findings}


def test_annotation_objects_name_the_series_they_were_drawn_on(tmp_path):
    series = Dataset()
    series.SeriesInstanceUID = "1.2.3.4"
    study = Dataset()
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.RTReferencedStudySequence = [study]
    rtstruct = _object(
        tmp_path, "1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT",
        ReferencedFrameOfReferenceSequence=[frame],
    )  # fmt: skip
    seg = _object(
        tmp_path, "1.2.840.10008.5.1.4.1.1.66.4", "SEG", ReferencedSeriesSequence=[series]
    )
    groups = group_series(_read([rtstruct, seg]))
    assert {(g.kind, g.referenced_series) for g in groups} == {
        ("rtstruct", ("1.2.3.4",)),
        ("seg", ("1.2.3.4",)),
    }


@pytest.mark.fault("F41")
def test_series_are_told_apart_by_uid_and_by_folder_where_there_is_none(tmp_path):
    def nameless(ds, _):
        del ds.SeriesInstanceUID
        del ds.SOPClassUID

    headers = []
    for name, edit in (("a", None), ("b", None), ("c", nameless), ("d", nameless)):
        headers += _read(write_series(tmp_path / name, 3, edit))
    groups = group_series(headers)
    assert [len(g.headers) for g in groups] == [3, 3, 3, 3]
    assert len({g.key for g in groups}) == 4
    assert {g.kind for g in groups} == {"image"}


@pytest.mark.fault("F41")
def test_two_patients_under_one_series_uid_are_kept_apart(tmp_path):
    def edit(patient):
        def change(ds, _):
            ds.SeriesInstanceUID = "1.2.3"
            ds.PatientID = patient

        return change

    paths = write_series(tmp_path / "a", 3, edit("1")) + write_series(tmp_path / "b", 3, edit("2"))
    assert len(group_series(_read(paths))) == 2


@pytest.mark.fault("F41")
@pytest.mark.parametrize("other", [" 0042A", "0042a", "0042A  "])
def test_a_series_is_not_parted_by_the_spelling_of_its_patient_id(tmp_path, other):
    """Alternate slices would be two cases at twice the spacing."""

    def edit(ds, k):
        ds.PatientID = other if k % 2 else "0042A"

    headers = _read(write_series(tmp_path, 10, edit))
    (group,) = group_series(headers)
    arranged = arrange(group.headers, "case", SCREEN)
    assert (len(arranged.headers), arranged.findings) == (10, ())
    assert arranged.geometry.spacing[2] == pytest.approx(STEP_MM)
    assert scan_facts(group.headers)[1].id.strip().upper() == "0042A"


def test_two_objects_whose_names_differ_in_case_are_two_readings(tmp_path):
    (header,) = _read([_object(tmp_path, "1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT")])
    named = [msgspec.structs.replace(header, path=name) for name in ("r.dcm", "R.dcm")]
    groups = group_series(named)
    assert [len(g.headers) for g in groups] == [1, 1]


# --- facts ----------------------------------------------------------------------------------


def test_the_facts_of_a_series_fill_scan_patient_and_links(tmp_path):
    def edit(ds, k):
        ds.KVP = 120
        ds.ConvolutionKernel = ["I31f", "3"]
        if k == 2:
            ds.BitsStored = 16

    keys = (*SCREEN.key_tags, "StudyDescription")
    headers = [read_header(p, keys) for p in write_series(tmp_path, edit=edit)]
    scan, patient, links = scan_facts(headers, keys)
    assert (scan.modality, scan.manufacturer, scan.kvp) == ("CT", "ACME", 120)
    assert scan.kernel == "I31f, 3"
    assert scan.bits_stored == (12, 16)
    assert scan.missing_tags == ("StudyDescription",)
    assert (patient.id, patient.sex, patient.age_years) == ("0042", "F", 1)
    assert links.frame_of_reference_uid == "1.2.9"


@pytest.mark.parametrize(
    ("text", "years"),
    [("059Y", 59), ("018M", 1), ("011M", 0), ("051W", 0), ("104W", 1), ("730D", 1), ("731D", 2),
     ("7", 7), ("", None), ("Y", None), ("-01Y", None), ("59YY", None)],
)  # fmt: skip
def test_ages_become_completed_years(text, years):
    assert age_in_years(text) == years


def test_sexes_become_four_words():
    assert [sex_of(s) for s in ("M", "f", "O", "", "W", "female")] == [
        "M", "F", "O", "unknown", "unknown", "F",
    ]  # fmt: skip


# --- multi-frame objects --------------------------------------------------------------------


def _item(**attributes) -> list[Dataset]:
    item = Dataset()
    for name, value in attributes.items():
        setattr(item, name, value)
    return [item]


def _enhanced(folder: Path, order=(2, 0, 3, 1), edit=None) -> str:
    """An enhanced MR whose frames are stored in ``order``, each with a slope of its own."""
    ds = slice_dataset(0)
    ds.SOPClassUID = EnhancedMRImageStorage
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        del ds[keyword]
    ds.NumberOfFrames = len(order)
    ds.PixelData = b"".join(stored_pixels(k).tobytes() for k in order)
    shared = Dataset()
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=[f"{x:.10f}" for x in OBLIQUE])
    shared.PixelMeasuresSequence = _item(PixelSpacing=[ROW_MM, COLUMN_MM], SliceThickness=9)
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = []
    for k in order:
        frame = Dataset()
        frame.PlanePositionSequence = _item(ImagePositionPatient=position(k))
        frame.PixelValueTransformationSequence = _item(RescaleSlope=k + 1, RescaleIntercept=k)
        ds.PerFrameFunctionalGroupsSequence.append(frame)
    if edit is not None:
        edit(ds)
    return str(save(ds, folder / "enhanced"))


def test_frames_are_ordered_and_scaled_by_their_own_functional_groups(tmp_path):
    arranged = _arranged([_enhanced(tmp_path)])
    assert arranged.findings == ()
    assert [h.frame for h in arranged.headers] == [1, 3, 0, 2]
    assert arranged.geometry.spacing == pytest.approx((COLUMN_MM, ROW_MM, STEP_MM), abs=1e-6)
    array = read_series(arranged.headers).volume.array
    for k in range(4):
        assert np.array_equal(array[k], stored_pixels(k) * (k + 1.0) + k)
    assert arrange(arranged.headers, "case", SCREEN) == arranged


def test_two_frames_at_one_position_are_no_volume(tmp_path):
    arranged = _arranged([_enhanced(tmp_path, order=(0, 1, 1, 2, 3))])
    assert "DUPLICATE_SLICE" in _codes(arranged)  # same place, same scale, same pixels

    def later(ds):
        groups = ds.PerFrameFunctionalGroupsSequence[2]
        groups.PixelValueTransformationSequence = _item(RescaleSlope=9, RescaleIntercept=0)
        groups.FrameContentSequence = _item(TemporalPositionIndex=2)
        ds.PerFrameFunctionalGroupsSequence[1].FrameContentSequence = _item(TemporalPositionIndex=1)

    arranged = _arranged([_enhanced(tmp_path, order=(0, 1, 1, 2, 3), edit=later)])
    assert "TemporalPositionIdentifier" in _message(arranged, "DUPLICATE_POSITION")


@pytest.mark.parametrize(
    ("code", "edit"),
    [
        ("FILE_UNREADABLE", lambda ds: ds.PerFrameFunctionalGroupsSequence.pop()),
        ("NO_POSITION", lambda ds: delattr(
            ds.PerFrameFunctionalGroupsSequence[1], "PlanePositionSequence")),
        ("NO_POSITION", lambda ds: delattr(ds, "SharedFunctionalGroupsSequence")),
        ("PIXELS_UNREADABLE", lambda ds: setattr(ds, "PixelData", ds.PixelData[:1000])),
        ("MULTIFRAME_UNSUPPORTED", lambda ds: setattr(ds, "SOPClassUID", CTImageStorage)),
    ],
)  # fmt: skip
def test_multi_frame_objects_with_incomplete_groups_are_rejected(tmp_path, code, edit):
    arranged = _arranged([_enhanced(tmp_path, edit=edit)])
    assert _message(arranged, code)
    assert arranged.geometry is None


# --- slices of several acquisitions ----------------------------------------------------------


def _two_acquisitions(edit, number_of):
    """Eight slices; ``edit`` changes those of which ``number_of`` says 1."""

    def change(ds, k: int) -> None:
        if number_of(k):
            edit(ds)

    return change


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("AcquisitionNumber", lambda ds: setattr(ds, "AcquisitionNumber", 2)),
        ("KVP", lambda ds: setattr(ds, "KVP", 80)),
        ("ConvolutionKernel", lambda ds: setattr(ds, "ConvolutionKernel", "B70f")),
    ],
)
def test_acquisitions_that_lie_in_each_other_are_told(tmp_path, name, edit):
    """Half a step apart they make an evenly spaced stack, and no volume."""
    paths = write_series(tmp_path / "mixed", 8, _two_acquisitions(edit, lambda k: k % 2))
    message = _message(_arranged(paths), "SLICES_ALTERNATE")
    assert f"2 values of {name}" in message
    assert "change 7 times" in message
    after = write_series(tmp_path / "after", 8, _two_acquisitions(edit, lambda k: k > 3))
    assert _arranged(after).findings == ()


def test_packages_of_an_mr_may_lie_in_each_other(tmp_path):
    def packed(ds, k: int) -> None:
        ds.Modality, ds.AcquisitionNumber = "MR", 1 + k % 2

    assert _arranged(write_series(tmp_path, 8, packed)).findings == ()


@pytest.mark.parametrize(("frames", "severity"), [(2, "review"), (8, "note")])
def test_several_frames_of_reference_of_one_stack_are_told(tmp_path, frames, severity):
    def placed(ds, k: int) -> None:
        ds.FrameOfReferenceUID = f"1.2.9.{k % frames}"

    (finding,) = _arranged(write_series(tmp_path, 8, placed)).findings
    assert (finding.code, finding.severity.word) == ("MIXED_FRAME", severity)
    assert f"8 slices name {frames} frames of reference" in finding.message
