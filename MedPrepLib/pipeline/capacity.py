"""How many cases this machine can do at once: its cores, and its memory for the largest cases."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from MedPrepLib.errors import MedPrepError
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.pipeline.draft import CaseTask
from MedPrepLib.pipeline.preflight import shown

WORKER_BYTES = 120 << 20
"""Memory of a worker beside its case: libraries, tables."""

BYTES_PER_VOXEL = 14.0
"""Memory of a case at its peak, per voxel of the image.

With two readings, workers peaked at 122, 208 and 561 MB for 1.05, 6.29 and 25.2 million voxels
(Testing/bench/bench_scale.py): 19 bytes per voxel and 100 MB.
"""

BYTES_PER_READING_VOXEL = 2.5
"""The same for every reading of it."""

USABLE = 0.9
"""The part of the free memory that workers may plan with."""

LOOKED_AT = 32
"""Files whose headers are read to know the largest images: those with the most bytes."""


@dataclass(frozen=True)
class Capacity:
    """A number of workers, and what it was chosen by. Bytes of 0 are not known."""

    workers: int
    cores: int
    free_bytes: int
    largest_bytes: int
    chosen: bool
    """True when a person chose the number."""

    def __str__(self) -> str:
        """In one line."""
        noun = "worker" if self.workers == 1 else "workers"
        facts = [f"{self.cores} core{'s' * (self.cores != 1)}"]
        if self.free_bytes:
            facts.append(f"{shown(self.free_bytes)} free")
        if self.largest_bytes:
            facts.append(f"largest case needs {shown(self.largest_bytes)}")
        wanted = " as set" if self.chosen else ""
        return f"{self.workers} {noun}{wanted}: {', '.join(facts)}"


def capacity(tasks: Sequence[CaseTask], wanted: int = 0) -> Capacity:
    """How many of ``tasks``, the largest first, can be done at once; ``wanted``: so many, if set.

    As many as there are cores for this process, and fewer where the largest cases together would
    need more than the free memory; always one.
    """
    cores, free = usable_cores(), free_memory_bytes()
    needs = heapq.nlargest(max(cores, 1), case_bytes(tasks))
    largest = needs[0] if needs else 0
    most = max(1, min(wanted or cores, len(tasks)))
    if wanted:
        return Capacity(most, cores, free, largest, chosen=True)
    workers, taken = 0, 0.0
    for need in needs[:most]:
        taken += need
        if free and taken > USABLE * free:
            break
        workers += 1
    return Capacity(max(1, workers), cores, free, largest, chosen=False)


def case_bytes(tasks: Sequence[CaseTask]) -> list[int]:
    """The memory that a worker needs for each case, estimated from headers.

    Of images whose header the scan does not read (NIfTI, NRRD), those of the largest files are
    read now; the others are smaller, and count as nothing but the worker.
    """
    sizes = {task.name: task.voxels for task in tasks if task.voxels}
    files = [task for task in tasks if task.name not in sizes]
    for task in heapq.nlargest(LOOKED_AT, files, key=_file_bytes):
        sizes[task.name] = _header_voxels(task)
    return [_need(sizes.get(task.name, 0), len(task.candidate.case.raters)) for task in tasks]


def _need(voxels: int, readings: int) -> int:
    per_voxel = BYTES_PER_VOXEL + BYTES_PER_READING_VOXEL * readings
    return WORKER_BYTES + round(per_voxel * voxels)


def _header_voxels(task: CaseTask) -> int:
    from MedPrepLib.formats.files import read_geometry

    try:
        return read_geometry(Path(task.candidate.case.image.paths[0])).voxels
    except (FileFaultError, MedPrepError, OSError, IndexError):
        return 0  # its worker will say what is wrong with it


def _file_bytes(task: CaseTask) -> int:
    try:
        return sum(Path(path).stat().st_size for path in task.candidate.case.image_paths)
    except OSError:
        return 0


def usable_cores() -> int:
    """The cores that this process may use: fewer than the machine has in a batch job."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory_bytes() -> int:
    """Memory that can be taken without swapping: of the machine, or of the batch job if less.

    0 where the system does not tell.
    """
    known = [size for size in (_machine_bytes(), _group_bytes()) if size > 0]
    return min(known, default=0)


def _machine_bytes() -> int:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _group_bytes(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """What the control groups (version 2) of this process leave to it; 0 for no limit.

    A scheduler as SLURM limits a job by them; page cache, which the kernel gives back, is free.
    """
    path = next((line[3:] for line in _lines(own) if line.startswith("0::/")), "/")
    here = root / path.lstrip("/")
    groups = [group for group in (here, *here.parents) if group.is_relative_to(root)]
    return min((left for group in groups if (left := _left(group)) is not None), default=0)


def _left(group: Path) -> int | None:
    limit, used = (_number(_lines(group / f"memory.{name}")) for name in ("max", "current"))
    if limit is None or used is None:
        return None
    cache = (
        line.split()[1]
        for line in _lines(group / "memory.stat")
        if line.startswith("inactive_file ")
    )
    return max(1, limit - used + int(next(cache, 0)))


def _number(lines: Iterable[str]) -> int | None:
    return next((int(line) for line in lines if line.strip().isdigit()), None)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
