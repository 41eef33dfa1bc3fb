"""What must be true before a run begins: a target to write to, room on its disk, the same recipe.

Everything here raises before a source is read or a byte is written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from MedPrepLib.config import CASE_SECTIONS, Study, parse_study, public_text
from MedPrepLib.errors import CohortError, ConfigError, RecipeError, RunError
from MedPrepLib.manifest import read_manifest
from MedPrepLib.pipeline.draft import CaseTask

RESERVE_BYTES = 256 << 20
"""Left free beside the cohort: ledger, report, pictures, and what others write meanwhile."""

OVERHEAD = 1.05
"""Checksums, chunk tables and partly filled bricks beside the voxels."""

BYTES_PER_VOXEL = 3
"""int16 for the image, uint8 for the mask; readings are sparse and hardly count."""

SHOWN_CHANGES = 12

RECIPE = ("seed", "split", *CASE_SECTIONS)
"""The settings of single cases, and who trains or tests."""


def require_text(*folders: Path) -> None:
    """Raise RunError for a folder whose name is no text: nothing below it could be told by name.

    Old archives keep names in the letters of their time, which are no UTF-8.
    """
    for folder in folders:
        try:
            str(folder).encode()
        except UnicodeEncodeError:
            shown_name = os.fsencode(folder).decode("utf-8", "backslashreplace")
            raise RunError(f"{shown_name} is no name in UTF-8; rename that folder") from None


def require_room(folder: Path, tasks: Iterable[CaseTask]) -> None:
    """Raise RunError unless the disk of ``folder`` has room for all of ``tasks`` and a reserve.

    The estimate takes every image as if nothing could be left out. Images whose size the scan
    does not tell (NIfTI, NRRD) count by the size of their files.
    """
    needed = OVERHEAD * sum(_bytes_of(task) for task in tasks) + RESERVE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RunError(
            f"{folder}: up to {shown(needed)} may be needed, {shown(free)} are free; make room, "
            "choose another folder with --out, or run with --force if you know better"
        )


def _bytes_of(task: CaseTask) -> int:
    image = task.candidate.case.image
    if image.geometry is not None:
        i, j, k = image.geometry.size
        return BYTES_PER_VOXEL * i * j * k
    paths = (*image.paths, *image.data_paths)
    return sum(Path(path).stat().st_size for path in paths if Path(path).is_file())


def shown(count: float) -> str:
    """A number of bytes for people: 1.2 GB, 300.0 MB."""
    unit, size = ("GB", 1e9) if count >= 1e9 else ("MB", 1e6)
    return f"{count / size:.1f} {unit}"


def recipe_of(study: Study) -> bytes:
    """Every setting that makes a cohort another one, as JSON: what a later run compares with.

    Left out are [run], which only says how the work is done, and sources: a study may grow.
    """
    return msgspec.json.encode({name: getattr(study, name) for name in RECIPE}, order="sorted")


def require_same_recipe(before: bytes | None, study: Study) -> None:
    """Raise RecipeError, listing what differs, when a cohort was begun with another recipe.

    ``before`` is what :func:`recipe_of` gave when it was begun; None for a new cohort.
    """
    if before is None or before == recipe_of(study):
        return
    old, new = (msgspec.json.decode(recipe) for recipe in (before, recipe_of(study)))
    changes = list(_differences("$", old, new))
    listed = "".join(f"\n  {line}" for line in changes[:SHOWN_CHANGES])
    more = len(changes) - SHOWN_CHANGES
    listed += f"\n  ... and {more} more" if more > 0 else ""
    raise RecipeError(
        f"the cohort was made with other settings:{listed}\n"
        "run with --rebuild to make it again with the new ones, or with --out FOLDER to keep both"
    )


def require_recipe_of_manifest(cohort: Path, study: Study) -> None:
    """The same by what the manifest of a cohort tells, whose private folder is lost or elsewhere.

    Settings that name paths are not in it and not compared. A manifest that cannot be read, or
    whose settings this version does not know, says nothing.
    """
    try:
        manifest = read_manifest(cohort)
        made = parse_study(manifest.config, schema=manifest.schema)
    except (CohortError, ConfigError):
        return
    require_same_recipe(recipe_of(made), parse_study(public_text(study), schema=study.schema()))


def _differences(path: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _differences(f"{path}.{key}", old.get(key), new.get(key))
    elif old != new:
        yield f"{path}: {_value(old)} -> {_value(new)}"


def _value(value: Any) -> str:
    return "not set" if value is None else msgspec.json.encode(value).decode()
