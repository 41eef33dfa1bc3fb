"""One rater's masks on the image grid: every file read, matched with the schema, and moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from MedPrepLib import catalog
from MedPrepLib.align import adopted, compare_grids, to_grid
from MedPrepLib.align.numbered import by_number
from MedPrepLib.cohort import ImageSource, MaskReading
from MedPrepLib.config.settings import Align
from MedPrepLib.errors import GeometryError
from MedPrepLib.findings import Finding, Severity
from MedPrepLib.geometry import Geometry
from MedPrepLib.labels import LabelSchema
from MedPrepLib.masks import LoadedReading, load_reading
from MedPrepLib.masks.belonging import ImageIdentity, other_series
from MedPrepLib.masks.objects import kind_of
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
    source: ImageSource | None = None,
) -> AlignedParts:
    """Read the files of ``reading`` and bring each to ``geometry``. Bad data never raises.

    ``adopt``: a person says that the masks lie on this grid, whatever their headers say; the
    verdict stays that of the headers. ``image``: what references of the masks are compared with;
    when they name another series, that is the cause of the verdict. ``source``: the image as it
    was found; see :func:`load_placed`.
    """
    frame = image.frame_of_reference_uid if image is not None else ""
    loaded = load_placed(reading, geometry, schema, settings, item, source=source, frame=frame)
    aligned = align_parts(loaded.segmentations, geometry, settings, item, adopt=adopt)
    other = other_series(reading, image, item) if image is not None else ()
    verdict = aligned.verdict
    doubts = [finding for finding in other if finding.severity > Severity.NOTE]
    if doubts and verdict is not None:
        sentence = f"{verdict.sentence} Cause: {doubts[0].message}."
        verdict = msgspec.structs.replace(verdict, cause="other series", sentence=sentence)
    return replace(aligned, verdict=verdict, findings=(*loaded.findings, *other, *aligned.findings))


def load_placed(
    reading: MaskReading,
    geometry: Geometry,
    schema: LabelSchema,
    settings: Align,
    item: str,
    *,
    source: ImageSource | None = None,
    frame: str = "",
) -> LoadedReading:
    """As load_reading; where ``source`` is cut at a gap, masks that number its slices are placed.

    Those are files of voxels; contours and frames of DICOM objects say where they lie.
    """
    if source is None or source.geometry is None or not source.stack_mm:
        return load_reading(reading, geometry, schema, item, frame=frame)
    segmentations: list[Segmentation] = []
    findings: list[Finding] = []
    for part in reading.parts:
        alone = MaskReading(reading.rater, (part,))
        loaded = load_reading(alone, geometry, schema, item, frame=frame)
        findings += loaded.findings
        for found in loaded.segmentations:
            grid = by_number(source.geometry, source.stack_mm, found.geometry, settings)
            if grid is None or kind_of(Path(part.path)) != "labels":
                segmentations.append(found)
                continue
            placed, apart = grid
            message = (
                f"slice n of {len(source.stack_mm)} was placed on slice n of the series; by its "
                f"header, slices in use would lie up to {apart:.3f} mm away"
            )
            findings.append(catalog.MASK_NUMBERED.at(item, message))
            segmentations.append(replace(found, geometry=placed))
    return LoadedReading(tuple(segmentations), tuple(findings))


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
            adopted(segmentation, geometry, settings, item)
            if adopt
            else to_grid(segmentation, geometry, verdict, settings, item)
        )
        findings += aligned.findings
        changes += aligned.changes
        verdicts.append(verdict)
        parts.append(aligned.segmentation)
    farthest = max(verdicts, key=lambda v: v.displacement_mm, default=None)
    return AlignedParts(tuple(parts), farthest, tuple(findings), tuple(changes))


def own_drawing(
    drawing: Segmentation, geometry: Geometry, settings: Align, name: str
) -> Segmentation:
    """What a reviewer drew on the grid of the image, on that grid; it may be stored flipped.

    Raises GeometryError where it would have to be resampled, or loses voxels: the image is another
    one since. ``name``: of the file.
    """
    verdict = compare_grids(geometry, drawing.geometry, settings)
    placed = to_grid(drawing, geometry, verdict, settings, name)
    lossless = verdict.verdict in ("same", "rounding", "move")
    if not lossless or any(finding.severity > Severity.NOTE for finding in placed.findings):
        why = verdict.sentence.rstrip(".")
        raise GeometryError(f"{name} was drawn on another grid than the image has now: {why}")
    return placed.segmentation
