"""What is written into a picture: orientation letters, slice index and scale bar."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from MedPrepLib.report.views import Frame

Bytes2D = npt.NDArray[np.uint8]

FONT_PIXELS = 13
MARGIN = 5
BARS_MM = (50.0, 10.0, 1.0, 0.1)
BAR_SHARE = 0.7
"""The longest bar that stays below this part of the picture is drawn: 5 cm in a patient."""
INDEX_LETTERS = "ijk"
START, MIDDLE, END = 0.0, 0.5, 1.0
_Word = tuple[tuple[float, float], str, tuple[float, float]]
"""Position, text, and which part of the text lies there, both (across, down)."""


def write_captions(panel: Bytes2D, at: Frame, pixels_per_mm: float, grays: int) -> Bytes2D:
    """The panel with its captions in light gray and a dark halo; ``grays`` palette entries."""
    n = panel.shape[0]
    halo, ink = np.zeros((2, n, n), dtype=np.uint8)
    left, right = _bar(n, pixels_per_mm)
    halo[n - 8 : n - 4, left - 1 : right + 2] = ink[n - 7 : n - 5, left : right + 1] = 255
    for (x, y), words, anchor in _words(at, n, pixels_per_mm):
        for layer, stamp in zip((halo, ink), _stamps(words), strict=True):
            height, width = stamp.shape
            column = min(max(round(x - width * anchor[0]), 0), n - width)
            row = round(y - height * anchor[1])
            spot = layer[row : row + height, column : column + width]
            np.maximum(spot, stamp, out=spot)
    written = np.where(halo > 100, np.uint8(0), panel)
    light = (ink.astype(np.uint16) * (grays - 8) // 255).astype(np.uint8)
    return np.where(ink > 0, np.maximum(light, np.minimum(written, grays // 4)), written)


def bar_mm(pixels: int, pixels_per_mm: float) -> float:
    """The length of the scale bar, millimeters: 5 cm unless that would fill the picture."""
    room = BAR_SHARE * pixels / pixels_per_mm
    return next((length for length in BARS_MM if length < room), room)


def _bar(pixels: int, pixels_per_mm: float) -> tuple[int, int]:
    right = pixels - 1 - MARGIN
    return right - round(bar_mm(pixels, pixels_per_mm) * pixels_per_mm), right


def _words(at: Frame, n: int, pixels_per_mm: float) -> list[_Word]:
    left, right, top, bottom = tuple(at.view.letters)
    bar_left, bar_right = _bar(n, pixels_per_mm)
    length = bar_mm(n, pixels_per_mm)
    size = f"{length / 10:g} cm" if length >= 10 else f"{length:.2g} mm"
    low = n - MARGIN + 2
    return [
        ((MARGIN, n / 2), left, (START, MIDDLE)),
        ((n - MARGIN, n / 2), right, (END, MIDDLE)),
        ((n / 2, MARGIN - 2), top, (MIDDLE, START)),
        ((n / 2, low), bottom, (MIDDLE, END)),
        ((MARGIN, MARGIN - 2), at.view.name, (START, START)),
        ((MARGIN, low), f"{INDEX_LETTERS[at.view.normal]} {at.slice_index}", (START, END)),
        (((bar_left + bar_right) / 2, n - 7), size, (MIDDLE, END)),
    ]


@lru_cache(maxsize=2000)
def _stamps(words: str) -> tuple[Bytes2D, Bytes2D]:
    """Coverage 0..255 of the halo and of the ink of ``words``, both of one size."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(FONT_PIXELS)
    _, _, right, _ = font.getbbox(words)
    size = (int(right) + 3, FONT_PIXELS + 5)
    layers = []
    for stroke in (1, 0):
        layer = Image.new("L", size)
        draw = ImageDraw.Draw(layer)
        draw.text((1, size[1] / 2), words, 255, font, anchor="lm", stroke_width=stroke)
        layers.append(np.array(layer))
    return layers[0], layers[1]
