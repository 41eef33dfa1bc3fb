"""Traces that an image leaves under another name: hashes, fingerprints, and what they prove."""

from MedPrepLib.leakage.compared import RULES, Compared, near_duplicates
from MedPrepLib.leakage.evidence import (
    KINDS,
    Evidence,
    Subject,
    copies,
    shared_between,
    tied,
)
from MedPrepLib.leakage.fingerprint import Fingerprint, fingerprint
from MedPrepLib.leakage.hashes import ImageHashes, image_hashes
from MedPrepLib.leakage.nearness import agreement

__all__ = [
    "KINDS",
    "RULES",
    "Compared",
    "Evidence",
    "Fingerprint",
    "ImageHashes",
    "Subject",
    "agreement",
    "copies",
    "fingerprint",
    "image_hashes",
    "near_duplicates",
    "shared_between",
    "tied",
]
