"""What is said of the decisions of people."""

from __future__ import annotations

from MedPrepLib.catalog.kinds import declare

_note, _review, _reject, _final = declare("review")

REVIEW_APPROVED = _note(
    "REVIEW_APPROVED",
    "Somebody looked at the case and approved it; what asked for a look is a note now.",
    "Nothing to do.",
)
REVIEW_FLAGGED = _review(
    "REVIEW_FLAGGED",
    "Somebody looked at the case and flagged it.",
    "Read the comment in the folder of reviews, settle it, and approve the case.",
)
REVIEW_STALE = _review(
    "REVIEW_STALE",
    "Readings changed since the case was reviewed; what was decided then is not used.",
    "Look at the case again and save the review.",
)
REVIEW_UNBOUND = _note(
    "REVIEW_UNBOUND",
    "A review does not say which readings it judged: it is used, but would be so if they changed.",
    "Open the case from its study, look at it, and save the review again.",
)
REVIEWS_CONTRADICT = _review(
    "REVIEWS_CONTRADICT",
    "One reviewer approved that nothing is found, another approved a drawing; the last one counts.",
    "Look at the case together; whoever was wrong withdraws the approval or saves another one.",
)
REVIEWS_DIFFER = _review(
    "REVIEWS_DIFFER",
    "Reviewers approved drawings that differ; the last one counts. A note where all labels agree.",
    "Look at the case together; whoever does not stand by a drawing withdraws the approval.",
)
REVIEW_UNREADABLE = _review(
    "REVIEW_UNREADABLE",
    "A file in the folder of reviews cannot be read, or was changed afterwards.",
    "Restore it from a backup, or move it away and review the case again.",
)
REVIEW_UNUSED = _note(
    "REVIEW_UNUSED",
    "Cases were reviewed that the sources do not have, or that have another name now.",
    "Nothing to do if they were taken out; a case of a DICOM tree is renamed when a second series "
    "comes into its folder: give each series a folder of its own.",
)

READMITTED = _note(
    "READMITTED",
    "A person accepted a finding that rejects the case; it counts as a note.",
    "Nothing to do; medprep readmit --withdraw takes it back.",
)
READMISSION_STALE = _review(
    "READMISSION_STALE",
    "A case was re-admitted, but its data changed since, or the entry is not bound to any data.",
    "Look at the case again and re-admit it with medprep readmit, or withdraw the entry.",
)
READMISSION_REFUSED = _review(
    "READMISSION_REFUSED",
    "A case was re-admitted in spite of a finding that nobody can accept for a single case.",
    "Follow the remedy of that finding and withdraw the re-admission.",
)
READMISSION_UNUSED = _note(
    "READMISSION_UNUSED",
    "A re-admission accepts a finding that does not occur, or a case that is not there.",
    "Nothing to do; medprep readmit --withdraw silences this note.",
)
