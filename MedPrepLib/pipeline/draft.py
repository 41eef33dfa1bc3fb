"""What travels with a case: the task as the parent gives it, the draft as the steps extend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import msgspec

from MedPrepLib.cohort import Case
from MedPrepLib.config.settings import Study
from MedPrepLib.findings import Finding
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, VoxelArray
from MedPrepLib.results import (
    Agreement,
    Box,
    ConsensusRecord,
    ReadingResult,
    Readmission,
    ShardFile,
    SliceLabels,
    Statistics,
    Targets,
    Unit,
)
from MedPrepLib.review import Review
from MedPrepLib.review.readmissions import Entry
from MedPrepLib.scan.found import Candidate
from MedPrepLib.segmentation import Segmentation

T = TypeVar("T")


@dataclass(frozen=True)
class CaseTask:
    """One case to be done: everything a worker needs, and it travels between processes."""

    candidate: Candidate
    name: str
    """Public name of the case."""
    patient: str
    """Public name of the patient."""
    study: Study
    recipe: str
    through: str
    """Last step to do."""
    cohort: Path
    private: Path
    seen: str = ""
    """Fingerprint of the case's files when the run began; empty: not looked at again."""
    review_folder: Path = Path()
    reviews: Mapping[str, Review] = field(default_factory=dict)
    """The newest review of everybody who looked at this case, by name."""
    readmissions: tuple[Entry, ...] = ()
    """Findings of this case that people accepted, as the study's file has them."""
    model: str = ""
    """Of the device, where enough patients share it to be kept."""
    days: int | None = None
    """Since the patient's first study, where the study file wants them told and they are known."""
    accepted: tuple[Readmission, ...] = ()
    """Those among them that count; set by the worker, who looks at the data."""

    @property
    def voxels(self) -> int:
        """Of the image, where the scan knows them; 0 where it does not."""
        geometry = self.candidate.case.image.geometry
        return 0 if geometry is None else geometry.voxels


@dataclass(frozen=True)
class Draft:
    """What is known of a case so far."""

    case: Case
    findings: tuple[Finding, ...] = ()
    geometry: Geometry | None = None
    image: Volume | None = None
    pad_value: float = 0.0
    statistics: Statistics | None = None
    pixel_hash: str = ""
    unit: Unit = "stored"
    slice_hashes: tuple[str, ...] = ()
    fingerprint: str = ""
    masks: Mapping[str, Segmentation] = field(default_factory=dict)
    readings: tuple[ReadingResult, ...] = ()
    boxes: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    """Boxes by rater, in voxels of the image."""
    slice_readings: tuple[SliceLabels, ...] = ()
    agreement: Agreement | None = None
    label_map: VoxelArray | None = None
    consensus: ConsensusRecord | None = None
    targets: Targets | None = None
    picture: str = ""
    shard: ShardFile | None = None
    bricks: bytes = b""

    def plus(self, *findings: Finding) -> Draft:
        """The draft with more findings."""
        return replace(self, findings=self.findings + findings)


def first_draft(task: CaseTask) -> Draft:
    """What is known of a case before anything is done with it, under its public name."""
    case = msgspec.structs.replace(task.candidate.case, id=task.name)
    findings = tuple(f.about(task.name) for f in task.candidate.findings)
    return Draft(case, findings, case.image.geometry)


def known(value: T | None) -> T:
    """A value that an earlier step must have set; a missing one is a bug and stops the run."""
    if value is None:
        raise AssertionError("a step was run before the step it needs")
    return value
