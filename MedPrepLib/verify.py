"""Verifying a cohort: every byte is what was written, and nothing is there that was not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from MedPrepLib import layout
from MedPrepLib.atomic import PARTIAL_SUFFIX
from MedPrepLib.errors import CohortError
from MedPrepLib.manifest import Manifest, ManifestCase, parse_manifest, read_manifest
from MedPrepLib.results import ShardFile

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Problem:
    """A difference between a cohort and its manifest; ``name`` is relative to the cohort."""

    name: str
    message: str


def verify(
    cohort_dir: Path | str, *, deep: bool = True, progress: Progress | None = None
) -> tuple[Problem, ...]:
    """Everything in which a cohort differs from what was written; empty when it is whole.

    Checks the manifest against its own hash, every file against the size and (``deep``) the
    SHA-256 in the manifest, every case file against the id and the recipe it was made for, and
    looks for files in cases/, report/ and next/ that no manifest names. ``progress`` is told (done,
    total, name). Never raises for damage; OSError when the folder itself cannot be listed.

    Of a cohort in one HDF5 file or an LMDB every case is looked for and read: an LMDB holds the
    very case files; bricks and attributes in HDF5 have checksums of their own. UnsupportedError
    where the package that reads them is missing.
    """
    root = Path(cohort_dir)
    if is_consolidated(root):
        return tuple(_consolidated_problems(root, deep, progress or _silent))
    try:
        manifest = read_manifest(root)
    except CohortError as error:
        return (Problem(layout.MANIFEST_NAME, str(error)),)
    return tuple(_problems(root, manifest, deep, progress or _silent))


def _problems(root: Path, manifest: Manifest, deep: bool, progress: Progress) -> Iterator[Problem]:
    total = len(manifest.cases) + len(manifest.files)
    for done, case in enumerate(manifest.cases, start=1):
        found = list(_file_problems(root, case.shard, deep))
        # A file that is damaged is not opened: its content is not to be trusted.
        yield from found or _case_problems(root, case, manifest.recipe_hash)
        progress(done, total, case.shard.name)
    for done, file in enumerate(manifest.files, start=len(manifest.cases) + 1):
        # Where a run ended right after its manifest, the file still waits for the next one.
        if not is_whole(root / layout.NEXT_FOLDER, file):
            yield from _file_problems(root, file, deep)
        progress(done, total, file.name)
    known = {case.shard.name for case in manifest.cases} | {file.name for file in manifest.files}
    yield from _strangers(root, known, _replaced(root))


def _file_problems(root: Path, file: ShardFile, deep: bool) -> Iterator[Problem]:
    path = root / file.name
    if path.is_symlink() or not path.is_file():
        what = "is a link, not a file" if path.is_symlink() else "is missing"
        yield Problem(file.name, what)
        return
    size = path.stat().st_size
    if size != file.size:
        yield Problem(file.name, f"has {size} bytes instead of {file.size}")
    elif deep and _sha256(path) != file.sha256:
        yield Problem(file.name, "was changed: its SHA-256 is not the one in the manifest")


def is_whole(root: Path, file: ShardFile, *, deep: bool = True) -> bool:
    """True when the file lies under ``root`` as the manifest describes it.

    ``deep``: to the last byte; else it is there and as large.
    """
    return not list(_file_problems(root, file, deep=deep))


def is_consolidated(place: Path) -> bool:
    """True for what ``medprep export --to hdf5`` or ``lmdb`` makes: no folder of case files."""
    return place.is_file() or (place / layout.LMDB_NAME).is_file()


def _consolidated_problems(place: Path, deep: bool, progress: Progress) -> Iterator[Problem]:
    from MedPrepLib.load.storage import read_manifest_bytes

    try:
        manifest = parse_manifest(read_manifest_bytes(place))
    except CohortError as error:
        yield Problem(layout.MANIFEST_MEMBER, str(error))
        return
    for done, case in enumerate(manifest.cases, start=1):
        try:
            problem = _stored_problem(place, case, manifest.recipe_hash, deep)
        except CohortError as error:
            problem = str(error)
        if problem:
            yield Problem(f"{layout.CASES_FOLDER}/{case.id}", problem)
        progress(done, len(manifest.cases), case.id)


def _stored_problem(place: Path, case: ManifestCase, recipe_hash: str, deep: bool) -> str:
    """What is wrong with a case, in words; CohortError where it cannot be read."""
    from MedPrepLib.load.case import read_head
    from MedPrepLib.load.lmdbvalues import case_key, read_value
    from MedPrepLib.load.storage import opened_case, read_stored

    if not place.is_file():
        data = read_value(place, case_key(case.id))
        if hashlib.sha256(data).hexdigest() != case.shard.sha256:
            return "is not the case file that the manifest names"
    with opened_case(place, case.id, case.shard.name) as (file, source):
        head = read_head(file, source)
    if head.id != case.id:
        return f"holds case {head.id}, not {case.id}"
    if not deep:
        return ""
    whole = read_stored(place, case.id, case.shard.name)
    return "" if whole.recipe_hash == recipe_hash else "was made with another recipe"


def _case_problems(root: Path, case: ManifestCase, recipe_hash: str) -> Iterator[Problem]:
    from MedPrepLib.load.case import read_attributes

    try:
        attributes = read_attributes(root / case.shard.name)
    except CohortError as error:
        yield Problem(case.shard.name, str(error))
        return
    if attributes["case_id"] != case.id:
        yield Problem(case.shard.name, f"holds case {attributes['case_id']}, not {case.id}")
    if attributes["recipe_hash"] != recipe_hash:
        yield Problem(case.shard.name, "was made with another recipe than the cohort")


def _replaced(root: Path) -> set[str]:
    """Names that the manifest before knew, where a run ended before it removed what is gone."""
    try:
        return {file.name for file in read_manifest(root / layout.NEXT_FOLDER).files}
    except CohortError:
        return set()


def _strangers(root: Path, known: set[str], replaced: set[str]) -> Iterator[Problem]:
    for folder in (layout.CASES_FOLDER, layout.REPORT_FOLDER, layout.NEXT_FOLDER):
        for place, folders, names in sorted(os.walk(root / folder)):
            links = [name for name in folders if (Path(place) / name).is_symlink()]
            for name in sorted([*names, *links]):
                relative = (Path(place) / name).relative_to(root).as_posix()
                if relative not in known:
                    left = relative in replaced or folder == layout.NEXT_FOLDER
                    yield Problem(relative, _why_strange(folder, name, left=left))


def _why_strange(folder: str, name: str, *, left: bool) -> str:
    if left or name.endswith(PARTIAL_SUFFIX):
        return "is left from an interrupted run"
    if folder == layout.CASES_FOLDER and layout.is_case_file(name):
        return "is not in the manifest: a run was interrupted, or is under way"
    return "is not in the manifest"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _silent(_done: int, _total: int, _name: str) -> None:
    return
