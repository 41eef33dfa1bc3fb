"""Pixels: modality values slice by slice, padding apart, nothing wraps, nothing silent."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import COLUMNS, ROWS, set_pixels, stored_pixels, write_series
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.headers import read_header
from MedPrepLib.dicom.pixels import SeriesPixels, read_series
from MedPrepLib.dicom.series import arrange
from MedPrepLib.errors import GeometryError, ReadError, SourceChangedError, UnsupportedError

SCREEN = Screen(min_slices=2)


def _headers(paths):
    arranged = arrange([read_header(str(p)) for p in paths], "case", SCREEN)
    assert arranged.geometry is not None, arranged.findings
    return arranged.headers


def _pixels(tmp_path: Path, edit=None, count=4, **options) -> SeriesPixels:
    return read_series(_headers(write_series(tmp_path, count, edit, **options)))


def _values(stored: np.ndarray, slope=1.0, intercept=0.0) -> np.ndarray:
    return stored.astype(np.float64) * slope + intercept


def _sitk_array(headers):
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([h.path for h in headers])
    return sitk.GetArrayFromImage(reader.Execute())


# --- scale ----------------------------------------------------------------------------------


@pytest.mark.fault("F42")
@pytest.mark.parametrize("dtype", ["u2", "i2", "u1", "i1"])
@pytest.mark.parametrize("intercept", [0, -1024, 5])
def test_every_sign_and_depth_gives_the_values_of_the_formula_as_int16(tmp_path, dtype, intercept):
    info = np.iinfo(dtype)
    low, high = max(info.min, -20000), min(info.max, 30000)
    stored = [
        np.random.default_rng(k).integers(low, high, (ROWS, COLUMNS), endpoint=True).astype(dtype)
        for k in range(4)
    ]

    def edit(ds, k):
        set_pixels(ds, stored[k], info.bits)
        ds.RescaleIntercept = intercept

    pixels = _pixels(tmp_path, edit)
    assert pixels.volume.array.dtype == np.int16
    assert np.array_equal(pixels.volume.array, _values(np.stack(stored), 1, intercept))


def test_a_series_equals_simpleitks_voxel_by_voxel(tmp_path):
    headers = _headers(write_series(tmp_path, 6, dtype="i2"))
    assert np.array_equal(read_series(headers).volume.array, _sitk_array(headers))


@pytest.mark.fault("F42")
@pytest.mark.parametrize(
    ("dtype", "value", "intercept"),
    [("u2", 65535, 0), ("u2", 40000, -1024), ("i2", -32768, -1024), ("i2", 32767, 1),
     ("u2", 0, -40000)],
)  # fmt: skip
def test_what_int16_cannot_hold_becomes_float32_and_never_wraps(tmp_path, dtype, value, intercept):
    def edit(ds, k):
        stored = stored_pixels(k, dtype)
        if k == 2:
            stored[3, 5] = value
        set_pixels(ds, stored, 16)
        ds.RescaleIntercept = intercept

    array = _pixels(tmp_path, edit).volume.array
    assert array.dtype == np.float32
    assert array[2, 3, 5] == value + intercept
    expected = _values(stored_pixels(1, dtype), 1, intercept)
    assert np.array_equal(array[1], expected)


def test_thirty_two_bit_pixels_that_fit_become_int16(tmp_path):
    def edit(ds, k):
        set_pixels(ds, stored_pixels(k, "i4"), 32)

    array = _pixels(tmp_path, edit).volume.array
    assert array.dtype == np.int16
    assert np.array_equal(array[2], _values(stored_pixels(2, "i4"), 1, -1024))


@pytest.mark.fault("F42")
def test_each_slice_has_its_own_slope_in_float(tmp_path):
    """As in PET: the first slice's slope of 1 must not decide the type (140000 would be 8928)."""
    slopes = [1, 4.375, 0.25, 1000]

    def edit(ds, k):
        ds.RescaleSlope, ds.RescaleIntercept = slopes[k], 0.5 * k

    headers = _headers(write_series(tmp_path, 4, edit))
    array = read_series(headers).volume.array
    assert array.dtype == np.float32
    for k in range(4):
        expected = _values(stored_pixels(k), slopes[k], 0.5 * k).astype(np.float32)
        assert np.array_equal(array[k], expected)


def test_a_fractional_intercept_is_kept(tmp_path):
    def edit(ds, _):
        ds.RescaleIntercept = -1024.25

    array = _pixels(tmp_path, edit).volume.array
    assert np.array_equal(array[0], _values(stored_pixels(0), 1, -1024.25))


def test_monochrome1_is_not_inverted(tmp_path):
    def edit(ds, _):
        ds.PhotometricInterpretation = "MONOCHROME1"

    array = _pixels(tmp_path, edit).volume.array
    assert np.array_equal(array[1], _values(stored_pixels(1), 1, -1024))


# --- bits -----------------------------------------------------------------------------------


@pytest.mark.fault("F42")
@pytest.mark.parametrize("dtype", ["u2", "i2"])
def test_overlay_bits_above_bits_stored_are_cleared_and_the_sign_is_extended(tmp_path, dtype):
    def edit(ds, k):
        clean = stored_pixels(k, dtype)
        dirty = (clean.view("u2") & 0x0FFF) | (0x5000 if k == 1 else 0)
        set_pixels(ds, dirty.astype("u2").view(dtype), 12)

    array = _pixels(tmp_path, edit).volume.array
    assert np.array_equal(array[1], _values(stored_pixels(1, dtype), 1, -1024))
    assert np.array_equal(array[0], _values(stored_pixels(0, dtype), 1, -1024))


@pytest.mark.fault("F42")
@pytest.mark.parametrize("dtype", ["u2", "i2"])
def test_pixels_aligned_to_the_high_end_are_shifted_down(tmp_path, dtype):
    def edit(ds, k):
        set_pixels(ds, (stored_pixels(k, dtype).view("u2") << 4).view(dtype), 12)
        ds.HighBit = 15

    array = _pixels(tmp_path, edit).volume.array
    assert np.array_equal(array[3], _values(stored_pixels(3, dtype), 1, -1024))


# --- padding --------------------------------------------------------------------------------


def _padded(k, dtype, value):
    stored = stored_pixels(k, dtype)
    stored[stored == value] += 1
    stored[:2, :5] = value
    return stored


@pytest.mark.fault("F42")
def test_padding_is_counted_and_has_a_value_of_its_own(tmp_path):
    def edit(ds, k):
        set_pixels(ds, _padded(k, "i2", -2000), 16)
        ds.add_new(0x00280120, "SS", -2000)

    pixels = _pixels(tmp_path, edit)
    assert pixels.padding == -3024
    assert pixels.padding_voxels == 4 * 10
    assert np.count_nonzero(pixels.volume.array == -3024) == 4 * 10
    assert pixels.volume.array.dtype == np.int16


def test_padding_that_int16_cannot_hold_does_not_turn_the_series_into_floats(tmp_path):
    def edit(ds, k):
        set_pixels(ds, _padded(k, "i2", -32768), 16)
        ds.add_new(0x00280120, "SS", -32768)

    pixels = _pixels(tmp_path, edit)
    assert pixels.volume.array.dtype == np.int16
    assert pixels.padding == -32768
    assert np.count_nonzero(pixels.volume.array == -32768) == pixels.padding_voxels == 40
    expected = _values(_padded(2, "i2", -32768), 1, -1024)
    assert np.array_equal(pixels.volume.array[2, 2:], expected[2:])


def test_padding_above_bits_stored_is_recognized_before_bits_are_cleared(tmp_path):
    """63536 in 12 stored bits would look like 2096 once the high bits are gone."""

    def edit(ds, k):
        set_pixels(ds, _padded(k, "u2", 63536), 12)
        ds.add_new(0x00280120, "US", 63536)

    pixels = _pixels(tmp_path, edit)
    assert pixels.padding_voxels == 40
    assert np.count_nonzero(pixels.volume.array == pixels.padding) == 40
    assert pixels.volume.array[:, 2:].max() <= 4095 - 1024


@pytest.mark.fault("F42")
def test_a_sign_mix_up_of_the_padding_value_is_understood(tmp_path):
    def edit(ds, k):
        set_pixels(ds, _padded(k, "i2", -2000), 16)
        ds.add_new(0x00280120, "US", 63536)

    assert _pixels(tmp_path, edit).padding == -3024


@pytest.mark.fault("F42")
def test_a_range_of_padding_values_is_one_value_afterwards(tmp_path):
    def edit(ds, k):
        stored = _padded(k, "i2", -2000)
        stored[2, :5] = -1990
        set_pixels(ds, np.where((stored > -2000) & (stored < -1990), 0, stored), 16)
        ds.add_new(0x00280120, "SS", -2000)
        ds.add_new(0x00280121, "SS", -1990)

    pixels = _pixels(tmp_path, edit)
    assert pixels.padding_voxels >= 4 * 15
    assert np.count_nonzero(pixels.volume.array == pixels.padding) == pixels.padding_voxels


@pytest.mark.fault("F42")
def test_padding_under_different_slopes_lies_below_every_measurement(tmp_path):
    def edit(ds, k):
        set_pixels(ds, _padded(k, "i2", -2000), 16)
        ds.add_new(0x00280120, "SS", -2000)
        ds.RescaleSlope, ds.RescaleIntercept = 1 + k, 0

    pixels = _pixels(tmp_path, edit)
    marked = pixels.volume.array == pixels.padding
    assert np.count_nonzero(marked) == pixels.padding_voxels == 40
    assert marked[:, :2, :5].all()
    assert pixels.padding < pixels.volume.array[~marked].min()


def test_without_padding_there_is_no_padding_value(tmp_path):
    def edit(ds, _):
        ds.add_new(0x00280120, "US", 65000)

    pixels = _pixels(tmp_path, edit)
    assert (pixels.padding, pixels.padding_voxels) == (None, 0)


# --- encodings ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
    ],
)
def test_uncompressed_encodings_give_the_same_voxels(tmp_path, syntax):
    def edit(ds, k):
        if syntax == ExplicitVRBigEndian:
            ds.PixelData = stored_pixels(k, "i2").astype(">i2").tobytes()

    array = _pixels(tmp_path, edit, dtype="i2", syntax=syntax).volume.array
    for k in range(4):
        assert np.array_equal(array[k], _values(stored_pixels(k, "i2"), 1, -1024))


@pytest.mark.parametrize("dtype", ["u1", "i1"])
@pytest.mark.parametrize("vr", ["OW", "OB"])
@pytest.mark.parametrize("columns", [8, 7])
def test_bytes_in_big_endian_words_are_where_pydicom_finds_them(tmp_path, dtype, vr, columns):
    """Pixels of 8 bits as OW: two in each 16-bit word, their bytes turned around (PS3.5 A.3)."""
    stored = [stored_pixels(k, "i2")[:5, :columns].astype(dtype) for k in range(4)]

    def edit(ds, k):
        set_pixels(ds, stored[k], 8)
        ds.Rows, ds.Columns, ds.RescaleIntercept = 5, columns, 0
        words = np.frombuffer(ds.PixelData + b"\0" * (len(ds.PixelData) % 2), "u2")
        ds.PixelData = words.byteswap().tobytes() if vr == "OW" else words.tobytes()
        ds["PixelData"].VR = vr

    headers = _headers(write_series(tmp_path, 4, edit, syntax=ExplicitVRBigEndian))
    array = read_series(headers).volume.array
    assert np.array_equal(array, np.stack(stored))
    for header, found in zip(headers, array, strict=True):
        assert np.array_equal(found, pydicom.dcmread(header.path).pixel_array)


@pytest.mark.parametrize("dtype", ["u2", "i2"])
def test_run_length_encoded_series_equal_the_plain_ones(tmp_path, dtype):
    def edit(ds, k):
        set_pixels(ds, stored_pixels(k, dtype), 16)
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.compress(RLELossless, generate_instance_uid=False)

    array = _pixels(tmp_path, edit, syntax=RLELossless).volume.array
    for k in range(4):
        assert np.array_equal(array[k], _values(stored_pixels(k, dtype), 1, -1024))


def _encapsulated(tmp_path, syntax, frame: bytes):
    def edit(ds, _):
        ds.PixelData = pydicom.encaps.encapsulate([frame])
        ds["PixelData"].is_undefined_length = True

    return _headers(write_series(tmp_path, 3, edit, syntax=syntax))


def test_a_transfer_syntax_nobody_decodes_is_unsupported_and_says_so(tmp_path):
    headers = _encapsulated(tmp_path, "1.2.840.10008.1.2.4.100", bytes(400))
    with pytest.raises(UnsupportedError, match=r"1\.2\.840\.10008\.1\.2\.4\.100"):
        read_series(headers)


def test_a_missing_codec_names_the_command_that_installs_it(tmp_path, monkeypatch):
    from pydicom.pixels.decoders import JPEGLSLosslessDecoder

    headers = _encapsulated(tmp_path, JPEGLSLossless, bytes(400))
    monkeypatch.setattr(JPEGLSLosslessDecoder, "_available", {})
    with pytest.raises(UnsupportedError, match=r'pip install "MedPrep\[codecs\]"'):
        read_series(headers)


@pytest.mark.fault("F16")
def test_garbage_in_compressed_pixels_is_a_read_error(tmp_path):
    headers = _encapsulated(tmp_path, RLELossless, b"garbage " * 30)
    with pytest.raises(ReadError, match=r"slice 1 of 3: RLE"):
        read_series(headers)


@pytest.mark.fault("F17", "F19")
def test_a_compressed_image_larger_than_its_header_says_is_never_decoded(shared_data, tmp_path):
    for name in ("compressed_j2k", "compressed_jpeg", "compressed_jpegls"):
        folder = tmp_path / name
        folder.mkdir()
        for source in sorted((shared_data / "formats" / name).glob("*.dcm")):
            ds = pydicom.dcmread(source)
            ds.Rows = 255
            ds.save_as(folder / source.name)
        with pytest.raises(ReadError, match="256 x 256 pixels, its header says 255 x 256"):
            read_series(_headers(sorted(folder.iterdir())))


# --- what goes wrong between scan and reading -----------------------------------------------


@pytest.mark.fault("F16")
def test_truncated_pixels_name_expected_and_found_bytes(tmp_path):
    import msgspec

    paths = write_series(tmp_path, 4)
    headers = list(_headers(paths))
    Path(headers[2].path).write_bytes(Path(headers[2].path).read_bytes()[:-84])
    status = Path(headers[2].path).stat()
    headers[2] = msgspec.structs.replace(
        headers[2], size_bytes=status.st_size, mtime_ns=status.st_mtime_ns
    )
    with pytest.raises(ReadError, match=r"slice 3 of 4: .* 384 bytes expected, 300 found"):
        read_series(headers)


@pytest.mark.fault("F16")
def test_a_deflated_file_cut_short_is_a_read_error(tmp_path):
    paths = write_series(tmp_path, 3, syntax=DeflatedExplicitVRLittleEndian)
    content = Path(paths[0]).read_bytes()
    place = content.index(b"1.2.840.10008.1.2.1.99")
    start = 144 + int.from_bytes(content[140:144], "little")
    assert place < start
    whole = zlib.decompress(content[start:], -15)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    Path(paths[0]).write_bytes(content[:start] + packer.compress(whole[:-50]) + packer.flush())
    with pytest.raises(ReadError, match="bytes expected"):
        read_series(_headers(paths))


@pytest.mark.parametrize("change", ["vanished", "grown", "touched"])
def test_a_file_that_changed_since_the_scan_is_noticed(tmp_path, change):
    headers = _headers(write_series(tmp_path, 4))
    path = Path(headers[1].path)
    if change == "vanished":
        path.unlink()
    elif change == "grown":
        path.write_bytes(path.read_bytes() + b"\0")
    else:
        os.utime(path, ns=(0, 0))
    with pytest.raises(SourceChangedError):
        read_series(headers)


def test_slices_out_of_order_are_refused(tmp_path):
    headers = _headers(write_series(tmp_path, 4))
    with pytest.raises(GeometryError, match="not in order"):
        read_series(headers[::-1])


def test_errors_do_not_name_the_patient_or_the_path(tmp_path):
    headers = _headers(write_series(tmp_path, 4))
    Path(headers[1].path).unlink()
    with pytest.raises(ReadError) as caught:
        read_series(headers)
    assert str(tmp_path) not in str(caught.value)
    assert "0042" not in str(caught.value)
