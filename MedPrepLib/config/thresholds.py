"""Which settings decide on which findings, read from the types in settings/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import msgspec.inspect as mi

from MedPrepLib.config.check import span_of
from MedPrepLib.config.settings import Study


class Threshold(msgspec.Struct, frozen=True):
    """A setting that decides on findings; ``setting`` is its path in the study file.

    ``allowed`` is its range or its words, empty when there is no limit; ``unit`` is empty for
    ratios and words.
    """

    setting: str
    value: Any
    default: Any
    unit: str
    allowed: str
    about: str
    codes: tuple[str, ...]


def thresholds(study: Study) -> tuple[Threshold, ...]:
    """Every setting that decides on findings, as ``study`` has it, in the order of Study."""
    return tuple(
        found
        for section in _fields(type(study))
        if isinstance(section.type, mi.StructType)
        for found in _of_section(section.name, getattr(study, section.name))
    )


def _of_section(name: str, section: msgspec.Struct) -> Iterator[Threshold]:
    plain = type(section)()
    for field in _fields(type(section)):
        extra, kind = _described(field.type)
        if "codes" not in extra:
            continue
        yield Threshold(
            setting=f"{name}.{field.encode_name}",
            value=msgspec.to_builtins(getattr(section, field.name)),
            default=msgspec.to_builtins(getattr(plain, field.name)),
            unit=str(extra["unit"]),
            allowed=_allowed(kind),
            about=str(extra.get("description", "")),
            codes=tuple(extra["codes"]),
        )


def _fields(struct: type[msgspec.Struct]) -> tuple[mi.Field, ...]:
    kind = mi.type_info(struct)
    return kind.fields if isinstance(kind, mi.StructType) else ()


def _described(kind: mi.Type) -> tuple[dict[str, Any], mi.Type]:
    """What stands in the ``Meta`` of a setting, and its type without it."""
    extra: dict[str, Any] = {}
    while isinstance(kind, mi.Metadata):
        extra = (kind.extra_json_schema or {}) | extra
        kind = kind.type
    return extra, kind


def _allowed(kind: mi.Type) -> str:
    if isinstance(kind, mi.IntType | mi.FloatType):
        return span_of(kind)
    return " | ".join(map(str, kind.values)) if isinstance(kind, mi.LiteralType) else ""
