"""Tables for people: agreement per case, label and pair of raters, and per rater, as CSV or JSON.

A row is a frozen struct of numbers and texts; its fields are the columns. Undefined values are
None: an empty cell in CSV, null in JSON, never 0 and never NaN.
"""

from MedPrepLib.tables.agreement import AgreementRow, agreement_rows, likely_cause
from MedPrepLib.tables.files import no_formula, write_csv, write_json
from MedPrepLib.tables.learning import LearningRow, ReadingOrder, learning_rows
from MedPrepLib.tables.raters import RaterRow, rater_summary

__all__ = [
    "AgreementRow",
    "LearningRow",
    "RaterRow",
    "ReadingOrder",
    "agreement_rows",
    "learning_rows",
    "likely_cause",
    "no_formula",
    "rater_summary",
    "write_csv",
    "write_json",
]
