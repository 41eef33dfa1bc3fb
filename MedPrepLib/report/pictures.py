"""One small picture per case: three views through the finding, with every rater's contour."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

from MedPrepLib.config.settings import Window
from MedPrepLib.errors import GeometryError
from MedPrepLib.images import Volume, VoxelArray
from MedPrepLib.labels import LabelSchema
from MedPrepLib.report.captions import write_captions
from MedPrepLib.report.focus import Focus, find_focus
from MedPrepLib.report.styles import CONSENSUS_COLOR, RATER_COLORS, RaterStyle, rater_styles
from MedPrepLib.report.views import (
    Frame,
    crop_box,
    frame,
    plane_of,
    sample_gray,
    sample_labels,
    shown_voxels,
    views_of,
)
from MedPrepLib.segmentation import BoolArray, Segmentation

Bytes2D = npt.NDArray[np.uint8]
Float2D = npt.NDArray[np.float32]

PANEL_PIXELS = 256
GAP_PIXELS = 4
SUPERSAMPLING = 2
"""Everything is drawn this much larger and averaged, so that lines and edges are smooth."""
MIN_SIDE_MM = 120.0
"""The least that a view shows: a nodule is large enough to judge, its surroundings are known."""
SIDE_PER_EXTENT = 3.0
GRAYS = 96
MAX_BYTES = 120_000
_UNDER_GRAYS = 6
_ENTRIES = 2 * _UNDER_GRAYS + 1  # one third and two thirds cover over each gray, full cover

_GRAY_ENTRY = np.rint(np.arange(256) * ((GRAYS - 1) / 255)).astype(np.uint8)

LUNG = Window(level=-600, width=1500)
MEDIASTINUM = Window(level=50, width=350)
LUNG_MEDIAN_HU = -400.0
PERCENTILES = (0.5, 99.5)


def overlay(
    image: Volume,
    readings: Mapping[str, Segmentation],
    consensus: VoxelArray | None,
    schema: LabelSchema,
    *,
    window: Window | None = None,
    modality: str = "CT",
) -> bytes:
    """A PNG strip: axial, coronal and sagittal view through the rarest label, side by side.

    ``readings`` and ``consensus`` (label values (k, j, i)) lie on the image's grid. The views
    follow the radiological convention and share one scale in millimeters; a case's smallest
    structure decides what they show (at least 120 mm, at most the whole). Raters' contours have
    the colors and dashes of :func:`rater_styles`; the consensus is a white double line. CT takes
    ``window``, or lung or mediastinum by what surrounds the finding; others their percentiles.

    Raises GeometryError when a reading or the consensus is not on the image's grid.
    """
    _require_on_grid(image, readings, consensus)
    focus = find_focus(image.geometry, consensus, readings, schema)
    side_mm = _side_mm(image, focus)
    frames = [
        frame(image.geometry, view, focus.center, side_mm, PANEL_PIXELS * SUPERSAMPLING)
        for view in views_of(image.geometry)
    ]
    low, high = _range_of(image, frames, focus, window, modality)
    panels = []
    for at in frames:
        parts = crop_box(_unsupersampled(at), image.geometry)
        shown = _to_bytes(shown_voxels(image.array, at, parts), low, high)
        gray = sample_gray(shown, PANEL_PIXELS, parts)
        panel = _GRAY_ENTRY[gray]
        _draw_contours(panel, at, readings, consensus)
        panels.append(write_captions(panel, at, PANEL_PIXELS / side_mm, GRAYS))
    return _encode(panels)


def display_range(
    image: Volume, focus: Focus, window: Window | None = None, modality: str = "CT"
) -> tuple[float, float]:
    """The intensities shown as black and as white, chosen as :func:`overlay` does."""
    side_mm = _side_mm(image, focus)
    frames = [
        frame(image.geometry, view, focus.center, side_mm, PANEL_PIXELS)
        for view in views_of(image.geometry)
    ]
    return _range_of(image, frames, focus, window, modality)


def _unsupersampled(at: Frame) -> Frame:
    right, down = (step * SUPERSAMPLING for step in at.step)
    return replace(at, pixels=PANEL_PIXELS, step=(right, down))


def _require_on_grid(
    image: Volume, readings: Mapping[str, Segmentation], consensus: VoxelArray | None
) -> None:
    shapes = {f"the reading of {rater}": r.geometry.shape for rater, r in readings.items()}
    if consensus is not None:
        shapes["the consensus"] = consensus.shape
    for what, shape in shapes.items():
        if shape != image.geometry.shape:
            raise GeometryError(
                f"{what} has shape {shape} (k, j, i), the image {image.geometry.shape}"
            )


def _side_mm(image: Volume, focus: Focus) -> float:
    whole = max(n * s for n, s in zip(image.geometry.size, image.geometry.spacing, strict=True))
    if focus.extent_mm <= 0:
        return whole
    return min(whole, max(MIN_SIDE_MM, SIDE_PER_EXTENT * focus.extent_mm))


def _range_of(
    image: Volume, frames: Sequence[Frame], focus: Focus, window: Window | None, modality: str
) -> tuple[float, float]:
    if modality == "CT":
        shown = window or _ct_window(image, frames[0], focus)
        return shown.level - shown.width / 2, shown.level + shown.width / 2
    values = np.concatenate([plane_of(image.array, at)[::2, ::2].ravel() for at in frames])
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, PERCENTILES) if values.size else (0.0, 1.0)
    return float(low), float(high) if high > low else float(low) + 1.0


def _ct_window(image: Volume, axial: Frame, focus: Focus) -> Window:
    """Lung where the surroundings (half the finding's size on each side, >= 10 mm) are air."""
    plane = plane_of(image.array, axial)
    rows, columns = sorted((axial.view.right.axis, axial.view.down.axis), reverse=True)
    parts = []
    for axis in (rows, columns):
        reach = round(max(focus.extent_mm, 10.0) / image.geometry.spacing[axis])
        low, high = max(0, focus.center[axis] - reach), focus.center[axis] + reach + 1
        parts.append(slice(low, high, 1 + reach // 40))
    median = float(np.median(plane[parts[0], parts[1]]))
    return LUNG if focus.extent_mm > 0 and median < LUNG_MEDIAN_HU else MEDIASTINUM


def _to_bytes(plane: VoxelArray, low: float, high: float) -> Bytes2D:
    inside = np.nan_to_num(plane, nan=low).clip(low, high)
    shown: Bytes2D = ((inside - low) * (255 / (high - low))).astype(np.uint8)
    return shown


def _draw_contours(
    panel: Bytes2D,
    at: Frame,
    readings: Mapping[str, Segmentation],
    consensus: VoxelArray | None,
) -> None:
    """Paint palette indices into ``panel``: the consensus below, then solid, then dashed lines."""
    gray = panel // ((GRAYS + _UNDER_GRAYS - 1) // _UNDER_GRAYS)
    if consensus is not None:
        edge = _edges(sample_labels(plane_of(consensus, at), at))
        _paint(panel, gray, _double_line(edge), len(RATER_COLORS))
    for style in sorted(rater_styles(readings), key=lambda s: s.dash == 0, reverse=True):
        line = np.zeros((at.pixels, at.pixels), dtype=bool)
        for layer in readings[style.rater].layers:
            line |= _edges(sample_labels(plane_of(layer, at), at))
        _paint(panel, gray, _dashed(line, style), style.color)


def _edges(labels: VoxelArray) -> BoolArray:
    """The pixels on both sides of every border between two labels."""
    edge = np.zeros(labels.shape, dtype=bool)
    across = labels[:, 1:] != labels[:, :-1]
    down = labels[1:] != labels[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def _double_line(edge: BoolArray) -> BoolArray:
    return _grown(_grown(_grown(edge))) & ~_grown(edge)


def _grown(mask: BoolArray) -> BoolArray:
    grown = mask.copy()
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    return grown


def _dashed(line: BoolArray, style: RaterStyle) -> BoolArray:
    return line & _checkerboard(line.shape[0], style.dash * SUPERSAMPLING) if style.dash else line


@cache
def _checkerboard(pixels: int, field: int) -> BoolArray:
    """It leaves dashes on lines of any direction, without following them."""
    odd = (np.arange(pixels) // field) % 2 == 1
    fields: BoolArray = np.equal(odd[:, None], odd[None, :])
    return fields


def _paint(panel: Bytes2D, gray: Bytes2D, line: BoolArray, color: int) -> None:
    cover = _reduce(line.view(np.uint8) * np.uint8(4))
    base = GRAYS + color * _ENTRIES
    for level, part in enumerate((cover == 1, cover == 2)):
        panel[part] = base + level * _UNDER_GRAYS + gray[part]
    panel[cover >= 3] = base + _ENTRIES - 1


def _reduce(picture: Bytes2D) -> Bytes2D:
    """The mean of each SUPERSAMPLING x SUPERSAMPLING block."""
    n = SUPERSAMPLING
    total = np.zeros((picture.shape[0] // n, picture.shape[1] // n), dtype=np.uint16)
    for row, column in itertools.product(range(n), repeat=2):
        total += picture[row::n, column::n]
    return (total // (n * n)).astype(np.uint8)


@cache
def _palette() -> bytes:
    """RGB of all entries: grays, then each line color at one and two thirds over six grays."""
    rows: list[Sequence[int]] = [[round(g * 255 / (GRAYS - 1))] * 3 for g in range(GRAYS)]
    for color in (*RATER_COLORS, CONSENSUS_COLOR):
        rows.extend(_mixtures(color))
        rows.append(color)
    return bytes(value for row in rows for value in row)


def _mixtures(color: Sequence[int]) -> Iterator[list[int]]:
    for cover in (1 / 3, 2 / 3):
        for under in range(_UNDER_GRAYS):
            below = (under + 0.5) * 255 / _UNDER_GRAYS
            yield [round(cover * c + (1 - cover) * below) for c in color]


def _encode(panels: Sequence[Bytes2D]) -> bytes:
    """A PNG with palette; of a noisy image, neighboring grays are merged until it is small."""
    gap = np.zeros((PANEL_PIXELS, GAP_PIXELS), dtype=np.uint8)
    strip = np.hstack([part for panel in panels for part in (gap, panel)][1:])
    data = _png(strip)
    for merged in (2, 4):
        if len(data) <= MAX_BYTES:
            break
        fewer = np.minimum(strip // merged * merged + merged // 2, GRAYS - 1)
        data = _png(np.where(strip < GRAYS, fewer, strip))
    return data


def _png(strip: Bytes2D) -> bytes:
    from PIL import Image

    picture = Image.fromarray(strip)
    picture.putpalette(_palette())
    data = io.BytesIO()
    picture.save(data, format="PNG", compress_level=4)
    return data.getvalue()
