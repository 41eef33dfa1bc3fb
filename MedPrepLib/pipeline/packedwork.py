"""What is made of the case files of a cohort that is being written: its index, and a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from MedPrepLib.config import Study
from MedPrepLib.errors import CohortError, LabelError, RunError
from MedPrepLib.load.index import CohortIndex, IndexEntry
from MedPrepLib.load.tables import index_cases
from MedPrepLib.results import CaseResult
from MedPrepLib.window import WindowError

SHOWN = 2
SIZE = (112, 112, 32)
"""Voxels along i, j, k: what is drawn of a case, around a label."""


def write_index(path: Path, index: CohortIndex, results: Iterable[CaseResult]) -> None:
    """Write where all bricks lie to ``path``: a training starts at once.

    Workers say so of the files that they write. Raises RunError for a case file that was damaged
    since it was written.
    """
    made = {result.id: result.bricks for result in results if result.bricks}
    with _damage_told():
        index_cases(index.folder, sorted(index.cases, key=lambda entry: entry.id), path, made)


def augmentation_of(index: CohortIndex, study: Study) -> bytes:
    """A PNG of what augmentation would do to some cases, of different modalities if there are.

    Empty where none is wanted. Errors as for :func:`write_index`.
    """
    if not study.report.pictures or not index.cases:
        return b""
    from MedPrepLib.augment import preview_of

    training = [entry for entry in index.cases if entry.split == "train"]
    shown = tuple(sorted(_different(training or index.cases), key=lambda entry: entry.id))
    try:
        with _damage_told():
            return preview_of(replace(index, cases=shown), SHOWN, size=SIZE)
    except (LabelError, WindowError):
        return b""  # such flips, or cases without such percentiles, are refused by the training


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except CohortError as error:
        raise RunError(f"{error}; remove that file and run again") from None


def _different(entries: Sequence[IndexEntry]) -> Iterator[IndexEntry]:
    """The first case of every modality, then others, as many as are shown."""
    firsts = {entry.modality: entry for entry in reversed(entries)}
    chosen = {entry.id for entry in firsts.values()}
    rest = (entry for entry in entries if entry.id not in chosen)
    yield from [*firsts.values(), *rest][:SHOWN]
