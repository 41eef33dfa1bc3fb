"""The section Alignment: does every mask lie on the image, how far off it is, and why."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from MedPrepPanel.sections.section import Section
from MedPrepPanel.sections.widgets import cell, fit_height, usable
from MedPrepPanel.sentences import alignment as sentences

GRAY = (200, 200, 200)
"""Of raters whose masks are not used."""
FINE = ("same", "rounding")


class AlignmentSection(Section):
    """The verdict in words, with the way to mend it."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        ui = self.ui
        table = ui.alignmentTable
        table.setColumnCount(2)
        table.horizontalHeader().setVisible(False)
        table.verticalHeader().setVisible(False)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(1, qt.QHeaderView.Stretch)
        table.setWordWrap(True)
        table.connect("itemSelectionChanged()", self.on_choice)
        ui.fixButton.connect("clicked(bool)", self.on_fix)
        ui.asDrawnButton.connect("toggled(bool)", self.on_as_drawn)

    @property
    def rater(self) -> str:
        """Whose mask is chosen; empty for none."""
        items = self.ui.alignmentTable.selectedItems()
        return str(items[0].data(qt.Qt.UserRole)) if items else ""

    def show(self) -> None:
        """One sentence if all is well, else a row for each mask that lay elsewhere."""
        desk = self.panel.desk
        elsewhere = self._elsewhere()
        self.ui.alignmentLabel.text = sentences.alignment(desk.case if desk else None, elsewhere)
        table = self.ui.alignmentTable
        table.visible = bool(elsewhere)
        self._fill(elsewhere)
        table.resizeRowsToContents()
        fit_height(table, 150)
        for button in (self.ui.fixButton, self.ui.asDrawnButton):
            button.visible = bool(elsewhere)
        self.on_choice()

    def on_choice(self) -> None:
        """What can be done about the chosen mask."""
        desk, rater = self.panel.desk, self.rater
        fixed = desk is not None and rater in desk.case.fixes
        self.ui.fixButton.text = _("Use its header again") if fixed else _("Shift into place")
        obstacle = sentences.no_fix(desk.case if desk else None, rater)
        usable(self.ui.fixButton, sentences.fix_tip(fixed), obstacle)
        button = self.ui.asDrawnButton
        blocked = button.blockSignals(True)
        button.checked = desk is not None and desk.nodes.shows_as_drawn(rater)
        button.blockSignals(blocked)
        none = "" if rater else _("Choose a mask in the table")
        usable(button, _("Show where the mask lay by its header"), none)

    def on_fix(self, checked: bool = False) -> None:
        """Take the chosen mask as lying on the image, or by its header again."""
        desk, rater = self.panel.desk, self.rater
        if desk is None or not rater:
            return
        before = desk.analysis.agreement.lowest
        self.panel.opener.fix_grid(rater, fixed=rater not in desk.case.fixes)
        after = self.panel.desk
        if after is not None and after is not desk:
            lowest = after.analysis.agreement.lowest
            self.panel.messages.note(
                sentences.fixed(after.name_of(rater), before, lowest, rater in after.case.fixes)
            )

    def on_as_drawn(self, checked: bool = False) -> None:
        """Show the chosen mask where it lay, beside where it is used; or no longer."""
        desk, rater = self.panel.desk, self.rater
        if desk is not None and rater:
            desk.nodes.show_as_drawn(rater, desk.colors.get(rater, GRAY), visible=checked)

    def _elsewhere(self) -> list[str]:
        desk = self.panel.desk
        if desk is None:
            return []
        return [r for r, v in sorted(desk.case.verdicts.items()) if v.verdict not in FINE]

    def _fill(self, raters: list[str]) -> None:
        desk, table = self.panel.desk, self.ui.alignmentTable
        chosen = self.rater
        table.setRowCount(len(raters))
        for row, rater in enumerate(raters):
            verdict = desk.case.verdicts[rater] if desk else None
            table.setItem(row, 0, cell(desk.name_of(rater) if desk else rater, data=rater))
            sentence = sentences.verdict(verdict, rater in (desk.case.fixes if desk else ()))
            table.setItem(row, 1, cell(sentence, sentence, data=rater))
        if raters:
            table.selectRow(raters.index(chosen) if chosen in raters else 0)
