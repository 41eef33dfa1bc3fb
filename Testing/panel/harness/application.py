"""``slicer.app`` and the main window."""

# Names and signatures are Slicer's.
# ruff: noqa: N801, N815

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import slicer
from panel.harness.layout import qSlicerLayoutManager
from panel.harness.modules import qSlicerModuleManager, qSlicerScriptedLoadableModule
from panel.harness.standin import plain, stand_in
from PySide6 import QtCore, QtGui, QtWidgets

from MedPrepLib.mrml.bootstrap import Booted, FileManager

PANEL_WIDTH = 460
TAKEN = (
    *("Ctrl+Shift+A", "Ctrl+Shift+T", "Ctrl+Shift+Space"),
    *("Ctrl+F", "Ctrl+H", "Ctrl+O", "Ctrl+S", "Ctrl+W", "Ctrl+Y", "Ctrl+Z"),
    *(f"Ctrl+{digit}" for digit in (0, 2, 3, 4, 5, 6)),
)
"""Keys of Slicer's main window: of its Markups toolbar, once that was shown, and of its menus.
A key that two have does nothing for either."""


@stand_in
class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    """Shows one module's panel at a time and enters and exits it."""

    moduleSelected = QtCore.Signal(str)
    selectedModule = plain(str, "selectedModule", "")

    def selectModule(self, name: str) -> None:
        if name == self.selectedModule:
            return
        manager = slicer.app.moduleManager()
        before = manager.module(self.selectedModule)
        if isinstance(before, qSlicerScriptedLoadableModule):
            before.widgetRepresentation().exit()
        self.selectedModule = name
        module = manager.module(name)
        area = self.window().findChild("QScrollArea", "ModulePanelArea")
        if area.widget():
            area.takeWidget().setParent(None)
        # Of Slicer's own modules there is no panel: to select one is to leave the other.
        if isinstance(module, qSlicerScriptedLoadableModule):
            widget = module.widgetRepresentation()
            area.setWidget(widget)
            widget.show()
            widget.enter()
        self.moduleSelected.emit(name)


@stand_in
class qSlicerMainWindow(QtWidgets.QMainWindow):
    """A window with a dock for the panel, as wide as users have it."""

    _selector: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.resize(1100, 900)
        self._selector = qSlicerModuleSelectorToolBar("Modules", self)
        self.addToolBar(self._selector)
        for keys in TAKEN:
            QtGui.QShortcut(QtGui.QKeySequence(keys), self._selector)
        area = QtWidgets.QScrollArea()
        area.setObjectName("ModulePanelArea")
        area.setWidgetResizable(True)
        area.setFixedWidth(PANEL_WIDTH + 20)
        dock = QtWidgets.QDockWidget("Modules", self)
        dock.setObjectName("PanelDockWidget")
        dock.setWidget(area)
        self.addDockWidget(QtCore.Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        self.setCentralWidget(QtWidgets.QWidget())
        self.statusBar()

    def moduleSelector(self) -> qSlicerModuleSelectorToolBar:
        return self._selector


@stand_in
class qSlicerApplication(QtWidgets.QApplication):
    """The one application object; a test resets it, nobody makes a second one."""

    startupCompleted = QtCore.Signal()
    mrmlSceneChanged = QtCore.Signal(object)
    temporaryPath = plain(str, "temporaryPath", "")
    cachePath = plain(str, "cachePath", "")
    slicerHome = plain(str, "slicerHome", "")
    extensionsInstallPath = plain(str, "extensionsInstallPath", "")
    majorVersion = plain(int, "majorVersion", 5)
    minorVersion = plain(int, "minorVersion", 13)
    revision = plain(str, "revision", "00000")
    mainApplicationName = plain(str, "mainApplicationName", "Slicer")
    documentationBaseUrl = plain(str, "documentationBaseUrl", "https://slicer.readthedocs.io/")
    os = plain(str, "os", "linux")
    arch = plain(str, "arch", "amd64")
    _booted: Any = None
    _io: Any = None
    _manager: Any = None
    _layout: Any = None
    _testing = False

    def __init__(self, folder: Path, version: tuple[int, int]) -> None:
        super().__init__(["Slicer"])
        self.setOrganizationName("NA-MIC")
        self.setApplicationName("Slicer")
        self.setApplicationVersion("{}.{}".format(*version))
        self.majorVersion, self.minorVersion = version
        self.setStyle("Fusion")
        self.slicerHome = str(folder)
        self.temporaryPath = str(folder / "temporary")
        self.cachePath = str(folder / "cache")
        self.setQuitOnLastWindowClosed(False)

    def _adopt(self, booted: Booted) -> None:
        """Take the scene; the modules, the views and the window need it."""
        self._booted = booted
        files = FileManager(booted.scene, booted.application_logic, booted.logics)
        self._io = files.as_slicer_names_it()
        self._manager = qSlicerModuleManager(booted.logics, self)
        self._layout = qSlicerLayoutManager(booted.scene, booted.application_logic, self)

    def mrmlScene(self) -> Any:
        return self._booted.scene

    def applicationLogic(self) -> Any:
        return self._booted.application_logic

    def moduleLogic(self, name: str) -> Any:
        return self._booted.application_logic.GetModuleLogic(name)

    def coreIOManager(self) -> Any:
        return self._io

    ioManager = coreIOManager

    def moduleManager(self) -> qSlicerModuleManager:
        return self._manager

    def layoutManager(self) -> qSlicerLayoutManager:
        return self._layout

    def testingEnabled(self) -> bool:
        return self._testing

    def processEvents(self) -> None:
        QtWidgets.QApplication.processEvents()

    def userSettings(self) -> QtCore.QSettings:
        return QtCore.QSettings()

    settings = revisionUserSettings = userSettings

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    def setRenderPaused(self, paused: bool) -> None:
        pass

    def pauseRender(self) -> None:
        pass

    def resumeRender(self) -> None:
        pass


def private_settings(folder: Path) -> None:
    """No test reads or writes the settings of a Slicer that may be installed."""
    ini = QtCore.QSettings.Format.IniFormat
    QtCore.QSettings.setDefaultFormat(ini)
    for scope in (QtCore.QSettings.Scope.UserScope, QtCore.QSettings.Scope.SystemScope):
        QtCore.QSettings.setPath(ini, scope, str(folder / "settings"))


def make_application(version: tuple[int, int]) -> tuple[qSlicerApplication, Path]:
    """The application with a folder of its own; the folder goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="panel-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    private_settings(folder)
    QtCore.qInstallMessageHandler(_say)
    app = qSlicerApplication(folder, version)
    if not QtGui.QFontDatabase.families():
        raise RuntimeError("no font was found: on Debian, apt-get install fonts-dejavu-core")
    return app, folder


def _say(kind: Any, context: Any, text: str) -> None:
    # Of every window, on a platform that has no windows.
    if "propagateSizeHints" not in text:
        sys.stderr.write(f"{text}\n")
