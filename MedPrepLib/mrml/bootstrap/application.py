"""``slicer.app``, ``slicer.mrmlScene`` and ``slicer.modules`` where no Slicer runs."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from MedPrepLib.mrml.bootstrap.files import FileManager
from MedPrepLib.mrml.bootstrap.scene import Booted, boot


def start(folder: Path | None = None) -> Any:
    """Make sure that there is a scene where scripts look for it; returns ``slicer.mrmlScene``.

    In a running Slicer, and after the first call, nothing is changed. ``folder``: for temporary
    files; by default one that goes when the process ends.
    """
    import slicer

    if getattr(slicer, "mrmlScene", None) is not None:
        return slicer.mrmlScene
    booted = boot(folder or _temporary_folder())
    slicer.app = _application(booted)
    slicer.mrmlScene = booted.scene
    slicer.modules = SimpleNamespace(
        **{name.lower(): _module(logic) for name, logic in booted.logics.items()}
    )
    return booted.scene


def _module(logic: Any) -> SimpleNamespace:
    """``slicer.modules.volumes`` and its like: only the logic is there."""
    return SimpleNamespace(logic=lambda: logic)


def _application(booted: Booted) -> SimpleNamespace:
    """As much of ``slicer.app`` as slicer.util asks for in a batch."""
    files = FileManager(booted.scene, booted.application_logic, booted.logics)
    named = files.as_slicer_names_it()
    return SimpleNamespace(
        applicationLogic=lambda: booted.application_logic,
        coreIOManager=lambda: named,
        mrmlScene=lambda: booted.scene,
        moduleLogic=booted.logics.get,
        layoutManager=lambda: None,
        processEvents=lambda: None,
        testingEnabled=lambda: False,
        temporaryPath=booted.application_logic.GetTemporaryPath(),
        keep=booted,
    )


def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="medprep-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
