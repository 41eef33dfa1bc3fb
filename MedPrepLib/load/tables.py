"""The tables of all cases of a cohort: from an index file that was built once, or case by case."""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from MedPrepLib import atomic, layout
from MedPrepLib.errors import CohortError, CorruptCaseError
from MedPrepLib.layout import INDEX_NAME
from MedPrepLib.load.index import CohortIndex, IndexEntry, open_cohort
from MedPrepLib.load.lmdbpages import Places, value_places
from MedPrepLib.load.mapped import MappedCase
from MedPrepLib.load.storage import extent_of, is_lmdb, opened_case
from MedPrepLib.load.table import CaseTable, decoded, encoded, table_in

MAX_OPEN = 128
"""Case files that a process keeps mapped; each costs a file descriptor."""

MAX_KEPT = 512
"""Tables that are kept decoded when an index file can give them again."""

_MAGIC = b"MEDPREPX"
_VERSION = 4
_LENGTH = struct.Struct("<I")
_MAX_HEAD = 1 << 16
_OF_A_PROCESS = {"_file", "_mapped", "_places", "_lock"}


def build_index(cohort_dir: Path | str) -> Path:
    """Write the index file of a cohort: opening it then takes milliseconds, whatever its size.

    A run does so by itself; this is for cohorts that have none, and for exports to one file, beside
    which it lies. Every case is opened, checked and left as it is. The index belongs to these very
    cases and is ignored beside others. Errors as for load.read_case; OSError when the folder cannot
    be written.
    """
    index = open_cohort(cohort_dir)
    path = _index_path(index.folder)
    records = [_encoded(index.folder, entry) for entry in index.cases]
    _write(path, _head_of(index.cases, index.folder), records)
    return path


def index_cases(
    folder: Path, cases: Sequence[IndexEntry], path: Path, made: Mapping[str, bytes]
) -> None:
    """Write to ``path`` the index of ``cases``, in order of id, whose files lie in ``folder``.

    ``made``: encoded tables of case files, by id, as they were when these were written; they are
    used for files that the manifest in ``folder`` does not name. Tables of those that it names are
    taken from the index that it names, if that is whole, else from the files. Errors as for
    :func:`build_index`.
    """
    there = _cases_there(folder)
    kept = _kept_records(folder, there)
    known = {entry.name for entry in there}

    def record(entry: IndexEntry) -> bytes:
        new = None if entry.name in known else made.get(entry.id)
        return kept.get(_identity(entry)) or new or _encoded(folder, entry)

    write_records(path, cases, [record(entry) for entry in cases])


def write_records(path: Path, cases: Iterable[IndexEntry], records: Sequence[bytes]) -> None:
    """An index file with the encoded tables of all cases, in the order of the manifest."""
    _write(path, _head_of(cases), records)


def _write(path: Path, owner: dict[str, Any], records: Sequence[bytes]) -> None:
    head = json.dumps(owner).encode()
    ends = np.cumsum([0, *map(len, records)]).astype("<u8")
    parts = [_MAGIC, _LENGTH.pack(len(head)), head, _LENGTH.pack(len(records)), ends.tobytes()]
    atomic.write_bytes(path, b"".join([*parts, *records]))


def _head_of(cases: Iterable[IndexEntry], place: Path | None = None) -> dict[str, Any]:
    """What an index belongs to: the files of all cases, but not who trains and who tests.

    Of one HDF5 file at ``place`` its size, too: another export may lay bricks elsewhere.
    """
    digest = hashlib.sha256()
    for entry in cases:
        digest.update("\n".join((*_identity(entry), "")).encode())
    head = {"version": _VERSION, "cases": digest.hexdigest()}
    if place is not None and place.is_file():
        head["bytes"] = place.stat().st_size
    return head


def _index_path(place: Path) -> Path:
    return place.with_name(f"{place.name}.{INDEX_NAME}") if place.is_file() else place / INDEX_NAME


def _identity(entry: IndexEntry) -> tuple[str, str, str, str]:
    return entry.id, entry.name, str(entry.size_bytes), entry.sha256


def _encoded(folder: Path, entry: IndexEntry) -> bytes:
    return encoded(_checked(folder, entry))


def _cases_there(folder: Path) -> Sequence[IndexEntry]:
    """The cases of the cohort that is in ``folder`` already; none where there is no cohort."""
    try:
        return open_cohort(folder).cases
    except CohortError:
        return ()


def _kept_records(
    folder: Path, cases: Sequence[IndexEntry]
) -> dict[tuple[str, str, str, str], bytes]:
    """The records of the index that the manifest names; none where a byte of it was changed."""
    path = folder / INDEX_NAME
    try:
        tree = layout.unsealed(layout.read_manifest_bytes(folder), layout.MANIFEST_NAME)
        known = {file["name"]: file["sha256"] for file in tree["files"]}
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != known.get(INDEX_NAME):
                return {}
    except (CohortError, FileNotFoundError, LookupError, TypeError):
        return {}
    file = _IndexFile.opened(folder, _head_of(cases), len(cases))
    if file is None:
        return {}
    return {_identity(entry): file.record(row) for row, entry in enumerate(cases)}


class CaseTables:
    """The table of every case, and the case files that are mapped; pickles without handles."""

    def __init__(self, index: CohortIndex, *, advise: bool) -> None:
        self.folder = index.folder
        self.advise = advise
        self._rows = {entry.id: n for n, entry in enumerate(index.cases)}
        self._head = _head_of(index.cases, index.folder)
        self._kept: OrderedDict[str, CaseTable] = OrderedDict()
        self._renew()

    def _renew(self) -> None:
        self._file = _IndexFile.opened(self.folder, self._head, len(self._rows))
        self._mapped: OrderedDict[str, MappedCase] = OrderedDict()
        self._places: Places | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Without maps and locks; tables that only the case files can give again travel along."""
        state = {k: v for k, v in vars(self).items() if k not in _OF_A_PROCESS}
        return {**state, "_kept": OrderedDict() if self._file else OrderedDict(self._kept)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._renew()

    @property
    def from_index(self) -> bool:
        """Whether there is an index file that belongs to the cohort."""
        return self._file is not None

    def table(self, entry: IndexEntry) -> CaseTable:
        """The table of a case; CohortError or CorruptCaseError as load.read_case."""
        found = self._kept.get(entry.id)
        if found is None:
            found = self._made(entry)
            with self._lock:
                self._kept[entry.id] = found
                while self._file is not None and len(self._kept) > MAX_KEPT:
                    self._kept.popitem(last=False)
        return found

    def mapped(self, entry: IndexEntry) -> MappedCase:
        """The case file, mapped; the least recently used one is let go when there are many."""
        case = self._mapped.get(entry.id)
        if case is None:
            extent = extent_of(
                self.folder, entry.name, entry.size_bytes, entry.sha256, self._values()
            )
            case = MappedCase(extent, self.table(entry), advise=self.advise)
        with self._lock:
            self._mapped[entry.id] = case
            self._mapped.move_to_end(entry.id)
            while len(self._mapped) > MAX_OPEN:
                self._mapped.popitem(last=False)  # unmapped when the last reader is done
        return case

    def _values(self) -> Places | None:
        """Where the values of an LMDB lie; None where the cohort is none."""
        if self._places is None and is_lmdb(self.folder):
            self._places = value_places(self.folder)
        return self._places

    def _made(self, entry: IndexEntry) -> CaseTable:
        if self._file is None:
            return _checked(self.folder, entry)
        try:
            table = self._file.table(self._rows[entry.id])
        except CorruptCaseError as error:
            raise CorruptCaseError(
                f"case {entry.id}, file {_index_path(self.folder)}: {error}; delete that file"
            ) from None
        return _require_same(entry, table)


class _IndexFile:
    """An index file, mapped; a record is decoded when it is asked for."""

    def __init__(self, view: mmap.mmap, start: int, ends: np.ndarray[Any, Any]) -> None:
        self._view, self._start, self._ends = view, start, ends

    @classmethod
    def opened(cls, folder: Path, head: dict[str, Any], count: int) -> _IndexFile | None:
        """The index of these very case files; None when there is none, or it is of others."""
        path = _index_path(folder)
        if path.is_symlink() or not path.is_file():
            return None
        with path.open("rb") as stream:
            if stream.read(len(_MAGIC)) != _MAGIC:
                return None
            (length,) = _LENGTH.unpack(stream.read(_LENGTH.size).ljust(_LENGTH.size))
            if _parsed(stream.read(min(length, _MAX_HEAD))) != head:
                return None
            (rows,) = _LENGTH.unpack(stream.read(_LENGTH.size).ljust(_LENGTH.size))
            ends = np.frombuffer(stream.read((count + 1) * 8), "<u8")
            start = stream.tell()
            rises = ends.size == count + 1 == rows + 1 and (ends[1:] >= ends[:-1]).all()
            if not rises or int(ends[-1]) + start != path.stat().st_size:
                return None
            return cls(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), start, ends)

    def table(self, row: int) -> CaseTable:
        return decoded(self.record(row))

    def record(self, row: int) -> bytes:
        first, last = (self._start + int(end) for end in self._ends[row : row + 2])
        return self._view[first:last]


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _checked(place: Path, entry: IndexEntry) -> CaseTable:
    with opened_case(place, entry.id, entry.name) as (file, source):
        return _require_same(entry, table_in(file, source))


def _require_same(entry: IndexEntry, table: CaseTable) -> CaseTable:
    if table.id != entry.id:
        raise CorruptCaseError(f"{entry.name} holds case {table.id}, not {entry.id}")
    return table
