"""A study file to start from: every setting with its default, commented out and explained.

It is made from the types in settings/, so it cannot say anything else than they do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import msgspec.inspect as mi

from MedPrepLib.config.check import span_of
from MedPrepLib.config.settings import Study

_LEADING = ("name", "sources", "labels")


def study_template(
    name: str, sources: str, labels: str, chosen: Mapping[str, Any] | None = None
) -> str:
    """The text of a study file with the given TOML for sources and labels.

    ``chosen`` holds settings that somebody made up their mind about, by path ("agree.threshold");
    those that differ from the default stand in the text without a #.
    """
    chosen = chosen or {}
    kind = mi.type_info(Study)
    assert isinstance(kind, mi.StructType)  # noqa: S101 - for the type checker; Study is a struct
    lines = [
        "# MedPrep study file. Settings that stand behind a # have this value anyway.",
        "",
        f"name = {toml_text(name)}",
    ]
    plain = [f for f in kind.fields if f.name not in _LEADING and not _is_section(f)]
    lines += [line for field in plain for line in _setting(field, chosen.get(field.name))]
    lines += ["", sources.strip(), "", labels.strip(), ""]
    for field in kind.fields:
        if _is_section(field):
            lines += _section(field, chosen)
    return "\n".join(lines) + "\n"


def _is_section(field: mi.Field) -> bool:
    return isinstance(field.type, mi.StructType)


def _section(field: mi.Field, chosen: Mapping[str, Any]) -> Iterator[str]:
    section = field.type
    if not isinstance(section, mi.StructType):
        return
    doc = (section.cls.__doc__ or "").strip().splitlines()[0]
    yield ""
    yield f"# {doc}"
    yield f"[{field.encode_name}]"
    for setting in section.fields:
        yield from _setting(setting, chosen.get(f"{field.name}.{setting.name}"))


def _setting(field: mi.Field, chosen: Any = None) -> Iterator[str]:
    about, span, kind = "", "", field.type
    while isinstance(kind, mi.Metadata):
        about = (kind.extra_json_schema or {}).get("description", about)
        kind = kind.type
    if isinstance(kind, mi.IntType | mi.FloatType):
        span = span_of(kind)
    if isinstance(kind, mi.LiteralType):
        span = " | ".join(str(value) for value in kind.values)
    note = "; ".join(part for part in (about, span) if part)
    default = _default(field)
    wanted = chosen is not None and chosen != default
    line = f"{'' if wanted else '# '}{field.encode_name} = {toml(chosen if wanted else default)}"
    yield f"{line}  # {note}" if note else line


def _default(field: mi.Field) -> Any:
    value = field.default
    if value is msgspec.NODEFAULT:
        factory = field.default_factory
        value = factory() if callable(factory) else ""
    return msgspec.to_builtins(value)


def toml_key(key: str) -> str:
    """A key as TOML: bare where it may be, else in quotes."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_text(key)


def toml(value: Any) -> str:
    """TOML for plain values; nested tables are inline."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        inner = ", ".join(f"{toml_key(key)} = {toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml, value))}]"
    return toml_text(value) if isinstance(value, str) else str(value)


def toml_text(text: str) -> str:
    """A text as a TOML basic string, on one line.

    JSON's escapes are TOML's, but for surrogate pairs, which TOML refuses, and DEL.
    """
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
