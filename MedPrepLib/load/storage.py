"""Where the cases of a cohort lie: a folder of case files, one HDF5 file, or an LMDB.

Training code does not see the difference. The last two are made by ``medprep export``.
"""

from __future__ import annotations

from pathlib import Path

from MedPrepLib import layout
from MedPrepLib.load import lmdbvalues
from MedPrepLib.load.case import LoadedCase, case_in, read_case
from MedPrepLib.load.guard import manifest_of, opened_bytes, opened_member


def read_manifest_bytes(place: Path) -> bytes:
    """The bytes of a cohort's manifest; CohortError when ``place`` is no cohort."""
    if place.is_file():
        return manifest_of(place)
    if (place / layout.LMDB_NAME).is_file():
        return lmdbvalues.read_value(place, layout.MANIFEST_MEMBER)
    return layout.read_manifest_bytes(place)


def read_stored(place: Path, case_id: str, name: str, *, everything: bool = True) -> LoadedCase:
    """A case of the cohort at ``place``; ``name``: its file, where it has one of its own.

    Errors as for case.read_case.
    """
    if place.is_file():
        with opened_member(place, layout.require_public_id(case_id)) as group:
            return case_in(group, place, everything=everything)
    if (place / layout.LMDB_NAME).is_file():
        data = lmdbvalues.read_value(place, lmdbvalues.case_key(case_id))
        source = f"{place}, case {case_id}"
        with opened_bytes(data, source) as file:
            return case_in(file, source, everything=everything)
    return read_case(place / name, everything=everything)
