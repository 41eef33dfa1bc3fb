"""Terminology entries as 3D Slicer writes them into segments: one line with "~" and "^".

An entry has a context, a category, a type with its modifier, and an anatomic region with its own;
the type's code is read, and the side from the modifiers. The others are those of a general
anatomical structure when one is written.
"""

from __future__ import annotations

import re

from MedPrepLib.labels import Terminology
from MedPrepLib.sides import Side, side_of_code

_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
_ANATOMY = "Anatomic codes - DICOM master list"
_STRUCTURE = "SCT^123037004^Anatomical Structure"
_UNSPECIFIC = ("SCT", "85756007")
"""Tissue: what 3D Slicer gives to every segment that has no code. It says nothing."""


def entry_text(code: Terminology) -> str:
    """The entry of a type code."""
    entry = "^".join(_plain(x) for x in (code.scheme, code.value, code.meaning))
    return f"{_CONTEXT}~{_STRUCTURE}~{entry}~^^~{_ANATOMY}~^^~^^"


def entry_of(text: str) -> Terminology | None:
    """The type code of an entry: its third field; None when it has none, or just "tissue"."""
    parts = text.split("~")
    code = parts[2].split("^") if len(parts) > 2 else []
    if len(code) < 3 or not code[0] or not code[1] or (code[0], code[1]) == _UNSPECIFIC:
        return None
    return Terminology(code[0], code[1], code[2])


def side_of(text: str) -> Side:
    """The side that the modifier of an entry's type says, else that of its region."""
    parts = text.split("~")
    for field in (parts[3:4], parts[6:7]):
        code = field[0].split("^") if field else []
        if len(code) > 1 and (side := side_of_code(code[0], code[1])):
            return side
    return ""


def _plain(text: str) -> str:
    """Text without the characters that separate fields."""
    return re.sub(r"[~^|\s]+", " ", text).strip()
