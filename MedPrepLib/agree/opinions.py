"""Differences of opinion: two raters who meant the same image and label, and drew otherwise."""

from __future__ import annotations

import numpy as np

from MedPrepLib.agree.crops import common_box, placed
from MedPrepLib.agree.morphology import widened
from MedPrepLib.agree.question import Question
from MedPrepLib.results import Cause

CONTAINED = 0.8
"""Part of the smaller mask that lies in the larger one, if one contains the other."""
LARGER = 1.5
"""Volume ratio from which one is said to have drawn more."""


def lesions_of_one(q: Question) -> list[Cause]:
    """Lesions that only one of them drew, where the common ones agree well."""
    match = q.match
    if not match.matched or not (match.missed or match.extra):
        return []
    overlap = sum(pair.overlap for pair in match.matched)
    dice = 2 * overlap / sum(pair.a.voxels + pair.b.voxels for pair in match.matched)
    if dice < q.settings.threshold:
        return []
    text = f"{_lesion_words(q)}; the Dice of these alone is {dice:.3f}."
    return [q.cause("different lesions", text, dice)]


def _lesion_words(q: Question) -> str:
    match = q.match
    count = len(match.matched)
    text = (
        f"{count} of {count + len(match.missed)} lesions of {q.pair.rater_a} and of "
        f"{count + len(match.extra)} of {q.pair.rater_b} correspond"
    )
    for rater, alone in ((q.pair.rater_a, match.missed), (q.pair.rater_b, match.extra)):
        if alone:
            text += f"; only {rater} drew {q.ml(sum(x.voxels for x in alone))} in {len(alone)}"
    return text


def more_or_less(q: Question) -> list[Cause]:
    """One mask mostly holds the other and is clearly larger."""
    inside = q.pair.intersection / min(q.a.count, q.b.count)
    if inside < CONTAINED or q.ratio < LARGER:
        return []
    larger, smaller = q.pair.rater_a, q.pair.rater_b
    if q.b.count > q.a.count:
        larger, smaller = smaller, larger
    text = (
        f"{larger} drew {q.ratio:.2g} times the volume of {smaller} and holds {inside:.0%} of it: "
        f"{q.volumes}."
    )
    return [q.cause("over/under-segmentation", text)]


def apart(q: Question) -> list[Cause]:
    """No voxel in common."""
    if q.pair.intersection:
        return []
    away = np.subtract(q.a.centroid, q.b.centroid)[[2, 1, 0]]
    distance = float(np.linalg.norm(q.geometry.affine[:3, :3] @ away))
    text = f"the masks share no voxel, their centers are {distance:.3g} mm apart: {q.volumes}."
    return [q.cause("no overlap", text)]


def lesions_differ(q: Question) -> list[Cause]:
    """Lesions without a partner, where that is not the whole story (see lesions_of_one)."""
    if not (q.match.missed or q.match.extra) or not q.pair.intersection or lesions_of_one(q):
        return []
    return [q.cause("different lesions", f"{_lesion_words(q)}.")]


def border(q: Question) -> Cause:
    """What remains to be said when nothing else explains the Dice; both masks hold voxels."""
    where = common_box([q.a.where, q.b.where])
    a, b = placed(q.a, where), placed(q.b, where)
    differs = a ^ b
    near = int(np.count_nonzero(differs & widened(a & b)))
    total = int(np.count_nonzero(differs))
    text = (
        f"the same structure with another border: {q.volumes}; of the {q.ml(total)} that only one "
        f"of them drew {near / total:.0%} touch the common part."
    )
    return q.cause("border", text)
