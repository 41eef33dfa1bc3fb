"""Connected components of masks, and which of two masks correspond."""

from __future__ import annotations

import msgspec


class Lesion(msgspec.Struct, frozen=True):
    """One 26-connected component of a mask; ``center_mm`` is its centroid, LPS millimeters."""

    center_mm: tuple[float, float, float]
    voxels: int
    volume_ml: float


class LesionPair(msgspec.Struct, frozen=True):
    """The same lesion as two raters drew it; ``overlap`` is the number of common voxels."""

    a: Lesion
    b: Lesion
    overlap: int
    dice: float
    iou: float


class LesionMatch(msgspec.Struct, frozen=True):
    """Which lesions of two masks correspond, one to one.

    ``missed``: lesions of ``a`` without a partner in ``b``; ``extra``: those of ``b`` without one
    in ``a``. All in scan order.
    """

    matched: tuple[LesionPair, ...]
    missed: tuple[Lesion, ...]
    extra: tuple[Lesion, ...]

    @property
    def sensitivity(self) -> float | None:
        """The part of the lesions of ``a`` that ``b`` has too; None when ``a`` has none."""
        return _part(len(self.matched), len(self.matched) + len(self.missed))

    @property
    def precision(self) -> float | None:
        """The part of the lesions of ``b`` that ``a`` has too; None when ``b`` has none."""
        return _part(len(self.matched), len(self.matched) + len(self.extra))

    @property
    def f1(self) -> float | None:
        """2 matched / (lesions of a + lesions of b); None when there are none at all."""
        both = 2 * len(self.matched)
        return _part(both, both + len(self.missed) + len(self.extra))


class PairLesions(msgspec.Struct, frozen=True):
    """Lesion-wise agreement of two raters who both annotated the label."""

    label: str
    rater_a: str
    rater_b: str
    match: LesionMatch


def _part(count: int, total: int) -> float | None:
    return count / total if total else None
