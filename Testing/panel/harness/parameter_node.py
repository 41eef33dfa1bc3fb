"""``slicer.parameterNodeWrapper`` as the harness has it: the two decorators.

Lists and dictionaries come back as copies: unlike in Slicer, a change of one is not seen by the
node until it is set again.
"""

from __future__ import annotations

import copy
import types
import typing
from collections.abc import Callable
from typing import Any

import slicer
import vtk
from panel.harness import parameter_gui, parameter_types
from panel.harness.parameter_types import Kind

PROPERTY = "SlicerParameterName"


def parameterPack(cls: Any = None) -> Any:
    """Several parameters as one value."""
    if cls is None:
        return parameterPack
    _declare(cls)
    for name in cls.allParameters:
        setattr(cls, name, _pack_property(name))

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        self._values = {n: copy.copy(default) for n, default in cls._defaults.items()}
        self._changed = lambda: None
        for name, value in {**dict(zip(cls.allParameters, args, strict=False)), **kwargs}.items():
            setattr(self, name, value)

    cls.__init__ = init
    cls.__eq__ = lambda self, other: getattr(other, "_values", None) == self._values
    cls.__hash__ = None
    cls.getValue, cls.setValue, cls.dataType = _get_value, _set_value, staticmethod(_typer(cls))
    return cls


def parameterNodeWrapper(cls: Any = None) -> Any:
    """Typed attributes on a vtkMRMLScriptedModuleNode."""
    if cls is None:
        return parameterNodeWrapper
    _declare(cls)
    for name, kind in cls.allParameters.items():
        setattr(cls, name, property(_reader(name, kind), _writer(name, kind)))
    members = {
        "__init__": _init,
        "getValue": _get_value,
        "setValue": _set_value,
        "default": lambda self, name: parameter_types.Default(type(self)._defaults[name]),
        "dataType": staticmethod(_typer(cls)),
        "connectGui": _connect_gui,
        "connectParametersToGui": _connect_parameters,
        "disconnectGui": _disconnect_gui,
        "StartModify": lambda self: self.parameterNode.StartModify(),
        "EndModify": lambda self, was: self.parameterNode.EndModify(was),
        "AddObserver": lambda self, *args: self.parameterNode.AddObserver(*args),
        "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
        "Modified": lambda self: self.parameterNode.Modified(),
    }
    for name, member in members.items():
        if name != "__init__" and hasattr(cls, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        setattr(cls, name, member)
    return cls


def make_module() -> types.ModuleType:
    """The module ``slicer.parameterNodeWrapper``."""
    module = types.ModuleType("slicer.parameterNodeWrapper", __doc__)
    module.parameterPack, module.parameterNodeWrapper = parameterPack, parameterNodeWrapper
    module.SlicerParameterNamePropertyName = PROPERTY
    for name in ("Default", "WithinRange", "Minimum", "Maximum", "Choice", "Decimals"):
        setattr(module, name, getattr(parameter_types, name))
    module.SingleStep = parameter_types.SingleStep
    module.isParameterNodeWrapper = lambda thing: hasattr(thing, "connectParametersToGui")
    return module


def _declare(cls: Any) -> None:
    hints = typing.get_type_hints(cls, include_extras=True)
    cls.allParameters = {name: Kind(hint) for name, hint in hints.items()}
    cls._defaults = {n: getattr(cls, n, None) for n in hints}
    for name, kind in cls.allParameters.items():
        if not hasattr(cls, name):
            cls._defaults[name] = kind.default()


def _pack_property(name: str) -> property:
    def put(self: Any, value: Any) -> None:
        self.allParameters[name].check(value)
        self._values[name] = value
        self._changed()

    return property(lambda self: self._values[name], put)


def _init(self: Any, parameterNode: Any, prefix: str | None = None) -> None:
    self.parameterNode = parameterNode
    self._guis: dict[int, Any] = {}
    self._showing = False
    self._next_tag = 0
    with slicer.util.NodeModify(parameterNode):
        for name, kind in self.allParameters.items():
            if not _is_in(parameterNode, name, kind):
                setattr(self, name, self._defaults[name])


def _is_in(node: Any, name: str, kind: Kind) -> bool:
    if kind.is_pack:
        first, inner = next(iter(kind.type.allParameters.items()))
        return _is_in(node, f"{name}.{first}", inner)
    return bool(node.HasParameter(name))


def _reader(name: str, kind: Kind) -> Callable[[Any], Any]:
    return lambda self: _read(self.parameterNode, name, kind)


def _read(node: Any, name: str, kind: Kind) -> Any:
    if not kind.is_pack:
        return kind.read(node, name)
    parts = kind.type.allParameters.items()
    pack = kind.type(**{n: _read(node, f"{name}.{n}", k) for n, k in parts})
    pack._changed = lambda: _write(node, name, kind, pack)
    for part in pack._values.values():
        if hasattr(part, "_changed"):
            part._changed = pack._changed
    return pack


def _writer(name: str, kind: Kind) -> Callable[[Any, Any], None]:
    return lambda self, value: _write(self.parameterNode, name, kind, value)


def _write(node: Any, name: str, kind: Kind, value: Any) -> None:
    with slicer.util.NodeModify(node):
        if kind.is_pack:
            kind.check(value)
            for part, inner in kind.type.allParameters.items():
                _write(node, f"{name}.{part}", inner, value._values[part])
        else:
            kind.write(node, name, value)


def _get_value(self: Any, name: str) -> Any:
    top, _, rest = name.partition(".")
    if top not in self.allParameters:
        raise ValueError(f"Cannot find a param with the given name: {top}")
    value = getattr(self, top)
    return value.getValue(rest) if rest else value


def _set_value(self: Any, name: str, value: Any) -> None:
    owner, _, last = name.rpartition(".")
    _get_value(self, name)
    setattr(self.getValue(owner) if owner else self, last, value)


def _typer(cls: Any) -> Callable[[str], Kind]:
    def dataType(name: str) -> Kind:
        top, _, rest = name.partition(".")
        if top not in cls.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {top}")
        kind = cls.allParameters[top]
        return kind.type.dataType(rest) if rest else kind

    return dataType


def _connect_gui(self: Any, gui: Any) -> int:
    widgets = gui.findChildren("QWidget") if hasattr(gui, "findChildren") else vars(gui).values()
    named = {w.property(PROPERTY): w for w in widgets if w.property(PROPERTY)}
    return self.connectParametersToGui(named)


def _connect_parameters(self: Any, mapping: dict[str, Any]) -> int:
    connectors = {n: parameter_gui.connector(w, self.dataType(n)) for n, w in mapping.items()}
    for name, connector in connectors.items():
        connector.show(self.getValue(name))
        connector.listen(_listener(self, name, connector))
    self._next_tag += 1
    observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: _show(self))
    self._guis[self._next_tag] = (connectors, observer)
    return self._next_tag


def _listener(self: Any, name: str, connector: Any) -> Callable[[], None]:
    def changed() -> None:
        if not self._showing:
            with slicer.util.NodeModify(self):
                self.setValue(name, connector.value())

    return changed


def _show(self: Any) -> None:
    if self._showing:
        return
    self._showing = True
    try:
        for connectors, _ in self._guis.values():
            for name, connector in connectors.items():
                connector.show(self.getValue(name))
    finally:
        self._showing = False


def _disconnect_gui(self: Any, tag: int) -> None:
    connectors, observer = self._guis.pop(tag, ({}, None))
    for connector in connectors.values():
        connector.stop()
    if observer is not None:
        self.RemoveObserver(observer)
