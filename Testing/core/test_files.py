"""Volume files: voxels where independent readers find them, and nothing read from elsewhere."""

from __future__ import annotations

import gzip
import math
import os
from pathlib import Path

import numpy as np
import pytest

from MedPrepLib.cohort import MaskPart, MaskReading
from MedPrepLib.errors import ReadError
from MedPrepLib.formats.files import check_file, read_geometry, read_volume
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, to_sitk
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.masks import load_reading

sitk = pytest.importorskip("SimpleITK")

SECRET = b"\x77" * 120


def oblique() -> Geometry:
    q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    if np.linalg.det(q) > 0:
        q[:, 0] *= -1
    return Geometry((5, 4, 3), (0.7, 0.9, 3.3), (-41.5, 20.25, 3.0), tuple(q.ravel()))


def volume(dtype=np.int16) -> Volume:
    return Volume(np.arange(60).reshape(3, 4, 5).astype(dtype), oblique())


def codes(path: Path, **options) -> set[str]:
    return {f.code for f in check_file(path, "case", **options)}


@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr", "a.mha", "a.mhd", "a.nii", "a.nii.gz"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_what_simpleitk_writes_is_read_voxel_for_voxel(tmp_path, name, compressed, dtype):
    path = tmp_path / name
    sitk.WriteImage(to_sitk(volume(dtype)), str(path), compressed)
    read = read_volume(path)
    np.testing.assert_array_equal(read.array, volume(dtype).array)
    assert read.array.dtype == dtype
    assert read.geometry.displacement_mm(oblique()) < 1e-4
    assert read.geometry.is_left_handed
    assert read_geometry(path) == read.geometry
    assert check_file(path, "case", tmp_path) == ()


def test_an_nrrd_in_ras_is_turned_into_lps_as_simpleitk_does(tmp_path):
    path = tmp_path / "ras.nrrd"
    path.write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nspace: right-anterior-superior\nsizes: 5 4 3\n"
        b"space directions: (0,0.7,0) (0.9,0,0) (0,0,-3)\nendian: big\nencoding: raw\n"
        b"space origin: (10,20,30)\n\n" + np.arange(60, dtype=">i2").tobytes()
    )
    read, theirs = read_volume(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(read.array, sitk.GetArrayFromImage(theirs))
    for index in [(0, 0, 0), (4, 1, 2)]:
        expected = theirs.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(read.geometry.point_at(index), expected, atol=1e-9)


@pytest.mark.parametrize("encoding", ["ascii", "bzip2", "gzip"])
def test_nrrd_encodings_hold_the_same_voxels(tmp_path, encoding):
    import bz2

    numbers = np.arange(60, dtype="<i2")
    data = {
        "ascii": " ".join(map(str, numbers)).encode(),
        "bzip2": bz2.compress(numbers.tobytes()),
        "gzip": gzip.compress(numbers.tobytes()),
    }[encoding]
    path = tmp_path / "a.nrrd"
    head = "NRRD0001\ntype: int16\ndimension: 3\nsizes: 5 4 3\nspacings: 1 2 3\nendian: little\n"
    path.write_bytes(head.encode() + f"encoding: {encoding}\n\n".encode() + data)
    read = read_volume(path)
    np.testing.assert_array_equal(read.array.ravel(), numbers)
    assert read.geometry.spacing == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(("kind", "number"), [("uchar", "300"), ("int8", "-129"), ("short", "1.5"),
                                              ("int", str(1 << 40)), ("uchar", "-1")])  # fmt: skip
def test_a_number_that_its_type_cannot_hold_is_a_fault_of_the_file(tmp_path, kind, number):
    """It stopped the run: numpy raises another error for what is too large than for no number."""
    path = tmp_path / "a.nrrd"
    head = f"NRRD0001\ntype: {kind}\ndimension: 3\nsizes: 2 1 1\nspacings: 1 2 3\n"
    path.write_bytes(f"{head}encoding: ascii\n\n1 {number}\n".encode())
    with pytest.raises(ReadError, match="not numbers of the type"):
        read_volume(path)


def test_an_order_of_bytes_that_is_not_said_is_not_guessed(tmp_path):
    """Nor does SimpleITK; of voxels of one byte or written as text there is none."""
    path = plain_nrrd(tmp_path / "a.nrrd", "5 4 3", SPACED.format("1 2 3", "0 0 0"))
    assert codes(path) == set()
    path.write_bytes(path.read_bytes().replace(b"endian: little\n", b""))
    assert codes(path) == {"FILE_UNREADABLE"}
    with pytest.raises(RuntimeError, match="endian"):
        sitk.ReadImage(path)
    path.write_bytes(path.read_bytes().replace(b"int16", b"uint8"))
    assert codes(path) == set()


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ('space units: "mm" "mm" "mm"\n', ""),
        ('space units: "MM" "Millimeters" "mm"\n', ""),
        ('space units: "" "" ""\n', ""),
        ('units: "mm" "mm" "mm"\n', ""),
        ('space units: "m" "m" "m"\n', "meters"),
        ('space units: "cm" "cm" "mm"\n', "centimeters"),
        ('units: "microns" "microns" "microns"\n', "micrometers"),
        ('space units: "Mustermann" "mm" "mm"\n', "another unit"),
    ],
)
def test_another_unit_than_millimeters_is_told(tmp_path, units, said):
    space = "space: LPS\nspace directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (0,0,0)\n"
    spaced = SPACED.format("1 2 3", "0 0 0")
    path = plain_nrrd(tmp_path / "a.nrrd", "5 4 3", (space if "space" in units else spaced) + units)
    found = check_file(path, "case")
    assert [f.code for f in found] == ["SPACING_SUSPECT"] * bool(said)
    assert all(f"states {said};" in f.message for f in found)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
@pytest.mark.parametrize(
    ("pointer", "tool"),
    [
        ("version x://git-lfs/spec/v1\noid sha256:00\nsize 1234\n", "git lfs pull"),
        ("/annex/objects/SHA256E-s1234--00.nii.gz\n", "git annex get"),
    ],
)
def test_a_pointer_to_a_file_that_was_not_fetched_is_told_to_be_one(tmp_path, name, pointer, tool):
    """As public data sets come; it was called a damaged file."""
    path = tmp_path / name
    path.write_text(pointer)
    (finding,) = check_file(path, "case")
    assert finding.code == "FILE_UNREADABLE"
    assert tool in finding.message
    reading = MaskReading("ana", (MaskPart(str(path)),))
    loaded = load_reading(reading, oblique(), LabelSchema((Label("lesion", 1),)), "case/ana")
    assert [(f.code, tool in f.message) for f in loaded.findings] == [("MASK_UNREADABLE", True)]


SPACE_3 = (
    "space: LPS\nspace directions: {} (0,0.7,0) (0.9,0,0) (0,0,-3) {}\nspace origin: (10,20,30)\n"
)
SPACE_4 = (
    "space: left-posterior-superior-time\nspace directions: (0,0.7,0,0) (0.9,0,0,0) (0,0,-3,0) "
    "(0,0,0,{})\nspace origin: (10,20,30,5)\n"
)
SPACED = "spacings: {}\naxis mins: {}\n"


def plain_nrrd(path: Path, sizes: str, space: str) -> Path:
    head = f"NRRD0005\ntype: int16\ndimension: {len(sizes.split())}\nsizes: {sizes}\n"
    space = f"endian: little\n{space}"
    count = math.prod(map(int, sizes.split()))
    path.write_bytes(
        f"{head}{space}encoding: raw\n\n".encode() + np.arange(count, dtype="<i2").tobytes()
    )
    return path


@pytest.mark.parametrize("centers", ["", "centers: cell cell cell\n", "centerings: cell node ???\n",
                                     "centers: node node node\n"])  # fmt: skip
def test_a_grid_given_by_spacings_and_mins_lies_where_simpleitk_finds_it(tmp_path, centers):
    """A minimum is the edge of a cell, or a node: half a voxel lies between."""
    path = plain_nrrd(tmp_path / "a.nrrd", "5 4 3", SPACED.format("1 2 3", "10 20 30") + centers)
    geometry, theirs = read_geometry(path), sitk.ReadImage(path)
    assert geometry.spacing == theirs.GetSpacing()
    assert geometry.origin == theirs.GetOrigin()
    assert geometry.origin[0] == (10 if "node node" in centers else 10.5)


@pytest.mark.parametrize(
    ("sizes", "space"),
    [
        ("1 5 4 3", SPACE_3.format("none", "") + "kinds: list domain domain domain\n"),
        ("5 4 3 1", SPACE_3.format("", "none") + "kinds: domain domain domain list\n"),
        ("5 4 3 1", SPACE_4.format(1)),
        ("5 4 3 1", SPACED.format("1 2 3 1", "10 20 30 0")),
    ],
)
def test_a_fourth_axis_of_one_element_is_none(tmp_path, sizes, space):
    """One value per voxel, or one point in time: voxels and places are those of SimpleITK."""
    path = plain_nrrd(tmp_path / "a.nrrd", sizes, space)
    assert check_file(path, "case") == ()
    read, theirs = read_volume(path), sitk.ReadImage(path)
    if theirs.GetDimension() == 4:
        theirs = theirs[:, :, :, 0]
    np.testing.assert_array_equal(read.array.ravel(), sitk.GetArrayFromImage(theirs).ravel())
    assert read.array.shape == (3, 4, 5)
    for index in [(0, 0, 0), (4, 1, 2)]:
        expected = theirs.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(read.geometry.point_at(index), expected, atol=1e-9)


@pytest.mark.parametrize("space", ["right-anterior-superior", "left-anterior-superior"])
def test_time_beside_an_anatomical_space_leaves_the_volume_in_its_place(tmp_path, space):
    """SimpleITK turns these spaces into LPS without time only; the volume is the same one."""
    timed = SPACE_4.format(1).replace("left-posterior-superior", space)
    plain = SPACE_3.format("", "").replace("LPS", space)
    read = read_geometry(plain_nrrd(tmp_path / "a.nrrd", "5 4 3 1", timed))
    theirs = sitk.ReadImage(plain_nrrd(tmp_path / "b.nrrd", "5 4 3", plain))
    for index in [(0, 0, 0), (4, 1, 2)]:
        expected = theirs.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(read.point_at(index), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("sizes", "space", "code"),
    [
        ("2 5 4 3", SPACE_3.format("none", ""), "FOUR_D"),
        ("5 4 3 2", SPACE_4.format(1), "FOUR_D"),
        ("5 4 1 2", SPACED.format("1 2 3 1", "10 20 30 0"), "FOUR_D"),
        ("5 4 3 2", SPACED.format("1 2 3 1", "10 20 30 0"), "FOUR_D"),
        ("2 5 4 3 2", SPACE_3.format("none", "none"), "FOUR_D"),
        ("5 4 3 1", SPACE_4.format(1).replace("(0.9,0,0,0)", "(0.9,0,0,1)"), "AFFINE_INVALID"),
        ("5 4 3 1", SPACE_4.format(1).replace("(10,20,30,5)", "(10,20,30)"), "AFFINE_INVALID"),
        ("5 4 3 1", SPACE_3.format("", ""), "AFFINE_INVALID"),
    ],
)
def test_more_axes_than_a_volume_has_are_refused(tmp_path, sizes, space, code):
    assert codes(plain_nrrd(tmp_path / "a.nrrd", sizes, space)) == {code}


def encoded_nrrd(path: Path, encoding: str, skips: str, data: bytes, lines: bytes = b"") -> Path:
    """An NRRD of 5 x 4 x 3 voxels of int16, with what its skips pass over."""
    head = "NRRD0001\ntype: int16\ndimension: 3\nsizes: 5 4 3\nspacings: 1 2 3\nendian: little\n"
    packed = gzip.compress(data) if encoding == "gzip" else data
    path.write_bytes(f"{head}{skips}encoding: {encoding}\n\n".encode() + lines + packed)
    return path


@pytest.mark.parametrize("encoding", ["raw", "gzip", "ascii"])
@pytest.mark.parametrize("byte_skip", [0, 10])
@pytest.mark.parametrize("line_skip", [0, 2])
def test_what_the_skips_of_an_nrrd_pass_over_is_passed_over_as_by_simpleitk(
    tmp_path, encoding, byte_skip, line_skip
):
    """Lines before the data are unpacked, bytes after: a reader that does not shifts all voxels."""
    numbers = np.arange(60, dtype="<i2")
    data = " ".join(map(str, numbers)).encode() if encoding == "ascii" else numbers.tobytes()
    lead = (b"77777 " * 5)[:byte_skip] if encoding == "ascii" else bytes(range(byte_skip))
    skips = f"line skip: {line_skip}\nbyte skip: {byte_skip}\n"
    lines = b"of another\nheader\n" if line_skip else b""
    path = encoded_nrrd(tmp_path / "a.nrrd", encoding, skips, lead + data, lines)
    np.testing.assert_array_equal(read_volume(path).array.ravel(), numbers)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(path)).ravel(), numbers)


@pytest.mark.fault("F17")
@pytest.mark.parametrize(
    ("skips", "code"),
    [
        ("byte skip: -2\n", "FILE_UNREADABLE"),
        ("byte skip: -1\n", "FILE_UNREADABLE"),  # the end of compressed data says nothing
        ("byte skip: x\n", "FILE_UNREADABLE"),
        (f"byte skip: {1 << 40}\n", "FILE_UNREADABLE"),
        ("line skip: -1\n", "FILE_UNREADABLE"),
        ("line skip: 1000\n", "PIXELS_UNREADABLE"),
    ],
)
def test_skips_that_lead_nowhere_are_refused(tmp_path, skips, code):
    path = encoded_nrrd(tmp_path / "a.nrrd", "gzip", skips, bytes(120))
    assert codes(path) == {code}


@pytest.mark.fault("F17")
def test_a_byte_skip_beyond_what_is_packed_is_a_truncated_file(tmp_path):
    path = encoded_nrrd(tmp_path / "a.nrrd", "gzip", "byte skip: 100\n", bytes(120))
    with pytest.raises(ReadError, match="120 bytes of voxels promised, 20 found"):
        read_volume(path)


def test_real_files_are_read_as_simpleitk_reads_them(shared_data):
    for name in (
        "cohort/pyradiomics/brain1_image.nrrd",
        "cohort/dcmqi_ct/seg/liver_seg.nrrd",
        "broken/misaligned_pair/3DCT_lung_baseline_small.mha",
        "broken/misaligned_pair/3DCT_lung_baseline_mask.mha",
    ):
        read, theirs = read_volume(shared_data / name), sitk.ReadImage(str(shared_data / name))
        np.testing.assert_array_equal(read.array, sitk.GetArrayFromImage(theirs))
        np.testing.assert_allclose(
            read.geometry.point_at((3, 5, 2)), theirs.TransformIndexToPhysicalPoint((3, 5, 2))
        )
        assert check_file(shared_data / name, "case", shared_data) == ()
    assert codes(shared_data / "broken/nifti/TinyPatientCT.nrrd") == {"SPACING_SUSPECT"}


NRRD = """NRRD0004
type: unsigned char
dimension: 3
space: LPS
sizes: 5 4 3
space directions: (1,0,0) (0,1,0) (0,0,1)
space origin: (0,0,0)
encoding: raw
"""
META = """ObjectType = Image
NDims = 3
BinaryData = True
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 0 0 0
ElementSpacing = 1 1 1
DimSize = 5 4 3
ElementType = MET_UCHAR
"""


def header(folder: Path, suffix: str, data_name: str) -> Path:
    path = folder / f"a{suffix}"
    if suffix == ".nhdr":
        path.write_text(NRRD + f"data file: {data_name}\n")
    else:
        path.write_text(META + f"ElementDataFile = {data_name}\n")
    return path


@pytest.fixture
def study(tmp_path) -> Path:
    """A study folder with honest data, beside a secret that must never be read."""
    (tmp_path / "secret.raw").write_bytes(SECRET)
    folder = tmp_path / "study" / "case"
    folder.mkdir(parents=True)
    (folder / "a.raw").write_bytes(bytes(range(60)))
    (folder / "slice1.raw").write_bytes(SECRET)
    (folder / "link.raw").symlink_to(tmp_path / "secret.raw")
    return folder


@pytest.mark.fault("F21")
@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
@pytest.mark.parametrize(
    "name",
    [
        "../../secret.raw", "{root}/secret.raw", "..\\..\\secret.raw", "sub/a.raw", "LIST",
        "LIST 2", "slice%d.raw", "slice%01d.raw 1 3 1", "link.raw", "file:///etc/hostname",
        "http://example.org/a.raw", "//server/share/a.raw", "C:\\a.raw", "..", "",
    ],
)  # fmt: skip
def test_detached_data_outside_the_folder_are_refused(study, suffix, name):
    path = header(study, suffix, name.format(root=study.parents[1]))
    (finding,) = check_file(path, "case", study.parent)
    assert finding.code == "PATH_ESCAPE"
    with pytest.raises(ReadError):
        read_volume(path)


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
def test_detached_data_in_the_same_folder_are_read(study, suffix):
    path = header(study, suffix, "a.raw")
    assert codes(path, root=study.parent) == set()
    assert read_volume(path).array.ravel().tolist() == list(range(60))
    assert codes(header(study, suffix, "none.raw")) == {"FILE_MISSING"}


@pytest.mark.fault("F21")
def test_an_image_that_is_a_link_out_of_its_source_is_refused(study, tmp_path):
    target = tmp_path / "other.nrrd"
    target.write_bytes((NRRD + "\n").encode() + bytes(60))
    (study / "b.nrrd").symlink_to(target)
    assert codes(study / "b.nrrd", root=study.parent) == {"PATH_ESCAPE"}
    assert codes(study / "b.nrrd", root=tmp_path) == set()


@pytest.mark.fault("F17")
@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("sizes: 5 4 3", "sizes: 1024 1048576 1048576", "IMPLAUSIBLE_SIZE"),
        ("sizes: 5 4 3", "sizes: 5 4 4", "PIXELS_UNREADABLE"),
        ("sizes: 5 4 3", "sizes: 5 4", "FILE_UNREADABLE"),
        ("sizes: 5 4 3", "sizes: 5 -4 3", "FILE_UNREADABLE"),
        ("dimension: 3", "dimension: x", "FILE_UNREADABLE"),
        ("unsigned char", "block", "FILE_UNREADABLE"),
        ("encoding: raw", "encoding: hex", "FILE_UNREADABLE"),
        ("NRRD0004", "NRRDXXXX", "FILE_UNREADABLE"),
        ("(0,1,0)", "(0,0,0)", "AFFINE_INVALID"),
        ("(0,1,0)", "(0.5,1,0)", "AFFINE_INVALID"),
        ("(0,1,0)", "(nan,1,0)", "AFFINE_INVALID"),
        ("(0,1,0)", "(0,1)", "AFFINE_INVALID"),
        ("(0,1,0)", "none", "TOO_FEW_SLICES"),
        ("space: LPS", "space: 3D-left-handed", "AFFINE_INVALID"),
        ("(0,0,1)", "(0,0,1000)", "SPACING_SUSPECT"),
        ("(1,0,0) (0,1,0) (0,0,1)", "(.001,0,0) (0,.001,0) (0,0,.001)", "SPACING_SUSPECT"),
    ],
)
def test_each_fault_of_an_nrrd_header_gets_its_code(tmp_path, old, new, code):
    path = tmp_path / "a.nrrd"
    path.write_bytes((NRRD + "\n").encode() + bytes(60))
    assert codes(path) == set()
    path.write_bytes((NRRD.replace(old, new) + "\n").encode() + bytes(60))
    assert codes(path) == {code}
    if code != "SPACING_SUSPECT":
        with pytest.raises(ReadError):
            read_volume(path)


@pytest.mark.fault("F17")
@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("DimSize = 5 4 3", "DimSize = 1024 1048576 1048576", "IMPLAUSIBLE_SIZE"),
        ("DimSize = 5 4 3", "DimSize = 5 4 4", "PIXELS_UNREADABLE"),
        ("DimSize = 5 4 3", "DimSize = 5 0 3", "FILE_UNREADABLE"),
        ("NDims = 3\n", "NDims = 4\n", "FILE_UNREADABLE"),
        ("MET_UCHAR", "MET_STRING", "FILE_UNREADABLE"),
        ("MET_UCHAR", "MET_UCHAR\nElementNumberOfChannels = 3", "COLOR_IMAGE"),
        ("ElementSpacing = 1 1 1", "ElementSpacing = 1 -1 1", "AFFINE_INVALID"),
        ("ElementSpacing = 1 1 1", "ElementSpacing = 1 1", "AFFINE_INVALID"),
        ("Offset = 0 0 0", "Offset = nan 0 0", "AFFINE_INVALID"),
        ("Offset = 0 0 0\n", "", "AFFINE_INVALID"),
        ("1 0 0 0 1 0 0 0 1", "1 0 0 0 1 0 0 0.5 1", "AFFINE_INVALID"),
        ("BinaryData = True", "BinaryData = False", "FILE_UNREADABLE"),
    ],
)
def test_each_fault_of_a_metaimage_header_gets_its_code(tmp_path, old, new, code):
    path = tmp_path / "a.mha"
    text = META + "ElementDataFile = LOCAL\n"
    path.write_bytes(text.encode() + bytes(60))
    assert codes(path) == set()
    path.write_bytes(text.replace(old, new).encode() + bytes(60))
    assert codes(path) == {code}
    with pytest.raises(ReadError):
        read_volume(path)


@pytest.mark.parametrize("yes", ["True", "true", "T", "t", "1", "TRUE"])
@pytest.mark.parametrize("no", ["False", "F", "0"])
def test_yes_and_no_of_a_metaimage_are_those_of_simpleitk(tmp_path, yes, no):
    """In one letter "BinaryData = T" was said to be ASCII."""
    path = tmp_path / "a.mha"
    said = f"BinaryData = {yes}\nCompressedData = {no}\nElementByteOrderMSB = {yes}\n"
    text = META.replace("BinaryData = True\n", said).replace("MET_UCHAR", "MET_SHORT")
    voxels = np.arange(60, dtype=">i2")
    path.write_bytes(f"{text}ElementDataFile = LOCAL\n".encode() + voxels.tobytes())
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(path))
    np.testing.assert_array_equal(read_volume(path).array, theirs)
    np.testing.assert_array_equal(theirs.ravel(), voxels)


@pytest.mark.parametrize("compress", [False, True])
def test_a_metaimage_whose_fourth_axis_has_one_element_is_the_volume_of_simpleitk(
    tmp_path, compress
):
    path, grid = tmp_path / "a.mha", oblique()
    four = sitk.JoinSeries([to_sitk(volume())], 7.0, 2.5)
    sitk.WriteImage(four, path, compress)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetExtractSize((*grid.size, 0))
    theirs, mine = reader.Execute(), read_volume(path)
    assert codes(path) == set()
    np.testing.assert_array_equal(mine.array, sitk.GetArrayFromImage(theirs))
    at = (4, 1, 2)
    there = theirs.TransformIndexToPhysicalPoint(at)
    np.testing.assert_allclose((mine.geometry.affine @ (*at, 1))[:3], there, atol=1e-5)
    assert mine.geometry.displacement_mm(grid) < 1e-4


def test_a_metaimage_of_several_volumes_or_of_mixed_axes_is_refused(tmp_path):
    path = tmp_path / "a.mha"
    sitk.WriteImage(sitk.JoinSeries([to_sitk(volume())] * 2), path)
    assert codes(path) == {"FOUR_D"}
    one = sitk.JoinSeries([to_sitk(Volume(volume().array, Geometry((5, 4, 3))))])
    sitk.WriteImage(one, path)
    straight = b"TransformMatrix = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1"
    assert straight in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(straight, straight[:-7] + b"1 0 0 1"))
    assert codes(path) == {"AFFINE_INVALID"}


@pytest.mark.fault("F25")
def test_things_that_are_no_files_are_refused_without_opening_them(tmp_path):
    os.mkfifo(tmp_path / "pipe.nrrd")
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "text.txt").write_text("hello")
    assert codes(tmp_path / "pipe.nrrd") == {"FILE_UNREADABLE"}
    assert codes(tmp_path / "folder.nii") == {"FILE_UNREADABLE"}
    assert codes(tmp_path / "text.txt") == {"FILE_UNREADABLE"}
    assert codes(tmp_path / "none.mha") == {"FILE_MISSING"}
    with pytest.raises(OSError, match="does not exist"):
        read_geometry(tmp_path / "none.mha")


def test_a_finding_never_shows_the_path(tmp_path):
    path = tmp_path / "Mustermann^Max.mhd"
    path.write_text(META + "ElementDataFile = ../secret.raw\n")
    for finding in check_file(path, "case"):
        assert "Mustermann" not in finding.message
        assert str(tmp_path) not in finding.message
