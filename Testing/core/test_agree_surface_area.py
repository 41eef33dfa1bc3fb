"""Areas of surface elements against closed forms of plane geometry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from surface_witness import weighted_cells

from MedPrepLib.agree.surfacearea import CORNERS, element_areas


def area_of(mask, spacing_mm):
    cells, areas = weighted_cells(mask, spacing_mm)
    return areas[cells].sum()


def case_of(*inside):
    return sum(1 << CORNERS.index(corner) for corner in inside)


def test_flat_surfaces_have_the_area_of_their_rectangle():
    i, j, k = spacing = (0.7, 0.9, 5.0)
    areas = element_areas(spacing)
    assert areas[case_of(*(c for c in CORNERS if c[0] == 0))] == pytest.approx(i * j)
    assert areas[case_of(*(c for c in CORNERS if c[1] == 0))] == pytest.approx(i * k)
    assert areas[case_of(*(c for c in CORNERS if c[2] == 0))] == pytest.approx(j * k)


def test_cut_corners_and_edges_have_the_area_of_their_polygon():
    i, j, k = spacing = (0.7, 0.9, 5.0)
    areas = element_areas(spacing)
    corner = math.sqrt((i * j) ** 2 + (i * k) ** 2 + (j * k) ** 2) / 8
    assert areas[case_of((0, 0, 0))] == pytest.approx(corner)
    # Two corners along an edge: a rectangle as long as the edge, across half a diagonal.
    assert areas[case_of((0, 0, 0), (1, 0, 0))] == pytest.approx(k * math.hypot(i, j) / 2)
    # Two corners across a face, or across the cell: each is cut off alone.
    assert areas[case_of((0, 0, 0), (0, 1, 1))] == pytest.approx(2 * corner)
    assert areas[case_of((0, 0, 0), (1, 1, 1))] == pytest.approx(2 * corner)
    # Four corners of a tetrahedron: four times a corner.
    assert areas[case_of((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0))] == pytest.approx(4 * corner)


def test_three_neighboring_corners_have_the_area_of_the_largest_division():
    """A pentagon: half a flat face, and a bent rest that the unit cube divides in three."""
    areas = element_areas((1.0, 1.0, 1.0))
    expected = 1 / 2 + math.sqrt(3) / 4 + math.sqrt(3) / 8
    assert areas[case_of((0, 0, 0), (0, 0, 1), (0, 1, 0))] == pytest.approx(expected)


def test_a_corner_and_its_three_neighbors_make_a_regular_hexagon():
    areas = element_areas((1.0, 1.0, 1.0))
    around = case_of((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0))
    assert areas[around] == pytest.approx(6 * math.sqrt(3) / 4 * (1 / 2))


def test_a_case_and_its_complement_and_its_mirror_images_have_one_area():
    areas = element_areas((0.7, 0.9, 5.0))
    for case in range(256):
        inside = [c for bit, c in enumerate(CORNERS) if case >> bit & 1]
        mirrored = case_of(*((1 - k, j, 1 - i) for k, j, i in inside))
        assert areas[case] == pytest.approx(areas[255 - case])
        assert areas[case] == pytest.approx(areas[mirrored])
    assert areas[0] == areas[255] == 0


def test_areas_follow_the_axes_of_the_spacing():
    one, other = element_areas((0.7, 0.9, 5.0)), element_areas((5.0, 0.9, 0.7))
    for case in range(256):
        inside = [c for bit, c in enumerate(CORNERS) if case >> bit & 1]
        assert one[case] == pytest.approx(other[case_of(*((i, j, k) for k, j, i in inside))])


def test_a_box_has_the_area_of_its_faces_with_cut_edges_and_corners():
    i, j, k = spacing = (0.7, 0.9, 2.0)
    mask = np.zeros((7, 9, 11), bool)
    mask[1:5, 2:8, 3:10] = True  # 4 x 6 x 7 voxels
    flat = 2 * (3 * 5 * k * j + 3 * 6 * k * i + 5 * 6 * j * i)
    edges = 2 * (3 * k * math.hypot(j, i) + 5 * j * math.hypot(k, i) + 6 * i * math.hypot(k, j))
    corners = math.sqrt((i * j) ** 2 + (i * k) ** 2 + (j * k) ** 2)
    assert area_of(mask, spacing) == pytest.approx(flat + edges + corners)
