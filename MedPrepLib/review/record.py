"""What a review is: one reviewer's decision about one case, in one version."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from MedPrepLib.results import ConsensusRecord

Verdict = Literal["", "approved", "flagged"]
Difficulty = Literal["", "easy", "medium", "hard"]
DrawnKind = Literal["mask", "boxes", "slices"]

SUFFIXES: dict[DrawnKind, str] = {
    "mask": ".seg.nrrd",
    "boxes": ".mrk.json",
    "slices": ".slices.csv",
}
"""What a drawn file is called, by kind; readings of raters end alike."""

MOST_COMMENT = 4000
"""Characters of a comment."""


class Accepted(msgspec.Struct, frozen=True):
    """Whose drawing was taken at one place where raters differed; ``index`` (i, j, k) lies in it.

    ``source`` is a rater's name, or "consensus" for what the method had made of it.
    """

    label: str
    index: tuple[int, int, int]
    source: str


class DrawnFile(msgspec.Struct, frozen=True):
    """What a reviewer drew or accepted: a file beside the review, never changed once written.

    ``sha256`` is that of the file. ``start``: how the consensus it began as was made; None for a
    drawing that began empty. ``unchanged``: nothing differs from that beginning, which may be
    full agreement as well as a missing look.
    """

    kind: DrawnKind
    name: str
    sha256: str
    start: ConsensusRecord | None = None
    unchanged: bool = False
    accepted: tuple[Accepted, ...] = ()


class Review(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reviewer's decision about one case.

    ``case`` is the public name. ``verdict`` "" means begun, not decided. ``nothing_found``: the
    image was read and shows none of the labels, which is not the same as not having been read.
    ``fixes``: raters whose masks lie on the image's grid, whatever their headers say. ``inputs``:
    hashes of the readings that were judged, see inputs.py; when these change, the review is out
    of date. ``version`` counts from 1, ``at`` is UTC (ISO 8601), ``previous`` the
    :func:`digest` of the version before, so that none can be changed or taken out unnoticed.
    """

    case: str
    reviewer: str
    verdict: Verdict = ""
    nothing_found: bool = False
    difficulty: Difficulty = ""
    comment: str = ""
    fixes: tuple[str, ...] = ()
    drawn: tuple[DrawnFile, ...] = ()
    inputs: dict[str, str] = {}
    version: int = 0
    at: str = ""
    software: str = ""
    previous: str = ""

    def says_the_same(self, other: Review) -> bool:
        """True when only version, time and software differ."""
        return _decision(self) == _decision(other)


def digest(review: Review) -> str:
    """SHA-256 in hex over everything in a version.

    A record of a consensus that does not know its annotated labels is summed up without that
    field, as reviews were before there was one.
    """
    plain = msgspec.to_builtins(review)
    for drawn in plain.get("drawn", ()):
        start = drawn["start"]
        if start is not None and start["annotated"] is None:
            del start["annotated"]
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()


def _decision(review: Review) -> Review:
    return msgspec.structs.replace(review, version=0, at="", software="", previous="")
