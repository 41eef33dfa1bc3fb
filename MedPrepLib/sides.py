"""Left and right: what a name or a code says of the side of the body.

Paired organs often share one code (kidney); the side stands in a modifier or in the name.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Literal

Side = Literal["", "left", "right", "both"]
"""Empty when nothing is said."""

_CODES: MappingProxyType[tuple[str, str], Side] = MappingProxyType(
    {
        ("SCT", "7771000"): "left",
        ("SCT", "24028007"): "right",
        ("SCT", "51440002"): "both",
        ("SRT", "G-A101"): "left",
        ("SRT", "G-A100"): "right",
        ("SRT", "G-A102"): "both",
    }
)
"""Laterality in SNOMED CT, and in the retired codes of older files (DICOM PS3.16 CID 244)."""

_WORDS: MappingProxyType[str, Side] = MappingProxyType(
    dict.fromkeys(("left", "lt", "l", "links", "linke", "linker", "linkes", "gauche"), "left")
    | dict.fromkeys(
        ("right", "rt", "r", "rechts", "rechte", "rechter", "rechtes", "droit", "droite"), "right"
    )
    | dict.fromkeys(("both", "bilateral", "beide", "beidseits"), "both")
)


def side_of_code(scheme: str, value: str) -> Side:
    """The side that a laterality code names."""
    return _CODES.get((scheme, value), "")


def side_in(text: str) -> Side:
    """The side that a name states in a word of its own: "Kidney_L", "leftKidney", "rechte Niere".

    A single letter before a number ("vertebra L 5") is no side. Empty when both are named.
    """
    words = re.split(r"[\s_.,;:()/-]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))
    said: set[Side] = set()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        side = _WORDS.get(word.casefold(), "")
        if side and not (len(word) == 1 and following.isdigit()):
            said.add(side)
    return said.pop() if len(said) == 1 else ""
