"""Files that end too early, and headers that promise more than anybody has: never a volume."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import set_pixels, stored_pixels, write_series
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.headers import NotDicomError, read_header
from MedPrepLib.dicom.pixels import read_series
from MedPrepLib.dicom.series import arrange
from MedPrepLib.dicom.stored import load_stored, stored_dtype
from MedPrepLib.errors import ReadError
from MedPrepLib.findings import rejects
from MedPrepLib.formats.files import check_file, read_volume
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, to_sitk

CUTS = 20
SCREEN = Screen(min_slices=2)


def places(size: int) -> list[int]:
    """Where to cut: anywhere, and just before the end."""
    rng = np.random.default_rng(16)
    return [*rng.integers(0, size, CUTS - 1).tolist(), size - 1]


# --- F16: files that end too early ----------------------------------------------------------


@pytest.mark.fault("F16")
@pytest.mark.parametrize(
    "name", ["a.nii", "a.nii.gz", "a.nrrd", "packed.nrrd", "a.mha", "packed.mha", "a.mhd", "a.nhdr"]
)
def test_a_volume_cut_anywhere_is_refused(tmp_path, name):
    """By the reader; where that takes no inflating, or is a NIfTI, by the check before."""
    sitk = pytest.importorskip("SimpleITK")
    path = tmp_path / name
    array = np.random.default_rng(0).integers(0, 999, (8, 16, 20)).astype(np.int16)
    image = to_sitk(Volume(array, Geometry((20, 16, 8))))
    sitk.WriteImage(image, str(path), useCompression=name.startswith("packed"))
    np.testing.assert_array_equal(read_volume(path).array, array)
    data = next((p for p in tmp_path.iterdir() if p.suffix in (".raw", ".zraw", ".gz")), path)
    whole = data.read_bytes()
    for place in places(len(whole)):
        data.write_bytes(whole[:place])
        if not name.startswith("packed"):
            assert rejects(check_file(path, "case")), f"{place} of {len(whole)} bytes passed"
        with pytest.raises(ReadError):
            read_volume(path)


@pytest.mark.fault("F16")
@pytest.mark.parametrize("name", ["a.nii", "a.nrrd", "a.mha"])
def test_a_volume_cut_in_its_voxels_tells_how_many_bytes_are_missing(tmp_path, name):
    sitk = pytest.importorskip("SimpleITK")
    path = tmp_path / name
    sitk.WriteImage(to_sitk(Volume(np.ones((8, 16, 20), np.int16), Geometry((20, 16, 8)))), path)
    path.write_bytes(path.read_bytes()[:-1234])
    text = " ".join(f.message for f in check_file(path, "case"))
    assert str(2 * 8 * 16 * 20) in text or str(2 * 8 * 16 * 20 - 1234) in text, text


def compressed(ds, k):
    set_pixels(ds, stored_pixels(k), 16)
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.compress(RLELossless, generate_instance_uid=False)


@pytest.mark.fault("F16")
@pytest.mark.parametrize(
    ("syntax", "edit"),
    [
        (ExplicitVRLittleEndian, None),
        (ImplicitVRLittleEndian, None),
        (DeflatedExplicitVRLittleEndian, None),
        (RLELossless, compressed),
    ],
)
def test_a_series_with_a_slice_cut_anywhere_is_no_volume_or_the_whole_one(tmp_path, syntax, edit):
    """Whole only where nothing was cut away but what follows compressed pixels."""
    paths = write_series(tmp_path, 4, edit, syntax=syntax)
    before = outcome(paths)
    assert isinstance(before, np.ndarray)
    whole = Path(paths[1]).read_bytes()
    refused = 0
    for place in places(len(whole)):
        Path(paths[1]).write_bytes(whole[:place])
        after = outcome(paths)
        if isinstance(after, np.ndarray):
            np.testing.assert_array_equal(after, before)
            assert syntax in (RLELossless, DeflatedExplicitVRLittleEndian)
        else:
            assert after
            refused += 1
    assert refused >= CUTS - 2


def outcome(paths) -> np.ndarray | set[str]:
    """The voxels of a series, or why there are none."""
    headers, why = [], set()
    for path in paths:
        try:
            headers.append(read_header(path))
        except NotDicomError:
            why.add("no DICOM")
        except ReadError:
            why.add("FILE_UNREADABLE")
    arranged = arrange(headers, "case", SCREEN)
    if why or arranged.geometry is None:
        return why | {f.code for f in arranged.findings}
    try:
        return read_series(arranged.headers).volume.array
    except ReadError as error:
        return {str(error)}


def shipped(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"pydicom came without {name}")
    return Path(path)


@pytest.mark.fault("F16")
def test_the_truncated_image_that_pydicom_ships_tells_expected_and_found_bytes():
    path = shipped("MR_truncated.dcm")
    header = read_header(str(path))
    expected = header.rows * header.columns * 2
    found = path.stat().st_size - header.pixel_offset
    assert 0 < found < expected
    message = f"pixel data are truncated: {expected} bytes expected, {found} found"
    with pytest.raises(ReadError, match=message):
        load_stored(header, np.empty((header.rows, header.columns), stored_dtype(header)))
    arranged = arrange([header], "case", SCREEN)
    assert arranged.geometry is None
    assert "PIXELS_UNREADABLE" in {f.code for f in arranged.findings}


@pytest.mark.fault("F16")
def test_the_truncated_plan_that_pydicom_ships_is_no_image():
    header = read_header(str(shipped("rtplan_truncated.dcm")))
    assert (header.modality, header.pixel_offset) == ("RTPLAN", -1)
    assert arrange([header], "case", SCREEN).geometry is None


# --- F17: two to the power of 40 voxels ---------------------------------------------------------

SIDES = (1 << 14, 1 << 13, 1 << 13)


def nifti_1(folder: Path) -> Path:
    return _nifti(folder / "a.nii", lambda h: struct.pack_into("<3h", h, 42, 32767, 32767, 1024))


def nifti_1_gz(folder: Path) -> Path:
    plain = nifti_1(folder)
    path = folder / "a.nii.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    return path


def nifti_2(folder: Path) -> Path:
    return _nifti(folder / "b.nii", lambda h: struct.pack_into("<3q", h, 24, *SIDES), version=2)


def _nifti(path: Path, promise, version: int = 1) -> Path:
    nib = pytest.importorskip("nibabel")
    kind = nib.Nifti2Image if version == 2 else nib.Nifti1Image
    nib.save(kind(np.zeros((4, 4, 4), np.int16), np.eye(4)), path)
    content = bytearray(path.read_bytes())
    promise(content)
    path.write_bytes(content)
    return path


def nrrd(folder: Path) -> Path:
    return _nrrd(folder / "a.nrrd", "raw", bytes(128))


def nrrd_gzip(folder: Path) -> Path:
    return _nrrd(folder / "b.nrrd", "gzip", gzip.compress(bytes(128)))


def _nrrd(path: Path, encoding: str, data: bytes) -> Path:
    sizes = " ".join(map(str, SIDES))
    text = (
        f"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: {sizes}\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nkinds: domain domain domain\n"
        f"endian: little\nencoding: {encoding}\nspace origin: (0,0,0)\n\n"
    )
    path.write_bytes(text.encode() + data)
    return path


def metaimage(folder: Path) -> Path:
    sizes = " ".join(map(str, SIDES))
    text = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        "CompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
        f"ElementSpacing = 1 1 1\nDimSize = {sizes}\nElementType = MET_SHORT\n"
        "ElementDataFile = LOCAL\n"
    )
    path = folder / "a.mha"
    path.write_bytes(text.encode() + bytes(128))
    return path


@pytest.mark.fault("F17")
@pytest.mark.parametrize("limit", [{}, {"max_voxels": 1 << 41}])
@pytest.mark.parametrize("make", [nifti_1, nifti_1_gz, nifti_2, nrrd, nrrd_gzip, metaimage])
def test_a_header_that_promises_2_to_the_40_voxels_takes_no_memory(tmp_path, make, limit):
    """Refused by the limit of voxels and, where that allows more, by the size of the file."""
    path = make(tmp_path)
    check_file(path, "warm")
    tracemalloc.start()
    try:
        findings = check_file(path, "case", **limit)
        with pytest.raises(ReadError):
            read_volume(path, **limit)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    codes = {f.code for f in findings}
    if limit:
        assert codes & {"IMPLAUSIBLE_SIZE", "PIXELS_UNREADABLE"}
    else:
        assert "IMPLAUSIBLE_SIZE" in codes
        assert any("voxels, more than the limit of" in f.message for f in findings)


@pytest.mark.fault("F17")
@pytest.mark.parametrize("frames", [1, 256])
def test_a_dicom_slice_that_promises_more_than_its_file_holds_is_no_volume(tmp_path, frames):
    """65,535 rows and columns in 256 frames are 2^40 voxels."""

    def promising(ds, _):
        ds.Rows = ds.Columns = 65535
        ds.NumberOfFrames = frames

    headers = [read_header(p) for p in write_series(tmp_path, 4, promising)]
    tracemalloc.start()
    try:
        arranged = arrange(headers, "case", SCREEN)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert arranged.geometry is None
    refusals = {"IMPLAUSIBLE_SIZE", "PIXELS_UNREADABLE", "MULTIFRAME_UNSUPPORTED"}
    assert {f.code for f in arranged.findings} & refusals
