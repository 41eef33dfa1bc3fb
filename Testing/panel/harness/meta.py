"""What Qt knows of a class, as plain values.

PySide6 hands out a QMetaObject as if it belonged to the object that was asked for it, and takes it
away from everybody when that object goes. So only classes are asked, and once.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QMetaMethod


@dataclass(frozen=True)
class Meta:
    """Properties with "may be written" and type; signals and slots by signature, with name."""

    properties: dict[str, tuple[bool, str]]
    signals: dict[str, str]
    slots: frozenset[str]


_known: dict[type, Meta] = {}


def meta_of(cls: type) -> Meta:
    if cls not in _known:
        _known[cls] = _read(cls)
    return _known[cls]


def _read(cls: type) -> Meta:
    meta = cls.staticMetaObject
    properties = (meta.property(i) for i in range(meta.propertyCount()))
    signals, slots = {}, set()
    for method in (meta.method(i) for i in range(meta.methodCount())):
        signature = method.methodSignature().data().decode()
        if method.methodType() == QMetaMethod.MethodType.Signal:
            signals[signature] = method.name().data().decode()
        elif method.methodType() == QMetaMethod.MethodType.Slot:
            slots.add(signature)
    return Meta(
        {p.name(): (p.isWritable(), p.typeName()) for p in properties}, signals, frozenset(slots)
    )
