"""The contact sheet: the pictures of all cases in small, by center and modality, 50 a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from MedPrepLib.report.casepages import CasePage
from MedPrepLib.report.places import sheet_name

PER_SHEET = 50


@dataclass(frozen=True, slots=True)
class SheetGroup:
    """Cases of one center and modality on one sheet."""

    center: str
    modality: str
    pages: tuple[CasePage, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page of the contact sheet."""

    number: int
    groups: tuple[SheetGroup, ...]

    @property
    def name(self) -> str:
        """Its file."""
        return sheet_name(self.number)

    @property
    def cases(self) -> int:
        """How many cases are on it."""
        return sum(len(group.pages) for group in self.groups)


def contact_sheets(pages: Sequence[CasePage]) -> tuple[Sheet, ...]:
    """The included cases in order of center, modality and id."""
    return tuple(_sheets([page for page in pages if page.case.included]))


def _sheets(pages: Sequence[CasePage]) -> Iterator[Sheet]:
    ordered = sorted(pages, key=lambda page: (*_kind(page), page.case.id))
    for number, start in enumerate(range(0, len(ordered), PER_SHEET), start=1):
        here = ordered[start : start + PER_SHEET]
        groups = tuple(SheetGroup(*kind, tuple(of)) for kind, of in groupby(here, key=_kind))
        yield Sheet(number, groups)


def _kind(page: CasePage) -> tuple[str, str]:
    return page.case.center, page.case.modality
