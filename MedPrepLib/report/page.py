"""Writing the report: values in, one self-contained HTML file out."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from MedPrepLib.atomic import make_folder, write_bytes
from MedPrepLib.config.public import shown_tree
from MedPrepLib.report import casepages, quarantine, summary, text
from MedPrepLib.report.agreement import agreement_view
from MedPrepLib.report.casepages import CasePage, case_pages
from MedPrepLib.report.methods import methods
from MedPrepLib.report.model import ReportInput
from MedPrepLib.report.sets import sets_view

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent
FILE_NAME = "index.html"
MAX_FIRST = 10
MAX_DETAILS = 2000
MAX_PICTURES_BYTES = 16 << 20
"""Pictures of the most urgent cases are embedded up to here: a report must fit into a mail."""
MAX_PICTURE_BYTES = 1 << 20
PNG_START = b"\x89PNG\r\n\x1a\n"


class Picture(NamedTuple):
    """An embedded picture: a data URI and its size in pixels."""

    uri: str
    width: int
    height: int


def write_report(folder: Path, report: ReportInput) -> tuple[Path, ...]:
    """Write ``folder/index.html``, whole or not at all; the paths of what was written.

    Equal input gives equal bytes. Raises OSError when the disk refuses.
    """
    path = make_folder(folder) / FILE_NAME
    write_bytes(path, render(report).encode("utf-8"))
    return (path,)


def render(report: ReportInput) -> str:
    """The whole page. Every text from data is cleaned of control characters and escaped."""
    style, script = (
        (HERE / name).read_text(encoding="utf-8") for name in ("style.css", "script.js")
    )
    pages = case_pages(report)
    agreement = agreement_view(report)
    sets = sets_view(report)
    return _environment().get_template("index.html.jinja").render(
        report=report,
        csp=_policy(style, script),
        style=style,
        script=script,
        verdict=summary.verdict(report),
        shares=summary.shares(report),
        key_numbers=summary.key_numbers(report),
        flow=summary.flow(report),
        cohort=summary.cohort_table(report),
        agreement=agreement,
        rules=text.RULES,
        sets=sets,
        pages=pages,
        first=_first(report, pages),
        excluded=casepages.excluded_pages(pages),
        reasons=quarantine.reasons(report),
        readmitted=tuple(page for page in pages if page.case.readmitted),
        detailed=_detailed(report, pages),
        pictures=_pictures(report),
        methods=methods(report, agreement, sets),
        settings=tuple(_flat(shown_tree(report.settings))),
    )  # fmt: skip


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters.update(
        dice=text.dice, name=text.name, plural=text.plural, percent=text.percent
    )
    environment.globals.update(severe=casepages.severe, dice_words=casepages.dice_words)
    return environment


def _finalize(value: object) -> object:
    """Clean whatever the template prints; only what it declares safe passes as it is.

    That is the style and the script of this folder, and pictures in base64, which has no
    character that means anything in HTML.
    """
    return value if hasattr(value, "__html__") else text.clean(str(value))


def _policy(style: str, script: str) -> str:
    """Nothing may be loaded, and only exactly this style and script may run (CSP level 2)."""
    return (
        "default-src 'none'; img-src data:; "
        f"style-src 'sha256-{_digest(style)}'; script-src 'sha256-{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")


def _first(report: ReportInput, pages: tuple[CasePage, ...]) -> tuple[CasePage, ...]:
    by_id = {page.case.id: page for page in pages}
    return tuple(by_id[case.id] for case in report.to_review[:MAX_FIRST])


def _urgent(report: ReportInput) -> list[str]:
    """All case ids: those to be looked at, then the excluded, then the rest."""
    ordered = (*report.to_review, *report.excluded, *report.included)
    return list(dict.fromkeys(case.id for case in ordered))


def _detailed(report: ReportInput, pages: tuple[CasePage, ...]) -> tuple[CasePage, ...]:
    chosen = set(_urgent(report)[:MAX_DETAILS])
    return tuple(page for page in pages if page.case.id in chosen)


def _pictures(report: ReportInput) -> dict[str, Picture]:
    """Pictures by case id, the most urgent first, as many as the report may carry."""
    if report.pictures is None or not report.settings.report.pictures:
        return {}
    names = {case.id: case.picture for case in report.cases if case.picture}
    made: dict[str, Picture] = {}
    left = MAX_PICTURES_BYTES
    for case_id in _urgent(report):
        data = _picture_bytes(report.pictures, names.get(case_id, ""))
        if data and len(data) <= left:
            left -= len(data)
            made[case_id] = _picture(data)
    return made


def _picture_bytes(folder: Path, name: str) -> bytes:
    """The bytes of a PNG in ``folder``; none when there is no such file, or it is no picture."""
    if not name or Path(name).name != name:
        return b""
    try:
        with (folder / name).open("rb") as stream:
            data = stream.read(MAX_PICTURE_BYTES + 1)
    except FileNotFoundError:
        return b""
    whole = len(data) <= MAX_PICTURE_BYTES and data.startswith(PNG_START) and len(data) > 24
    return data if whole else b""


def _picture(data: bytes) -> Picture:
    uri = "data:image/png;base64," + base64.b64encode(data).decode("ascii")
    return Picture(uri, int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))


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
