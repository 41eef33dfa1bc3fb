"""Names and rules of a cohort folder and its case files, shared by pack, load and verify.

Standard library only: a training node reads cohorts without the packages that make them.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from MedPrepLib.errors import CohortError, CorruptCaseError, MedPrepError

FORMAT = "medprep-cohort"
FORMAT_VERSION = 2
"""Of the manifest and of the case files. Older versions are read, newer ones refused.

1: a case file is called after its case. 2: and after its content, so that a cohort that is made
again never changes a file which the manifest before names.
"""

MANIFEST_NAME = "manifest.json"
MANIFEST_MEMBER = "manifest"
"""Where the manifest is in a cohort that is one file."""
LMDB_NAME = "data.mdb"
"""The file by which a folder is known as a cohort in LMDB."""
CASES_FOLDER = "cases"
REPORT_FOLDER = "report"
INDEX_NAME = "load.index"
"""Beside the manifest: where all bricks lie, so that a large cohort opens at once."""
NEXT_FOLDER = "next"
"""Where report and tables wait for the manifest that names them; gone when a run is done."""
PRIVATE_SUFFIX = "-private"
LEDGER_NAME = "ledger.sqlite"
"""In the private folder beside a cohort, from the first moment of a run."""
SHARDS_FOLDER = "shards"
"""In the private folder: a folder with ledger, lock and logs for each part of a run."""
BRICK = 32
"""Edge of the bricks (HDF5 chunks) in voxels; smaller images have smaller bricks."""

META_KEYS = frozenset({
    "modality", "center", "patient", "sex", "age_years", "age_capped", "body_part",
    "manufacturer", "model", "device", "kvp", "slice_thickness_mm", "repetition_time_ms",
    "echo_time_ms", "field_strength_t", "kernel", "contrast_agent", "image_type", "bits_stored",
    "study_description_present", "lossy", "days_since_first_study",
})  # fmt: skip
"""Everything that a case file may say about its case; nothing else is kept."""

MAX_VOXELS = 1 << 31
"""Of one case. A file of a few kilobytes can declare any size: bricks that are not stored are free.
"""

MAX_MANIFEST_BYTES = 1 << 30
_PUBLIC_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CASE_FILE = re.compile(r"[A-Za-z0-9._-]{1,64}(-[0-9a-f]{12})?\.h5")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_SEAL = "0" * 64


class NameRefusedError(MedPrepError, ValueError):
    """A name that may not become a file name or an HDF5 name."""


def require_public_id(case_id: str) -> str:
    """``case_id`` itself; NameRefusedError unless it is 1 to 64 of letters, digits, ``._-``."""
    if not _PUBLIC_ID.fullmatch(case_id) or case_id.strip(".") == "":
        raise NameRefusedError(
            f"case id {case_id!r} cannot be a file name: 1 to 64 of the characters "
            "A-Z a-z 0-9 . _ - are allowed, and not dots alone"
        )
    return case_id


def private_folder(cohort: Path) -> Path:
    """The folder beside a cohort that holds everything private."""
    return cohort.with_name(cohort.name + PRIVATE_SUFFIX)


def case_folder(case_id: str) -> str:
    """The folder of a case in its cohort: cases/<first two hex of the sha256 of its id>."""
    digest = hashlib.sha256(require_public_id(case_id).encode()).hexdigest()
    return f"{CASES_FOLDER}/{digest[:2]}"


def case_file_name(case_id: str, sha256: str) -> str:
    """Where a case lies in its cohort, with slashes: <folder>/<id>-<first 12 hex of sha256>.h5.

    ``sha256``: of the file. So what a manifest names is never overwritten by another content.
    """
    return f"{case_folder(case_id)}/{case_id}-{sha256[:12]}.h5"


def is_case_file(name: str) -> bool:
    """True for what the file of some case may be called, without its folder."""
    return _CASE_FILE.fullmatch(name) is not None


def require_place(case_id: str, name: str, sha256: str, version: int) -> None:
    """CohortError unless ``name`` is where the case must lie: names never lead elsewhere.

    ``version``: of the format; in the first one the content was no part of a name.
    """
    try:
        expected = case_file_name(case_id, sha256)
        if version < 2:
            expected = f"{case_folder(case_id)}/{case_id}.h5"
    except NameRefusedError as error:
        raise CohortError(str(error)) from None
    if name != expected or not _SHA256.fullmatch(sha256):
        raise CohortError(f"case {case_id} cannot lie at {name!r}")


def is_safe_name(name: str) -> bool:
    """True for a relative path with slashes that stays in its folder."""
    parts = name.split("/")
    return (
        bool(name)
        and "\\" not in name
        and ":" not in name
        and all(part not in {"", ".", ".."} and part.isprintable() for part in parts)
    )


def slugs(names: Iterable[str]) -> dict[str, str]:
    """A safe and unique HDF5 name for each display name, the same whatever the order.

    Letters without accents, digits, dash and underscore stay; clashes get a number.
    """
    taken: dict[str, str] = {}
    for name in sorted(set(names)):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_")[:48] or "unnamed"
        slug, number = stem, 2
        while slug in taken.values():
            slug, number = f"{stem}-{number}", number + 1
        taken[name] = slug
    return taken


def canonical_json(tree: Any) -> str:
    """Sorted keys, no blanks, ASCII, no NaN: equal trees give equal text."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)


def record_hash(attributes: Mapping[str, Any]) -> str:
    """SHA-256 in hex over the attributes of a case file (arrays as lists of numbers)."""
    return hashlib.sha256(canonical_json(attributes).encode()).hexdigest()


# --- the seal of the manifest -----------------------------------------------------------------
def sealed(tree: dict[str, Any]) -> tuple[bytes, str]:
    """The bytes of a manifest and its root hash.

    The root hash is the SHA-256 of the very bytes of the file with its own 64 digits read as
    zeros; so any other byte, wherever it is, breaks it.
    """
    text = json.dumps(
        {**tree, "root_hash": _NO_SEAL}, sort_keys=True, indent=1, allow_nan=False
    ).encode()
    if text.count(_NO_SEAL.encode()) != 1:
        raise MedPrepError("a manifest may not hold 64 zeros besides its own hash")
    root_hash = hashlib.sha256(text).hexdigest()
    return text.replace(_NO_SEAL.encode(), root_hash.encode()), root_hash


def unsealed(data: bytes, source: str) -> dict[str, Any]:
    """The tree in the bytes of a manifest, after its format, version and root hash are checked.

    Raises CohortError for another format or a newer version, CorruptCaseError for damage.
    """
    try:
        tree: dict[str, Any] = json.loads(data)
        root_hash = tree["root_hash"]
        known, version = tree["format"], tree["format_version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CorruptCaseError(f"{source} is damaged or no cohort manifest") from None
    if known != FORMAT:
        raise CohortError(f"{source} is not the manifest of a cohort (format {known!r})")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise CohortError(
            f"{source} has format version {version}; this MedPrep reads versions up to "
            f"{FORMAT_VERSION}: install a newer MedPrep"
        )
    seal = str(root_hash).encode()
    blank = data.replace(seal, _NO_SEAL.encode()) if data.count(seal) == 1 else b""
    if len(seal) != 64 or hashlib.sha256(blank).hexdigest() != root_hash:
        raise CorruptCaseError(f"{source} is damaged: its bytes do not give its root hash")
    return tree


def read_manifest_bytes(cohort_dir: Path | str) -> bytes:
    """The bytes of the manifest; CohortError when there is none or it is implausibly large."""
    path = Path(cohort_dir) / MANIFEST_NAME
    try:
        size = path.stat().st_size
        if size > MAX_MANIFEST_BYTES:
            raise CohortError(f"{MANIFEST_NAME} has {size} bytes, more than {MAX_MANIFEST_BYTES}")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise CohortError(f"{Path(cohort_dir)} is no cohort: it has no {MANIFEST_NAME}") from None
