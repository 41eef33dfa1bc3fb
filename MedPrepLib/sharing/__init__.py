"""What to know before a cohort is given away: small groups, faces, text that may be in pixels."""

from MedPrepLib.sharing.check import ShareCheck, require_clean, share_check, uncleaned
from MedPrepLib.sharing.faces import Faces, faces_in, require_no_face
from MedPrepLib.sharing.groups import Groups, QuasiIdentifiers

__all__ = [
    "Faces",
    "Groups",
    "QuasiIdentifiers",
    "ShareCheck",
    "faces_in",
    "require_clean",
    "require_no_face",
    "share_check",
    "uncleaned",
]
