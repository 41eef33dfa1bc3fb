"""Keyboard shortcuts: there while the module is entered, and if the user wants them."""

from __future__ import annotations

from typing import Any

import qt
import slicer


class Keys:
    """Shortcuts of the main window, made when the panel is entered and gone when it is left.

    Slicer's Segment Editor takes digits, letters, Space and Escape; these all have Ctrl. Its
    Markups toolbar has Ctrl+Shift+A, T and Space: a key that two have does nothing for either.
    """

    def __init__(self, panel: Any) -> None:
        self._panel = panel
        self._shortcuts: list[Any] = []

    def on(self) -> None:
        """Let keys do something."""
        if self._shortcuts:
            return
        for keys, slot in self._meanings():
            shortcut = qt.QShortcut(qt.QKeySequence(keys), slicer.util.mainWindow())
            shortcut.connect("activated()", slot)
            self._shortcuts.append(shortcut)

    def off(self) -> None:
        """Give the keys back."""
        for shortcut in self._shortcuts:
            shortcut.disconnect("activated()")
            shortcut.setParent(None)
        self._shortcuts.clear()

    def _meanings(self) -> list[tuple[str, Any]]:
        ui = self._panel.ui
        return [
            ("Ctrl+N", lambda: _press(ui.nextButton)),
            ("Ctrl+P", lambda: _press(ui.previousButton)),
            ("Ctrl+Shift+Y", lambda: _press(ui.approveButton)),
            ("Ctrl+Shift+G", lambda: _press(ui.flagButton)),
            ("Ctrl+Shift+N", lambda: _press(ui.nextPlaceButton)),
            ("Ctrl+Shift+P", lambda: _press(ui.previousPlaceButton)),
            ("Ctrl+Shift+M", lambda: _press(ui.mapCheckBox)),
            ("Ctrl+Shift+C", lambda: _press(ui.makeConsensusButton)),
        ]


def _press(button: Any) -> None:
    """Do what a click would do, if a click can."""
    if button.enabled:
        button.click()
