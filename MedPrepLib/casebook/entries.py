"""One line of a list of cases, and which lines a search shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from MedPrepLib.findings import Severity
from MedPrepLib.results import CaseResult
from MedPrepLib.review import CaseState, Review, case_state


class CaseEntry(msgspec.Struct, frozen=True):
    """A case as a list shows it, before it is opened.

    ``name`` is public, ``title`` what the site calls the case (may identify somebody: it is shown
    and never written). ``lowest_dice``: the worst pair over all labels, None when not known yet or
    not defined. ``flags``: codes that ask for a look; ``excluded``: codes that leave the case out.
    ``reviewed_by``: who has a review, with a mark for their verdict.
    """

    name: str
    title: str
    patient: str = ""
    center: str = ""
    modality: str = ""
    raters: tuple[str, ...] = ()
    lowest_dice: float | None = None
    flags: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    state: CaseState = "to do"
    reviewed_by: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Everything that a search looks at, in lower case."""
        parts = (self.name, self.title, self.patient, self.center, self.modality, self.state)
        return " ".join((*parts, *self.raters, *self.flags, *self.excluded)).casefold()


def with_result(entry: CaseEntry, result: CaseResult | None) -> CaseEntry:
    """The entry with what the last run found."""
    if result is None:
        return entry
    asking = {f.code for f in result.findings if f.severity == Severity.REVIEW}
    return msgspec.structs.replace(
        entry,
        lowest_dice=result.agreement.lowest if result.agreement else None,
        flags=tuple(sorted(asking)),
        excluded=result.rejections,
    )


def with_low(entry: CaseEntry, lowest: float | None, codes: Iterable[str]) -> CaseEntry:
    """The entry with what is seen of its masks once it is open; ``codes`` ask for a look."""
    flags = tuple(sorted({*entry.flags, *codes}))
    return msgspec.structs.replace(entry, lowest_dice=lowest, flags=flags)


def with_reviews(entry: CaseEntry, reviews: Mapping[str, Review]) -> CaseEntry:
    """The entry with what reviewers decided."""
    who = tuple(f"{name}: {review.verdict or 'begun'}" for name, review in sorted(reviews.items()))
    return msgspec.structs.replace(entry, state=case_state(reviews.values()), reviewed_by=who)


def matching(
    entries: Iterable[CaseEntry], search: str = "", state: CaseState | None = None
) -> tuple[CaseEntry, ...]:
    """The entries in this state (any for None) that hold every word of the search."""
    words = search.casefold().split()
    return tuple(
        entry
        for entry in entries
        if state in (None, entry.state) and all(word in entry.words for word in words)
    )
