"""The section Consensus: one reading out of several, and whose drawing counts where."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from MedPrepPanel.sections.section import Section
from MedPrepPanel.sections.widgets import fill_combo, say, usable
from MedPrepPanel.sentences import consensus as sentences


class ConsensusSection(Section):
    """Make a consensus, edit it, and take a rater's drawing place by place."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        ui = self.ui
        self._raters: Any = None
        fill_combo(ui.tiesComboBox, sentences.ties(()), "background")
        ui.makeConsensusButton.connect("clicked(bool)", self.on_make)
        ui.editButton.connect("clicked(bool)", self.on_edit)
        ui.boxButton.connect("clicked(bool)", self.on_box)
        ui.acceptButton.connect("clicked(bool)", self.on_accept)

    def show(self) -> None:
        """What can be decided now, and how the present consensus came about."""
        desk = self.panel.desk
        raters = (desk.case.raters, desk.blinded) if desk is not None else None
        if raters != self._raters:
            self._raters = raters
            self._fill_ties()
        none = "" if desk is not None and desk.case.raters else _("Open a case with readings first")
        usable(
            self.ui.makeConsensusButton,
            _("Make a consensus of the raters as a segmentation that can be edited"),
            none,
        )
        undecided = "" if desk is not None and desk.has_mask else _("Make a consensus first")
        usable(self.ui.editButton, _("Edit the consensus in the Segment Editor"), undecided)
        say(self.ui.consensusLabel, sentences.consensus(desk))
        self.ui.boxButton.visible = desk is not None and bool(desk.case.boxes)
        usable(
            self.ui.boxButton,
            _("Put a box of the present label where the views are; drag its faces into place"),
            "",
        )
        self.show_accepting()

    def show_accepting(self) -> None:
        """Whose drawing can be taken at the present place."""
        desk, combo = self.panel.desk, self.ui.sourceComboBox
        place = self.panel.agreement.chosen_place
        fill_combo(combo, sentences.sources(desk, place), combo.currentData)
        usable(
            self.ui.acceptButton,
            _("Put what was drawn at this place into the consensus"),
            sentences.no_accepting(desk, place),
        )
        for widget in (self.ui.acceptLabel, combo, self.ui.acceptButton):
            widget.visible = desk is not None and sentences.decided(desk)

    def how(self) -> Any:
        """The chosen way to decide."""
        from MedPrepLib.config.settings import Consensus

        method = "staple" if self.ui.stapleRadioButton.checked else "majority"
        return Consensus(method=method, ties=str(self.ui.tiesComboBox.currentData))

    # --- what the user does -------------------------------------------------------------------

    def on_make(self, checked: bool = False) -> None:
        """Make a consensus; what was drawn before is in the last version of the review."""
        desk, session = self.panel.desk, self.panel.session
        if desk is None or session is None:
            return
        with self.panel.trying():
            if session.has_changes():
                session.save()
            desk.decide(self.how())
            self._show_nodes(desk)
        self.panel.show_all()

    def on_edit(self, checked: bool = False) -> None:
        """Open the consensus in the Segment Editor."""
        desk = self.panel.desk
        if desk is None or not desk.has_mask:
            return
        desk.choose_for_editing()
        slicer.util.selectModule("SegmentEditor")

    def on_accept(self, checked: bool = False) -> None:
        """Take the chosen drawing at the present place."""
        desk, place = self.panel.desk, self.panel.agreement.chosen_place
        if desk is None or place is None:
            return
        with self.panel.trying():
            desk.accept(place, str(self.ui.sourceComboBox.currentData))
            self._show_nodes(desk)
        self.panel.show_all()

    def on_box(self, checked: bool = False) -> None:
        """Add a box of the present label."""
        desk = self.panel.desk
        if desk is None:
            return
        with self.panel.trying():
            desk.add_box(self.panel.agreement.label, desk.center_of_views)
        self.panel.show_all()

    # --- inside -------------------------------------------------------------------------------

    def _show_nodes(self, desk: Any) -> None:
        agreement = self.panel.agreement
        desk.nodes.show(agreement.label or None, agreement.raters_shown)

    def _fill_ties(self) -> None:
        desk, ui = self.panel.desk, self.ui
        named = [(desk.name_of(r), r) for r in desk.case.raters] if desk is not None else []
        fill_combo(ui.tiesComboBox, sentences.ties(named), ui.tiesComboBox.currentData)
