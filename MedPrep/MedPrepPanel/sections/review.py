"""The section Review: the reviewer's verdict, kept in versions."""

from __future__ import annotations

import getpass
from typing import Any

import qt
from slicer.i18n import tr as _

from MedPrepPanel.sections.section import Section
from MedPrepPanel.sections.widgets import fill_combo, fit_height, say, usable
from MedPrepPanel.sentences import review as sentences

REVIEWER_KEY = "MedPrep/reviewer"


class ReviewSection(Section):
    """Approve or flag, with difficulty and comment."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        ui = self.ui
        self._showing = False
        self._name = str(qt.QSettings().value(REVIEWER_KEY) or _login())
        ui.reviewerLineEdit.text = self._name
        fill_combo(ui.difficultyComboBox, sentences.difficulties(), "")
        ui.reviewerLineEdit.connect("editingFinished()", self.on_reviewer)
        ui.approveButton.connect("clicked(bool)", self.on_approve)
        ui.flagButton.connect("clicked(bool)", self.on_flag)
        ui.slicesTable.connect("itemChanged(QTableWidgetItem*)", self.on_slices)
        table = ui.slicesTable
        table.setColumnCount(3)
        table.setHorizontalHeaderLabels([_("Label"), _("First slice"), _("Last slice")])
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        table.verticalHeader().setVisible(False)
        table.setEditTriggers(qt.QAbstractItemView.DoubleClicked)
        self._of = ("", 0)

    @property
    def reviewer(self) -> str:
        """Who decides here."""
        return str(self.ui.reviewerLineEdit.text).strip()

    def show(self) -> None:
        """The newest version, and what is not saved yet."""
        session, desk = self.panel.session, self.panel.desk
        review = session.review if session is not None and desk is not None else None
        of = (review.case, review.version) if review is not None else ("", 0)
        if of != self._of:
            self._of = of
            self._take(review)
        self._show_slices()
        obstacle = "" if desk is not None else _("Open a case first")
        usable(
            self.ui.approveButton,
            _("Save and approve: the consensus as it is now is the target (Ctrl+Shift+Y)"),
            obstacle,
        )
        usable(
            self.ui.flagButton, _("Save and flag: somebody has to look (Ctrl+Shift+G)"), obstacle
        )
        for widget in (
            self.ui.commentTextEdit,
            self.ui.difficultyComboBox,
            self.ui.nothingFoundCheckBox,
        ):
            widget.enabled = desk is not None
        say(self.ui.savedLabel, sentences.saved(review, desk))

    def save(self, verdict: str) -> None:
        """Save with a verdict, and show the state in the list."""
        session = self.panel.session
        if session is None:
            return
        with self.panel.trying():
            session.save(verdict, **self.notes())
        self.panel.show_all()

    def notes(self) -> dict[str, Any]:
        """What is written about the case beside the verdict."""
        return {
            "nothing_found": bool(self.ui.nothingFoundCheckBox.checked),
            "difficulty": str(self.ui.difficultyComboBox.currentData or ""),
            "comment": str(self.ui.commentTextEdit.plainText).strip(),
        }

    def keep_notes(self) -> None:
        """Save what was written and not saved with a verdict."""
        session, notes = self.panel.session, self.notes()
        if session is None or session.desk is None:
            return
        if any(getattr(session.review, name) != value for name, value in notes.items()):
            session.save(**notes)

    # --- what the user does -------------------------------------------------------------------

    def on_approve(self, checked: bool = False) -> None:
        """Approve the case."""
        self.save("approved")

    def on_flag(self, checked: bool = False) -> None:
        """Flag the case."""
        self.save("flagged")

    def on_reviewer(self) -> None:
        """Somebody else decides from now on; a name is needed, as reviews are kept by it."""
        if not self.reviewer:
            self.ui.reviewerLineEdit.text = self._name
        if self.reviewer == self._name:
            return
        self._name = self.reviewer
        qt.QSettings().setValue(REVIEWER_KEY, self.reviewer)
        if self.panel.session is not None:
            self.panel.opener.change_reviewer(self.reviewer)

    def on_slices(self, _item: Any = None) -> None:
        """A range of slices was changed."""
        desk = self.panel.desk
        if self._showing or desk is None or desk.slices is None:
            return
        from MedPrepLib.results import SliceRange

        rows = []
        for row in range(self.ui.slicesTable.rowCount):
            texts = [self.ui.slicesTable.item(row, column).text().strip() for column in range(3)]
            label, first, last = texts
            if not label and row < len(desk.slices):  # taken away
                continue
            if not any(texts):
                continue
            if not all(texts):  # not written yet
                return
            problem = sentences.bad_slices(desk.case, label, first, last)
            if problem:
                self.panel.messages.problem(problem)
                return
            rows.append(SliceRange(label, int(first), int(last) + 1))
        desk.slices = tuple(rows)
        self.panel.messages.clear()
        self.panel.show_all()

    # --- inside -------------------------------------------------------------------------------

    def _take(self, review: Any) -> None:
        self.ui.commentTextEdit.plainText = review.comment if review is not None else ""
        chosen = review.difficulty if review is not None else ""
        fill_combo(self.ui.difficultyComboBox, sentences.difficulties(), chosen)
        self.ui.nothingFoundCheckBox.checked = bool(review is not None and review.nothing_found)

    def _show_slices(self) -> None:
        desk, table = self.panel.desk, self.ui.slicesTable
        ranges = desk.slices if desk is not None and desk.slices is not None else ()
        table.visible = desk is not None and desk.slices is not None
        self._showing = True
        rows = [(found.label, str(found.start), str(found.stop - 1)) for found in ranges]
        rows.append(("", "", ""))  # to write another one
        table.setRowCount(len(rows))
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                table.setItem(row, column, qt.QTableWidgetItem(text))
        self._showing = False
        fit_height(table, 120)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name
        return "reviewer"
