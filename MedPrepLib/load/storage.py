"""Where the cases of a cohort lie: a folder of case files, one HDF5 file, or an LMDB.

Training code does not see the difference. The last two are made by ``medprep export``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from MedPrepLib import layout
from MedPrepLib.errors import CohortError, CorruptCaseError
from MedPrepLib.load import lmdbvalues
from MedPrepLib.load.case import LoadedCase, case_in
from MedPrepLib.load.guard import manifest_of, opened, opened_bytes, opened_member
from MedPrepLib.load.lmdbpages import Places

if TYPE_CHECKING:
    import h5py


@dataclass(frozen=True, slots=True)
class Extent:
    """The bytes that the bricks of a case lie in: ``size`` of them, from ``start`` on in a file.

    Offsets of bricks count from ``start``. ``file_bytes``: of the whole file.
    """

    path: Path
    start: int
    size: int
    file_bytes: int


def is_lmdb(place: Path) -> bool:
    """Whether the cohort at ``place`` is an LMDB."""
    return (place / layout.LMDB_NAME).is_file()


def read_manifest_bytes(place: Path) -> bytes:
    """The bytes of a cohort's manifest; CohortError when ``place`` is no cohort."""
    if place.is_file():
        return manifest_of(place)
    if is_lmdb(place):
        return lmdbvalues.read_value(place, layout.MANIFEST_MEMBER)
    return layout.read_manifest_bytes(place)


@contextmanager
def opened_case(place: Path, case_id: str, name: str) -> Iterator[tuple[h5py.Group, str]]:
    """What holds a case of the cohort at ``place``, checked by load.guard, and a name for it.

    ``name``: its file, where it has one of its own. Errors as for case.read_case.
    """
    if place.is_file():
        with opened_member(place, layout.require_public_id(case_id)) as group:
            yield group, str(place)
    elif is_lmdb(place):
        data = lmdbvalues.read_value(place, lmdbvalues.case_key(case_id))
        source = f"{place}, case {case_id}"
        with opened_bytes(data, source) as file:
            yield file, source
    else:
        with opened(place / name) as file:
            yield file, str(place / name)


def read_stored(place: Path, case_id: str, name: str, *, everything: bool = True) -> LoadedCase:
    """A case of the cohort at ``place``; arguments and errors as for :func:`opened_case`."""
    with opened_case(place, case_id, name) as (file, source):
        return case_in(file, source, everything=everything)


def extent_of(
    place: Path, name: str, size_bytes: int, sha256: str, values: Places | None
) -> Extent:
    """Where to read bricks of a case from.

    ``name``, ``size_bytes`` and ``sha256`` of its case file, as the manifest names them; ``values``
    of an LMDB (lmdbpages.value_places). CohortError when an LMDB does not have it.
    """
    if place.is_file():
        size = place.stat().st_size
        return Extent(place, 0, size, size)
    if values is None:
        return Extent(place / name, 0, size_bytes, size_bytes)
    path = place / layout.LMDB_NAME
    if sha256 not in values:
        raise CohortError(f"{path} has no value that is {name}")
    start, size = values[sha256]
    if size != size_bytes:
        raise CorruptCaseError(f"{path}: {name} has {size} bytes instead of {size_bytes}")
    return Extent(path, start, size, path.stat().st_size)
