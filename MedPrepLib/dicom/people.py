"""Who a header speaks of, apart from the name: age and sex as a cohort needs them."""

from __future__ import annotations

import re

from MedPrepLib.cohort import Sex

_AGE = re.compile(r"\s*(\d{1,3})\s*([YMWD]?)\s*", re.IGNORECASE)
_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 52.1775, "D": 365.2425}
_SEXES: dict[str, Sex] = {"M": "M", "F": "F", "O": "O"}


def age_in_years(text: str) -> int | None:
    """Completed years of an age string (VR AS): "059Y" is 59, "018M" is 1; None if unclear.

    A bare number counts as years, as many exporters write it.
    """
    match = _AGE.fullmatch(text)
    if match is None:
        return None
    return int(int(match[1]) / _PER_YEAR[(match[2] or "Y").upper()])


def sex_of(text: str) -> Sex:
    """PatientSex (0010,0040) as M, F, O or unknown."""
    return _SEXES.get(text.strip().upper()[:1], "unknown")
