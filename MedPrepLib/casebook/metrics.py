"""What can stand in a matrix of raters, and how it is written there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from MedPrepLib.agree.pairs import shown_beside
from MedPrepLib.casebook.analysis import CaseAnalysis
from MedPrepLib.casebook.opened import OpenCase
from MedPrepLib.results import (
    BoxAgreement,
    LesionCount,
    PairAgreement,
    PairSurface,
    SliceAgreement,
)

Needs = Literal["pairs", "surfaces", "lesions", "boxes", "slices"]
Pair = tuple[str, str]
Row = PairAgreement | PairSurface | LesionCount | BoxAgreement | SliceAgreement


@dataclass(frozen=True)
class Metric:
    """A measure of two raters on one label.

    ``needs``: what has to be computed first. ``unit``: "" for a part of one. ``higher``: whether
    more is better. ``good``, ``poor``: values that count as such where no threshold is set.
    """

    name: str
    needs: Needs
    value: Callable[[Row], float | None]
    unit: str = ""
    higher: bool = True
    good: float = 1.0
    poor: float = 0.5

    def goodness(self, value: float) -> float:
        """From 0 (poor) to 1 (good)."""
        part = (value - self.poor) / (self.good - self.poor)
        return min(max(part, 0.0), 1.0)


def _field(name: str) -> Callable[[Row], float | None]:
    return attrgetter(name)


def _jaccard(row: Row) -> float | None:
    dice = row.dice if isinstance(row, PairAgreement) else None
    return None if dice is None else dice / (2 - dice)


def _volume_difference(row: Row) -> float | None:
    """How much more the larger of two drew, in percent of their mean."""
    if not isinstance(row, PairAgreement) or row.outcome == "not annotated":
        return None
    a, b = row.voxels_a, row.voxels_b
    return 200 * abs(a - b) / (a + b) if a + b else None


DICE = "Dice"
METRICS: tuple[Metric, ...] = (
    Metric(DICE, "pairs", _field("dice")),
    Metric("Jaccard", "pairs", _jaccard, poor=0.35),
    Metric("volume difference", "pairs", _volume_difference, "%", False, 0.0, 50.0),
    Metric("surface Dice", "surfaces", _field("nsd")),
    Metric("Hausdorff", "surfaces", _field("hausdorff_mm"), "mm", False, 0.0, 20.0),
    Metric("HD95, larger direction", "surfaces", _field("hd95_max_mm"), "mm", False, 0.0, 10.0),
    Metric("HD95, both directions", "surfaces", _field("hd95_pooled_mm"), "mm", False, 0.0, 10.0),
    Metric("mean surface distance", "surfaces", _field("assd_mm"), "mm", False, 0.0, 5.0),
    Metric("lesions, F1", "lesions", _field("f1")),
    Metric("boxes, F1", "boxes", _field("f1")),
    Metric("boxes, mean IoU", "boxes", _field("mean_iou")),
    Metric("slices, Dice", "slices", _field("dice")),
    Metric("slices, kappa", "slices", _field("kappa"), poor=0.4),
)
"""In the order in which they are offered."""


def metrics_of(case: OpenCase) -> tuple[Metric, ...]:
    """The metrics of those kinds of reading that a case has; of masks where it has none."""
    others = {"boxes": bool(case.boxes), "slices": bool(case.slices)}
    masks = bool(case.masks) or not any(others.values())
    return tuple(m for m in METRICS if others.get(m.needs, masks))


def raters_of(case: OpenCase, metric: Metric) -> tuple[str, ...]:
    """Who stands in the matrix of a metric, in order of name."""
    if metric.needs == "boxes":
        return tuple(sorted(case.boxes))
    if metric.needs == "slices":
        return tuple(sorted(reading.rater for reading in case.slices))
    return tuple(sorted(case.masks))


def matrix(analysis: CaseAnalysis, label: str, metric: Metric) -> Mapping[Pair, float | None]:
    """The metric of every pair of raters on a label, by (rater, rater) in order of name.

    Computes what it needs, which may take a second where surfaces lie far apart.
    """
    ask: dict[Needs, Callable[[str], Sequence[Row]]] = {
        "pairs": analysis.pairs,
        "surfaces": analysis.surfaces,
        "lesions": analysis.lesions,
        "boxes": analysis.boxes,
        "slices": analysis.slices,
    }
    rows = ask[metric.needs](label)
    return {(row.rater_a, row.rater_b): metric.value(row) for row in rows}


def cell_text(value: float | None, metric: Metric, threshold: float = 0.0) -> str:
    """A value as it stands in a cell; a dash for undefined.

    Dice has as many decimals as tell it from ``threshold``.
    """
    if value is None:
        return "\N{EN DASH}"
    if metric.name == DICE:
        return shown_beside(value, threshold)
    if not metric.unit:
        return f"{value:.3f}"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"
