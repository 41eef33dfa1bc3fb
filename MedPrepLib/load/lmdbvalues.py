"""Values of a cohort in LMDB: a fixed header and raw bytes, nothing that has to be interpreted.

Header, little-endian: magic ``MPLV``, version (uint16), data type (uint8, DATA_TYPES), dimensions
(uint8), shape (4 x uint64, unused ones 0), SHA-256 of the bytes (32). Then the bytes. A case is one
value of unsigned bytes: its case file, whole, so that nothing is encoded twice, and that bricks are
read from the middle of it (load.lmdbpages).
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MedPrepLib.errors import CohortError, CorruptCaseError, UnsupportedError
from MedPrepLib.load.lmdbcheck import require_sound

MAGIC, VERSION = b"MPLV", 1
DATA_TYPES = {1: ("|u1", 1)}
"""Codes of data types, with their bytes per item."""

_HEADER = struct.Struct("<4sHBB4Q32s")
HEADER_BYTES = _HEADER.size
_UNSIGNED_BYTE = 1
_locks: dict[int, threading.Lock] = {}


def case_key(case_id: str) -> str:
    """The key of a case."""
    return f"cases/{case_id}"


def lmdb_module() -> Any:
    """The lmdb package; UnsupportedError, with the command that installs it, when missing."""
    try:
        import lmdb
    except ImportError:
        raise UnsupportedError('a cohort in LMDB needs lmdb: pip install "MedPrep[lmdb]"') from None
    return lmdb


def as_value(data: bytes) -> bytes:
    """Bytes with their header in front."""
    digest = hashlib.sha256(data).digest()
    return _HEADER.pack(MAGIC, VERSION, _UNSIGNED_BYTE, 1, len(data), 0, 0, 0, digest) + data


@dataclass(frozen=True, slots=True)
class Header:
    """What a value says of the bytes behind it: how many, and their SHA-256."""

    size: int
    sha256: bytes


def header_of(value: bytes | memoryview, source: str) -> Header:
    """The header of a value; CorruptCaseError, naming ``source``, when it has none."""
    if len(value) < HEADER_BYTES:
        raise CorruptCaseError(f"{source} has {len(value)} bytes, less than a header")
    magic, version, code, dimensions, *shape, digest = _HEADER.unpack_from(value)
    if magic != MAGIC:
        raise CorruptCaseError(f"{source} is no value of a cohort")
    if version > VERSION:
        raise CohortError(f"{source} has version {version}: install a newer MedPrep")
    known = version >= 1 and code in DATA_TYPES and 1 <= dimensions <= len(shape)
    if not known or any(shape[dimensions:]):
        raise CorruptCaseError(f"{source} has data type {code} and {dimensions} dimensions")
    return Header(math.prod(shape[:dimensions]) * DATA_TYPES[code][1], digest)


def from_value(value: bytes | memoryview, source: str) -> bytes:
    """The bytes behind a header; CorruptCaseError when they are not what it says."""
    header = header_of(value, source)
    data = bytes(memoryview(value)[HEADER_BYTES:])
    if len(data) != header.size or hashlib.sha256(data).digest() != header.sha256:
        raise CorruptCaseError(f"{source} was changed: it does not give its checksum")
    return data


def read_value(folder: Path, key: str) -> bytes:
    """The bytes stored under a key.

    The environment is opened without locks for every value, and closed again: it neither
    pickles nor survives a fork. Raises CohortError when there is no such key or no LMDB.
    """
    lmdb = lmdb_module()
    require_sound(folder)
    # LMDB wants to be open once a process; a lock of the parent means nothing in a child.
    with _locks.setdefault(os.getpid(), threading.Lock()):
        try:
            with (
                lmdb.open(
                    str(folder), readonly=True, lock=False, create=False, readahead=False
                ) as environment,
                environment.begin(buffers=True) as transaction,
            ):
                value = transaction.get(key.encode())
                if value is None:
                    raise CohortError(f"{folder} has no {key!r}")
                return from_value(value, f"{folder}, {key}")
        except lmdb.Error as error:
            raise CohortError(f"{folder} is damaged or no LMDB: {error}") from None
