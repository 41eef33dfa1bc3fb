"""Learning curves: how a rater's agreement with the others develops from reading to reading.

Only the order of a rater's readings is kept, never a date.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from MedPrepLib.tables.agreement import AgreementRow

ReadingOrder = Mapping[tuple[str, str], int]
"""(case, rater) to the place of this reading among the rater's dated ones, from 1; readings of
one day share a place."""

FEWEST_HALVES = 4
"""Cases from which an early and a late half are told apart."""
FEWEST_TREND = 6
"""Cases from which on a rank correlation is given; with fewer, chance alone often gives +-0.8."""


class LearningRow(msgspec.Struct, frozen=True):
    """One reading: its place in the rater's history, and its mean Dice with all others' readings.

    ``pairs``: how many of these have a defined Dice.
    """

    label: str
    rater: str
    nth: int
    case: str
    pairs: int
    mean_dice: float


class Trend(msgspec.Struct, frozen=True):
    """The learning curve of one rater on one label in numbers.

    ``dated``: cases with a date and a defined Dice. ``early_dice``, ``late_dice``: medians over
    the first and the last half of them (an odd one in the middle is in neither). ``rho``:
    Spearman's rank correlation of place and Dice; positive: comes closer to the others. None with
    fewer than FEWEST_HALVES or FEWEST_TREND cases, or if all values are equal.
    """

    dated: int = 0
    early_dice: float | None = None
    late_dice: float | None = None
    rho: float | None = None


def learning_rows(rows: Iterable[AgreementRow], order: ReadingOrder) -> tuple[LearningRow, ...]:
    """A row per dated reading and label with a defined value, in order of label, rater, place.

    ``order`` speaks of cases by the names in ``rows``. Repeated readings are left aside.
    """
    values: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        if row.kind == "inter" and row.dice is not None:
            for rater in (row.rater_a, row.rater_b):
                if (row.case, rater) in order:
                    values.setdefault((row.label, rater, row.case), []).append(row.dice)
    found = [
        LearningRow(label, rater, order[case, rater], case, len(own), statistics.fmean(own))
        for (label, rater, case), own in values.items()
    ]
    return tuple(sorted(found, key=lambda row: (row.label, row.rater, row.nth, row.case)))


def trend(rows: Sequence[LearningRow]) -> Trend:
    """The trend of the rows of one rater on one label, in order of place."""
    dice = [row.mean_dice for row in rows]
    half = len(dice) // 2
    if len(dice) < FEWEST_HALVES:
        return Trend(len(dice))
    early, late = statistics.median(dice[:half]), statistics.median(dice[-half:])
    return Trend(len(dice), early, late, _rho([row.nth for row in rows], dice))


def _rho(places: Sequence[int], dice: Sequence[float]) -> float | None:
    if len(dice) < FEWEST_TREND or len(set(dice)) == 1 or len(set(places)) == 1:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(places, dice).statistic)
