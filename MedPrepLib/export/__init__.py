"""Exports: a finished cohort as one file, or in the form that another program expects."""

from MedPrepLib.export.cohort import KINDS, export_cohort

__all__ = ["KINDS", "export_cohort"]
