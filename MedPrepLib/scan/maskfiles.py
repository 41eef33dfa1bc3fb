"""What a file in a folder of masks is: a mask, boxes, labels of slices, or nothing that is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, NamedTuple

from MedPrepLib import markups, slicelabels
from MedPrepLib.formats.faults import FileFaultError, read_head
from MedPrepLib.hiccups import is_hiccup, patiently
from MedPrepLib.scan.walk import image_suffix, stem

Kind = Literal["mask", "boxes", "slices"]

OF_A_MACHINE = "dicom"
"""The rater of DICOM objects that are called by a UID, which is no rater's name."""

DICOM_ENDINGS = (".dcm", ".dic", ".dicom", ".ima")
"""What DICOM files are called, if not by a number or a UID."""

_UID = re.compile(r"\d+(\.\d+){3,}")


class Meaning(NamedTuple):
    """What a file holds, and what it is called: a rater, or a label in a rater's folder.

    ``nameless``: the name tells neither, as that of an RTSTRUCT without an ending.
    """

    kind: Kind
    name: str
    nameless: bool = False

    @property
    def rater(self) -> str:
        """Whose it is by its name."""
        return OF_A_MACHINE if self.nameless and _UID.search(self.name) else self.name


def meaning_of(path: str) -> Meaning | None:
    """By the file's ending; DICOM files may have none, or the last number of a UID."""
    name, lower = Path(path).name, path.lower()
    if lower.endswith(markups.SUFFIX):
        return Meaning("boxes", name[: -len(markups.SUFFIX)])
    if lower.endswith(slicelabels.SUFFIX):
        return Meaning("slices", name[: -len(slicelabels.SUFFIX)])
    if image_suffix(path):
        return Meaning("mask", stem(path))
    return _dicom_meaning(path)


def _dicom_meaning(path: str) -> Meaning | None:
    file = Path(path)
    ending = file.suffix.lower()
    if ending == ".dcm":
        return Meaning("mask", stem(path), nameless=_UID.search(stem(path)) is not None)
    bare = not ending or ending[1:].isdigit()
    if (bare or ending in DICOM_ENDINGS) and _is_dicom(file):
        return Meaning("mask", file.name if bare else file.stem, nameless=bare)
    return None


def _is_dicom(path: Path) -> bool:
    """True when "DICM" stands at byte 128 (PS3.10); False when that cannot be found out."""
    try:
        return patiently(lambda: read_head(path, 132))[128:] == b"DICM"
    except FileFaultError:
        return False
    except OSError as error:
        if not is_hiccup(error):
            raise
        return False
