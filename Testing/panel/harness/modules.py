"""Modules: ``slicer.modules``, the module manager, and what stands behind a scripted module."""

# Names and signatures are Slicer's.
# ruff: noqa: N801, N815

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import slicer
from panel.harness.mrml_widgets import qMRMLWidget
from panel.harness.standin import plain, stand_in
from PySide6 import QtCore, QtGui, QtWidgets


@stand_in
class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The C++ side of a module's panel: ``parent`` of the widget class written in Python."""

    _python: Any = None
    _module: Any = None
    isEntered = plain(bool, "isEntered", False)
    moduleName = plain(str, "moduleName", "")

    def __init__(self, module: Any) -> None:
        super().__init__()
        QtWidgets.QVBoxLayout(self)
        self._module = module
        self.moduleName = module.name
        self.setObjectName(f"{module.name}ModuleWidget")

    def _instantiate(self) -> None:
        cls = getattr(sys.modules[self.moduleName], f"{self.moduleName}Widget")
        self._python = cls(self)
        setattr(slicer.modules, f"{self.moduleName}Widget", self._python)
        self._python.setup()

    def self(self) -> Any:
        return self._python

    def module(self) -> Any:
        return self._module

    def reload(self) -> None:
        self._instantiate()

    def enter(self) -> None:
        self.isEntered = True
        getattr(self._python, "enter", lambda: None)()

    def exit(self) -> None:
        self.isEntered = False
        getattr(self._python, "exit", lambda: None)()


@stand_in
class qSlicerScriptedLoadableModule(QtCore.QObject):
    """The C++ side of a module: ``parent`` of the module class written in Python."""

    name = plain(str, "name", "")
    path = plain(str, "path", "")
    title = plain(str, "title", "")
    categories = plain("QStringList", "categories", [])
    contributors = plain("QStringList", "contributors", [])
    dependencies = plain("QStringList", "dependencies", [])
    associatedNodeTypes = plain("QStringList", "associatedNodeTypes", [])
    helpText = plain(str, "helpText", "")
    acknowledgementText = plain(str, "acknowledgementText", "")
    hidden = plain(bool, "hidden", False)
    index = plain(int, "index", -1)
    icon = plain(QtGui.QIcon, "icon", QtGui.QIcon())
    widgetRepresentationCreationEnabled = plain(bool, "widgetRepresentationCreationEnabled", True)
    _logic: Any = None
    _widget: Any = None

    def logic(self) -> Any:
        return self._logic

    def mrmlScene(self) -> Any:
        return slicer.mrmlScene

    def widgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        if self._widget is None:
            self._widget = self.createNewWidgetRepresentation()
        return self._widget

    def createNewWidgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        widget = qSlicerScriptedLoadableModuleWidget(self)
        widget.setMRMLScene(slicer.mrmlScene)
        # Before setup: a module may ask for its own widget there.
        self._widget = self._widget or widget
        widget._instantiate()
        return widget


@stand_in
class qSlicerCoreModule(QtCore.QObject):
    """One of Slicer's own modules, of which there is only the logic."""

    name = plain(str, "name", "")
    title = plain(str, "title", "")
    _logic: Any = None

    def logic(self) -> Any:
        return self._logic

    def widgetRepresentation(self) -> Any:
        raise NotImplementedError(f"Testing/panel has no panel of the module {self.name}")


@stand_in
class qSlicerModuleFactoryManager(QtCore.QObject):
    """Knows which modules are there."""

    def loadedModuleNames(self) -> list[str]:
        return slicer.app.moduleManager().modulesNames()

    def isLoaded(self, name: str) -> bool:
        return name in self.loadedModuleNames()


@stand_in
class qSlicerModuleManager(QtCore.QObject):
    """Finds modules by name and says when they come and go."""

    moduleLoaded = QtCore.Signal(str)
    moduleAboutToBeUnloaded = QtCore.Signal(str)
    _modules: Any = None
    _factory: Any = None

    def __init__(self, logics: dict[str, Any], parent: Any = None) -> None:
        super().__init__(parent)
        self._modules = {}
        self._factory = qSlicerModuleFactoryManager(self)
        for name, logic in logics.items():
            module = qSlicerCoreModule(self)
            module.name, module.title, module._logic = name, name, logic
            self._add(module)

    def _add(self, module: Any) -> None:
        self._modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)
        setattr(slicer.moduleNames, module.name, module.name)
        self.moduleLoaded.emit(module.name)

    def modulesNames(self) -> list[str]:
        return list(self._modules)

    def module(self, name: str) -> Any:
        return self._modules.get(name)

    def factoryManager(self) -> qSlicerModuleFactoryManager:
        return self._factory

    def _load(self, script: Path) -> qSlicerScriptedLoadableModule:
        """Make a scripted module known, as at Slicer's start."""
        spec = importlib.util.spec_from_file_location(script.stem, script)
        source = importlib.util.module_from_spec(spec)
        sys.modules[script.stem] = source
        spec.loader.exec_module(source)
        module = qSlicerScriptedLoadableModule(self)
        module.name, module.path = script.stem, str(script)
        instance = getattr(source, script.stem)(module)
        setattr(slicer.modules, f"{script.stem}Instance", instance)
        self._add(module)
        getattr(instance, "setup", lambda: None)()
        return module

    def _unload(self, module: qSlicerScriptedLoadableModule) -> None:
        """Take it out again: first its panel, which hears of it, then every trace."""
        name = module.name
        self.moduleAboutToBeUnloaded.emit(name)
        for attribute in (name.lower(), f"{name}Instance", f"{name}Widget"):
            vars(slicer.modules).pop(attribute, None)
        vars(slicer.moduleNames).pop(name, None)
        getattr(slicer, "selfTests", {}).pop(name, None)
        del self._modules[name]
        if module._widget is not None:
            module._widget._python = None
            module._widget.deleteLater()
        module.deleteLater()
