"""Boxes as Markups ROI nodes and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import vtk

from MedPrepLib.boxes import WorldBox
from MedPrepLib.geometry import LPS_TO_RAS
from MedPrepLib.labels import Color
from MedPrepLib.mrml.arrays import from_vtk_matrix, to_vtk_matrix
from MedPrepLib.mrml.transforms import TransformedError, to_world

ROI = "vtkMRMLMarkupsROINode"


def add_boxes(
    scene: Any,
    boxes: Iterable[WorldBox],
    prefix: str = "",
    color: Color | None = None,
    *,
    editable: bool = False,
) -> list[Any]:
    """A new ROI node for each box, called ``prefix`` and its label.

    Only ``editable`` ones have handles to drag; the others are locked.
    """
    nodes = [_add_box(scene, box, f"{prefix}{box.label}", color) for box in boxes]
    for node in nodes:
        node.GetDisplayNode().SetHandlesInteractive(editable)
        node.SetLocked(not editable)
    return nodes


def boxes_of(nodes: Iterable[Any], prefix: str = "") -> tuple[WorldBox, ...]:
    """The boxes (LPS) of ROI nodes, with parent transforms applied; labels are the nodes' names.

    ``prefix`` is taken off the names. Raises TransformedError under a transform that would bend
    or shear a box.
    """
    return tuple(_box(node, node.GetName().removeprefix(prefix)) for node in nodes)


def _add_box(scene: Any, box: WorldBox, name: str, color: Color | None) -> Any:
    node = scene.AddNewNodeByClass(ROI, name)
    node.CreateDefaultDisplayNodes()
    placed = np.eye(4)
    placed[:3, :3] = LPS_TO_RAS[:3, :3] @ np.reshape(box.axes, (3, 3))
    placed[:3, 3] = LPS_TO_RAS[:3, :3] @ box.center_mm
    if np.linalg.det(placed[:3, :3]) < 0:  # a box looks the same with one axis turned around
        placed[:3, 2] *= -1
    node.SetSize(*box.size_mm)
    node.SetAndObserveObjectToNodeMatrix(to_vtk_matrix(placed))
    display = node.GetDisplayNode()
    display.SetFillVisibility(False)
    if color is not None:
        for paint in (display.SetColor, display.SetSelectedColor):
            paint(*(part / 255 for part in color))
    return node


def _box(node: Any, label: str) -> WorldBox:
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(node.GetObjectToNodeMatrix())
    placed = to_world(node) @ from_vtk_matrix(matrix)
    edges = LPS_TO_RAS[:3, :3] @ placed[:3, :3]
    scale = np.sqrt((edges**2).sum(axis=0))
    axes = edges / scale
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-6):
        raise TransformedError(f"{node.GetName()} lies under a transform that shears it")
    size = np.array(node.GetSize()) * scale
    center = LPS_TO_RAS[:3, :3] @ placed[:3, 3]
    x, y, z = (float(v) for v in center)
    a, b, c = (float(v) for v in size)
    return WorldBox(label, (x, y, z), (a, b, c), tuple(float(v) for v in axes.ravel()))
