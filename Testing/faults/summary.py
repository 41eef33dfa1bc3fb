"""The table of faults survived, printed after the tests that were marked with a row."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from faults.rows import ROWS

if TYPE_CHECKING:
    import pytest

PROPERTY = "fault"


def note_rows(items: list[pytest.Item]) -> None:
    """Let the rows of every test travel with its report, also from other processes."""
    for item in items:
        for mark in item.iter_markers("fault"):
            for row in mark.args:
                if row not in ROWS:
                    raise ValueError(f"{item.nodeid}: there is no fault {row!r}")
                item.user_properties.append((PROPERTY, row))


def print_table(reporter: pytest.TerminalReporter) -> None:
    """One line per row that was tried: how many tests, and how many of them it survived."""
    tried: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in reporter.getreports(outcome):
            for row in rows_of(report):
                if outcome == "skipped":
                    skipped[row] += 1
                elif outcome in {"failed", "error"} or report.when == "call":
                    tried[row] += 1
                    survived[row] += outcome == "passed"
    reporter.section("faults")
    for row, about in ROWS.items():
        if tried[row] or skipped[row]:
            note = f", {skipped[row]} skipped" if skipped[row] else ""
            reporter.line(f"{row:4} {about:52} {survived[row]:3} of {tried[row]:3}{note}")
    whole = sum(1 for row in ROWS if tried[row] and tried[row] == survived[row])
    reporter.line(f"rows tried: {sum(1 for row in ROWS if tried[row])}, survived: {whole}")


def rows_of(report: pytest.TestReport) -> set[str]:
    """The rows a report speaks of."""
    return {value for name, value in getattr(report, "user_properties", ()) if name == PROPERTY}
