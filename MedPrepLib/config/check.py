"""Names every fault of a study file at once: its path, its value and its range.

msgspec stops at the first fault and speaks of types; a person editing a study file wants all of
them, with the limit and a suggestion. This walks the decoded TOML beside msgspec's description
of the settings (``msgspec.inspect``), so the ranges stand in settings/ only.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec.inspect as mi

ROOT = "$"


def problems_in(tree: Any, struct: type, path: str = ROOT) -> list[str]:
    """One line per fault in ``tree`` as a value of ``struct``; empty when it is valid.

    Each line begins with the path, e.g. ``$.screen.max_mr_slice_mm: 50 is outside 0.1..20``.
    """
    return list(_check(tree, mi.type_info(struct), path, ""))


def _check(value: Any, kind: mi.Type, path: str, about: str) -> Iterator[str]:
    while isinstance(kind, mi.Metadata):
        about = (kind.extra_json_schema or {}).get("description", about)
        kind = kind.type
    check = _CHECKS.get(type(kind))
    if check is None:
        raise TypeError(f"{path}: settings of type {type(kind).__name__} are not supported")
    yield from check(value, kind, path, about)


def _check_struct(value: Any, kind: mi.StructType, path: str, _about: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {_shown(value)} is not a table"
        return
    refused: dict[str, str] = getattr(kind.cls, "refused", {})
    fields = {field.encode_name: field for field in kind.fields}
    known = [*fields, *([kind.tag_field] if kind.tag_field else [])]
    for key, child in value.items():
        if key in fields:
            yield from _check(child, fields[key].type, f"{path}.{key}", "")
        elif key in refused:
            yield f"{path}.{key}: {refused[key]}"
        elif key not in known:
            yield f"{path}.{key}: unknown setting{_suggestion(key, known)}"
    for name, field in fields.items():
        if field.required and name not in value:
            yield f"{path}.{name}: missing, but required"


def _check_union(value: Any, kind: mi.UnionType, path: str, about: str) -> Iterator[str]:
    structs = [t for t in kind.types if isinstance(t, mi.StructType)]
    if len(structs) > 1:
        yield from _check_tagged(value, structs, path)
        return
    others = [t for t in kind.types if not isinstance(t, mi.NoneType)]
    yield from _check(value, others[0], path, about)


def _check_tagged(value: Any, structs: list[mi.StructType], path: str) -> Iterator[str]:
    field = str(structs[0].tag_field)
    if not isinstance(value, dict):
        yield f"{path}: {_shown(value)} is not a table"
        return
    by_tag = {str(struct.tag): struct for struct in structs}
    tag = value.get(field)
    if tag is None:
        yield f"{path}.{field}: missing, but required; one of {', '.join(by_tag)}"
    elif tag not in by_tag:
        yield f"{path}.{field}: {_shown(tag)} is not one of {', '.join(by_tag)}" + _suggestion(
            str(tag), list(by_tag)
        )
    else:
        yield from _check_struct(value, by_tag[tag], path, "")


def _check_number(
    value: Any, kind: mi.IntType | mi.FloatType, path: str, about: str
) -> Iterator[str]:
    whole = isinstance(kind, mi.IntType)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        yield f"{path}: {_shown(value)} is not a {'whole ' if whole else ''}number{_note(about)}"
        return
    # The comparisons are written so that NaN fails them.
    inside = (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )
    if not inside:
        yield f"{path}: {_shown(value)} is outside {span_of(kind)}{_note(about)}"


def span_of(kind: mi.IntType | mi.FloatType) -> str:
    """The range of a number in words: ``0.1..20``; ``>`` and ``<`` mark ends that do not belong.

    Empty when the number has no limits.
    """
    low = _bound(kind.ge) or (f">{_bound(kind.gt)}" if kind.gt is not None else "")
    high = _bound(kind.le) or (f"<{_bound(kind.lt)}" if kind.lt is not None else "")
    return f"{low}..{high}" if low or high else ""


def _check_text(value: Any, kind: mi.StrType, path: str, about: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{path}: {_shown(value)} is not a text{_note(about)}"
    elif kind.min_length is not None and len(value) < kind.min_length:
        yield f"{path}: must not be empty{_note(about)}"
    elif kind.max_length is not None and len(value) > kind.max_length:
        yield f"{path}: {len(value)} characters are more than {kind.max_length}"
    elif kind.pattern is not None and not re.search(kind.pattern, value):
        yield f"{path}: {_shown(value)} is not {about or 'of the form ' + kind.pattern}"


def _check_flag(value: Any, _kind: mi.BoolType, path: str, about: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{path}: {_shown(value)} is neither true nor false{_note(about)}"


def _check_choice(value: Any, kind: mi.LiteralType, path: str, about: str) -> Iterator[str]:
    if value not in kind.values:
        choices = [str(v) for v in kind.values]
        hint = _suggestion(str(value), choices)
        yield f"{path}: {_shown(value)} is not one of {', '.join(choices)}{hint}{_note(about)}"


def _check_list(
    value: Any, kind: mi.VarTupleType | mi.ListType, path: str, about: str
) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: {_shown(value)} is not a list{_note(about)}"
        return
    if kind.min_length and len(value) < kind.min_length:
        yield f"{path}: needs at least {kind.min_length} item"
    for index, item in enumerate(value):
        yield from _check(item, kind.item_type, f"{path}[{index}]", about)


def _check_tuple(value: Any, kind: mi.TupleType, path: str, about: str) -> Iterator[str]:
    if not isinstance(value, list) or len(value) != len(kind.item_types):
        yield f"{path}: {_shown(value)} is not a list of {len(kind.item_types)}{_note(about)}"
        return
    for index, (item, item_type) in enumerate(zip(value, kind.item_types, strict=True)):
        yield from _check(item, item_type, f"{path}[{index}]", about)


def _check_mapping(value: Any, kind: mi.DictType, path: str, about: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {_shown(value)} is not a table{_note(about)}"
        return
    if kind.min_length and len(value) < kind.min_length:
        yield f"{path}: needs at least {kind.min_length} entry"
    for key, item in value.items():
        yield from _check(item, kind.value_type, f"{path}.{key}", about)


_CHECKS: dict[type, Callable[[Any, Any, str, str], Iterator[str]]] = {
    mi.StructType: _check_struct,
    mi.UnionType: _check_union,
    mi.IntType: _check_number,
    mi.FloatType: _check_number,
    mi.StrType: _check_text,
    mi.BoolType: _check_flag,
    mi.LiteralType: _check_choice,
    mi.VarTupleType: _check_list,
    mi.ListType: _check_list,
    mi.TupleType: _check_tuple,
    mi.DictType: _check_mapping,
}


def _suggestion(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""


def _note(about: str) -> str:
    return f" ({about})" if about else ""


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if abs(value) < 1e6 else str(value)


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
