"""Who trains and who tests: whole patients, whole centers, nobody on both sides.

Whole centers are held out as an independent test set until they make up the wanted part of the
*patients*; with a single center, or where no whole center fits, patients are drawn instead,
stratified by what they show (or by a disease column). The rest is dealt into stratified folds;
each fold is the validation set of one round. Everybody tied by evidence (leakage.evidence) counts
as one. What was placed once stays: a cohort that grows moves nobody.

A patient's classes are those of all their cases together. A patient with several is dealt with
the rarest of them, and counts for all of them where proportions are checked.
"""

from MedPrepLib.split.export import splits_final
from MedPrepLib.split.frozen import Fixed, Record, read_fixed, settings_digest
from MedPrepLib.split.members import Member, Part, Place, SplitPlan
from MedPrepLib.split.plan import split
from MedPrepLib.split.proof import audit, leaks, near_copies

__all__ = [
    "Fixed",
    "Member",
    "Part",
    "Place",
    "Record",
    "SplitPlan",
    "audit",
    "leaks",
    "near_copies",
    "read_fixed",
    "settings_digest",
    "split",
    "splits_final",
]
