"""How far raters agree on one case, and what explains it."""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["measured", "both empty", "one empty", "not annotated"]


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
    values; everything else is about the first readings of different persons.
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
    def surface_of(self) -> dict[tuple[str, str, str], PairSurface]:
        """The surfaces by (label, rater_a, rater_b), as the pairs name them."""
        return {(s.label, s.rater_a, s.rater_b): s for s in self.surfaces}

    @property
    def lowest(self) -> float | None:
        """The worst pair's Dice over all labels; None when nothing was defined."""
        return min((x.worst_dice for x in self.labels if x.worst_dice is not None), default=None)
