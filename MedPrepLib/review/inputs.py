"""Which readings a review speaks of, so that it is out of date when any of them changes.

``Review.inputs`` holds the hash of every rater's mask by rater, and under two names that no rater
can have (there is no such file) one hash of everybody's boxes and one of everybody's slice labels.
Reviews of older versions lack these two, and so do those of a packed cohort, which shows neither:
they are compared by what they speak of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from MedPrepLib.results import Box, SliceLabels
from MedPrepLib.review.record import Review

BOXES = "/boxes"
SLICES = "/slices"
_WORDS = {BOXES: "boxes", SLICES: "slice labels"}


def drawn_hashes(
    boxes: Mapping[str, Sequence[Box]], slices: Sequence[SliceLabels]
) -> dict[str, str]:
    """The hashes of all raters' boxes (voxels of the image) and slice labels; "" without any.

    The order of raters and boxes does not matter.
    """
    drawn = sorted(
        (rater, sorted((box.label, box.start, box.stop) for box in own))
        for rater, own in boxes.items()
    )
    noted = sorted(
        (own.rater, sorted(own.annotated), sorted((r.label, r.start, r.stop) for r in own.ranges))
        for own in slices
    )
    return {BOXES: _sum(drawn), SLICES: _sum(noted)}


def speaks_of(review: Review, hashes: Mapping[str, str]) -> bool:
    """False when a reading that the review speaks of is another one now, or is gone, or is new.

    ``hashes``: those of the readings as they are; kinds that are not in it cannot be compared.
    """
    if not review.inputs:
        return True
    both = [kind for kind in _WORDS if kind in review.inputs and kind in hashes]
    same = all(review.inputs[kind] == hashes[kind] for kind in both)
    return same and _masks(review.inputs) == _masks(hashes)


def unbound(review: Review, hashes: Mapping[str, str]) -> tuple[str, ...]:
    """In words, the kinds of readings there are of which the review does not say how they were."""
    kinds = [
        word for kind, word in _WORDS.items() if hashes.get(kind) and kind not in review.inputs
    ]
    if not review.inputs and _masks(hashes):
        kinds.insert(0, "masks")
    return tuple(kinds)


def inputs_of(hashes: Mapping[str, str], before: Review) -> dict[str, str]:
    """What a review is to hold that judged these readings.

    Kinds that were not shown this time stay as they were in the version ``before``.
    """
    kept = {kind: before.inputs[kind] for kind in _WORDS if kind in before.inputs}
    return {**kept, **hashes}


def _masks(hashes: Mapping[str, str]) -> dict[str, str]:
    return {rater: value for rater, value in hashes.items() if rater not in _WORDS}


def _sum(readings: Sequence[object]) -> str:
    return hashlib.sha256(msgspec.json.encode(readings)).hexdigest() if readings else ""
