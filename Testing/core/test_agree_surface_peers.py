"""Surface distances beside the packages whose definitions they name."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from scipy import ndimage

from MedPrepLib.agree.surface import surface_distances

TOLERANCE_MM = 1.5
SPACINGS = [(1.0, 1.0, 1.0), (0.7, 0.7, 5.0), (0.9, 0.6, 2.5)]

# The packages compared with are not ours to keep free of deprecated calls.
pytestmark = pytest.mark.filterwarnings("ignore")


def peer(name: str):
    """Another tool's module; the test is skipped where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} is not installed")


@pytest.fixture(params=range(4))
def masks(request):
    """Two rough lumps that overlap in part, with background around them."""
    rng = np.random.default_rng(request.param)
    lumps = []
    for _ in range(2):
        rough = ndimage.gaussian_filter(rng.standard_normal((16, 22, 20)), 2.0)
        lump = np.zeros(rough.shape, bool)
        lump[2:-2, 2:-2, 2:-2] = (rough > 0.02)[2:-2, 2:-2, 2:-2]
        lumps.append(lump)
    return lumps


@pytest.mark.parametrize("spacing", SPACINGS)
def test_values_weighted_by_area_equal_those_of_surface_distance(masks, spacing):
    metrics = peer("surface_distance")
    ours = surface_distances(*masks, spacing, TOLERANCE_MM)
    theirs = metrics.compute_surface_distances(*masks, spacing[::-1])
    nsd = metrics.compute_surface_dice_at_tolerance(theirs, TOLERANCE_MM)
    assert ours.nsd == pytest.approx(nsd, abs=1e-12)
    assert ours.hd95_area_mm == pytest.approx(metrics.compute_robust_hausdorff(theirs, 95))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_larger_of_two_directed_percentiles_is_that_of_monai(masks, spacing):
    peer("torch")
    metrics = peer("monai.metrics")
    ours = surface_distances(*masks, spacing, TOLERANCE_MM)
    batch = [mask[None, None].astype(np.float32) for mask in masks]
    torch = importlib.import_module("torch")
    tensors = [torch.from_numpy(mask) for mask in batch]
    options = {"include_background": True, "spacing": spacing[::-1]}
    full = metrics.compute_hausdorff_distance(*tensors, **options)
    robust = metrics.compute_hausdorff_distance(*tensors, percentile=95, **options)
    assert ours.hausdorff_mm == pytest.approx(full.item(), rel=1e-5)
    assert ours.hd95_max_mm == pytest.approx(robust.item(), rel=1e-5)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_values_pooled_over_both_directions_are_those_of_medpy(masks, spacing):
    binary = peer("medpy.metric.binary")
    ours = surface_distances(*masks, spacing, TOLERANCE_MM)
    assert ours.hausdorff_mm == pytest.approx(binary.hd(*masks, spacing[::-1]))
    assert ours.hd95_pooled_mm == pytest.approx(binary.hd95(*masks, spacing[::-1]))
