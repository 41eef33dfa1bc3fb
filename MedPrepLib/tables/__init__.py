"""Tables for people, as CSV or JSON: alignment per mask, agreement per pair, and per rater.

A row is a frozen struct of numbers and texts; its fields are the columns. Undefined values are
None: an empty cell in CSV, null in JSON, never 0 and never NaN.
"""

from MedPrepLib.tables.agreement import AgreementRow, agreement_rows, likely_cause
from MedPrepLib.tables.alignment import AlignmentRow, alignment_rows
from MedPrepLib.tables.files import csv_bytes, no_formula, write_csv, write_json
from MedPrepLib.tables.learning import LearningRow, ReadingOrder, learning_rows
from MedPrepLib.tables.raters import RaterRow, rater_summary

__all__ = [
    "AgreementRow",
    "AlignmentRow",
    "LearningRow",
    "RaterRow",
    "ReadingOrder",
    "agreement_rows",
    "alignment_rows",
    "csv_bytes",
    "learning_rows",
    "likely_cause",
    "no_formula",
    "rater_summary",
    "write_csv",
    "write_json",
]
