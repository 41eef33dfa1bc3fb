"""Opening books and cases: read beside the main thread, one ahead, and laid out in the scene."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer

from MedPrepPanel.background import AHEAD, LISTING, NOW
from MedPrepPanel.sentences.alignment import left_out
from MedPrepPanel.sentences.review import stale, withdrawn

if TYPE_CHECKING:
    from MedPrepLib.casebook import OpenCase


class DroppedError(RuntimeError):
    """Raised in a search whose result nobody wants any more."""


class Opener:
    """What is being opened. ``opening`` is the name of the case that is read now.

    ``listed``: the study file or cohort folder whose cases are listed, whatever stands in the line
    by now; empty for none and for a scene.
    """

    def __init__(self, panel: Any) -> None:
        self.panel = panel
        self.opening = ""
        self.listed = ""
        self._search: object = None
        self._left = ""
        self._ahead: tuple[str, Future[Any]] | None = None

    # --- books --------------------------------------------------------------------------------

    def open_path(self, path: str) -> None:
        """Open a study file or a cohort folder; its cases are listed when they have been found."""
        panel = self.panel
        with panel.trying():
            session = panel.logic.startSession(panel.review.reviewer)
            self.leave_case()
            session.close_book()
            self.forget()
            panel.show_all()
            panel.cases.show_search(0)
            self.listed = path
            self._list(path, self._book_opened)

    def list_again(self) -> None:
        """List the same cases anew: a run has found out more about them."""
        session = self.panel.session
        if session is not None and session.reads_files and self.listed:
            self._list(self.listed, self._book_renewed)

    def open_scene(self, volume: Any, segmentations: list[Any]) -> None:
        """Take what is in the scene for a case, and open it."""
        panel = self.panel
        with panel.trying():
            session = panel.logic.startSession(panel.review.reviewer)
            self.leave_case()
            self.forget()
            session.open_scene(volume, segmentations, panel.logic.sceneReviews())
            self._lay_out(session.read(session.entries[0].name))
        panel.show_all()

    def _list(self, path: str, done: Any) -> None:
        self._search = search = object()

        def hear(step: Any) -> None:  # called in the thread that searches
            if self._search is not search:
                raise DroppedError
            self.panel.background.say(lambda: self.panel.cases.show_search(step.done))

        self.panel.background.forget(LISTING)
        self.panel.background.start(
            lambda: self.panel.logic.openBook(Path(path), hear), done, self._failed, LISTING
        )

    def _book_opened(self, found: Any) -> None:
        self.panel.session.take_book(*found)
        self.panel.show_all()

    def _book_renewed(self, found: Any) -> None:
        self.panel.session.renew_book(*found)
        self.panel.show_all()

    # --- cases --------------------------------------------------------------------------------

    def open_case(self, name: str) -> None:
        """Save and close the open case, read another one beside, and show it."""
        session, background = self.panel.session, self.panel.background
        if session is None or name in ("", self.opening):
            return
        with self.panel.trying():
            self.leave_case()
            self.opening = name
            background.forget(NOW)
            background.forget(AHEAD)
            ready = self._take_ahead(name)
            if not session.reads_files:
                self._read_scene(name)
            elif ready is not None:
                background.follow(ready, self._case_read, self._failed)
            else:
                background.start(lambda: session.read(name), self._case_read, self._failed)
        self.panel.show_all()

    def step(self, by: int) -> None:
        """Open the next case of those listed (by 1), or the one before (by -1)."""
        self.open_case(self.panel.cases.neighbor(by))

    def leave_case(self) -> None:
        """Save what was decided and typed, and close; raises when it cannot be saved."""
        session = self.panel.session
        if session is not None and session.desk is not None:
            title = session.desk.case.title
            session.withdrawn = ""
            self.panel.review.keep_notes()
            session.close_case()
            self._left = withdrawn(title) if session.withdrawn else ""

    def settings_changed(self) -> None:
        """Measure the open case anew, if its thresholds are others now."""
        desk = self.panel.desk
        settings = _settings(desk.case, self.panel.options)
        if settings != desk.analysis.settings:
            self.panel.background.forget(AHEAD)
            desk.measure(settings)
            self.panel.case_changed()

    def fix_grid(self, rater: str, *, fixed: bool) -> None:
        """Take a rater's mask as lying on the image's grid, or by its header again."""
        self._reopen(lambda: self.panel.session.fix_grid(rater, fixed=fixed))

    def change_reviewer(self, reviewer: str) -> None:
        """Show the open case with what another reviewer decided about it."""
        self._reopen(lambda: self.panel.session.change_reviewer(reviewer))

    def _reopen(self, change: Callable[[], Any]) -> None:
        """Do something that lays the open case out anew."""
        with self.panel.trying():
            if self.panel.desk is not None:
                self.panel.review.keep_notes()
            self.panel.background.forget(AHEAD)
            self._ahead = None
            change()
            self.panel.case_changed()
        self.panel.show_all()

    def forget(self) -> None:
        """Nothing that is being read or searched is wanted any more."""
        self.opening = self.listed = ""
        self._search = self._ahead = None
        for lane in (NOW, AHEAD, LISTING):
            self.panel.background.forget(lane)

    def _read_scene(self, name: str) -> None:
        """Read the case of the scene, which only the main thread may touch."""
        try:
            case = self.panel.session.read(name)
        finally:
            self.opening = ""
        self._lay_out(case)

    def _case_read(self, case: OpenCase) -> None:
        self.opening = ""
        with self.panel.trying():
            self._lay_out(case)
        self.panel.show_all()

    def _lay_out(self, case: OpenCase) -> None:
        panel, options = self.panel, self.panel.options
        self.panel.background.forget(AHEAD)
        panel.session.put_on_desk(
            case, _settings(case, options), blinded=bool(options and options.blinded)
        )
        slicer.util.resetSliceViews()
        panel.desk.look_at(case.center_mm)  # to fit a view moves it to the middle of the image
        panel.case_changed()
        left, self._left = self._left, ""
        said = [left, *left_out(panel.desk), *panel.session.problems]
        if panel.session.stale:
            said.append(stale(panel.session.review))
        panel.messages.notes(filter(None, said))

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, DroppedError):
            return
        self.opening = ""
        self.panel.show_all()
        self.panel.failed(error)

    # --- reading ahead ------------------------------------------------------------------------

    def read_ahead(self) -> None:
        """Read the next case while the user looks at this one."""
        session, name = self.panel.session, self.panel.cases.neighbor(1)
        wanted = self.panel.options is None or self.panel.options.prefetch
        begun = self._ahead is not None and self._ahead[0] == name
        if name and wanted and session.reads_files and not begun:
            # Told to nobody: whether it went well matters once the case is asked for.
            self._ahead = (name, self.panel.background.submit(lambda: session.read(name), AHEAD))

    def _take_ahead(self, name: str) -> Future[Any] | None:
        """What is being read or was read ahead, if it is this case; else nobody needs it."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None
        waiting = ahead[1].cancel()  # behind other work: it is quicker to read the case now
        return None if waiting or ahead[0] != name else ahead[1]


def _settings(case: OpenCase, options: Any) -> Any:
    """The settings of the study, with those that the user chose here."""
    import msgspec

    chosen = {}
    if options is not None and options.threshold:
        chosen["threshold"] = options.threshold
    if options is not None and options.tolerance:
        chosen["tolerance_mm"] = options.tolerance
    return msgspec.structs.replace(case.study.agree, **chosen)
