"""What the reviews of several people come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from MedPrepLib.review.record import DrawnFile, DrawnKind, Review

CaseState = Literal["to do", "begun", "approved", "flagged"]


def case_state(reviews: Iterable[Review]) -> CaseState:
    """Flagged by anybody beats approved by anybody beats begun."""
    verdicts = {review.verdict for review in reviews}
    if "flagged" in verdicts:
        return "flagged"
    if "approved" in verdicts:
        return "approved"
    return "begun" if verdicts else "to do"


def drawn_of(reviews: Mapping[str, Review], kind: DrawnKind) -> tuple[Review, DrawnFile] | None:
    """What the last reviewer to approve drew of this kind; None when nobody did."""
    found = [
        (review, drawn)
        for review in reviews.values()
        if review.verdict == "approved"
        for drawn in review.drawn
        if drawn.kind == kind
    ]
    return max(found, key=lambda pair: (pair[0].at, pair[0].reviewer), default=None)


def fixed_readings(reviews: Mapping[str, Review]) -> frozenset[str]:
    """The raters whose masks somebody says lie on the image's grid."""
    return frozenset(rater for review in reviews.values() for rater in review.fixes)
