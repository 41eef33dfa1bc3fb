"""What is found where raters are compared and joined."""

from __future__ import annotations

from MedPrepLib.catalog.kinds import declare

_note, _review, _reject, _final = declare("agree")

LOW_AGREEMENT = _review(
    "LOW_AGREEMENT",
    "Raters agree less than the threshold on at least one label.",
    "Review the case together; the report shows where they differ.",
)
CONSENSUS_TIES = _note(
    "CONSENSUS_TIES",
    "Voxels without a majority were decided by the tie rule.",
    "Nothing to do; ask another rater to break the ties.",
)
