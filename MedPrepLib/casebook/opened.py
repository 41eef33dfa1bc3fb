"""A case with everything in memory that a person needs to judge it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from MedPrepLib.config import Study
from MedPrepLib.consensus import Consensus
from MedPrepLib.errors import MedPrepError
from MedPrepLib.findings import Finding
from MedPrepLib.geometry import Geometry, Triple
from MedPrepLib.images import Volume
from MedPrepLib.labels import LabelSchema
from MedPrepLib.results import Box, GridVerdict, SliceLabels
from MedPrepLib.segmentation import Segmentation

if TYPE_CHECKING:
    from MedPrepLib.report.focus import Focus


class NotShownError(MedPrepError, ValueError):
    """A case whose image or readings cannot be shown; ``findings`` say why."""

    def __init__(self, case: str, findings: tuple[Finding, ...]) -> None:
        self.case = case
        self.findings = findings
        reasons = "; ".join(f.message for f in findings) or "it has no image"
        super().__init__(f"{case} cannot be shown: {reasons}")

    def __reduce__(self) -> tuple[type[NotShownError], tuple[str, tuple[Finding, ...]]]:
        return NotShownError, (self.case, self.findings)


@dataclass(frozen=True, eq=False)
class OpenCase:
    """One image, and everything that anybody drew on it, on the image's grid.

    ``masks``: by rater. ``verdicts``: how each rater's grid lay before it was brought here.
    ``as_drawn``: masks that lay elsewhere, on their own grids, to be shown beside. ``hashes``:
    of masks by rater; ``drawn_hashes``: of boxes and of slice labels, where they are known.
    ``boxes`` are voxels of the image. ``packed``: the consensus that a cohort holds.
    """

    name: str
    title: str
    patient: str
    study: Study
    schema: LabelSchema
    image: Volume
    modality: str = ""
    masks: Mapping[str, Segmentation] = field(default_factory=dict)
    verdicts: Mapping[str, GridVerdict] = field(default_factory=dict)
    as_drawn: Mapping[str, tuple[Segmentation, ...]] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    drawn_hashes: Mapping[str, str] = field(default_factory=dict)
    boxes: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    slices: tuple[SliceLabels, ...] = ()
    findings: tuple[Finding, ...] = ()
    fixes: frozenset[str] = frozenset()
    packed: Consensus | None = None

    @property
    def geometry(self) -> Geometry:
        """The grid of the image and of every mask."""
        return self.image.geometry

    @property
    def inputs(self) -> dict[str, str]:
        """The readings that a review of this case speaks of, see review.inputs."""
        return {**self.hashes, **self.drawn_hashes}

    @property
    def raters(self) -> tuple[str, ...]:
        """Everybody whose reading is here, in order of name."""
        names = {*self.masks, *self.boxes, *(reading.rater for reading in self.slices)}
        return tuple(sorted(names))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that somebody drew or looked for, in order of the schema."""
        boxed = {box.label for boxes in self.boxes.values() for box in boxes}
        noted = {name for reading in self.slices for name in reading.annotated}
        known = {*self.labels_of_masks, *boxed, *noted}
        return tuple(name for name in self.schema.names if name in known)

    @property
    def labels_of_masks(self) -> tuple[str, ...]:
        """The labels that some mask lists, in order of the schema."""
        drawn = {name for mask in self.masks.values() for name in mask.names}
        return tuple(name for name in self.schema.names if name in drawn)

    @cached_property
    def center_mm(self) -> Triple:
        """Where to look first, LPS: the middle of the largest part of the rarest label."""
        return self.geometry.point_at(self._focus.center)

    @cached_property
    def display_range(self) -> tuple[float, float]:
        """The intensities to show as black and as white."""
        from MedPrepLib.report.pictures import display_range

        window = self.study.standardize.windows.get(self.study.report.window)
        return display_range(self.image, self._focus, window, self.modality)

    @cached_property
    def _focus(self) -> Focus:
        from MedPrepLib.report.focus import find_focus

        return find_focus(self.geometry, None, self.masks, self.schema)
