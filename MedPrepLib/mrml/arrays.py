"""Voxels and matrices between numpy and VTK.

VTK images have i fastest, as C-contiguous arrays (k, j, i) have. Slicer's world is RAS, ours LPS.
Slicer turns left-handed grids around when it loads them, and some of its parts rely on it; so a
left-handed grid is stored from its last slice to its first. Reading back gives the same grid turned
around, whose voxels lie where they were.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import vtk
from vtk.util import numpy_support

from MedPrepLib.geometry import LPS_TO_RAS, FloatArray, Geometry
from MedPrepLib.images import VoxelArray


def right_handed(array: VoxelArray, geometry: Geometry) -> tuple[VoxelArray, Geometry]:
    """The same voxels on a right-handed grid: turned around along k where they have to be."""
    if not geometry.is_left_handed:
        return array, geometry
    i, j, k = (np.reshape(geometry.direction, (3, 3))[:, axis] for axis in range(3))
    direction = np.stack([i, j, -k], axis=1)
    return array[::-1], replace(
        geometry,
        origin=geometry.point_at((0, 0, geometry.size[2] - 1)),
        direction=tuple(float(x) for x in direction.ravel()),
    )


def fill(image: Any, array: VoxelArray) -> Any:
    """Give a vtkImageData the voxels (k, j, i), copied; returns the image."""
    depth, height, width = array.shape
    image.SetDimensions(width, height, depth)
    scalars = numpy_support.numpy_to_vtk(np.ascontiguousarray(array).reshape(-1), deep=True)
    scalars.SetName("scalars")
    image.GetPointData().SetScalars(scalars)
    return image


def voxels(image: Any) -> VoxelArray:
    """The voxels (k, j, i) of a vtkImageData with one component, copied."""
    width, height, depth = image.GetDimensions()
    scalars = image.GetPointData().GetScalars()
    # As numpy_support.vtk_to_numpy does it, which NumPy 2.5 warns about.
    dtype = numpy_support.get_numpy_array_type(scalars.GetDataType())
    copied: VoxelArray = np.frombuffer(scalars, dtype).reshape(depth, height, width).copy()
    return copied


def ras_matrix(geometry: Geometry) -> Any:
    """The vtkMatrix4x4 from index to RAS millimeters."""
    return to_vtk_matrix(LPS_TO_RAS @ geometry.affine)


def to_vtk_matrix(matrix: FloatArray) -> Any:
    """A 4x4 array as a vtkMatrix4x4."""
    made = vtk.vtkMatrix4x4()
    made.DeepCopy([float(x) for x in matrix.ravel()])
    return made


def from_vtk_matrix(matrix: Any) -> FloatArray:
    """A vtkMatrix4x4 as a 4x4 array."""
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])


def to_lps(index_to_ras: FloatArray) -> FloatArray:
    """An index-to-RAS matrix as index-to-LPS (and the other way around)."""
    turned: FloatArray = LPS_TO_RAS @ index_to_ras
    return turned
