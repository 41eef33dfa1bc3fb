"""Modality values beside pydicom's own rescaling and SimpleITK's, up to the standardized volume."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from dicom_files import COLUMNS, ROWS, set_pixels, stored_pixels, write_series
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_rescale
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from MedPrepLib.config.settings import Screen, Standardize
from MedPrepLib.dicom.headers import read_header
from MedPrepLib.dicom.pixels import SeriesPixels, read_series
from MedPrepLib.dicom.series import arrange
from MedPrepLib.standardize import standardize

COUNT = 4
OUTSIDE = (slice(None), slice(0, 2), slice(0, 5))
"""What lies outside of the field of view in the series below."""


def headers_of(paths):
    arranged = arrange([read_header(p) for p in paths], "case", Screen(min_slices=2))
    assert arranged.geometry is not None, arranged.findings
    return arranged.headers


def written(folder, edit) -> SeriesPixels:
    return read_series(headers_of(write_series(folder, COUNT, edit)))


def by_pydicom(headers) -> np.ndarray:
    """Rescaled slice by slice in double precision, by both functions that pydicom has for it."""
    slices = []
    for header in headers:
        ds = pydicom.dcmread(header.path)
        values = apply_rescale(ds.pixel_array, ds)
        np.testing.assert_array_equal(values, apply_modality_lut(ds.pixel_array, ds))
        slices.append(values)
    return np.stack(slices)


def by_simpleitk(headers):
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([h.path for h in headers])
    return reader.Execute()


@pytest.mark.fault("F42")
@pytest.mark.parametrize("intercept", [-1024, 1000])
@pytest.mark.parametrize(("dtype", "low"), [("u2", 0), ("i2", -2048)])
def test_signed_and_unsigned_with_either_intercept_are_what_pydicom_makes_of_them(
    tmp_path, dtype, low, intercept
):
    """Where unsigned arithmetic would wrap: the lowest and the highest value that is stored."""

    def edit(ds, k):
        stored = stored_pixels(k, dtype)
        stored[4, :2] = low, low + 4095
        set_pixels(ds, stored, 12)
        ds.RescaleIntercept = intercept

    headers = headers_of(write_series(tmp_path, COUNT, edit))
    volume = read_series(headers).volume
    assert volume.array.dtype == np.int16
    assert volume.array.min() == low + intercept
    assert volume.array.max() == low + 4095 + intercept
    np.testing.assert_array_equal(volume.array, by_pydicom(headers))


@pytest.mark.fault("F42")
@pytest.mark.parametrize("dtype", ["u2", "i2"])
def test_slopes_of_their_own_are_applied_to_every_slice_as_pydicom_does(tmp_path, dtype):
    """The first slice has slope 1, others do not: its type must not decide (4.07 became 4)."""
    slopes, intercepts = (1, 4.0703125, 140, 0.25), (0, 0, -1024, 0.5)

    def edit(ds, k):
        set_pixels(ds, stored_pixels(k, dtype), 12)
        ds.RescaleSlope, ds.RescaleIntercept = slopes[k], intercepts[k]

    headers = headers_of(write_series(tmp_path, COUNT, edit))
    array = read_series(headers).volume.array
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, by_pydicom(headers).astype(np.float32))
    assert array.max() > np.iinfo(np.int16).max


def test_pixel_spacing_is_row_then_column_and_voxels_lie_where_simpleitk_finds_them(tmp_path):
    """12 rows of 16 columns, 0.5 mm between rows and 0.7 mm between columns, oblique."""
    headers = headers_of(write_series(tmp_path, COUNT))
    volume = read_series(headers).volume
    assert (volume.array.shape[1:], volume.geometry.spacing[:2]) == ((ROWS, COLUMNS), (0.7, 0.5))
    image = by_simpleitk(headers)
    for i, j, k in np.ndindex(COLUMNS, ROWS, COUNT):
        there = image.TransformPhysicalPointToIndex(volume.geometry.point_at((i, j, k)))
        assert image.GetPixel(there) == volume.array[k, j, i]


def test_monochrome1_keeps_its_values_as_with_pydicom(tmp_path):
    """SimpleITK 2.5 turns them around, so that air is bright in Hounsfield units."""

    def edit(ds, k):
        ds.PhotometricInterpretation = "MONOCHROME1"

    headers = headers_of(write_series(tmp_path, COUNT, edit))
    array = read_series(headers).volume.array
    np.testing.assert_array_equal(array, by_pydicom(headers))
    plain = read_series(headers_of(write_series(tmp_path / "plain", COUNT))).volume
    np.testing.assert_array_equal(array, plain.array)
    assert headers[0].photometric == "MONOCHROME1"


@pytest.mark.fault("F42")
@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize(
    ("stored", "intercept"), [(-2000, 0), (-2000, -1024), (-3024, 0), (-1024, 0), (-1024, -1024)]
)
def test_what_lies_outside_the_field_of_view_is_air_counted_and_in_no_statistic(
    tmp_path, stored, intercept, said
):
    """With PixelPaddingValue, and where nothing but its -2000 or -3024 HU tells it."""
    told = said or stored + intercept <= -2000

    def edit(ds, k):
        pixels = (np.random.default_rng(k).integers(-1000, 1500, (ROWS, COLUMNS))).astype("i2")
        pixels -= intercept
        pixels[OUTSIDE[1:]] = stored
        set_pixels(ds, pixels, 16)
        ds.RescaleIntercept = intercept
        if said:
            ds.add_new(0x00280120, "SS", stored)

    headers = headers_of(write_series(tmp_path, COUNT, edit))
    pixels = read_series(headers)
    result = standardize(pixels.volume, "CT", Standardize(), "case", pixels.padding)
    hu = by_pydicom(headers)
    measured = np.ones(hu.shape, bool)
    measured[OUTSIDE] = not told
    statistics = result.statistics
    assert statistics.padding == (COUNT * 10 if told else 0)
    assert (result.volume.array[OUTSIDE] == -1024).all()
    assert statistics.count == np.count_nonzero(measured)
    assert statistics.minimum == hu[measured].min()
    assert statistics.mean == pytest.approx(hu[measured].mean(), rel=1e-12)
    assert statistics.std == pytest.approx(hu[measured].std(), rel=1e-12)
    assert statistics.clipped_low == 0


@pytest.mark.fault("F42")
@pytest.mark.parametrize("fractions", [False, True])
@pytest.mark.parametrize("marks", ["like water in one slice", "by a range up to water"])
def test_padding_that_means_tissue_blanks_none_of_it(tmp_path, marks, fractions):
    """Water of 0 HU beside what lies outside the field of view, -1040 HU: as pydicom scales it."""
    like_water_in = 2 if marks == "like water in one slice" else None

    def edit(ds, k):
        pixels = np.random.default_rng(k).integers(-1000, 1500, (ROWS, COLUMNS)).astype("i2")
        pixels[5:8] = 0
        pixels[OUTSIDE[1:]] = -1040
        set_pixels(ds, pixels, 16)
        ds.RescaleIntercept = 0.25 if fractions else 0
        ds.add_new(0x00280120, "SS", 0 if k == like_water_in else -1040)
        if like_water_in is None:
            ds.add_new(0x00280121, "SS", 0)

    headers = headers_of(write_series(tmp_path, COUNT, edit))
    pixels = read_series(headers)
    assert pixels.volume.array.dtype == (np.float32 if fractions else np.int16)
    result = standardize(pixels.volume, "CT", Standardize(), "case", pixels.padding)
    hu = by_pydicom(headers)
    assert (result.volume.array[:, 5:8] == 0).all()
    np.testing.assert_array_equal(result.volume.array, np.maximum(np.rint(hu), -1024))
    assert result.statistics.padding == COUNT * 10
    assert (hu[OUTSIDE] <= -1039).all()


@pytest.mark.fault("F42")
def test_padding_of_an_mr_may_have_any_value(tmp_path):
    """Zero is what surrounds an MR; it is not a guess there, for the header says so."""

    def edit(ds, k):
        pixels = np.random.default_rng(k).integers(1, 1500, (ROWS, COLUMNS)).astype("u2")
        pixels[OUTSIDE[1:]] = 0
        set_pixels(ds, pixels, 16)
        ds.Modality, ds.RescaleIntercept = "MR", 0
        ds.PixelPaddingValue = 0

    pixels = written(tmp_path, edit)
    assert (pixels.padding, pixels.padding_voxels) == (0, COUNT * 10)


@pytest.mark.fault("F42")
@pytest.mark.parametrize("bits", [12, 16])
def test_padding_above_every_ct_number_is_padding(tmp_path, bits):
    """65535 lies above the stored bits or, with 16 of them, beyond metal."""

    def edit(ds, k):
        pixels = stored_pixels(k)
        pixels[OUTSIDE[1:]] = 65535
        set_pixels(ds, pixels, bits)
        ds.PixelPaddingValue = 65535

    headers = headers_of(write_series(tmp_path, COUNT, edit))
    pixels = read_series(headers)
    result = standardize(pixels.volume, "CT", Standardize(), "case", pixels.padding)
    assert pixels.padding_voxels == result.statistics.padding == COUNT * 10
    assert (result.volume.array[OUTSIDE] == -1024).all()
    assert result.statistics.maximum <= 4095 - 1024


@pytest.mark.fault("F42")
@pytest.mark.parametrize("slope", [1e36, 3.5e38])
def test_a_slope_beyond_float32_is_infinite_and_rejected_not_wrapped(tmp_path, slope):
    def edit(ds, k):
        ds.RescaleSlope, ds.RescaleIntercept = f"{slope:g}", 0

    pixels = written(tmp_path, edit)
    assert not np.isfinite(pixels.volume.array).all()
    result = standardize(pixels.volume, "PT", Standardize(), "case", pixels.padding)
    assert "NOT_FINITE" in {f.code for f in result.findings if f.severity.name == "REJECT"}
    assert np.isfinite(result.volume.array).all()


def said(paths, code: str) -> list[str]:
    found = arrange([read_header(p) for p in paths], "case", Screen(min_slices=2)).findings
    return [f.message for f in found if f.code == code]


@pytest.mark.fault("F42")
@pytest.mark.parametrize(
    ("kind", "unit"),
    [("HU", None), ("US", None), ("", None), ("MGML", "MGML"), ("J. Doe", "another unit")],
)
def test_a_ct_whose_rescale_type_is_no_hounsfield_unit_says_so(tmp_path, kind, unit):
    def edit(ds, k):
        ds.RescaleType = kind if k else "HU"

    message = f"3 of 4 slices are in {unit} by their RescaleType (0028,1054), not in HU"
    assert said(write_series(tmp_path, COUNT, edit), "NOT_HU") == ([message] if unit else [])


def test_the_rescale_type_of_an_mr_is_its_own(tmp_path):
    def edit(ds, _):
        ds.Modality, ds.RescaleType = "MR", "normalized"

    assert said(write_series(tmp_path, COUNT, edit), "NOT_HU") == []


@pytest.mark.fault("F42")
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, None])
@pytest.mark.parametrize("undefined", [False, True])
def test_a_modality_table_that_pydicom_applies_and_we_do_not_is_named(tmp_path, syntax, undefined):
    """None: without preamble, read by pydicom. An empty sequence is no table."""

    def edit(ds, k):
        del ds.RescaleSlope, ds.RescaleIntercept
        table = Dataset()
        table.add_new(0x00283002, "US", [4096, 0, 16])
        table.ModalityLUTType = "HU"
        table.add_new(0x00283006, "US", [min(7 * n, 65535) for n in range(4096)])
        ds.ModalityLUTSequence = [table] if k else []
        ds["ModalityLUTSequence"].is_undefined_length = undefined

    paths = write_series(tmp_path, COUNT, edit, syntax=syntax or ExplicitVRLittleEndian)
    for path in paths if syntax is None else ():
        ds = pydicom.dcmread(path)
        ds["ModalityLUTSequence"].is_undefined_length = undefined
        pydicom.dcmwrite(path, Dataset(ds), implicit_vr=False, little_endian=True)
    assert said(paths, "MODALITY_LUT") == ["3 of 4 slices have a ModalityLUTSequence (0028,3000)"]
    ds = pydicom.dcmread(paths[1], force=True)
    if syntax is not None:
        assert (apply_modality_lut(ds.pixel_array, ds) == 7 * ds.pixel_array).all()


@pytest.mark.fault("F42")
@pytest.mark.parametrize("text", ["NaN", "inf", "1e999", "abc"])
@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_a_rescale_value_that_is_no_number_makes_no_volume(tmp_path, keyword, text):
    tag = {"RescaleSlope": b"(\x00S\x10DS", "RescaleIntercept": b"(\x00R\x10DS"}[keyword]
    paths = write_series(tmp_path, COUNT, lambda ds, _: setattr(ds, keyword, "123456"))
    for path in paths:
        with open(path, "r+b") as file:  # noqa: PTH123
            content = file.read()
            file.seek(content.index(tag) + 8)
            file.write(text.encode().ljust(6))
    arranged = arrange([read_header(p) for p in paths], "case", Screen(min_slices=2))
    assert arranged.geometry is None
    assert "FILE_UNREADABLE" in {f.code for f in arranged.findings}
