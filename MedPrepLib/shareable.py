"""What may leave the site: the facts of a header that identify nobody (PS3.15, Basic Profile)."""

from __future__ import annotations

from MedPrepLib.cohort import Case
from MedPrepLib.screen import modality_of

OLDEST_STATED_AGE = 90
"""Ages from here on are stored as this number (PS3.15: they identify in small populations)."""

KNOWN_VENDORS = (
    "GE",
    "Siemens",
    "Philips",
    "Canon",
    "Toshiba",
    "Hitachi",
    "United Imaging",
    "Fujifilm",
    "Hyperfine",
    "Bruker",
    "Esaote",
    "Shimadzu",
    "Neusoft",
    "Mindray",
)


def shareable_facts(case: Case, patient: str) -> dict[str, str | int | float]:
    """What may be kept of a header: an allow-list; no dates, no UIDs, no free texts.

    ``patient`` is the public name of the person.
    """
    scan = case.scan
    facts: dict[str, str | int | float | None] = {
        "modality": modality_of(case),
        "patient": patient,
        "center": case.patient.center,
        "sex": case.patient.sex,
        "age_years": shareable_age(case.patient.age_years),
        "manufacturer": device(scan.manufacturer),
        "kvp": scan.kvp,
        "slice_thickness_mm": scan.slice_thickness_mm,
        "repetition_time_ms": scan.repetition_time_ms,
        "echo_time_ms": scan.echo_time_ms,
        "field_strength_t": scan.field_strength_t,
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}


def shareable_age(age_years: int | None) -> int | None:
    """An age that may be kept: whole years, 90 and over as 90."""
    return None if age_years is None else min(age_years, OLDEST_STATED_AGE)


def device(manufacturer: str) -> str:
    """A vendor's normalized name; "other" for unknown ones, for free text may say anything."""
    text = manufacturer.casefold()
    if not text.strip():
        return ""
    return next((v for v in KNOWN_VENDORS if text.startswith(v.casefold())), "other")
