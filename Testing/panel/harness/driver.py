"""What a test uses: open a module, act like a user, look, close."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import slicer
from panel.harness import install, signals
from panel.harness.dialogs import dialogs
from panel.harness.errors import SlotErrors
from panel.harness.layout import FOUR_UP
from panel.harness.small_modules import installations, sample_data
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtTest import QTest

LEFT = QtCore.Qt.MouseButton.LeftButton


class Handle:
    """An open module."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.representation = module.widgetRepresentation()

    @property
    def name(self) -> str:
        return self.module.name

    @property
    def widget(self) -> Any:
        """The instance of ``<Name>Widget``."""
        return self.representation.self()

    @property
    def ui(self) -> Any:
        return self.widget.ui

    @property
    def logic(self) -> Any:
        return self.widget.logic

    @property
    def source(self) -> Any:
        """The module that was imported: its classes, its functions."""
        return sys.modules[self.name]

    def enter(self) -> None:
        slicer.util.selectModule(self.name)

    def exit(self) -> None:
        """What happens when the user opens another module."""
        slicer.util.selectModule("Volumes")


class Panel:
    """The harness for one test."""

    dialogs = dialogs
    installations = installations
    sample_data = sample_data

    def __init__(self) -> None:
        self.app = install.start()
        self.slot_errors = SlotErrors()
        self._handles: list[Handle] = []
        self._path = list(sys.path)

    # --- modules ----------------------------------------------------------------------------

    def open_module(self, script: str | Path, *, started: bool = True) -> Handle:
        """Import a module as Slicer does, show its panel and enter it.

        ``started`` says that Slicer's start is over: modules register sample data then.
        """
        script = Path(script).resolve()
        _forget_sources(script.parent)
        if str(script.parent) not in sys.path:
            sys.path.insert(0, str(script.parent))
        module = self.app.moduleManager()._load(script)
        if started:
            self.app.startupCompleted.emit()
        slicer.util.selectModule(module.name)
        handle = Handle(module)
        self._handles.append(handle)
        self.process()
        return handle

    def close_module(self, handle: Handle) -> None:
        """Leave the module and unload it."""
        self._handles.remove(handle)
        slicer.util.selectModule("")
        self.app.moduleManager()._unload(handle.module)
        self.app.disconnect("startupCompleted()")
        folder = Path(handle.module.path).parent
        _forget_sources(folder)
        if str(folder) not in self._path and str(folder) in sys.path:
            sys.path.remove(str(folder))
        self.process()

    # --- acting like a user -----------------------------------------------------------------

    def click(self, widget: Any, button: Any = LEFT) -> None:
        """Click a widget where a user would; one that is off or hidden cannot be clicked."""
        _assert_usable(widget)
        if isinstance(widget, QtGui.QAction):
            widget.trigger()
        elif isinstance(widget, QtWidgets.QCheckBox | QtWidgets.QRadioButton):
            # Their mark is at the left; the rest of a wide one may be empty.
            QTest.mouseClick(widget, button, pos=QtCore.QPoint(8, widget.height // 2))
        elif hasattr(widget, "collapsed"):
            QTest.mouseClick(widget, button, pos=QtCore.QPoint(20, 10))
        else:
            QTest.mouseClick(widget, button)
        self.process()

    def click_cell(self, table: Any, row: int, column: int, *, double: bool = False) -> None:
        """Click a cell of a table, list or tree."""
        _assert_usable(table)
        index = table.model().index(row, column)
        table.scrollTo(index)
        where = table.visualRect(index).center()
        QTest.mouseClick(table.viewport(), LEFT, pos=where)
        if double:
            QTest.mouseDClick(table.viewport(), LEFT, pos=where)
        self.process()

    def type_text(self, widget: Any, text: str, *, clear: bool = True) -> None:
        """Type into a line or a text; what is there is replaced unless ``clear`` is False."""
        _assert_usable(widget)
        widget.setFocus()
        if clear:
            widget.clear()
        QTest.keyClicks(widget, text)
        self.process()

    def paste_text(self, line: Any, text: str) -> None:
        """Paste into a line, in the place of what is there: one change, however long the text."""
        _assert_usable(line)
        line.setFocus()
        line.selectAll()
        line.insert(text)
        self.process()

    def choose(self, combo: Any, text: str) -> None:
        """Choose an entry of a combo box by its text, as a user does (``activated`` included)."""
        _assert_usable(combo)
        box = combo if isinstance(combo, QtWidgets.QComboBox) else combo.findChild("QComboBox")
        index = box.findText(text)
        if index < 0:
            entries = [box.itemText(i) for i in range(box.count)]
            raise AssertionError(f"{combo.name} has no entry '{text}' but {entries}")
        box.setCurrentIndex(index)
        box.activated.emit(index)
        self.process()

    def press(self, keys: str, widget: Any = None) -> None:
        """Press a key with its modifiers, like "Ctrl+N", in the main window or in a widget."""
        combination = QtGui.QKeySequence(keys)[0]
        target = widget or self.main_window
        target.window().activateWindow()
        QTest.qWaitForWindowActive(target.window())
        QTest.keyClick(target, combination.key(), combination.keyboardModifiers())
        self.process()

    @property
    def main_window(self) -> Any:
        return slicer.util.mainWindow()

    def set_testing_mode(self, enabled: bool) -> None:
        """What ``slicer.app.testingEnabled()`` says; then Slicer shows no messages at all."""
        self.app._testing = enabled

    # --- time -------------------------------------------------------------------------------

    def process(self) -> None:
        """Let Qt do what is due, deletions included."""
        self.app.processEvents()
        self.app.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete.value)

    def wait_until(self, condition: Callable[[], Any], timeout_s: float = 10.0) -> None:
        """Run the event loop until something holds; AssertionError when it takes too long."""
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"it did not happen within {timeout_s} s")
            QTest.qWait(10)

    # --- scene ------------------------------------------------------------------------------

    def close_scene(self) -> None:
        slicer.mrmlScene.Clear(False)
        self.process()

    def save_scene(self, path: str | Path) -> None:
        if not slicer.util.saveScene(str(path), {}):
            raise AssertionError(f"the scene was not saved as {path}")

    def load_scene(self, path: str | Path) -> None:
        """Open a scene in the place of the present one."""
        slicer.util.loadScene(str(path), {"clear": True})
        self.process()

    # --- looking ----------------------------------------------------------------------------

    def grab(
        self, widget: Any, path: str | Path, width: int = 460, height: int | None = None
    ) -> QtGui.QImage:
        """A PNG of a widget (or of an open module), laid out in a column of ``width`` pixels."""
        widget = widget.representation if isinstance(widget, Handle) else widget
        with _laid_out(widget, width, height):
            self.process()
            image = widget.grab().toImage()
        if not image.save(str(path)):
            raise AssertionError(f"the picture was not saved as {path}")
        return image

    # --- the end ----------------------------------------------------------------------------

    def reset(self) -> None:
        """Leave nothing behind for the next test."""
        for handle in list(self._handles):
            self.close_module(handle)
        signals.stop_timers()
        for process in install.children:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
        install.children.clear()
        for window in install.forgotten_windows():
            window.deleteLater()
        self.process()
        self.set_testing_mode(False)
        slicer.mrmlScene.Clear(False)
        self.app.layoutManager().setLayout(FOUR_UP)
        QtCore.QSettings().clear()
        for record in (dialogs, installations, sample_data):
            record.clear()
        while self.app.overrideCursor() is not None:
            self.app.restoreOverrideCursor()
        self.app.clipboard().clear()
        self.process()
        gc.collect()


def _assert_usable(widget: Any) -> None:
    if not widget.enabled:
        reason = f" ({widget.toolTip})" if widget.toolTip else ""
        raise AssertionError(f"{widget.name} is disabled{reason}")
    if not widget.visible:
        raise AssertionError(f"{widget.name} is not visible")


def _forget_sources(folder: Path) -> None:
    """So that the next import reads the files again."""
    below = f"{folder}{os.sep}"
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(below):
            del sys.modules[name]


@contextmanager
def _laid_out(widget: Any, width: int, height: int | None) -> Iterator[None]:
    """The widget in a column of this width; as high as it wants to be unless told."""
    before = (widget.minimumSize, widget.maximumSize, widget.size)
    widget.setFixedWidth(width)
    QtWidgets.QApplication.processEvents()
    if height is None:
        tall = widget.heightForWidth(width) if widget.hasHeightForWidth() else -1
        height = max(tall, widget.minimumSizeHint.height(), widget.sizeHint.height(), 1)
    widget.setFixedSize(width, height)
    try:
        yield
    finally:
        widget.setMinimumSize(before[0])
        widget.setMaximumSize(before[1])
        widget.resize(before[2])
