"""The casebook: the cases of a study or a cohort, opened one at a time to be judged by a person.

``entries`` is what a list of cases shows, ``books`` opens studies and cohorts, ``opened`` is a
case with everything in memory, ``analysis`` answers questions about it, ``places`` is where raters
differ, and ``metrics`` names what can stand in a matrix of raters. No Slicer and no Qt in here: the
panel, batch scripts and notebooks use the same.
"""

from MedPrepLib.casebook.analysis import CaseAnalysis
from MedPrepLib.casebook.books import Casebook, open_book
from MedPrepLib.casebook.entries import CaseEntry, matching, with_low, with_reviews
from MedPrepLib.casebook.metrics import METRICS, Metric, cell_text, matrix, metrics_of, raters_of
from MedPrepLib.casebook.opened import NotShownError, OpenCase
from MedPrepLib.casebook.places import Place

__all__ = [
    "METRICS",
    "CaseAnalysis",
    "CaseEntry",
    "Casebook",
    "Metric",
    "NotShownError",
    "OpenCase",
    "Place",
    "cell_text",
    "matching",
    "matrix",
    "metrics_of",
    "open_book",
    "raters_of",
    "with_low",
    "with_reviews",
]
