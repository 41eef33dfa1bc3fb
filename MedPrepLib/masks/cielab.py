"""The color that a DICOM segment recommends for itself, CIELab, as sRGB."""

from __future__ import annotations

from typing import Any

import numpy as np

from MedPrepLib.labels import Color
from MedPrepLib.masks.objects import numbers

_XYZ_TO_SRGB = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
"""D65, that of sRGB (IEC 61966-2-1). PS3.3 names the D50 of ICC profiles, but dcmqi, Slicer and
highdicom write and read D65, and colors should come back as they were chosen."""


def recommended_color(row: Any) -> Color | None:
    """RecommendedDisplayCIELabValue (0062,000D) as sRGB; PS3.3 C.10.7.1.1 scales it to 16 bits."""
    if row.get("RecommendedDisplayCIELabValue") is None:
        return None
    stored = numbers(row, "RecommendedDisplayCIELabValue", 3)
    lightness = stored[0] / 65535 * 100
    a, b = (x / 65535 * 255 - 128 for x in stored[1:])
    middle = (lightness + 16) / 116
    steps = np.array([middle + a / 500, middle, middle - b / 200])
    relative = np.where(steps > 6 / 29, steps**3, 3 * (6 / 29) ** 2 * (steps - 4 / 29))
    linear = np.clip(_XYZ_TO_SRGB @ (relative * _WHITE), 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (round(float(x) * 255) for x in encoded)
    return (red, green, blue)
