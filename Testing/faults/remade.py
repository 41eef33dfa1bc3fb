"""A cohort of three cases that is made again with other settings, and dies on the way.

    python remade.py STUDY BASE PLACES LIMIT...

makes, for every LIMIT, a copy of BASE (cohort and private folder) in PLACES, and makes its cohort
again in a child that is killed before its call LIMIT. Prints the number of calls of a child that
may end (LIMIT 0). With "all" for LIMIT, no child is killed: what one that is killed before its call
n would leave is copied to n in PLACES, for every n.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from MedPrepLib.identity import SiteKey
from MedPrepLib.images import Volume
from MedPrepLib.pipeline import casework, order_of, run, workers
from MedPrepLib.sample.niftifile import write_nifti

KEY = SiteKey(bytes(32))
CALLS = ("open", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir")
ALL = "all"
STUDY = """
name = "again"
[[sources]]
kind = "folders"
path = "raw"
modality = "MR"
[labels.organ]
value = 1
[privacy]
case_names = "given"
[split]
test_fraction = 0
"""
OTHER = """
[pack]
codec = "gzip"
[screen]
min_slices = 12
"""
"""Other bytes of the cases that stay, and one case less."""


def write_study(folder: Path) -> Path:
    """Three patients with one rater; the third image is one slice shorter."""
    from scene.case_samples import GRID

    for number, slices in enumerate((12, 12, 11)):
        here = folder / "raw" / "north" / f"p{number}" / f"c{number}"
        (here / "masks").mkdir(parents=True)
        grid = GRID.cropped((0, 0, 0), (26, 22, slices)) if slices < 12 else GRID
        image = np.random.default_rng(number).integers(0, 500, grid.shape).astype(np.int16)
        mask = np.zeros(grid.shape, np.uint8)
        mask[2:9, 2:20, 2:24] = 1
        write_nifti(here / "image.nii.gz", Volume(image, grid))
        write_nifti(here / "masks" / "ana.nii.gz", Volume(mask, grid))
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    return folder / "study.toml"


def here_and_now(self: Any, tasks: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Instead of a pool's processes: whatever is called is called in this one."""
    for task in tasks:
        yield task, self._function(task)


def make(study: Path, place: Path, **how: Any) -> None:
    """The cohort of the study in ``place``, by this process alone."""
    run(order_of(study, place / "cohort", workers=1, **how), key=KEY)


def hang_on_the_first(task: Any) -> Any:
    """What a worker does, but for the first, which never ends."""
    if task.name == "north_p0_c0":
        time.sleep(600)
    return casework.work(task)


def note_who_reads(task: Any) -> Any:
    """What a worker does; who reads a drawing, and how much memory that one may take, is noted."""
    import resource

    from MedPrepLib.masks import reading

    notes = task.private / "noted.txt"

    def noting(name: str) -> Callable[..., Any]:
        function = getattr(reading, name)

        def call(*arguments: Any) -> Any:
            limit, _ = resource.getrlimit(resource.RLIMIT_AS)
            with notes.open("a") as file:
                file.write(f"{name} {os.getpid()} {limit}\n")
            return function(*arguments)

        return call

    names = ("read_dicom_seg_with_remarks", "read_rtstruct_with_remarks", "read_mask")
    before = {name: getattr(reading, name) for name in names}
    for name in names:
        setattr(reading, name, noting(name))
    try:
        return casework.work(task)
    finally:
        for name, function in before.items():
            setattr(reading, name, function)


class Calls:
    """Counts calls of ``os``, and does something before each that is not part of it."""

    def __init__(self, before: Callable[[int], None]) -> None:
        self.number = 0
        self._before: Callable[[int], None] | None = before
        for name in CALLS:
            setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            before, self._before = self._before, None
            if before is not None:
                self.number += 1
                before(self.number)
                self._before = before
            return function(*arguments, **options)

        return call


def die(study: Path, place: Path, limit: int) -> None:
    """Make the cohort again; ends before the call ``limit``, or tells how many there were."""

    def before(number: int) -> None:
        if number == limit:
            os.kill(os.getpid(), signal.SIGKILL)

    calls = Calls(before)
    make(study, place, rebuild=True)
    print(calls.number, flush=True)
    os._exit(0)


def copy_all(study: Path, place: Path, places: Path) -> None:
    """Make the cohort again; what lies there before call n is copied to n in ``places``."""
    Calls(lambda number: shutil.copytree(place, places / str(number), symlinks=True))
    make(study, place, rebuild=True)
    os._exit(0)


def main(study: Path, base: Path, places: Path, limits: Sequence[str]) -> None:
    """One child after another, forked from here, where everything is imported already."""
    workers.WorkerPool.run = here_and_now
    shutil.copytree(base, places / "warm")
    make(study, places / "warm", rebuild=True)
    for limit in limits:
        place = places / limit
        shutil.copytree(base, place)
        child = os.fork()
        if child == 0:
            copy_all(study, place, places) if limit == ALL else die(study, place, int(limit))
        _, status = os.waitpid(child, 0)
        ended = status == 0 if limit in (ALL, "0") else os.WIFSIGNALED(status)
        if not ended:
            raise SystemExit(f"{limit}: {status}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), sys.argv[4:])
