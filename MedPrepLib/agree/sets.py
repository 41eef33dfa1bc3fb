"""Boxes and slice labels on which raters agree less than the threshold.

F1 of boxes and Dice of slices are for sets what Dice is for voxels, so that one threshold and one
rule judge all of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from MedPrepLib.agree.boxes import agree_boxes
from MedPrepLib.agree.pairs import first_raters, shown_beside
from MedPrepLib.agree.slices import agree_slices
from MedPrepLib.agree.versus import CONSENSUS
from MedPrepLib.catalog import LOW_AGREEMENT
from MedPrepLib.config.settings import Agree
from MedPrepLib.findings import Finding
from MedPrepLib.results import Box, BoxAgreement, SliceAgreement, SliceLabels

Row = BoxAgreement | SliceAgreement


def judge_sets(rows: Sequence[Row], settings: Agree, item: str) -> tuple[Finding, ...]:
    """LOW_AGREEMENT for every label of which boxes or slices are below the threshold.

    Judged are pairs of persons, by the worst pair or the mean of the pairs as the rule says;
    exactly the threshold passes, undefined values are left out. Under the rule "consensus"
    nothing is judged here (:func:`judge_sets_against` does).
    """
    if settings.rule == "consensus":
        return ()
    counting = frozenset(first_raters({rater for row in rows for rater in _raters(row)}))
    between = [row for row in rows if counting.issuperset(_raters(row))]
    return tuple(_low(between, settings, item))


def judge_sets_against(
    boxes: Mapping[str, Sequence[Box]] | None,
    slices: Sequence[SliceLabels],
    labels: Sequence[str],
    settings: Agree,
    item: str,
) -> tuple[Finding, ...]:
    """LOW_AGREEMENT where a rater is below the threshold against the consensus of all.

    Only under the rule "consensus". ``boxes`` and ``slices`` hold one reading per person, and
    that of the rater "consensus".
    """
    if settings.rule != "consensus":
        return ()
    rows: list[Row] = [*agree_boxes(boxes or {}, labels, settings.box_iou)]
    rows += agree_slices(slices, labels) if slices else ()
    return tuple(_low([row for row in rows if CONSENSUS in _raters(row)], settings, item))


def _low(rows: Sequence[Row], settings: Agree, item: str) -> list[Finding]:
    """A finding per label and kind of reading, naming the pair that agrees least."""
    found = []
    for kind, label in dict.fromkeys((type(row), row.label) for row in rows):
        own = [row for row in rows if (type(row), row.label) == (kind, label)]
        values = {_raters(row): value for row in own if (value := _value(row)) is not None}
        if not values:
            continue
        worst = min(values, key=lambda raters: (values[raters], raters))
        by_mean = settings.rule == "mean_pair"
        judged = statistics.fmean(values.values()) if by_mean else values[worst]
        if judged < settings.threshold:
            what = "F1 of the boxes" if kind is BoxAgreement else "Dice of the slices"
            first, second = (shown_beside(v, settings.threshold) for v in (judged, values[worst]))
            pair = f"{' and '.join(worst)} {second}"
            which = f"of {len(values)} pair(s), on average {first}" if by_mean else f"of {pair}"
            tail = f"; worst pair {pair}" if by_mean else ""
            message = f"label {label!r}: {what} {which} is below {settings.threshold:g}"
            found.append(LOW_AGREEMENT.at(item, f"{message} (rule {settings.rule}){tail}"))
    return found


def _raters(row: Row) -> tuple[str, str]:
    return row.rater_a, row.rater_b


def _value(row: Row) -> float | None:
    return row.f1 if isinstance(row, BoxAgreement) else row.dice
