"""What is found where raters are compared and joined."""

from __future__ import annotations

from MedPrepLib.catalog.kinds import declare

_note, _review, _reject, _final = declare("agree")

LOW_AGREEMENT = _review(
    "LOW_AGREEMENT",
    "Raters agree less than the threshold on at least one label.",
    "Review the case together; the report shows where they differ.",
)
READINGS_EQUAL = _review(
    "READINGS_EQUAL",
    "Masks of two people are the same to the voxel: a copy, or what a program drew.",
    "Ask where both came from; leave a copy out by a rule (ignore). Where both people began with "
    "what a program drew, agreement says less than it seems; lower the severity if that is known.",
)
CONSENSUS_TIES = _note(
    "CONSENSUS_TIES",
    "Voxels or slices without a majority were decided by the tie rule, boxes without one left out.",
    "Nothing to do; ask another rater to break the ties.",
)
QUORUM_LOWERED = _note(
    "QUORUM_LOWERED",
    "Fewer raters looked for boxes than must draw one; a box of all of them was taken.",
    "Nothing to do; ask another rater, or lower consensus.box_quorum.",
)
TIES_NOT_UNDECIDED = _review(
    "TIES_NOT_UNDECIDED",
    "Ties are to stay undecided, but for boxes there is no mark that training could ignore.",
    "Decide them in a review, ask another rater to break the ties, or choose another tie rule.",
)
