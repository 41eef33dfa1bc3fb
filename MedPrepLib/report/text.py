"""Words and numbers as the report writes them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from decimal import ROUND_DOWN, Decimal

MAX_TEXT = 1200
MAX_NAME = 64
NOTHING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
TIMES = " \N{MULTIPLICATION SIGN} "

# Cc: C0 and C1 controls, ESC and DEL among them. Cs: halves of surrogate pairs, which UTF-8 cannot
# hold. Cf: bidirectional overrides and other invisible marks that make text read as another.
_UNSAFE = frozenset({"Cc", "Cs", "Cf", "Zl", "Zp"})


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """``text`` without control and invisible characters, at most ``limit`` long."""
    if len(text) <= limit and text.isprintable():  # nearly always, and a hundred times as fast
        return text
    kept = "".join(_harmless(character) for character in text[: 4 * limit])
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def name(text: str) -> str:
    """A name: cleaned, at most MAX_NAME long; a dash when there is none."""
    return clean(text, MAX_NAME).strip() or NOTHING


def thousands(count: int) -> str:
    """``1,234``."""
    return f"{count:,}"


def short(text: str, limit: int = 18) -> str:
    """A name for where there is little room."""
    return clean(name(text), limit)


def plural(count: int, noun: str, many: str = "") -> str:
    """``1 case``, ``1,234 cases``."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def percent(part: float, whole: float) -> str:
    """``17 %``; a dash when there is nothing to be a part of."""
    return f"{100 * part / whole:.0f} %" if whole else NOTHING


def dice(value: float | None, digits: int = 3) -> str:
    """A Dice coefficient, cut off instead of rounded: it never looks better than it is."""
    if value is None:
        return NOTHING
    return str(Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-digits), ROUND_DOWN))


def number(value: float, digits: int = 4) -> str:
    """A measured number with about ``digits`` significant digits and no needless zeros."""
    if float(value).is_integer() and abs(value) < 1e9:
        return f"{int(value):,}".replace("-", MINUS)
    if abs(value) >= 10**digits / 10:
        return f"{value:,.0f}".replace("-", MINUS)
    return f"{value:.{digits}g}".replace("-", MINUS)


def times(values: Sequence[float], digits: int = 3) -> str:
    """Sizes with multiplication signs between them, without zeros behind a point."""
    written = (f"{value:.{digits}f}" for value in values)
    return TIMES.join(w.rstrip("0").rstrip(".") if "." in w else w for w in written)


def listing(words: Iterable[str], most: int = 12) -> str:
    """``a, b and c``; of a long list the first ``most`` and how many more there are."""
    items = [name(word) for word in words]
    if len(items) > most:
        return f"{', '.join(items[:most])} and {len(items) - most:,} more"
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def median(values: Sequence[float]) -> float | None:
    """The middle value, or the mean of the two middle ones; None when there is none."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if not ordered:
        return None
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _harmless(character: str) -> str:
    if character in "\n\r\t":
        return " "
    return "" if unicodedata.category(character) in _UNSAFE else character


RULES = {
    "worst_pair": "the worst pair of raters over all labels",
    "mean_pair": "the lowest mean over pairs of raters among the labels",
    "consensus": "the rater farthest from the consensus over all labels",
}
"""What the threshold judges, in words; a Dice coefficient of ... is understood."""
