"""Volumes in a scene: where voxels lie in the world, seen by SimpleITK and by Slicer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import vtk

from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, from_sitk, to_sitk
from MedPrepLib.mrml import TransformedError, add_volume, volume_of
from MedPrepLib.mrml.arrays import right_handed


def turned(degrees=25.0, left_handed=False):
    axis = np.array((1.0, 2.0, 3.0)) / np.sqrt(14)
    cross, angle = np.cross(np.eye(3), axis), np.radians(degrees)
    matrix = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    if left_handed:
        matrix = matrix @ np.diag([1, 1, -1])
    return tuple(float(x) for x in matrix.ravel())


GRIDS = {
    "plain": Geometry((9, 7, 5), (0.7, 0.9, 5.0), (12.0, -140.0, 33.0)),
    "oblique": Geometry((9, 7, 5), (0.7, 0.9, 5.0), (12.0, -140.0, 33.0), turned()),
    "left-handed": Geometry(
        (9, 7, 5), (0.7, 0.9, 5.0), (12.0, -140.0, 33.0), turned(left_handed=True)
    ),
}


def marked(grid, dtype=np.int16, index=(6, 2, 4)):
    """Noise with one voxel that stands out."""
    array = np.random.default_rng(0).integers(0, 100, grid.shape).astype(dtype)
    i, j, k = index
    array[k, j, i] = 120
    return Volume(array, grid), grid.point_at(index)


def value_at(node, point_mm):
    """What Slicer finds at a point of the world (LPS), by the node's own matrix."""
    matrix = vtk.vtkMatrix4x4()
    node.GetRASToIJKMatrix(matrix)
    x, y, z = point_mm
    i, j, k, _ = matrix.MultiplyPoint((-x, -y, z, 1.0))
    return node.GetImageData().GetScalarComponentAsDouble(round(i), round(j), round(k), 0)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.uint16, np.float32])
def test_slicer_finds_a_voxel_where_it_lies_in_the_world(scene, grid, dtype):
    volume, point = marked(grid, dtype)
    node = add_volume(scene, volume, "image")
    assert value_at(node, point) == 120
    for index in ((0, 0, 0), (8, 0, 2), (3, 6, 1)):
        assert value_at(node, grid.point_at(index)) == volume.at(index)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_volume_comes_back_with_its_voxels_at_the_same_points(scene, grid):
    volume, point = marked(grid)
    back = volume_of(add_volume(scene, volume, "image"))
    assert back.array.dtype == np.int16
    index = tuple(round(x) for x in back.geometry.index_at(point))
    assert back.at(index) == 120
    assert not back.geometry.is_left_handed
    if not grid.is_left_handed:
        assert back.geometry.displacement_mm(grid) < 1e-9
        assert np.array_equal(back.array, volume.array)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_what_slicer_saves_simpleitk_reads_at_the_same_points(scene, files, tmp_path, grid):
    volume, point = marked(grid)
    node = add_volume(scene, volume, "image")
    path = tmp_path / "image.nrrd"
    assert files.save("VolumeFile", {"nodeID": node.GetID(), "fileName": str(path)})
    image = sitk.ReadImage(str(path))
    assert image[image.TransformPhysicalPointToIndex(point)] == 120


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_what_slicer_loads_is_read_at_the_same_points(scene, files, tmp_path, grid, suffix):
    volume, point = marked(grid)
    path = tmp_path / f"image{suffix}"
    sitk.WriteImage(to_sitk(volume), str(path))
    assert files.load("VolumeFile", {"fileName": str(path), "show": False})
    back = volume_of(scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"))
    index = tuple(round(x) for x in back.geometry.index_at(point))
    assert back.at(index) == 120
    expected = from_sitk(sitk.ReadImage(str(path)))
    corners = sorted(map(tuple, np.round(back.geometry.corners_mm, 3)))
    assert np.allclose(corners, sorted(map(tuple, np.round(expected.geometry.corners_mm, 3))))


def test_slicer_turns_a_left_handed_file_around_and_we_do_the_same(scene, files, tmp_path):
    volume, _ = marked(GRIDS["left-handed"])
    path = tmp_path / "image.nrrd"
    sitk.WriteImage(to_sitk(volume), str(path))
    files.load("VolumeFile", {"fileName": str(path), "show": False})
    slicers = volume_of(scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"))
    array, grid = right_handed(volume.array, volume.geometry)
    assert slicers.geometry.displacement_mm(grid) < 1e-6
    assert np.array_equal(slicers.array, array)


def test_the_scene_holds_a_copy(scene):
    volume, _ = marked(GRIDS["plain"])
    node = add_volume(scene, volume, "image")
    node.GetImageData().GetPointData().GetScalars().Fill(7)
    assert volume.array.max() == 120
    back = volume_of(node)
    node.GetImageData().GetPointData().GetScalars().Fill(9)
    assert back.array.max() == 7


def test_voxels_of_an_extent_that_does_not_begin_at_zero_are_where_they_were(scene):
    volume, point = marked(GRIDS["oblique"])
    node = add_volume(scene, volume, "image")
    clip = vtk.vtkImageClip()
    clip.SetInputData(node.GetImageData())
    clip.SetOutputWholeExtent(4, 8, 1, 4, 2, 4)
    clip.ClipDataOn()
    clip.Update()
    cropped = vtk.vtkImageData()
    cropped.DeepCopy(clip.GetOutput())
    node.SetAndObserveImageData(cropped)
    back = volume_of(node)
    assert back.geometry.size == (5, 4, 3)
    assert back.at(tuple(round(x) for x in back.geometry.index_at(point))) == 120


# --- transforms -----------------------------------------------------------------------------


def under(scene, node, matrix):
    above = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "above")
    vtk_matrix = vtk.vtkMatrix4x4()
    vtk_matrix.DeepCopy([float(x) for x in np.ravel(matrix)])
    above.SetMatrixTransformToParent(vtk_matrix)
    node.SetAndObserveTransformNodeID(above.GetID())
    return above


def test_a_rigid_transform_above_is_applied_to_the_grid(scene):
    volume, point = marked(GRIDS["oblique"])
    node = add_volume(scene, volume, "image")
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(turned(70), (3, 3))
    matrix[:3, 3] = (10, 20, 30)
    above = under(scene, node, matrix)
    moved = volume_of(node)
    x, y, z = point
    ras = matrix @ (-x, -y, z, 1)
    assert np.allclose(moved.geometry.point_at((6, 2, 4)), (-ras[0], -ras[1], ras[2]))
    node.HardenTransform()
    assert node.GetParentTransformNode() is None
    assert volume_of(node).geometry.displacement_mm(moved.geometry) < 1e-9
    scene.RemoveNode(above)


def test_transforms_above_each_other_are_all_applied(scene):
    node = add_volume(scene, marked(GRIDS["plain"])[0], "image")
    shift = np.eye(4)
    shift[0, 3] = 5
    first = under(scene, node, shift)
    under(scene, first, shift)
    assert volume_of(node).geometry.origin[0] == pytest.approx(12 - 10)


def test_a_shearing_transform_is_refused_with_the_reason(scene):
    node = add_volume(scene, marked(GRIDS["plain"])[0], "tilted")
    sheared = np.eye(4)
    sheared[0, 2] = 0.3
    under(scene, node, sheared)
    with pytest.raises(TransformedError, match=r"tilted cannot be used.*sheared"):
        volume_of(node)


def test_a_non_linear_transform_is_refused_with_the_way_out(scene):
    node = add_volume(scene, marked(GRIDS["plain"])[0], "warped")
    above = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
    node.SetAndObserveTransformNodeID(above.GetID())
    if above.IsTransformToWorldLinear():
        spline = vtk.vtkThinPlateSplineTransform()
        points = vtk.vtkPoints()
        for point in ((0, 0, 0), (10, 0, 0), (0, 10, 0), (0, 0, 10)):
            points.InsertNextPoint(point)
        spline.SetSourceLandmarks(points)
        spline.SetTargetLandmarks(points)
        above.SetAndObserveTransformToParent(spline)
    with pytest.raises(TransformedError, match=r"warped lies under the non-linear transform warp"):
        volume_of(node)


# --- what is no volume ----------------------------------------------------------------------


def test_a_node_without_voxels_is_refused(scene):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    with pytest.raises(GeometryError, match="nothing holds no voxels"):
        volume_of(node)


def test_a_node_with_several_values_per_voxel_is_refused(scene):
    """Slicer loads color images and time series as vector volumes."""
    image = vtk.vtkImageData()
    image.SetDimensions(4, 5, 6)
    image.AllocateScalars(vtk.VTK_SHORT, 3)
    node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "series")
    node.SetAndObserveImageData(image)
    with pytest.raises(GeometryError, match="series has 3 values per voxel"):
        volume_of(node)


def test_a_crop_of_the_grid_keeps_points(scene):
    grid = GRIDS["left-handed"]
    part = grid.cropped((2, 1, 1), (4, 3, 2))
    volume = Volume(np.arange(24, dtype=np.int16).reshape(2, 3, 4), part)
    node = add_volume(scene, volume, "crop")
    assert value_at(node, part.point_at((3, 0, 1))) == volume.at((3, 0, 1))
    assert replace(part, size=grid.size).origin == part.origin
