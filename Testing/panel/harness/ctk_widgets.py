"""Stand-ins for CTK's input widgets."""

# Names and signatures are Slicer's.
# ruff: noqa: ARG005, N801, N815

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

from panel.harness.ctk_collapsible import ctkCollapsibleButton, ctkCollapsibleGroupBox
from panel.harness.dialogs import dialogs
from panel.harness.pythonqt import own_dict
from panel.harness.standin import kept, passed_on, plain, stand_in
from PySide6 import QtCore, QtWidgets


@stand_in
class ctkDoubleSpinBox(QtWidgets.QWidget):
    """A spin box in a widget; there is no setRange and no lineEdit."""

    valueChanged = QtCore.Signal((float,), (str,))
    editingFinished = QtCore.Signal()
    decimalsChanged = QtCore.Signal(int)
    SetAlways, SetIfDifferent = 0, 1
    decimalsOption = plain(int, "decimalsOption", 0)
    setMode = plain(int, "setMode", 1)
    invertedControls = plain(bool, "invertedControls", False)
    sizeHintPolicy = plain(int, "sizeHintPolicy", 0)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._spin_box = QtWidgets.QDoubleSpinBox()
        _fill(self, self._spin_box)
        self._spin_box.connect("valueChanged(double)", self._on_value)
        self._spin_box.connect("editingFinished()", self.editingFinished.emit)

    _spin_box: Any = None
    cleanText = QtCore.Property(str, lambda self: self._spin_box.cleanText)
    isSettingValue = QtCore.Property(bool, lambda self: False)

    def _on_value(self, value: float) -> None:
        self.valueChanged.emit(value)

    def setValue(self, value: float) -> None:
        self._spin_box.setValue(value)

    setValueIfDifferent = setValueAlways = setValue

    def stepUp(self) -> None:
        self._spin_box.stepUp()

    def stepDown(self) -> None:
        self._spin_box.stepDown()

    def setDecimals(self, decimals: int) -> None:
        self._spin_box.setDecimals(decimals)
        self.decimalsChanged.emit(decimals)

    def setReadOnly(self, read_only: bool) -> None:
        self._spin_box.setReadOnly(read_only)

    alignment = passed_on(int, "_spin_box", "alignment")
    frame = passed_on(bool, "_spin_box", "frame")
    readOnly = passed_on(bool, "_spin_box", "readOnly")
    prefix = passed_on(str, "_spin_box", "prefix")
    suffix = passed_on(str, "_spin_box", "suffix")
    decimals = passed_on(int, "_spin_box", "decimals")
    minimum = passed_on(float, "_spin_box", "minimum")
    maximum = passed_on(float, "_spin_box", "maximum")
    singleStep = passed_on(float, "_spin_box", "singleStep")
    value = passed_on(float, "_spin_box", "value")


@stand_in
class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box for real numbers; there is no setRange."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    decimalsChanged = QtCore.Signal(int)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._slider.setRange(0, 1000)
        self._spin_box = QtWidgets.QDoubleSpinBox()
        _fill(self, self._slider, self._spin_box)
        self._slider.connect("valueChanged(int)", self._on_slider)
        self._spin_box.connect("valueChanged(double)", self.setValue)
        self._adopt()

    _slider: Any = None
    _spin_box: Any = None

    def _adopt(self) -> None:
        """Show range, step and value in both parts."""
        if self._spin_box is None:
            return
        for part in (self._slider, self._spin_box):
            part.blockSignals(True)
        self._spin_box.decimals = self.decimals
        self._spin_box.setRange(self.minimum, self.maximum)
        self._spin_box.singleStep = self.singleStep
        self._spin_box.prefix, self._spin_box.suffix = self.prefix, self.suffix
        self._spin_box.setVisible(self.spinBoxVisible)
        self._spin_box.setValue(self.value)
        span = (self.maximum - self.minimum) or 1.0
        self._slider.setValue(round(1000 * (self.value - self.minimum) / span))
        for part in (self._slider, self._spin_box):
            part.blockSignals(False)

    def _limit(self) -> None:
        self.setValue(self.value)
        self._adopt()

    def _on_slider(self, position: int) -> None:
        value = self.minimum + (self.maximum - self.minimum) * position / 1000
        self.valueIsChanging.emit(value)
        self.setValue(value)

    def setValue(self, value: float) -> None:
        value = min(max(float(value), self.minimum), self.maximum)
        value = round(value, self.decimals)
        if value != self.value:
            own_dict(self)["_number"] = value
            self._adopt()
            self.valueChanged.emit(value)

    value = QtCore.Property(float, lambda self: own_dict(self).get("_number", 0.0), setValue)

    def setDecimals(self, decimals: int) -> None:
        self.decimals = decimals

    def setSpinBoxVisible(self, visible: bool) -> None:
        self.spinBoxVisible = visible

    def reset(self) -> None:
        self.setValue(0.0)

    decimals = kept(int, "decimals", 2, _limit)
    singleStep = kept(float, "singleStep", 1.0, _adopt)
    pageStep = plain(float, "pageStep", 10.0)
    minimum = kept(float, "minimum", 0.0, _limit)
    maximum = kept(float, "maximum", 99.0, _limit)
    prefix = kept(str, "prefix", "", _adopt)
    suffix = kept(str, "suffix", "", _adopt)
    spinBoxVisible = kept(bool, "spinBoxVisible", True, _adopt)
    tracking = plain(bool, "tracking", True)
    popupSlider = plain(bool, "popupSlider", False)
    tickInterval = plain(float, "tickInterval", 0.0)
    tickPosition = plain(int, "tickPosition", 0)
    synchronizeSiblings = plain(int, "synchronizeSiblings", 0)
    spinBoxAlignment = plain(int, "spinBoxAlignment", 0x84)
    invertedAppearance = plain(bool, "invertedAppearance", False)
    invertedControls = plain(bool, "invertedControls", False)


@stand_in
class ctkPathLineEdit(QtWidgets.QWidget):
    """A path with a button that asks for it."""

    validInputChanged = QtCore.Signal(bool)
    currentPathChanged = QtCore.Signal(str)
    Dirs, Files, Drives, NoSymLinks, AllEntries, TypeMask = 0x1, 0x2, 0x4, 0x8, 0x7, 0xF
    Readable, Writable, Executable, PermissionMask = 0x10, 0x20, 0x40, 0x70
    Modified, Hidden, System, AccessMask, AllDirs = 0x80, 0x100, 0x200, 0x3F0, 0x400
    CaseSensitive, NoDotAndDotDot, NoDot, NoDotDot, NoFilter = 0x800, 0x1000, 0x2000, 0x4000, -1
    AdjustToContents, AdjustToContentsOnFirstShow, AdjustToMinimumContentsLength = 0, 1, 2
    label = plain(str, "label", "")
    filters = plain(int, "filters", AllEntries)
    options = plain(int, "options", 0)
    settingKey = plain(str, "settingKey", "")
    nameFilters = plain("QStringList", "nameFilters", [])
    sizeAdjustPolicy = plain(int, "sizeAdjustPolicy", 0)
    minimumContentsLength = plain(int, "minimumContentsLength", 0)

    def __init__(self, *args: Any) -> None:
        super().__init__(next((a for a in args if isinstance(a, QtWidgets.QWidget)), None))
        self._edit = QtWidgets.QComboBox()
        self._edit.editable = True
        self._edit.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed
        )
        self._button = QtWidgets.QToolButton()
        self._button.text = "..."
        _fill(self, self._edit, self._button)
        self._edit.connect("editTextChanged(QString)", self._on_text)
        self._button.connect("clicked()", self.browse)

    _edit: Any = None
    _button: Any = None
    _valid = False

    def _on_text(self, text: str) -> None:
        self.currentPathChanged.emit(text)
        valid = bool(text) and Path(text).exists()
        if valid != self._valid:
            self._valid = valid
            self.validInputChanged.emit(valid)

    def setCurrentPath(self, path: str) -> None:
        if path != self.currentPath:
            self._edit.setEditText(path)

    currentPath = QtCore.Property(str, lambda self: self._edit.currentText, setCurrentPath)
    showBrowseButton = QtCore.Property(
        bool,
        lambda self: not self._button.isHidden(),
        lambda self, value: self._button.setVisible(value),
    )
    showHistoryButton = plain(bool, "showHistoryButton", True)

    def browse(self) -> None:
        kind = "file" if self.filters & self.Files else "folder"
        path = dialogs.file(kind, self.label or "Select a file to save", self.currentPath)
        if path:
            self.setCurrentPath(path)

    def comboBox(self) -> QtWidgets.QComboBox:
        return self._edit

    def addCurrentPathToHistory(self) -> None:
        if self._edit.findText(self.currentPath) < 0:
            self._edit.addItem(self.currentPath)

    def retrieveHistory(self) -> None:
        pass


@stand_in
class ctkComboBox(QtWidgets.QComboBox):
    """A combo box with a text for "nothing chosen"."""

    returnRelease = QtCore.Signal()
    NeverScroll, AlwaysScroll, ScrollWithFocus, ScrollWithNoVScrollBar = 0, 1, 2, 3
    defaultText = kept(str, "defaultText", "", lambda self: self.setPlaceholderText(self._default))
    _default = property(lambda self: own_dict(self)["_defaultText_value"])
    forceDefault = plain(bool, "forceDefault", False)
    elideMode = plain(int, "elideMode", 3)
    scrollWheelEffect = plain(int, "scrollWheelEffect", 1)

    def setCurrentUserDataAsString(self, data: str) -> None:
        self.setCurrentIndex(self.findData(data))

    currentUserDataAsString = QtCore.Property(
        str, lambda self: str(self.itemData(self.currentIndex) or ""), setCurrentUserDataAsString
    )


@stand_in
class ctkCheckBox(QtWidgets.QCheckBox):
    """A check box that may have an icon for its mark."""


@stand_in
class ctkMenuButton(QtWidgets.QPushButton):
    """A push button with an arrow that opens a menu."""


@stand_in
class ctkMessageBox(QtWidgets.QMessageBox):
    """A message box that may be told not to come again."""

    dontShowAgain = plain(bool, "dontShowAgain", False)
    dontShowAgainSettingsKey = plain(str, "dontShowAgainSettingsKey", "")
    dontShowAgainVisible = plain(bool, "dontShowAgainVisible", False)

    def setDontShowAgain(self, dont: bool) -> None:
        self.dontShowAgain = dont


def _fill(widget: QtWidgets.QWidget, *parts: QtWidgets.QWidget) -> None:
    layout = QtWidgets.QHBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        layout.addWidget(part)


def without_stand_in(name: str) -> type:
    """A class that real code names, in a list of possible types, but that nobody here needs."""

    def refuse(self: Any, *_: Any) -> None:
        raise NotImplementedError(f"Testing/panel has no stand-in for {name}")

    return type(name, (QtWidgets.QWidget,), {"__init__": refuse})


def make_ctk() -> types.ModuleType:
    """The ``ctk`` module."""
    ctk = types.ModuleType("ctk", "Stand-ins for the Common Toolkit.")
    for cls in (
        ctkCollapsibleButton,
        ctkCollapsibleGroupBox,
        ctkDoubleSpinBox,
        ctkSliderWidget,
        ctkPathLineEdit,
        ctkComboBox,
        ctkCheckBox,
        ctkMenuButton,
        ctkMessageBox,
    ):
        setattr(ctk, cls.__name__, cls)
    for name in (
        "ctkCheckablePushButton",
        "ctkColorPickerButton",
        "ctkDirectoryButton",
        "ctkDoubleRangeSlider",
        "ctkDoubleSlider",
        "ctkRangeWidget",
    ):
        setattr(ctk, name, without_stand_in(name))
    return ctk
