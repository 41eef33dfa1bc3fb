"""Writing the card of a cohort, at the end of a run or later."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from MedPrepLib import atomic
from MedPrepLib.card.croissant import AGREEMENT_TABLE, CASES_TABLE, to_croissant
from MedPrepLib.card.facts import CardInput, CaseRow, card_input, rows_of_files
from MedPrepLib.card.markdown import to_markdown
from MedPrepLib.config import parse_study
from MedPrepLib.config.settings import Card
from MedPrepLib.errors import CohortError, ConfigError, RunError
from MedPrepLib.manifest import Manifest, read_manifest
from MedPrepLib.results import ShardFile
from MedPrepLib.tables import AgreementRow, csv_bytes

CARD, CROISSANT = "README.md", "croissant.json"
CARD_FILES = (CARD, CASES_TABLE, CROISSANT)
"""Beside the manifest, where hubs of data sets look for them."""

AGREEMENT_JSON = AGREEMENT_TABLE.replace(".csv", ".json")


def card_files(card: CardInput) -> dict[str, bytes]:
    """The files of a card by name; equal input gives equal bytes."""
    table = csv_bytes(card.cases, CaseRow)
    listed = ShardFile(CASES_TABLE, len(table), hashlib.sha256(table).hexdigest())
    return {
        CARD: to_markdown(card).encode(),
        CASES_TABLE: table,
        CROISSANT: to_croissant(card, listed).encode(),
    }


def write_card(cohort: Path, card: CardInput) -> tuple[Path, ...]:
    """Write the card beside the manifest, each file whole or not at all; OSError."""
    written = []
    for name, data in card_files(card).items():
        path = cohort / name
        if not path.is_file() or path.read_bytes() != data:
            atomic.write_bytes(path, data)
        written.append(path)
    return tuple(written)


def read_agreement(cohort: Path) -> tuple[AgreementRow, ...]:
    """The table of agreement of a report; none where there is none.

    Raises CohortError for a file that is no such table.
    """
    path = cohort / AGREEMENT_JSON
    if not path.is_file():
        return ()
    try:
        return tuple(msgspec.json.decode(path.read_bytes(), type=list[AgreementRow]))
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise CohortError(f"{AGREEMENT_JSON} is no table of agreement: {error}") from None


def add_card(cohort: Path, told: Card | None = None) -> tuple[Path, ...]:
    """Give a finished cohort its card; the manifest stays as it is, and does not know the card.

    ``told``: what people say of it, in place of what its settings hold. A cohort whose manifest
    names a card has to keep that one. Raises CohortError where there is no cohort or it is
    damaged, RunError where another card is there.
    """
    card = read_card_input(cohort, told)
    known = {file.name: file.sha256 for file in read_manifest(cohort).files}
    for name, data in card_files(card).items():
        if known.get(name, "") not in ("", hashlib.sha256(data).hexdigest()):
            raise RunError(
                f"{name} belongs to the manifest of {cohort} and would become another; change "
                "[card] in the study file and run that again"
            )
    return write_card(cohort, card)


def read_card_input(cohort: Path, told: Card | None = None) -> CardInput:
    """The input of a card from a finished cohort; errors as for :func:`add_card`."""
    manifest = read_manifest(cohort)
    try:
        settings = parse_study(manifest.config, "manifest.json", schema=manifest.schema)
    except ConfigError as error:
        raise CohortError(f"the settings of {cohort} cannot be read: {error}") from None
    if told is not None:
        settings = msgspec.structs.replace(settings, card=told)
    others = tuple(file for file in manifest.files if file.name not in CARD_FILES)
    bare: Manifest = msgspec.structs.replace(manifest, files=others)
    return card_input(bare, settings, rows_of_files(cohort, bare), read_agreement(cohort))
