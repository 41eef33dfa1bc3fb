"""Line colors and dashes of raters: one table for the pictures and for the legend beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from MedPrepLib.labels import Color

# Okabe & Ito, "Color Universal Design" (2008), lightened where black would swallow them; told
# apart by the common forms of color blindness, and by lightness in print.
RATER_COLORS: tuple[Color, ...] = (
    (86, 180, 233),
    (240, 150, 10),
    (30, 190, 140),
    (235, 130, 185),
    (240, 228, 66),
    (235, 105, 40),
    (120, 140, 255),
    (165, 165, 165),
)
CONSENSUS_COLOR: Color = (250, 250, 245)


@dataclass(frozen=True, slots=True)
class RaterStyle:
    """How a rater's contour looks. ``dash`` is the dash length in pixels, 0 for a solid line."""

    rater: str
    color: int
    """Index into RATER_COLORS."""
    dash: int

    @property
    def hex_color(self) -> str:
        """The color as #rrggbb."""
        return "#{:02x}{:02x}{:02x}".format(*RATER_COLORS[self.color])


def rater_styles(raters: Iterable[str]) -> tuple[RaterStyle, ...]:
    """The styles of a case's raters, in order of name: the same in picture and legend.

    Twenty-four raters can be told apart. Where lines lie on each other, the solid ones are drawn
    first, so that they show through the dashed ones.
    """
    dashes = (0, 4, 2)
    names = sorted(set(raters))
    count = len(RATER_COLORS)
    return tuple(
        RaterStyle(name, n % count, dashes[n % len(dashes)]) for n, name in enumerate(names)
    )
