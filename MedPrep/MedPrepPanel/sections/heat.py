"""Colors of a matrix cell, from poor to good: told apart by lightness alone, too."""

from __future__ import annotations

POOR, MIDDLE, GOOD = (178, 64, 32), (244, 200, 120), (222, 240, 250)
"""Dark rust, sand, pale blue: their lightness rises all the way."""
LIGHT_INK, DARK_INK = (255, 255, 255), (20, 20, 20)
LIGHT_BELOW = 0.25

Rgb = tuple[int, int, int]


def paint(goodness: float) -> Rgb:
    """The background for a goodness from 0 to 1."""
    if goodness < 0.5:
        return _between(POOR, MIDDLE, 2 * goodness)
    return _between(MIDDLE, GOOD, 2 * goodness - 1)


def ink(goodness: float) -> Rgb:
    """A color of text that can be read on it, whatever the theme of Slicer is."""
    return LIGHT_INK if goodness < LIGHT_BELOW else DARK_INK


def _between(low: Rgb, high: Rgb, part: float) -> Rgb:
    r, g, b = (round(a + (c - a) * part) for a, c in zip(low, high, strict=True))
    return (r, g, b)
