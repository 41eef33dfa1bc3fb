"""Texts of other people in Markdown and YAML: shown as they are, whatever they hold.

Escapes are those of CommonMark 0.31 (backslashes before ASCII punctuation, entities) and of YAML
1.2 (double-quoted scalars, of which JSON strings are a part).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from MedPrepLib.report.text import clean

_ACTIVE = r"\`*_[]#!~{}$"
_ESCAPES = str.maketrans(
    {c: f"\\{c}" for c in _ACTIVE} | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
)
_LIST_NUMBER = re.compile(r"^(\d+)([.)])")
_LONGEST = 20_000


def plain(text: str, limit: int = _LONGEST) -> str:
    """One line without characters that nobody sees."""
    return " ".join(visible(text, limit).split())


def visible(text: str, limit: int = _LONGEST) -> str:
    """``text`` without control, invisible and unassigned characters; blanks stay."""
    return "".join(c for c in clean(text, limit) if c.isprintable())


def inline(text: str, limit: int = _LONGEST) -> str:
    """A text within a line of Markdown, or in a cell of a table, that marks nothing up."""
    return plain(text, limit).translate(_ESCAPES)


def paragraphs(text: str) -> str:
    """A text of several paragraphs: empty lines part them, nothing else does anything."""
    parts = (_begun(inline(part)) for part in re.split(r"\n[ \t\r]*\n", text))
    return "\n\n".join(part for part in parts if part)


def _begun(line: str) -> str:
    """A line that begins no list, no rule and no heading."""
    line = _LIST_NUMBER.sub(r"\1\\\2", line)
    return f"\\{line}" if line.startswith(("-", "+", "=", ":")) else line


def code(word: str) -> str:
    """A code or a hash as code; anything else as text that marks nothing up."""
    return f"`{word}`" if re.fullmatch(r"[A-Za-z0-9_.-]+", word) else inline(word)


def fenced(text: str, language: str = "") -> str:
    """A block of code that its own backticks cannot end."""
    lines = [visible(line).rstrip() for line in text.strip().splitlines()]
    longest = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join((f"{fence}{language}", *lines, fence))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of finished cells; the first column is text, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def yaml_text(text: str) -> str:
    """A text as a YAML scalar in quotes; what is visible needs no escape but those of JSON."""
    return json.dumps(plain(text), ensure_ascii=False)
