"""Lesions that correspond: components against SimpleITK, matching against brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from MedPrepLib.agree.lesions import lesion_agreement, match_lesions
from MedPrepLib.agree.runs import connected, runs_of
from MedPrepLib.config.settings import Agree
from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, from_sitk, to_sitk
from MedPrepLib.segmentation import Segment, Segmentation, from_masks

COS, SIN = math.cos(0.4), math.sin(0.4)
OBLIQUE = (COS, -SIN, 0.0, SIN, COS, 0.0, 0.0, 0.0, -1.0)
GRID = Geometry((17, 13, 9), (0.7, 0.8, 5.0), (10.0, -20.0, 30.0), OBLIQUE)


def row(*values):
    return np.array(values, dtype=bool).reshape(1, 1, -1)


def line_grid(mask):
    return Geometry((mask.size, 1, 1), (0.5, 2.0, 4.0), (1.0, 2.0, 3.0))


def match(a, b, limit=0.1):
    grid = line_grid(a) if a.shape[:2] == (1, 1) else Geometry(tuple(reversed(a.shape)))
    return match_lesions(a, b, grid, Agree(lesion_iou=limit))


def random_masks(seed, part=0.18, shape=GRID.shape):
    rng = np.random.default_rng(seed)
    base = rng.random(shape) < part
    return [np.where(rng.random(shape) < 0.85, base, rng.random(shape) < part) for _ in range(2)]


# --- components -----------------------------------------------------------------------------


def test_lesions_have_the_centers_and_volumes_of_simpleitk_on_an_oblique_left_handed_grid():
    assert GRID.is_left_handed
    mask, nothing = random_masks(1, part=0.05)[0], np.zeros(GRID.shape, bool)
    found = match_lesions(mask, nothing, GRID, Agree())
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(sitk.ConnectedComponent(to_sitk(Volume(mask.astype(np.uint8), GRID)), True))
    theirs = sorted(
        (shapes.GetNumberOfPixels(n), *shapes.GetCentroid(n), shapes.GetPhysicalSize(n))
        for n in shapes.GetLabels()
    )
    ours = sorted((x.voxels, *x.center_mm, x.volume_ml * 1000) for x in found.missed)
    assert len(ours) > 20
    assert np.allclose(ours, theirs, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    part=st.floats(0, 1),
)
def test_components_are_those_of_scipy_in_the_same_order(seed, shape, part):
    from scipy import ndimage

    mask = np.random.default_rng(seed).random(shape) < part
    ids, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    parts = connected(runs_of(mask))
    assert parts.count == count
    flat, run = parts.runs.voxels()
    ours = np.zeros(mask.size, int)
    ours[flat] = parts.number[run] + 1
    assert (ours.reshape(shape) == ids).all()
    assert parts.voxels.tolist() == np.bincount(ids.ravel(), minlength=count + 1)[1:].tolist()


def test_voxels_that_share_only_a_corner_are_one_lesion():
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 2] = mask[1, 1, 1] = mask[2, 2, 0] = True
    assert len(match(mask, mask).matched) == 1


# --- matching -------------------------------------------------------------------------------


def test_matched_missed_and_extra_lesions_are_told_apart():
    a = row(1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0)
    b = row(0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0)
    found = match(a, b)
    (pair,) = found.matched
    assert (pair.a.voxels, pair.b.voxels, pair.overlap) == (4, 3, 3)
    assert (pair.dice, pair.iou) == (6 / 7, 3 / 4)
    assert [x.center_mm for x in found.missed] == [(1.25, 2.0, 3.0)]
    assert [x.center_mm for x in found.extra] == [(5.5, 2.0, 3.0)]
    assert found.missed[0].volume_ml == pytest.approx(2 * 4 / 1000)
    assert (found.sensitivity, found.precision, found.f1) == (1 / 2, 1 / 2, 1 / 2)


def test_lesions_of_nobody_leave_the_rates_undefined():
    empty, full = row(0, 0), row(1, 0)
    nobody = match(empty, empty)
    assert (nobody.sensitivity, nobody.precision, nobody.f1) == (None, None, None)
    missed = match(full, empty)
    assert (missed.sensitivity, missed.precision, missed.f1) == (0.0, None, 0.0)


def test_the_limit_itself_is_not_enough_and_zero_asks_for_any_voxel():
    a, b = row(1, 1, 1, 1, 0, 0, 0), row(0, 0, 0, 1, 1, 1, 1)
    assert len(match(a, b, limit=1 / 7).matched) == 0
    assert len(match(a, b, limit=0.14).matched) == 1
    assert len(match(a, b, limit=0).matched) == 1
    assert len(match(a, row(0, 0, 0, 0, 1, 1, 1), limit=0).matched) == 0


def test_a_lesion_over_two_others_takes_the_better_one():
    a = row(1, 1, 1, 1, 1, 1, 1, 1)
    b = row(1, 1, 1, 0, 0, 1, 1, 0)
    found = match(a, b)
    assert [(p.b.voxels, p.overlap) for p in found.matched] == [(3, 3)]
    assert [x.voxels for x in found.extra] == [2]


def test_as_many_lesions_as_possible_find_a_partner():
    a, b = np.zeros((2, 1, 5, 10), bool)
    a[0, 0] = True  # fits the large one of b best, and the small one only
    a[0, 4, :2] = True  # reaches the large one only
    b[0, 0, :7] = b[0, :, 0] = True
    b[0, 0, 8:] = True
    assert [(p.a.voxels, p.b.voxels, p.overlap) for p in match(a, b, limit=0).matched] == [
        (10, 2, 2), (2, 11, 1),
    ]  # fmt: skip
    assert [(p.b.voxels, p.overlap) for p in match(a, b).matched] == [(11, 7)]


def brute_force(a, b, limit):
    """(number of matches, sum of IoU) of the best of all matchings."""
    from scipy import ndimage

    ids = [ndimage.label(m, structure=np.ones((3, 3, 3))) for m in (a, b)]
    (ids_a, count_a), (ids_b, count_b) = ids
    iou = np.zeros((count_a, count_b))
    for m, n in np.ndindex(iou.shape):
        x, y = ids_a == m + 1, ids_b == n + 1
        iou[m, n] = (x & y).sum() / (x | y).sum()
    if count_a > count_b:
        iou = iou.T
    best = (0, 0.0)
    for chosen in itertools.permutations(range(iou.shape[1]), iou.shape[0]):
        values = [v for m, n in enumerate(chosen) if (v := iou[m, n]) > limit]
        best = max(best, (len(values), round(sum(values), 9)))
    return best


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), limit=st.sampled_from([0.0, 0.1, 0.3]))
def test_the_matching_is_the_best_of_all(seed, limit):
    rng = np.random.default_rng(seed)
    a, b = (rng.random((1, 5, 12)) < 0.32 for _ in range(2))
    found = match(a, b, limit)
    if max(len(found.missed), len(found.extra)) + len(found.matched) > 7:
        return
    assert brute_force(a, b, limit) == (
        len(found.matched),
        round(sum(p.iou for p in found.matched), 9),
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_exchanging_the_raters_exchanges_missed_and_extra(seed):
    a, b = random_masks(seed, shape=(4, 7, 9))
    one, other = match(a, b), match(b, a)
    assert one.f1 == other.f1
    assert (one.sensitivity, one.precision) == (other.precision, other.sensitivity)
    assert len(one.matched) == len(other.matched)
    assert sum(p.iou for p in one.matched) == pytest.approx(sum(p.iou for p in other.matched))
    voxels = sum(x.voxels for x in one.missed) + sum(p.a.voxels for p in one.matched)
    assert voxels == a.sum()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), margin=st.integers(1, 5))
def test_padding_the_grid_changes_nothing(seed, margin):
    a, b = random_masks(seed, shape=(4, 7, 9))
    small = match_lesions(a, b, Geometry((9, 7, 4)), Agree())
    grid = Geometry(tuple(n + 2 * margin for n in (9, 7, 4)), origin=(-margin,) * 3)
    padded = match_lesions(np.pad(a, margin), np.pad(b, margin), grid, Agree())
    assert [p.overlap for p in padded.matched] == [p.overlap for p in small.matched]
    for ours, theirs in ((padded.missed, small.missed), (padded.extra, small.extra)):
        assert [x.voxels for x in ours] == [x.voxels for x in theirs]
        assert np.allclose([x.center_mm for x in ours], [x.center_mm for x in theirs])


def test_many_specks_do_not_need_a_matrix_of_all_against_all():
    a = np.zeros((40, 80, 80), bool)
    a[::2, ::2, ::2] = True
    b = a.copy()
    b[:, :, ::4] = False
    found = match(a, b)
    assert (len(found.matched), len(found.missed), len(found.extra)) == (16_000, 16_000, 0)


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(GeometryError, match="does not fit"):
        match_lesions(row(1, 0), row(1, 0), GRID, Agree())


# --- readings -------------------------------------------------------------------------------


def test_only_raters_who_annotated_the_label_are_paired_in_order():
    a, b = random_masks(4)
    readings = {
        "cem": from_masks({"lesion": b}, GRID),
        "ana": from_masks({"organ": a | b, "lesion": a}, GRID),
        "ben": from_masks({"organ": a}, GRID),
        "dan": from_masks({"lesion": np.zeros_like(a)}, GRID),
    }
    rows = lesion_agreement(readings, "lesion", Agree())
    assert [(r.rater_a, r.rater_b) for r in rows] == [
        ("ana", "cem"), ("ana", "dan"), ("cem", "dan"),
    ]  # fmt: skip
    assert rows[0].match == match_lesions(a, b, GRID, Agree())
    assert (rows[1].match.sensitivity, rows[1].match.precision) == (0.0, None)
    assert lesion_agreement(readings, "nothing", Agree()) == ()


def test_readings_on_different_grids_are_refused():
    other = Geometry(GRID.size, GRID.spacing)
    mask = random_masks(4)[0]
    readings = {"a": from_masks({"x": mask}, GRID), "b": from_masks({"x": mask}, other)}
    with pytest.raises(GeometryError, match="different grids"):
        lesion_agreement(readings, "x", Agree())


def read(path, geometry=None):
    image = from_sitk(sitk.ReadImage(str(path)))
    mask = (image.array > 0).astype(np.uint8)
    return Segmentation((mask,), geometry or image.geometry, (Segment("lesion", 1),))


def test_a_prostate_lesion_of_two_annotators_is_one_lesion(shared_data):
    folder = shared_data / "cohort" / "prostatex" / "ProstateX-0000" / "segmentations"
    name = "11373_1001396.nii.gz"
    human = read(folder / "lesion_human" / name)
    model = read(folder / "lesion_Bosma22a" / name, human.geometry)
    (found,) = lesion_agreement({"human": human, "model": model}, "lesion", Agree())
    (pair,) = found.match.matched
    assert (pair.a.voxels, pair.b.voxels, pair.overlap) == (414, 533, 381)
    assert pair.dice == pytest.approx(2 * 381 / (414 + 533))
    assert (found.match.f1, found.match.missed, found.match.extra) == (1.0, (), ())
    assert pair.a.volume_ml == pytest.approx(414 * 0.5 * 0.5 * 3 / 1000, rel=1e-4)


def test_lung_nodules_are_found_again_by_every_radiologist(shared_data):
    unmatched = []
    for nodule in sorted((shared_data / "multirater" / "lidc").glob("*/nodule.json")):
        readings = {str(n): read(nodule.parent / f"rater{n}.nii.gz") for n in range(1, 5)}
        unmatched += [
            (nodule.parent.name, found.rater_a, found.rater_b)
            for found in lesion_agreement(readings, "lesion", Agree())
            if not found.match.matched
        ]
    # 18398 voxels against 1794 and 897: the smaller is inside, yet less than a tenth of both.
    assert unmatched == [
        ("LIDC-IDRI-0052_scan63_nod1", "2", "3"), ("LIDC-IDRI-0052_scan63_nod1", "3", "4"),
    ]  # fmt: skip
