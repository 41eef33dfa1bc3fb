"""A displaced mask is told apart from a true disagreement, and the shift is named in mm."""

from __future__ import annotations

import numpy as np
import pytest

from MedPrepLib.agree import agree
from MedPrepLib.agree.crops import crop
from MedPrepLib.agree.shift import best_shift, find_shifts
from MedPrepLib.config.settings import Agree
from MedPrepLib.geometry import Geometry
from MedPrepLib.segmentation import Segment, Segmentation

GRID = Geometry((40, 36, 24), (0.7, 0.7, 5.0))


def blob(center, radii):
    axes = np.ogrid[: GRID.shape[0], : GRID.shape[1], : GRID.shape[2]]
    square = sum(((x - c) / r) ** 2 for x, c, r in zip(axes, center, radii, strict=True))
    return (square <= 1).astype(np.uint8)


def readings_of(**masks):
    return {
        rater: Segmentation((mask,), GRID, (Segment("tumor", 1),)) for rater, mask in masks.items()
    }


def shifts(**masks):
    readings = readings_of(**masks)
    return find_shifts(readings, agree(readings, ["tumor"]), Agree(), "case")


def test_one_slice_of_displacement_is_five_millimeters_on_an_anisotropic_grid():
    mask = blob((12, 18, 20), (2.5, 6, 7))
    (found,) = shifts(a=mask, b=np.roll(mask, 2, axis=0))
    assert found.code == "MASK_SHIFTED"
    assert "moving the mask of b by (0, 0, -2) voxels (i, j, k), 10 mm" in found.message
    assert "to 1.000" in found.message


def test_the_displaced_rater_is_named_once_among_many():
    mask = blob((12, 18, 20), (4, 7, 6))
    trimmed = mask.copy()
    trimmed[8] = 0
    moved = np.roll(mask, (3, 4, -5), axis=(0, 1, 2))
    (found,) = shifts(a=moved, b=mask, c=trimmed)
    assert "mask of a by (5, -4, -3) voxels" in found.message


def test_the_search_repairs_an_imperfect_copy():
    mask = blob((12, 18, 20), (5, 8, 8))
    other = np.roll(mask, (0, 6, 3), axis=(0, 1, 2))
    other[:, :, :17] = 0
    (found,) = shifts(a=mask, b=other)
    assert "by (-3, -6, 0) voxels" in found.message


@pytest.mark.parametrize(
    "other",
    [
        blob((12, 18, 20), (1.5, 3, 3)),
        np.roll(blob((5, 10, 8), (3, 5, 5)), (12, 0, 25), axis=(0, 1, 2)),
        np.zeros(GRID.shape, np.uint8),
    ],
    ids=["another size", "too far away", "empty"],
)
def test_a_true_disagreement_is_no_shift(other):
    assert shifts(a=blob((5, 10, 8), (3, 5, 5)), b=other) == ()


def test_raters_who_agree_are_not_searched():
    mask = blob((12, 18, 20), (4, 7, 6))
    assert shifts(a=mask, b=mask) == ()


def tube(step, length, offset):
    """A thin diagonal tube: only diagonal steps follow it."""
    mask = np.zeros(GRID.shape, np.uint8)
    for n in range(length):
        k, j, i = (o + n * s for o, s in zip(offset, step, strict=True))
        mask[k : k + 2, j : j + 2, i : i + 2] = 1
    return mask


def common(fixed, moving, shift):
    moved = np.roll(np.pad(moving, 40), shift, axis=(0, 1, 2))
    return int((np.pad(fixed, 40) & moved).sum())


@pytest.mark.parametrize("seed", range(8))
def test_no_neighbor_of_the_shift_found_has_more_in_common(seed):
    rng = np.random.default_rng(seed)
    fixed = tube((1, 1, 1), 8, rng.integers(2, 10, 3)) | blob(rng.uniform(8, 16, 3), (2, 3, 2))
    moving = tube((1, 1, 1), 14, rng.integers(0, 8, 3)) | blob(rng.uniform(8, 16, 3), (2, 2, 4))
    readings = readings_of(a=fixed, b=moving)
    a, b = (crop(readings[rater], "tumor") for rater in "ab")
    shift, value = best_shift(a, b, np.inf)
    assert value == 2 * common(fixed, moving, shift) / (fixed.sum() + moving.sum())
    around = np.array(np.meshgrid(*[(-1, 0, 1)] * 3)).reshape(3, -1).T
    best = max(common(fixed, moving, tuple(np.add(shift, step).tolist())) for step in around)
    assert common(fixed, moving, shift) == best
