"""NIfTI headers are judged before any reader opens the file, and voxels are read as written."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from MedPrepLib.findings import rejects
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.formats.nifti import check_header, read_nifti
from MedPrepLib.geometry import LPS_TO_RAS, Geometry

nib = pytest.importorskip("nibabel")


def oblique(size=(5, 4, 3), spacing=(0.7, 0.9, 3.3), left_handed=True) -> Geometry:
    q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    if (np.linalg.det(q) < 0) != left_handed:
        q[:, 2] *= -1
    return Geometry(size, spacing, (-41.5, 20.25, 3.0), tuple(q.ravel()))


def save(path: Path, array: np.ndarray, geometry: Geometry, kind=None, **header) -> Path:
    """Written by nibabel: (i, j, k) array, RAS affine in sform and qform."""
    affine = LPS_TO_RAS @ geometry.affine
    image = (kind or nib.Nifti1Image)(array, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


def good(tmp_path: Path, name="good.nii") -> Path:
    array = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    return save(tmp_path / name, array, oblique())


def patched(path: Path, offset: int, form: str, *values) -> Path:
    data = bytearray(path.read_bytes())
    struct.pack_into("<" + form, data, offset, *values)
    path.write_bytes(data)
    return path


def codes(path: Path, **options) -> set[str]:
    return {f.code for f in check_header(path, "case", **options)}


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("left_handed", [True, False])
def test_a_voxel_lies_where_nibabel_puts_it_on_an_oblique_grid(tmp_path, kind, suffix, left_handed):
    geometry = oblique(left_handed=left_handed)
    array = np.random.default_rng(0).integers(-900, 900, (5, 4, 3)).astype(np.int16)
    path = save(tmp_path / f"a{suffix}", array, geometry, kind)
    volume = read_nifti(path)
    theirs = nib.load(path)
    assert codes(path) == set()
    assert volume.at((4, 1, 2)) == np.asarray(theirs.dataobj)[4, 1, 2]
    expected = LPS_TO_RAS @ theirs.affine @ [4, 1, 2, 1]
    np.testing.assert_allclose(volume.geometry.point_at((4, 1, 2)), expected[:3], atol=1e-4)
    assert volume.geometry.displacement_mm(geometry) < 1e-4
    assert volume.array.dtype == np.int16


def test_simpleitk_finds_the_same_voxels_at_the_same_places(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    path = good(tmp_path)
    volume, theirs = read_nifti(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(theirs))
    for index in [(0, 0, 0), (4, 3, 2), (1, 3, 0)]:
        np.testing.assert_allclose(
            volume.geometry.point_at(index), theirs.TransformIndexToPhysicalPoint(index), atol=1e-4
        )


def test_the_qform_is_read_as_nibabel_reads_it_when_there_is_no_sform(tmp_path):
    rng = np.random.default_rng(5)
    for trial in range(20):
        q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        geometry = Geometry((5, 4, 3), (0.7, 0.9, 3.3), (1.0, 2.0, 3.0), tuple(q.ravel()))
        array = np.zeros((5, 4, 3), np.uint8)
        path = save(tmp_path / f"{trial}.nii", array, geometry, sform_code=0)
        theirs = LPS_TO_RAS @ nib.load(path).get_qform()
        np.testing.assert_allclose(read_nifti(path).geometry.affine, theirs, atol=1e-5)


def test_big_endian_files_are_read(tmp_path):
    image = nib.Nifti1Image(np.arange(60, dtype=">i2").reshape(5, 4, 3), np.diag([2, 3, 4, 1.0]))
    big = nib.Nifti1Image(
        np.asarray(image.dataobj), image.affine, header=image.header.as_byteswapped(">")
    )
    big.set_sform(image.affine, 1)
    nib.save(big, tmp_path / "big.nii")
    assert (tmp_path / "big.nii").read_bytes()[:4] == b"\0\0\x01\x5c"
    volume = read_nifti(tmp_path / "big.nii")
    assert volume.at((4, 2, 1)) == np.asarray(image.dataobj)[4, 2, 1]
    assert volume.array.dtype.isnative


@pytest.mark.parametrize(
    ("stored", "result"), [(np.int16, np.float32), (np.int32, np.float64), (np.float32, np.float32)]
)
def test_scaling_follows_the_standard(tmp_path, stored, result):
    path = tmp_path / "scaled.nii"
    save(path, np.arange(60, dtype=stored).reshape(5, 4, 3), oblique())
    patched(path, 112, "ff", 2.5, -1024.0)
    volume = read_nifti(path)
    assert volume.array.dtype == result
    np.testing.assert_allclose(volume.array, np.asarray(nib.load(path).dataobj).T, rtol=1e-6)
    assert "MASK_NOT_LABELS" in codes(path, labels=True)
    assert codes(path) == set()


def test_a_slope_of_zero_means_no_scaling(tmp_path):
    path = patched(good(tmp_path), 112, "ff", 0.0, 7.0)
    assert read_nifti(path).array.dtype == np.int16
    assert codes(path, labels=True) == set()


@pytest.mark.fault("F18")
@pytest.mark.parametrize("slope", [1.0, 2.0])
def test_a_slope_whose_intercept_is_none_is_refused_as_nibabel_does(tmp_path, slope):
    """The voxels were read as if they were not scaled; SimpleITK makes NaN of all of them."""
    path = patched(good(tmp_path), 112, "ff", slope, float("nan"))
    assert codes(path) == {"NIFTI_INVALID"}
    with pytest.raises(FileFaultError, match="intercept"):
        read_nifti(path)
    with pytest.raises(nib.spatialimages.HeaderDataError):
        nib.load(path)


def test_a_fourth_dimension_of_one_is_a_volume_and_of_two_is_not(tmp_path):
    one = save(tmp_path / "one.nii", np.zeros((5, 4, 3, 1), np.uint8), oblique())
    two = save(tmp_path / "two.nii", np.zeros((5, 4, 3, 2), np.uint8), oblique())
    assert codes(one) == set()
    assert read_nifti(one).geometry.size == (5, 4, 3)
    assert codes(two) == {"FOUR_D"}
    with pytest.raises(FileFaultError, match="4 dimensions"):
        read_nifti(two)


@pytest.mark.fault("F18")
@pytest.mark.parametrize(
    ("offset", "form", "values", "code"),
    [
        (0, "i", (347,), "NIFTI_INVALID"),
        (40, "h", (0,), "NIFTI_INVALID"),
        (40, "h", (8,), "NIFTI_INVALID"),
        (40, "h", (-3,), "NIFTI_INVALID"),
        (42, "h", (-5,), "NIFTI_INVALID"),
        (44, "h", (0,), "NIFTI_INVALID"),
        (42, "h", (50,), "PIXELS_UNREADABLE"),
        (42, "h", (32767,), "IMPLAUSIBLE_SIZE"),
        (42, "hhh", (32767, 32767, 32767), "IMPLAUSIBLE_SIZE"),
        (70, "h", (0,), "NIFTI_INVALID"),
        (70, "h", (32,), "NIFTI_INVALID"),
        (70, "h", (128,), "COLOR_IMAGE"),
        (72, "h", (8,), "NIFTI_INVALID"),
        (80, "f", (0.0,), "NIFTI_INVALID"),
        (84, "f", (-1.0,), "NIFTI_INVALID"),
        (88, "f", (float("nan"),), "NIFTI_INVALID"),
        (76, "f", (float("nan"),), "NIFTI_INVALID"),
        (108, "f", (0.0,), "NIFTI_INVALID"),
        (108, "f", (352.5,), "NIFTI_INVALID"),
        (108, "f", (float("nan"),), "NIFTI_INVALID"),
        (108, "f", (1e9,), "NIFTI_INVALID"),
        (123, "B", (1,), "SPACING_SUSPECT"),
        (123, "B", (3,), "SPACING_SUSPECT"),
        (252, "hh", (0, 0), "AFFINE_INVALID"),
        (256, "f", (float("nan"),), "AFFINE_INVALID"),
        (256, "fff", (1.0, 1.0, 1.0), "AFFINE_INVALID"),
        (268, "f", (10.0,), "AFFINE_CONFLICT"),
        (280, "f", (float("inf"),), "AFFINE_INVALID"),
        (280, "4f", (0.0, 0.0, 0.0, 0.0), "AFFINE_INVALID"),
        (284, "f", (0.5,), "AFFINE_INVALID"),
        (40, "8h", (5, 5, 4, 3, 1, 2, 1, 1), "FOUR_D"),
        (40, "8h", (7, 5, 4, 3, 1, 1, 1, 2), "FOUR_D"),
        (272, "f", (2.0,), "AFFINE_CONFLICT"),
        (344, "4s", (b"\0\0\0\0",), "NIFTI_INVALID"),
        (344, "4s", (b"n+9\0",), "NIFTI_INVALID"),
        (344, "4s", (b"ni1\0",), "NIFTI_INVALID"),
    ],
)
def test_each_mutant_of_a_good_header_gets_its_code(tmp_path, offset, form, values, code):
    path = good(tmp_path)
    assert codes(path) == set()
    patched(path, offset, form, *values)
    assert code in codes(path)
    # pixdim and qform stand beside a good sform: there only the check speaks
    if code not in {"SPACING_SUSPECT", "AFFINE_CONFLICT"} and offset not in {76, 80, 84, 88, 256}:
        with pytest.raises(FileFaultError):
            read_nifti(path)


@pytest.mark.fault("F18")
@pytest.mark.parametrize(
    ("offset", "form", "values", "code"),
    [
        (0, "i", (541,), "NIFTI_INVALID"),
        (4, "4s", (b"n+3\0",), "NIFTI_INVALID"),
        (8, "4s", (b"\n\n\x1a\n",), "NIFTI_INVALID"),
        (12, "h", (128,), "COLOR_IMAGE"),
        (14, "h", (8,), "NIFTI_INVALID"),
        (16, "q", (0,), "NIFTI_INVALID"),
        (16, "q", (8,), "NIFTI_INVALID"),
        (16, "6q", (5, 5, 4, 3, 1, 2), "FOUR_D"),
        (24, "q", (-5,), "NIFTI_INVALID"),
        (24, "q", (2**62,), "IMPLAUSIBLE_SIZE"),
        (112, "d", (0.0,), "NIFTI_INVALID"),
        (112, "d", (-0.7,), "NIFTI_INVALID"),
        (112, "d", (float("nan"),), "NIFTI_INVALID"),
        (168, "q", (2**40,), "NIFTI_INVALID"),
        (168, "q", (0,), "NIFTI_INVALID"),
        (344, "ii", (0, 0), "AFFINE_INVALID"),
        (376, "d", (50.0,), "AFFINE_CONFLICT"),
        (400, "d", (float("nan"),), "AFFINE_INVALID"),
        (400, "d", (30.0,), "AFFINE_INVALID"),
        (400, "12d", (0.0,) * 12, "AFFINE_INVALID"),
        (500, "i", (1,), "SPACING_SUSPECT"),
    ],
)
def test_each_mutant_of_a_good_nifti_2_header_gets_its_code(tmp_path, offset, form, values, code):
    array = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    path = save(tmp_path / "good.nii", array, oblique(), nib.Nifti2Image)
    assert codes(path) == set()
    assert code in codes(patched(path, offset, form, *values))


def test_a_label_map_of_version_2_with_a_slope_is_no_label_map(tmp_path):
    array = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    path = save(tmp_path / "a.nii", array, oblique(), nib.Nifti2Image)
    assert codes(patched(path, 176, "dd", 2.0, 0.0), labels=True) == {"MASK_NOT_LABELS"}


@pytest.mark.fault("F18")
def test_an_analyze_file_is_not_taken_for_nifti(tmp_path):
    nib.save(nib.Spm99AnalyzeImage(np.zeros((5, 4, 3), np.int16), np.eye(4)), tmp_path / "a.img")
    (finding,) = check_header(tmp_path / "a.hdr", "case")
    assert finding.code == "NIFTI_INVALID"
    assert "Analyze" in finding.message


@pytest.mark.fault("F16")
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_file_cut_anywhere_is_found_out(tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    array = np.random.default_rng(1).integers(0, 999, (20, 16, 12)).astype(np.int16)
    save(path, array, oblique(size=(20, 16, 12)))
    whole = path.read_bytes()
    for part in np.random.default_rng(2).uniform(0, 1, 20):
        path.write_bytes(whole[: int(part * len(whole))])
        findings = check_header(path, "case")
        assert rejects(findings), f"{part:.3f} of the file passed"
        with pytest.raises(FileFaultError):
            read_nifti(path)


@pytest.mark.fault("F16")
def test_a_flipped_bit_in_compressed_voxels_is_an_error(tmp_path):
    path = tmp_path / "a.nii.gz"
    array = np.random.default_rng(1).integers(0, 999, (20, 16, 12)).astype(np.int16)
    save(path, array, oblique(size=(20, 16, 12)))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(FileFaultError, match="damaged"):
        read_nifti(path)


def test_a_gzip_file_of_several_members_is_sound(tmp_path):
    plain = good(tmp_path).read_bytes()
    path = tmp_path / "members.nii.gz"
    path.write_bytes(gzip.compress(plain[:400]) + gzip.compress(plain[400:]))
    assert codes(path) == set()
    np.testing.assert_array_equal(read_nifti(path).array, read_nifti(tmp_path / "good.nii").array)


@pytest.mark.fault("F17", "F19")
def test_a_small_compressed_file_cannot_promise_gigabytes(tmp_path):
    plain = good(tmp_path)
    patched(plain, 42, "hhh", 1000, 1000, 1000)
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    assert "IMPLAUSIBLE_SIZE" in codes(path)
    with pytest.raises(FileFaultError, match="cannot hold"):
        read_nifti(path)
    assert codes(good(tmp_path), max_voxels=59) == {"IMPLAUSIBLE_SIZE"}


@pytest.mark.fault("F18")
def test_sform_and_qform_may_differ_by_rounding_only(tmp_path):
    path = good(tmp_path)
    offset = struct.unpack_from("<f", path.read_bytes(), 268)[0]
    assert codes(patched(path, 268, "f", offset + 0.17)) == set()
    (finding,) = check_header(patched(path, 268, "f", offset + 0.20), "case")
    assert finding.code == "AFFINE_CONFLICT"
    assert "0.2 mm apart; the limit is 0.175 mm" in finding.message


@pytest.mark.fault("F18")
def test_pixdim_must_agree_with_the_sform_when_there_is_no_qform(tmp_path):
    path = patched(good(tmp_path), 252, "h", 0)
    assert codes(path) == set()
    assert codes(patched(path, 88, "f", 5.0)) == {"AFFINE_CONFLICT"}


EXPECTED = {
    "5D_small.nii": "FOUR_D",
    "example_nifti2.nii.gz": "FOUR_D",
    "functional.nii": "FOUR_D",
    "not-nifti.nii": "NIFTI_INVALID",
    "inconsistent_pixdim.nii.gz": "AFFINE_CONFLICT",
    "metres_for_millimetres.nii.gz": "SPACING_SUSPECT",
    "nan_sform.nii.gz": "AFFINE_INVALID",
    "negative_pixdim.nii.gz": "NIFTI_INVALID",
    "no_orientation_codes.nii.gz": "AFFINE_INVALID",
    "qform_sform_differ_10mm.nii.gz": "AFFINE_CONFLICT",
    "qform_sform_mirror.nii.gz": "AFFINE_CONFLICT",
    "sheared_sform.nii.gz": "AFFINE_INVALID",
    "singular_sform.nii.gz": "AFFINE_INVALID",
    "zero_pixdim.nii.gz": "NIFTI_INVALID",
}


@pytest.mark.fault("F18")
def test_every_broken_file_of_the_real_data_gets_its_code(shared_data):
    folders = ("nifti", "nifti_synthetic_affine")
    files = [p for name in folders for p in sorted((shared_data / "broken" / name).glob("*.nii*"))]
    assert {p.name for p in files} == set(EXPECTED)
    for path in files:
        findings = check_header(path, "case")
        assert EXPECTED[path.name] in {f.code for f in findings}, path.name
        assert rejects(findings), path.name


def test_every_good_file_of_the_real_data_passes(shared_data):
    folders = ("cohort", "multirater", "reference")
    files = [p for name in folders for p in sorted((shared_data / name).rglob("*.nii*"))]
    assert len(files) > 200
    for path in files:
        findings = check_header(path, "case")
        four_d = {f.code for f in findings} <= {"FOUR_D"}
        assert not rejects(findings) or (four_d and nib.load(path).ndim > 3), (path, findings)


def test_real_images_are_read_as_nibabel_reads_them(shared_data):
    for name in ("cohort/sct_t2/t2.nii.gz", "cohort/totalseg/seg/example_seg_dicom.nii.gz"):
        volume, theirs = read_nifti(shared_data / name), nib.load(shared_data / name)
        np.testing.assert_array_equal(volume.array, np.asarray(theirs.dataobj).T)
        np.testing.assert_allclose(volume.geometry.affine, LPS_TO_RAS @ theirs.affine, atol=1e-9)
