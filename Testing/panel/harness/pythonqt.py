"""PythonQt's manners on PySide6: how Python code inside Slicer sees a Qt object.

``adopt_manners`` changes PySide6's own classes for the whole process, so that objects which Qt made
itself (a header view, an item's parent) behave like those that Python made:

* a Qt property is an attribute, and its getter cannot be called;
* a plain C++ object takes no new attributes;
* ``connect("clicked(bool)", f)`` holds on to ``f`` and cuts the arguments to what it takes.

Where PythonQt prints a complaint and goes on (a signal that does not exist), this raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import isgetsetdescriptor
from types import MethodType
from typing import Any

import shiboken6
from panel.harness import signals
from panel.harness.meta import meta_of
from PySide6 import QtCore, QtGui, QtWidgets

QObject = QtCore.QObject
# PySide6's own, before they are replaced.
_look_up = QObject.__getattribute__

_deaf: list[bool] = []
_reading: set[tuple[int, str]] = set()

PROPERTY, METHOD, PYTHON, ABSENT = "property", "method", "python", "absent"
_kinds: dict[tuple[type, str], tuple[str, str]] = {}

# Stand-ins for classes of CTK and Slicer, and the names that the real classes offer to Python.
stand_ins: dict[type, frozenset[str]] = {}


def adopt_manners() -> None:
    """Teach every class of QtCore, QtGui and QtWidgets; safe to call again."""
    if QObject.__dict__.get("className") is _class_name:
        return
    QObject.__getattribute__ = _get
    for cls in _classes():
        cls.__setattr__ = _set if issubclass(cls, QObject) else _set_value
    for name, function in _methods.items():
        setattr(QObject, name, function)
    QtCore.QTimer.singleShot = staticmethod(signals.single_shot)


@contextmanager
def deaf() -> Iterator[None]:
    """Attributes that plain objects do not take are lost instead of refused.

    PySide6's form loader hangs every named child on the form.
    """
    _deaf.append(True)
    try:
        yield
    finally:
        _deaf.pop()


def native(cls: type) -> bool:
    """Whether a class is Qt's own and not one written in Python."""
    return cls.__module__.startswith(("PySide6.", "Shiboken")) or cls is object


def own_dict(obj: Any) -> dict[str, Any]:
    """The Python attributes of an object, past all manners."""
    return _look_up(obj, "__dict__")


def _classes() -> Iterator[type]:
    for module in (QtCore, QtGui, QtWidgets):
        # dir() and not vars(): PySide6 makes its classes when they are asked for.
        for name in dir(module):
            value = getattr(module, name)
            if isinstance(value, type) and issubclass(value, shiboken6.Object):
                yield value


def _kind(cls: type, name: str) -> tuple[str, str]:
    """What a name means on objects of a class, and the name Qt has for it."""
    known = _kinds.get((cls, name))
    if known is None:
        known = _kinds[cls, name] = _find_kind(cls, name)
    return known


def _find_kind(cls: type, name: str) -> tuple[str, str]:
    owner = next((c for c in cls.__mro__ if name in c.__dict__), None)
    if owner is not None and not native(owner):
        return _python_kind(cls, owner, name)
    qt_name = "objectName" if name == "name" else name
    if qt_name in meta_of(cls).properties and name != "singleShot":
        return PROPERTY, qt_name
    if owner is not None:
        return METHOD, name
    for stand_in in (c for c in cls.__mro__ if c in stand_ins):
        if name in stand_ins[stand_in]:
            raise NotImplementedError(
                f"the real {stand_in.__name__} has {name}, the stand-in in Testing/panel has not"
            )
    return ABSENT, name


def _python_kind(cls: type, owner: type, name: str) -> tuple[str, str]:
    if owner not in stand_ins or name.startswith("_"):
        return PYTHON, name
    overridden = next((c for c in owner.__mro__ if native(c) and name in c.__dict__), None)
    if overridden is None and name not in stand_ins[owner]:
        return ABSENT, name
    if overridden and name in meta_of(overridden).properties and callable(vars(owner)[name]):
        return PROPERTY, name  # like sizeHint; ``overrides`` tells Qt of the method
    return PYTHON, name


def overrides(self: QObject, *names: str) -> None:
    """Let a stand-in override getters that are properties for everybody else."""
    for name in names:
        _look_up(self, "__dict__")[name] = MethodType(getattr(type(self), name), self)


def _get(self: QObject, name: str) -> Any:
    if name.startswith("__"):
        return _look_up(self, name)
    cls = type(self)
    if name in _methods:
        # PySide6 would answer with its own ``connect``, whatever the class says.
        return MethodType(_methods[name], self)
    if not _plain(cls) or name.startswith("_"):
        own = _look_up(self, "__dict__")
        if name in own and not isinstance(own[name], QtCore.SignalInstance):
            return own[name]
    kind, qt_name = _kind(cls, name)
    if kind == PROPERTY:
        return _read(self, qt_name)
    if kind == ABSENT:
        return _read_unknown(self, name)
    value = _look_up(self, qt_name)
    if kind == PYTHON and isinstance(value, list) and cls in stand_ins and name[0] != "_":
        return tuple(value)  # a property that is a QStringList
    if isinstance(value, QtCore.SignalInstance):
        return signals.BoundSignal(self, qt_name, value)
    return value


def _read(self: QObject, name: str) -> Any:
    if not shiboken6.isValid(self):
        raise ValueError(f"trying to read property '{name}' of a destroyed object")
    if (id(self), name) in _reading:
        # Qt reads the property and asks whether Python overrides the getter. It does not.
        return _look_up(self, name)
    _reading.add((id(self), name))
    try:
        value = _look_up(self, "property")(name)
        return tuple(value) if isinstance(value, list) else value
    except RuntimeError:
        # PySide6 has no converter for some flags; the getter of that name has.
        return _look_up(self, name)()
    finally:
        _reading.discard((id(self), name))


def _read_unknown(self: QObject, name: str) -> Any:
    """A dynamic property or a child of that name, as in PythonQt."""
    value = _look_up(self, "property")(name)
    if value is not None:
        return value
    for child in _look_up(self, "children")():
        if _look_up(child, "objectName")() == name:
            return child
    raise AttributeError(f"{_class_name(self)} has no attribute named '{name}'")


def _set(self: QObject, name: str, value: Any) -> None:
    cls = type(self)
    kind, qt_name = (PYTHON, name) if name.startswith("__") else _kind(cls, name)
    if kind == PROPERTY:
        _write(self, qt_name, value)
    elif isinstance(value, QtCore.SignalInstance):
        _store(self, name, value)  # PySide6 keeps the signals of what C++ made this way
    elif kind == METHOD:
        raise AttributeError(f"Slot '{name}' can not be overwritten on {_class_name(self)} object")
    elif kind == PYTHON:
        _store(self, name, value)
    elif _look_up(self, "property")(name) is not None:
        _look_up(self, "setProperty")(name, value)
    elif _plain(cls):
        if _deaf:
            return
        raise AttributeError(_refusal(name, cls))
    else:
        _store(self, name, value)


def _write(self: QObject, name: str, value: Any) -> None:
    writable, kind = meta_of(type(self)).properties[name]
    if not writable:
        raise AttributeError(f"Property '{name}' of {_class_name(self)} object is not writable")
    if value is None or not _look_up(self, "setProperty")(name, value):
        raise AttributeError(
            f"Property '{name}' of type '{kind}' does not accept an object of type "
            f"{type(value).__name__} ({value})"
        )


def _plain(cls: type) -> bool:
    """Whether Slicer would have this as a C++ object; classes derived in Python take attributes."""
    return native(cls) or cls in stand_ins


def _refusal(name: str, cls: type) -> str:
    return (
        f"'{name}' does not exist on {cls.__name__} and creating new attributes on C++ objects"
        " is not allowed"
    )


def _set_value(self: Any, name: str, value: Any) -> None:
    """For classes that are no QObjects: a color, an item of a table."""
    # A few are C++ structures with fields.
    if native(type(self)) and not isgetsetdescriptor(getattr(type(self), name, None)):
        raise AttributeError(_refusal(name, type(self)))
    _store(self, name, value)


def _store(self: Any, name: str, value: Any) -> None:
    member = next((vars(c)[name] for c in type(self).__mro__ if name in vars(c)), None)
    if isinstance(member, QtCore.Property):
        if member.fset is None:
            raise AttributeError(f"Property '{name}' of {_class_name(self)} is not writable")
        member.fset(self, value)
    else:
        shiboken6.Object.__setattr__(self, name, value)


def _class_name(self: QObject) -> str:
    """Of the C++ class, also for what is derived from it in Python."""
    return next(cls for cls in type(self).__mro__ if _plain(cls)).__name__


def _find_children(self: QObject, kind: Any = QObject, name: str = "") -> list[QObject]:
    """The type may be given by name, as PythonQt allows; searched at all depths."""
    found = []
    for child in _look_up(self, "children")():
        named = not name or _look_up(child, "objectName")() == name
        fits = child.inherits(kind) if isinstance(kind, str) else isinstance(child, kind)
        if named and fits:
            found.append(child)
        found += _find_children(child, kind, name)
    return found


def _find_child(self: QObject, kind: Any, name: str = "") -> QObject | None:
    return next(iter(_find_children(self, kind, name)), None)


_methods = {
    "metaObject": lambda self: type(self).staticMetaObject,
    "connect": signals.connect,
    "disconnect": signals.disconnect,
    "className": _class_name,
    "delete": shiboken6.delete,
    "findChildren": _find_children,
    "findChild": _find_child,
}
