"""Standardizing: ranges, padding, findings and exact statistics, against numpy in float64."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from MedPrepLib.config.settings import Standardize
from MedPrepLib.errors import ConfigError, GeometryError
from MedPrepLib.geometry import Geometry
from MedPrepLib.histogram import Histogram
from MedPrepLib.images import Volume
from MedPrepLib.results import Statistics
from MedPrepLib.standardize import Standardized, standardize

SETTINGS = Standardize()


def volume(array: np.ndarray) -> Volume:
    k, j, i = array.shape
    return Volume(array, Geometry((i, j, k), (0.7, 0.8, 2.5)))


def body(seed: int = 0, shape: tuple[int, int, int] = (7, 60, 50)) -> np.ndarray:
    """A CT: air around soft tissue and some bone, int16."""
    rng = np.random.default_rng(seed)
    array = rng.normal(-990, 10, shape)
    array[:, 10:50, 10:40] = rng.normal(40, 30, (shape[0], 40, 30))
    array[:, 20:25, 20:25] = rng.normal(800, 200, (shape[0], 5, 5))
    return np.clip(np.rint(array), -1024, 3071).astype(np.int16)


def run(array: np.ndarray, modality: str = "CT", **kwargs) -> Standardized:
    return standardize(volume(array), modality, SETTINGS, "c1", **kwargs)


def run_volume(given: Volume, modality: str = "CT", **kwargs) -> Standardized:
    return standardize(given, modality, SETTINGS, "c1", **kwargs)


def codes(result: Standardized) -> set[str]:
    return {finding.code for finding in result.findings}


def assert_statistics(found: Statistics, values: np.ndarray) -> None:
    """Against numpy in float64; percentiles by their definition on the sorted values."""
    wide = values.astype(np.float64)
    assert found.count == wide.size
    assert found.mean == pytest.approx(wide.mean(), rel=1e-12, abs=1e-9)
    assert found.std == pytest.approx(wide.std(), rel=1e-9)
    assert (found.minimum, found.maximum) == (wide.min(), wide.max())
    expected = np.percentile(wide, SETTINGS.percentiles, method="inverted_cdf")
    assert list(found.percentiles) == ["0.5", "5", "25", "50", "75", "95", "99.5"]
    assert list(found.percentiles.values()) == list(expected)


def test_a_plain_ct_keeps_every_value_and_has_no_findings():
    array = body()
    result = run(array)
    assert result.volume.array.dtype == np.int16
    np.testing.assert_array_equal(result.volume.array, array)
    assert result.findings == ()
    assert result.pad_value == -1024
    assert_statistics(result.statistics, array)


def test_the_input_is_not_changed():
    array = body()
    array[0, 0, 0] = 9000
    kept = array.copy()
    run(array)
    np.testing.assert_array_equal(array, kept)


@pytest.mark.parametrize("dtype", ["i2", "i4", "i8", "f4", "f8"])
def test_metal_is_clipped_counted_and_included(dtype: str):
    array = body().astype(dtype)
    array[0, :3, :3] = 30_000
    result = run(array)
    assert result.volume.array.max() == 3071
    assert (result.statistics.clipped_low, result.statistics.clipped_high) == (0, 9)
    assert codes(result) == {"CLIPPED"}
    assert "9 above 3071 HU" in result.findings[0].message
    assert_statistics(result.statistics, np.clip(array, -1024, 3071))


@pytest.mark.parametrize(
    ("dtype", "extreme", "expected"),
    [("u2", 65_535, 3071), ("i2", -1400, -1024), ("i4", 40_000, 3071), ("i4", -1_400, -1024),
     ("i8", 2**40, 3071), ("u1", 255, 255), ("u4", 2**32 - 1, 3071), ("f8", 1e30, 3071),
     ("f4", 32_768.0, 3071)],
)  # fmt: skip
def test_no_value_of_any_type_wraps(dtype: str, extreme: float, expected: int):
    array = np.zeros((2, 3, 4), dtype=dtype)
    array[0, 1, 2] = extreme
    result = run(array)
    assert result.volume.array[0, 1, 2] == expected
    assert np.count_nonzero(result.volume.array) == 1


@pytest.mark.parametrize("fov", [-1500, -2000, -2048, -3024])
@pytest.mark.parametrize("dtype", ["i2", "f4"])
def test_voxels_outside_the_field_of_view_are_filled_counted_and_left_out(fov: int, dtype: str):
    array = body()
    inside = array[1:]
    array[0] = fov
    result = run(array.astype(dtype))
    assert (result.volume.array[0] == -1024).all()
    assert result.statistics.padding == array[0].size
    assert result.statistics.clipped_low == 0
    assert result.findings == ()
    assert_statistics(result.statistics, inside)


def test_values_just_below_the_range_are_clipping_and_no_padding():
    array = body()
    array[0, 0, :4] = -1499
    result = run(array)
    assert result.statistics.padding == 0
    assert result.statistics.clipped_low == 4
    assert codes(result) == {"CLIPPED"}


def test_a_padding_value_in_the_air_is_padding():
    array = body()
    array[array == -1010] = -1009
    array[:, :2] = -1010
    result = run(array, padding_value=-1010.0)
    assert result.statistics.padding == array[:, :2].size
    assert (result.volume.array[:, :2] == -1024).all()
    assert_statistics(result.statistics, array[:, 2:])


def test_a_padding_value_of_water_does_not_blank_tissue():
    array = body()
    result = run(array, padding_value=0.0)
    assert result.statistics.padding == 0
    np.testing.assert_array_equal(result.volume.array, array)


def test_a_padding_mask_is_left_out_wherever_it_lies_and_counted_once():
    array = body()
    mask = np.zeros(array.shape, dtype=bool)
    mask[:2] = True
    array[:4] = -2000
    result = run(array, padding=mask, padding_value=-2000.0)
    assert result.statistics.padding == array[:4].size
    assert (result.volume.array[:4] == -1024).all()
    assert_statistics(result.statistics, array[4:])


def test_a_padding_mask_of_another_shape_is_a_wrong_call():
    with pytest.raises(GeometryError, match="padding mask"):
        run(body(), padding=np.zeros((1, 2, 3), dtype=bool))


def test_halves_round_to_even_before_the_cast():
    array = body().astype(np.float64)
    array[0, 0, :4] = [-1000.5, -999.5, 10.5, 11.5]
    assert run(array).volume.array[0, 0, :4].tolist() == [-1000, -1000, 10, 12]


@pytest.mark.fault("F42")
@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_reject_the_image(modality: str, broken: float):
    array = body().astype(np.float32)
    array[3, 4, 5] = broken
    result = run(array, modality)
    assert [f.code for f in result.findings] == ["NOT_FINITE"]
    assert "1 voxels" in result.findings[0].message
    assert result.volume.array[3, 4, 5] == result.pad_value
    assert np.isfinite(result.volume.array).all()


@pytest.mark.parametrize("value", [0, -1024, -2000, 5000])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_constant_image_is_rejected(value: int, modality: str):
    result = run(np.full((3, 4, 5), value, dtype=np.int16), modality)
    assert "CONSTANT_IMAGE" in codes(result)
    assert result.statistics.std == 0
    assert "NOT_HU" not in codes(result)


@pytest.mark.parametrize("offset", [1024, 1000])
def test_a_ct_without_its_intercept_is_no_hu(offset: int):
    assert "NOT_HU" in codes(run(np.maximum(body() + offset, 0).astype(np.uint16)))


def test_a_ct_with_the_intercept_applied_twice_is_no_hu():
    assert "NOT_HU" in codes(run(np.minimum(body(), 600) - np.int16(1024)))


def test_an_empty_range_is_refused():
    upside_down = Standardize(ct_low_hu=100, ct_high_hu=100)
    with pytest.raises(ConfigError, match="ct_low_hu"):
        standardize(volume(body()), "CT", upside_down, "c1")


def test_a_narrow_range_does_not_make_a_ct_look_wrong():
    narrow = Standardize(ct_low_hu=0, ct_high_hu=80)
    result = standardize(volume(body()), "CT", narrow, "c1")
    assert codes(result) == {"CLIPPED"}
    assert (result.volume.array.min(), result.volume.array.max()) == (0, 80)


@pytest.mark.parametrize("dtype", ["i2", "u2", "f4", "f8", "u1"])
def test_other_modalities_keep_whole_numbers_as_int16_without_clipping(dtype: str):
    array = np.arange(2 * 3 * 40, dtype=np.int64).reshape(2, 3, 40)
    array[0, 0, 0] = 250 if dtype == "u1" else 30_000
    result = run(array.astype(dtype), "MR")
    assert result.volume.array.dtype == np.int16
    np.testing.assert_array_equal(result.volume.array, array)
    assert result.findings == ()
    assert_statistics(result.statistics, array)


@pytest.mark.parametrize("shift", [0.25, 40_000])
def test_other_modalities_become_float32_when_int16_cannot_hold_them(shift: float):
    array = np.random.default_rng(1).normal(100, 20, (5, 30, 40)) + shift
    result = run(np.rint(array) if shift > 1 else array, "PT")
    assert result.volume.array.dtype == np.float32
    stored = result.volume.array
    assert_statistics(result.statistics, stored)


def test_pet_counts_above_int16_do_not_wrap():
    array = np.array([[[0, 140_000, 65_535, 32_768]]], dtype=np.int32)
    assert run(array, "PT").volume.array.ravel().tolist() == [0, 140_000, 65_535, 32_768]


def test_padding_of_other_modalities_is_left_out_but_kept_in_the_image():
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    array[0, 0] = -1
    result = run(array, "MR", padding_value=-1.0)
    assert result.statistics.padding == 5
    assert_statistics(result.statistics, array[array >= 0])
    assert run(array, "MR", padding_value=70_000.0).statistics.padding == 0
    assert run(array, "MR", padding_value=0.5).statistics.padding == 0


@pytest.mark.parametrize(("low", "pad"), [(5.5, 0.0), (-3.5, -3.5)])
def test_the_pad_value_is_zero_or_the_lowest_value_of_a_centered_image(low: float, pad: float):
    array = np.linspace(low, 10, 24, dtype=np.float32).reshape(2, 3, 4)
    assert run(array, "MR").pad_value == pad


def dirty(dtype: str) -> np.ndarray:
    """Body, metal, what lies outside the field of view, padding in the air, NaN in floats."""
    array = body(4).astype(dtype)
    array[0, :3, :3], array[1, :4], array[2, 5] = 20_000, -3024, -1010
    if array.dtype.kind == "f":
        array[3, 7, 8:11] = np.nan, np.inf, -np.inf
        array[4, 2, 2] = 0.25
    return array


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("dtype", ["i2", "u2", "i4", "f4", "f8"])
def test_in_place_gives_the_same_as_with_a_new_array(modality: str, dtype: str):
    array = dirty(dtype) if dtype != "u2" else np.maximum(dirty("i2"), 0).astype("u2")
    mask = np.random.default_rng(1).random(array.shape) < 0.01
    given = {"padding_value": -1010.0, "padding": mask}
    apart = run(array, modality, **given)
    owned = volume(array.copy())
    result = run_volume(owned, modality, in_place=True, **given)
    np.testing.assert_array_equal(result.volume.array, apart.volume.array)
    assert result.volume.array.dtype == apart.volume.array.dtype
    assert (result.statistics, result.findings) == (apart.statistics, apart.findings)
    assert result.pad_value == apart.pad_value
    own_type = array.dtype == result.volume.array.dtype
    assert np.shares_memory(result.volume.array, owned.array) == own_type


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("dtype", ["i2", "f4"])
def test_a_volume_that_was_not_given_up_is_never_changed(modality: str, dtype: str):
    array = dirty(dtype)
    kept = array.copy()
    given = volume(array)
    run_volume(given, modality)
    np.testing.assert_array_equal(array, kept)
    array.flags.writeable = False  # frozen by its owner: not even when asked to
    result = run_volume(volume(array), modality, in_place=True)
    np.testing.assert_array_equal(array, kept)
    np.testing.assert_array_equal(result.volume.array, run(kept, modality).volume.array)


def test_in_place_takes_no_memory_for_voxels():
    given = volume(np.tile(dirty("i2"), (6, 4, 4)))
    tracemalloc.start()
    run_volume(given, "CT", in_place=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


@pytest.mark.parametrize(("modality", "dtype"), [("CT", "i2"), ("CT", "f4"), ("MR", "i2")])
def test_besides_the_result_little_memory_is_taken(modality: str, dtype: str):
    array = np.tile(body(), (6, 4, 4)).astype(dtype)
    given = volume(array)
    tracemalloc.start()
    result = standardize(given, modality, SETTINGS, "c1")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - result.volume.array.nbytes < 6e6


@pytest.mark.parametrize(
    "series",
    ["sts/STS_001/CT/image", "lung_ct/pat_2", "totalseg/ct", "dcmqi_ct"],
)
def test_real_cts_are_recognized_as_hounsfield_units(shared_data: Path, series: str):
    array, padding = _read_ct(shared_data / "cohort" / series)
    result = run(array, "CT", padding_value=padding)
    assert "NOT_HU" not in codes(result)
    assert result.volume.array.min() >= -1024
    shifted = array - array[array > -1500].min()
    assert "NOT_HU" in codes(run(shifted, "CT"))


def _read_ct(folder: Path) -> tuple[np.ndarray, float | None]:
    import pydicom

    slices = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.suffix in {".nrrd", ".gz", ".json", ".txt", ".md"}:
            continue
        header = pydicom.dcmread(path, force=True)
        if header.get("Modality") == "CT" and "PixelData" in header:
            slices.append(header)
    facts: Mapping = slices[0]
    stored = np.stack([s.pixel_array for s in slices]).astype(np.float64)
    padding = facts.get("PixelPaddingValue")
    scale = (float(facts.RescaleSlope), float(facts.RescaleIntercept))
    padded = None if padding is None else float(padding) * scale[0] + scale[1]
    return stored * scale[0] + scale[1], padded


@pytest.mark.parametrize("base", [-32768, -1024, 0, 32767])
def test_values_below_the_expected_ones_are_counted_where_they_belong(base) -> None:
    values = np.array([-32768, -1025, -1024, -1, 0, 0, 1, 3071, 32767], np.int16)
    plain, guessed = Histogram(), Histogram()
    assert plain.add(values) == (-32768, 32767)
    low, high = guessed.add(values, base)
    assert low == base
    assert (high > 32767) == (base > -32768)
    assert np.array_equal(guessed.counts, plain.counts)
    assert guessed.add(np.array([base], np.int16), base) == (base, base)
