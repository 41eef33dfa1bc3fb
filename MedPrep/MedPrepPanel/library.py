"""Where MedPrepLib lies, and whether what it needs is installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path


def library_folder() -> Path:
    """The folder that MedPrepLib is imported from; afterwards it can be imported.

    An installed extension has it beside the module. From a source checkout Slicer knows only the
    folder of the module, and the library lies next to that folder.
    """
    if importlib.util.find_spec("MedPrepLib") is None:
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
        importlib.invalidate_caches()
    spec = importlib.util.find_spec("MedPrepLib")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("MedPrepLib is not beside the MedPrep module", name="MedPrepLib")
    return Path(spec.origin).resolve().parents[1]


def requirement_lines(path: Path) -> list[str]:
    """The requirements in a requirements file, without comments."""
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def missing(requirements: list[str]) -> list[str]:
    """Those requirements whose package is not installed in any version."""
    return [r for r in requirements if not _installed(re.split(r"[^\w.-]", r, maxsplit=1)[0])]


def _installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
