"""Looking for leaks in a cohort that exists already, whoever made it."""

from MedPrepLib.leakaudit.entry import Entry
from MedPrepLib.leakaudit.examine import AuditResult, Leak, audit_cohort
from MedPrepLib.leakaudit.listed import listed

__all__ = ["AuditResult", "Entry", "Leak", "audit_cohort", "listed"]
