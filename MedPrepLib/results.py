"""What the stages found out about one case: small frozen values without voxels.

They cross process borders, are kept in the ledger as JSON, and feed manifest and report. Nothing
in here identifies a patient: names are those identity.py made.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from MedPrepLib.findings import Finding, Severity, worst
from MedPrepLib.geometry import Geometry

Outcome = Literal["measured", "both empty", "one empty", "not annotated"]
Verdict = Literal["same", "rounding", "move", "resample", "reject"]


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


class ReadingResult(msgspec.Struct, frozen=True):
    """One rater's reading after it was brought to the image grid and the label schema."""

    rater: str
    grid: GridVerdict
    voxels: dict[str, int]
    """Voxels per annotated label; 0 means annotated empty, absent means not annotated."""
    content_hash: str
    """SHA-256 over grid, label names and voxels: changes when the reading changes."""


class PairAgreement(msgspec.Struct, frozen=True):
    """Two raters on one label. ``dice`` is None exactly when it is undefined.

    "both empty": undefined, counted, left out of means. "one empty": 0. "not annotated": at
    least one rater did not annotate this label; undefined and left out.
    """

    label: str
    rater_a: str
    rater_b: str
    outcome: Outcome
    dice: float | None
    voxels_a: int = 0
    voxels_b: int = 0
    intersection: int = 0


class LabelAgreement(msgspec.Struct, frozen=True):
    """All pairs of raters on one label; means run over the defined values only."""

    label: str
    mean_dice: float | None
    worst_dice: float | None
    worst_pair: tuple[str, str] | None
    pairs_defined: int
    pairs_both_empty: int
    pairs_not_annotated: int


class Agreement(msgspec.Struct, frozen=True):
    """Pairwise agreement of all raters of a case, per label."""

    raters: tuple[str, ...]
    labels: tuple[LabelAgreement, ...]
    pairs: tuple[PairAgreement, ...]

    @property
    def lowest(self) -> float | None:
        """The worst pair's Dice over all labels; None when nothing was defined."""
        return min((x.worst_dice for x in self.labels if x.worst_dice is not None), default=None)


class ConsensusRecord(msgspec.Struct, frozen=True):
    """How a consensus was made, so that it can be made again and its staleness noticed."""

    method: str
    raters: tuple[str, ...]
    tie_rule: str
    tied_voxels: int
    inputs: dict[str, str]
    """Rater to content hash of the reading that went in."""


class Box(msgspec.Struct, frozen=True):
    """The axis-aligned box of one connected component.

    Indices are (i, j, k), ``stop`` exclusive. ``low_mm`` / ``high_mm`` are the extremes of the
    voxel *edges* in LPS millimeters of the box in index space.
    """

    label: str
    start: tuple[int, int, int]
    stop: tuple[int, int, int]
    low_mm: tuple[float, float, float]
    high_mm: tuple[float, float, float]
    voxels: int


class SliceRange(msgspec.Struct, frozen=True):
    """Slices (index k, ``stop`` exclusive) on which a label is present without interruption."""

    label: str
    start: int
    stop: int


class Targets(msgspec.Struct, frozen=True):
    """What a model can be trained to predict, derived from the consensus."""

    voxels: dict[str, int]
    boxes: tuple[Box, ...]
    slices: tuple[SliceRange, ...]


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
    shard: ShardFile | None = None
    picture: str = ""
    """File name of the overlay picture in the private folder; empty when there is none."""

    @property
    def included(self) -> bool:
        """True when nothing rejects the case itself.

        A finding about one reading (item ``case/rater``) leaves out that reading only.
        """
        return worst(f for f in self.findings if f.item == self.id) != Severity.REJECT
