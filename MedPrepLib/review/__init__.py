"""Reviews: what a person decided about a case, kept so that nothing is ever overwritten.

``record`` says what a review is, ``store`` keeps one file per reviewer and case with every version
in it, ``verdicts`` says what several reviewers' reviews come to.
"""

from MedPrepLib.review.record import Accepted, Difficulty, DrawnFile, DrawnKind, Review, Verdict
from MedPrepLib.review.store import ReviewStore
from MedPrepLib.review.verdicts import (
    CaseState,
    case_state,
    contradictions,
    drawn_of,
    fixed_readings,
    nothing_found,
)

__all__ = [
    "Accepted",
    "CaseState",
    "Difficulty",
    "DrawnFile",
    "DrawnKind",
    "Review",
    "ReviewStore",
    "Verdict",
    "case_state",
    "contradictions",
    "drawn_of",
    "fixed_readings",
    "nothing_found",
]
