"""Writing the report: values in; an overview, a page per case and contact sheets out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from MedPrepLib.atomic import make_folder, write_bytes
from MedPrepLib.config.public import shown_tree
from MedPrepLib.report import casepages, quarantine, summary, text
from MedPrepLib.report.agreement import agreement_view
from MedPrepLib.report.casepages import CasePage, case_pages
from MedPrepLib.report.contact import Sheet, contact_sheets
from MedPrepLib.report.images import Picture, picture, picture_bytes
from MedPrepLib.report.methods import methods
from MedPrepLib.report.model import ReportInput
from MedPrepLib.report.places import AUGMENTATION, CASES, INDEX
from MedPrepLib.report.sets import sets_view
from MedPrepLib.report.strata import strata
from MedPrepLib.report.strips import StripsView, strips_view
from MedPrepLib.report.templates import fill

MAX_FIRST = 10
MAX_EMBEDDED_BYTES = 4 << 20
"""Pictures within the overview: it says what to look at first even where it is sent alone."""

BESIDE = "'self' file:"
"""Pictures of this report. Browsers differ on whether a local file is "self"."""
EMBEDDED = f"{BESIDE} data:"


def write_report(folder: Path, report: ReportInput) -> tuple[Path, ...]:
    """Write ``folder/index.html`` and what it links to; the paths of all of it.

    Each file is written whole or not at all, the overview last. Equal input gives equal bytes.
    Raises OSError when the disk refuses.
    """
    make_folder(folder / CASES)
    written = []
    for name, data in documents(report):
        path = folder / name
        write_bytes(path, data)
        written.append(path)
    return tuple(written)


def documents(report: ReportInput) -> Iterator[tuple[str, bytes]]:
    """Every file of the report: its name with slashes, and its bytes. The overview comes last."""
    book = _Book(report)
    pictures: dict[str, Picture] = {}
    first = {page.case.id for page in book.first}
    embedded: dict[str, Picture] = {}
    room = MAX_EMBEDDED_BYTES
    for page in book.pages:
        data = picture_bytes(report, page.case)
        if data:
            pictures[page.case.id] = picture(data, f"{page.name}.png")
            yield f"{CASES}/{page.name}.png", data
        if data and page.case.id in first and len(data) <= room:
            room -= len(data)
            embedded[page.case.id] = picture(data)
        yield f"{CASES}/{page.name}.html", book.case(page, pictures)
    for sheet in book.sheets:
        yield sheet.name, book.sheet(sheet, pictures)
    if report.augmentation:
        yield AUGMENTATION, report.augmentation
    yield INDEX, book.overview(pictures, embedded)


@dataclass(frozen=True)
class _Book:
    """What several pages need, worked out once."""

    report: ReportInput

    @cached_property
    def strips(self) -> StripsView:
        return strips_view(self.report)

    @cached_property
    def pages(self) -> tuple[CasePage, ...]:
        return case_pages(self.report, self.strips.of)

    @cached_property
    def by_id(self) -> dict[str, CasePage]:
        return {page.case.id: page for page in self.pages}

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of every case in the order of ids."""
        return {page.case.id: n for n, page in enumerate(self.pages)}

    @cached_property
    def queue(self) -> tuple[CasePage, ...]:
        """The cases to look at, the most urgent first."""
        return tuple(self.by_id[case.id] for case in self.report.to_review)

    @cached_property
    def turns(self) -> dict[str, int]:
        """The place of a case in the queue."""
        return {page.case.id: n for n, page in enumerate(self.queue)}

    @property
    def first(self) -> tuple[CasePage, ...]:
        return self.queue[:MAX_FIRST]

    @cached_property
    def sheets(self) -> tuple[Sheet, ...]:
        return contact_sheets(self.pages)

    @cached_property
    def sheet_of(self) -> dict[str, str]:
        """The contact sheet that a case is on."""
        return {
            page.case.id: sheet.name
            for sheet in self.sheets
            for group in sheet.groups
            for page in group.pages
        }

    @property
    def augmentation(self) -> Picture | None:
        data = self.report.augmentation
        return picture(data, AUGMENTATION) if data else None

    def case(self, page: CasePage, pictures: Mapping[str, Picture]) -> bytes:
        """The page of one case."""
        at, turn = self.places[page.case.id], self.turns.get(page.case.id)
        return fill(
            "case.html.jinja",
            ("style.css", "case.css"),
            ("keys.js",),
            BESIDE,
            report=self.report,
            page=page,
            pages=self.by_id,
            pictures=pictures,
            to_case="",
            home=f"../{INDEX}",
            sheet_of=self.sheet_of,
            number=at + 1,
            before=self.pages[at - 1] if at else None,
            after=self.pages[at + 1] if at + 1 < len(self.pages) else None,
            turn=turn,
            to_look=len(self.queue),
            look_next=None if turn is None or turn + 1 == len(self.queue) else self.queue[turn + 1],
        )

    def sheet(self, sheet: Sheet, pictures: Mapping[str, Picture]) -> bytes:
        """One page of the contact sheet."""
        return fill(
            "contact.html.jinja",
            ("style.css", "contact.css"),
            ("keys.js",),
            BESIDE,
            report=self.report,
            sheet=sheet,
            sheets=self.sheets,
            pictures=pictures,
            to_case=f"{CASES}/",
            home=INDEX,
        )

    def overview(self, pictures: Mapping[str, Picture], embedded: Mapping[str, Picture]) -> bytes:
        """The first page."""
        report = self.report
        agreement, sets = agreement_view(report), sets_view(report)
        return fill(
            "index.html.jinja",
            ("style.css", "index.css"),
            ("keys.js", "tables.js"),
            EMBEDDED,
            report=report,
            to_case=f"{CASES}/",
            home=INDEX,
            verdict=summary.verdict(report),
            shares=summary.shares(report),
            key_numbers=summary.key_numbers(report),
            flow=summary.flow(report),
            cohort=summary.cohort_table(report),
            strata=strata(report),
            agreement=agreement,
            rules=text.RULES,
            sets=sets,
            strips=self.strips,
            sheets=self.sheets,
            pages=self.by_id,
            first=self.first,
            excluded=casepages.excluded_pages(self.pages),
            reasons=quarantine.reasons(report),
            readmitted=tuple(page for page in self.pages if page.case.readmitted),
            pictures=pictures,
            embedded=embedded,
            augmentation=picture(report.augmentation, AUGMENTATION)
            if report.augmentation
            else None,
            methods=methods(report, agreement, sets),
            settings=tuple(_flat(shown_tree(report.settings))),
        )


def _flat(tree: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every setting with its path: ``agree.threshold``, ``sources[0].kind``."""
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list | tuple) and any(isinstance(v, Mapping) for v in tree):
        for n, value in enumerate(tree):
            yield from _flat(value, f"{path}[{n}]")
    elif isinstance(tree, list | tuple):
        yield path, ", ".join(str(value) for value in tree) or text.NOTHING
    else:
        empty = tree is None or tree in ("", {})
        yield path, text.NOTHING if empty else str(tree)
