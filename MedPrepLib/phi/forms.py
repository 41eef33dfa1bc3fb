"""In which forms an identity may stand in a file: spellings of names and dates, encodings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

SHORTEST = {"name": 4, "id": 5, "date": 8, "uid": 12, "institution": 5, "path": 6}
"""Characters; what is shorter stands in any text by accident."""

_DATE = re.compile(r"(\d{4})[-.]?(\d{2})[-.]?(\d{2})")


class Identity(NamedTuple):
    """Something of the sources that names somebody: what it is, and the text itself."""

    category: str
    text: str


def spellings(identity: Identity) -> frozenset[str]:
    """The ways in which people and programs write this; none for what is too short to look for."""
    category, text = identity
    found = {
        "name": _names,
        "date": _dates,
    }.get(category, lambda word: iter((word,)))(" ".join(text.split()))
    shortest = SHORTEST[category]
    return frozenset(word for word in found if len(word) >= shortest and _tells(category, word))


def _tells(category: str, word: str) -> bool:
    """A file or folder is told by more than letters: "image", "series" name nobody."""
    return category != "path" or any(c.isdigit() for c in word) or not word.isascii() or " " in word


def _names(text: str) -> Iterator[str]:
    """The parts of a DICOM person name (PS3.5, 6.2.1.2), in both orders, and the family alone."""
    for group in text.split("="):
        parts = [part.strip() for part in group.split("^") if part.strip()]
        if not parts:
            continue
        yield parts[0]
        for given in parts[1:2]:
            family = parts[0]
            for first, second in ((family, given), (given, family)):
                yield from (f"{first}{mark}{second}" for mark in ("^", " ", ", ", "_", "-", ""))


def _dates(text: str) -> Iterator[str]:
    match = _DATE.match(text)
    if match:
        year, month, day = match.groups()
        yield from (f"{year}{month}{day}", f"{year}-{month}-{day}", f"{year}/{month}/{day}")
        yield from (f"{day}.{month}.{year}", f"{day}/{month}/{year}", f"{month}/{day}/{year}")


def encoded(word: str) -> frozenset[bytes]:
    """The bytes to look for in texts whose ASCII letters were made small (layers.printable).

    UTF-8, Latin-1 and the escapes of JSON; letters beyond ASCII in both cases. Letters beyond
    Latin-1 are not looked for in UTF-16.
    """
    forms: set[bytes] = set()
    for cased in (word, word.lower(), word.upper()):
        escaped = json.dumps(cased)[1:-1]
        for text in (cased, escaped):
            forms.add(text.encode("utf-8"))
            if all(ord(c) < 256 for c in text):
                forms.add(text.encode("latin-1"))
    return frozenset(form.lower() for form in forms)


class Public(NamedTuple):
    """What a study means to tell.

    ``settings``: words of which any part may be told (settings, labels, raters). ``named``: whom
    and what the card names on purpose. ``prose``: free texts of the card, by their setting, in
    which an identity may hide.
    """

    settings: str
    named: str = ""
    prose: Mapping[str, str] = {}

    def tells(self, word: str) -> bool:
        """True for a word that is public, or a mere part of the words of a free text."""
        small = word.casefold()
        if small in self.settings.casefold() or has_word(self.named, word):
            return True
        texts = [text for text in self.prose.values() if small in text.casefold()]
        return bool(texts) and not any(has_word(text, word) for text in texts)


def has_word(text: str, word: str) -> bool:
    """True when a word, or several, stand in a text, and not as a part of longer ones."""
    return bool(re.search(rf"(?<!\w){re.escape(word.casefold())}(?!\w)", text.casefold()))


def all_forms(
    identities: Iterable[Identity], public: Public
) -> tuple[dict[bytes, Identity], frozenset[tuple[str, Identity]], int]:
    """What to look for, what stands in the card, and how many identities are not looked for.

    Those are too short, or public words of the study. Of the card: the setting and the identity.
    """
    forms: dict[bytes, Identity] = {}
    told: set[tuple[str, Identity]] = set()
    left_out = 0
    for identity in sorted(set(identities)):
        words = [word for word in spellings(identity) if not public.tells(word)]
        left_out += not words
        for word in words:
            told |= {(at, identity) for at, text in public.prose.items() if has_word(text, word)}
            for form in encoded(word):
                forms.setdefault(form, identity)
    return forms, frozenset(told), left_out
