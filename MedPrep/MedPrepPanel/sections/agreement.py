"""The section Agreement: how far every pair of raters agrees, why not, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from MedPrepPanel.background import AHEAD
from MedPrepPanel.sections import matrix
from MedPrepPanel.sections.section import Section
from MedPrepPanel.sections.widgets import fill_combo, fit_list_height, say, usable
from MedPrepPanel.sentences import agreement as sentences


class AgreementSection(Section):
    """A matrix of raters for one label and metric, and the places where they differ.

    ``label`` is what is looked at; ``place`` the number of the place, -1 for none yet; ``pair``
    the two raters whose disagreement is explained, None for those who agree least.
    """

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        ui = self.ui
        self.label = ""
        self.place = -1
        self.pair: tuple[str, str] | None = None
        self._showing = False
        matrix.prepare(ui.matrixTable)
        ui.matrixTable.connect("cellClicked(int,int)", self.on_cell)
        ui.labelComboBox.connect("currentIndexChanged(int)", self.on_label)
        ui.metricComboBox.connect("currentIndexChanged(int)", self.on_metric)
        ui.ratersList.connect("itemChanged(QListWidgetItem*)", self.on_raters)
        ui.ratersList.connect("itemDoubleClicked(QListWidgetItem*)", self.on_rater_alone)
        ui.previousPlaceButton.connect("clicked(bool)", self.on_previous_place)
        ui.nextPlaceButton.connect("clicked(bool)", self.on_next_place)
        ui.mapCheckBox.connect("toggled(bool)", self.on_map)
        ui.blindedCheckBox.connect("toggled(bool)", self.on_blinded)
        ui.worstButton.setPopupMode(qt.QToolButton.MenuButtonPopup)
        self._worst_menu = qt.QMenu(ui.worstButton)
        ui.worstButton.setMenu(self._worst_menu)
        self._worst_menu.connect("aboutToShow()", self.fill_worst)
        ui.worstButton.connect("clicked(bool)", self.on_worst)

    # --- a case comes and goes ----------------------------------------------------------------

    def begin(self) -> None:
        """Another case: the same label if it has it, else the one with the least agreement."""
        desk = self.panel.desk
        self.place, self.pair = -1, None
        self._showing = True
        self.ui.mapCheckBox.checked = False
        self.ui.ratersList.clear()
        if desk is not None:
            desk.show_disagreement(None, visible=False)
            fill_combo(self.ui.labelComboBox, sentences.labels(desk.analysis), self.label)
            self.label = str(self.ui.labelComboBox.currentData or "")
            self._fill_metrics(desk.case)
            self._list_raters(desk, set(desk.case.raters))
            desk.nodes.show(self.label or None, self.raters_shown)
        self._showing = False

    def prepare(self) -> None:
        """Answer beside what a click may ask for: what is looked at first, then the next case."""
        desk = self.panel.desk
        self.panel.background.forget(AHEAD)
        if desk is None:
            return
        analysis = desk.analysis
        first, *others = sorted(desk.case.labels, key=lambda label: label != self.label) or [""]
        measured = [(analysis.measure, label) for label in (first, *others)]
        questions = [(analysis.explain, first), *((analysis.explain, label) for label in others)]
        if self._metric(desk.case)[0].needs in ("surfaces", "lesions"):
            questions, measured = [questions[0], measured[0], *questions[1:]], measured[1:]
        for number, (question, label) in enumerate([*questions, *measured] if first else []):
            self._ask(question, label)
            if number == 0:
                self.panel.opener.read_ahead()

    def _ask(self, question: Callable[[str], None], label: str) -> None:
        self.panel.background.start(
            lambda: question(label), lambda result: self.show(), self.panel.failed, AHEAD
        )

    # --- what is shown ------------------------------------------------------------------------

    @property
    def raters_shown(self) -> list[str]:
        """The raters that are checked."""
        found = self.ui.ratersList
        items = [found.item(row) for row in range(found.count)]
        return [
            str(item.data(qt.Qt.UserRole)) for item in items if item.checkState() == qt.Qt.Checked
        ]

    @property
    def places(self) -> tuple[Any, ...]:
        """Where raters differ on the label, as far as it is known by now."""
        desk = self.panel.desk
        if desk is None or not self.label or not desk.analysis.knows("places", self.label):
            return ()
        found: tuple[Any, ...] = desk.analysis.places(self.label)
        return found

    @property
    def chosen_place(self) -> Any:
        """The place that is looked at; None for none."""
        return self.places[self.place] if 0 <= self.place < len(self.places) else None

    def show(self) -> None:
        """The matrix of the label, and the place that is looked at."""
        desk = self.panel.desk
        self._showing = True
        if desk is None:
            self.ui.labelComboBox.clear()
            self.ui.ratersList.clear()
            matrix.clear(self.ui.matrixTable)
            say(self.ui.causeLabel, "")
        else:
            metric, raters = self._metric(desk.case)
            matrix.fill(self.ui.matrixTable, desk, self.label, metric, raters)
            say(self.ui.causeLabel, sentences.cause(desk, self.label, self.pair))
        fit_list_height(self.ui.ratersList, 58)
        self.show_place()
        self._showing = False

    def show_place(self) -> None:
        """Say which place is looked at, and switch the buttons."""
        desk, count = self.panel.desk, len(self.places)
        known = desk is not None and bool(self.label) and desk.analysis.knows("places", self.label)
        self.place = min(self.place, count - 1)
        ui = self.ui
        ui.placeCountLabel.text = sentences.place_count(self.place, count, known)
        say(ui.placeLabel, sentences.place(self.chosen_place, desk))
        obstacle = sentences.no_place(desk is not None, known, count)
        usable(ui.nextPlaceButton, _("The next place (Ctrl+Shift+N)"), obstacle)
        usable(ui.previousPlaceButton, _("The place before (Ctrl+Shift+P)"), obstacle)
        no_map = obstacle or sentences.no_map(self.places)
        usable(ui.worstButton, _("Go to the slice on which raters differ most"), no_map)
        usable(ui.mapCheckBox, _("Lay the disagreement over the image (Ctrl+Shift+M)"), no_map)
        self.panel.consensus.show_accepting()

    def _metric(self, case: Any) -> tuple[Any, tuple[str, ...]]:
        from MedPrepLib.casebook import metrics_of, raters_of

        offered = metrics_of(case)
        name = self.ui.metricComboBox.currentData
        metric = next((m for m in offered if m.name == name), offered[0])
        return metric, raters_of(case, metric)

    def _fill_metrics(self, case: Any) -> None:
        from MedPrepLib.casebook import metrics_of

        entries = [(sentences.metric(metric), metric.name) for metric in metrics_of(case)]
        fill_combo(self.ui.metricComboBox, entries, self.ui.metricComboBox.currentData)

    def _list_raters(self, desk: Any, shown: set[str]) -> None:
        for rater in desk.case.raters:
            self.ui.ratersList.addItem(_rater_item(desk, rater, checked=rater in shown))

    # --- what the user does -------------------------------------------------------------------

    def on_label(self, _index: int = 0) -> None:
        """Look at another structure."""
        desk = self.panel.desk
        if self._showing or desk is None:
            return
        self.label = str(self.ui.labelComboBox.currentData or "")
        self.place, self.pair = -1, None
        desk.nodes.show(self.label or None, self.raters_shown)
        if self.ui.mapCheckBox.checked:
            desk.show_disagreement(self.label, visible=True)
        self.show()
        self.prepare()

    def on_metric(self, _index: int = 0) -> None:
        """Put another measure into the table."""
        desk = self.panel.desk
        if self._showing or desk is None:
            return
        self.show()
        metric, _raters = self._metric(desk.case)
        if not desk.analysis.knows(metric.needs, self.label):
            self.prepare()

    def on_cell(self, row: int, column: int) -> None:
        """Show the two raters of a cell, and why they differ."""
        desk = self.panel.desk
        if desk is None:
            return
        _metric, raters = self._metric(desk.case)
        a, b = sorted((raters[row], raters[column]))
        self.pair = (a, b) if a != b else None
        self._check_only({a, b})
        self.show()

    def on_raters(self, _item: Any = None) -> None:
        """Show those raters that are checked."""
        desk = self.panel.desk
        if not self._showing and desk is not None:
            desk.nodes.show(self.label or None, self.raters_shown)

    def on_rater_alone(self, item: Any) -> None:
        """Show one rater, or everybody again."""
        rater = str(item.data(qt.Qt.UserRole))
        everybody = set(self.panel.desk.case.raters) if self.panel.desk else set()
        self._check_only(everybody if self.raters_shown == [rater] else {rater})

    def _check_only(self, raters: set[str]) -> None:
        found = self.ui.ratersList
        self._showing = True
        for row in range(found.count):
            item = found.item(row)
            wanted = str(item.data(qt.Qt.UserRole)) in raters
            item.setCheckState(qt.Qt.Checked if wanted else qt.Qt.Unchecked)
        self._showing = False
        self.on_raters()

    def on_next_place(self, checked: bool = False) -> None:
        """Go to the next place where raters differ."""
        self.go_to_place(self.place + 1)

    def on_previous_place(self, checked: bool = False) -> None:
        """Go to the place before; from none, to the last."""
        self.go_to_place(max(self.place, 0) - 1)

    def go_to_place(self, number: int) -> None:
        """Go to a place; after the last comes the first."""
        desk = self.panel.desk
        if not self.places or desk is None:
            return
        self.place = number % len(self.places)
        desk.look_at(self.chosen_place.center_mm)
        self.show_place()

    def on_worst(self, checked: bool = False) -> None:
        """Go to the slice on which raters differ most, along the last axis."""
        desk = self.panel.desk
        worst = desk.analysis.worst(self.label) if desk is not None and self.label else ()
        if worst:
            desk.look_at(worst[-1].position_mm)

    def fill_worst(self) -> None:
        """The worst slice of every axis, in the button's menu."""
        self._worst_menu.clear()
        desk = self.panel.desk
        for found in desk.analysis.worst(self.label) if desk is not None and self.label else ():
            action = self._worst_menu.addAction(sentences.worst(found))
            action.connect(
                "triggered(bool)", lambda checked, at=found.position_mm: desk.look_at(at)
            )

    def on_map(self, checked: bool = False) -> None:
        """Lay the disagreement over the image, or take it away."""
        desk = self.panel.desk
        if desk is not None and not self._showing:
            with self.panel.trying():
                desk.show_disagreement(self.label or None, visible=checked)

    def on_blinded(self, checked: bool = False) -> None:
        """Call the raters by numbers, or by their names."""
        desk = self.panel.desk
        if desk is None:
            return
        desk.blind(blinded=checked)
        shown = set(self.raters_shown)
        self._showing = True
        self.ui.ratersList.clear()
        self._list_raters(desk, shown)
        self._showing = False
        self.panel.show_all()


def _rater_item(desk: Any, rater: str, *, checked: bool) -> Any:
    item = qt.QListWidgetItem(desk.name_of(rater))
    item.setData(qt.Qt.UserRole, rater)
    item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
    item.setCheckState(qt.Qt.Checked if checked else qt.Qt.Unchecked)
    pixmap = qt.QPixmap(12, 12)
    pixmap.fill(qt.QColor(*desk.colors[rater]))
    item.setIcon(qt.QIcon(pixmap))
    return item
