"""A user of the MedPrep module: opens it, clicks, waits until it has answered, and reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MEDPREP = Path(__file__).resolve().parents[2] / "MedPrep" / "MedPrep.py"
TITLE, STATE, RATERS, DICE, FLAGS = range(5)


class User:
    """Somebody in front of the panel. ``panel`` is the driver of the harness."""

    def __init__(self, panel: Any) -> None:
        self.panel = panel
        self.handle = panel.open_module(MEDPREP)

    @property
    def ui(self) -> Any:
        return self.handle.ui

    @property
    def inside(self) -> Any:
        """The panel's own object, for what cannot be seen."""
        return self.handle.widget.panel

    @property
    def session(self) -> Any:
        return self.handle.logic.session

    @property
    def desk(self) -> Any:
        return self.session.desk

    @property
    def told(self) -> str:
        """The line at the top; empty when there is none."""
        return self.inside.messages.text

    # --- doing --------------------------------------------------------------------------------

    def idle(self, timeout_s: float = 60.0) -> None:
        """Wait until nothing is being read or measured."""
        self.panel.wait_until(lambda: not self.inside.background.busy, timeout_s)
        self.panel.process()

    def open(self, path: Path) -> None:
        """Paste a path and press Enter."""
        self.panel.paste_text(self.ui.pathLineEdit, str(path))
        self.panel.press("Return", self.ui.pathLineEdit)
        self.idle()

    def open_case(self, part: str) -> None:
        """Click the first case whose title holds this."""
        titles = self.column(TITLE)
        row = next(row for row, title in enumerate(titles) if part in title)
        self.panel.click_cell(self.ui.caseTable, row, TITLE)
        self.idle()

    def click(self, name: str) -> None:
        """Click a widget by its name and wait."""
        self.panel.click(getattr(self.ui, name))
        self.idle()

    def choose(self, name: str, text: str) -> None:
        """Choose in a combo box, and wait."""
        self.panel.choose(getattr(self.ui, name), text)
        self.idle()

    def choose_part(self, name: str, part: str) -> None:
        """Choose the first entry that holds this."""
        combo = getattr(self.ui, name)
        texts = [combo.itemText(n) for n in range(combo.count)]
        self.choose(name, next(text for text in texts if part in text))

    # --- reading ------------------------------------------------------------------------------

    def column(self, column: int) -> list[str]:
        """A column of the list of cases, as it is shown."""
        table = self.ui.caseTable
        return [table.item(row, column).text() for row in range(table.rowCount)]

    def matrix(self) -> list[list[str]]:
        """The texts of the table of raters."""
        table = self.ui.matrixTable
        return [
            [table.item(row, column).text() for column in range(table.columnCount)]
            for row in range(table.rowCount)
        ]

    def why_not(self, name: str) -> str:
        """Why a widget is off; empty when it can be used."""
        widget = getattr(self.ui, name)
        return "" if widget.enabled else str(widget.toolTip)

    def nodes(self, kind: str) -> list[Any]:
        """The nodes of a class that are in the scene."""
        import slicer

        return list(slicer.util.getNodesByClass(kind))
