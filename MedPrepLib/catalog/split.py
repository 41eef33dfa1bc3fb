"""What is found where train and test sets are made."""

from __future__ import annotations

from MedPrepLib.catalog.kinds import declare

_note, _review, _reject, _final = declare("split")

LEAK_SUSPECT = _review(
    "LEAK_SUSPECT",
    "The same image, or a copy of it, occurs under two patient ids; both are kept in one set.",
    "Find out which id is right and remove the copy.",
)
RARE_CLASS = _review(
    "RARE_CLASS",
    "A class has fewer patients than there are folds.",
    "Use fewer folds or collect more cases of this class.",
)
FEW_FOLDS = _review(
    "FEW_FOLDS",
    "There are fewer training patients than folds, so some folds were not made.",
    "Use fewer folds (split.folds) or collect more cases.",
)
PREVALENCE_UNMET = _review(
    "PREVALENCE_UNMET",
    "The test set does not show a class as often as split.prevalence wants.",
    "Report the achieved proportion, or change split.prevalence or split.test_fraction.",
)
SPLIT_MOVED = _review(
    "SPLIT_MOVED",
    "Patients who were placed apart turned out to belong together and were joined.",
    "Train again if the model has seen them, or remove the copy.",
)
SPLIT_REDRAWN = _review(
    "SPLIT_REDRAWN",
    "Changed settings of the split moved patients between training and test.",
    "Do not test models on patients they were trained with; or restore the settings.",
)
SPLIT_CENTER_TRAINS = _review(
    "SPLIT_CENTER_TRAINS",
    "Patients of a center that is held out for the test are in training, so that it is no "
    "independent test.",
    "Fix these patients in the test set (split.fixed), or report the center as one of both sets.",
)
SPLIT_FIXED_UNKNOWN = _note(
    "SPLIT_FIXED_UNKNOWN",
    "The list of fixed places names cases or patients that are not in the cohort.",
    "Correct the list, or leave it: they are placed there when they come.",
)
SPLIT_UNEVEN = _note(
    "SPLIT_UNEVEN",
    "The split cannot meet the wanted proportions with whole patients and centers.",
    "Nothing to do, or change split.test_fraction.",
)
