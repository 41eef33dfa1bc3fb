"""One row per label and rater: who differs from the others, and who comes closer with practice."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

import msgspec

from MedPrepLib.agree.pairs import person
from MedPrepLib.tables.agreement import AgreementRow
from MedPrepLib.tables.learning import LearningRow, trend


class RaterRow(msgspec.Struct, frozen=True):
    """One rater on one label, against all others, over all cases.

    ``pairs``: defined values, on ``cases`` cases. ``below``: of these, under the threshold.
    ``volume_bias_percent``: median of 100 (own - other) / mean of both; positive: draws more.
    ``others_median_dice``: of the pairs without this rater; ``gap`` is how far the rater's own
    median lies under it (negative: above). ``lowest``: no rater of this label has a lower median,
    and one has a higher; in a pair alone nobody can be told apart, so nobody is lowest.
    ``dated`` to ``trend_rho``: the learning curve (see :class:`Trend`), where dates are known.
    """

    label: str
    rater: str
    cases: int
    pairs: int
    both_empty: int
    not_annotated: int
    mean_dice: float | None
    median_dice: float | None
    below: int
    volume_bias_percent: float | None
    others_median_dice: float | None
    gap: float | None
    lowest: bool
    dated: int = 0
    early_dice: float | None = None
    late_dice: float | None = None
    trend_rho: float | None = None


def rater_summary(
    rows: Sequence[AgreementRow], threshold: float, learning: Sequence[LearningRow] = ()
) -> tuple[RaterRow, ...]:
    """Who differs from the others: a row per label and rater, in order of first label, rater.

    ``threshold``: Dice below this is counted, compared unrounded. Undefined values are counted
    where they belong and left out of means and medians. A rater is a person, whose first reading
    of a case counts: repeated ones ("ana@2") are left aside. ``learning``: the learning curves
    over the same cases.
    """
    found: list[RaterRow] = []
    between = _between_people(rows)
    for label in dict.fromkeys(row.label for row in rows):
        own = [row for row in between if row.label == label]
        raters = sorted({rater for row in own for rater in (row.rater_a, row.rater_b)})
        found += _marked([_rater_row(label, rater, own, threshold) for rater in raters])
    return tuple(_with_trend(row, learning) for row in found)


def _between_people(rows: Sequence[AgreementRow]) -> list[AgreementRow]:
    """The rows of two persons' first readings of a case, with the persons' names."""
    return [
        msgspec.structs.replace(row, rater_a=person(row.rater_a), rater_b=person(row.rater_b))
        for row in rows
        if row.kind == "inter"
    ]


def _with_trend(row: RaterRow, learning: Sequence[LearningRow]) -> RaterRow:
    own = trend([step for step in learning if (step.label, step.rater) == (row.label, row.rater)])
    return msgspec.structs.replace(
        row,
        dated=own.dated,
        early_dice=own.early_dice,
        late_dice=own.late_dice,
        trend_rho=own.rho,
    )


def _rater_row(label: str, rater: str, rows: Sequence[AgreementRow], threshold: float) -> RaterRow:
    own = [row for row in rows if rater in (row.rater_a, row.rater_b)]
    values = _dice(own)
    others = _median(_dice([row for row in rows if rater not in (row.rater_a, row.rater_b)]))
    median = _median(values)
    bias = [
        row.volume_difference_percent * (1 if row.rater_b == rater else -1)
        for row in own
        if row.volume_difference_percent is not None
    ]
    return RaterRow(
        label=label,
        rater=rater,
        cases=len({row.case for row in own if row.dice is not None}),
        pairs=len(values),
        both_empty=sum(row.outcome == "both empty" for row in own),
        not_annotated=sum(row.outcome == "not annotated" for row in own),
        mean_dice=math.fsum(values) / len(values) if values else None,
        median_dice=median,
        below=sum(value < threshold for value in values),
        volume_bias_percent=_median(bias),
        others_median_dice=others,
        gap=None if median is None or others is None else others - median,
        lowest=False,
    )


def _marked(rows: Sequence[RaterRow]) -> list[RaterRow]:
    """The rows of one label, with those of the lowest median marked."""
    medians = [row.median_dice for row in rows if row.median_dice is not None]
    if not medians or min(medians) == max(medians):
        return list(rows)
    return [msgspec.structs.replace(row, lowest=row.median_dice == min(medians)) for row in rows]


def _dice(rows: Iterable[AgreementRow]) -> list[float]:
    return [row.dice for row in rows if row.dice is not None]


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
