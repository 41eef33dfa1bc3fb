"""One row per mask: how its grid lay to the grid of its image."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from MedPrepLib.results import CaseResult


class AlignmentRow(msgspec.Struct, frozen=True):
    """A rater's mask of one case; ``verdict`` and ``displacement_mm`` as in GridVerdict."""

    case: str
    rater: str
    verdict: str
    displacement_mm: float
    cause: str
    sentence: str


def alignment_rows(results: Iterable[CaseResult]) -> tuple[AlignmentRow, ...]:
    """A row per case and rater, in order of both."""
    return tuple(
        AlignmentRow(
            case=result.id,
            rater=reading.rater,
            verdict=reading.grid.verdict,
            displacement_mm=reading.grid.displacement_mm,
            cause=reading.grid.cause,
            sentence=reading.grid.sentence,
        )
        for result in sorted(results, key=lambda r: r.id)
        for reading in sorted(result.readings, key=lambda r: r.rater)
    )
