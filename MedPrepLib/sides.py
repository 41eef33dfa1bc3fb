"""Left and right: what a name or a code says of the side of the body.

Paired organs often share one code (kidney); the side stands in a modifier or in the name.
"""

from __future__ import annotations

import re
from typing import Literal

Side = Literal["", "left", "right", "both"]
"""Empty when nothing is said."""

_CODES: dict[tuple[str, str], Side] = {
    ("SCT", "7771000"): "left",
    ("SCT", "24028007"): "right",
    ("SCT", "51440002"): "both",
    ("SRT", "G-A101"): "left",
    ("SRT", "G-A100"): "right",
    ("SRT", "G-A102"): "both",
}
"""Laterality in SNOMED CT, and in the retired codes of older files (DICOM PS3.16 CID 244)."""

_LEFT = (
    *("left", "l", "lt", "lh", "sinister", "sinistra", "sinistro", "sin", "sx"),
    *("links", "linke", "linker", "linkes", "linken", "gauche", "izquierdo", "izquierda"),
    *("lul", "lll"),
)
_RIGHT = (
    *("right", "r", "rt", "rh", "dexter", "dextra", "destra", "destro", "dex", "dx"),
    *("rechts", "rechte", "rechter", "rechtes", "rechten", "droit", "droite"),
    *("derecho", "derecha", "rul", "rml", "rll"),
)
_BOTH = ("both", "bilateral", "beide", "beidseits")
_WORDS: dict[str, Side] = {
    **dict.fromkeys(_LEFT, "left"),
    **dict.fromkeys(_RIGHT, "right"),
    **dict.fromkeys(_BOTH, "both"),
}
"""Words for a side in names; the last of left and right are lobes of the lungs."""

_SEAMS = re.compile(r"[\W_]+|(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][^\W\d_A-Z])")
"""Where one word of a name ends and another begins, also in lungLeft and RLung."""


def side_of_code(scheme: str, value: str) -> Side:
    """The side that a laterality code names."""
    return _CODES.get((scheme, value), "")


def side_in(name: str) -> Side:
    """The side that a name states, as "Kidney_L" and "rechte Niere"; empty when both are named."""
    said = sides_in(name)
    return next(iter(said)) if len(said) == 1 else ""


def sides_in(name: str) -> frozenset[Side]:
    """Every side that a name states in a word of its own.

    "Left2" states one, "vertebra L5" and "vertebra L 5" do not.
    """
    words = [word.casefold() for word in _SEAMS.split(name)]
    said: set[Side] = set()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        bare = word.rstrip("0123456789")
        is_level = len(bare) == 1 and (bare != word or following.isdigit())
        said.add("" if is_level else _WORDS.get(bare, ""))
    return frozenset(said - {""})
