"""Numbers and names within sentences."""

from __future__ import annotations

import re
from typing import Any

NONE = "\N{EN DASH}"


def counted(count: int, one: str, many: str) -> str:
    """``one`` for one, else ``many`` with its {count} filled in."""
    return one if count == 1 else many.format(count=count)


def dice(value: float | None) -> str:
    """A Dice in three digits, or a dash for one that is not defined."""
    return NONE if value is None else f"{value:.3f}"


def share(value: float | None) -> str:
    """A share from 0 to 1 in two digits, or a dash."""
    return NONE if value is None else f"{value:.2f}"


def named(desk: Any, sentence: str) -> str:
    """The sentence without raters' names where they are not to be known.

    Empty where names cannot be told from the numbers in it.
    """
    if not desk.blinded:
        return sentence
    raters = sorted(desk.case.raters, key=len, reverse=True)
    if any(rater.isdecimal() for rater in raters):
        return ""
    names = "|".join(re.escape(rater) for rater in raters)
    return re.sub(rf"(?<!\w)(?:{names})(?!\w)", lambda m: desk.name_of(m[0]), sentence)
