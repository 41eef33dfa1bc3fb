"""Room, memory, and 3D Slicer if this runs inside it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from MedPrepLib.doctor.line import Line

GB = 1e9
LOW_DISK_GB = 5.0
LOW_MEMORY_GB = 2.0


def machine_lines(folder: Path) -> Iterator[Line]:
    """What this machine offers to a run in ``folder``."""
    yield Line("processors", "ok", f"{os.cpu_count() or 1}")
    yield _disk(folder)
    memory = free_memory_bytes()
    if memory is not None:
        tight = memory < LOW_MEMORY_GB * GB
        hint = "close other programs, or use --workers 1" if tight else ""
        yield Line("memory", "missing" if tight else "ok", f"{memory / GB:.1f} GB free", hint)


def _disk(folder: Path) -> Line:
    free = shutil.disk_usage(folder).free / GB
    tight = free < LOW_DISK_GB
    hint = "make room, or choose another disk with --out" if tight else ""
    return Line("disk", "missing" if tight else "ok", f"{free:.1f} GB free in this folder", hint)


def free_memory_bytes() -> int | None:
    """Memory that programs can still get; None where the system does not tell."""
    facts = Path("/proc/meminfo")
    if not facts.is_file():
        return None
    for line in facts.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def slicer_lines() -> Iterator[Line]:
    """The version of 3D Slicer and whether the module is loaded; nothing outside of it."""
    slicer = sys.modules.get("slicer")
    application = getattr(slicer, "app", None)
    if application is None:
        return
    yield Line("3D Slicer", "ok", str(application.applicationVersion))
    if hasattr(getattr(slicer, "modules", None), "medprep"):
        yield Line("module MedPrep", "ok", "loaded")
    else:
        hint = "add the folder MedPrep/ under Application Settings > Modules"
        yield Line("module MedPrep", "missing", "not loaded", hint)
