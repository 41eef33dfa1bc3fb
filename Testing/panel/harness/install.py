"""Puts everything in its place: ``qt``, ``ctk``, ``SampleData`` and what ``slicer`` lacks."""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import Any

# What a checkout of Slicer's sources can replace, in the order of their imports.
REAL = ("util", "i18n", "packaging", "testing", "parameterNodeWrapper", "ScriptedLoadableModule")
_started: dict[str, Any] = {}


def start() -> Any:
    """Start the one Slicer of this process; returns ``slicer.app``. Later calls do nothing."""
    if "app" in _started:
        return _started["app"]
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    _make_immortal()
    import slicer
    from panel.harness.qt_module import make_qt

    sys.modules["qt"] = make_qt()
    from panel.harness.ctk_widgets import make_ctk, without_stand_in
    from panel.harness.small_modules import make_sample_data

    sys.modules["ctk"] = make_ctk()
    sys.modules["SampleData"] = make_sample_data()
    for name in ("modules", "moduleNames"):
        _add(slicer, name, types.ModuleType(f"slicer.{name}"))
    _add_classes(slicer)
    for name in ("qMRMLRangeWidget", "qMRMLSliderWidget", "qMRMLSpinBox"):
        setattr(slicer, name, without_stand_in(name))
    app, folder = _make_application(slicer)
    _add_python(slicer)
    _put_python_slicer(folder)
    _started["app"] = app
    _started["windows"] = set(app.topLevelWidgets())
    # Tests collect garbage to see what goes; what is there now stays.
    gc.freeze()
    return app


def forgotten_windows() -> list[Any]:
    """Widgets that a test made and let lie; they would go on observing the scene."""
    every = _started["app"].topLevelWidgets()
    return [w for w in every if w.parent() is None and w not in _started["windows"]]


def _make_immortal() -> None:
    """Give None, True and False references that nobody can use up.

    Since Python 3.12 they have no count. PySide6 6.12 counts on that everywhere: on 3.11 every
    ``setText()`` costs None one reference, until the interpreter stops with a fatal error.
    """
    if sys.version_info < (3, 12):
        for value in (None, True, False):
            ctypes.c_ssize_t.from_address(id(value)).value += 1 << 40


def source() -> Path | None:
    """The folder Base/Python of a checkout of Slicer, if one is to be used."""
    checkout = os.environ.get("MEDPREP_SLICER_SOURCE")
    if not checkout:
        return None
    folder = Path(checkout) / "Base" / "Python"
    if not (folder / "slicer").is_dir():
        raise RuntimeError(f"MEDPREP_SLICER_SOURCE: there is no {folder / 'slicer'}")
    return folder


def _make_application(slicer: Any) -> tuple[Any, Path]:
    from panel.harness.application import make_application, qSlicerMainWindow

    from MedPrepLib.mrml.bootstrap import boot

    app, folder = make_application(_version())
    booted = boot(folder)
    slicer.app, slicer.mrmlScene = app, booted.scene
    app._adopt(booted)
    _started["window"] = qSlicerMainWindow()
    _started["window"].show()
    return app, folder


def _version() -> tuple[int, int]:
    parts = importlib.metadata.version("slicer-core").split(".")
    return int(parts[0]), int(parts[1])


def _add(slicer: Any, name: str, module: types.ModuleType) -> None:
    sys.modules[f"slicer.{name}"] = module
    setattr(slicer, name, module)


def _add_classes(slicer: Any) -> None:
    """The widget classes that scripts find in ``slicer``."""
    from panel.harness import application, modules, mrml_views, mrml_widgets

    for module in (mrml_widgets, mrml_views, modules, application):
        for name, value in vars(module).items():
            if name.startswith(("qMRML", "qSlicer")):
                setattr(slicer, name, value)
    slicer.qSlicerWidget = mrml_widgets.qMRMLWidget


def _add_python(slicer: Any) -> None:
    """Slicer's own Python: from its sources if they were named, else small ones of ours."""
    folder = source()
    if folder is not None:
        for name in REAL:
            _add(slicer, name, _load(f"slicer.{name}", folder / "slicer"))
    else:
        from panel.harness import small_modules

        importlib.import_module("slicer.util")
        _add(slicer, "i18n", small_modules.make_i18n())
        _add(slicer, "testing", small_modules.make_testing())
        _add(slicer, "packaging", small_modules.make_packaging())
        wrapper = importlib.import_module("panel.harness.parameter_node").make_module()
        _add(slicer, "parameterNodeWrapper", wrapper)
        own = importlib.import_module("panel.harness.scripted_module")
        _add(slicer, "ScriptedLoadableModule", own)
    from panel.harness.small_modules import installations

    slicer.packaging.pip_install = installations.install
    _record_children(slicer.util)


def _load(name: str, folder: Path) -> types.ModuleType:
    short = name.rpartition(".")[2]
    package = folder / short / "__init__.py"
    path = package if package.is_file() else folder / f"{short}.py"
    where = [str(path.parent)] if path == package else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=where)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _put_python_slicer(folder: Path) -> None:
    """``slicer.util.executePythonModule`` looks for PythonSlicer in the PATH."""
    program = folder / "bin" / "PythonSlicer"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    os.environ["PATH"] = os.pathsep.join((str(program.parent), os.environ.get("PATH", "")))


children: list[Any] = []


def _record_children(util: Any) -> None:
    """Remember the processes that were started, so that none outlives its test."""
    launch = util.launchConsoleProcess

    def launchConsoleProcess(*args: Any, **kwargs: Any) -> Any:
        process = launch(*args, **kwargs)
        children.append(process)
        return process

    util.launchConsoleProcess = launchConsoleProcess
