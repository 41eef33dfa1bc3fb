"""Pictures: the right side, the right shape, the right place, and every rater's line."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from MedPrepLib.config.settings import Window
from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, to_sitk
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.report.captions import bar_mm
from MedPrepLib.report.focus import find_focus
from MedPrepLib.report.pictures import GAP_PIXELS, PANEL_PIXELS, overlay
from MedPrepLib.report.styles import RATER_COLORS, rater_styles
from MedPrepLib.report.views import crop_box, frame, sample_labels, shown_voxels, views_of
from MedPrepLib.segmentation import Segment, Segmentation

SCHEMA = LabelSchema((Label("organ", 1), Label("lesion", 2)))


def _turned(order: tuple[int, int, int], signs: tuple[int, int, int], degrees: float) -> tuple:
    """Index axes along the given patient axes, all tilted about an oblique axis."""
    axis = np.array([1.0, 2.0, -1.5]) / np.linalg.norm([1.0, 2.0, -1.5])
    cross = np.cross(np.eye(3), axis)
    angle = np.deg2rad(degrees)
    tilt = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    straight = np.zeros((3, 3))
    for index_axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        straight[world, index_axis] = sign
    return tuple((tilt @ straight).ravel())


GRIDS = {
    "straight": Geometry((31, 24, 17), (1.5, 1.5, 3.0)),
    "oblique": Geometry(
        (31, 24, 17), (0.8, 1.1, 4.0), (5, -9, 70), _turned((0, 1, 2), (1, 1, 1), 17)
    ),
    "left-handed": Geometry((21, 34, 18), (2, 1, 3), (0, 8, 1), _turned((0, 1, 2), (-1, 1, 1), 12)),
    "sagittal": Geometry((26, 19, 33), (1, 1.2, 3.5), (1, 2, 3), _turned((1, 2, 0), (1, -1, 1), 9)),
    "coronal, left-handed": Geometry(
        (26, 19, 33), (1.3, 0.9, 2.5), (-40, 2, 9), _turned((0, 2, 1), (-1, -1, -1), 14)
    ),
}
each_grid = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())


def _numbered(grid: Geometry) -> Volume:
    return Volume(np.arange(np.prod(grid.shape), dtype=np.int32).reshape(grid.shape), grid)


def _upright(volume: Volume) -> np.ndarray:
    """By an independent tool: the voxels as [superior, posterior, left]."""
    return sitk.GetArrayFromImage(sitk.DICOMOrient(to_sitk(volume), "LPS"))


def _panels(png: bytes) -> list[np.ndarray]:
    strip = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    step = PANEL_PIXELS + GAP_PIXELS
    assert strip.shape == (PANEL_PIXELS, 3 * step - GAP_PIXELS, 3)
    return [strip[:, n * step : n * step + PANEL_PIXELS] for n in range(3)]


def _reading(labels: np.ndarray, grid: Geometry) -> Segmentation:
    segments = (Segment("organ", 1), Segment("lesion", 2))
    return Segmentation((labels.astype(np.uint8),), grid, segments)


def _whole_mm(grid: Geometry) -> float:
    return max(n * s for n, s in zip(grid.size, grid.spacing, strict=True))


@each_grid
def test_each_view_shows_the_slice_that_another_tool_shows(grid):
    volume = _numbered(grid)
    upright = _upright(volume)
    k, j, i = (n // 3 for n in upright.shape)
    value = upright[k, j, i]
    center = tuple(int(n) for n in np.argwhere(volume.array == value)[0])[::-1]
    expected = (upright[k], np.flipud(upright[:, j]), np.flipud(upright[:, :, i]))
    for view, wanted in zip(views_of(grid), expected, strict=True):
        at = frame(grid, view, center, 1.01 * _whole_mm(grid), 256)
        shown = shown_voxels(volume.array, at, crop_box(at, grid))
        np.testing.assert_array_equal(shown, wanted, err_msg=view.name)


@each_grid
def test_labels_lie_under_the_pixels_of_their_voxels(grid):
    volume = _numbered(grid)
    upright = _upright(volume)
    center = tuple(n // 2 for n in grid.size)
    k, j, i = np.argwhere(upright == volume.at(center))[0]
    expected = (upright[k], np.flipud(upright[:, j]), np.flipud(upright[:, :, i]))
    for view, wanted in zip(views_of(grid), expected, strict=True):
        at = frame(grid, view, center, _whole_mm(grid), 512)
        plane = np.take(volume.array, at.slice_index, axis=2 - view.normal)
        sampled = sample_labels(plane + 1, at)
        rows, columns = sampled.any(axis=1), sampled.any(axis=0)
        inside = sampled[rows][:, columns]
        assert inside.all()
        down, right = grid.spacing[view.down.axis], grid.spacing[view.right.axis]
        assert (
            abs(
                inside.shape[0] / inside.shape[1]
                - wanted.shape[0] * down / (wanted.shape[1] * right)
            )
            < 0.03
        )
        row, column = (
            ((np.arange(n) + 0.5) * pixels / n).astype(int)
            for n, pixels in zip(wanted.shape, inside.shape, strict=True)
        )
        np.testing.assert_array_equal(inside[np.ix_(row, column)], wanted + 1, view.name)


@each_grid
def test_what_is_left_behind_and_low_in_the_patient_is_drawn_right_low_and_behind(grid):
    """LPS: left, posterior and inferior of the middle, by position in millimeters alone."""
    k, j, i = np.indices(grid.shape)
    position = np.stack([i, j, k], axis=-1) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    middle = grid.affine[:3, :3] @ ((np.array(grid.size) - 1) / 2) + grid.affine[:3, 3]
    extent = np.ptp(grid.corners_mm, axis=0)
    wanted = middle + np.array([0.2, 0.2, -0.2]) * extent
    near = ((position - wanted) ** 2).sum(axis=-1) <= (0.11 * extent.min() + 2) ** 2
    plain = np.zeros(grid.shape, dtype=np.int16)
    views = []
    for labels in (near, np.zeros_like(near)):
        image = Volume(np.where(labels, 900, plain).astype(np.int16), grid)
        reading = _reading(2 * near, grid)
        views.append(
            _panels(
                overlay(image, {"a": reading}, None, SCHEMA, window=Window(level=450, width=900))
            )
        )
    # the whole is shown where it is smaller than 120 mm, so the marker is off the middle
    for panel, empty, (across, down) in zip(*views, ((1, 1), (1, 1), (1, 1)), strict=True):
        rows, columns = np.nonzero(np.abs(panel - empty).sum(axis=2) > 60)
        assert across * (columns.mean() - PANEL_PIXELS / 2) > 8
        assert down * (rows.mean() - PANEL_PIXELS / 2) > 8


def test_a_cube_in_the_patient_is_a_square_in_every_view_of_an_anisotropic_grid():
    grid = Geometry((50, 90, 20), (2.0, 1.0, 6.0), (0, 0, 0), _turned((2, 0, 1), (-1, 1, 1), 0))
    near = np.zeros(grid.shape, dtype=bool)
    near[8:14, 30:66, 16:34] = True  # 36 mm each way
    lit, dark = (
        _panels(
            overlay(
                Volume((near * v).astype(np.int16), grid),
                {},
                None,
                SCHEMA,
                window=Window(level=450, width=900),
            )
        )
        for v in (900, 0)
    )
    per_mm = PANEL_PIXELS / 120  # the longest side: 20 slices of 6 mm
    for panel, empty in zip(lit, dark, strict=True):
        rows, columns = np.nonzero((panel - empty).sum(axis=2) > 380)
        assert np.ptp(rows) + 1 == pytest.approx(36 * per_mm, abs=2.5)
        assert np.ptp(columns) + 1 == pytest.approx(36 * per_mm, abs=2.5)


def test_the_scale_bar_is_five_centimeters_long():
    grid = Geometry((100, 100, 50), (2.0, 2.0, 4.0))
    for panel in _panels(
        overlay(Volume(np.full(grid.shape, -2000, np.int16), grid), {}, None, SCHEMA)
    ):
        bar = np.flatnonzero(panel[PANEL_PIXELS - 6, 150:, 0] > 200)
        assert np.ptp(bar) + 1 == pytest.approx(50 * PANEL_PIXELS / 200, abs=1.5)
    assert bar_mm(256, 256 / 60.0) == 10
    assert bar_mm(256, 256 / 4.0) == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("top", [3, 40])
@pytest.mark.parametrize("shape", [(9, 10, 13), (17, 12, 14)])
def test_the_rarest_label_is_found_as_by_counting_every_voxel(dtype, top, shape):
    rng = np.random.default_rng(top)
    labels = np.minimum(rng.geometric(0.35 if top == 3 else 0.09, shape) - 1, top).astype(dtype)
    labels[:, 3] = 0
    counts = np.bincount(labels.ravel())
    present = [v for v in range(1, top + 1) if v < counts.size and counts[v]]
    rarest = min(present, key=lambda v: (counts[v], v))
    schema = LabelSchema(tuple(Label(f"label {v}", v) for v in range(1, top + 1)))
    i, j, k = find_focus(Geometry(shape[::-1]), labels, {}, schema).center
    assert labels[k, j, i] == rarest


def test_the_focus_is_in_the_largest_component_even_of_a_ring():
    grid = Geometry((60, 50, 40), (1.0, 1.0, 2.0))
    k, j, i = np.indices(grid.shape)
    radius = np.hypot(j - 25, i - 30)
    labels = np.where((radius > 12) & (radius < 16) & (abs(k - 22) < 6), 2, 0).astype(np.uint8)
    labels[2:4, 2:5, 2:5] = 2
    labels[:, :, 55:] = 1
    focus = find_focus(grid, labels, {}, SCHEMA)
    x, y, z = focus.center
    assert labels[z, y, x] == 2
    assert z == 22
    assert focus.extent_mm == 31


def test_a_large_organ_is_thinned_but_its_middle_is_still_found():
    grid = Geometry((120, 110, 100))
    k, j, i = np.indices(grid.shape)
    labels = ((k - 60) ** 2 + (j - 50) ** 2 + (i - 64) ** 2 < 38**2).astype(np.uint8)
    focus = find_focus(grid, labels, {}, SCHEMA)
    assert np.abs(np.subtract(focus.center, (64, 50, 60))).max() <= 2
    assert focus.extent_mm == pytest.approx(75, abs=3)


def test_without_consensus_a_reading_decides_and_without_any_voxel_the_middle():
    grid = Geometry((30, 20, 10))
    empty = np.zeros(grid.shape, dtype=np.uint8)
    drawn = empty.copy()
    drawn[7, 4, 21] = 2
    readings = {"b": _reading(drawn, grid), "a": _reading(empty, grid)}
    assert find_focus(grid, None, readings, SCHEMA).center == (21, 4, 7)
    assert find_focus(grid, empty, readings, SCHEMA).center == (21, 4, 7)
    assert find_focus(grid, None, {}, SCHEMA).center == (15, 10, 5)


def test_values_that_are_no_label_do_not_draw_the_view():
    grid = Geometry((30, 20, 10))
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[1, 1, 1] = 255  # undecided
    labels[6:9, 10:14, 20:24] = 1
    assert find_focus(grid, labels, {}, SCHEMA).center[2] in range(6, 9)


def _colors_in(png: bytes) -> set[tuple[int, int, int]]:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    return {color for _, color in picture.getcolors(picture.width * picture.height)}


def test_every_rater_has_a_line_in_the_color_of_the_legend_and_dashes_let_others_through():
    grid = Geometry((60, 60, 30), (2.0, 2.0, 4.0))
    k, j, i = np.indices(grid.shape)
    image = Volume(np.zeros(grid.shape, dtype=np.int16), grid)
    labels = np.where((k - 15) ** 2 * 4 + (j - 30) ** 2 + (i - 30) ** 2 < 100, 2, 0)
    readings = {name: _reading(labels, grid) for name in ("Ada", "Berta", "Chiara")}
    png = overlay(image, readings, None, SCHEMA)
    styles = rater_styles(readings)
    assert [style.rater for style in styles] == ["Ada", "Berta", "Chiara"]
    assert {RATER_COLORS[style.color] for style in styles} <= _colors_in(png)
    white = overlay(image, {}, labels.astype(np.uint8), SCHEMA)
    assert (250, 250, 245) in _colors_in(white)
    assert not set(RATER_COLORS) & _colors_in(white)


def test_styles_stay_apart_for_two_dozen_raters():
    styles = rater_styles(f"rater {n:02d}" for n in range(24))
    assert len({(style.color, style.dash) for style in styles}) == 24
    assert styles[0].dash == 0


def _mean_gray(image: Volume, labels: np.ndarray, **how) -> float:
    panel = _panels(overlay(image, {}, labels.astype(np.uint8), SCHEMA, **how))[0]
    return float(panel[60:100, 60:100].mean())


@pytest.mark.parametrize(("around", "low", "high"), [(-850, -1350, 150), (30, -125, 225)])
def test_ct_is_shown_in_the_window_of_what_surrounds_the_finding(around, low, high):
    grid = Geometry((80, 80, 40), (1.5, 1.5, 3.0))
    labels = np.zeros(grid.shape)
    labels[18:22, 38:43, 38:43] = 2
    image = Volume(np.where(labels == 2, 40, around).astype(np.int16), grid)
    wanted = 255 * (around - low) / (high - low)
    assert _mean_gray(image, labels) == pytest.approx(wanted, abs=3)
    named = Window(level=around, width=500)
    assert _mean_gray(image, labels, window=named) == pytest.approx(127, abs=3)


def test_mr_is_shown_between_its_percentiles_whatever_its_unit():
    grid = Geometry((80, 80, 40), (1.5, 1.5, 3.0))
    values = np.random.default_rng(0).uniform(0.1, 0.9, grid.shape).astype(np.float32)
    values[0, 0, 0] = 1e6
    values[1, 1, 1] = np.nan
    panel = _panels(overlay(Volume(values, grid), {}, None, SCHEMA, modality="MR"))[0]
    assert panel[40:200, 40:200].mean() == pytest.approx(127, abs=6)


def test_a_constant_image_of_one_voxel_and_a_flat_one_can_be_drawn():
    for size in ((1, 1, 1), (40, 1, 3), (3, 300, 2)):
        grid = Geometry(size, (1.0, 1.0, 1.0))
        for modality in ("CT", "MR"):
            png = overlay(
                Volume(np.zeros(grid.shape, np.int16), grid), {}, None, SCHEMA, modality=modality
            )
            assert len(_panels(png)) == 3


def test_a_picture_is_small_and_the_same_every_time():
    grid = Geometry((256, 256, 60), (0.8, 0.8, 2.5))
    noise = np.random.default_rng(1).normal(20, 60, grid.shape).astype(np.int16)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[20:40, 100:150, 100:150] = 2
    readings = {"a": _reading(labels, grid), "b": _reading(np.roll(labels, 3, axis=2), grid)}
    first = overlay(Volume(noise, grid), readings, labels, SCHEMA)
    assert len(first) < 120_000
    reordered = dict(reversed(readings.items()))
    assert overlay(Volume(noise, grid), reordered, labels, SCHEMA) == first


def test_masks_of_another_grid_are_refused():
    grid = Geometry((30, 20, 10))
    image = Volume(np.zeros(grid.shape, np.int16), grid)
    other = replace(grid, size=(30, 20, 11))
    with pytest.raises(GeometryError, match="reading of a has shape"):
        overlay(image, {"a": _reading(np.zeros(other.shape), other)}, None, SCHEMA)
    with pytest.raises(GeometryError, match="the consensus has shape"):
        overlay(image, {}, np.zeros(other.shape, np.uint8), SCHEMA)
