"""The ``qt`` module of Slicer: every Q class in one place, with PythonQt's manners."""

from __future__ import annotations

import types

from panel.harness.dialogs import replace_dialogs
from panel.harness.pythonqt import adopt_manners
from panel.harness.uiloader import UiLoader
from PySide6 import QtCore, QtGui, QtWidgets


def make_qt() -> types.ModuleType:
    """Only names with a Q: PySide6's Signal, Slot, Property and the like are not Slicer's."""
    adopt_manners()
    replace_dialogs()
    qt = types.ModuleType("qt", "Qt on PySide6, as PythonQt offers it.")
    for module in (QtCore, QtGui, QtWidgets):
        for name in dir(module):
            if name.startswith("Q") and isinstance(getattr(module, name), type):
                setattr(qt, name, getattr(module, name))
    qt.QUiLoader = UiLoader
    return qt
