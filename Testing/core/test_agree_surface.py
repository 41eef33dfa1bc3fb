"""Surface distances: their definitions, their policy for empty masks, and independent witnesses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from surface_witness import border_voxels, witness

from MedPrepLib.agree import far, nearest
from MedPrepLib.agree.surface import surface_distances, surfaces
from MedPrepLib.errors import GeometryError, LabelError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import from_sitk
from MedPrepLib.segmentation import Segment, Segmentation, from_masks

LENGTHS = ("hausdorff_mm", "hd95_max_mm", "hd95_pooled_mm", "hd95_area_mm", "assd_mm")
THICK = (0.7, 0.7, 5.0)


def ball(shape, center, radius, spacing=(1.0, 1.0, 1.0)):
    away = [
        (index - middle) * step
        for index, middle, step in zip(np.indices(shape), center, spacing[::-1], strict=True)
    ]
    return sum(a**2 for a in away) <= radius**2


def wobbly(seed, shape=(14, 17, 19)):
    """A lump with a rough surface that touches the edge of its grid."""
    rng = np.random.default_rng(seed)
    rough = ndimage.gaussian_filter(rng.standard_normal(shape), 1.5)
    return rough + 0.15 * ball(shape, (5, 8, 0), 7) > 0.1


def values(measured):
    return {name: getattr(measured, name) for name in (*LENGTHS, "nsd")}


def assert_equals_the_witness(a, b, spacing_mm, tolerance_mm):
    found = surface_distances(a, b, spacing_mm, tolerance_mm)
    assert found.outcome == "measured"
    expected = witness(a, b, spacing_mm, tolerance_mm)
    assert values(found) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    return found


# --- lengths ------------------------------------------------------------------------------


def test_a_shift_of_one_thick_slice_is_five_millimeters():
    a = np.zeros((6, 20, 20), bool)
    a[2, 3:17, 4:16] = True
    found = surface_distances(a, np.roll(a, 1, axis=0), THICK, 1.0)
    assert [getattr(found, name) for name in LENGTHS] == [5.0] * 5
    # The lower face of one lies on the upper face of the other, the two others 5 mm away.
    assert found.nsd == 0.5
    assert surface_distances(a, np.roll(a, 1, axis=0), THICK, 5.0).nsd == 1.0


def test_a_shift_in_the_plane_is_measured_with_the_spacing_of_that_axis():
    a = np.zeros((9, 9, 9), bool)
    a[4, 4, 4] = True
    for axis, step in enumerate((5.0, 0.9, 0.7)):
        found = surface_distances(a, np.roll(a, 3, axis=axis), (0.7, 0.9, 5.0), 0.0)
        assert found.hausdorff_mm == pytest.approx(3 * step)


@pytest.mark.parametrize("raters", [(), ("a",)])
def test_fewer_than_two_readings_have_no_pairs(raters):
    grid = Geometry((3, 3, 3))
    one = Segmentation((np.ones((3, 3, 3), np.uint8),), grid, (Segment("mask", 1),))
    assert surfaces(dict.fromkeys(raters, one), ["mask"], 1.0) == ()


def test_equal_masks_are_at_distance_zero():
    a = wobbly(1)
    found = surface_distances(a, a.copy(), THICK, 0.0)
    assert values(found) == dict.fromkeys(LENGTHS, 0.0) | {"nsd": 1.0}


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), THICK, (2.5, 0.8, 1.1)])
@pytest.mark.parametrize("seed", range(3))
def test_every_value_equals_its_definition_by_distance_transforms(seed, spacing):
    assert_equals_the_witness(wobbly(seed), wobbly(seed + 10), spacing, 1.5)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_small_masks_equal_their_definition(data):
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    spacing = data.draw(st.tuples(*[st.sampled_from((0.5, 0.7, 1.0, 3.0))] * 3))
    size = math.prod(shape)
    a, b = (
        np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size))).reshape(shape)
        for _ in range(2)
    )
    if a.any() and b.any():
        assert_equals_the_witness(a, b, spacing, data.draw(st.sampled_from((0.0, 0.7, 2.1))))


@pytest.mark.parametrize("way", ["lookups", "tree", "slices"])
def test_all_ways_to_the_nearest_point_are_exact(monkeypatch, way):
    monkeypatch.setattr(nearest, "_FREE_STEPS", 0)
    monkeypatch.setattr(nearest, "_PATIENCE", 1e9 if way == "lookups" else 0)
    monkeypatch.setattr(nearest, "slices_ns", lambda *_: 0 if way == "slices" else 1e12)
    used = []
    for name in ("by_tree", "by_slices"):
        real = getattr(far, name)
        monkeypatch.setattr(nearest, name, lambda *args, n=name, f=real: used.append(n) or f(*args))
    a = ball((30, 40, 50), (9, 12, 14), 8)
    island = ball(a.shape, (24, 20, 40), 3) & (way != "lookups")
    for moved in ((2, 1, 3), (2, 9, 6)):
        for spacing in ((1.0, 1.0, 1.0), THICK):
            b = np.roll(a, moved, axis=(0, 1, 2)) | island
            assert_equals_the_witness(a, b, spacing, 2.0)
    assert set(used) == {"lookups": set(), "tree": {"by_tree"}, "slices": {"by_slices"}}[way]


def test_a_ball_in_the_middle_of_a_larger_one_is_not_given_to_a_tree(monkeypatch):
    """All of the larger surface is equally far: a tree would look at every point of it."""
    used = []
    for name in ("by_tree", "by_slices"):
        real = getattr(far, name)
        monkeypatch.setattr(nearest, name, lambda *args, n=name, f=real: used.append(n) or f(*args))
    shape, center = (80, 80, 80), (40, 40, 40)
    found = surface_distances(ball(shape, center, 4), ball(shape, center, 37), (1, 1, 1), 1.0)
    assert 32 < found.hausdorff_mm < 34
    assert used[0] == "by_slices"


def test_many_points_are_looked_up_shell_by_shell_to_the_same_values(monkeypatch):
    monkeypatch.setattr(nearest, "_FEW", 4)
    assert_equals_the_witness(wobbly(4), wobbly(5), (0.7, 0.9, 2.0), 1.0)


def test_masks_far_apart_on_a_large_grid_are_measured_exactly():
    a = np.zeros((40, 300, 300), bool)
    a[3:9, 10:60, 20:50] = True
    b = np.roll(a, (25, 200, 190), axis=(0, 1, 2))
    found = surface_distances(a, b, (0.8, 0.8, 2.5), 3.0)
    step = math.hypot(25 * 2.5, 200 * 0.8, 190 * 0.8)
    assert found.hausdorff_mm == pytest.approx(step)
    assert found.nsd == 0.0


# --- other tools --------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.9, 5.0)])
@pytest.mark.parametrize("seed", range(3))
def test_hausdorff_and_mean_equal_simpleitk_between_border_voxels(seed, spacing):
    """SimpleITK measures between all voxels of two masks, so it is given the borders alone."""
    a, b = wobbly(seed), wobbly(seed + 20)
    images = []
    for mask in (a, b):
        image = sitk.GetImageFromArray(border_voxels(mask).astype(np.uint8))
        image.SetSpacing(spacing)
        # Distances depend on the spacing alone, wherever the grid lies.
        image.SetDirection((0.6, 0.0, 0.8, 0.0, -1.0, 0.0, 0.8, 0.0, -0.6))
        images.append(image)
    theirs = sitk.HausdorffDistanceImageFilter()
    theirs.Execute(*images)
    found = surface_distances(a, b, spacing, 1.0)
    assert found.hausdorff_mm == pytest.approx(theirs.GetHausdorffDistance(), rel=1e-6)
    maps = [
        sitk.GetArrayFromImage(
            sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
        )
        for image in images
    ]
    pooled = np.concatenate([maps[1][border_voxels(a)], maps[0][border_voxels(b)]]).clip(0)
    assert found.assd_mm == pytest.approx(pooled.mean(), rel=1e-5)


def test_solid_balls_have_the_hausdorff_distance_that_simpleitk_gives_for_the_masks():
    spacing = (0.8, 0.8, 2.0)
    a = ball((20, 50, 50), (9, 22, 24), 12.0, spacing)
    b = ball((20, 50, 50), (10, 25, 22), 14.0, spacing)
    images = [sitk.GetImageFromArray(m.astype(np.uint8)) for m in (a, b)]
    for image in images:
        image.SetSpacing(spacing)
    theirs = sitk.HausdorffDistanceImageFilter()
    theirs.Execute(*images)
    found = surface_distances(a, b, spacing, 1.0)
    assert found.hausdorff_mm == pytest.approx(theirs.GetHausdorffDistance(), rel=1e-6)


# --- definitions --------------------------------------------------------------------------


def test_the_definitions_of_hd95_differ_on_a_pair_with_one_bad_side():
    """A large mask with a small far island: few of its points are far, but all that are far."""
    a = np.zeros((3, 60, 120), bool)
    a[:, 5:45, 5:45] = True
    b = a.copy()
    b[:, 10:21, 100:112] = True
    found = assert_equals_the_witness(a, b, (1.0, 1.0, 1.0), 1.0)
    # The island is more than 5 % of b's border, but less than 5 % of both together.
    assert found.hd95_max_mm > 50
    assert found.hd95_pooled_mm == 0.0
    assert found.hausdorff_mm == pytest.approx(111 - 44)


def test_the_mean_pools_both_directions_instead_of_averaging_two_means():
    a = np.zeros((1, 1, 40), bool)
    a[..., :2] = True
    b = np.zeros_like(a)
    b[..., :10] = True
    found = surface_distances(a, b, (1.0, 1.0, 1.0), 1.0)
    # In one slice of one row all voxels are border: 2 zeros there, 0 0 1 2 ... 8 back.
    assert found.assd_mm == pytest.approx(36 / 12)
    assert found.assd_mm != pytest.approx((0 + 3.6) / 2)


def test_a_distance_of_exactly_the_tolerance_is_within_it():
    a = np.zeros((1, 1, 12), bool)
    a[..., 2:5] = True
    b = np.roll(a, 3, axis=2)
    assert 3 * 0.1 > 0.3
    assert surface_distances(a, b, (0.1, 0.1, 0.1), 0.3).nsd == 1.0
    assert surface_distances(a, b, (0.1, 0.1, 0.1), 0.29).nsd < 1.0


def test_values_are_symmetric():
    a, b = wobbly(6), wobbly(7)
    forth, back = surface_distances(a, b, THICK, 2.0), surface_distances(b, a, THICK, 2.0)
    assert values(forth) == pytest.approx(values(back), rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), margin=st.integers(1, 9))
def test_padding_the_grid_changes_no_value(seed, margin):
    a, b = wobbly(seed, (5, 7, 8)), wobbly(seed + 1, (5, 7, 8))
    if a.any() and b.any():
        small = surface_distances(a, b, THICK, 2.0)
        padded = surface_distances(np.pad(a, margin), np.pad(b, margin), THICK, 2.0)
        assert values(small) == pytest.approx(values(padded), rel=1e-12)


def test_an_extremely_anisotropic_grid_is_measured_exactly():
    assert_equals_the_witness(wobbly(8), wobbly(9), (1e-4, 1.0, 2.0), 0.5)


# --- empty masks, labels, raters ----------------------------------------------------------


def test_one_empty_mask_has_no_distances_and_a_surface_dice_of_zero():
    a, none = wobbly(1), np.zeros((14, 17, 19), bool)
    for pair in ((a, none), (none, a)):
        found = surface_distances(*pair, THICK, 2.0)
        assert found.outcome == "one empty"
        assert values(found) == dict.fromkeys(LENGTHS) | {"nsd": 0.0}


def test_two_empty_masks_have_no_values_at_all():
    none = np.zeros((3, 4, 5), bool)
    found = surface_distances(none, none, THICK, 2.0)
    assert found.outcome == "both empty"
    assert set(values(found).values()) == {None}


def test_a_label_that_was_not_annotated_differs_from_one_annotated_empty():
    grid = Geometry((19, 17, 14))
    none = np.zeros(grid.shape, bool)
    readings = {
        "a": from_masks({"organ": wobbly(1)}, grid),
        "b": from_masks({"organ": wobbly(2), "tumor": none}, grid),
        "c": from_masks({"organ": none, "tumor": wobbly(3)}, grid),
    }
    found = {(p.label, p.rater_a, p.rater_b): p for p in surfaces(readings, ["tumor", "organ"], 2)}
    assert [p.label for p in found.values()] == ["tumor"] * 3 + ["organ"] * 3
    assert found["tumor", "a", "b"].outcome == "not annotated"
    assert found["tumor", "a", "b"].nsd is None
    assert found["tumor", "b", "c"].outcome == "one empty"
    assert found["organ", "a", "b"].outcome == "measured"
    assert found["organ", "a", "c"].outcome == "one empty"


def label_map(seed, labels=4, shape=(12, 15, 17)):
    rng = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(rng.standard_normal(shape), 2) for _ in range(labels + 1)]
    return np.argmax(fields, axis=0).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_many_labels_and_raters_equal_each_label_and_pair_alone(dtype):
    """Numbers differ between raters, and labels touch: three and more meet in a cell."""
    names = ("one", "two", "three", "four")
    numbers = {"a": (1, 2, 3, 4), "b": (9, 200, 30, 5), "c": (4, 3, 2, 1)}
    grid = Geometry((17, 15, 12), (0.7, 0.9, 2.0))
    maps, readings = {}, {}
    for seed, (rater, own) in enumerate(numbers.items()):
        maps[rater] = label_map(seed)
        stored = np.array([0, *own], dtype)[maps[rater]]
        segments = tuple(Segment(n, v) for n, v in zip(names, own, strict=True))
        readings[rater] = Segmentation((stored,), grid, segments)
    found = surfaces(readings, names, 1.0)
    assert len(found) == 12
    for pair in found:
        value = names.index(pair.label) + 1
        a, b = maps[pair.rater_a] == value, maps[pair.rater_b] == value
        assert values(pair) == pytest.approx(witness(a, b, grid.spacing, 1.0), rel=1e-9, abs=1e-9)


def test_overlapping_segments_are_measured_exactly_in_every_layer():
    grid = Geometry((19, 17, 14), THICK)
    masks = {r: {n: wobbly(10 * s + t) for t, n in enumerate("xyz")} for s, r in enumerate("abc")}
    readings = {r: from_masks(m, grid) for r, m in masks.items()}
    readings["b"] = from_masks(dict(reversed(masks["b"].items())), grid, values=(7, 7, 5))
    for pair in surfaces(readings, "xyz", 2.0):
        a, b = (masks[r][pair.label] for r in (pair.rater_a, pair.rater_b))
        assert values(pair) == pytest.approx(witness(a, b, THICK, 2.0), rel=1e-9, abs=1e-9)


def test_the_result_does_not_depend_on_the_order_of_raters():
    grid = Geometry((19, 17, 14), THICK)
    readings = {r: from_masks({"x": wobbly(s)}, grid) for s, r in enumerate("abcd")}
    backward = dict(reversed(readings.items()))
    assert surfaces(readings, ["x"], 1.0) == surfaces(backward, ["x"], 1.0)


def test_a_single_rater_has_no_pairs():
    assert surfaces({"a": from_masks({"x": wobbly(1)}, Geometry((19, 17, 14)))}, ["x"], 1) == ()


# --- bad calls ----------------------------------------------------------------------------


def test_bad_calls_are_refused():
    a = wobbly(1)
    with pytest.raises(GeometryError, match="shapes"):
        surface_distances(a, a[1:], THICK, 1.0)
    with pytest.raises(GeometryError, match="3-D"):
        surface_distances(a[0], a[0], THICK, 1.0)
    with pytest.raises(GeometryError, match="spacing"):
        surface_distances(a, a, (0.7, 0.0, 5.0), 1.0)
    with pytest.raises(GeometryError, match="-1"):
        surface_distances(a, a, THICK, -1.0)
    with pytest.raises(LabelError, match="uint8"):
        surface_distances(a.astype(np.uint8), a, THICK, 1.0)


def test_readings_on_different_grids_are_refused():
    readings = {
        "a": from_masks({"x": wobbly(1)}, Geometry((19, 17, 14))),
        "b": from_masks({"x": wobbly(1)}, Geometry((19, 17, 14), origin=(1.0, 0.0, 0.0))),
    }
    with pytest.raises(GeometryError, match="different grids"):
        surfaces(readings, ["x"], 1.0)


# --- real raters --------------------------------------------------------------------------


def test_lidc_nodules_equal_the_definitions(shared_data):
    nodules = sorted((shared_data / "multirater" / "lidc").glob("*/nodule.json"))[::4]
    assert len(nodules) == 12
    worst = []
    for nodule in nodules:
        masks, readings = {}, {}
        for rater in "1234":
            image = sitk.ReadImage(str(nodule.parent / f"rater{rater}.nii.gz"), sitk.sitkUInt8)
            volume = from_sitk(image)
            masks[rater] = volume.array == 1
            readings[rater] = from_masks({"nodule": masks[rater]}, volume.geometry)
        for pair in surfaces(readings, ["nodule"], 1.0):
            a, b = masks[pair.rater_a], masks[pair.rater_b]
            expected = witness(a, b, volume.geometry.spacing, 1.0)
            assert values(pair) == pytest.approx(expected, rel=1e-9, abs=1e-9)
            assert pair.assd_mm <= pair.hd95_max_mm <= pair.hausdorff_mm
            worst.append(pair.hausdorff_mm)
    assert max(worst) > 5
    assert min(worst) < 2
