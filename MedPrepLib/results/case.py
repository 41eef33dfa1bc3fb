"""Everything that was found out about one case."""

from __future__ import annotations

from typing import Literal

import msgspec

from MedPrepLib.findings import Finding, rejections
from MedPrepLib.geometry import Geometry
from MedPrepLib.overheard import Overheard
from MedPrepLib.results.agreement import Agreement
from MedPrepLib.results.consensus import ConsensusRecord
from MedPrepLib.results.readmission import Readmission
from MedPrepLib.results.targets import Targets

Verdict = Literal["same", "rounding", "move", "resample", "reject"]
Unit = Literal["HU", "SUVbw", "stored"]
"""Of voxels: Hounsfield units, standardized uptake value by body weight (g/mL), or unknown."""


class Statistics(msgspec.Struct, frozen=True):
    """Exact intensity statistics of a standardized image, in its own unit (HU for CT).

    ``std`` is the population standard deviation. ``percentiles`` maps "0.5", "50", "99.5"... to
    values (inverted-cdf definition: an observed voxel value). Padding voxels outside the field of
    view are left out and counted in ``padding``; clipped ones are counted and included.
    """

    count: int
    mean: float
    std: float
    minimum: float
    maximum: float
    percentiles: dict[str, float]
    padding: int = 0
    clipped_low: int = 0
    clipped_high: int = 0


class GridVerdict(msgspec.Struct, frozen=True):
    """How a mask's grid lies to its image's grid.

    same: within 1e-3 mm. rounding: within 0.1 of the smallest spacing, snapped. move: the same
    lattice shifted, cropped, flipped or permuted; moved without interpolation. resample: another
    grid; nearest neighbor. reject: cannot be compared. ``cause`` is a short phrase in words.
    """

    verdict: Verdict
    displacement_mm: float
    cause: str
    sentence: str


class LabelChange(msgspec.Struct, frozen=True):
    """What moving a mask to the image grid did to one label.

    Milliliters, and 26-connected components, on the mask's own grid and on the image's.
    """

    label: str
    ml_before: float
    ml_after: float
    components_before: int
    components_after: int


class ReadingResult(msgspec.Struct, frozen=True):
    """One rater's reading after it was brought to the image grid and the label schema."""

    rater: str
    grid: GridVerdict
    voxels: dict[str, int]
    """Voxels per annotated label; 0 means annotated empty, absent means not annotated."""
    content_hash: str
    """SHA-256 over grid, label names and voxels: changes when the reading changes."""
    changes: tuple[LabelChange, ...] = ()
    """Per label of every file that was resampled or cut off at the image's border; empty where
    every voxel kept its size and found its place."""


class ShardFile(msgspec.Struct, frozen=True):
    """One written case file: path relative to the cohort, size in bytes, SHA-256 in hex."""

    name: str
    size: int
    sha256: str


class CaseResult(msgspec.Struct, frozen=True):
    """Everything later stages need to know of one case, included or not."""

    id: str
    patient: str
    center: str
    modality: str
    device: str
    sex: str
    age_years: int | None
    findings: tuple[Finding, ...]
    geometry: Geometry | None = None
    statistics: Statistics | None = None
    readings: tuple[ReadingResult, ...] = ()
    agreement: Agreement | None = None
    consensus: ConsensusRecord | None = None
    targets: Targets | None = None
    pixel_hash: str = ""
    slice_hashes: tuple[str, ...] = ()
    """Of slices that show something (leakage.hashes): like the next one, never in a cohort."""
    fingerprint: str = ""
    """The image in small (leakage.fingerprint), as text."""
    shard: ShardFile | None = None
    bricks: bytes = b""
    """Where the bricks lie in that file (load.table), for the index; empty when it was not read."""
    picture: str = ""
    """File name of the overlay picture in the private folder; empty when there is none."""
    readmitted: tuple[Readmission, ...] = ()
    """Rejecting findings that people accepted; they count as notes."""
    person: str = ""
    """Public name under which the patient is counted, where one id came with and without its
    issuer, or with two spellings of it; empty: ``patient``."""
    other_raters: tuple[str, ...] = ()
    """Whose boxes or slice labels were read; ``readings`` are masks."""
    heard: tuple[Overheard, ...] = ()
    """What libraries said while the case was done; for the private log."""

    @property
    def rejections(self) -> tuple[str, ...]:
        """The codes that leave the case out; a rejected reading leaves out that reading only."""
        return rejections(self.findings, self.id)

    @property
    def included(self) -> bool:
        """True when nothing rejects the case itself."""
        return not self.rejections
