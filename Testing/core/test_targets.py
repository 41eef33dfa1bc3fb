"""Boxes, volumes and slices of a consensus, against SimpleITK's shape statistics."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, to_sitk
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.regions import extent, label_extents
from MedPrepLib.results import SliceRange
from MedPrepLib.targets import derive

SCHEMA = LabelSchema((Label("organ", 1), Label("tumor", 3), Label("cyst", 300)))
ANGLE = 0.4
OBLIQUE = (
    float(np.cos(ANGLE)), float(-np.sin(ANGLE)), 0.0,
    float(np.sin(ANGLE)), float(np.cos(ANGLE)), 0.0,
    0.0, 0.0, -1.0,
)  # fmt: skip


def test_boxes_and_volumes_equal_simpleitk_on_an_oblique_left_handed_grid():
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 0, 0, 0, 0, 0, 1, 3], size=(9, 13, 17)).astype(np.uint8)
    grid = Geometry((17, 13, 9), (0.7, 0.8, 5.0), (10.0, -20.0, 30.0), OBLIQUE)
    assert grid.is_left_handed
    targets = derive(labels, grid, SCHEMA)
    for label in SCHEMA:
        mask = to_sitk(Volume((labels == label.value).astype(np.uint8), grid))
        shapes = sitk.LabelShapeStatisticsImageFilter()
        shapes.Execute(sitk.ConnectedComponent(mask, True))
        theirs = sorted(
            (shapes.GetBoundingBox(n), shapes.GetNumberOfPixels(n)) for n in shapes.GetLabels()
        )
        own = [box for box in targets.boxes if box.label == label.name]
        ours = sorted(
            ((*b.start, *(x - y for x, y in zip(b.stop, b.start, strict=True))), b.voxels)
            for b in own
        )
        assert ours == theirs
        assert targets.voxels[label.name] == sum(n for _, n in theirs)


def test_millimeters_are_the_extremes_of_the_voxel_edges():
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[1:3, 2, 3:5] = 3
    grid = Geometry((6, 5, 4), (0.7, 0.8, 5.0), (10.0, -20.0, 30.0), OBLIQUE)
    (box,) = derive(labels, grid, SCHEMA).boxes
    assert (box.start, box.stop) == ((3, 2, 1), (5, 3, 3))
    image = to_sitk(Volume(labels, grid))
    corners = [
        image.TransformContinuousIndexToPhysicalPoint((i, j, k))
        for i in (2.5, 4.5) for j in (1.5, 2.5) for k in (0.5, 2.5)
    ]  # fmt: skip
    assert box.low_mm == pytest.approx(np.min(corners, axis=0))
    assert box.high_mm == pytest.approx(np.max(corners, axis=0))


def test_voxels_that_share_a_corner_are_one_component():
    labels = np.zeros((3, 3, 3), np.uint8)
    labels[0, 0, 0] = labels[1, 1, 1] = labels[2, 2, 2] = 1
    (box,) = derive(labels, Geometry((3, 3, 3)), SCHEMA).boxes
    assert (box.start, box.stop, box.voxels) == ((0, 0, 0), (3, 3, 3), 3)


def test_touching_labels_are_components_of_their_own():
    labels = np.array([[[1, 1, 3, 3, 1]]], dtype=np.uint8)
    boxes = derive(labels, Geometry((5, 1, 1)), SCHEMA).boxes
    assert [(b.label, b.start[0], b.stop[0]) for b in boxes] == [
        ("organ", 0, 2), ("organ", 4, 5), ("tumor", 2, 4),
    ]  # fmt: skip


def test_slices_are_the_runs_on_which_a_label_is_present():
    labels = np.zeros((9, 2, 2), np.uint16)
    labels[[0, 1, 4, 8], 0, 1] = 300
    assert derive(labels, Geometry((2, 2, 9)), SCHEMA).slices == (
        SliceRange("cyst", 0, 2), SliceRange("cyst", 4, 5), SliceRange("cyst", 8, 9),
    )  # fmt: skip


def test_an_absent_label_has_no_voxels_and_no_box():
    targets = derive(np.zeros((2, 2, 2), np.uint8), Geometry((2, 2, 2)), SCHEMA)
    assert targets.voxels == {"organ": 0, "tumor": 0, "cyst": 0}
    assert (targets.boxes, targets.slices) == ((), ())


def test_values_outside_the_schema_are_ignored():
    targets = derive(np.full((2, 2, 2), 9, np.uint8), Geometry((2, 2, 2)), SCHEMA)
    assert targets.boxes == ()


def test_a_map_that_does_not_fit_the_grid_is_refused():
    with pytest.raises(GeometryError, match="does not fit"):
        derive(np.zeros((2, 3, 4), np.uint8), Geometry((2, 3, 4)), SCHEMA)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), margin=st.integers(1, 4))
def test_padding_moves_every_box_and_changes_nothing_in_millimeters(seed, margin):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 0, 0, 1, 3], size=(3, 4, 5)).astype(np.uint8)
    grid = Geometry((5, 4, 3), (1.0, 2.0, 3.0), (5.0, 6.0, 7.0), OBLIQUE)
    start = (-margin,) * 3
    size = (5 + 2 * margin, 4 + 2 * margin, 3 + 2 * margin)
    padded = derive(np.pad(labels, margin), grid.cropped(start, size), SCHEMA)
    plain = derive(labels, grid, SCHEMA)
    assert padded.voxels == plain.voxels
    for a, b in zip(padded.boxes, plain.boxes, strict=True):
        assert a.low_mm == pytest.approx(b.low_mm)
        assert a.high_mm == pytest.approx(b.high_mm)
        assert tuple(x - margin for x in a.start) == b.start


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_extent_holds_every_labeled_voxel_and_no_empty_border(seed):
    rng = np.random.default_rng(seed)
    labels = (rng.random((4, 5, 6)) < 0.03).astype(np.uint8)
    found = np.nonzero(labels)
    where = extent(labels)
    if found[0].size == 0:
        assert labels[where].size == 0
        return
    assert [(s.start, s.stop) for s in where] == [(a.min(), a.max() + 1) for a in found]


@pytest.mark.parametrize("part", [0.002, 0.05, 0.7, 1.0])
def test_label_boxes_equal_scipy_on_any_grid(part):
    rng = np.random.default_rng(int(part * 1000))
    for shape in ((1, 1, 1), (3, 40, 7), (40, 1, 9), (33, 17, 1), (20, 21, 22)):
        labels = rng.integers(1, 300, shape) * (rng.random(shape) < part)
        labels[shape[0] // 2 :, :, shape[2] // 3 :] = 7
        labels = labels.astype(np.uint16)
        boxes = ndimage.find_objects(labels)
        expected = {value: box for value, box in enumerate(boxes, 1) if box is not None}
        assert label_extents(labels) == expected
        assert label_extents(np.zeros_like(labels)) == {}
