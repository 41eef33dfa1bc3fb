"""Agreement of all raters beyond chance: Fleiss' kappa and Krippendorff's alpha, nominal.

Both compare the agreement per voxel with that expected if raters drew at random with the same
frequencies. The more background is counted, the more of it is chance: both depend on the extent.
By default only the smallest box around everything that anybody drew of a label is counted, so
that padding the grid changes nothing; ``within="grid"`` counts all voxels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from MedPrepLib.agree.pairs import layer_groups, require_one_grid
from MedPrepLib.errors import LabelError
from MedPrepLib.joint import JointCounts, joint_counts
from MedPrepLib.labels import MAX_LABEL_VALUE
from MedPrepLib.regions import EMPTY, Slices, label_extents
from MedPrepLib.results import ChanceAgreement
from MedPrepLib.segmentation import Segmentation

Region = Literal["box", "grid"]
IntArray = npt.NDArray[np.int64]
Places = tuple[tuple[str, int], ...]
"""Rater and layer of each column of joint counts."""

MISSING = -1
"""The rating of a rater who did not judge a voxel."""
_NONE = (np.zeros(0, dtype=np.uint8),)
"""Stands in where nobody annotated a label."""


@dataclass(frozen=True, eq=False)
class _Group:
    """Labels that were counted together; ``boxes``: where each label is drawn, in voxels."""

    places: Places
    counted: JointCounts
    labels: tuple[str, ...]
    boxes: dict[str, Slices]


def chance_agreement(
    readings: Mapping[str, Segmentation], labels: Sequence[str], within: Region = "box"
) -> tuple[ChanceAgreement, ...]:
    """Kappa and alpha of each label (drawn or not), and last of all labels together (label "").

    A label is judged by those who annotated it. Together, every voxel is rated with one label or
    background, which needs labels that exclude each other (else both are None). A voxel that a
    rater left empty who did not annotate *every* label is a missing value for alpha, since it may
    hold such a label; kappa knows no missing values and leaves that rater out. Raises
    GeometryError when the grids differ.
    """
    require_one_grid(readings)
    groups = list(_groups(readings, labels, within))
    per_label = {
        label: _of_label(readings, group, label, within)
        for group in groups
        for label in group.labels
    }
    together = _together(readings, labels, groups, within)
    return (*(per_label[label] for label in labels), together)


def fleiss_kappa(ratings: npt.ArrayLike, counts: npt.ArrayLike) -> float | None:
    """Fleiss' kappa (Psychological Bulletin 76:378, 1971) of distinct ratings and their numbers.

    ``ratings`` (T, R): the category that each of R raters gives; ``counts`` (T,): how often. None
    with fewer than two raters, no subjects, or one category only. Raises LabelError for missing
    ratings.
    """
    rows, weights = _table(ratings, counts)
    if (rows == MISSING).any():
        raise LabelError("Fleiss' kappa needs a rating of every rater on every subject")
    raters = rows.shape[1]
    subjects = int(weights.sum())
    if raters < 2 or subjects == 0:
        return None
    agreeing = int(weights @ _pairs(rows)[0])
    observed = Fraction(2 * agreeing, subjects * raters * (raters - 1))
    squares = sum(total * total for total in _totals(rows, weights))
    expected = Fraction(squares, (subjects * raters) ** 2)
    return None if expected == 1 else float((observed - expected) / (1 - expected))


def krippendorff_alpha(ratings: npt.ArrayLike, counts: npt.ArrayLike) -> float | None:
    """Krippendorff's alpha for nominal data (Content Analysis, 2nd ed., chapter 11).

    ``ratings`` (T, R) with MISSING where a rater gave none; ``counts`` (T,). Subjects with fewer
    than two ratings do not count. None where no subject is left, or one category only.
    """
    rows, weights = _table(ratings, counts)
    given = (rows != MISSING).sum(axis=1)
    rows, weights, given = (part[given > 1] for part in (rows, weights, given))
    total = int(weights @ given)
    agreeing, pairs = _pairs(rows)
    differing = weights * (pairs - agreeing)
    disagreement = sum(
        (Fraction(2 * int(differing[given == m].sum()), m - 1) for m in np.unique(given).tolist()),
        Fraction(0),
    )
    by_chance = total * total - sum(n * n for n in _totals(rows, weights))
    return None if by_chance == 0 else float(1 - (total - 1) * disagreement / by_chance)


def _table(ratings: npt.ArrayLike, counts: npt.ArrayLike) -> tuple[IntArray, IntArray]:
    return np.asarray(ratings, dtype=np.int64), np.asarray(counts, dtype=np.int64)


def _pairs(rows: IntArray) -> tuple[IntArray, IntArray]:
    """Per row the pairs of raters that agree, and the pairs that both gave a rating."""
    agreeing, both = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    for a, b in itertools.combinations(rows.T, 2):
        given = (a != MISSING) & (b != MISSING)
        agreeing += given & (a == b)
        both += given
    return agreeing, both


def _totals(rows: IntArray, weights: IntArray) -> list[int]:
    """How often each category was given."""
    size = int(rows.max(initial=0)) + 1
    totals = np.zeros(size, dtype=np.int64)
    for column in rows.T:
        given = column != MISSING
        # Sums of whole numbers below 2**53 are exact in float64.
        totals += np.bincount(column[given], weights[given], minlength=size).astype(np.int64)
    return [int(total) for total in totals]


def _groups(
    readings: Mapping[str, Segmentation], labels: Sequence[str], within: Region
) -> Iterator[_Group]:
    extents: dict[tuple[str, int], dict[int, Slices]] = {}
    for places, names in layer_groups(readings, labels).items():
        if within == "box":
            for rater, layer in places:
                if (rater, layer) not in extents:
                    extents[rater, layer] = label_extents(readings[rater].layers[layer])
        counted = joint_counts([readings[rater].layers[layer] for rater, layer in places] or _NONE)
        boxes = {name: _drawn_box(readings, places, extents, name) for name in names}
        yield _Group(places, counted, tuple(names), boxes)


def _drawn_box(
    readings: Mapping[str, Segmentation],
    places: Places,
    extents: Mapping[tuple[str, int], Mapping[int, Slices]],
    label: str,
) -> Slices:
    found = []
    for rater, layer in places:
        segment = readings[rater].find(label)
        if segment is not None and segment.layer == layer:
            found.append(extents.get((rater, layer), {}).get(segment.value, EMPTY))
    return _union(found)


def _union(boxes: Iterable[Slices]) -> Slices:
    filled = [box for box in boxes if box != EMPTY]
    if not filled:
        return EMPTY
    k, j, i = (
        slice(min(s.start for s in axis), max(s.stop for s in axis))
        for axis in zip(*filled, strict=True)
    )
    return (k, j, i)


def _of_label(
    readings: Mapping[str, Segmentation], group: _Group, label: str, within: Region
) -> ChanceAgreement:
    columns, raters = [], []
    for column, (rater, layer) in enumerate(group.places):
        segment = readings[rater].find(label)
        if segment is not None and segment.layer == layer:
            columns.append(group.counted.tuples[:, column] == segment.value)
            raters.append(rater)
    if len(raters) < 2:
        return ChanceAgreement(label, None, None, tuple(raters))
    ratings = np.stack(columns, axis=1).astype(np.int64)
    ratings, counts = _within(ratings, group.counted, within, group.boxes[label])
    kappa, alpha = fleiss_kappa(ratings, counts), krippendorff_alpha(ratings, counts)
    return ChanceAgreement(label, kappa, alpha, tuple(raters))


def _within(
    ratings: IntArray,
    counted: JointCounts,
    within: Region,
    box: Slices,
    empty: IntArray | None = None,
) -> tuple[IntArray, IntArray]:
    """Rows with a label, and one row (0, or ``empty``) for all other voxels of the region."""
    drawn = (ratings > 0).any(axis=1)
    nothing = np.zeros(ratings.shape[1], np.int64) if empty is None else empty
    counts = counted.counts[drawn]
    voxels = math.prod(s.stop - s.start for s in box) if within == "box" else counted.total
    return np.vstack([nothing, ratings[drawn]]), np.append(voxels - counts.sum(), counts)


def _together(
    readings: Mapping[str, Segmentation],
    labels: Sequence[str],
    groups: Sequence[_Group],
    within: Region,
) -> ChanceAgreement:
    raters = tuple(sorted(readings))
    complete = tuple(r for r in raters if set(labels) <= set(readings[r].names))
    exclusive = all(
        len({s.layer for s in readings[r].segments if s.name in labels}) < 2 for r in raters
    )
    if len(raters) < 2 or not labels or not exclusive:
        return ChanceAgreement("", None, None, complete)
    counted = joint_counts([readings[r].layers[_layer(readings[r], labels)] for r in raters])
    box = _union(box for group in groups for box in group.boxes.values())
    empty = np.array([0 if rater in complete else MISSING for rater in raters])
    columns = [
        _rated(readings[r], labels)[t] for r, t in zip(raters, counted.tuples.T, strict=True)
    ]
    ratings = np.where(np.stack(columns, axis=1) > 0, np.stack(columns, axis=1), empty)
    ratings, counts = _within(ratings, counted, within, box, empty)
    known = np.array([rater in complete for rater in raters])
    return ChanceAgreement(
        "", fleiss_kappa(ratings[:, known], counts), krippendorff_alpha(ratings, counts), complete
    )


def _layer(reading: Segmentation, labels: Sequence[str]) -> int:
    return next((s.layer for s in reading.segments if s.name in labels), 0)


def _rated(reading: Segmentation, labels: Sequence[str]) -> IntArray:
    """The table from a layer's values to 1, 2, 3... in the order of ``labels``; 0 for others."""
    table = np.zeros(MAX_LABEL_VALUE + 1, dtype=np.int64)
    for segment in reading.segments:
        if segment.name in labels:
            table[segment.value] = 1 + list(labels).index(segment.name)
    return table
