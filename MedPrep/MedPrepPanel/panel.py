"""The panel as a whole: what is open, which section shows what, and what goes on beside."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

import qt

from MedPrepPanel import recipes
from MedPrepPanel.background import Background
from MedPrepPanel.messages import Messages
from MedPrepPanel.opening import Opener
from MedPrepPanel.sections.agreement import AgreementSection
from MedPrepPanel.sections.alignment import AlignmentSection
from MedPrepPanel.sections.cohort import CohortSection
from MedPrepPanel.sections.consensus import ConsensusSection
from MedPrepPanel.sections.export import ExportSection
from MedPrepPanel.sections.review import ReviewSection
from MedPrepPanel.sentences.review import withdrawn

if TYPE_CHECKING:
    from MedPrepLib.mrml import Desk, Session


class Panel:
    """Holds the sections together. ``options`` is the module's parameter node, None between scenes.

    Sections ask the panel to do something (open a case, choose a label) and are told to show
    themselves anew; none of them holds what another one knows.
    """

    def __init__(self, ui: Any, logic: Any) -> None:
        self.ui = ui
        self.logic = logic
        self.options: Any = None
        self.messages = Messages(ui.messageLabel)
        self.background = Background()
        self.opener = Opener(self)
        self.cases = CohortSection(self)
        self.alignment = AlignmentSection(self)
        self.agreement = AgreementSection(self)
        self.consensus = ConsensusSection(self)
        self.review = ReviewSection(self)
        self.export = ExportSection(self)
        self.sections = (
            self.cases,
            self.alignment,
            self.agreement,
            self.consensus,
            self.review,
            self.export,
        )
        recipes.offer(self)
        self.show_all()

    # --- state --------------------------------------------------------------------------------

    @property
    def session(self) -> Session | None:
        """The session, once something was opened."""
        session: Session | None = self.logic.session
        return session

    @property
    def desk(self) -> Desk | None:
        """The open case, if there is one."""
        return self.session.desk if self.session is not None else None

    @property
    def path(self) -> str:
        """The study file or cohort folder that is chosen."""
        # A parameter node tells its observers in no certain order; the line may be behind.
        chosen = self.options.study if self.options else self.ui.pathLineEdit.text
        return str(chosen).strip()

    @property
    def opening(self) -> str:
        """The name of the case that is being read; empty when none is."""
        return self.opener.opening

    def set_options(self, options: Any) -> None:
        """The user chose other settings; None when the scene goes away."""
        self.options = options
        if self.desk is not None and options is not None:
            self.opener.settings_changed()
        self.show_all()

    def show_all(self) -> None:
        """Let every section show what is so now."""
        for section in self.sections:
            section.show()

    def trying(self) -> Attempt:
        """Inside, what MedPrep refuses and what the disk refuses becomes a line in the panel."""
        return Attempt(self)

    def failed(self, error: BaseException) -> None:
        """Say what could not be done; what is a fault of the program is raised."""
        if not self.logic.isRefusal(error):
            raise error
        self.messages.problem(str(error))

    # --- requests of the sections -------------------------------------------------------------

    def open_path(self, path: str) -> None:
        """Open a study file or a cohort folder."""
        self.ui.sceneWidget.visible = False
        self.opener.open_path(path)

    def case_changed(self) -> None:
        """The case on the desk is another one, or its readings lie elsewhere now."""
        self.agreement.begin()
        self.show_all()
        self.agreement.prepare()

    def keep(self) -> None:
        """Save what was decided and typed about the open case."""
        with self.trying():
            self.save_open()
        self.show_all()

    def save_open(self) -> None:
        """The same, for who says what goes wrong."""
        if self.session is None or self.desk is None:
            return
        self.session.withdrawn = ""
        self.review.keep_notes()
        if self.session.has_changes():
            self.session.save()
        if self.session.withdrawn:
            self.messages.note(withdrawn(self.desk.case.title))

    # --- life ---------------------------------------------------------------------------------

    def scene_closing(self) -> None:
        """Save the open case before its nodes are gone, and have no cases any more."""
        self.opener.forget()
        self.keep()
        if self.session is not None:
            self.session.drop_case()
            self.session.close_book()
        self.show_all()

    def stop(self) -> None:
        """The panel goes away."""
        self.scene_closing()
        self.background.stop()
        self.export.stop()


class Attempt:
    """Something that a user asked for, and that may be refused: with a wait cursor meanwhile."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def __enter__(self) -> None:
        self._panel.messages.clear()
        qt.QApplication.setOverrideCursor(qt.Qt.WaitCursor)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        qt.QApplication.restoreOverrideCursor()
        if error is None or not self._panel.logic.isRefusal(error):
            return False
        self._panel.messages.problem(str(error))
        return True
