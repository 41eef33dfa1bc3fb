"""STAPLE of several labels that exclude each other: one confusion matrix per rater.

Rohlfing, Russakoff, Maurer, IEEE Trans. Med. Imaging 23:983 (2004), with the start (from a vote),
the prior (mean frequencies) and the stop rule of ITK's MultiLabelSTAPLEImageFilter, in double
precision. ITK 5.4 counts in single precision, which stands still at 2**24 voxels, and books votes
without a winner under wrong labels; here such votes are left out of the start, as in later ITK.

A rater who did not annotate a label is learned as one who always misses it, which says nothing
about it; the vote at the start and the prior leave that rater out for this label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib.config import settings as study
from MedPrepLib.consensus.census import Census, label_census
from MedPrepLib.consensus.panel import Panel, panel
from MedPrepLib.consensus.soft import FloatTable
from MedPrepLib.consensus.staple import ROUNDING
from MedPrepLib.consensus.ties import map_type
from MedPrepLib.consensus.vote import ballot, winners
from MedPrepLib.errors import LabelError
from MedPrepLib.images import VoxelArray
from MedPrepLib.results import RaterPerformance
from MedPrepLib.segmentation import Segmentation

PARAMETER_CHANGE = 1e-5
"""The rounds stop when no entry of a confusion matrix moves by this much (ITK's default)."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MultiLabelResult:
    """``label_map`` (k, j, i) with the schema's values, ties by the rule, ``tied`` their number.

    ``confusion``: by rater the probability of what they draw (row) given what is there (column),
    (C, C) in the order of ``values``, 0 (background) first. Columns of labels that never win are
    zero.
    """

    label_map: VoxelArray
    tied: int
    values: tuple[int, ...]
    confusion: dict[str, FloatTable]
    performance: tuple[RaterPerformance, ...]
    iterations: int
    converged: bool


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The pairs of a row (T of them) and a class that may be true there, sorted by row.

    An entry of a confusion matrix that is zero stays zero, so that all other pairs never count.
    ``starts``: where each row that has pairs begins; ``rank``: which of these rows a pair is of;
    ``cells`` (R, P): the entry of each rater's flat matrix that speaks of the pair.
    """

    row: IntArray
    truth: IntArray
    starts: IntArray
    rank: IntArray
    cells: IntArray


@dataclass(frozen=True, eq=False)
class _Fit:
    theta: FloatTable
    expected: FloatTable
    """(R, C, C): voxels by what was drawn and what is there; ``theta`` is their part."""
    posterior: FloatTable
    """Of each pair."""
    iterations: int
    converged: bool


def multilabel_staple(
    readings: Mapping[str, Segmentation],
    labels: Sequence[str],
    values: Mapping[str, int],
    settings: study.Consensus,
) -> MultiLabelResult:
    """STAPLE of exclusive labels: the label with the highest probability, ties by the rule.

    The tied outcomes are the classes with the highest probability (equal to 1e-9 of it), or, where
    no class is possible after all, everything that somebody drew there. Raises GeometryError
    without readings or on different grids, LabelError for overlapping segments, for a label
    without a value, or with the value that undecided voxels need.
    """
    return fit_panel(panel(readings, labels, values, settings.ties), settings)


def fit_panel(made: Panel, settings: study.Consensus) -> MultiLabelResult:
    """Multi-label STAPLE of a panel; errors as for :func:`multilabel_staple`."""
    if made.overlapping:
        raise LabelError("multi-label STAPLE needs labels that exclude each other")
    census = label_census(made)
    classes = np.array([0, *made.values.values()], dtype=np.int64)
    drawn: IntArray = np.searchsorted(classes, census.rows)
    theta = _confusion_with_vote(made, census, drawn, classes)
    prior = _prior(made, census, drawn, classes)
    pairs = _possible(drawn, theta, prior)
    fit = _maximized(pairs, theta, prior, census.counts, settings.max_iterations)
    chosen, tied = _chosen(made, drawn, classes, pairs, fit.posterior)
    return MultiLabelResult(
        label_map=census.painted(chosen.astype(map_type(made.values))),
        tied=int(census.counts[tied].sum()),
        values=tuple(classes.tolist()),
        confusion=dict(zip(made.raters, fit.theta, strict=True)),
        performance=_performance(made, fit.expected),
        iterations=fit.iterations,
        converged=fit.converged,
    )


def _confusion_with_vote(
    made: Panel, census: Census, drawn: IntArray, classes: IntArray
) -> FloatTable:
    """(R, C, C): what the vote says (column) where each rater drew something (row); rows sum to 1.

    Ties of the vote are left out.
    """
    voted, tied = winners(census.rows, ballot(made))
    truth = np.searchsorted(classes, np.where(tied, 0, voted))
    weights = np.where(tied, 0, census.counts)
    size = len(classes)
    seen = _tables(drawn.T * size + truth, weights, size)
    total = seen.sum(axis=2, keepdims=True)
    start: FloatTable = np.divide(seen, total, out=np.zeros_like(seen), where=total > 0)
    return start


def _prior(made: Panel, census: Census, drawn: IntArray, classes: IntArray) -> FloatTable:
    """(C,): the mean frequency of each class over those who annotated it."""
    size = len(classes)
    drawings = np.array([np.bincount(d, census.counts, minlength=size) for d in drawn.T])
    voters = made.voters()[classes].sum(axis=1)
    voters[0] = len(made.raters)
    frequency = drawings.sum(axis=0) / np.maximum(voters, 1)
    total: FloatTable = frequency / frequency.sum()
    return total


def _possible(drawn: IntArray, theta: FloatTable, prior: FloatTable) -> _Pairs:
    possible = np.broadcast_to(prior > 0, (len(drawn), len(prior))).copy()
    for column, matrix in zip(drawn.T, theta, strict=True):
        possible &= (matrix > 0)[column]
    row, truth = np.nonzero(possible)
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    rank = np.repeat(np.arange(starts.size), np.diff(starts, append=row.size))
    return _Pairs(row, truth, starts, rank, drawn.T[:, row] * len(prior) + truth)


def _maximized(
    pairs: _Pairs, theta: FloatTable, prior: FloatTable, counts: IntArray, limit: int
) -> _Fit:
    weights = counts[pairs.row].astype(np.float64)
    size = len(prior)
    expected = np.zeros_like(theta)
    converged = False
    iterations = 0
    while iterations < limit and not converged:
        expected = _tables(pairs.cells, weights * _posterior(pairs, theta, prior), size)
        total = expected.sum(axis=1, keepdims=True)
        updated = np.divide(expected, total, out=np.zeros_like(expected), where=total > 0)
        converged = bool(np.abs(updated - theta).max() < PARAMETER_CHANGE)
        theta = updated
        iterations += 1
    return _Fit(theta, expected, _posterior(pairs, theta, prior), iterations, converged)


def _posterior(pairs: _Pairs, theta: FloatTable, prior: FloatTable) -> FloatTable:
    """The probability of each pair given its row; 0 for rows where no class is possible.

    In logarithms, because a product over many raters may leave the range of a double.
    """
    if pairs.row.size == 0:
        return np.zeros(0)
    with np.errstate(divide="ignore"):
        found = np.log(prior)[pairs.truth]
        for cells, matrix in zip(pairs.cells, np.log(theta), strict=True):
            found += matrix.reshape(-1)[cells]
    top = np.maximum.reduceat(found, pairs.starts)
    found = np.exp(found - np.where(np.isfinite(top), top, 0.0)[pairs.rank])
    total = np.add.reduceat(found, pairs.starts)
    scaled: FloatTable = found / np.where(total > 0, total, 1.0)[pairs.rank]
    return scaled


def _tables(cells: IntArray, weights: IntArray | FloatTable, size: int) -> FloatTable:
    """(R, C, C): the sum of the weights that fall into each cell of each rater's matrix."""
    flat = [np.bincount(row, weights, minlength=size * size) for row in cells]
    return np.array(flat, dtype=np.float64).reshape(len(cells), size, size)


def _chosen(
    made: Panel, drawn: IntArray, classes: IntArray, pairs: _Pairs, posterior: FloatTable
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.bool_]]:
    """The winning value of each row, and which rows were ties."""
    leading = np.zeros((len(drawn), len(classes)), dtype=np.bool_)
    if pairs.row.size:
        best = np.maximum.reduceat(posterior, pairs.starts)[pairs.rank]
        leads = (posterior > 0) & (posterior >= best * (1 - ROUNDING))
        leading[pairs.row[leads], pairs.truth[leads]] = True
    impossible = np.flatnonzero(~leading.any(axis=1))
    leading[impossible[:, None], drawn[impossible]] = True
    tied = np.asarray(leading.sum(axis=1) > 1, dtype=np.bool_)
    chosen = classes[leading.argmax(axis=1)].astype(np.uint16)
    lowest = classes[1 + leading[tied, 1:].argmax(axis=1)]
    column = made.rule.column(made.raters)
    own = np.zeros(lowest.size, dtype=np.int64)
    if column is not None:
        theirs = drawn[tied, column]
        own = np.where(leading[np.flatnonzero(tied), theirs], classes[theirs], 0)
    chosen[tied] = made.rule.settle(lowest, own)
    return chosen, tied


def _performance(made: Panel, expected: FloatTable) -> tuple[RaterPerformance, ...]:
    found = []
    for place, label in enumerate(made.labels, start=1):
        for rater, table in zip(made.raters, expected, strict=True):
            if rater not in made.annotators(label):
                continue
            present = table[:, place].sum()
            absent = table.sum() - present
            wrong = table[place].sum() - table[place, place]
            found.append(
                RaterPerformance(
                    label,
                    rater,
                    float(table[place, place] / present) if present > 0 else None,
                    float(1 - wrong / absent) if absent > 0 else None,
                )
            )
    return tuple(found)
