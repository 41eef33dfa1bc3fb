"""Keeping the site's key: a backup that people can store, its restoration, and whose key it is.

Whoever holds the key can compute pseudonyms; whoever lost it cannot link new data to old cohorts.
A backup is a small text file, for its owner only, that says which key it is; only there does the
secret stand in clear.
"""

from __future__ import annotations

import os
from pathlib import Path

from MedPrepLib.atomic import FILE_MODE, make_folder
from MedPrepLib.errors import CohortError, RunError
from MedPrepLib.identity import KEY_BYTES, SiteKey, key_trail, load_site_key, site_key_path
from MedPrepLib.layout import MANIFEST_NAME
from MedPrepLib.manifest import read_manifest

HEAD = "medprep site key 1"
_MOST_BYTES = 4096


def existing_key(path: Path | None = None) -> SiteKey:
    """The site's key; RunError where there is none yet, or as load_site_key."""
    place = path or site_key_path()
    if not place.exists():
        raise RunError(
            f"there is no site key at {place} yet: the first run makes one, or restore yours with "
            "medprep key restore FILE"
        )
    return load_site_key(place)


def back_up_key(target: Path, path: Path | None = None) -> SiteKey:
    """Write the key into a new file that only its owner may read; RunError when it exists."""
    place = path or site_key_path()
    key = existing_key(place)
    text = (
        f"{HEAD}\n# Keep this where patients' names may be kept, and never beside a cohort.\n"
        f"id {key.key_id}\nkey {key.secret.hex()}\n"
    )
    _write_new(target, text.encode())
    key_trail(place).add("", "key backed up", key=key.key_id)
    return key


def restore_key(source: Path, path: Path | None = None) -> SiteKey:
    """Put the key of a backup where the site's key lies.

    Raises RunError for a file that holds no key or a damaged one, and when another key is there:
    cohorts that were made with it need it.
    """
    key = read_backup(source)
    place = path or site_key_path()
    if place.exists():
        there = load_site_key(place)
        if there != key:
            raise RunError(
                f"{place} holds another key ({there.key_id}, the backup {key.key_id}); cohorts "
                "made with it need it: back it up and move it away first"
            )
        return key
    make_folder(place.parent)
    _write_new(place, key.secret)
    key_trail(place).add("", "key restored", key=key.key_id)
    return key


def read_backup(source: Path) -> SiteKey:
    """The key in a backup; RunError for a file that is none or was damaged."""
    with source.open("rb") as stream:
        data = stream.read(_MOST_BYTES)
    try:
        lines = data.decode("ascii").splitlines()
        words = dict(line.split(" ", 1) for line in lines[1:] if not line.startswith("#"))
        secret = bytes.fromhex(words["key"])
    except (ValueError, KeyError):
        lines, words, secret = [], {}, b""
    if not lines or lines[0] != HEAD or len(secret) != KEY_BYTES:
        raise RunError(f"{source} is no backup of a site key (medprep key backup writes one)")
    key = SiteKey(secret)
    if key.key_id != words.get("id"):
        raise RunError(f"{source} was damaged: its key does not have the id that it names")
    return key


def require_outside(cohort: Path, private: Path, path: Path | None = None) -> None:
    """RunError when the key lies in a cohort, or in its private folder, which may go with it."""
    place = (path or site_key_path()).resolve()
    for folder in (cohort, private):
        if place.is_relative_to(folder):
            raise RunError(f"the site key lies in {folder}; move it away and set MEDPREP_KEY_FILE")


def require_same_key(cohort: Path, remembered: bytes | None, key: SiteKey) -> None:
    """RunError when the cohort was begun with another key: nobody in it would be found again.

    ``remembered``: the id of the key of the last run, as the ledger has it. A manifest that
    cannot be read says nothing.
    """
    known = {remembered.decode()} if remembered else set()
    if (cohort / MANIFEST_NAME).is_file():
        try:
            known.add(read_manifest(cohort).key_id)
        except CohortError:
            known.discard("")
    other = sorted(known - {"", key.key_id})
    if other:
        raise RunError(
            f"{cohort.name} was made with site key {other[0]}, this is key {key.key_id}: every "
            "pseudonym would be another one. Restore the key (medprep key restore FILE) or name it "
            "by MEDPREP_KEY_FILE; if it is lost, make a new cohort with --out FOLDER (reviews and "
            "re-admissions of the old one cannot be linked to it)"
        )


def _write_new(path: Path, data: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    except FileExistsError:
        raise RunError(f"{path} exists already; choose another name") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
