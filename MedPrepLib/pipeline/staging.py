"""Report and tables wait beside the cohort until the manifest that names them is written.

Case files bear names of their own, so that old and new ones lie side by side. The report has the
same name in every cohort: it is written into the folder ``next``, then the manifest is written,
and only then the report takes its place. Killed before the manifest, the old cohort is whole;
killed after it, the next run (and verify) finds the rest in ``next``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from MedPrepLib import layout
from MedPrepLib.atomic import PARTIAL_SUFFIX, make_folder, move, write_bytes
from MedPrepLib.errors import CohortError
from MedPrepLib.manifest import Manifest, read_manifest
from MedPrepLib.results import ShardFile
from MedPrepLib.verify import is_whole


@contextmanager
def staged(cohort: Path) -> Iterator[Path]:
    """An empty folder for files of the cohort; on exit, those that its manifest names are moved.

    The manifest is written within the block. Whatever happens, files come into their places only
    if the manifest on the disk names them with this very content.
    """
    settle(cohort)
    place = make_folder(cohort / layout.NEXT_FOLDER)
    manifest = cohort / layout.MANIFEST_NAME
    if manifest.is_file():
        write_bytes(place / layout.MANIFEST_NAME, manifest.read_bytes())
    try:
        yield place
    except BaseException:
        settle(cohort)
        raise
    settle(cohort, deep=False)  # the manifest has just been made of these very files


def settle(cohort: Path, *, deep: bool = True) -> None:
    """Bring an interrupted commit to its end: forwards if its manifest was written, else back.

    ``deep``: files are compared with the manifest to the last byte, not by their sizes.
    """
    place = cohort / layout.NEXT_FOLDER
    if place.is_symlink():
        place.unlink()
    if not place.is_dir():
        return
    files = _files(_manifest_of(cohort))
    waiting = [name for name, file in files.items() if is_whole(place, file, deep=deep)]
    move((place / name, cohort / name) for name in waiting)
    for name in _files(_manifest_of(place)).keys() - files.keys():
        (cohort / name).unlink(missing_ok=True)
    shutil.rmtree(place)


def sweep(cohort: Path) -> None:
    """Remove what workers had begun to write when they were ended; whole case files stay."""
    for path in (cohort / layout.CASES_FOLDER).glob(f"*/*{PARTIAL_SUFFIX}"):
        with suppress(OSError):  # the reason why the run ended is what is told
            path.unlink()


def _files(manifest: Manifest | None) -> dict[str, ShardFile]:
    return {} if manifest is None else {file.name: file for file in manifest.files}


def _manifest_of(folder: Path) -> Manifest | None:
    """The manifest in a folder; None where there is none or it is damaged."""
    try:
        return read_manifest(folder)
    except CohortError:
        return None
