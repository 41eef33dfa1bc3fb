"""STAPLE: a consensus in which raters count by their estimated performance.

Binary: Warfield, Zou, Wells, IEEE Trans. Med. Imaging 23:903 (2004), with the prior, the start and
the stop rule of ITK's STAPLEImageFilter. Several labels that exclude each other: Rohlfing,
Russakoff, Maurer, IEEE Trans. Med. Imaging 23:983 (2004), see ``multilabel``. Voxels with the same
votes are alike, so that the expectation runs over the few distinct combinations of votes.

The prior is the mean drawn fraction of the *whole grid*, and specificities count all background:
cropping background away changes both, and through them the probabilities, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib.config import settings as study
from MedPrepLib.consensus.census import Census, segment_census
from MedPrepLib.consensus.panel import BoolArray
from MedPrepLib.consensus.soft import FloatTable, ProbabilityMap, annotated_panel
from MedPrepLib.segmentation import Segmentation

PARAMETER_CHANGE = 1e-7
"""The rounds stop when no sensitivity or specificity moves by more (ITK: squares above 1e-14)."""

ROUNDING = 1e-9
"""Probabilities this close are equal: the order of sums must not decide a voxel."""


@dataclass(frozen=True, eq=False)
class StapleResult:
    """The probability of one label, and each rater's performance by name, in order of name.

    A sensitivity is None when nobody drew anything (the probability is 0 everywhere), a
    specificity when everybody drew everything. ``iterations``: rounds made; ``converged``: whether
    the last one changed next to nothing.
    """

    probability: ProbabilityMap
    sensitivities: dict[str, float | None]
    specificities: dict[str, float | None]
    iterations: int
    converged: bool


@dataclass(frozen=True, eq=False)
class Estimate:
    """``inside`` (T,): the probability of each row; (R,): performance of each column."""

    inside: FloatTable
    sensitivity: list[float | None]
    specificity: list[float | None]
    iterations: int
    converged: bool

    @property
    def tied(self) -> BoolArray:
        """Rows (T,) whose probability is one half."""
        return np.asarray(np.abs(self.inside - 0.5) <= ROUNDING, dtype=np.bool_)


def staple(
    readings: Mapping[str, Segmentation], label: str, settings: study.Consensus
) -> StapleResult:
    """STAPLE of one label over the raters who annotated it.

    The prior is the mean drawn fraction of the grid, times ``settings.confidence_weight`` (at most
    1). Sensitivities and specificities equal those of ITK. Raises GeometryError without readings
    or on different grids, LabelError when nobody annotated the label.
    """
    made = annotated_panel(readings, label)
    census = segment_census(made, label)
    found = estimate(census, settings)
    return StapleResult(
        probability=ProbabilityMap(census, found.inside),
        sensitivities=dict(zip(made.raters, found.sensitivity, strict=True)),
        specificities=dict(zip(made.raters, found.specificity, strict=True)),
        iterations=found.iterations,
        converged=found.converged,
    )


def estimate(census: Census, settings: study.Consensus) -> Estimate:
    """Expectation and maximization over the rows (0 or 1 per rater) of one segment's census."""
    drawn = census.rows.astype(np.float64)
    counts = census.counts.astype(np.float64)
    inside = drawn.mean(axis=1)
    prior = min(1.0, float(counts @ inside) / counts.sum() * settings.confidence_weight)
    p, q = np.ones(drawn.shape[1]), np.ones(drawn.shape[1])
    converged = False
    iterations = 0
    while iterations < settings.max_iterations and not converged:
        last = np.concatenate([p, q])
        p = _fraction(drawn, counts * inside, p)
        q = _fraction(1 - drawn, counts * (1 - inside), q)
        inside = _expected(drawn, p, q, prior, inside)
        change = np.abs(np.concatenate([p, q]) - last).max()
        converged = bool(change <= PARAMETER_CHANGE)
        iterations += 1
    return Estimate(
        inside=inside,
        sensitivity=_defined(p, drawn.any()),
        specificity=_defined(q, not drawn.all()),
        iterations=iterations,
        converged=converged,
    )


def _fraction(hits: FloatTable, weights: FloatTable, last: FloatTable) -> FloatTable:
    """The part of the weight that each rater (column) hits; unchanged where there is no weight."""
    total = weights.sum()
    return np.minimum(weights @ hits / total, 1.0) if total > 0 else last


def _expected(
    drawn: FloatTable, p: FloatTable, q: FloatTable, prior: float, last: FloatTable
) -> FloatTable:
    """The probability of each row; as before where rounding has made it impossible either way.

    In logarithms, because a product over many raters may leave the range of a double.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        inside = np.log(prior) + _log_product(drawn, np.log(p), np.log1p(-p))
        outside = np.log1p(-prior) + _log_product(drawn, np.log1p(-q), np.log(q))
        found = 1.0 / (1.0 + np.exp(outside - inside))
    return np.where(np.isnan(found), last, found)


def _log_product(drawn: FloatTable, when_drawn: FloatTable, when_not: FloatTable) -> FloatTable:
    product: FloatTable = np.where(drawn > 0, when_drawn, when_not).sum(axis=1)
    return product


def _defined(values: FloatTable, known: npt.ArrayLike) -> list[float | None]:
    return [float(value) if known else None for value in values]
