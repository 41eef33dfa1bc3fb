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
    return next(reversed(drawings_of(reviews, kind)), None)


def drawings_of(
    reviews: Mapping[str, Review], kind: DrawnKind
) -> tuple[tuple[Review, DrawnFile], ...]:
    """What reviewers who approve drew of this kind, the last one last.

    Nothing counts that was drawn before another reviewer approved "nothing found".
    """
    since = max(map(_order, _empty(reviews)), default=("", ""))
    found = [
        (review, drawn)
        for review in _with_drawings(reviews)
        if _order(review) > since
        for drawn in review.drawn
        if drawn.kind == kind
    ]
    return tuple(sorted(found, key=lambda pair: _order(pair[0])))


def nothing_found(reviews: Mapping[str, Review]) -> Review | None:
    """The approval of "nothing found", where nobody approved anything drawn after it."""
    decided = max((*_empty(reviews), *_with_drawings(reviews)), key=_order, default=None)
    return decided if decided is not None and decided.nothing_found else None


def contradictions(reviews: Mapping[str, Review]) -> tuple[Review, ...]:
    """All approvals that say what is there, oldest first, where only some say that nothing is."""
    empty, drawn = _empty(reviews), _with_drawings(reviews)
    return tuple(sorted((*empty, *drawn), key=_order)) if empty and drawn else ()


def fixed_readings(reviews: Mapping[str, Review]) -> frozenset[str]:
    """The raters whose masks somebody says lie on the image's grid."""
    return frozenset(rater for review in reviews.values() for rater in review.fixes)


def _empty(reviews: Mapping[str, Review]) -> list[Review]:
    return [r for r in reviews.values() if r.verdict == "approved" and r.nothing_found]


def _with_drawings(reviews: Mapping[str, Review]) -> list[Review]:
    """Approvals of something drawn; drawings left from before "nothing found" are none."""
    approved = (r for r in reviews.values() if r.verdict == "approved")
    return [r for r in approved if r.drawn and not r.nothing_found]


def _order(review: Review) -> tuple[str, str]:
    return review.at, review.reviewer
