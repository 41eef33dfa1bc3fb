"""How well raters agree on boxes: who drew the same thing, and how alike.

Boxes of one label are matched one to one so that as many pairs as possible reach the IoU limit
and, among such matchings, the sum of their IoU is largest (Kuhn, Naval Res. Logist. 2:83, 1955).
F1 of the matches is symmetric in the raters: neither of them is the truth.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from MedPrepLib.boxes import AnyBox, iou_matrix
from MedPrepLib.geometry import FloatArray
from MedPrepLib.results import BoxAgreement, Outcome

MATCH_IOU = 0.5
"""Default IoU from which two boxes count as one thing: the usual limit of PASCAL VOC
(Everingham et al., IJCV 88:303, 2010). Above it a box can match at most one of several disjoint
ones."""

ROUNDING = 1e-9
"""IoU that is missing to a limit by rounding alone: exactly the limit passes."""


@dataclass(frozen=True)
class BoxMatch:
    """Boxes ``first`` of one list and ``second`` of the other are taken for the same thing."""

    first: int
    second: int
    iou: float


@dataclass(frozen=True)
class BoxMatching:
    """The matches, and the positions of the boxes that found none, in ascending order."""

    matches: tuple[BoxMatch, ...]
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]


def match_boxes(
    first: Sequence[AnyBox], second: Sequence[AnyBox], limit: float = MATCH_IOU
) -> BoxMatching:
    """The best one-to-one matching of two raters' boxes; only boxes of one label can match.

    ``limit``: IoU from which (inclusive) a pair may match; boxes that share nothing never do.
    Raises GeometryError for boxes of two kinds (voxels and world).
    """
    from scipy.optimize import linear_sum_assignment

    value = allowed_iou(first, second, limit)
    # One more match outweighs any sum of IoU.
    weight = np.where(value > 0, value + min(value.shape, default=0) + 1, 0)
    rows, columns = linear_sum_assignment(weight, maximize=True)
    matches = tuple(
        BoxMatch(int(r), int(c), float(value[r, c]))
        for r, c in zip(rows, columns, strict=True)
        if value[r, c] > 0
    )
    found = {m.first for m in matches}, {m.second for m in matches}
    return BoxMatching(
        matches,
        tuple(n for n in range(len(first)) if n not in found[0]),
        tuple(n for n in range(len(second)) if n not in found[1]),
    )


def agree_boxes(
    readings: Mapping[str, Sequence[AnyBox]], labels: Sequence[str], limit: float = MATCH_IOU
) -> tuple[BoxAgreement, ...]:
    """Every pair of raters on every label, in order of label, then of rater.

    A rater who is listed has looked for every label; no box means that none was found. Boxes of
    other labels are left aside. The result does not depend on the order of raters or boxes.
    """
    rows = []
    for label in labels:
        own = {
            rater: sorted((b for b in readings[rater] if b.label == label), key=box_order)
            for rater in sorted(readings)
        }
        for a, b in itertools.combinations(own, 2):
            rows.append(_pair(label, a, b, match_boxes(own[a], own[b], limit)))
    return tuple(rows)


def allowed_iou(first: Sequence[AnyBox], second: Sequence[AnyBox], limit: float) -> FloatArray:
    """IoU of every pair; 0 below the limit and for boxes of different labels."""
    value = iou_matrix(first, second)
    same = np.array([[a.label == b.label for b in second] for a in first], dtype=np.bool_)
    return np.where(same.reshape(value.shape) & (value >= limit - ROUNDING), value, 0)


def box_order(box: AnyBox) -> tuple[object, ...]:
    """A sorting key that does not depend on where a box was listed: label, then numbers."""
    return tuple(getattr(box, name) for name in box.__struct_fields__)


def _pair(label: str, a: str, b: str, matching: BoxMatching) -> BoxAgreement:
    matched = len(matching.matches)
    ours, theirs = matched + len(matching.only_first), matched + len(matching.only_second)
    if not ours and not theirs:
        return BoxAgreement(label, a, b, "both empty", None, None)
    outcome: Outcome = "measured" if ours and theirs else "one empty"
    f1 = 2 * matched / (ours + theirs)
    mean = sum(m.iou for m in matching.matches) / matched if matched else None
    return BoxAgreement(label, a, b, outcome, f1, mean, ours, theirs, matched)
