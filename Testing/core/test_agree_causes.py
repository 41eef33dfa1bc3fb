"""Every cause of a low agreement is found on masks made to have it, and only on those."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from MedPrepLib.agree import agree
from MedPrepLib.agree.causes import explain
from MedPrepLib.agree.pairs import pairs_kind
from MedPrepLib.config.settings import Agree
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, from_sitk, to_sitk
from MedPrepLib.results import GridVerdict
from MedPrepLib.segmentation import Segment, Segmentation, from_masks

GRID = Geometry((64, 56, 30), (0.7, 0.8, 2.5), (12.0, -30.0, 40.0))
COS, SIN = math.cos(0.4), math.sin(0.4)
OBLIQUE = (COS, -SIN, 0.0, SIN, COS, 0.0, 0.0, 0.0, -1.0)


def ball(center, radii, grid=GRID):
    """An ellipsoid around the index (k, j, i)."""
    axes = np.ogrid[: grid.shape[0], : grid.shape[1], : grid.shape[2]]
    return sum(((x - c) / r) ** 2 for x, c, r in zip(axes, center, radii, strict=True)) <= 1


def pear(center, grid=GRID):
    """A shape without any symmetry."""
    k, j, i = center
    mask = ball(center, (3, 6, 5), grid) | ball((k + 2, j + 5, i + 2), (2, 3, 7), grid)
    return mask | ball((k - 3, j - 2, i + 5), (2, 2, 3), grid)


def readings_of(grid=GRID, **masks):
    return {rater: from_masks({"tumor": mask}, grid) for rater, mask in masks.items()}


def causes(readings, labels=("tumor",), limits=None, verdicts=None):
    limits = limits or Agree()
    return explain(readings, agree(readings, labels), limits, verdicts)


def best(readings, labels=("tumor",), verdicts=None):
    """The likeliest cause of the only flagged pair and label."""
    (found,) = [c for c in causes(readings, labels, verdicts=verdicts) if c.best]
    return found


def world(grid):
    """World millimeters (k, j, i, 3) of every voxel, as SimpleITK places them."""
    image = to_sitk(Volume(np.zeros(grid.shape, np.uint8), grid))
    physical = sitk.PhysicalPointSource(
        sitk.sitkVectorFloat64,
        image.GetSize(),
        image.GetOrigin(),
        image.GetSpacing(),
        image.GetDirection(),
    )
    return sitk.GetArrayFromImage(physical)


# --- names and absence ----------------------------------------------------------------------


def test_swapped_labels_are_named_for_both_labels():
    one, other = ball((10, 20, 20), (4, 8, 8)), ball((18, 35, 40), (4, 7, 7))
    readings = {
        "ana": from_masks({"cyst": one, "tumor": other}, GRID),
        "ben": from_masks({"cyst": np.roll(other, 1, axis=2), "tumor": one}, GRID),
    }
    found = [c for c in causes(readings, ("cyst", "tumor")) if c.best]
    assert [(c.label, c.code) for c in found] == [
        ("cyst", "name mismatch"), ("tumor", "name mismatch"),
    ]  # fmt: skip
    assert found[0].dice_after == 1.0
    assert "what ana calls 'cyst' is what ben calls 'tumor' (Dice 1.000" in found[0].sentence
    assert "swapped" in found[0].sentence


@pytest.mark.parametrize("also_empty", [False, True])
def test_a_structure_under_another_name_is_found_where_the_label_is_absent_or_empty(also_empty):
    mask = ball((10, 20, 20), (4, 8, 8))
    theirs = {"cyst": mask} | ({"tumor": np.zeros_like(mask)} if also_empty else {})
    readings = {"ana": from_masks({"tumor": mask}, GRID), "ben": from_masks(theirs, GRID)}
    rows = causes(readings)
    assert [c.code for c in rows] == [
        "name mismatch", "one empty" if also_empty else "not annotated",
    ]  # fmt: skip
    assert "one structure under two names" in rows[0].sentence


def test_names_are_compared_across_layers_and_other_numbers():
    mask, other = ball((10, 20, 20), (4, 8, 8)), ball((10, 20, 20), (6, 9, 9))
    layered = from_masks({"organ": other, "tumor": mask}, GRID)
    flat = np.where(mask, 7, 0).astype(np.uint8)
    flat[ball((22, 45, 50), (2, 3, 3))] = 9
    readings = {
        "a": layered,
        "b": Segmentation((flat,), GRID, (Segment("lesion", 7), Segment("tumor", 9))),
    }
    found = next(c for c in causes(readings, ("organ", "tumor")) if c.best and c.label == "tumor")
    assert (found.code, found.dice_after) == ("name mismatch", 1.0)
    assert "what b calls 'lesion'" in found.sentence


def test_a_nested_label_that_also_agrees_a_little_is_no_other_name():
    organ = ball((14, 28, 30), (8, 15, 15))
    a = from_masks({"organ": organ, "tumor": ball((14, 28, 30), (6.8, 13, 13))}, GRID)
    b = from_masks({"organ": organ, "tumor": ball((14, 28, 30), (5.4, 10, 10))}, GRID)
    found = best({"a": a, "b": b}, ("organ", "tumor"))
    assert found.label == "tumor"
    assert found.dice > 0.6
    assert found.code == "over/under-segmentation"


def test_a_label_that_was_not_annotated_is_said_with_the_volume_of_the_other():
    mask = ball((10, 20, 20), (4, 8, 8))
    readings = {"ana": from_masks({"tumor": mask}, GRID), "ben": from_masks({}, GRID)}
    readings["ben"] = Segmentation((np.zeros(GRID.shape, np.uint8),), GRID, ())
    found = best(readings)
    milliliters = mask.sum() * 0.7 * 0.8 * 2.5 / 1000
    assert found.code == "not annotated"
    assert f"ben did not annotate 'tumor', of which ana drew {milliliters:.3g} ml" in found.sentence
    assert (found.dice, found.dice_after) == (None, None)


def test_an_empty_mask_is_said_as_such():
    mask = ball((10, 20, 20), (4, 8, 8))
    found = best(readings_of(ana=np.zeros_like(mask), ben=mask))
    assert (found.code, found.dice) == ("one empty", 0.0)
    assert "ana annotated 'tumor' as empty where ben drew" in found.sentence


def test_labels_that_nobody_drew_need_no_cause():
    nothing = np.zeros(GRID.shape, bool)
    blank = Segmentation((nothing.astype(np.uint8),), GRID, ())
    assert causes(readings_of(a=nothing, b=nothing) | {"c": blank}) == ()


# --- masks in a wrong place -----------------------------------------------------------------


def test_a_mask_without_the_images_origin_is_a_transform_that_was_not_applied():
    grid = Geometry(GRID.size, GRID.spacing, (-14.0, 16.0, 20.0))
    mask = pear((9, 16, 36), grid)
    moved = np.roll(mask, (8, 20, -20), axis=(0, 1, 2))  # the origin in voxels: (-20, 20, 8)
    found = best(readings_of(grid, ana=mask, ben=moved))
    assert found.code == "transform not applied"
    assert found.dice_after == 1.0
    assert found.moved == "ben"
    assert found.shift == (20, -20, -8)
    assert "minus the image's origin (-14, 16, 20) mm" in found.sentence


def test_a_mask_about_a_centered_volume_is_a_transform_that_was_not_applied():
    grid = Geometry((60, 52, 30), (1.0, 1.0, 2.0), (-9.5, -41.5, -9.0))
    center = grid.point_at((29.5, 25.5, 14.5))
    assert center == (20.0, -16.0, 20.0)
    mask = pear((18, 14, 34), grid)
    moved = np.roll(mask, (-10, 16, -20), axis=(0, 1, 2))
    found = best(readings_of(grid, ana=mask, ben=moved))
    assert (found.code, found.shift) == ("transform not applied", (20, -16, 10))
    assert "the image's center (20, -16, 20) mm" in found.sentence


def test_ras_taken_for_lps_is_found_on_an_oblique_left_handed_grid():
    grid = Geometry((70, 60, 24), (0.7, 0.9, 2.0), (-10.0, -35.0, 30.0), OBLIQUE)
    assert grid.is_left_handed
    place = world(grid)

    def drawn(points):
        x, y, z = np.moveaxis(points, -1, 0)
        first = ((x - 6) / 4) ** 2 + ((y - 5) / 6) ** 2 + ((z - 8) / 7) ** 2 <= 1
        return first | (((x - 8) / 3) ** 2 + ((y - 9) / 3) ** 2 + ((z - 4) / 9) ** 2 <= 1)

    right, negated = drawn(place), drawn(place * (-1, -1, 1))
    assert min(right.sum(), negated.sum()) > 300
    found = best(readings_of(grid, ana=right, ben=negated))
    assert found.code == "axes mixed up"
    assert "negating x and y in the world (RAS taken for LPS)" in found.sentence
    assert found.dice_after > 0.9


@pytest.mark.parametrize(
    ("axes", "words"),
    [((2,), "axis i"), ((1,), "axis j"), ((0,), "axis k"), ((2, 1), "axis i and j")],
)
def test_a_flipped_array_is_found(axes, words):
    mask = pear((8, 15, 14))
    found = best(readings_of(ana=mask, ben=np.flip(mask, axes)))
    assert (found.code, found.dice_after) == ("axes mixed up", 1.0)
    assert f"flipping index {words} raises" in found.sentence


def test_exchanged_axes_are_found_on_a_grid_whose_sizes_allow_it():
    grid = Geometry((60, 60, 24), (0.7, 0.7, 3.0), (5.0, 6.0, 7.0))
    mask = pear((10, 12, 40), grid)
    found = best(readings_of(grid, ana=mask, ben=np.swapaxes(mask, 1, 2)))
    assert (found.code, found.dice_after) == ("axes mixed up", 1.0)
    assert "in the order jik" in found.sentence


def test_a_short_shift_is_named_in_voxels_and_millimeters():
    mask = pear((12, 25, 25))
    found = best(readings_of(ana=mask, ben=np.roll(mask, (2, 0, -4), axis=(0, 1, 2))))
    assert (found.code, found.moved, found.shift) == ("shifted", "ben", (4, 0, -2))
    assert f"(4, 0, -2) voxels (i, j, k), {math.hypot(2.8, 5.0):.3g} mm" in found.sentence
    assert found.dice_after == 1.0


def test_a_shift_is_found_between_raters_who_would_agree_only_about():
    mask = ball((12, 25, 25), (5, 9, 9))
    other = np.roll(ball((12, 25, 25), (4.5, 8, 10)), 8, axis=2)
    found = best(readings_of(ana=mask, ben=other))
    assert found.code == "shifted"
    assert 0.8 < found.dice_after < 0.95


def test_a_large_mask_is_followed_farther_than_a_small_one():
    large, small = ball((12, 25, 14), (7, 12, 9)), ball((12, 25, 14), (2, 4, 4))
    found = best(readings_of(ana=large, ben=np.roll(large, 24, axis=2)))
    assert (found.code, found.shift) == ("shifted", (-24, 0, 0))
    assert best(readings_of(ana=small, ben=np.roll(small, 24, axis=2))).code == "no overlap"


def test_the_one_who_disagrees_with_all_is_the_one_who_is_displaced():
    mask = pear((12, 25, 25))
    readings = readings_of(ana=np.roll(mask, 5, axis=2), ben=mask, cem=mask)
    assert {(c.moved, c.shift) for c in causes(readings) if c.best} == {("ana", (-5, 0, 0))}


def test_a_reading_from_another_grid_is_suspected_before_a_difference_of_opinion():
    small, large = ball((12, 25, 25), (2, 5, 5)), ball((12, 25, 25), (4, 9, 9))
    sentence = "the mask has other spacing and is resampled; corners are 3 mm apart."
    verdict = GridVerdict("resample", 3.0, "other spacing", sentence)
    same = GridVerdict("same", 0.0, "identical grid", "same")
    rows = causes(readings_of(ana=small, ben=large), verdicts={"ana": same, "ben": verdict})
    assert [(c.code, c.best) for c in rows] == [
        ("other grid", True), ("over/under-segmentation", False),
    ]  # fmt: skip
    assert f"the reading of ben came from another grid: {sentence}" == rows[0].sentence


def test_a_reading_that_was_only_moved_as_whole_voxels_is_the_last_suspect():
    small, large = ball((12, 25, 25), (2, 5, 5)), ball((12, 25, 25), (4, 9, 9))
    verdict = GridVerdict("move", 9.0, "flipped along axis k", "flipped")
    rows = causes(readings_of(ana=small, ben=large), verdicts={"ben": verdict})
    assert [c.code for c in rows] == ["over/under-segmentation", "other grid"]


# --- differences of opinion -----------------------------------------------------------------


def test_one_who_drew_more_is_named_with_the_ratio_and_both_volumes():
    small, large = ball((12, 25, 25), (2, 5, 5)), ball((12, 25, 25), (4, 9, 9))
    found = best(readings_of(ana=large, ben=small))
    ratio = large.sum() / small.sum()
    assert found.code == "over/under-segmentation"
    assert f"ana drew {ratio:.2g} times the volume of ben and holds 100% of it" in found.sentence
    assert f"ben {small.sum() * 1.4 / 1000:.3g} ml" in found.sentence


def test_lesions_of_one_rater_are_the_cause_where_the_common_one_agrees():
    common, alone = ball((8, 15, 15), (3, 6, 6)), ball((22, 40, 45), (4, 8, 8))
    found = best(readings_of(ana=common | alone, ben=common))
    assert (found.code, found.dice_after) == ("different lesions", 1.0)
    assert "1 of 2 lesions of ana and of 1 of ben correspond" in found.sentence
    assert f"only ana drew {alone.sum() * 1.4 / 1000:.3g} ml in 1" in found.sentence


def test_lesions_that_hardly_touch_do_not_correspond():
    a, b = ball((8, 15, 15), (3, 6, 6)), ball((8, 24, 20), (3, 6, 3))
    assert 0 < (a & b).sum() < 0.05 * (a | b).sum()
    found = best(readings_of(ana=a, ben=b))
    assert (found.code, found.dice_after) == ("different lesions", None)
    assert "0 of 1 lesions of ana and of 1 of ben correspond" in found.sentence


def test_masks_that_share_nothing_are_said_with_their_distance_in_millimeters():
    grid = Geometry(GRID.size, GRID.spacing, GRID.origin, OBLIQUE)
    a, b = ball((8, 15, 15), (2, 5, 6), grid), ball((22, 40, 45), (3, 4, 3), grid)
    found = best(readings_of(grid, ana=a, ben=b))
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(to_sitk(Volume((a + 2 * b).astype(np.uint8), grid)))
    distance = math.dist(shapes.GetCentroid(1), shapes.GetCentroid(2))
    assert found.code == "no overlap"
    assert f"their centers are {distance:.3g} mm apart" in found.sentence


def test_the_same_structure_with_another_border_is_what_remains():
    a, b = ball((8, 25, 30), (1.2, 12, 3)), ball((8, 25, 30), (1.2, 4.5, 8))
    found = best(readings_of(ana=a, ben=b))
    assert found.code == "border"
    alone = (a ^ b).sum() * 1.4 / 1000
    assert f"of the {alone:.3g} ml that only one of them drew" in found.sentence


def test_the_part_that_touches_the_common_part_is_counted_with_all_26_neighbors():
    from scipy import ndimage

    rng = np.random.default_rng(3)
    a, b = (np.zeros(GRID.shape, bool) for _ in range(2))
    a[5:12, 10:22, 10:30] = rng.random((7, 12, 20)) < 0.8
    b[6:13, 12:26, 14:33] = rng.random((7, 14, 19)) < 0.8
    found = [c for c in causes(readings_of(a=a, b=b)) if c.code == "border"]
    near = ((a ^ b) & ndimage.binary_dilation(a & b, np.ones((3, 3, 3)))).sum() / (a ^ b).sum()
    assert f"drew {near:.0%} touch the common part" in found[0].sentence


# --- all together ---------------------------------------------------------------------------


def test_pairs_that_agree_are_not_explained_and_exactly_the_threshold_passes():
    row = np.zeros((1, 1, 20), bool)
    a, b = row.copy(), row.copy()
    a[..., :10] = True
    b[..., 3:13] = True
    readings = readings_of(Geometry((20, 1, 1)), a=a, b=b)
    assert causes(readings, limits=Agree(threshold=0.7)) == ()
    assert [c.best for c in causes(readings, limits=Agree(threshold=0.71))] == [True]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), raters=st.integers(2, 4))
def test_every_low_pair_has_one_best_cause_whatever_the_order_of_raters(seed, raters):
    rng = np.random.default_rng(seed)
    grid = Geometry((14, 12, 9), (0.7, 0.8, 2.5), (3.0, 4.0, 5.0), OBLIQUE)
    masks = {}
    for n in range(raters):
        center, radii = rng.uniform(1, 9, 3), rng.uniform(0.5, 4, 3)
        masks[f"r{n}"] = ball(center, radii, grid) | ball(rng.uniform(0, 12, 3), radii, grid)
    readings = readings_of(grid, **masks)
    forward = causes(readings)
    backward = causes({rater: readings[rater] for rater in reversed(readings)})
    assert forward == backward
    low = [
        (p.label, p.rater_a, p.rater_b)
        for p in agree(readings, ["tumor"]).pairs
        if p.dice is not None and p.dice < 0.7
    ]
    assert [(c.label, c.rater_a, c.rater_b) for c in forward if c.best] == low
    assert all(c.dice_after is None or c.dice_after > c.dice for c in forward)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_codes_do_not_depend_on_who_is_called_first(seed):
    rng = np.random.default_rng(seed)
    one, two = (
        ball(rng.uniform(8, 20, 3), rng.uniform(2, 8, 3)) | ball(rng.uniform(5, 25, 3), (2, 4, 4))
        for _ in range(2)
    )
    opinions = ("over/under-segmentation", "different lesions", "no overlap", "border")
    codes = [
        [c.code for c in causes(readings_of(a=a, b=b)) if c.code in opinions]
        for a, b in ((one, two), (two, one))
    ]
    assert codes[0] == codes[1]


def nodules(shared_data):
    for folder in sorted(p.parent for p in (shared_data / "multirater/lidc").glob("*/nodule.json")):
        yield (
            folder.name,
            {
                str(n): Segmentation((image.array,), image.geometry, (Segment("tumor", 1),))
                for n in range(1, 5)
                for image in [from_sitk(sitk.ReadImage(str(folder / f"rater{n}.nii.gz")))]
            },
        )


def test_real_radiologists_are_not_taken_for_mistakes_of_files(shared_data):
    codes = {}
    for name, readings in nodules(shared_data):
        for cause in causes(readings):
            if cause.best:
                codes[name, cause.rater_a, cause.rater_b] = cause
    assert len(codes) == 54
    assert {c.code for c in codes.values()} == {
        "over/under-segmentation", "different lesions", "border",
    }  # fmt: skip
    # 18398, 2623 and 897 voxels: 7.0 and 20.5 times the volume.
    large = codes["LIDC-IDRI-0052_scan63_nod1", "3", "4"]
    assert "3 drew 21 times the volume of 4 and holds 98% of it" in large.sentence
    large = codes["LIDC-IDRI-0052_scan63_nod1", "1", "3"]
    assert "3 drew 7 times the volume of 1 and holds 86% of it" in large.sentence


def test_a_radiologist_who_is_moved_aside_is_found_again(shared_data):
    found = 0
    for _, readings in nodules(shared_data):
        pair = {rater: readings[rater] for rater in ("1", "2")}
        (measured,) = agree(pair, ["tumor"]).pairs
        if measured.dice < 0.85 or measured.voxels_b < 500:
            continue
        array = np.roll(np.pad(pair["2"].layers[0], 10), (0, 8, 7), axis=(0, 1, 2))
        grid = Geometry(tuple(n + 20 for n in pair["2"].geometry.size))
        moved = Segmentation((array,), grid, pair["2"].segments)
        still = Segmentation((np.pad(pair["1"].layers[0], 10),), grid, pair["1"].segments)
        rows = causes({"1": still, "2": moved})
        if rows:
            found += 1
            assert rows[0].code == "shifted"
            assert rows[0].dice_after >= measured.dice
    assert found >= 8


# --- repeated readings ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ("ana", "ana@2", "intra"),
        ("ana@1", "ana@2", "intra"),
        ("ana", "ben@2", "inter"),
        ("ana@clinic", "ana@home", "inter"),
        ("@1", "@2", "inter"),
        ("ana@", "ana", "inter"),
    ],
)
def test_only_a_number_behind_the_mark_is_a_repeated_reading(a, b, kind):
    assert pairs_kind(a, b) == pairs_kind(b, a) == kind


def test_repeated_readings_of_one_person_are_left_out_of_inter_rater_values():
    mask = ball((12, 25, 25), (4, 9, 9))
    other = np.roll(mask, 2, axis=2)
    readings = readings_of(**{"ana": mask, "ana@2": np.roll(mask, 9, axis=2), "ben": other})
    (label,) = agree(readings, ["tumor"]).labels
    by_pair = {(p.rater_a, p.rater_b): p.dice for p in agree(readings, ["tumor"]).pairs}
    assert len(by_pair) == 3
    assert label.pairs_defined == 1
    assert label.mean_dice == label.worst_dice == by_pair["ana", "ben"]
    assert label.worst_pair == ("ana", "ben")
    assert label.intra_mean_dice == label.intra_worst_dice == by_pair["ana", "ana@2"]
    assert label.intra_pairs_defined == 1


def test_who_numbers_all_readings_counts_with_the_first():
    mask = ball((12, 25, 25), (4, 9, 9))
    readings = readings_of(**{"ana@2": np.roll(mask, 9, axis=2), "ana@1": mask, "ben": mask})
    (label,) = agree(readings, ["tumor"]).labels
    assert (label.mean_dice, label.worst_pair) == (1.0, ("ana@1", "ben"))


def test_a_person_alone_has_no_inter_rater_value():
    mask = ball((12, 25, 25), (4, 9, 9))
    readings = readings_of(**{"ana@1": mask, "ana@2": np.roll(mask, 9, axis=2)})
    result = agree(readings, ["tumor"])
    assert (result.lowest, result.labels[0].mean_dice, result.labels[0].pairs_defined) == (
        None, None, 0,
    )  # fmt: skip
    assert result.labels[0].intra_mean_dice < 0.7
