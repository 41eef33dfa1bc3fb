"""What lies above a node: linear transforms are applied, others refused with the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk

from MedPrepLib.errors import GeometryError, MedPrepError
from MedPrepLib.geometry import FloatArray, Geometry
from MedPrepLib.mrml.arrays import from_vtk_matrix, to_lps


class TransformedError(MedPrepError, ValueError):
    """A node under a transform that cannot be taken into its grid."""


def to_world(node: Any) -> FloatArray:
    """The 4x4 matrix (RAS) from a node's own coordinates to the world; identity without parent.

    Raises TransformedError under a transform that is not linear.
    """
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    if not parent.IsTransformToWorldLinear():
        raise TransformedError(
            f"{node.GetName()} lies under the non-linear transform {parent.GetName()} (Slicer puts "
            "irregular DICOM series under one); harden it in the module Transforms, or take the "
            "node out of it"
        )
    matrix = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(matrix)
    return from_vtk_matrix(matrix)


def grid_in_world(node: Any, index_to_ras: FloatArray, size: tuple[int, int, int]) -> Geometry:
    """The grid of voxels in the world, LPS, with the parent transform applied.

    Raises TransformedError when the transform is not linear, or shears the grid.
    """
    try:
        return Geometry.from_affine(to_lps(to_world(node) @ index_to_ras), size)
    except GeometryError as error:
        raise TransformedError(f"the grid of {node.GetName()} cannot be used: {error}") from None


def is_transformed(node: Any) -> bool:
    """True when the node lies under a transform that moves it."""
    return not np.allclose(to_world(node), np.eye(4), atol=1e-9)
