"""A book of cases: what the panel lists, and what it opens."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from MedPrepLib.casebook.entries import CaseEntry
from MedPrepLib.casebook.opened import OpenCase
from MedPrepLib.config import Study
from MedPrepLib.errors import CohortError
from MedPrepLib.identity import SiteKey
from MedPrepLib.layout import MANIFEST_NAME
from MedPrepLib.progress import Listener, silent
from MedPrepLib.review import ReviewStore


class Casebook(Protocol):
    """The cases of a study, of a cohort, or of a scene."""

    @property
    def title(self) -> str:
        """What is open, in a word or two."""

    @property
    def study(self) -> Study:
        """Labels, thresholds and rules."""

    @property
    def store(self) -> ReviewStore:
        """Where reviews of these cases lie."""

    @property
    def entries(self) -> tuple[CaseEntry, ...]:
        """All cases in order of title, with what is known of them without opening them."""

    def read(self, name: str, fixes: frozenset[str] = frozenset()) -> OpenCase:
        """One case; ``fixes``: raters whose masks are taken to lie on the image's grid.

        Raises NotShownError when it cannot be shown, KeyError when there is no such case. Reads
        files only, so that it may run beside the main thread.
        """


def open_book(path: Path, listen: Listener = silent, key: SiteKey | None = None) -> Casebook:
    """The book of a study file (TOML) or of a cohort folder.

    ``listen`` hears of every case that is found in the sources of a study. Raises ConfigError,
    CohortError, FileNotFoundError, RunError.
    """
    from MedPrepLib.casebook.cohortbook import open_cohort_book
    from MedPrepLib.casebook.studybook import open_study_book

    if path.is_dir():
        if (path / MANIFEST_NAME).is_file():
            return open_cohort_book(path)
        if (path / "study.toml").is_file():
            return open_study_book(path / "study.toml", listen, key)
        raise CohortError(
            f"{path} holds neither {MANIFEST_NAME} (a cohort) nor study.toml (a study); "
            "choose another folder, or make a study file with: medprep init"
        )
    return open_study_book(path, listen, key)
