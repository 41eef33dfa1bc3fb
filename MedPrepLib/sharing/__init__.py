"""What to know before a cohort is given away: small groups, faces, text that may be in pixels."""

from MedPrepLib.sharing.check import ShareCheck, require_clean, share_check, uncleaned
from MedPrepLib.sharing.groups import Groups, QuasiIdentifiers

__all__ = ["Groups", "QuasiIdentifiers", "ShareCheck", "require_clean", "share_check", "uncleaned"]
