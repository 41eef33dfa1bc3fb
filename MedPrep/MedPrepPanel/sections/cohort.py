"""The section Cohort: what is open, which cases there are, and which one comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from MedPrepPanel.sections.section import Section
from MedPrepPanel.sections.widgets import cell, fill_combo, fit_height, usable
from MedPrepPanel.sentences import cohort as sentences

TITLE, STATE, RATERS, LOWEST, FLAGS = range(5)
WIDEST_TITLE = 128
"""Pixels; the flags need some room, too."""


class CohortSection(Section):
    """The table of cases, with filter, search and steps."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        ui = self.ui
        self._shown: tuple[Any, ...] = ()
        self._listed: Any = None
        self._row = 0
        self.make_menu()
        table = ui.caseTable
        table.setColumnCount(5)
        table.setHorizontalHeaderLabels([_("Case"), _("State"), _("Raters"), _("Dice"), _("Flags")])
        table.horizontalHeaderItem(LOWEST).setToolTip(
            _("The lowest Dice of any two raters on any label, once the case was run or opened")
        )
        table.setWordWrap(False)
        table.setTextElideMode(qt.Qt.ElideRight)
        table.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(22)
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(TITLE, qt.QHeaderView.Interactive)
        header.setSectionResizeMode(FLAGS, qt.QHeaderView.Stretch)
        fill_combo(ui.stateComboBox, sentences.states(), "")
        table.connect("cellClicked(int,int)", self.on_row)
        ui.stateComboBox.connect("currentIndexChanged(int)", self.on_filter)
        ui.searchLineEdit.connect("textChanged(QString)", self.on_filter)
        ui.pathLineEdit.connect("returnPressed()", self.on_path)
        ui.previousButton.connect("clicked(bool)", self.on_previous)
        ui.nextButton.connect("clicked(bool)", self.on_next)
        ui.compareButton.connect("clicked(bool)", self.on_compare)
        ui.imageSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.on_scene_choice)
        ui.segmentationsSelector.connect("checkedNodesChanged()", self.on_scene_choice)

    def make_menu(self) -> None:
        """The ways to open something."""
        menu = qt.QMenu(self.ui.openButton)
        for text, slot in (
            (_("Study file..."), self.on_study),
            (_("Cohort folder..."), self.on_cohort),
            (_("What is in the scene"), self.on_scene),
            (_("Sample study"), self.on_sample),
        ):
            action = menu.addAction(text)
            action.connect("triggered(bool)", slot)
        self.ui.openButton.setMenu(menu)
        self.ui.openButton.setPopupMode(qt.QToolButton.InstantPopup)

    # --- what is shown ------------------------------------------------------------------------

    def show(self) -> None:
        """The table, what is open, and how many cases are done."""
        session = self.panel.session
        entries = session.entries if session is not None else ()
        if entries is not self._listed:
            self._listed = entries
            self.fill()
        desk = self.panel.desk
        current = self.panel.opening or (desk.case.name if desk else "")
        self._choose(current)
        entry = next((e for e in entries if e.name == current), None)
        if entry is None:
            text = sentences.no_case(self.panel.path, listed=bool(entries))
        else:
            text = sentences.current_case(entry, opening=bool(self.panel.opening))
        self.ui.caseLabel.text = text
        usable(self.ui.nextButton, _("The next case (Ctrl+N)"), self._no_step(1))
        usable(self.ui.previousButton, _("The case before (Ctrl+P)"), self._no_step(-1))
        done = sum(entry.state in ("approved", "flagged") for entry in entries)
        self.ui.reviewedLabel.text = sentences.reviewed(done, len(entries)) if entries else ""
        self.ui.reviewedProgressBar.maximum = max(len(entries), 1)
        self.ui.reviewedProgressBar.value = done
        self.on_scene_choice()

    def show_search(self, found: int) -> None:
        """While the sources of a study are searched."""
        self.ui.caseLabel.text = sentences.searching(found)

    def fill(self) -> None:
        """List the entries that filter and search let through."""
        table = self.ui.caseTable
        self._shown = self._matching()
        table.setSortingEnabled(False)
        table.clearContents()
        table.setRowCount(len(self._shown))
        for row, entry in enumerate(self._shown):
            for column, item in enumerate(_cells(entry)):
                table.setItem(row, column, item)
        table.setSortingEnabled(True)
        fit_height(table, 200)
        table.setColumnWidth(TITLE, min(max(table.sizeHintForColumn(TITLE), 60), WIDEST_TITLE))

    def _matching(self) -> tuple[Any, ...]:
        session = self.panel.session
        if session is None or not session.entries:
            return ()
        from MedPrepLib.casebook import matching

        state = self.ui.stateComboBox.currentData or None
        return matching(session.entries, self.ui.searchLineEdit.text, state)

    # --- steps --------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The listed cases, as the table is sorted now."""
        table = self.ui.caseTable
        items = (table.item(row, TITLE) for row in range(table.rowCount))
        return [item.data(qt.Qt.UserRole) for item in items if item is not None]

    def neighbor(self, by: int) -> str:
        """The case so many rows on from the open one; empty beyond the ends.

        Where the open case is not listed any more (it is approved, and what is to do is listed),
        those that follow have moved up.
        """
        names = self.names()
        desk = self.panel.desk
        current = self.panel.opening or (desk.case.name if desk else "")
        if current in names:
            place = names.index(current) + by
        elif current:
            place = self._row + by - (by > 0)
        else:
            place = 0 if by > 0 else len(names) - 1
        return names[place] if 0 <= place < len(names) else ""

    def _no_step(self, by: int) -> str:
        if not self.names():
            session = self.panel.session
            listed = session is not None and session.entries
            return _("No case matches") if listed else _("Open a study or a cohort first")
        if not self.neighbor(by):
            return _("This is the last case listed") if by > 0 else _("This is the first case")
        return ""

    def _choose(self, name: str) -> None:
        table, names = self.ui.caseTable, self.names()
        blocked = table.blockSignals(True)
        if name in names:
            self._row = names.index(name)
            table.selectRow(self._row)
            table.scrollToItem(table.item(self._row, TITLE))
        else:
            table.clearSelection()
        table.blockSignals(blocked)

    # --- what the user does -------------------------------------------------------------------

    def on_row(self, row: int, column: int) -> None:
        """Open the case of a row."""
        self.panel.opener.open_case(self.names()[row])

    def on_filter(self, _value: Any = None) -> None:
        """List other cases."""
        self.fill()
        self.show()

    def on_next(self, checked: bool = False) -> None:
        """Open the next case."""
        self.panel.opener.step(1)

    def on_previous(self, checked: bool = False) -> None:
        """Open the case before."""
        self.panel.opener.step(-1)

    def on_path(self) -> None:
        """Open what was typed."""
        path = self.panel.path
        if path:
            self.panel.open_path(path)

    def on_study(self, checked: bool = False) -> None:
        """Look for a study file."""
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(),
            _("Choose a study file"),
            str(Path(self.panel.path).parent),
            _("Study files") + " (*.toml)",
        )
        self._open(path)

    def on_cohort(self, checked: bool = False) -> None:
        """Look for a cohort folder."""
        path = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Choose a cohort folder"), self.panel.path
        )
        self._open(path)

    def on_sample(self, checked: bool = False) -> None:
        """Make the sample study, if need be, and open it."""
        with self.panel.trying():
            self._open(str(self.panel.logic.sampleStudy()))

    def _open(self, path: str) -> None:
        if path:
            self.ui.pathLineEdit.text = path
            self.on_path()

    def on_scene(self, checked: bool = False) -> None:
        """Choose among what is in the scene."""
        self.ui.sceneWidget.visible = True
        self.on_scene_choice()

    def on_scene_choice(self, _node: Any = None) -> None:
        """Whether what is chosen can be compared."""
        usable(
            self.ui.compareButton,
            _("Compare the chosen segmentations on the chosen image"),
            sentences.no_comparison(self.ui.imageSelector.currentNode(), len(self._checked())),
        )

    def on_compare(self, checked: bool = False) -> None:
        """Take what is chosen for a case."""
        self.panel.opener.open_scene(self.ui.imageSelector.currentNode(), self._checked())

    def _checked(self) -> list[Any]:
        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        selector, desk = self.ui.segmentationsSelector, self.panel.desk
        own = desk.nodes.own if desk is not None else []  # they go when the case is closed
        return [n for n in nodes if selector.checkState(n) == qt.Qt.Checked and n not in own]


def _count(number: int, tip: str) -> Any:
    """A cell with a number, sorted as one; nothing for none."""
    item = cell("", tip)
    if number:
        item.setData(qt.Qt.DisplayRole, number)
    return item


def _cells(entry: Any) -> list[Any]:
    dice = "" if entry.lowest_dice is None else f"{entry.lowest_dice:.3f}"
    state = sentences.state(entry)
    return [
        cell(sentences.title(entry), sentences.entry_tip(entry), data=entry.name),
        cell(state, "\n".join(entry.reviewed_by)),
        _count(len(entry.raters), ", ".join(entry.raters)),
        cell(dice),
        cell(sentences.flags(entry), ", ".join((*entry.excluded, *entry.flags))),
    ]
