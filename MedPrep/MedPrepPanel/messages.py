"""One line at the top of the panel for what went wrong, or is worth knowing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PROBLEM_STYLE = "background: #b3261e; color: white; padding: 4px; border-radius: 3px;"
NOTE_STYLE = "background: #2f5f8a; color: white; padding: 4px; border-radius: 3px;"


class Messages:
    """What the panel says, in place of windows that pop up."""

    def __init__(self, label: Any) -> None:
        self._label = label
        self.clear()

    @property
    def text(self) -> str:
        """What is said now; empty when nothing is."""
        return "" if self._label.isHidden() else str(self._label.text)

    def problem(self, text: str) -> None:
        """Something could not be done."""
        self._say(text, PROBLEM_STYLE)

    def note(self, text: str) -> None:
        """Something worth knowing; a problem that is shown stays."""
        if not self._label.isHidden() and self._label.styleSheet == PROBLEM_STYLE:
            return
        self._say(text, NOTE_STYLE)

    def notes(self, texts: Iterable[str]) -> None:
        """Several things, one a line; nothing for none."""
        said = "\n".join(texts)
        if said:
            self.note(said)

    def clear(self) -> None:
        """Say nothing."""
        self._label.visible = False
        self._label.text = ""

    def _say(self, text: str, style: str) -> None:
        self._label.styleSheet = style
        self._label.text = text
        self._label.visible = True
