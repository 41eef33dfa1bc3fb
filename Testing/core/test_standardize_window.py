"""Windows and z-scores: the formula at its center and edges, and no NaN."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from MedPrepLib.config.settings import Standardize
from MedPrepLib.standardize import window
from MedPrepLib.window import NAMED_WINDOWS, WindowError, normalize


@pytest.mark.parametrize("dtype", ["i2", "i4", "f4", "f8"])
def test_the_lung_window_is_half_at_its_level_and_reaches_its_edges(dtype: str):
    values = np.array([-3000, -1351, -1350, -975, -600, -225, 150, 151, 3071], dtype=dtype)
    expected = [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1]
    scaled = window(values, -600, 1500)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, expected, atol=1e-7)


def test_a_window_agrees_with_the_plain_formula_in_float64():
    values = np.arange(-1024, 3072, dtype=np.int16)
    for level, width in NAMED_WINDOWS.values():
        plain = np.clip((values - (level - width / 2)) / width, 0, 1)
        np.testing.assert_allclose(window(values, level, width), plain, atol=2e-7)


def test_unsigned_values_below_the_level_do_not_wrap():
    assert window(np.array([0, 65_535], dtype=np.uint16), 1000, 100).tolist() == [0, 1]


def test_the_plain_formula_is_what_itk_does():
    import SimpleITK as sitk

    values = np.linspace(-1500, 500, 997).astype(np.int16).reshape(1, 1, -1)
    image = sitk.Cast(sitk.GetImageFromArray(values), sitk.sitkFloat32)
    other = sitk.GetArrayFromImage(sitk.IntensityWindowing(image, -1350, 150, 0, 1))
    np.testing.assert_allclose(window(values, -600, 1500), other, atol=1e-6)


@pytest.mark.parametrize("width", [0, -5, float("nan")])
def test_a_window_without_width_is_refused(width: float):
    with pytest.raises(WindowError, match="positive"):
        window(np.zeros(3), 0, width)


def test_the_usual_windows_are_the_same_in_settings_and_loader():
    stated = {name: (w.level, w.width) for name, w in Standardize().windows.items()}
    assert stated == NAMED_WINDOWS


def test_a_z_score_has_mean_zero_and_deviation_one():
    values = np.random.default_rng(0).normal(300, 25, 10_000).astype(np.int16)
    scaled = normalize(values, float(values.mean()), float(values.std()))
    assert scaled.dtype == np.float32
    assert scaled.mean() == pytest.approx(0, abs=1e-4)
    assert scaled.std() == pytest.approx(1, abs=1e-4)


def test_the_z_score_of_a_constant_image_is_zero_and_no_nan():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert normalize(np.full((2, 3), 7, dtype=np.int16), 7.0, 0.0).tolist() == [[0] * 3] * 2
