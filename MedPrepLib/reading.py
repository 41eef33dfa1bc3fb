"""One rater's masks on the image grid: every file read, matched with the schema, and moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from MedPrepLib.align import adopted, compare_grids, to_grid
from MedPrepLib.cohort import MaskReading
from MedPrepLib.config.settings import Align
from MedPrepLib.findings import Finding, Severity
from MedPrepLib.geometry import Geometry
from MedPrepLib.labels import LabelSchema
from MedPrepLib.masks import load_reading
from MedPrepLib.masks.belonging import ImageIdentity, other_series
from MedPrepLib.results import GridVerdict, LabelChange
from MedPrepLib.segmentation import Segmentation


@dataclass(frozen=True, eq=False)
class AlignedParts:
    """The files of a reading on one grid, not yet merged: a finding may refuse the reading.

    ``verdict`` is that of the file whose grid lay farthest away; None when no file was usable.
    """

    parts: tuple[Segmentation, ...]
    verdict: GridVerdict | None
    findings: tuple[Finding, ...]
    changes: tuple[LabelChange, ...] = ()


def align_reading(
    reading: MaskReading,
    geometry: Geometry,
    schema: LabelSchema,
    settings: Align,
    item: str,
    *,
    adopt: bool = False,
    image: ImageIdentity | None = None,
) -> AlignedParts:
    """Read the files of ``reading`` and bring each to ``geometry``. Bad data never raises.

    ``adopt``: a person says that the masks lie on this grid, whatever their headers say; the
    verdict stays that of the headers. ``image``: what references of the masks are compared with;
    when they name another series, that is the cause of the verdict.
    """
    loaded = load_reading(reading, geometry, schema, item)
    aligned = align_parts(loaded.segmentations, geometry, settings, item, adopt=adopt)
    other = other_series(reading, image, item) if image is not None else ()
    verdict = aligned.verdict
    doubts = [finding for finding in other if finding.severity > Severity.NOTE]
    if doubts and verdict is not None:
        sentence = f"{verdict.sentence} Cause: {doubts[0].message}."
        verdict = msgspec.structs.replace(verdict, cause="other series", sentence=sentence)
    return replace(aligned, verdict=verdict, findings=(*loaded.findings, *other, *aligned.findings))


def align_parts(
    segmentations: Sequence[Segmentation],
    geometry: Geometry,
    settings: Align,
    item: str,
    *,
    adopt: bool = False,
) -> AlignedParts:
    """What one rater drew, each part on its own grid, brought to ``geometry``."""
    findings: list[Finding] = []
    parts: list[Segmentation] = []
    verdicts: list[GridVerdict] = []
    changes: list[LabelChange] = []
    for segmentation in segmentations:
        verdict = compare_grids(geometry, segmentation.geometry, settings)
        aligned = (
            adopted(segmentation, geometry, item)
            if adopt
            else to_grid(segmentation, geometry, verdict, settings, item)
        )
        findings += aligned.findings
        changes += aligned.changes
        verdicts.append(verdict)
        parts.append(aligned.segmentation)
    farthest = max(verdicts, key=lambda v: v.displacement_mm, default=None)
    return AlignedParts(tuple(parts), farthest, tuple(findings), tuple(changes))
