"""The report of a cohort: one HTML file that can be read, printed and forwarded."""

from MedPrepLib.report.model import ReportInput
from MedPrepLib.report.page import render, write_report

__all__ = ["ReportInput", "render", "write_report"]
