"""How the values of a parameter node are checked, written and read.

A part of ``slicer.parameterNodeWrapper`` as the harness has it: str, int, float, bool, paths,
enumerations, lists, dictionaries, optional values, nodes and packs of these, with the limits that
``Annotated`` may give them. Used unless MEDPREP_SLICER_SOURCE names the real one.
"""

from __future__ import annotations

import enum
import json
import pathlib
import types
import typing
from dataclasses import dataclass
from typing import Any

import slicer

PATHS = (pathlib.Path, pathlib.PurePath)
SIMPLE = (str, int, float, bool)


@dataclass(frozen=True)
class Default:
    """The value of a parameter that was never set."""

    value: Any


@dataclass(frozen=True)
class WithinRange:
    minimum: float
    maximum: float

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            limits = f"[{self.minimum}, {self.maximum}]"
            raise ValueError(f"Value must be within range {limits}, is {value}")


@dataclass(frozen=True)
class Minimum:
    minimum: float

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"Value must not be less than {self.minimum}, is {value}")


@dataclass(frozen=True)
class Maximum:
    maximum: float

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"Value must not be greater than {self.maximum}, is {value}")


@dataclass(frozen=True)
class Choice:
    choices: Any

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be one of {self.choices}")


@dataclass(frozen=True)
class Decimals:
    """For the widget only."""

    value: int


@dataclass(frozen=True)
class SingleStep:
    """For the widget only."""

    value: float


def _all_nodes(candidates: Any) -> bool:
    return all(isinstance(c, type) and issubclass(c, slicer.vtkMRMLNode) for c in candidates)


class Kind:
    """The type of a parameter, without annotations, and its limits."""

    def __init__(self, hint: Any) -> None:
        annotated = typing.get_origin(hint) is typing.Annotated
        self.type, *self.notes = typing.get_args(hint) if annotated else (hint,)
        origin = typing.get_origin(self.type)
        arguments = typing.get_args(self.type)
        self.optional = origin in (typing.Union, types.UnionType) and type(None) in arguments
        if self.optional:
            arguments = tuple(a for a in arguments if a is not type(None))
        # Several classes of nodes may stand for one parameter; of other types only one.
        self.nodes = arguments if len(arguments) > 1 and _all_nodes(arguments) else ()
        if self.optional or self.nodes:
            self.type = arguments[0] if len(arguments) == 1 or self.nodes else hint
            origin, arguments = typing.get_origin(self.type), typing.get_args(self.type)
        self.container = origin or self.type
        self.items = [Kind(argument) for argument in arguments]
        if not self._supported():
            raise TypeError(f"Unable to create serializer for type: {hint}")

    def _supported(self) -> bool:
        if self.container in (list, dict):
            return all(item.container is not dict or item.items for item in self.items)
        is_class = isinstance(self.type, type)
        base = (*SIMPLE, *PATHS, enum.Enum, slicer.vtkMRMLNode)
        return is_class and (issubclass(self.type, base) or hasattr(self.type, "allParameters"))

    def note(self, *wanted: type) -> Any:
        return next((note for note in self.notes if isinstance(note, wanted)), None)

    @property
    def is_node(self) -> bool:
        return _all_nodes([self.type])

    @property
    def is_pack(self) -> bool:
        return hasattr(self.type, "allParameters")

    def default(self) -> Any:
        note = self.note(Default)
        if note is not None:
            return note.value
        if self.optional or self.is_node:
            return None
        if isinstance(self.type, type) and issubclass(self.type, enum.Enum):
            return next(iter(self.type))
        return self.container()

    def check(self, value: Any) -> None:
        if value is None and (self.optional or self.is_node):
            return
        if value is None:
            raise ValueError("Value must not be None")
        accepted = (int, float) if self.type is float else self.nodes or self.container
        if not isinstance(value, accepted):
            kind = f"'{type(value)}' value '{value}'"
            raise TypeError(f"Value must be of type '{accepted}', is type {kind}")
        for note in self.notes:
            getattr(note, "validate", lambda _: None)(value)
        for index, item in enumerate(self.items):
            parts = value if self.container is list else (value.keys(), value.values())[index]
            for part in parts:
                item.check(part)

    def encode(self, value: Any) -> Any:
        """As something JSON has."""
        if value is None:
            return None
        if self.container is list:
            return [self._item(0).encode(v) for v in value] if self.items else list(value)
        if self.container is dict and self.items:
            return [[self._item(0).encode(k), self._item(1).encode(v)] for k, v in value.items()]
        if isinstance(value, enum.Enum):
            return value.name
        return str(value) if isinstance(value, PATHS) else value

    def decode(self, value: Any) -> Any:
        if value is None:
            return None
        if self.container is list:
            return [self._item(0).decode(v) for v in value] if self.items else list(value)
        if self.container is dict and self.items:
            return {self._item(0).decode(k): self._item(1).decode(v) for k, v in value}
        if issubclass(self.type, enum.Enum):
            return self.type[value]
        return self.type(value) if self.type is not dict else dict(value)

    def _item(self, index: int) -> Kind:
        return self.items[index]

    def write(self, node: Any, name: str, value: Any) -> None:
        self.check(value)
        if self.is_node:
            node.SetParameter(name, "")
            node.SetNodeReferenceID(name, value.GetID() if value is not None else None)
        elif self.type is str and not self.optional:
            node.SetParameter(name, value)
        else:
            node.SetParameter(name, json.dumps(self.encode(value)))

    def read(self, node: Any, name: str) -> Any:
        if self.is_node:
            return node.GetNodeReference(name)
        text = node.GetParameter(name)
        if self.type is str and not self.optional:
            return text
        return self.decode(json.loads(text))
