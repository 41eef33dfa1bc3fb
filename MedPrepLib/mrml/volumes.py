"""Scalar volume nodes to Volume and back."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import vtk

from MedPrepLib.errors import GeometryError
from MedPrepLib.images import Volume
from MedPrepLib.mrml.arrays import fill, from_vtk_matrix, ras_matrix, right_handed, voxels
from MedPrepLib.mrml.transforms import grid_in_world

SAMPLED = 1_000_003
"""Voxels that tell images apart; prime, so that steps through an image do not keep to its rows."""


def add_volume(scene: Any, volume: Volume, name: str, *, display: bool = True) -> Any:
    """A new vtkMRMLScalarVolumeNode with a copy of the voxels."""
    array, geometry = right_handed(volume.array, volume.geometry)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    changing = node.StartModify()
    node.SetIJKToRASMatrix(ras_matrix(geometry))
    node.SetAndObserveImageData(fill(vtk.vtkImageData(), array))
    node.EndModify(changing)
    if display:
        node.CreateDefaultDisplayNodes()
    return node


def volume_of(node: Any) -> Volume:
    """The voxels (copied) and the grid in the world of a scalar volume node.

    A linear parent transform is applied to the grid; voxels are not resampled. Raises
    GeometryError for a node without voxels or with several components (color, 4-D),
    TransformedError (a ValueError as well) for other transforms.
    """
    image = node.GetImageData()
    if image is None or not image.GetNumberOfPoints():
        raise GeometryError(f"{node.GetName()} holds no voxels")
    components = image.GetNumberOfScalarComponents()
    if components != 1:
        raise GeometryError(
            f"{node.GetName()} has {components} values per voxel (color, or several time points); "
            "a scalar volume is needed"
        )
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    index_to_ras = from_vtk_matrix(matrix)
    # Index 0 of the array is the first index of the extent, which need not be 0.
    first = np.eye(4)
    first[:3, 3] = image.GetExtent()[0::2]
    geometry = grid_in_world(node, index_to_ras @ first, image.GetDimensions())
    return Volume(voxels(image), geometry)


def digest_of(node: Any) -> str:
    """Sixteen hex digits that tell the voxels of a volume node from those of other images.

    Taken are the size and an even sample of at most about SAMPLED voxels, so that it costs nothing.
    """
    image = node.GetImageData()
    if image is None or not image.GetNumberOfPoints():
        return hashlib.sha256(b"").hexdigest()[:16]
    scalars = np.frombuffer(image.GetPointData().GetScalars(), np.uint8)
    each = image.GetScalarSize() * image.GetNumberOfScalarComponents()
    step = -(-image.GetNumberOfPoints() // SAMPLED)
    sample = scalars.reshape(-1, each)[::step].tobytes()
    size = repr(image.GetDimensions()).encode()
    return hashlib.sha256(size + sample).hexdigest()[:16]


def show_between(node: Any, low: float, high: float) -> None:
    """Show intensities from ``low`` (black) to ``high`` (white), and keep it so."""
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(low, high)


def show_as_heat(node: Any, lowest: float, highest: float) -> None:
    """Show values in colors from dark to bright, and nothing below ``lowest``."""
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeFileMagma.txt")
    if display.GetColorNode() is None:
        display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeWarm1")
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0.0, highest)
    display.AutoThresholdOff()
    display.ApplyThresholdOn()
    display.SetThreshold(lowest, highest)
    display.InterpolateOff()
