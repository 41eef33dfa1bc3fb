"""Mask files that are called after the patient or the case: what is left of them is the rater.

Raters keep their names in a cohort. A file ``4711_ana.nii.gz`` of patient 4711 is ana's, and
``4711.nii.gz`` is nobody's in particular.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from MedPrepLib.identity import known_id

UNNAMED = "unnamed"
"""The rater of a file that is called after patient or case and after nobody else."""

SHORTEST = 3
"""Letters and digits; shorter names of patients and cases stand in a rater's by accident."""

SHORTEST_NUMBER = 4
"""Digits of a patient that are cut out of a longer name: ``reader_001`` reads patient 001, too, and
is no other reader there."""

_WORD = re.compile(r"[^\W_]+")
_MARKS = " _-.,;^()[]"


def rater_without(rater: str, about: Iterable[str]) -> str:
    """A rater's name without the names of patient and case (``about``, the patient's first).

    Letters are compared without case and accents, whichever marks lie between words. A name that
    holds nothing but words of the patient's is none of a rater, either. ``@2`` stays.
    """
    name, repeated, number = rater.partition("@")
    wanted = [_words(known_id(each)) for each in about]
    left = name
    for words in wanted:
        cut = _is_long(words) and (not _is_short_number(words) or words == _words(name))
        left = _cut(left, words) if cut else left
    rest = _words(left)
    if wanted and _is_long(rest) and set(rest) <= set(wanted[0]):
        left = ""
    if left == name:
        return rater
    return f"{left.strip(_MARKS) or UNNAMED}{repeated}{number}"


def _is_long(words: Sequence[str]) -> bool:
    return sum(map(len, words)) >= SHORTEST


def _is_short_number(words: Sequence[str]) -> bool:
    """True for a number so short that raters may have it in their names."""
    text = "".join(words)
    return text.isdecimal() and len(text) < SHORTEST_NUMBER


def _cut(name: str, words: Sequence[str]) -> str:
    """The name without every uninterrupted run of these words."""
    found = list(_WORD.finditer(name))
    plain = [_plain(word[0]) for word in found]
    for first in range(len(found) - len(words) + 1):
        if plain[first : first + len(words)] == list(words):
            last = found[first + len(words) - 1]
            return _cut(name[: found[first].start()] + name[last.end() :], words)
    return name


def _words(name: str) -> list[str]:
    return [_plain(word[0]) for word in _WORD.finditer(unicodedata.normalize("NFKC", name))]


def _plain(word: str) -> str:
    """A word without accents, however they are written: Müller, Mueller and MULLER are one."""
    apart = unicodedata.normalize("NFKD", word.casefold())
    bare = "".join(c for c in apart if not unicodedata.combining(c))
    return re.sub(r"([aou])e", r"\1", bare)
