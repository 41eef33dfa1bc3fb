"""The card of a cohort: what a stranger needs to know of it, for people and for programs."""

from MedPrepLib.card.facts import CardInput, CaseRow, card_input, rows_of_files, rows_of_results
from MedPrepLib.card.write import (
    CARD_FILES,
    add_card,
    card_files,
    read_agreement,
    read_card_input,
    write_card,
)

__all__ = [
    "CARD_FILES",
    "CardInput",
    "CaseRow",
    "add_card",
    "card_files",
    "card_input",
    "read_agreement",
    "read_card_input",
    "rows_of_files",
    "rows_of_results",
    "write_card",
]
