"""Where the pages and pictures of a report lie, by names that no text from data can bend.

``index.html``, ``augmentation.png``, ``contact-1.html`` and so on, ``cases/<id>.html`` and
``cases/<id>.png``: a case keeps its name when others come and go.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection

INDEX = "index.html"
CASES = "cases"
AUGMENTATION = "augmentation.png"

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for itself, with any ending."""


def page_names(ids: Collection[str]) -> dict[str, str]:
    """A file name without ending per case: its id, or a part of the id's hash.

    The hash is taken where the id is no file name everywhere, or where two ids differ in case
    only.
    """
    folded = Counter(case_id.lower() for case_id in ids)
    return {case_id: _name(case_id, alone=folded[case_id.lower()] == 1) for case_id in ids}


def sheet_name(number: int) -> str:
    """The file of a page of the contact sheet, counted from 1."""
    return f"contact-{number}.html"


def _name(case_id: str, *, alone: bool) -> str:
    if alone and _PLAIN.fullmatch(case_id) and not _DEVICES.fullmatch(case_id):
        return case_id
    return "x-" + hashlib.sha256(case_id.encode("utf-8", "surrogatepass")).hexdigest()[:24]
