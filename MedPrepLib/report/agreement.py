"""Inter-rater agreement over the cohort: a histogram, a matrix per label, the worst pairs."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from MedPrepLib.agree.pairs import pair_kinds, person
from MedPrepLib.report.model import ReportInput, judged_dice
from MedPrepLib.report.summary import raters_of
from MedPrepLib.report.text import median
from MedPrepLib.results import CaseResult, LabelAgreement, PairAgreement
from MedPrepLib.tables import (
    RaterRow,
    agreement_rows,
    learning_rows,
    likely_cause,
    rater_summary,
)

BINS = 20
MAX_RATERS = 12
MAX_RATER_ROWS = 100
"""Rows of the table of raters: label times rater."""

MAX_MATRICES = 8
MAX_WORST = 10


@dataclass(frozen=True, slots=True)
class Bar:
    """Cases whose judged Dice lies in [low, high); the last bar includes 1. Height in %."""

    low: float
    high: float
    count: int
    height: float
    below: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """The mean Dice of two raters over ``cases`` cases; ``shade`` 0..10 is its color."""

    mean: float | None
    cases: int
    shade: int
    below: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rater by rater for one label; only the part above the diagonal is filled."""

    label: str
    raters: tuple[str, ...]
    rows: tuple[tuple[Cell | None, ...], ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label over all cases. Means run over defined pairs only."""

    label: str
    cases: int
    median_worst: float | None
    minimum: float | None
    below: int
    pairs: int
    both_empty: int
    not_annotated: int


@dataclass(frozen=True, slots=True)
class SamePerson:
    """Readings of one label that were repeated by the same person: pairs, their mean Dice."""

    label: str
    pairs: int
    mean: float
    minimum: float


@dataclass(frozen=True, slots=True)
class WorstPair:
    """One pair of raters on one label of one case."""

    case: CaseResult
    pair: PairAgreement
    below: bool
    cause: str
    """The likeliest cause of a low value, in a sentence."""


@dataclass(frozen=True, slots=True)
class AgreementView:
    """Everything in the report's section on agreement."""

    measured: int
    single: int
    below: int
    threshold: float
    rule: str
    median: float | None
    bars: tuple[Bar, ...]
    labels: tuple[LabelRow, ...]
    repeated: tuple[SamePerson, ...]
    matrices: tuple[Matrix, ...]
    raters: tuple[RaterRow, ...]
    worst: tuple[WorstPair, ...]


def agreement_view(report: ReportInput) -> AgreementView:
    """Agreement of the included cases. Unrounded values are compared with the threshold."""
    settings = report.settings.agree
    values = [
        value
        for value in (judged_dice(case, settings.rule) for case in report.included)
        if value is not None
    ]
    threshold = settings.threshold
    return AgreementView(
        measured=len(values),
        single=sum(len(case.readings) == 1 for case in report.included),
        below=sum(value < threshold for value in values),
        threshold=threshold,
        rule=settings.rule,
        median=median(values),
        bars=histogram(values, threshold),
        labels=_label_rows(report, threshold),
        repeated=tuple(_same_persons(report)),
        matrices=_matrices(report, threshold),
        raters=_rater_rows(report, threshold),
        worst=_worst_pairs(report.included, threshold),
    )


def _rater_rows(report: ReportInput, threshold: float) -> tuple[RaterRow, ...]:
    """Raters on the labels that they can be compared on."""
    rows = agreement_rows(report.included)
    learning = learning_rows(rows, report.reading_order)
    found = rater_summary(rows, threshold, learning)
    return tuple(row for row in found if row.cases)[:MAX_RATER_ROWS]


def histogram(values: Sequence[float], threshold: float) -> tuple[Bar, ...]:
    """Twenty bars of 0.05 from 0 to 1, relative to the highest; a value of 0.70 is in 0.70-0.75.

    ``below`` marks bars that lie wholly below the threshold.
    """
    edges = [n / BINS for n in range(BINS + 1)]
    counts = [0] * BINS
    for value in values:
        counts[min(bisect_right(edges, value) - 1, BINS - 1)] += 1
    highest = max(counts, default=0) or 1
    return tuple(
        Bar(edges[n], edges[n + 1], count, round(100 * count / highest, 2),
            edges[n + 1] <= threshold)
        for n, count in enumerate(counts)
    )  # fmt: skip


def _label_rows(report: ReportInput, threshold: float) -> tuple[LabelRow, ...]:
    rows = []
    for label, found in _measured_labels(report):
        lowest = [row.worst_dice for row in found if row.worst_dice is not None]
        if found:
            rows.append(
                LabelRow(
                    label=label,
                    cases=len(lowest),
                    median_worst=median(lowest),
                    minimum=min(lowest, default=None),
                    below=sum(value < threshold for value in lowest),
                    pairs=sum(row.pairs_defined for row in found),
                    both_empty=sum(row.pairs_both_empty for row in found),
                    not_annotated=sum(row.pairs_not_annotated for row in found),
                )
            )
    return tuple(rows)


def _measured_labels(report: ReportInput) -> Iterator[tuple[str, list[LabelAgreement]]]:
    """Every label of the schema with what was measured on it, case by case."""
    measured = [case.agreement for case in report.included if case.agreement is not None]
    for label in report.settings.schema().names:
        yield label, [row for one in measured for row in one.labels if row.label == label]


def _same_persons(report: ReportInput) -> Iterator[SamePerson]:
    for label, found in _measured_labels(report):
        again = [row for row in found if row.intra_pairs_defined]
        pairs = sum(row.intra_pairs_defined for row in again)
        if pairs:
            total = math.fsum(
                (row.intra_mean_dice or 0.0) * row.intra_pairs_defined for row in again
            )
            lowest = min(row.intra_worst_dice or 0.0 for row in again)
            yield SamePerson(label, pairs, total / pairs, lowest)


def _matrices(report: ReportInput, threshold: float) -> tuple[Matrix, ...]:
    values: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    for case in report.included:
        for pair in _between_people(case):
            if pair.dice is not None:
                first, second = sorted((person(pair.rater_a), person(pair.rater_b)))
                values[pair.label][first, second].append(pair.dice)
    raters = raters_of(report.included)
    found = [
        _matrix(label, values[label], raters, threshold)
        for label in report.settings.schema().names
        if label in values
    ]
    found.sort(key=_lowest_mean)
    return tuple(found[:MAX_MATRICES])


def _between_people(case: CaseResult) -> list[PairAgreement]:
    """The pairs of a case that are the first readings of two persons."""
    if case.agreement is None:
        return []
    kinds = pair_kinds(case.agreement.raters)
    return [p for p in case.agreement.pairs if kinds[p.rater_a, p.rater_b] == "inter"]


def _matrix(
    label: str,
    values: dict[tuple[str, str], list[float]],
    raters: Sequence[str],
    threshold: float,
) -> Matrix:
    used = [rater for rater in raters if any(rater in pair for pair in values)]
    shown = tuple(used[:MAX_RATERS])
    rows = []
    for n, first in enumerate(shown):
        row = [_cell(values.get((first, second), []), threshold) for second in shown[n + 1 :]]
        rows.append((*[None] * (n + 1), *row))
    return Matrix(label, shown, tuple(rows), len(used) - len(shown))


def _cell(found: Sequence[float], threshold: float) -> Cell:
    if not found:
        return Cell(None, 0, 0, below=False)
    mean = sum(found) / len(found)
    return Cell(mean, len(found), min(10, int(mean * 10)), below=mean < threshold)


def _lowest_mean(matrix: Matrix) -> float:
    means = (cell.mean for row in matrix.rows for cell in row if cell is not None)
    return min((mean for mean in means if mean is not None), default=1.0)


def _worst_pairs(cases: Sequence[CaseResult], threshold: float) -> tuple[WorstPair, ...]:
    """The lowest pairs of the cohort: one per case and label."""
    found: dict[tuple[str, str], WorstPair] = {}
    for case in cases:
        for pair in _between_people(case):
            key = (case.id, pair.label)
            if pair.dice is None or (key in found and _dice(found[key]) <= pair.dice):
                continue
            found[key] = WorstPair(case, pair, pair.dice < threshold, likely_cause(case, pair))
    ordered = sorted(found.values(), key=lambda w: (_dice(w), w.case.id, w.pair.label))
    return tuple(ordered[:MAX_WORST])


def _dice(worst: WorstPair) -> float:
    return 1.0 if worst.pair.dice is None else worst.pair.dice
