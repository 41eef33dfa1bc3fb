"""Reads .ui files: builds the stand-ins, takes every property seriously, connects by name."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from panel.harness.meta import meta_of
from panel.harness.pythonqt import deaf, stand_ins
from PySide6 import QtCore, QtUiTools, QtWidgets


class UiLoader(QtUiTools.QUiLoader):
    """``qt.QUiLoader``; a form that uses what a class has not is an error and not a warning."""

    def load(self, device: QtCore.QIODevice, parent: Any = None) -> QtWidgets.QWidget:
        root = ElementTree.fromstring(bytes(device.readAll().data()))
        for widget in root.iter("widget"):
            _check(widget)
        connections = root.find("connections")
        if connections is not None:
            # Qt would look for slots of C++ objects.
            root.remove(connections)
        special = _take_special(root)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        with deaf():
            form = super().load(buffer, parent)
        if form is None:
            raise RuntimeError(f"Qt could not read the form: {self.errorString()}")
        by_name = {w.objectName: w for w in [form, *form.findChildren(QtCore.QObject)]}
        for name, prop, value in special:
            setattr(by_name[name], prop, value)
        for connection in connections if connections is not None else ():
            _connect(connection, by_name)
        return form

    def createWidget(self, className: str, parent: Any = None, name: str = "") -> Any:
        made = _classes().get(className)
        if made is None:
            return super().createWidget(className, parent, name)
        widget = made(parent)
        widget.setObjectName(name)
        return widget


def _classes() -> dict[str, type]:
    return {cls.__name__: cls for cls in stand_ins}


def _class_of(widget: ElementTree.Element) -> type:
    name = widget.get("class", "")
    found = _classes().get(name) or getattr(QtWidgets, name, None)
    if name == "Line":  # Designer's name for a frame
        return QtWidgets.QFrame
    if found is None:
        raise RuntimeError(f"the form has a {name}; Testing/panel has no stand-in for that class")
    return found


def _check(widget: ElementTree.Element) -> None:
    cls = _class_of(widget)
    for prop in widget.findall("property"):
        name = prop.get("name", "")
        if name == "orientation" and cls is QtWidgets.QFrame:
            continue
        if prop.get("stdset") != "0" and name not in meta_of(cls).properties:
            raise RuntimeError(
                f"the form sets {widget.get('name')}.{name}, which {cls.__name__} has not"
            )


def _take_special(root: ElementTree.Element) -> list[tuple[str, str, Any]]:
    """Take out the properties of stand-ins that Qt could not set, and what ends after children.

    Those are enumerations, which a stand-in has as numbers, and ``collapsed``, which hides the
    children that Qt makes later.
    """
    taken = []
    for widget in root.iter("widget"):
        cls = _class_of(widget)
        for prop in widget.findall("property") if cls in stand_ins else ():
            value, name = prop[0], prop.get("name", "")
            own = name in stand_ins[cls]
            if own and value.tag in ("enum", "set"):
                keys = (value.text or "").split("|")
                taken.append((widget.get("name"), name, sum(_number(cls, key) for key in keys)))
                widget.remove(prop)
            elif own and name == "collapsed":
                taken.append((widget.get("name"), name, value.text == "true"))
                widget.remove(prop)
    return taken


def _number(cls: type, key: str) -> int:
    """The number of an enumeration's key: of the stand-in itself, or of a class of Qt."""
    owner, _, name = key.rpartition("::")
    owner = owner.partition("::")[0]
    of_qt = getattr(QtWidgets, owner, None) or getattr(QtCore, owner, None)
    value = getattr(cls if owner in ("", cls.__name__) else of_qt, name)
    return getattr(value, "value", value)


def _connect(connection: ElementTree.Element, by_name: dict[str, Any]) -> None:
    parts = [connection.findtext(tag) or "" for tag in ("sender", "signal", "receiver", "slot")]
    sender, signal, receiver, slot = parts
    for name in (sender, receiver):
        if name not in by_name:
            raise RuntimeError(f"the form connects {name}, which it does not have")
    by_name[sender].connect(signal, by_name[receiver], slot)
