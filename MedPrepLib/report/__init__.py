"""The report of a cohort: a folder with an overview, a page per case and contact sheets."""

from MedPrepLib.report.model import ReportInput
from MedPrepLib.report.page import documents, write_report

__all__ = ["ReportInput", "documents", "write_report"]
