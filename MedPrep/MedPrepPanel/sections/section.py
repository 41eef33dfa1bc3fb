"""What all sections of the panel have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from MedPrepPanel.panel import Panel


class Section:
    """A part of the panel, which shows what is so now whenever it is told to."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.ui = panel.ui

    def show(self) -> None:
        """Let the widgets tell what is so now."""
        raise NotImplementedError
