"""Signals and single-shot timers the way PythonQt has them."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import CO_VARARGS
from types import FunctionType, MethodType
from typing import Any

import shiboken6
from panel.harness.meta import meta_of
from PySide6 import QtCore
from PySide6.QtCore import SIGNAL, SLOT, QMetaObject

QObject = QtCore.QObject
_connect = QObject.connect
_disconnect = QObject.disconnect

# By C++ address, because PySide6 may make a new Python object for the same C++ object.
_targets: dict[int, list[tuple[str, Any, Any]]] = {}
_timers: list[QtCore.QTimer] = []


class BoundSignal:
    """A signal of an object, as an attribute of it."""

    def __init__(self, owner: QObject, name: str, instance: QtCore.SignalInstance) -> None:
        self._owner = owner
        self._name = name
        self._instance = instance

    def _overloads(self) -> list[str]:
        """The signatures of this name, in the order of their declaration."""
        return [s for s, name in meta_of(type(self._owner)).signals.items() if name == self._name]

    def connect(self, target: Callable[..., Any]) -> bool:
        return connect(self._owner, self._overloads()[0], target)

    def disconnect(self, target: Callable[..., Any] | None = None) -> bool:
        return disconnect(self._owner, self._overloads()[0], *(() if target is None else (target,)))

    def emit(self, *args: Any) -> None:
        overloads = self._overloads()
        fitting = next((s for s in overloads if _argument_count(s) == len(args)), overloads[0])
        taken = fitting.partition("(")[2].rstrip(")")
        instance = self._instance[taken] if len(overloads) > 1 else self._instance
        instance.emit(*args)

    __call__ = emit

    def _emit_as(self, kind: type, value: Any) -> None:
        """Emit the overload for a type."""
        self._instance[kind].emit(value)


def _argument_count(signature: str) -> int:
    taken = signature.partition("(")[2].rstrip(")")
    return taken.count(",") + 1 if taken else 0


def signature_of(owner: QObject, signal: str) -> str:
    """The signal's signature as Qt has it; AttributeError if the object has no such signal.

    Stand-ins declare pointers to VTK objects as Python objects.
    """
    written = signal.lstrip("0123456789") if isinstance(signal, str) else ""
    wanted = QMetaObject.normalizedSignature(written).data().decode()
    by_python = re.sub(r"\bvtkIdType\b", "qlonglong", re.sub(r"\bvtk\w+\*", "PyObject", wanted))
    known = meta_of(type(owner)).signals
    for candidate in (wanted, by_python):
        if candidate in known:
            return candidate
    raise AttributeError(f"signal '{signal}' does not exist on {owner.className()}")


def connect(owner: QObject, signal: str, *target: Any) -> bool:
    """``(signal, callable)`` or ``(signal, receiver, slot)``."""
    signature = signature_of(owner, signal)
    if len(target) >= 2:
        return _connect_slot(owner, signature, target[0], target[1])
    if len(target) != 1 or not callable(target[0]):
        raise TypeError(f"a signal is connected with something that can be called, not {target}")
    connection = _connect(owner, SIGNAL(signature), _caller(target[0]))
    _remember(owner, signature, target[0], connection)
    return True


def disconnect(owner: QObject, signal: str, *target: Any) -> bool:
    """Undo one connection with this target, or all of the signal; False if there was none."""
    signature = signature_of(owner, signal)
    wanted = target[:2] if len(target) >= 2 else target[0] if target else None
    kept, cut = [], []
    for entry in _targets.get(_address(owner), []):
        fits = entry[0] == signature and (wanted is None or entry[1] == wanted)
        (cut if fits and not (cut and wanted is not None) else kept).append(entry)
    if cut:
        _targets[_address(owner)] = kept
    for _, _, connection in cut:
        _disconnect(connection)
    return bool(cut)


def single_shot(msec: int, target: Callable[..., Any], slot: str = "") -> None:
    """``QTimer.singleShot``; the target lives until it was called."""
    timer = QtCore.QTimer(QtCore.QCoreApplication.instance())
    timer.setSingleShot(True)

    def fire() -> None:
        _timers.remove(timer)
        timer.deleteLater()
        (_slot(target, slot) if slot else target)()

    _timers.append(timer)
    _connect(timer, SIGNAL("timeout()"), fire)
    timer.start(int(msec))


def stop_timers() -> None:
    """Forget every single shot that has not fired: it belongs to a test that is over."""
    for timer in _timers:
        if shiboken6.isValid(timer):
            timer.stop()
            timer.deleteLater()
    _timers.clear()


def _connect_slot(owner: QObject, signature: str, receiver: QObject, slot: str) -> bool:
    wanted = QMetaObject.normalizedSignature(slot.lstrip("0123456789")).data().decode()
    if wanted in meta_of(type(receiver)).slots:
        connection = _connect(owner, SIGNAL(signature), receiver, SLOT(wanted))
    else:
        count = _argument_count(wanted)
        method = _slot(receiver, wanted)
        connection = _connect(owner, SIGNAL(signature), lambda *args: method(*args[:count]))
    _remember(owner, signature, (receiver, slot), connection)
    return True


def _slot(receiver: QObject, slot: str) -> Callable[..., Any]:
    """A slot of a stand-in, which is a method written in Python."""
    method = getattr(receiver, slot.partition("(")[0], None)
    if callable(method):
        return method
    raise AttributeError(f"slot '{slot}' does not exist on {receiver.className()}")


def _caller(target: Callable[..., Any]) -> Callable[..., Any]:
    """Calls the target with as many arguments as it takes; anything but a function gets all."""
    count = None
    function = target.__func__ if isinstance(target, MethodType) else target
    if isinstance(function, FunctionType) and not function.__code__.co_flags & CO_VARARGS:
        count = function.__code__.co_argcount - isinstance(target, MethodType)

    def call(*args: Any) -> None:
        target(*args[:count])

    return call


def _address(owner: QObject) -> int:
    return shiboken6.getCppPointer(owner)[0]


def _remember(owner: QObject, signature: str, target: Any, connection: Any) -> None:
    address = _address(owner)
    if address not in _targets:
        _targets[address] = []
        _connect(owner, SIGNAL("destroyed()"), lambda: _targets.pop(address, None))
    _targets[address].append((signature, target, connection))
