"""What the stages found out about one case: small frozen values without voxels.

They cross process borders, are kept in the ledger as JSON, and feed manifest and report. Nothing
in here identifies a patient: names are those identity.py made.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import msgspec

from MedPrepLib.findings import Finding, Severity, worst
from MedPrepLib.geometry import Geometry

Outcome = Literal["measured", "both empty", "one empty", "not annotated"]
Verdict = Literal["same", "rounding", "move", "resample", "reject"]
AnyBox = TypeVar("AnyBox")
"""A Box of this file, or a WorldBox (boxes.py)."""


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


class SurfaceDistances(msgspec.Struct, frozen=True, kw_only=True):
    """How far two surfaces of one label are apart; lengths in mm.

    ``outcome`` is that of PairAgreement. Distances are None unless it is "measured": with one mask
    empty they do not exist and rank worst, and only ``nsd`` is defined, as 0.

    The first four are made of the directed distances between *border voxels* (voxels with one of
    six neighbors outside, centers), from each of one mask to the nearest of the other, both ways.
    The last two are made of *surface elements* at voxel corners, weighed with their areas, as
    defined by Nikolov et al. (J Med Internet Res 23:e26151, 2021; the package surface-distance).
    """

    outcome: Outcome
    hausdorff_mm: float | None = None
    """The largest distance (Huttenlocher et al., IEEE TPAMI 15:850, 1993)."""
    hd95_max_mm: float | None = None
    """The larger one of the 95th percentiles of the two directions (MONAI)."""
    hd95_pooled_mm: float | None = None
    """The 95th percentile of the distances of both directions together (medpy)."""
    hd95_area_mm: float | None = None
    """The larger one of the distances within which 95 % of each surface's area lies."""
    assd_mm: float | None = None
    """The mean of the distances of both directions together (Heimann et al., IEEE TMI 28:1251,
    2009; MONAI). The mean of the two directed means, as in medpy, is another number."""
    nsd: float | None = None
    """Normalized surface Dice: the share of both surfaces' area within the tolerance."""


class PairSurface(SurfaceDistances, frozen=True, kw_only=True):
    """How far the surfaces of one label are apart that two raters drew."""

    label: str
    rater_a: str
    rater_b: str


class LabelAgreement(msgspec.Struct, frozen=True):
    """All pairs of raters on one label; means run over the defined values only.

    Two readings of one person ("ana", "ana@2") are counted and averaged apart, as ``intra_``
    values; everything else is about different persons.
    """

    label: str
    mean_dice: float | None
    worst_dice: float | None
    worst_pair: tuple[str, str] | None
    pairs_defined: int
    pairs_both_empty: int
    pairs_not_annotated: int
    intra_mean_dice: float | None = None
    intra_worst_dice: float | None = None
    intra_pairs_defined: int = 0


CauseCode = Literal[
    "name mismatch",
    "not annotated",
    "one empty",
    "transform not applied",
    "axes mixed up",
    "shifted",
    "other grid",
    "different lesions",
    "over/under-segmentation",
    "no overlap",
    "border",
]


class Cause(msgspec.Struct, frozen=True):
    """A reason why two raters agree too little on one label, with its evidence in one sentence.

    ``best``: the likeliest cause of its pair. ``dice_after``: the Dice that is left when this
    cause is taken away (the mask moved, the lesions of one rater only ignored, the label renamed);
    None where that cannot be measured. ``shift``: the voxels (i, j, k) by which the mask of
    ``moved`` is displaced back.
    """

    label: str
    rater_a: str
    rater_b: str
    code: CauseCode
    sentence: str
    best: bool = False
    dice: float | None = None
    dice_after: float | None = None
    moved: str = ""
    shift: tuple[int, int, int] | None = None


class Lesion(msgspec.Struct, frozen=True):
    """One 26-connected component of a mask; ``center_mm`` is its centroid, LPS millimeters."""

    center_mm: tuple[float, float, float]
    voxels: int
    volume_ml: float


class LesionPair(msgspec.Struct, frozen=True):
    """The same lesion as two raters drew it; ``overlap`` is the number of common voxels."""

    a: Lesion
    b: Lesion
    overlap: int
    dice: float
    iou: float


class LesionMatch(msgspec.Struct, frozen=True):
    """Which lesions of two masks correspond, one to one.

    ``missed``: lesions of ``a`` without a partner in ``b``; ``extra``: those of ``b`` without one
    in ``a``. All in scan order.
    """

    matched: tuple[LesionPair, ...]
    missed: tuple[Lesion, ...]
    extra: tuple[Lesion, ...]

    @property
    def sensitivity(self) -> float | None:
        """The part of the lesions of ``a`` that ``b`` has too; None when ``a`` has none."""
        return _part(len(self.matched), len(self.matched) + len(self.missed))

    @property
    def precision(self) -> float | None:
        """The part of the lesions of ``b`` that ``a`` has too; None when ``b`` has none."""
        return _part(len(self.matched), len(self.matched) + len(self.extra))

    @property
    def f1(self) -> float | None:
        """2 matched / (lesions of a + lesions of b); None when there are none at all."""
        both = 2 * len(self.matched)
        return _part(both, both + len(self.missed) + len(self.extra))


class PairLesions(msgspec.Struct, frozen=True):
    """Lesion-wise agreement of two raters who both annotated the label."""

    label: str
    rater_a: str
    rater_b: str
    match: LesionMatch


class WorstSlice(msgspec.Struct, frozen=True):
    """The slice of one index axis on which raters differ in most voxels.

    ``position_mm`` (LPS) is the center of the differing voxel of that slice which lies nearest
    to the middle of all of them.
    """

    axis: Literal["i", "j", "k"]
    index: int
    voxels: int
    position_mm: tuple[float, float, float]


class Difference(msgspec.Struct, frozen=True):
    """One place where raters differ on a label.

    "missed lesion": a structure of which somebody drew nothing. "part": a piece of a structure
    that all drew. "border": what is left along the border of such a structure, a voxel thin.
    ``index`` (i, j, k) is the differing voxel nearest to the middle of the place and ``center_mm``
    (LPS) its center. ``raters_for`` drew more than half of these voxels (of a missed lesion: any),
    ``raters_against`` did not; who did not annotate the label is in neither.
    """

    label: str
    kind: Literal["missed lesion", "part", "border"]
    center_mm: tuple[float, float, float]
    index: tuple[int, int, int]
    voxels: int
    volume_ml: float
    raters_for: tuple[str, ...]
    raters_against: tuple[str, ...]


class ChanceAgreement(msgspec.Struct, frozen=True):
    """Agreement of all raters beyond chance; an empty ``label`` means all labels together.

    Fleiss' kappa is taken over ``raters``, those who annotated the label (all labels);
    Krippendorff's alpha also uses what the others drew. Both are None where undefined: fewer than
    two raters, or no variation.
    """

    label: str
    fleiss_kappa: float | None
    krippendorff_alpha: float | None
    raters: tuple[str, ...]


class RaterPerformance(msgspec.Struct, frozen=True):
    """What STAPLE estimates of one rater on one label, against the consensus it finds.

    ``sensitivity`` is None where nothing is drawn at all, ``specificity`` where no background is
    left.
    """

    label: str
    rater: str
    sensitivity: float | None
    specificity: float | None


class ConsensusRecord(msgspec.Struct, frozen=True):
    """How a consensus was made, so that it can be made again and its staleness noticed.

    ``ignore_value``: what undecided voxels hold in the label map, under that tie rule.
    ``performance`` and ``converged``: of STAPLE, by label and rater.
    """

    method: str
    raters: tuple[str, ...]
    tie_rule: str
    tied_voxels: int
    inputs: dict[str, str]
    """Rater to content hash of the reading that went in."""
    ignore_value: int | None = None
    performance: tuple[RaterPerformance, ...] = ()
    converged: bool | None = None


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


class SliceLabels(msgspec.Struct, frozen=True):
    """One rater's labels per slice of one image.

    ``slices``: how many slices (index k) were read. ``annotated``: the labels that were looked
    for; one without a range was found on no slice. Ranges are sorted, disjoint and not adjacent
    within a label.
    """

    rater: str
    slices: int
    annotated: tuple[str, ...]
    ranges: tuple[SliceRange, ...]


class BoxAgreement(msgspec.Struct, frozen=True):
    """Two raters' boxes of one label, matched one to one.

    ``f1`` is 2 matched / (boxes_a + boxes_b); None exactly when both drew no box ("both empty").
    ``mean_iou`` runs over the matched pairs; None when there is none.
    """

    label: str
    rater_a: str
    rater_b: str
    outcome: Outcome
    f1: float | None
    mean_iou: float | None
    boxes_a: int = 0
    boxes_b: int = 0
    matched: int = 0


class SliceAgreement(msgspec.Struct, frozen=True):
    """Two raters on which slices show one label; slices are what voxels are to PairAgreement.

    ``kappa``: Cohen's, over all slices; None where it is undefined (both say the same of every
    slice, so that chance alone explains it) and where a rater did not look for the label.
    """

    label: str
    rater_a: str
    rater_b: str
    outcome: Outcome
    dice: float | None
    kappa: float | None
    slices_a: int = 0
    slices_b: int = 0
    common: int = 0


class LesionCount(msgspec.Struct, frozen=True):
    """How many lesions of a label two raters have in common; ``rater_a`` is the reference.

    ``f1`` is 2 matched / (lesions of a + lesions of b); None when there are none at all.
    """

    label: str
    rater_a: str
    rater_b: str
    matched: int
    missed: int
    extra: int
    f1: float | None


class Agreement(msgspec.Struct, frozen=True):
    """Agreement of all raters of a case, per label: pairs first, then what explains them."""

    raters: tuple[str, ...]
    labels: tuple[LabelAgreement, ...]
    pairs: tuple[PairAgreement, ...]
    consensus: tuple[PairAgreement, ...] = ()
    """Every rater (``rater_a``) against the consensus (``rater_b``)."""
    surfaces: tuple[PairSurface, ...] = ()
    lesions: tuple[LesionCount, ...] = ()
    chance: tuple[ChanceAgreement, ...] = ()
    causes: tuple[Cause, ...] = ()
    worst_slices: tuple[WorstSlice, ...] = ()
    differences: tuple[Difference, ...] = ()
    """The places where raters differ on labels below the threshold, the largest first."""
    boxes: tuple[BoxAgreement, ...] = ()
    slices: tuple[SliceAgreement, ...] = ()

    @property
    def lowest(self) -> float | None:
        """The worst pair's Dice over all labels; None when nothing was defined."""
        return min((x.worst_dice for x in self.labels if x.worst_dice is not None), default=None)


class MergedBox(msgspec.Struct, Generic[AnyBox], frozen=True):
    """One box out of those that several raters drew around the same thing.

    ``raters``: who drew it, sorted. ``iou_low`` / ``iou_mean``: lowest and mean IoU between any
    two of their boxes; None for the box of one rater.
    """

    box: AnyBox
    raters: tuple[str, ...]
    iou_low: float | None
    iou_mean: float | None


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


def _part(count: int, total: int) -> float | None:
    return count / total if total else None
