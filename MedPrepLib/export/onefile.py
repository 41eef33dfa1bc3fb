"""Consolidation: all cases of a cohort in one HDF5 file, or in one LMDB.

Both are functions of the case files alone, hold the manifest, and are opened by load.open_cohort
like the folder they were made of. Nothing is decoded on the way.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from MedPrepLib import atomic, layout
from MedPrepLib.errors import CorruptCaseError, RunError
from MedPrepLib.export.folder import new_folder
from MedPrepLib.export.network import network_filesystem
from MedPrepLib.load import CohortIndex, IndexEntry
from MedPrepLib.load.guard import opened
from MedPrepLib.load.lmdbvalues import as_value, case_key, lmdb_module
from MedPrepLib.load.storage import read_manifest_bytes

SPARE_BYTES = 1 << 24
"""Room in the LMDB besides the values: pages of keys, and what a page leaves unused."""
_PAGE_BYTES = 4096


def to_hdf5(index: CohortIndex, target: Path) -> None:
    """One HDF5 file: ``manifest`` (the bytes of manifest.json) and ``cases/<id>`` for each case.

    A group holds what the root of a case file holds. Stored bricks are copied as they are.
    Raises CorruptCaseError for a case file that the manifest does not describe, RunError where
    another kind of file would be replaced.
    """
    import h5py

    _require_folder(index)
    if target.exists() and not h5py.is_hdf5(target):
        raise RunError(f"{target} exists and is no HDF5 file; name another one")
    with (
        atomic.replacing(target) as partial,
        h5py.File(partial, "w", libver=("v110", "v110")) as file,
    ):
        manifest = np.frombuffer(read_manifest_bytes(index.folder), dtype=np.uint8)
        file.create_dataset(layout.MANIFEST_MEMBER, data=manifest, track_times=False)
        cases = file.create_group(layout.CASES_FOLDER)
        for entry in index.cases:
            _require_intact(index, entry)
            with opened(index.folder / entry.name) as shard:
                group = cases.create_group(entry.id)
                for name in sorted(shard):
                    shard.copy(shard[name], group, name)
                for key in sorted(shard.attrs):
                    group.attrs[key] = shard.attrs[key]


def to_lmdb(index: CohortIndex, target: Path, *, allow_network: bool = False) -> None:
    """A folder with one LMDB: ``manifest`` and ``cases/<id>``, see load.lmdbvalues.

    Raises RunError on a network file system unless that is allowed: lmdb.h says that databases
    must not lie on one, because memory maps of several machines do not agree. Raises
    UnsupportedError when lmdb is missing.
    """
    lmdb = lmdb_module()
    _require_folder(index)
    filesystem = network_filesystem(target)
    if filesystem and not allow_network:
        raise RunError(
            f"{target} is on a network file system ({filesystem}), where LMDB is not safe while "
            "it is written; export to a local disk and copy it, or allow it (--allow-network)"
        )
    sizes = sum(entry.size_bytes + 2 * _PAGE_BYTES for entry in index.cases)
    manifest = read_manifest_bytes(index.folder)
    with new_folder(target) as partial:
        size = (sizes + len(manifest) + SPARE_BYTES) // _PAGE_BYTES * _PAGE_BYTES
        with lmdb.open(str(partial), map_size=size, lock=False, mode=atomic.FILE_MODE) as database:
            for entry in index.cases:
                value = as_value(_require_intact(index, entry))
                with database.begin(write=True) as transaction:
                    transaction.put(case_key(entry.id).encode(), value)
            with database.begin(write=True) as transaction:
                transaction.put(layout.MANIFEST_MEMBER.encode(), as_value(manifest))
            database.sync(True)


def _require_folder(index: CohortIndex) -> None:
    if not (index.folder / layout.CASES_FOLDER).is_dir():
        raise RunError(f"{index.folder} is one file already; export from the folder of the cohort")


def _require_intact(index: CohortIndex, entry: IndexEntry) -> bytes:
    """The bytes of a case file, which are those that the manifest names."""
    data = (index.folder / entry.name).read_bytes()
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise CorruptCaseError(f"case {entry.id}, file {entry.name}: was changed since it was made")
    return data
