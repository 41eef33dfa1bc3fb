"""Which widget can show which type of parameter, and how; the same pairs as in Slicer."""

# Signatures are Slicer's.
# ruff: noqa: ARG005

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, NamedTuple

import ctk
import qt
import slicer
from panel.harness.parameter_types import (
    PATHS,
    SIMPLE,
    Choice,
    Decimals,
    Kind,
    Maximum,
    Minimum,
    SingleStep,
    WithinRange,
)


class How(NamedTuple):
    """How one kind of widget holds a value: read, write, the signal of a change, preparation."""

    read: Callable[[Any], Any]
    write: Callable[[Any, Any], None]
    signal: str
    prepare: Callable[[Any, Kind], None] = lambda widget, kind: None


class Connector:
    """One widget that shows one parameter."""

    def __init__(self, widget: Any, how: How, kind: Kind) -> None:
        self._widget, self._how, self._kind = widget, how, kind
        self._listener: Callable[[], None] | None = None
        how.prepare(widget, kind)

    def show(self, value: Any) -> None:
        self._how.write(self._widget, value)

    def value(self) -> Any:
        value = self._how.read(self._widget)
        return int(value) if self._kind.type is int else value

    def listen(self, listener: Callable[[], None]) -> None:
        self._listener = listener
        self._widget.connect(self._how.signal, self._changed)

    def stop(self) -> None:
        self._widget.disconnect(self._how.signal, self._changed)

    def _changed(self) -> None:
        self._listener()


def connector(widget: Any, kind: Kind) -> Connector:
    """RuntimeError where Slicer has no connector for the pair either."""
    how = None if kind.optional and not kind.is_node else _how(type(widget), kind)
    if how is None:
        raise RuntimeError(
            f"Unable to create GUI connector from datatype '{kind.type}' to widget type "
            f"'{type(widget)}'."
        )
    return Connector(widget, how, kind)


def _how(cls: type, kind: Kind) -> How | None:
    """The widget's class has to be exactly one of these, as in Slicer."""
    combos = (qt.QComboBox, ctk.ctkComboBox)
    real = (qt.QDoubleSpinBox, ctk.ctkSliderWidget, ctk.ctkDoubleSpinBox)
    if kind.type is bool and cls in (qt.QCheckBox, ctk.ctkCheckBox, qt.QPushButton):
        return _checked
    if kind.type is int and cls in (qt.QSpinBox, qt.QSlider):
        return _whole
    if kind.type in (int, float) and cls in real:
        return _number
    if cls in combos and (kind.type in SIMPLE or _is_enum(kind)):
        return _enumeration(kind) if _is_enum(kind) else _choice(kind)
    if kind.type is str and cls in (qt.QLineEdit, qt.QLabel, qt.QTextEdit):
        return _texts[cls]
    if kind.type in PATHS and cls is ctk.ctkPathLineEdit:
        return _path(kind)
    if kind.is_node and cls is slicer.qMRMLNodeComboBox:
        return _node
    return None


def _is_enum(kind: Kind) -> bool:
    return isinstance(kind.type, type) and issubclass(kind.type, enum.Enum)


def _attribute(name: str) -> tuple[Callable[[Any], Any], Callable[[Any, Any], None]]:
    return lambda widget: getattr(widget, name), lambda widget, v: setattr(widget, name, v)


def _set_text(widget: Any, text: str) -> None:
    if text != widget.text:  # the cursor would jump while the user types
        widget.text = text


def _make_checkable(widget: Any, kind: Kind) -> None:
    widget.checkable = True


def _limits(widget: Any, kind: Kind) -> tuple[Any, Any]:
    within, low, high = kind.note(WithinRange), kind.note(Minimum), kind.note(Maximum)
    if within is not None:
        return within.minimum, within.maximum
    return (low.minimum if low else None, high.maximum if high else None)


def _prepare_whole(widget: Any, kind: Kind) -> None:
    low, high = _limits(widget, kind)
    if type(widget) is qt.QSlider and None in (low, high):
        raise RuntimeError("Cannot have a connection to QSlider where the int type is unbounded.")
    step = kind.note(SingleStep)
    if step is not None:
        widget.singleStep = step.value
    widget.setRange(-(2**31) if low is None else low, 2**31 - 1 if high is None else high)


def _prepare_number(widget: Any, kind: Kind) -> None:
    low, high = _limits(widget, kind)
    if type(widget) is ctk.ctkSliderWidget and None in (low, high):
        raise RuntimeError("Cannot connect a ctkSliderWidget where the type is unbounded.")
    decimals, step = kind.note(Decimals), kind.note(SingleStep)
    if kind.type is int or decimals is not None:
        widget.decimals = 0 if kind.type is int else decimals.value
    if step is not None:
        widget.singleStep = step.value
    widget.minimum = float("-inf") if low is None else low
    widget.maximum = float("inf") if high is None else high


def _choice(kind: Kind) -> How:
    note = kind.note(Choice)
    if note is None:
        raise RuntimeError("A combo box needs the annotation Choice.")
    return _entries(list(note.choices), str)


def _enumeration(kind: Kind) -> How:
    return _entries(list(kind.type), getattr(kind.type, "label", lambda member: member.name))


def _entries(values: list[Any], label: Callable[[Any], str]) -> How:
    def fill(widget: Any, kind: Kind) -> None:
        widget.clear()
        for value in values:
            widget.addItem(label(value))

    def write(widget: Any, value: Any) -> None:
        widget.currentIndex = values.index(value)

    return How(lambda w: values[w.currentIndex], write, "currentIndexChanged(int)", fill)


def _path(kind: Kind) -> How:
    return How(
        lambda w: kind.type(w.currentPath),
        lambda w, v: setattr(w, "currentPath", str(v)),
        "currentPathChanged(QString)",
    )


def _take_types(widget: Any, kind: Kind) -> None:
    widget.nodeTypes = [cls.__name__ for cls in kind.nodes or (kind.type,)]


_checked = How(*_attribute("checked"), "toggled(bool)", _make_checkable)
_whole = How(*_attribute("value"), "valueChanged(int)", _prepare_whole)
_number = How(*_attribute("value"), "valueChanged(double)", _prepare_number)
_node = How(
    lambda w: w.currentNode(),
    lambda w, v: w.setCurrentNode(v),
    "currentNodeChanged(vtkMRMLNode*)",
    _take_types,
)
_texts = {
    qt.QLineEdit: How(lambda w: w.text, _set_text, "textChanged(QString)"),
    # A label does not change by itself; any of its signals will do.
    qt.QLabel: How(lambda w: w.text, _set_text, "linkActivated(QString)"),
    qt.QTextEdit: How(lambda w: w.toPlainText(), lambda w, v: w.setPlainText(v), "textChanged()"),
}
