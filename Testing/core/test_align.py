"""Verdicts about grids, and labels brought onto the image grid, checked in world coordinates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from MedPrepLib.align import adopted, compare_grids, to_grid
from MedPrepLib.align.resample import nearest, sampling
from MedPrepLib.config.settings import Align
from MedPrepLib.geometry import LPS_TO_RAS, Geometry
from MedPrepLib.images import Volume, to_sitk
from MedPrepLib.segmentation import Segment, Segmentation, from_masks

DEFAULT = Align()


def turned(degrees, about=(1.0, 2.0, 3.0), left_handed=False):
    axis = np.array(about) / np.linalg.norm(about)
    cross = np.cross(np.eye(3), axis)
    angle = np.radians(degrees)
    matrix = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    if left_handed:
        matrix = matrix @ np.diag([1, 1, -1])
    return tuple(float(x) for x in matrix.ravel())


IMAGE = Geometry((24, 20, 11), (0.7, 0.9, 5.0), (12.0, -140.0, 33.0), turned(25, left_handed=True))


def reading(geometry, seed=0, labels=3):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, labels + 1, size=[n // 3 + 1 for n in geometry.shape])
    array = coarse.repeat(3, 0).repeat(3, 1).repeat(3, 2)
    array = array[tuple(slice(0, n) for n in geometry.shape)].astype(np.uint8)
    segments = tuple(Segment(f"l{v}", v) for v in range(1, labels + 1))
    return Segmentation((array,), geometry, segments)


def aligned(segmentation, image, settings=DEFAULT):
    verdict = compare_grids(image, segmentation.geometry, settings)
    return verdict, to_grid(segmentation, image, verdict, settings, "case/rater")


def codes(result):
    return [f.code for f in result.findings]


def by_simpleitk(segmentation, image):
    """Nearest neighbor by SimpleITK over the whole of both grids."""
    source = to_sitk(Volume(segmentation.layers[0], segmentation.geometry))
    target = to_sitk(Volume(np.zeros(image.shape, np.uint8), image))
    result = sitk.Resample(source, target, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return sitk.GetArrayFromImage(result)


def reoriented(segmentation, matrix, start, size):
    """The part of a reading that begins at index ``start`` along other storage axes.

    ``matrix`` (3x3, signs and zeros) maps new to old index axes.
    """
    move = np.eye(4)
    move[:3, :3], move[:3, 3] = matrix, start
    geometry = Geometry.from_affine(segmentation.geometry.affine @ move, size)
    array = np.zeros(geometry.shape, np.uint8)
    for index in np.ndindex(*size):
        old = move[:3, :3] @ index + start
        if (old >= 0).all() and (old < segmentation.geometry.size).all():
            i, j, k = old.astype(int)
            array[index[2], index[1], index[0]] = segmentation.layers[0][k, j, i]
    return replace(segmentation, layers=(array,), geometry=geometry)


def test_the_same_grid_shares_its_arrays():
    segmentation = reading(IMAGE)
    verdict, result = aligned(segmentation, IMAGE)
    assert (verdict.verdict, verdict.cause, verdict.displacement_mm) == (
        "same",
        "identical grid",
        0,
    )
    assert np.shares_memory(result.segmentation.layers[0], segmentation.layers[0])
    assert result.findings == ()


@pytest.mark.parametrize(
    ("offset_mm", "verdict"), [(0.0009, "same"), (0.0011, "rounding"), (0.069, "rounding"),
                               (0.071, "resample")],
)  # fmt: skip
def test_the_limits_between_same_rounding_and_resample(offset_mm, verdict):
    x, y, z = IMAGE.origin
    direction = np.reshape(IMAGE.direction, (3, 3))[:, 1] * offset_mm
    mask = replace(IMAGE, origin=tuple(float(v) for v in np.array((x, y, z)) + direction))
    found = compare_grids(IMAGE, mask, DEFAULT)
    assert found.verdict == verdict
    assert found.displacement_mm == pytest.approx(offset_mm)
    assert f"{found.displacement_mm:.4g} mm" in found.sentence


def test_a_float32_header_is_snapped_to_the_image_and_noted():
    mask = Geometry.from_affine(IMAGE.affine.astype(np.float32), IMAGE.size)
    mask = replace(mask, origin=tuple(v + 0.002 for v in mask.origin))
    verdict, result = aligned(reading(mask), IMAGE)
    assert (verdict.verdict, verdict.cause) == ("rounding", "header rounding")
    assert result.segmentation.geometry == IMAGE
    assert codes(result) == ["GRID_ROUNDING"]


MOVES = {
    "cropped": (np.eye(3), (3, 2, 1), (15, 9, 7), "cropped to voxels (3, 2, 1) to (18, 11, 8)"),
    "padded": (np.eye(3), (-2, -3, -1), (30, 29, 15), "padded around the image"),
    "shifted": (np.eye(3), (3, -2, 1), (24, 20, 11), "shifted by (3, -2, 1) voxels"),
    "flipped": (np.diag([1, -1, 1]), (0, 19, 0), (24, 20, 11), "flipped along axis j"),
    "flipped twice and cropped": (
        np.diag([-1, 1, -1]), (20, 4, 9), (11, 12, 6), "flipped along axis i and k, cropped",
    ),
    "permuted": (
        np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]]), (0, 19, 0), (20, 11, 24), "axes permuted",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_masks_on_the_image_lattice_are_moved_without_loss(name):
    matrix, start, size, cause = MOVES[name]
    whole = reading(IMAGE)
    moved = reoriented(whole, matrix, np.array(start), size)
    verdict, result = aligned(moved, IMAGE, Align(min_overlap=0))
    assert verdict.verdict == "move"
    assert cause in verdict.cause
    assert codes(result)[0] == "GRID_MOVED"
    assert result.segmentation.geometry == IMAGE
    label_map = result.segmentation.layers[0]
    assert np.array_equal(label_map, by_simpleitk(moved, IMAGE))
    assert label_map.any()


def test_a_header_that_was_rounded_and_flipped_is_still_moved():
    moved = reoriented(reading(IMAGE), np.diag([1, -1, 1]), np.array([0, 19, 0]), (24, 20, 11))
    near = replace(moved.geometry, origin=tuple(v + 0.01 for v in moved.geometry.origin))
    verdict, result = aligned(replace(moved, geometry=near), IMAGE)
    assert verdict.verdict == "move"
    assert np.array_equal(result.segmentation.layers[0], reading(IMAGE).layers[0])


def test_a_plain_crop_is_only_a_note():
    segmentation = reoriented(reading(IMAGE), np.eye(3), np.array([1, 1, 1]), (10, 10, 9))
    _, result = aligned(segmentation, IMAGE)
    (found,) = result.findings
    assert (found.code, found.severity.word, found.item) == ("GRID_MOVED", "note", "case/rater")


def test_every_layer_of_overlapping_segments_is_moved():
    rng = np.random.default_rng(1)
    part = IMAGE.cropped((2, 3, 1), (12, 9, 8))
    masks = {name: rng.random(part.shape) < 0.5 for name in ("organ", "tumor")}
    _, result = aligned(from_masks(masks, part), IMAGE)
    for name, mask in masks.items():
        expected = np.zeros(IMAGE.shape, bool)
        expected[1:9, 3:12, 2:14] = mask
        assert np.array_equal(result.segmentation.mask(name), expected)


def on_grid(spacing, size, degrees=25.0, left_handed=True, shift=(0.13, 0.21, 0.4)):
    origin = IMAGE.point_at((2 + shift[0], 1 + shift[1], 1 + shift[2]))
    return Geometry(size, spacing, origin, turned(degrees, left_handed=left_handed))


RESAMPLED = {
    "finer": (on_grid((0.33, 0.41, 2.3), (40, 35, 18)), "other spacing"),
    "coarser": (on_grid((1.9, 2.3, 7.1), (8, 7, 6)), "other spacing"),
    "half a voxel off": (on_grid((0.7, 0.9, 5.0), (20, 18, 9)), "other origin only"),
    "turned": (on_grid((0.7, 0.9, 5.0), (20, 18, 9), degrees=37), "other orientation"),
    "the other hand": (on_grid((0.6, 0.8, 3), (22, 18, 15), 40, left_handed=False), "orientation"),
}


@pytest.mark.parametrize("name", RESAMPLED)
def test_other_grids_are_resampled_as_simpleitk_does(name):
    grid, cause = RESAMPLED[name]
    segmentation = reading(grid)
    verdict, result = aligned(segmentation, IMAGE, Align(min_overlap=0))
    assert verdict.verdict == "resample"
    assert cause in verdict.cause
    assert "GRID_RESAMPLED" in codes(result)
    assert np.array_equal(result.segmentation.layers[0], by_simpleitk(segmentation, IMAGE))


@pytest.mark.parametrize("seed", range(12))
def test_random_grids_are_sampled_as_simpleitk_does(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(3, 18, size=(2, 3)).tolist()
    spacings = rng.uniform(0.4, 4, size=(2, 3)).tolist()
    angles = rng.uniform(0, 180, size=2) if seed % 2 else [rng.uniform(0, 180)] * 2
    about = tuple(rng.normal(size=3))
    grids = [
        Geometry(tuple(n), tuple(s), (0.0, 0.0, 0.0), turned(float(a), about, bool(seed % 3)))
        for n, s, a in zip(sizes, spacings, angles, strict=True)
    ]
    image, mask = (
        replace(g, origin=tuple(-v for v in g.point_at([(n - 1) / 2 for n in g.size])))
        for g in grids
    )
    segmentation = reading(mask, seed)
    ours = sampling(image, mask).apply(segmentation.layers[0])
    assert ours.any()
    assert np.array_equal(ours, by_simpleitk(segmentation, image))


def test_a_tie_between_two_voxels_goes_to_the_higher_index():
    assert nearest(1.0, 0.5, 3).tolist() == [1, 2, 3]
    assert nearest(2.0, -0.5, 3).tolist() == [0, 2, 4]
    image = Geometry((4, 3, 2), (2.0, 2.0, 2.0), (0.5, 0.5, 0.5))
    segmentation = reading(Geometry((9, 8, 6)), seed=4)
    ours = sampling(image, segmentation.geometry).apply(segmentation.layers[0])
    assert np.array_equal(ours, by_simpleitk(segmentation, image))


def test_a_voxel_stays_at_its_place_in_the_world():
    fine = Geometry((60, 60, 40), (0.35, 0.45, 2.5), IMAGE.origin, IMAGE.direction)
    array = np.zeros(fine.shape, np.uint8)
    i, j, k = 20, 30, 14
    array[k - 1 : k + 2, j - 2 : j + 3, i - 2 : i + 3] = 1
    segmentation = Segmentation((array,), fine, (Segment("mark", 1),))
    _, result = aligned(segmentation, IMAGE)
    near = np.rint(IMAGE.index_at(fine.point_at((i, j, k)))).astype(int)
    assert result.segmentation.mask("mark")[near[2], near[1], near[0]]
    center = np.mean(np.argwhere(result.segmentation.mask("mark")), axis=0)
    gap = np.subtract(IMAGE.point_at((center[2], center[1], center[0])), fine.point_at((i, j, k)))
    assert np.linalg.norm(gap) < 3


def test_resampling_reports_volumes_and_components():
    fine = Geometry((40, 30, 20), (0.5, 0.5, 0.5))
    array = np.zeros(fine.shape, np.uint8)
    array[4:12, 4:12, 4:12] = 1
    array[4:12, 4:12, 20:28] = 1
    image = Geometry((20, 15, 10), (1.0, 1.0, 1.0), (0.25, 0.25, 0.25))
    segmentation = Segmentation((array,), fine, (Segment("lesion", 1),))
    _, result = aligned(segmentation, image)
    (found,) = result.findings
    assert found.code == "GRID_RESAMPLED"
    assert "'lesion' 0.128 to 0.128 ml, 2 to 2 component(s)" in found.message


def test_a_lesion_that_vanishes_is_named():
    fine = Geometry((40, 30, 20), (0.5, 0.5, 0.5))
    array = np.zeros(fine.shape, np.uint8)
    array[4:12, 4:12, 4:12] = 2
    array[9, 21, 25:27] = 2
    array[3, 21, 25] = 1
    image = Geometry((10, 8, 5), (2.0, 2.0, 2.0))
    segmentation = Segmentation((array,), fine, (Segment("spot", 1), Segment("lesion", 2)))
    _, result = aligned(segmentation, image)
    spot, lesion = (f.message for f in result.findings if f.code == "LESION_LOST")
    assert "'spot': 1 of 1 component(s) vanished" in spot
    assert "'lesion': 1 of 2 component(s) vanished" in lesion
    assert "the largest of 2 voxel(s), 0.00025 ml" in lesion


def test_resampling_can_be_switched_off():
    grid, _ = RESAMPLED["finer"]
    verdict, result = aligned(reading(grid), IMAGE, Align(resample=False))
    assert (verdict.verdict, codes(result)) == ("reject", ["GRID_MISMATCH"])
    assert "other spacing" in verdict.sentence
    assert result.segmentation.segments == ()
    assert result.segmentation.geometry == IMAGE


def test_a_ras_lps_mixup_is_refused_by_name():
    negated = Geometry.from_affine(LPS_TO_RAS @ IMAGE.affine, IMAGE.size)
    verdict, result = aligned(reading(negated), IMAGE)
    assert (verdict.verdict, verdict.cause) == ("reject", "RAS/LPS mix-up")
    (found,) = result.findings
    assert found.code == "GRID_MISMATCH"
    assert "RAS" in found.remedy


def test_a_cropped_mask_in_the_wrong_convention_is_named_too():
    far = replace(IMAGE, origin=(200.0, 300.0, 33.0))
    part = far.cropped((2, 3, 1), (9, 8, 7))
    negated = Geometry.from_affine(LPS_TO_RAS @ part.affine, part.size)
    assert compare_grids(far, negated, DEFAULT).cause == "RAS/LPS mix-up"


def test_a_centered_volume_stored_from_the_other_side_is_a_flip_not_a_mixup():
    image = Geometry((5, 7, 3), (2.0, 1.0, 4.0), (-4.0, -3.0, 10.0))
    mask = Geometry.from_affine(LPS_TO_RAS @ image.affine, image.size)
    verdict = compare_grids(image, mask, DEFAULT)
    assert (verdict.verdict, verdict.cause) == ("move", "flipped along axis i and j")


def test_grids_that_share_no_space_are_refused():
    mask = replace(IMAGE, origin=(1000.0, 0.0, 0.0))
    verdict, result = aligned(reading(mask), IMAGE)
    assert (verdict.verdict, verdict.cause) == ("reject", "no overlap")
    assert codes(result) == ["GRID_MISMATCH"]


def test_grids_that_only_touch_share_no_space():
    part = IMAGE.cropped((24, 0, 0), IMAGE.size)
    assert compare_grids(IMAGE, part, DEFAULT).cause == "no overlap"
    part = IMAGE.cropped((23, 0, 0), IMAGE.size)
    assert compare_grids(IMAGE, part, DEFAULT).verdict == "move"


@pytest.mark.parametrize(
    ("degrees", "finer", "verdict"),
    [(25.0, 1.0, "move"), (25.0, 1.3, "resample"), (31.0, 1.0, "resample")],
)
def test_voxels_outside_the_image_are_counted(degrees, finer, verdict):
    direction = turned(degrees, left_handed=True)
    spacing = tuple(s / finer for s in IMAGE.spacing)
    grid = Geometry(IMAGE.size, spacing, IMAGE.point_at((-6, -2, 3)), direction)
    array = np.ones(grid.shape, np.uint8)
    segmentation = Segmentation((array,), grid, (Segment("all", 1),))
    found, result = aligned(segmentation, IMAGE, Align(min_overlap=0.1))
    assert found.verdict == verdict
    index = np.argwhere(array)[:, ::-1]
    world = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    back = np.linalg.solve(IMAGE.affine[:3, :3], (world - IMAGE.affine[:3, 3]).T).T
    inside = ((back >= -0.5) & (back < np.array(IMAGE.size) - 0.5)).all(axis=1).sum()
    message = next(f.message for f in result.findings if f.code == "MASK_OUTSIDE")
    assert message.startswith(f"{array.size - inside} of {array.size} labeled voxels")


def test_a_mask_that_lies_mostly_outside_is_refused():
    grid = IMAGE.cropped((14, 0, 0), IMAGE.size)
    segmentation = Segmentation((np.ones(grid.shape, np.uint8),), grid, (Segment("all", 1),))
    _, result = aligned(segmentation, IMAGE)
    (found,) = result.findings
    assert (found.code, found.severity.word) == ("GRID_MISMATCH", "reject")
    assert "at least 50% must lie inside" in found.message
    assert result.segmentation.segments == ()


def test_an_empty_mask_on_another_grid_stays_annotated_empty():
    grid, _ = RESAMPLED["turned"]
    segmentation = Segmentation((np.zeros(grid.shape, np.uint8),), grid, (Segment("tumor", 1),))
    _, result = aligned(segmentation, IMAGE)
    assert result.segmentation.names == ("tumor",)
    assert not result.segmentation.mask("tumor").any()
    assert "MASK_OUTSIDE" not in codes(result)


# --- what a person knows better ---------------------------------------------------------------


def test_a_mask_with_a_wrong_header_is_taken_voxel_by_voxel_when_a_person_says_so():
    wrong = replace(IMAGE, origin=(15.2, -140.0, 33.0))
    mask = reading(wrong)
    result = adopted(mask, IMAGE, Align(), "case/rater")
    assert codes(result) == ["GRID_ADOPTED"]
    assert "3.2 mm" in result.findings[0].message
    assert result.segmentation.geometry == IMAGE
    assert np.array_equal(result.segmentation.layers[0], mask.layers[0])


def test_a_mask_of_another_size_cannot_be_taken_voxel_by_voxel():
    result = adopted(reading(replace(IMAGE, size=(24, 20, 12))), IMAGE, Align(), "case/rater")
    assert codes(result) == ["GRID_MISMATCH"]
    assert result.segmentation.segments == ()
