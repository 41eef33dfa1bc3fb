"""Bring the generated parts of Docs/ up to date with the source.

``python Testing/update_docs.py`` rewrites them, ``--check`` only says what is stale. What is made:
every setting (Docs/study-file.md), every finding code (Docs/findings.md) and every command
(Docs/commands.md), between two marks each; what stands around the marks is written by hand.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
import msgspec
import msgspec.inspect as mi

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from MedPrepLib.catalog import stages  # noqa: E402
from MedPrepLib.command import medprep  # noqa: E402
from MedPrepLib.config.check import span_of  # noqa: E402
from MedPrepLib.config.settings import (  # noqa: E402
    Annotation,
    LabelSection,
    Source,
    Study,
    TerminologyCode,
    Window,
)
from MedPrepLib.rulebook import RuleRow, rulebook  # noqa: E402

BEGIN = "<!-- made by Testing/update_docs.py: {} -->"
END = "<!-- end of {} -->"


# --- settings ---------------------------------------------------------------------------------


def settings_text() -> str:
    """Every table of a study file, with a row per setting."""
    plain = [f for f in _fields(Study) if not isinstance(f.type, mi.StructType)]
    parts = [_table("The file itself", plain, "")]
    parts += [
        _section(f'`[[sources]]` with `kind = "{source.tag}"`', source.cls) for source in _sources()
    ]
    parts.append(_section("`[sources.annotations.NAME]`", Annotation))
    parts.append(_section("`[labels.NAME]`", LabelSection))
    parts.append(_section("`terminology` of a label", TerminologyCode))
    parts += [
        _section(f"`[{field.encode_name}]`", field.type.cls)
        for field in _fields(Study)
        if isinstance(field.type, mi.StructType)
    ]
    parts.append(_section("`[standardize.windows.NAME]`", Window))
    return "\n".join(parts)


def _section(title: str, struct: type) -> str:
    return _table(title, _fields(struct), _doc(struct))


def _sources() -> tuple[mi.StructType, ...]:
    kind = mi.type_info(Source)
    assert isinstance(kind, mi.UnionType)
    return tuple(t for t in kind.types if isinstance(t, mi.StructType))


def _fields(struct: type) -> tuple[mi.Field, ...]:
    kind = mi.type_info(struct)
    assert isinstance(kind, mi.StructType)
    return kind.fields


def _doc(struct: type) -> str:
    return _escaped(_joined(struct.__doc__ or ""))


def _joined(text: str) -> str:
    return " ".join(text.split())


def _table(title: str, fields: Iterable[mi.Field], doc: str) -> str:
    rows = [f"### {title}\n", f"{doc}\n" if doc else ""]
    rows.append("| setting | default | values | what it does | findings |")
    rows.append("|---|---|---|---|---|")
    rows += map(_row, fields)
    return "\n".join(row for row in rows if row) + "\n"


def _row(field: mi.Field) -> str:
    extra, kind = _described(field.type)
    codes = ", ".join(f"[{code}](findings.md#{code.lower()})" for code in extra.get("codes", ()))
    unit = str(extra.get("unit", ""))
    allowed = _allowed(kind)
    values = allowed if not unit or unit in allowed else f"{allowed} {unit}".strip()
    about = _escaped(str(extra.get("description", "")))
    return f"| `{field.encode_name}` | {_default(field)} | {_escaped(values)} | {about} | {codes} |"


def _described(kind: mi.Type) -> tuple[dict[str, Any], mi.Type]:
    """What stands in the ``Meta`` of a setting, also where it may be left out."""
    extra: dict[str, Any] = {}
    while True:
        if isinstance(kind, mi.Metadata):
            extra = (kind.extra_json_schema or {}) | extra
            kind = kind.type
        elif isinstance(kind, mi.UnionType):
            kind = next(t for t in kind.types if not isinstance(t, mi.NoneType))
        else:
            return extra, kind


def _allowed(kind: mi.Type) -> str:
    """The values of a type in words."""
    _, kind = _described(kind)
    if isinstance(kind, mi.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, mi.VarTupleType):
        return f"list of {_allowed(kind.item_type)}"
    if isinstance(kind, mi.TupleType):
        return f"{len(kind.item_types)} of {_allowed(kind.item_types[0])}"
    if isinstance(kind, mi.DictType):
        return f"table of {_allowed(kind.value_type)}"
    if isinstance(kind, mi.StructType) and kind.tag_field:
        return "tables, see below"
    if isinstance(kind, mi.StructType):
        inner = ", ".join(f"`{field.encode_name}`" for field in kind.fields)
        return f"table of {inner}"
    if isinstance(kind, mi.IntType | mi.FloatType):
        span = span_of(kind)
        word = "whole number" if isinstance(kind, mi.IntType) else "number"
        return f"{word} {span}".strip()
    names: dict[type, str] = {mi.StrType: "text", mi.BoolType: "`true`, `false`"}
    return names[type(kind)]


def _default(field: mi.Field) -> str:
    if field.required:
        return "required"
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory() if callable(field.default_factory) else ""
    value = msgspec.to_builtins(value)
    if value is None or value in ("", [], {}, ()):
        return "-"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _escaped(text: str) -> str:
    text = text.replace("``", "`").replace("|", "\\|")
    return re.sub(r"<(?=\w)", "&lt;", text)


# --- findings ---------------------------------------------------------------------------------


def findings_text() -> str:
    """Every finding code by stage."""
    rows = rulebook()
    parts = []
    for stage, about in stages().items():
        parts.append(f"## {stage}: {about}\n")
        parts += [_finding(row) for row in rows if row.stage == stage]
    return "\n".join(parts)


def _finding(row: RuleRow) -> str:
    final = ", final" if row.final else ""
    lines = [f"### {row.code}\n", f"*{row.default}{final}.* {row.meaning}\n"]
    lines.append(f"- what to do: {row.remedy}")
    if row.thresholds:
        names = (f"[`{limit.setting}`](study-file.md)" for limit in row.thresholds)
        lines.append(f"- settings: {', '.join(names)}")
    if row.source:
        lines.append(f"- source: {row.source}")
    return "\n".join(_escaped(line) for line in lines) + "\n"


# --- commands ---------------------------------------------------------------------------------


def commands_text() -> str:
    """Every command with its arguments and options; the same with every version of click."""
    commands = [medprep.commands[name] for name in sorted(medprep.commands)]
    rows = ["| command | what it does |", "|---|---|"]
    rows += [f"| [`{c.name}`](#{c.name}) | {_escaped(_paragraphs(c)[0])} |" for c in commands]
    return "\n".join([*rows, "", *map(_command, commands)])


def _command(command: click.Command) -> str:
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option)]
    usage = " ".join(["medprep", str(command.name), *map(_argument, arguments)])
    lines = [f"## {command.name}\n", f"`{usage}`\n"]
    lines += [f"{_escaped(text)}\n" for text in _paragraphs(command)]
    if options:
        lines += ["| option | what it does |", "|---|---|", *map(_option, options), ""]
    return "\n".join(lines)


def _paragraphs(command: click.Command) -> list[str]:
    """The help; what has to keep its lines (after a backspace) becomes a block."""
    parts = inspect.cleandoc(command.help or "").split("\n\n")
    return [
        "```\n" + part.partition("\n")[2] + "\n```" if part.startswith("\b") else _joined(part)
        for part in parts
    ]


def _argument(argument: click.Argument) -> str:
    name = str(argument.name).upper()
    if isinstance(argument.type, click.Choice):
        name = "|".join(map(str, argument.type.choices))
    many = "..." if argument.nargs == -1 else ""
    return f"{name}{many}" if argument.required else f"[{name}]{many}"


def _option(option: click.Option) -> str:
    words = ", ".join(option.opts)
    if not option.is_flag:
        choices = getattr(option.type, "choices", None)
        words += " " + ("|".join(map(str, choices)) if choices else option.type.name.upper())
    default = f" Default: `{option.default}`." if option.show_default is True else ""
    return f"| `{_escaped(words)}` | {_escaped(option.help or '')}{default} |"


PARTS: Mapping[str, tuple[str, Callable[[], str]]] = MappingProxyType(
    {
        "Docs/study-file.md": ("settings", settings_text),
        "Docs/findings.md": ("findings", findings_text),
        "Docs/commands.md": ("commands", commands_text),
    }
)


def current(name: str) -> str:
    """What the page has to say."""
    part, make = PARTS[name]
    begin, end = BEGIN.format(part), END.format(part)
    before, _, rest = (REPOSITORY / name).read_text("utf-8").partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{name} lacks its marks: {begin} ... {end}")
    return f"{before}{begin}\n{make().strip()}\n\n{end}{after}"


def stale() -> Iterator[str]:
    """The pages that do not say what the source says."""
    for name in PARTS:
        if (REPOSITORY / name).read_text("utf-8") != current(name):
            yield name


def main() -> int:
    """Run as a command; 1 when ``--check`` finds a stale page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, only look")
    check = parser.parse_args().check
    old = list(stale())
    for name in old:
        if not check:
            (REPOSITORY / name).write_text(current(name), "utf-8")
        sys.stdout.write(f"{name} {'is stale' if check else 'rewritten'}\n")
    return int(check and bool(old))


if __name__ == "__main__":
    sys.exit(main())
