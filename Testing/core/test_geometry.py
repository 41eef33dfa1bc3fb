"""Grids: where voxels lie, compared with SimpleITK and nibabel as independent witnesses."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import Geometry, Relation, lattice_relation
from MedPrepLib.images import Volume, from_nibabel, from_sitk, to_nibabel, to_sitk


def rotation(x_deg: float, y_deg: float, z_deg: float) -> np.ndarray:
    a, b, c = np.radians([x_deg, y_deg, z_deg])
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rz @ ry @ rx


def oblique(left_handed: bool) -> Geometry:
    """An oblique, anisotropic grid of unequal sizes."""
    direction = rotation(11, -23, 37)
    if left_handed:
        direction = direction * [1, 1, -1]
    return Geometry((7, 5, 3), (0.7, 0.9, 2.5), (-31.0, 12.5, 140.25), tuple(direction.ravel()))


HANDED = pytest.mark.parametrize("left_handed", [False, True])


@HANDED
def test_points_lie_where_simpleitk_puts_them(left_handed: bool) -> None:
    import SimpleITK as sitk

    grid = oblique(left_handed)
    image = sitk.Image(grid.size, sitk.sitkUInt8)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    for index in itertools.product((0, 6), (0, 4), (0, 2)):
        theirs = image.TransformIndexToPhysicalPoint(index)
        assert np.allclose(grid.point_at(index), theirs, atol=1e-9)
        assert np.allclose(grid.index_at(theirs), index, atol=1e-9)


@HANDED
def test_a_marked_voxel_stays_at_its_world_point_in_nibabel(left_handed: bool) -> None:
    grid = oblique(left_handed)
    array = np.zeros(grid.shape, np.int16)
    array[2, 1, 6] = 99
    image = to_nibabel(Volume(array, grid))
    index = np.argwhere(np.asarray(image.dataobj) == 99)[0]
    ras = image.affine @ [*index, 1]
    expected = np.array(grid.point_at((6, 1, 2))) * [-1, -1, 1]
    assert np.allclose(ras[:3], expected, atol=1e-9)


@HANDED
def test_a_marked_voxel_stays_at_its_world_point_in_simpleitk(left_handed: bool) -> None:
    grid = oblique(left_handed)
    array = np.zeros(grid.shape, np.int16)
    array[2, 1, 6] = 99
    image = to_sitk(Volume(array, grid))
    assert image[6, 1, 2] == 99
    assert np.allclose(image.TransformIndexToPhysicalPoint((6, 1, 2)), grid.point_at((6, 1, 2)))


@HANDED
def test_volumes_survive_both_crossings(left_handed: bool) -> None:
    grid = oblique(left_handed)
    volume = Volume(np.arange(105, dtype=np.int16).reshape(grid.shape), grid)
    for other in (from_sitk(to_sitk(volume)), from_nibabel(to_nibabel(volume))):
        assert np.array_equal(other.array, volume.array)
        assert other.geometry.displacement_mm(grid) < 1e-9


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"size": (0, 5, 3)}, "size"),
        ({"spacing": (1.0, 0.0, 1.0)}, "spacing"),
        ({"spacing": (1.0, -2.0, 1.0)}, "spacing"),
        ({"spacing": (1.0, float("nan"), 1.0)}, "spacing"),
        ({"origin": (float("inf"), 0.0, 0.0)}, "origin"),
        ({"direction": (1.0, 0, 0, 0, 1, 0, 0, 0.2, 1)}, "axes"),
        ({"direction": (0.0,) * 9}, "axes"),
    ],
)
def test_numbers_that_are_no_grid_are_refused(change: dict[str, object], word: str) -> None:
    with pytest.raises(GeometryError, match=word):
        Geometry(**{"size": (7, 5, 3), **change})  # type: ignore[arg-type]


def test_a_sheared_or_singular_affine_is_refused() -> None:
    sheared = np.eye(4)
    sheared[0, 2] = 0.3
    singular = np.diag([1.0, 0.0, 1.0, 1.0])
    for affine in (sheared, singular, np.full((4, 4), np.nan)):
        with pytest.raises(GeometryError):
            Geometry.from_affine(affine, (3, 3, 3))


def test_displacement_is_the_largest_corner_distance() -> None:
    grid = Geometry((101, 11, 5), (1.0, 2.0, 3.0))
    shifted = Geometry(grid.size, grid.spacing, (3.0, 4.0, 0.0))
    assert grid.displacement_mm(grid) == 0
    assert grid.displacement_mm(shifted) == pytest.approx(5.0)
    stretched = Geometry(grid.size, (1.01, 2.0, 3.0))
    assert grid.displacement_mm(stretched) == pytest.approx(1.0)


def test_geometry_is_a_value() -> None:
    grid = oblique(True)
    assert pickle.loads(pickle.dumps(grid)) == grid
    assert hash(grid) == hash(oblique(True))
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 5


def test_a_volume_refuses_an_array_of_another_shape_and_is_read_only() -> None:
    grid = Geometry((4, 3, 2))
    with pytest.raises(GeometryError, match="does not fit"):
        Volume(np.zeros((4, 3, 2)), grid)
    volume = Volume(np.zeros((2, 3, 4)), grid)
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 1


def test_lattices_are_told_apart() -> None:
    grid = oblique(False)
    assert lattice_relation(grid, grid).relation is Relation.SAME
    assert lattice_relation(grid, grid.cropped((2, -1, 1), (3, 3, 1))).relation is Relation.SHIFT
    coarse = Geometry(grid.size, (1.4, 0.9, 2.5), grid.origin, grid.direction)
    assert lattice_relation(grid, coarse).relation is Relation.AXIS_ALIGNED
    half = Geometry(grid.size, grid.spacing, grid.point_at((0.5, 0, 0)), grid.direction)
    assert lattice_relation(grid, half).relation is Relation.AXIS_ALIGNED
    tilted = Geometry(grid.size, grid.spacing, grid.origin)
    assert lattice_relation(grid, tilted).relation is Relation.OBLIQUE


@given(
    axes=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    start=st.tuples(*[st.integers(-5, 5)] * 3),
)
def test_a_flipped_permuted_lattice_maps_back_exactly(
    axes: list[int], signs: tuple[int, ...], start: tuple[int, ...]
) -> None:
    target = oblique(False)
    columns = target.affine[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = np.stack([columns[:, a] * s for a, s in zip(axes, signs, strict=True)], 1)
    affine[:3, 3] = target.point_at(start)
    source = Geometry.from_affine(affine, (6, 4, 8))
    found = lattice_relation(target, source)
    plain = axes == [0, 1, 2] and min(signs) > 0
    expected = (Relation.SHIFT if any(start) else Relation.SAME) if plain else Relation.FLIP
    assert found.relation is expected
    index = np.array([3, 1, 2])
    moved = np.empty(3)
    for t in range(3):
        moved[found.axes[t]] = found.scale[t] * index[t] + found.offset[t]
    assert np.allclose(source.point_at(tuple(moved)), target.point_at(tuple(index)), atol=1e-6)


def test_rounding_of_a_header_keeps_the_lattice_but_a_tilt_does_not() -> None:
    grid = Geometry((512, 512, 200), (0.7, 0.7, 1.0), (-180.0, -180.0, 40.0))
    rounded = Geometry.from_affine(grid.affine.astype(np.float32), grid.size)
    assert lattice_relation(grid, rounded).relation is Relation.SAME
    turned = Geometry(grid.size, grid.spacing, grid.origin, tuple(rotation(0, 0, 0.01).ravel()))
    assert lattice_relation(grid, turned).relation is Relation.OBLIQUE
