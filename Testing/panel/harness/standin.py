"""What stand-ins for Slicer's and CTK's Qt classes have in common."""

# Signatures are Slicer's.
# ruff: noqa: ARG005

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from panel.harness.allowed import ALLOWED
from panel.harness.pythonqt import native, own_dict, stand_ins
from PySide6 import QtCore

Class = TypeVar("Class", bound=type)


def stand_in(cls: Class) -> Class:
    """Register a stand-in; it may have no public name that the real class lacks.

    What it inherits from another stand-in it may have too. Methods that override one of Qt's are
    no additions.
    """
    names = ALLOWED[cls.__name__]
    for base in cls.__mro__[1:]:
        names |= stand_ins.get(base, frozenset())
    natives = [base for base in cls.__mro__ if native(base)]
    for name in vars(cls):
        inherited = any(name in vars(base) for base in natives)
        if not name.startswith("_") and not inherited and name not in names | {"staticMetaObject"}:
            raise TypeError(f"the real {cls.__name__} offers no {name}")
    stand_ins[cls] = names
    return cls


def plain(kind: Any, name: str, value: Any) -> QtCore.Property:
    """A property that is kept and has no other effect."""
    return kept(kind, name, value, lambda self: None)


def kept(kind: Any, name: str, value: Any, changed: Callable[[Any], None]) -> QtCore.Property:
    """A property that is kept; ``changed(self)`` is called when it was set to something else."""
    key = f"_{name}_value"
    convert = kind if kind in (bool, int, float, str) else lambda new: new

    def get(self: Any) -> Any:
        return own_dict(self).get(key, value)

    def put(self: Any, new: Any) -> None:
        new = convert(new)
        if new != get(self):
            own_dict(self)[key] = new
            changed(self)

    return QtCore.Property(kind, get, put)


def passed_on(kind: Any, part: str, name: str) -> QtCore.Property:
    """A property that one of the widget's parts has."""

    def get(self: Any) -> Any:
        return getattr(getattr(self, part), name)

    def put(self: Any, value: Any) -> None:
        setattr(getattr(self, part), name, value)

    return QtCore.Property(kind, get, put)


class Observers:
    """Observers of VTK objects that end with the widget they belong to.

    A widget may be destroyed by its parent, without Python noticing; what is still observed then
    would call a dead object.
    """

    def __init__(self, owner: QtCore.QObject) -> None:
        self._tags: list[tuple[Any, int]] = []
        # Not a bound method of the owner: it would keep the owner alive.
        owner.connect("destroyed()", self.clear)

    def add(self, observed: Any, event: int, callback: Callable[..., None]) -> None:
        self._tags.append((observed, observed.AddObserver(event, callback)))

    def clear(self) -> None:
        while self._tags:
            observed, tag = self._tags.pop()
            observed.RemoveObserver(tag)
