"""Exceptions that no caller sees: in slots, timers, event handlers and VTK observers.

Qt and VTK print them and go on, and so does Slicer; a test has to fail.
"""

# Signatures are Slicer's.
# ruff: noqa: ARG002

from __future__ import annotations

import sys
import traceback
from types import TracebackType


class SlotErrors:
    """Collects them while a test runs."""

    def __init__(self) -> None:
        self._errors: list[BaseException] = []
        self._before = sys.excepthook

    def install(self) -> None:
        self._before = sys.excepthook
        sys.excepthook = self._collect

    def remove(self) -> None:
        sys.excepthook = self._before

    def _collect(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        self._errors.append(error.with_traceback(trace))

    def __len__(self) -> int:
        return len(self._errors)

    def take(self, kind: type[BaseException] = BaseException) -> list[BaseException]:
        """Those of a type; they were expected and no longer fail the test."""
        taken = [error for error in self._errors if isinstance(error, kind)]
        self._errors = [error for error in self._errors if not isinstance(error, kind)]
        return taken

    def report(self) -> str:
        """Every traceback that was not taken."""
        return "\n".join("".join(traceback.format_exception(error)) for error in self._errors)
