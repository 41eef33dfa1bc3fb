"""Printing for people and for programs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from MedPrepLib.findings import Finding, Severity

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MAX_CELL = 200
MAX_SENTENCE = 600
COLORS = {Severity.NOTE: "bright_black", Severity.REVIEW: "yellow", Severity.REJECT: "red"}


def plain(text: str, longest: int = MAX_CELL) -> str:
    """Text that cannot steer a terminal: control characters become blanks, long ones are cut."""
    clean = _CONTROL.sub(" ", text)
    return clean if len(clean) <= longest else clean[: longest - 3] + "..."


def counted(count: int, noun: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def quoted(path: Path) -> str:
    """A path as it is typed into a shell."""
    return shlex.quote(str(path))


def echo_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def echo_findings(findings: Iterable[Finding]) -> None:
    """Findings, worst first, each with its remedy."""
    ordered = sorted(findings, key=lambda f: (-f.severity, f.item, f.code))
    for finding in ordered:
        word = click.style(f"{finding.severity.word:>6}", fg=COLORS[finding.severity])
        said = plain(finding.message, MAX_SENTENCE)
        click.echo(f"{word}  {plain(finding.item)}  {finding.code}: {said}")
        if finding.severity > Severity.NOTE:
            click.echo(f"        {plain(finding.remedy, MAX_SENTENCE)}")


def echo_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table with aligned columns; the first column is text, the others are numbers."""
    cells = [tuple(map(plain, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    for row in (tuple(header), *cells):
        first, *others = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        click.echo("  ".join((first, *others)).rstrip())
