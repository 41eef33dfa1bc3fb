"""Every fault is shown by a test, or said to be a limit with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from faults.rows import LIMITS, ROWS
from faults.summary import PROPERTY, print_table

TESTING = Path(__file__).resolve().parents[1]
DOCS = TESTING.parent / "Docs" / "limits.md"


def marks(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, list[str]]]:
    """Names and texts of the marks of a test, as in ``pytest.mark.fault("F16")``."""
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        given = decorator.args if isinstance(decorator, ast.Call) else []
        if isinstance(call, ast.Attribute):
            yield call.attr, [str(a.value) for a in given if isinstance(a, ast.Constant)]


def shown() -> dict[str, set[str]]:
    """The tests of every row, but for those that only run when they are asked for."""
    found: dict[str, set[str]] = {}
    for path in TESTING.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                own = list(marks(node))
                if "heavy" not in {name for name, _ in own}:
                    for row in (row for name, rows in own if name == "fault" for row in rows):
                        found.setdefault(row, set()).add(node.name)
    return found


def test_every_fault_is_shown_by_a_test_or_is_a_limit_with_its_reason():
    tested = shown()
    assert sorted(tested.keys() - ROWS.keys()) == [], "no such row"
    missing = [f"{row}: {about}" for row, about in ROWS.items() if row not in tested]
    assert [line for line in missing if line.partition(":")[0] not in LIMITS] == []
    assert LIMITS.keys() <= ROWS.keys()
    assert list(ROWS) == [f"F{n}" for n in range(1, len(ROWS) + 1)]


def test_a_test_that_could_not_begin_is_none_that_was_survived():
    lines = []

    class Reporter:
        def getreports(self, outcome):
            when = {"passed": "call", "error": "setup"}.get(outcome)
            report = SimpleNamespace(when=when, user_properties=[(PROPERTY, "F30")])
            return [report] if when else []

        def section(self, _title):
            pass

        def line(self, text):
            lines.append(text)

    print_table(Reporter())
    assert lines[0].endswith("1 of   2")
    assert lines[-1] == "rows tried: 1, survived: 0"


@pytest.mark.parametrize("row", LIMITS)
def test_limits_stand_in_the_page_of_limits(row):
    assert LIMITS[row] in " ".join(DOCS.read_text("utf-8").split())
