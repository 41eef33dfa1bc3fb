"""What augmentation would do to some of the cases, drawn for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from MedPrepLib.config import Study
from MedPrepLib.errors import CohortError, LabelError, RunError
from MedPrepLib.load.index import IndexEntry, index_of
from MedPrepLib.manifest import Manifest

SHOWN = 2
SIZE = (112, 112, 32)
"""Voxels along i, j, k: what is drawn of a case, around a label. It takes about 0.4 s a case."""


def augmentation_of(cohort: Path, manifest: Manifest, study: Study) -> bytes:
    """A PNG for some cases, of different modalities if there are; none where none are wanted.

    ``manifest``: of the cohort that is being written. Raises RunError for a case file that was
    damaged since it was written.
    """
    if not study.report.pictures or not manifest.cases:
        return b""
    from MedPrepLib.augment import preview_of

    index = index_of(cohort, msgspec.to_builtins(manifest))
    training = [entry for entry in index.cases if entry.split == "train"]
    shown = tuple(sorted(_different(training or index.cases), key=lambda entry: entry.id))
    try:
        return preview_of(replace(index, cases=shown), SHOWN, size=SIZE)
    except CohortError as error:
        raise RunError(f"{error}; remove that file and run again") from None
    except LabelError:
        return b""  # such flips are refused where they are asked for: by whoever trains


def _different(entries: Sequence[IndexEntry]) -> Iterator[IndexEntry]:
    """The first case of every modality, then others, as many as are shown."""
    firsts = {entry.modality: entry for entry in reversed(entries)}
    chosen = {entry.id for entry in firsts.values()}
    rest = (entry for entry in entries if entry.id not in chosen)
    yield from [*firsts.values(), *rest][:SHOWN]
