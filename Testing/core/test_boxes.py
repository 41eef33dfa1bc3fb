"""Boxes: their volumes and overlaps, in voxels and in the world, and how raters' boxes match."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from MedPrepLib.agree.boxes import agree_boxes, match_boxes
from MedPrepLib.boxes import (
    WorldBox,
    clipped,
    corners_mm,
    index_box,
    iou,
    iou_matrix,
    to_index,
    to_world,
)
from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, to_sitk
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.targets import derive

SCHEMA = LabelSchema((Label("tumor", 1),))


def turned(angle_deg, tilt_deg=0.0, mirrored=False):
    a, b = math.radians(angle_deg), math.radians(tilt_deg)
    about_z = np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    axes = about_z @ about_x @ np.diag([1, 1, -1 if mirrored else 1])
    return tuple(axes.ravel().tolist())


OBLIQUE = Geometry(
    (23, 17, 11), (0.7, 1.1, 4.0), (-31.0, 12.5, 7.25), turned(25, 40, mirrored=True)
)
PLAIN = Geometry((23, 17, 11), (0.7, 1.1, 4.0), (-31.0, 12.5, 7.25))


def cube(x, y=0.0, z=0.0, size=2.0, label="tumor", axes=None):
    return WorldBox(label, (x, y, z), (size, size, size), axes or turned(0))


def voxels(start, stop, label="tumor", geometry=OBLIQUE):
    return index_box(label, start, stop, geometry)


def inside(box, points):
    local = np.abs((points - box.center_mm) @ np.reshape(box.axes, (3, 3)))
    return (local <= np.array(box.size_mm) / 2).all(axis=1)


@pytest.mark.parametrize("geometry", [PLAIN, OBLIQUE])
def test_a_box_in_the_world_holds_exactly_the_voxels_that_simpleitk_places_in_it(geometry):
    start, stop = (3, 2, 1), (9, 13, 5)
    box = to_world(voxels(start, stop, geometry=geometry), geometry)
    image = to_sitk(Volume(np.zeros(geometry.shape, np.uint8), geometry))
    indices = list(itertools.product(*map(range, geometry.size)))
    points = np.array([image.TransformIndexToPhysicalPoint(index) for index in indices])
    wanted = [all(a <= n < b for a, n, b in zip(start, i, stop, strict=True)) for i in indices]
    assert inside(box, points).tolist() == wanted
    assert box.size_mm == pytest.approx((6 * 0.7, 11 * 1.1, 4 * 4.0))


def test_the_corners_are_the_outer_corners_of_the_outer_voxels():
    box = to_world(voxels((3, 2, 1), (9, 13, 5)), OBLIQUE)
    image = to_sitk(Volume(np.zeros(OBLIQUE.shape, np.uint8), OBLIQUE))
    wanted = [
        image.TransformContinuousIndexToPhysicalPoint(tuple(float(x) for x in corner))
        for corner in itertools.product((2.5, 8.5), (1.5, 12.5), (0.5, 4.5))
    ]
    assert np.allclose(sorted(map(tuple, corners_mm(box))), sorted(wanted), atol=1e-9)


@given(
    st.tuples(*(st.integers(-5, 20) for _ in range(3))),
    st.tuples(*(st.integers(1, 30) for _ in range(3))),
)
@settings(max_examples=60, deadline=None)
def test_voxels_to_world_and_back_is_the_same_box(start, extent):
    stop = tuple(a + n for a, n in zip(start, extent, strict=True))
    box = voxels(start, stop)
    assert to_index(to_world(box, OBLIQUE), OBLIQUE) == box


def test_a_box_of_a_mask_is_the_same_in_the_world_as_simpleitk_measures_it():
    mask = np.zeros(OBLIQUE.shape, np.uint8)
    mask[2:7, 3:12, 4:20] = 1
    (box,) = derive(mask, OBLIQUE, SCHEMA).boxes
    world = to_world(box, OBLIQUE)
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(to_sitk(Volume(mask, OBLIQUE)))
    assert world.volume_mm3 == pytest.approx(shapes.GetPhysicalSize(1))
    assert world.center_mm == pytest.approx(shapes.GetCentroid(1))
    again = to_index(world, OBLIQUE)
    assert (again.start, again.stop) == (box.start, box.stop)
    assert again.low_mm == pytest.approx(box.low_mm)
    assert again.high_mm == pytest.approx(box.high_mm)


def test_a_box_thinner_than_a_voxel_still_takes_the_nearest_one():
    drawn = WorldBox("tumor", PLAIN.point_at((4.3, 5.2, 3.4)), (2.1, 2.2, 0.1))
    box = to_index(drawn, PLAIN)
    assert (box.start[2], box.stop[2]) == (3, 4)


def test_a_box_beyond_the_image_is_cut_at_its_edge():
    box = voxels((-4, 5, 9), (3, 9, 40))
    cut = clipped(box, OBLIQUE)
    assert (cut.start, cut.stop, cut.voxels) == ((0, 5, 9), (3, 9, 11), 3 * 4 * 2)
    assert clipped(voxels((23, 0, 0), (30, 2, 2)), OBLIQUE) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size_mm": (1, -1, 1)}, "negative edge"),
        ({"center_mm": (math.nan, 0, 0)}, "finite"),
        ({"axes": (1, 0, 0, 0.1, 1, 0, 0, 0, 1)}, "orthogonal"),
        ({"axes": (1, 0, 0)}, "nine of axes"),
    ],
)
def test_numbers_that_are_no_box_are_refused(change, words):
    good = {"label": "x", "center_mm": (0, 0, 0), "size_mm": (1, 1, 1)}
    with pytest.raises(GeometryError, match=words):
        WorldBox(**{**good, **change})


# --- overlap --------------------------------------------------------------------------------


def test_the_overlap_of_voxel_boxes_is_counted_in_voxels():
    a, b = voxels((0, 0, 0), (4, 4, 2)), voxels((2, 2, 1), (6, 6, 3))
    assert iou(a, b) == 4 / (32 + 32 - 4)
    masks = np.zeros((2, *OBLIQUE.shape), bool)
    masks[0, 0:2, 0:4, 0:4] = masks[1, 1:3, 2:6, 2:6] = True
    assert iou(a, b) == (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()


def test_on_one_grid_voxels_and_millimeters_agree():
    rng = np.random.default_rng(3)
    starts = rng.integers(0, 8, (12, 3))
    boxes = [voxels(tuple(s.tolist()), tuple((s + rng.integers(1, 9, 3)).tolist())) for s in starts]
    world = [to_world(box, OBLIQUE) for box in boxes]
    assert np.allclose(iou_matrix(boxes, boxes), iou_matrix(world, world), atol=1e-9)


def test_a_square_turned_by_45_degrees_shares_a_regular_octagon():
    octagon = 8 * (math.sqrt(2) - 1)  # with inner radius 1
    wanted = octagon / (4 + 4 - octagon)
    assert iou(cube(0), cube(0, axes=turned(45))) == pytest.approx(wanted, abs=1e-12)


def test_the_handedness_and_order_of_axes_do_not_matter():
    box = WorldBox("a", (1, 2, 3), (4, 5, 6), turned(30, 20))
    axes = np.reshape(box.axes, (3, 3))[:, [2, 0, 1]] * (-1, 1, 1)
    same = WorldBox("a", (1, 2, 3), (6, 4, 5), tuple(axes.ravel().tolist()))
    assert iou(box, same) == pytest.approx(1, abs=1e-12)


def half_spaces(box):
    axes = np.reshape(box.axes, (3, 3)).T
    normals = np.concatenate([axes, -axes])
    reach = np.tile(np.array(box.size_mm) / 2, 2)
    return np.column_stack([normals, -(normals @ box.center_mm + reach)])


def common_volume_by_scipy(a, b):
    """Independent: the intersection as half-spaces around a deepest point."""
    from scipy.optimize import linprog
    from scipy.spatial import ConvexHull, HalfspaceIntersection

    planes = np.concatenate([half_spaces(a), half_spaces(b)])
    objective = np.array([0, 0, 0, -1.0])
    deepest = linprog(
        objective,
        A_ub=np.column_stack([planes[:, :3], np.ones(len(planes))]),
        b_ub=-planes[:, 3],
        bounds=[(None, None)] * 3 + [(0, None)],
    )
    if not deepest.success or deepest.x[3] < 1e-9:
        return 0.0
    return ConvexHull(HalfspaceIntersection(planes, deepest.x[:3]).intersections).volume


def test_boxes_turned_against_each_other_are_intersected_exactly():
    rng = np.random.default_rng(5)
    overlapping = 0
    for _ in range(60):
        a, b = (
            WorldBox(
                "x",
                tuple(rng.uniform(-2, 2, 3).tolist()),
                tuple(rng.uniform(1, 6, 3).tolist()),
                turned(rng.uniform(0, 360), rng.uniform(0, 360), mirrored=bool(rng.integers(2))),
            )
            for _ in range(2)
        )
        common = common_volume_by_scipy(a, b)
        overlapping += common > 0
        wanted = common / (a.volume_mm3 + b.volume_mm3 - common)
        assert iou(a, b) == pytest.approx(wanted, abs=1e-9)
        assert iou(b, a) == pytest.approx(iou(a, b), abs=1e-12)
    assert overlapping > 20


def test_boxes_that_only_touch_or_have_no_volume_share_nothing():
    assert iou(cube(0), cube(2)) == 0
    assert iou(cube(0), cube(2 + math.sqrt(2) - 1, axes=turned(45))) == pytest.approx(0, abs=1e-9)
    flat = WorldBox("a", (0, 0, 0), (2, 2, 0))
    assert iou(flat, flat) == 0
    assert iou(flat, cube(0, axes=turned(30, 30))) == 0


def test_boxes_of_two_kinds_are_not_compared():
    with pytest.raises(GeometryError, match="cannot be compared"):
        iou(cube(0), voxels((0, 0, 0), (1, 1, 1)))


# --- agreement ------------------------------------------------------------------------------


def best_by_trying_all(value):
    """Most matches first, then the highest sum of IoU."""
    rows, columns = value.shape
    best = (0, 0.0)
    for choice in itertools.product(range(-1, columns), repeat=rows):
        used = [c for c in choice if c >= 0]
        if len(set(used)) == len(used) and all(
            value[r, c] > 0 for r, c in enumerate(choice) if c >= 0
        ):
            best = max(best, (len(used), sum(value[r, c] for r, c in enumerate(choice) if c >= 0)))
    return best


@pytest.mark.parametrize("seed", range(8))
def test_the_matching_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    first, second = (
        [cube(x, size=4) for x in rng.uniform(0, 6, count)]
        for count in (4, int(rng.integers(1, 5)))
    )
    limit = 0.3
    value = iou_matrix(first, second)
    found = match_boxes(first, second, limit)
    count, total = best_by_trying_all(np.where(value >= limit, value, 0))
    assert len(found.matches) == count
    assert sum(m.iou for m in found.matches) == pytest.approx(total)
    used = {m.first for m in found.matches} | set(found.only_first)
    assert used == set(range(4))


def test_a_greedy_match_would_lose_one_box_here():
    first = [cube(0, size=10), cube(3, size=10)]
    second = [cube(2, size=10), cube(6, size=10)]
    found = match_boxes(first, second, 0.5)
    # 3-2 is the best single pair, but 3-6 can only be found when 0 takes 2.
    assert [(m.first, m.second) for m in found.matches] == [(0, 0), (1, 1)]


def test_two_fair_matches_count_more_than_one_excellent_match():
    first, second = (
        [WorldBox("tumor", (x, 0, 0), (10, 1, 1)) for x in xs] for xs in ((0, 5.3), (0.5, -3.3))
    )
    assert iou_matrix(first, second)[0, 0] > 0.9
    found = match_boxes(first, second, 0.3)
    assert [(m.first, m.second) for m in found.matches] == [(0, 1), (1, 0)]


def test_exactly_the_limit_matches_and_less_does_not():
    a, b = voxels((0, 0, 0), (3, 1, 1)), voxels((1, 0, 0), (4, 1, 1))
    assert len(match_boxes([a], [b], 0.5).matches) == 1
    assert len(match_boxes([a], [b], 0.5000001).matches) == 0
    third = cube(1 / 3, size=1), cube(2 / 3, size=1)
    assert len(match_boxes(third[:1], third[1:], 0.5).matches) == 1


def test_boxes_of_different_labels_never_match():
    found = match_boxes([cube(0, label="tumor")], [cube(0, label="node")])
    assert (found.matches, found.only_first, found.only_second) == ((), (0,), (0,))


def test_the_policy_for_raters_without_boxes_is_that_of_masks():
    readings = {"a": [cube(0)], "b": [], "c": [cube(0.5), cube(9)], "d": []}
    rows = {(r.rater_a, r.rater_b): r for r in agree_boxes(readings, ["tumor"])}
    both = rows["b", "d"]
    assert (both.outcome, both.f1, both.mean_iou) == ("both empty", None, None)
    one = rows["a", "b"]
    assert (one.outcome, one.f1, one.mean_iou, one.boxes_a, one.boxes_b) == (
        "one empty",
        0,
        None,
        1,
        0,
    )
    measured = rows["a", "c"]
    assert (measured.outcome, measured.matched, measured.f1) == ("measured", 1, 2 / 3)
    assert measured.mean_iou == pytest.approx(0.6)


def test_agreement_does_not_depend_on_the_order_of_raters_or_boxes():
    rng = np.random.default_rng(1)
    readings = {
        rater: [cube(x, y, size=4) for x, y in rng.integers(0, 5, (5, 2)).tolist()]
        for rater in ("b", "c", "a")
    }
    shuffled = {rater: readings[rater][::-1] for rater in sorted(readings)}
    assert agree_boxes(readings, ["tumor"], 0.2) == agree_boxes(shuffled, ["tumor"], 0.2)
