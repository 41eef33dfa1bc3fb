"""Series that hold several volumes: what divides them, and what leaves them whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_files import (
    COLUMN_MM,
    OBLIQUE,
    ROW_MM,
    position,
    save,
    set_pixels,
    slice_dataset,
    stored_pixels,
    write_series,
)
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage

from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.headers import read_header
from MedPrepLib.dicom.pixels import read_series
from MedPrepLib.dicom.series import Arranged, arrange_volumes
from MedPrepLib.findings import rejects
from MedPrepLib.images import from_sitk

SCREEN = Screen()
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def _volumes(paths, screen: Screen = SCREEN) -> list[Arranged]:
    return list(arrange_volumes([read_header(str(p)) for p in paths], "case", screen))


def _codes(arranged: Arranged) -> set[str]:
    return {f.code for f in arranged.findings}


def _message(arranged: Arranged, code: str) -> str:
    (found,) = [f for f in arranged.findings if f.code == code]
    return found.message


def _series(
    folder: Path, volumes: int, edit: Callable[[Dataset, int, int], None], count: int = 4, **kwargs
) -> list[str]:
    """One series of ``volumes`` x ``count`` slices at the same positions; ``edit(ds, n, k)``."""
    paths = []
    for n in range(volumes):

        def change(ds: Dataset, k: int, n: int = n) -> None:
            ds.SeriesInstanceUID = "1.2.3.4"
            ds.SOPInstanceUID = f"1.2.3.4.{n + 1}.{k + 1}"
            ds.InstanceNumber = 1 + n + k * volumes  # interleaved, as scanners number echoes
            set_pixels(ds, stored_pixels(k + 100 * n))
            edit(ds, n, k)

        paths += write_series(folder / str(n), count, change, **kwargs)
    return paths


def _assert_read_as_by_simpleitk(arranged: Arranged, folder: Path) -> None:
    """Voxels and grid equal what SimpleITK's GDCM makes of the files of one folder."""
    import SimpleITK as sitk

    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    other = from_sitk(reader.Execute())
    assert {h.path for h in arranged.headers} == set(names)
    assert arranged.geometry.displacement_mm(other.geometry) < 1e-3
    assert np.array_equal(read_series(arranged.headers).volume.array, other.array)


SEPARATORS = {
    "b-value": (lambda ds, n: setattr(ds, "DiffusionBValue", (0.0, 62.5, 800.0)[n]),
                ["b0", "b62_5", "b800"], "b-value (0, 62.5, 800); this is b0, b-value 0"),
    "time": (lambda ds, n: setattr(ds, "TemporalPositionIdentifier", n + 1),
             ["t001", "t002", "t003"], "TemporalPositionIdentifier (0020,0100) (1, 2, 3)"),
    "phase": (lambda ds, n: setattr(ds, "TriggerTime", 40.5 * n),
              ["phase01", "phase02", "phase03"], "TriggerTime (0018,1060) (0 ms, 40.5 ms, 81 ms)"),
    "echo": (lambda ds, n: setattr(ds, "EchoTime", 2.3 * (3 - n)),
             ["echo1", "echo2", "echo3"], "EchoTime (0018,0081) (2.3 ms, 4.6 ms, 6.9 ms)"),
    "echo number": (lambda ds, n: setattr(ds, "EchoNumbers", n + 1),
                    ["echo1", "echo2", "echo3"], "EchoNumbers (0018,0086) (1, 2, 3)"),
    "acquisition": (lambda ds, n: setattr(ds, "AcquisitionNumber", 12 + n),
                    ["acq12", "acq13", "acq14"], "AcquisitionNumber (0020,0012) (12, 13, 14)"),
    "component": (lambda ds, n: setattr(ds, "ComplexImageComponent",
                                        ("PHASE", "MAGNITUDE", "REAL")[n]),
                  ["magnitude", "phase", "real"], "ComplexImageComponent (0008,9208)"),
    "image type": (lambda ds, n: setattr(ds, "ImageType",
                                         ["ORIGINAL", "PRIMARY", ("M", "P", "R")[n], "ND"]),
                   ["magnitude", "phase", "real"], "ImageType (0008,0008)"),
    "unknown type": (lambda ds, n: setattr(ds, "ImageType",
                                           ["ORIGINAL", "PRIMARY", ("DOE", "JOHN", "X")[n]]),
                     ["type1", "type2", "type3"], "ImageType (0008,0008) (1, 2, 3)"),
    "direction": (lambda ds, n: setattr(ds, "DiffusionGradientOrientation", list(np.eye(3)[n])),
                  ["dir01", "dir02", "dir03"], "diffusion direction (0 0 1, 0 1 0, 1 0 0)"),
}  # fmt: skip


@pytest.mark.parametrize("name", SEPARATORS)
def test_slices_at_one_position_are_divided_by_what_tells_them_apart(tmp_path, name):
    edit, parts, said = SEPARATORS[name]
    volumes = _volumes(_series(tmp_path, 3, lambda ds, n, _: edit(ds, n)))
    assert [v.part for v in volumes] == parts
    for volume in volumes:
        assert _codes(volume) == {"SUB_SERIES"}
        message = _message(volume, "SUB_SERIES")
        assert "the series of 12 slices holds 3 volumes by" in message
        assert f"this is {volume.part}, " in message
        assert "JOHN" not in message
        (folder,) = {str(Path(h.path).parent) for h in volume.headers}
        _assert_read_as_by_simpleitk(volume, Path(folder))
    assert said in _message(volumes[0], "SUB_SERIES")


def test_siemens_directions_are_read_from_its_private_element(tmp_path):
    def edit(ds, n, _):
        ds.Manufacturer = "SIEMENS"
        ds.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
        ds.add_new(0x0019100C, "IS", "1000")
        ds.add_new(0x0019100E, "FD", list(np.eye(3)[n]))

    assert [v.part for v in _volumes(_series(tmp_path, 2, edit))] == ["dir01", "dir02"]


def test_the_first_attribute_that_separates_cleanly_wins(tmp_path):
    def edit(ds, n, k):
        ds.DiffusionBValue = (0.0, 800.0)[n]
        ds.AcquisitionNumber = n + 1
        ds.TriggerTime = 10 * k + n  # another value in every slice: separates nothing cleanly

    assert [v.part for v in _volumes(_series(tmp_path, 2, edit))] == ["b0", "b800"]


def test_several_attributes_separate_together_what_none_does_alone(tmp_path):
    def edit(ds, n, _):
        ds.EchoTime = (5.0, 10.0)[n % 2]
        ds.ImageType = ["ORIGINAL", "PRIMARY", ("M", "P")[n // 2]]

    volumes = _volumes(_series(tmp_path, 4, edit))
    parts = ["echo1_magnitude", "echo1_phase", "echo2_magnitude", "echo2_phase"]
    assert [v.part for v in volumes] == parts
    assert "EchoTime (0018,0081) and ImageType (0008,0008)" in _message(volumes[0], "SUB_SERIES")
    for volume, n in zip(volumes, (0, 2, 1, 3), strict=True):
        _assert_read_as_by_simpleitk(volume, tmp_path / str(n))


def test_directions_of_one_b_value_are_volumes_and_b_zero_needs_no_direction(tmp_path):
    def edit(ds, n, _):
        ds.DiffusionBValue = 800.0 if n < 3 else 0.0
        if n < 3:
            ds.DiffusionGradientOrientation = list(np.eye(3)[n])
        if n == 4:  # a second b = 0: only its number in the scan tells it apart
            ds.AcquisitionNumber = 2

    volumes = _volumes(_series(tmp_path, 5, edit))
    assert [v.part for v in volumes] == [
        "b0_acq1", "b0_acq2", "b800_acq1_dir01", "b800_acq1_dir02", "b800_acq1_dir03",
    ]  # fmt: skip
    volumes = _volumes(_series(tmp_path / "without", 4, edit))
    assert [v.part for v in volumes] == ["b0", "b800_dir01", "b800_dir02", "b800_dir03"]


def test_trigger_times_that_differ_per_slice_are_ranked(tmp_path):
    def edit(ds, n, k):
        ds.TriggerTime = 40 * n + k

    volumes = _volumes(_series(tmp_path, 3, edit))
    assert [v.part for v in volumes] == ["phase01", "phase02", "phase03"]
    for n, volume in enumerate(volumes):
        _assert_read_as_by_simpleitk(volume, tmp_path / str(n))


def test_a_time_series_that_only_instance_numbers_count_is_divided_in_blocks(tmp_path):
    def edit(ds, n, k):
        ds.InstanceNumber = 1 + 4 * n + k

    volumes = _volumes(_series(tmp_path, 3, edit))
    assert [v.part for v in volumes] == ["t001", "t002", "t003"]
    for n, volume in enumerate(volumes):
        _assert_read_as_by_simpleitk(volume, tmp_path / str(n))


def test_interleaved_instance_numbers_alone_divide_nothing(tmp_path):
    (volume,) = _volumes(_series(tmp_path, 2, lambda *_: None))
    assert _codes(volume) >= {"DUPLICATE_POSITION"}
    assert volume.geometry is None


def test_sets_that_are_not_full_leave_the_series_whole_and_are_listed(tmp_path):
    def edit(ds, n, k):
        ds.DiffusionBValue = (0.0, 800.0)[n]
        del ds.InstanceNumber

    paths = _series(tmp_path, 2, edit, count=5)
    (volume,) = _volumes(paths[:-1])
    message = _message(volume, "DUPLICATE_POSITION")
    assert "b-value, 2 values (0, 800) in sets of 5 + 4 slices" in message
    assert volume.geometry is None
    assert volume.part == ""


def test_volumes_with_fewer_slices_than_a_volume_needs_are_not_made(tmp_path):
    def edit(ds, n, _):
        ds.DiffusionBValue = 100.0 * n

    paths = _series(tmp_path, 3, edit, count=2)
    (volume,) = _volumes(paths)
    assert "DUPLICATE_POSITION" in _codes(volume)
    assert len(_volumes(paths, Screen(min_slices=2))) == 3


def test_slices_that_do_not_collide_are_never_divided(tmp_path):
    def edit(ds, k):
        ds.AcquisitionNumber = 1 + k // 3
        ds.EchoTime = 10.0 + k // 3

    (volume,) = _volumes(write_series(tmp_path, 6, edit))
    assert volume.part == ""
    assert volume.findings == ()


def test_a_copy_inside_one_volume_is_dropped_and_the_others_are_whole(tmp_path):
    def edit(ds, n, _):
        ds.DiffusionBValue = (0.0, 800.0)[n]

    paths = _series(tmp_path, 2, edit)
    shutil.copy(paths[5], tmp_path / "again")
    first, second = _volumes([*paths, tmp_path / "again"])
    assert _codes(first) == {"SUB_SERIES"}
    assert _codes(second) == {"SUB_SERIES", "DUPLICATE_SLICE"}
    assert len(first.headers) == len(second.headers) == 4


def test_a_series_sent_twice_is_one_volume_whatever_its_acquisition_numbers_say(tmp_path):
    def edit(ds, n, k):
        ds.AcquisitionNumber = n + 1
        set_pixels(ds, stored_pixels(k))

    (volume,) = _volumes(_series(tmp_path, 2, edit))
    assert _codes(volume) == {"DUPLICATE_SLICE"}
    assert len(volume.headers) == 4


def test_equal_slices_of_different_volumes_are_no_copies(tmp_path):
    """The outer slices of a masked volume are empty at every b-value."""

    def edit(ds, n, k):
        ds.DiffusionBValue = (0.0, 800.0)[n]
        if k in (0, 3):
            set_pixels(ds, np.zeros_like(stored_pixels(0)))

    first, second = _volumes(_series(tmp_path, 2, edit))
    assert _codes(first) == _codes(second) == {"SUB_SERIES"}
    assert len(first.headers) == len(second.headers) == 4


def test_one_uid_with_two_contents_is_a_conflict_also_between_volumes(tmp_path):
    def edit(ds, n, k):
        ds.DiffusionBValue = (0.0, 800.0)[n]
        ds.SOPInstanceUID = f"1.2.3.{k + 1}"

    (volume,) = _volumes(_series(tmp_path, 2, edit))
    assert "DUPLICATE_UID_CONFLICT" in _codes(volume)


def test_the_result_does_not_depend_on_the_order_of_the_files(tmp_path):
    def edit(ds, n, _):
        ds.EchoTime = 5.0 * (n + 1)

    headers = [read_header(p) for p in _series(tmp_path, 3, edit)]
    rng = np.random.default_rng(5)
    shuffled = [headers[n] for n in rng.permutation(len(headers))]
    assert arrange_volumes(shuffled, "c", SCREEN) == arrange_volumes(headers, "c", SCREEN)


# --- orientation ----------------------------------------------------------------------------


def _turned(ds: Dataset, orientation: tuple[float, ...], k: int) -> None:
    ds.ImageOrientationPatient = [f"{x:.10f}" for x in orientation]
    ds.ImagePositionPatient = [f"{x:.8g}" for x in position(k, orientation)]


def test_orientations_with_enough_slices_are_volumes_of_their_own(tmp_path):
    planes = (AXIAL, OBLIQUE, (0.0, 1.0, 0.0, 0.0, 0.0, -1.0))
    paths = _series(tmp_path, 3, lambda ds, n, k: _turned(ds, planes[n], k))
    volumes = _volumes(paths)
    assert [v.part for v in volumes] == ["axial", "coronal", "sagittal"]
    for n, volume in enumerate(volumes):
        assert _codes(volume) == {"SUB_SERIES"}
        assert "by orientation (axial, coronal, sagittal)" in _message(volume, "SUB_SERIES")
        _assert_read_as_by_simpleitk(volume, tmp_path / str(n))


def test_orientations_near_one_plane_are_numbered(tmp_path):
    tilted = (1.0, 0.0, 0.0, 0.0, float(np.cos(0.3)), float(np.sin(0.3)))
    paths = _series(tmp_path, 2, lambda ds, n, k: _turned(ds, (AXIAL, tilted)[n], k))
    assert [v.part for v in _volumes(paths)] == ["axial1", "axial2"]


def test_one_odd_slice_still_rejects_the_whole_series(tmp_path):
    def edit(ds, k):
        if k == 3:
            ds.ImageOrientationPatient = [*OBLIQUE[3:], *OBLIQUE[:3]]

    (volume,) = _volumes(write_series(tmp_path, 6, edit))
    assert "slice 4 of 6 is turned" in _message(volume, "MIXED_ORIENTATION")
    assert volume.geometry is None


def test_an_orientation_may_hold_several_volumes(tmp_path):
    def edit(ds, n, k):
        _turned(ds, AXIAL if n < 2 else OBLIQUE, k)
        ds.DiffusionBValue = (0.0, 800.0, 0.0)[n]

    volumes = _volumes(_series(tmp_path, 3, edit))
    assert [v.part for v in volumes] == ["axial_b0", "axial_b800", "coronal"]
    for n, volume in enumerate(volumes):
        _assert_read_as_by_simpleitk(volume, tmp_path / str(n))


# --- limits and counts ----------------------------------------------------------------------


def test_more_volumes_than_the_limit_are_one_rejected_case_that_says_so(tmp_path):
    paths = _series(
        tmp_path, 5, lambda ds, n, _: setattr(ds, "TemporalPositionIdentifier", n), count=3
    )
    (volume,) = _volumes(paths, Screen(max_sub_series=4))
    message = _message(volume, "TOO_MANY_VOLUMES")
    assert "15 slices form 5 volumes by TemporalPositionIdentifier" in message
    assert "the limit of 4 (screen.max_sub_series)" in message
    assert volume.geometry is None
    assert rejects(volume.findings)
    assert len(_volumes(paths, Screen(max_sub_series=5))) == 5


def test_a_series_that_is_complete_has_no_truncated_volumes(tmp_path):
    """Numbers jump within a volume: 1, 2, 9, 10, ... as slabs of two slices are scanned."""

    def edit(ds, n, k):
        ds.EchoTime = 5.0 * (n + 1)
        ds.InstanceNumber = 1 + k % 2 + 2 * n + 6 * (k // 2)
        ds.ImagesInAcquisition = 12

    for volume in _volumes(_series(tmp_path / "a", 3, edit)):
        assert _codes(volume) == {"SUB_SERIES"}

    def without_count(ds, n, k):
        edit(ds, n, k)
        del ds.ImagesInAcquisition

    for volume in _volumes(_series(tmp_path / "b", 3, without_count)):
        assert _codes(volume) == {"SUB_SERIES"}


def test_a_truncated_series_is_said_of_each_of_its_volumes(tmp_path):
    def edit(ds, n, k):
        ds.EchoTime = 5.0 * (n + 1)
        ds.ImagesInAcquisition = 12

    for volume in _volumes(_series(tmp_path, 2, edit)):
        message = _message(volume, "SLICES_TRUNCATED")
        assert message == "8 slices found, the headers speak of 12"


def test_a_gap_in_every_volume_is_a_gap_and_not_a_collision(tmp_path):
    def edit(ds, n, _):
        ds.EchoTime = 5.0 * (n + 1)

    volumes = _volumes(_series(tmp_path, 2, edit, count=8, skip=(5,)))
    assert [v.part for v in volumes] == ["echo1", "echo2"]
    for volume in volumes:
        assert "slices 1 to 5 of 7" in _message(volume, "SLICE_GAP")
        assert volume.geometry.size[2] == 5


def test_pixels_are_read_only_until_two_slices_differ(tmp_path):
    """A long time series is divided by its headers: one slice per position is never touched."""
    paths = _series(tmp_path, 4, lambda ds, n, _: setattr(ds, "TemporalPositionIdentifier", n))
    headers = [read_header(p) for p in paths]
    for header in headers:
        if header.position != headers[0].position:
            Path(header.path).unlink()
    assert len(arrange_volumes(headers, "case", SCREEN)) == 4


# --- multi-frame objects --------------------------------------------------------------------


def _item(**attributes) -> list[Dataset]:
    item = Dataset()
    for name, value in attributes.items():
        setattr(item, name, value)
    return [item]


def _enhanced(folder: Path, describe: Callable[[Dataset, int], None], volumes: int = 2) -> str:
    """An enhanced MR of ``volumes`` x 4 frames; ``describe(frame, n)`` says which volume."""
    ds = slice_dataset(0)
    ds.SOPClassUID = EnhancedMRImageStorage
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        del ds[keyword]
    order = [(n, k) for k in range(4) for n in range(volumes)]
    ds.NumberOfFrames = len(order)
    ds.PixelData = b"".join(stored_pixels(k + 100 * n).tobytes() for n, k in order)
    shared = Dataset()
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=[f"{x:.10f}" for x in OBLIQUE])
    shared.PixelMeasuresSequence = _item(PixelSpacing=[ROW_MM, COLUMN_MM])
    shared.PixelValueTransformationSequence = _item(RescaleSlope=1, RescaleIntercept=0)
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = []
    for n, k in order:
        frame = Dataset()
        frame.PlanePositionSequence = _item(ImagePositionPatient=position(k))
        frame.FrameContentSequence = _item(DimensionIndexValues=[k + 1, 1])
        describe(frame, n)
        ds.PerFrameFunctionalGroupsSequence.append(frame)
    return str(save(ds, folder / "enhanced"))


def _direction(frame: Dataset, n: int) -> None:
    direction = _item(DiffusionGradientOrientation=list(np.eye(3)[n]))
    frame.MRDiffusionSequence = _item(
        DiffusionBValue=800.0, DiffusionGradientDirectionSequence=direction
    )


def _content(**attributes) -> Callable[[Dataset, int], None]:
    def describe(frame: Dataset, n: int) -> None:
        for name, values in attributes.items():
            setattr(frame.FrameContentSequence[0], name, values[n])

    return describe


FRAMES = {
    "b-value": (lambda f, n: setattr(f, "MRDiffusionSequence", _item(DiffusionBValue=500.0 * n)),
                ["b0", "b500"]),
    "echo": (lambda f, n: setattr(f, "MREchoSequence", _item(EffectiveEchoTime=4.0 + n)),
             ["echo1", "echo2"]),
    "time": (_content(TemporalPositionIndex=(1, 2)), ["t001", "t002"]),
    "phase": (lambda f, n: setattr(f, "CardiacSynchronizationSequence",
                                   _item(NominalCardiacTriggerDelayTime=30.0 * n)),
              ["phase01", "phase02"]),
    "direction": (_direction, ["dir01", "dir02"]),
    "component": (lambda f, n: setattr(f, "MRImageFrameTypeSequence", _item(
        ComplexImageComponent=("MAGNITUDE", "PHASE")[n],
        FrameType=["ORIGINAL", "PRIMARY", "M", "NONE"])), ["magnitude", "phase"]),
    "frame type": (lambda f, n: setattr(f, "MRImageFrameTypeSequence", _item(
        FrameType=["ORIGINAL", "PRIMARY", ("WATER", "FAT")[n], "NONE"])), ["fat", "water"]),
    "stack": (_content(StackID=("1", "2")), ["stack1", "stack2"]),
    "dimension": (lambda f, n: setattr(f.FrameContentSequence[0], "DimensionIndexValues",
                                       [f.FrameContentSequence[0].DimensionIndexValues[0], n + 1]),
                  ["dim2_1", "dim2_2"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_frames_of_one_object_are_divided_by_their_functional_groups(tmp_path, name):
    describe, parts = FRAMES[name]
    volumes = _volumes([_enhanced(tmp_path, describe)])
    assert [v.part for v in volumes] == parts
    order = (1, 0) if name == "frame type" else (0, 1)  # fat comes before water
    if name == "direction":
        order = (1, 0)  # (0, 1, 0) sorts before (1, 0, 0)
    for n, volume in zip(order, volumes, strict=True):
        assert _codes(volume) == {"SUB_SERIES"}
        array = read_series(volume.headers).volume.array
        expected = np.stack([stored_pixels(k + 100 * n) for k in range(4)])
        assert np.array_equal(array, expected)


@pytest.mark.parametrize(
    ("keyword", "values", "names"),
    [
        ("KVP", ["140", "80"], ["kvp80", "kvp140"]),
        ("ConvolutionKernel", ["Meier", ["B30f", "3"]], ["kernel1", "kernel2"]),
    ],
)
def test_energies_and_kernels_of_a_ct_are_volumes_of_their_own(tmp_path, keyword, values, names):
    """Whatever their slices are numbered; a kernel is free text and never quoted."""
    paths = _series(tmp_path, 2, lambda ds, n, _: setattr(ds, keyword, values[n]))
    found = _volumes(paths)
    assert [v.part for v in found] == names
    assert all(_codes(v) == {"SUB_SERIES"} for v in found)
    assert not any("Meier" in f.message for v in found for f in v.findings)
    for volume in found:
        folders = {Path(h.path).parent for h in volume.headers}
        assert len(folders) == 1
        _assert_read_as_by_simpleitk(volume, folders.pop())
