"""Boxes in a scene: Slicer's ROI nodes against our files and our voxels."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import vtk

from MedPrepLib.boxes import WorldBox, index_box, to_index, to_world
from MedPrepLib.geometry import Geometry
from MedPrepLib.markups import read_boxes, write_boxes
from MedPrepLib.mrml import TransformedError, add_boxes, boxes_of

COS, SIN = math.cos(0.4), math.sin(0.4)
GRID = Geometry(
    (24, 20, 11), (0.7, 0.9, 5.0), (12.0, -140.0, 33.0), (COS, -SIN, 0, SIN, COS, 0, 0, 0, -1.0)
)


def corners(box):
    edges = np.reshape(box.axes, (3, 3)) * box.size_mm
    signs = itertools.product((-0.5, 0.5), repeat=3)
    return sorted(tuple(np.round(box.center_mm + edges @ s, 4)) for s in signs)


BOXES = {
    "upright": WorldBox("tumor", (10.0, -20.0, 30.0), (4.0, 6.0, 8.0)),
    "turned": to_world(index_box("tumor", (4, 3, 2), (9, 10, 6), GRID), GRID),
}


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_a_box_comes_back_with_the_same_corners(scene, box):
    (node,) = add_boxes(scene, [box], "ana: ", (200, 30, 10))
    assert node.GetName() == "ana: tumor"
    (back,) = boxes_of([node], "ana: ")
    assert back.label == "tumor"
    assert corners(back) == corners(box)


def test_a_box_of_voxels_comes_back_as_the_same_voxels(scene):
    box = index_box("tumor", (4, 3, 2), (9, 10, 6), GRID)
    back = boxes_of(add_boxes(scene, [to_world(box, GRID)]))[0]
    found = to_index(back, GRID)
    assert (found.start, found.stop) == (box.start, box.stop)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_slicer_knows_the_same_center_and_size(scene, box):
    (node,) = add_boxes(scene, [box])
    center = [0.0, 0.0, 0.0]
    node.GetCenterWorld(center)
    x, y, z = box.center_mm
    assert center == pytest.approx([-x, -y, z])
    size = [0.0, 0.0, 0.0]
    node.GetSizeWorld(size)
    assert size == pytest.approx(box.size_mm)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_what_slicer_saves_we_read(scene, files, tmp_path, box):
    (node,) = add_boxes(scene, [box])
    path = tmp_path / "ana.mrk.json"
    assert files.save("MarkupsFile", {"nodeID": node.GetID(), "fileName": str(path)})
    (back,) = read_boxes(path)
    assert corners(back) == corners(box)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_what_we_save_slicer_reads(scene, files, tmp_path, box):
    path = tmp_path / "ana.mrk.json"
    write_boxes(path, [box])
    assert files.load("MarkupsFile", {"fileName": str(path)})
    (back,) = boxes_of([scene.GetFirstNodeByClass("vtkMRMLMarkupsROINode")])
    assert corners(back) == corners(box)


def under(scene, node, matrix):
    above = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "above")
    made = vtk.vtkMatrix4x4()
    made.DeepCopy([float(x) for x in np.ravel(matrix)])
    above.SetMatrixTransformToParent(made)
    node.SetAndObserveTransformNodeID(above.GetID())


def test_a_transform_above_moves_the_box(scene):
    (node,) = add_boxes(scene, [BOXES["turned"]])
    matrix = np.eye(4)
    matrix[:3, 3] = (5, 6, 7)
    under(scene, node, matrix)
    (back,) = boxes_of([node])
    x, y, z = BOXES["turned"].center_mm
    assert back.center_mm == pytest.approx((x - 5, y - 6, z + 7))


def test_a_transform_that_shears_a_box_is_refused(scene):
    (node,) = add_boxes(scene, [BOXES["turned"]])
    matrix = np.eye(4)
    matrix[0, 1] = 0.5
    under(scene, node, matrix)
    with pytest.raises(TransformedError, match="shears"):
        boxes_of([node])
