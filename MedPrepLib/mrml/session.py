"""A person at work on a book of cases in a scene: what the panel does, without the panel.

Also for Slicer's Python console::

    session = Session(slicer.mrmlScene, "ana")
    session.open(Path("study.toml"))
    session.open_case(session.entries[0].name)
    session.desk.decide(Consensus(method="staple"))
    session.save("approved")
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from MedPrepLib.casebook import Casebook, CaseEntry, OpenCase, open_book, with_low, with_reviews
from MedPrepLib.config.settings import Agree
from MedPrepLib.errors import RunError
from MedPrepLib.mrml.desk import Desk
from MedPrepLib.mrml.drawings import drawings, take_up
from MedPrepLib.mrml.scenebook import SceneBook
from MedPrepLib.progress import Listener, silent
from MedPrepLib.review import (
    Difficulty,
    Review,
    Verdict,
    fixed_readings,
    inputs_of,
    speaks_of,
)


class Session:
    """A scene, a reviewer, a book of cases, and the case on the desk.

    ``review`` is the reviewer's newest version for the open case; one without a version when they
    have none yet. ``stale``: its readings have changed since, so that what was drawn then was not
    taken up. ``withdrawn``: the case of which the last save took the approval back.
    """

    def __init__(self, scene: Any, reviewer: str = "") -> None:
        self.scene = scene
        self.reviewer = reviewer
        self.book: Casebook | None = None
        self.entries: tuple[CaseEntry, ...] = ()
        self.desk: Desk | None = None
        self.review = Review("", "")
        self.stale = False
        self.withdrawn = ""
        self.problems: tuple[str, ...] = ()
        self._kept = ""

    # --- books --------------------------------------------------------------------------------

    def open(self, path: Path, listen: Listener = silent) -> None:
        """Open a study file or a cohort folder; the open case is saved and closed first."""
        self.take_book(open_book(path, listen))

    def open_scene(self, volume: Any, segmentations: Sequence[Any], reviews: Path) -> None:
        """Take a volume and segmentations that are in the scene; ``reviews``: a folder for them."""
        self.take_book(SceneBook(volume, tuple(segmentations), reviews))

    def take_book(self, book: Casebook, entries: tuple[CaseEntry, ...] | None = None) -> None:
        """Work on this book from now on; the open case is saved and closed first.

        ``entries``: the book's, where somebody has asked for them already; they are files to read.
        """
        self.close_case()
        self.renew_book(book, entries)

    def renew_book(self, book: Casebook, entries: tuple[CaseEntry, ...] | None = None) -> None:
        """Take the same book as it was read anew; the open case stays on the desk."""
        self.book, self.entries = book, book.entries if entries is None else entries

    def close_book(self) -> None:
        """Have no cases any more; the open one is saved and closed first."""
        self.close_case()
        self.book, self.entries = None, ()

    @property
    def reads_files(self) -> bool:
        """True for a study or a cohort, whose cases may be read in another thread."""
        return self.book is not None and not isinstance(self.book, SceneBook)

    # --- cases --------------------------------------------------------------------------------

    def open_case(self, name: str, *, blinded: bool = False) -> Desk:
        """Read a case and put it on the desk. Raises NotShownError, KeyError, and as close_case."""
        return self.put_on_desk(self.read(name), blinded=blinded)

    def read(self, name: str) -> OpenCase:
        """Read a case with the grids that the reviewers fixed, as a run does.

        For books of files it may be called in another thread.
        """
        return self._book().read(name, self._fixes(name))

    def put_on_desk(
        self, case: OpenCase, settings: Agree | None = None, *, blinded: bool = False
    ) -> Desk:
        """Show a case that was read, with what the reviewer had drawn before."""
        book = self._book()
        self.close_case()
        self.review = self._newest(case.name)
        self.stale = not speaks_of(self.review, case.inputs)
        if isinstance(book, SceneBook):
            self.desk = Desk.take_over(self.scene, case, book.volume, book.readings, settings)
            self.desk.blinded = blinded
        else:
            self.desk = Desk.lay_out(self.scene, case, settings, blinded=blinded)
        self.problems = () if self.stale else take_up(self.desk, self.review, book.store)
        self._kept = self.desk.fingerprint()
        self._update_entry(case.name)
        return self.desk

    def close_case(self) -> None:
        """Save what was changed, and take the case out of the scene.

        Raises what :meth:`save` raises; the case stays open then.
        """
        if self.desk is None:
            return
        if self.has_changes():
            self.save()
        self.drop_case()

    def drop_case(self) -> None:
        """Take the case out of the scene without saving anything."""
        if self.desk is not None:
            self.desk.clear()
        self.desk, self.review, self.stale = None, Review("", ""), False

    def change_reviewer(self, reviewer: str) -> None:
        """Somebody else decides from now on; the open case is shown with what *they* had decided.

        What was decided before is saved under the name that it was decided under. Where there was
        no name, it is theirs.
        """
        nameless = not self.reviewer.strip()
        if reviewer.strip() == self.reviewer.strip() or self.desk is None:
            self.reviewer = reviewer
        elif nameless and self.has_changes():
            self.reviewer = reviewer
            self.review = self._newest(self.desk.case.name)
        else:
            name, settings, blinded = self._how_shown()
            self.close_case()
            self.reviewer = reviewer
            self.put_on_desk(self.read(name), settings, blinded=blinded)

    def fix_grid(self, rater: str, *, fixed: bool = True) -> Desk:
        """Take a rater's mask as lying on the image's grid (or by its header again).

        What was decided before is saved first: it was made of the mask where it lay.
        """
        desk = self._desk()
        name, settings, blinded = self._how_shown()
        before = desk.case.fixes
        fixes = before | {rater} if fixed else before - {rater}
        case = self._book().read(name, fixes)
        self.close_case()
        desk = self.put_on_desk(case, settings, blinded=blinded)
        self.review = msgspec.structs.replace(self.review, fixes=tuple(sorted(fixes)))
        self._kept = desk.fingerprint(before)
        return desk

    # --- reviews ------------------------------------------------------------------------------

    def save(
        self,
        verdict: Verdict | None = None,
        *,
        nothing_found: bool | None = None,
        difficulty: Difficulty | None = None,
        comment: str | None = None,
    ) -> Review:
        """Save what was decided about the open case as a new version; None leaves a thing as it is.

        The consensus is saved as it is in the scene now. An approval speaks of what was there:
        where another drawing or other readings are saved without a verdict, it is taken back.
        Raises RunError without a reviewer's name, LabelError for segments that are no labels,
        OSError when the disk refuses.
        """
        desk, store = self._desk(), self._book().store
        outdated = verdict is None and self._outdates_approval(nothing_found)
        if self.stale and nothing_found is None:
            nothing_found = False
        given = {
            "verdict": "" if outdated else verdict,
            "nothing_found": nothing_found,
            "difficulty": difficulty,
            "comment": comment,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        wanted = msgspec.structs.replace(
            self.review,
            case=desk.case.name,
            reviewer=self.reviewer.strip(),
            inputs=inputs_of(desk.case.inputs, self.review),
            fixes=tuple(sorted(desk.case.fixes)),
            drawn=() if self.stale else self.review.drawn,
            **chosen,
        )
        if wanted.nothing_found and desk.holds_something:
            raise RunError(
                '"nothing found" does not go with a consensus that holds something; empty it, or '
                "take the mark away"
            )
        drawn, writers = drawings(desk, wanted)
        self.review = store.save(msgspec.structs.replace(wanted, drawn=drawn), writers)
        self.stale, self.withdrawn = False, desk.case.name if outdated else ""
        self._kept = desk.fingerprint()
        self._update_entry(desk.case.name)
        return self.review

    def has_changes(self) -> bool:
        """True when the desk holds something that no review has yet."""
        return self.desk is not None and self.desk.fingerprint() != self._kept

    def _outdates_approval(self, nothing_found: bool | None) -> bool:
        """True when the newest version approves something else than what would be saved now."""
        if self.review.verdict != "approved":
            return False
        other = nothing_found is not None and nothing_found != self.review.nothing_found
        return other or self.stale or self.has_changes()

    def history(self) -> tuple[Review, ...]:
        """The reviewer's versions for the open case, oldest first."""
        if self.desk is None or not self.reviewer.strip():
            return ()
        return self._book().store.history(self.desk.case.name, self.reviewer.strip())

    # --- inside -------------------------------------------------------------------------------

    def _book(self) -> Casebook:
        if self.book is None:
            raise RunError("no study and no cohort is open")
        return self.book

    def _desk(self) -> Desk:
        if self.desk is None:
            raise RunError("no case is open")
        return self.desk

    def _how_shown(self) -> tuple[str, Agree, bool]:
        desk = self._desk()
        return desk.case.name, desk.analysis.settings, desk.blinded

    def _newest(self, name: str) -> Review:
        reviewer = self.reviewer.strip()
        versions = self._book().store.history(name, reviewer) if reviewer else ()
        return versions[-1] if versions else Review(name, reviewer)

    def _fixes(self, name: str) -> frozenset[str]:
        """The raters whose masks some reviewer says lie on the image's grid."""
        latest, _ = self._book().store.latest(name)
        newest = self._newest(name)
        return fixed_readings({**latest, newest.reviewer: newest})

    def _update_entry(self, name: str) -> None:
        """Let the list say what is known of the open case by now."""
        reviews, _ = self._book().store.latest(name)
        analysis = self._desk().analysis
        lowest, codes = analysis.agreement.lowest, {finding.code for finding in analysis.low}
        self.entries = tuple(
            with_reviews(with_low(entry, lowest, codes), reviews) if entry.name == name else entry
            for entry in self.entries
        )
