"""One search: identities of the sources in the cohort, and wherever else something was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import msgspec

from MedPrepLib.cohort import Case
from MedPrepLib.config import public_text
from MedPrepLib.config.settings import Card, Source, TableSource
from MedPrepLib.phi.forms import Identity, Public, all_forms
from MedPrepLib.phi.layers import BLOCK, layers, printable
from MedPrepLib.phi.sources import folder_sample, header_identities, path_identities
from MedPrepLib.pipeline.order import Order
from MedPrepLib.pipeline.tasks import scan_cases
from MedPrepLib.progress import Listener, Step, silent
from MedPrepLib.scan.walk import listings_below

PROSE = ("title", "description", "citation")
"""Settings of the card that are free texts."""


class Leak(msgspec.Struct, frozen=True, order=True):
    """An identity in something that was written, or is to be: a file, or a setting of the card.

    ``text`` is private: it is the identity.
    """

    file: str
    category: str
    text: str


class PhiScan(msgspec.Struct, frozen=True):
    """What was looked for, where, and what was found."""

    identities: int
    left_out: int
    """Too short to look for, or words that the study itself tells."""
    files: int
    leaks: tuple[Leak, ...]


def scan_phi(order: Order, others: Iterable[Path] = (), listen: Listener = silent) -> PhiScan:
    """Look for everything that names somebody in the sources of a study.

    In the cohort, in the texts of the card that is made of the study file, and in ``others`` (files
    and folders: exports, logs of a scheduler). Raises
    ConfigError for sources that are not there, OSError.
    """
    cases = [candidate.case for candidate in scan_cases(order, None, listen).candidates]
    identities = set(_identities(order, cases))
    forms, told, left_out = all_forms(identities, _public(order, cases))
    files = [*_files(order.cohort), *(found for other in others for found in _files(other))]
    leaks = {Leak(setting, one.category, one.text) for setting, one in told}
    for done, (name, path) in enumerate(files, start=1):
        leaks |= _leaks(name, path, forms)
        listen(Step("search", done, len(files)))
    return PhiScan(len(identities), left_out, len(files), tuple(sorted(leaks)))


def _identities(order: Order, cases: Iterable[Case]) -> Iterator[Identity]:
    named = order.study.privacy.case_names == "given"
    for case in () if named else cases:
        yield Identity("id", case.patient.id)
        yield from (Identity("path", part) for part in case.id.split("/"))
    for source in order.study.sources:
        yield from _of_source(order.base / source.path, source, named)


def _of_source(root: Path, source: Source, named: bool) -> Iterator[Identity]:
    base = root.parent if isinstance(source, TableSource) else root
    for listing in listings_below(base):
        for name in folder_sample(listing.names):
            path = Path(listing.folder) / name
            found = [*header_identities(path), *path_identities(path, base)]
            yield from (one for one in found if not (named and one.category in ("id", "path")))


def _public(order: Order, cases: Sequence[Case]) -> Public:
    """What a study means to tell: its public settings, its centers and its raters.

    Of the card, people and institutions that are named on purpose; in its free texts an identity
    may stand by mistake, or as a part of other words.
    """
    words = {case.patient.center for case in cases} | {r for case in cases for r in case.raters}
    card = order.study.card
    settings = public_text(msgspec.structs.replace(order.study, card=Card()))
    named = (*card.creators, card.publisher, card.license, card.url, card.version, card.published)
    return Public(
        settings="\n".join((settings, *sorted(words))),
        named="\n".join(named),
        prose={f"[card] {name}": getattr(card, name) for name in PROSE},
    )


def _files(place: Path) -> list[tuple[str, Path]]:
    """Every regular file with the name that a leak is told by."""
    if place.is_file():
        return [(place.name, place)]
    found = (path for path in sorted(place.rglob("*")) if path.is_file() and not path.is_symlink())
    return [(f"{place.name}/{path.relative_to(place).as_posix()}", path) for path in found]


def _leaks(name: str, path: Path, forms: Mapping[bytes, Identity]) -> set[Leak]:
    found = set()
    for text in _joined(chain((printable(name.encode()),), layers(path))):
        for form, identity in forms.items():
            if form in text:
                found.add(Leak(name, identity.category, identity.text))
    return found


def _joined(texts: Iterable[bytes]) -> Iterator[bytes]:
    """The texts in fewer pieces: every piece is searched for every form."""
    piece = bytearray()
    for text in texts:
        piece += text + b"\n"
        if len(piece) >= BLOCK:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
