"""Reviews: what a person decided about a case, kept so that nothing is ever overwritten.

``record`` says what a review is, ``store`` keeps one file per reviewer and case with every version
in it, ``inputs`` says which readings it speaks of, ``verdicts`` what the reviews of several
reviewers come to.
"""

from MedPrepLib.review.inputs import drawn_hashes, inputs_of, speaks_of, unbound
from MedPrepLib.review.record import Accepted, Difficulty, DrawnFile, DrawnKind, Review, Verdict
from MedPrepLib.review.store import ReviewStore
from MedPrepLib.review.verdicts import (
    CaseState,
    case_state,
    contradictions,
    drawings_of,
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
    "drawings_of",
    "drawn_hashes",
    "drawn_of",
    "fixed_readings",
    "inputs_of",
    "nothing_found",
    "speaks_of",
    "unbound",
]
