"""How well raters agree: Dice per label for every pair, and which cases a person should review.

Dice of A and B is 2 |A and B| / (|A| + |B|) (Dice, Ecology 26:297, 1945). It does not depend on
the extent of the grid. Where both are empty it is undefined: not 0, not 1, never infinite.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from MedPrepLib.catalog import LOW_AGREEMENT
from MedPrepLib.config.settings import Agree
from MedPrepLib.errors import GeometryError, LabelError
from MedPrepLib.findings import Finding
from MedPrepLib.joint import JointCounts, joint_counts
from MedPrepLib.results import Agreement, LabelAgreement, Outcome, PairAgreement
from MedPrepLib.segmentation import Segmentation

ONE_GRID_MM = 1e-3
"""Corner distance up to which readings count as lying on one grid, mm."""

REPEAT_MARK = "@"
"""Sets off the number of a repeated reading: "ana@2" is the second reading of "ana". Only digits
may follow, so that e-mail addresses stay names."""

PairKind = Literal["inter", "intra", "repeat"]

SIMILAR_VOLUME = 1.25
"""Volumes within this factor of each other are called similar in messages."""


@dataclass(frozen=True, eq=False)
class _Overlap:
    """Voxels of one label: per rater that annotated it, and common to two of them."""

    voxels: dict[str, int]
    common: dict[tuple[str, str], int]


def agree(readings: Mapping[str, Segmentation], labels: Sequence[str]) -> Agreement:
    """Compare every pair of raters on every label, matched by segment name.

    ``readings`` (rater to reading) must lie on one grid and carry the schema's names; the numbers
    inside the files may differ. Every label is measured alone, overlapping segments exactly.
    Raters are sorted by name, so the result does not depend on their order. Every pair is listed
    (see :func:`pairs_kind`); summed up are those of the first readings of two persons, and apart
    from them those of one person. Raises GeometryError when the grids differ.
    """
    raters = tuple(sorted(readings))
    require_one_grid(readings)
    overlaps = _overlaps(readings, raters, labels)
    per_label = [
        [_pair(label, a, b, overlaps[label]) for a, b in itertools.combinations(raters, 2)]
        for label in labels
    ]
    kinds = pair_kinds(raters)
    summaries = tuple(
        _summary(label, rows, kinds) for label, rows in zip(labels, per_label, strict=True)
    )
    return Agreement(raters, summaries, tuple(itertools.chain.from_iterable(per_label)))


def dice(a: npt.ArrayLike, b: npt.ArrayLike, value: int | None = None) -> float | None:
    """Dice of two arrays of one shape, boolean or labels; None when both are empty.

    ``value`` picks the label; without it, non-zero voxels count, which is refused for arrays with
    several labels because swapped labels would go unnoticed. Raises GeometryError for unequal
    shapes, LabelError for anything but whole numbers.
    """
    first, second = np.asarray(a), np.asarray(b)
    if first.shape != second.shape:
        raise GeometryError(f"arrays of shapes {first.shape} and {second.shape} differ")
    masks = [_mask(labels, value) for labels in (first, second)]
    if value is None:
        present = _values(first, masks[0]) | _values(second, masks[1])
        if len(present) > 1:
            raise LabelError(f"the arrays hold labels {sorted(present)}; name one with value=")
    counted = joint_counts(masks)
    volumes, common = _counted(counted, np.array([[0, 1], [0, 1]]), 1)
    return _dice(int(volumes[0, 1]), int(volumes[1, 1]), int(common[0, 1][1]))


def judge(agreement: Agreement, settings: Agree, item: str) -> tuple[Finding, ...]:
    """LOW_AGREEMENT for every label whose value is below the threshold, with its cause if simple.

    The value is that of the rule (worst pair or mean of the pairs), compared unrounded: exactly
    the threshold passes. Labels without a defined value are not judged. Under the rule
    "consensus" nothing is judged here (versus.judge_against does).
    """
    if settings.rule == "consensus":
        return ()
    rows = {(p.label, p.rater_a, p.rater_b): p for p in agreement.pairs}
    found = []
    for label in agreement.labels:
        value = label.worst_dice if settings.rule == "worst_pair" else label.mean_dice
        if value is None or label.worst_pair is None or value >= settings.threshold:
            continue
        worst = rows[(label.label, *label.worst_pair)]
        found.append(LOW_AGREEMENT.at(item, _sentence(label, worst, settings)))
    return tuple(found)


def person(rater: str) -> str:
    """Who a rater is: the name without REPEAT_MARK and the number of a repeated reading."""
    name, mark, number = rater.rpartition(REPEAT_MARK)
    return name if mark and name and number.isdecimal() else rater


def first_raters(raters: Iterable[str]) -> tuple[str, ...]:
    """One reading per person, in order of name: of "ana" and "ana@2" the one without a number.

    Where all of a person's readings have numbers it is the one with the lowest.
    """
    chosen: dict[str, str] = {}
    for rater in sorted(raters, key=lambda r: (r != person(r), len(r), r)):
        chosen.setdefault(person(rater), rater)
    return tuple(sorted(chosen.values()))


def pairs_kind(rater_a: str, rater_b: str, counting: Collection[str] | None = None) -> PairKind:
    """How two readings stand to each other: "intra" if one person made both.

    "inter": the first readings of two persons. "repeat": two persons, and not of each the first
    reading; such pairs enter no mean, or who reads twice would count twice. ``counting``: the
    :func:`first_raters` of the case; without it there is no "repeat".
    """
    if person(rater_a) == person(rater_b):
        return "intra"
    return "inter" if counting is None or {rater_a, rater_b} <= set(counting) else "repeat"


def pair_kinds(raters: Collection[str]) -> dict[tuple[str, str], PairKind]:
    """The kind of every pair of the raters of a case, in both orders."""
    counting = frozenset(first_raters(raters))
    return {(a, b): pairs_kind(a, b, counting) for a, b in itertools.permutations(raters, 2)}


def require_one_grid(readings: Mapping[str, Segmentation]) -> None:
    """Raise GeometryError unless all readings have one size and lie within ONE_GRID_MM."""
    first: tuple[str, Segmentation] | None = None
    for rater, reading in sorted(readings.items()):
        if first is None:
            first = (rater, reading)
            continue
        ours, theirs = first[1].geometry, reading.geometry
        if ours.size != theirs.size or ours.displacement_mm(theirs) > ONE_GRID_MM:
            raise GeometryError(
                f"the readings of {first[0]} and {rater} lie on different grids "
                f"(sizes {ours.size} and {theirs.size}, {ours.displacement_mm(theirs):.4g} mm "
                "apart); bring them to the image grid first"
            )


def layer_groups(
    readings: Mapping[str, Segmentation], labels: Sequence[str]
) -> dict[tuple[tuple[str, int], ...], list[str]]:
    """Labels that can be counted together: (rater, layer) pairs to the labels found there.

    Readings without overlaps put all labels into one group; each further layer adds groups.
    """
    groups: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for label in labels:
        places = []
        for rater in sorted(readings):
            segment = readings[rater].find(label)
            if segment is not None:
                places.append((rater, segment.layer))
            elif len(readings[rater].layers) == 1:
                places.append((rater, 0))
        groups.setdefault(tuple(places), []).append(label)
    return groups


def _overlaps(
    readings: Mapping[str, Segmentation], raters: Sequence[str], labels: Sequence[str]
) -> dict[str, _Overlap]:
    found: dict[str, _Overlap] = {}
    for places, names in layer_groups(readings, labels).items():
        if not places:
            found |= {name: _Overlap({}, {}) for name in names}
            continue
        counted = joint_counts([readings[rater].layers[layer] for rater, layer in places])
        size = int(counted.tuples.max(initial=0)) + 1
        tables = np.array(
            [_numbering(readings[rater], names, layer, size) for rater, layer in places]
        )
        volumes, common = _counted(counted, tables, len(names))
        columns = {rater: column for column, (rater, _) in enumerate(places)}
        for number, name in enumerate(names, start=1):
            annotated = [r for r in raters if readings[r].find(name) is not None]
            found[name] = _Overlap(
                {r: int(volumes[columns[r], number]) for r in annotated},
                {
                    (a, b): int(common[columns[a], columns[b]][number])
                    for a, b in itertools.combinations(annotated, 2)
                },
            )
    return found


def _numbering(
    reading: Segmentation, names: Sequence[str], layer: int, size: int
) -> npt.NDArray[np.int64]:
    """The table from a layer's values to 1, 2, 3... in the order of ``names``; 0 for others.

    ``size`` is one more than the largest value that occurs: labels above it have no voxel.
    """
    table = np.zeros(size, dtype=np.int64)
    for number, name in enumerate(names, start=1):
        segment = reading.find(name)
        if segment is not None and segment.layer == layer and segment.value < size:
            table[segment.value] = number
    return table


def _counted(
    counted: JointCounts, tables: npt.NDArray[np.int64], labels: int
) -> tuple[npt.NDArray[np.int64], dict[tuple[int, int], npt.NDArray[np.int64]]]:
    """Voxels per (column, number), and per pair of columns the voxels that both give a number.

    Numbers run from 0 (no label) to ``labels``.
    """
    columns = [table[counted.tuples[:, c]] for c, table in enumerate(tables)]
    size = labels + 1
    volumes = np.array([_weighed(column, counted.counts, size) for column in columns])
    common = {}
    for a, b in itertools.combinations(range(len(columns)), 2):
        same = columns[a] == columns[b]
        common[a, b] = _weighed(columns[a][same], counted.counts[same], size)
    return volumes, common


def _weighed(
    numbers: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], size: int
) -> npt.NDArray[np.int64]:
    # Sums of whole numbers below 2**53 are exact in float64.
    return np.bincount(numbers, weights=counts, minlength=size).astype(np.int64)


def _pair(label: str, a: str, b: str, overlap: _Overlap) -> PairAgreement:
    if a not in overlap.voxels or b not in overlap.voxels:
        voxels = (overlap.voxels.get(a, 0), overlap.voxels.get(b, 0))
        return PairAgreement(label, a, b, "not annotated", None, *voxels)
    ours, theirs, common = overlap.voxels[a], overlap.voxels[b], overlap.common[a, b]
    if not ours and not theirs:
        return PairAgreement(label, a, b, "both empty", None)
    value = _dice(ours, theirs, common)
    outcome: Outcome = "measured" if ours and theirs else "one empty"
    return PairAgreement(label, a, b, outcome, value, ours, theirs, common)


def _dice(ours: int, theirs: int, common: int) -> float | None:
    return 2 * common / (ours + theirs) if ours + theirs else None


def _summary(
    label: str, every: Sequence[PairAgreement], kinds: Mapping[tuple[str, str], PairKind]
) -> LabelAgreement:
    rows = [row for row in every if kinds[row.rater_a, row.rater_b] == "inter"]
    again = [row for row in every if kinds[row.rater_a, row.rater_b] == "intra"]
    defined = [row for row in rows if row.dice is not None]
    repeated = [row for row in again if row.dice is not None]
    worst = min(defined, key=lambda row: row.dice or 0.0, default=None)
    return LabelAgreement(
        label=label,
        mean_dice=_mean(defined),
        worst_dice=worst.dice if worst else None,
        worst_pair=(worst.rater_a, worst.rater_b) if worst else None,
        pairs_defined=len(defined),
        pairs_both_empty=sum(row.outcome == "both empty" for row in rows),
        pairs_not_annotated=sum(row.outcome == "not annotated" for row in rows),
        intra_mean_dice=_mean(repeated),
        intra_worst_dice=min((row.dice or 0.0 for row in repeated), default=None),
        intra_pairs_defined=len(repeated),
    )


def _mean(rows: Sequence[PairAgreement]) -> float | None:
    """The mean Dice, rounded once at the end, so that a mean of exactly 0.7 is 0.7."""
    if not rows:
        return None
    values = (Fraction(2 * row.intersection, row.voxels_a + row.voxels_b) for row in rows)
    return float(sum(values, Fraction(0)) / len(rows))


def _sentence(label: LabelAgreement, worst: PairAgreement, settings: Agree) -> str:
    limit = settings.threshold
    a, b = worst.rater_a, worst.rater_b
    worst_text = f"worst pair {a} and {b} {shown_beside(label.worst_dice, limit)}"
    mean_text = f"mean of {label.pairs_defined} pair(s) {shown_beside(label.mean_dice, limit)}"
    by_worst = settings.rule == "worst_pair"
    first, second = (worst_text, mean_text) if by_worst else (mean_text, worst_text)
    return (
        f"label {label.label!r}: Dice of the {first} is below {limit:g} "
        f"(rule {settings.rule}); {second}{_cause(worst)}."
    )


def shown_beside(value: float | None, limit: float) -> str:
    """At least three decimals, and as many as it takes to tell the value from the limit.

    A value just below a threshold must not be written as the threshold.
    """
    if value is None:
        return "undefined"
    for decimals in range(3, 17):
        text = f"{value:.{decimals}f}"
        if value == limit or float(text) != limit:
            return text
    return repr(value)


def _cause(pair: PairAgreement) -> str:
    """Why the worst pair is low, where volumes and overlap alone tell."""
    if pair.outcome == "one empty":
        drew, empty = (
            (pair.rater_a, pair.rater_b) if pair.voxels_a else (pair.rater_b, pair.rater_a)
        )
        drawn = max(pair.voxels_a, pair.voxels_b)
        return f"; {empty} annotated it as empty where {drew} drew {drawn} voxels"
    small, large = sorted((pair.voxels_a, pair.voxels_b))
    if pair.intersection == 0:
        alike = large <= SIMILAR_VOLUME * small
        text = "; they share no voxel"
        return text + (" though they drew a similar volume" if alike else "")
    if large >= 2 * small:
        larger = pair.rater_a if pair.voxels_a == large else pair.rater_b
        return f"; {larger} drew {large / small:.1f} times the volume of the other"
    return ""


def _mask(labels: npt.NDArray[Any], value: int | None) -> npt.NDArray[np.bool_]:
    if labels.dtype.kind not in "bui":
        raise LabelError(f"an array of {labels.dtype} holds no labels; compare whole numbers")
    found: npt.NDArray[np.bool_] = np.not_equal(labels, 0 if value is None else value)
    return found if value is None else ~found


def _values(labels: npt.NDArray[Any], mask: npt.NDArray[np.bool_]) -> set[int]:
    """The lowest and highest value under the mask: one value exactly if there is one label."""
    if labels.dtype.kind == "b" or not mask.any():
        return set()
    inside = labels[mask].astype(np.int64)
    return {int(inside.min()), int(inside.max())}
