"""One row per case, label and pair of raters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from MedPrepLib.agree.pairs import PairKind, pair_kinds
from MedPrepLib.results import CaseResult, Outcome, PairAgreement, PairSurface


class AgreementRow(msgspec.Struct, frozen=True):
    """Two raters on one label of one case. Volumes are milliliters.

    ``jaccard`` is d / (2 - d) of the Dice d. ``volume_difference_percent`` is 100 (b - a) over
    the mean of a and b (Bland and Altman, Lancet 327:307, 1986): from -200 to 200, and undefined
    where both are empty. A rater who did not annotate the label has no volume.
    """

    case: str
    center: str
    set: str
    included: bool
    label: str
    rater_a: str
    rater_b: str
    outcome: Outcome
    dice: float | None
    jaccard: float | None
    volume_a_ml: float | None
    volume_b_ml: float | None
    volume_difference_percent: float | None
    kind: str = "inter"
    """"intra" for two readings of one person, "repeat" where a person's later reading is compared
    with another person: such rows would let who reads twice count twice."""
    hausdorff_mm: float | None = None
    hd95_max_mm: float | None = None
    hd95_pooled_mm: float | None = None
    assd_mm: float | None = None
    surface_dice: float | None = None
    cause: str = ""


def agreement_rows(
    results: Iterable[CaseResult], sets: Mapping[str, str] | None = None
) -> tuple[AgreementRow, ...]:
    """A row per case, label and pair of raters, in order of case, label of the schema, rater.

    ``sets`` (case to training, test...) fills the column ``set``. Cases that are left out of the
    cohort are listed too, with ``included`` false; cases with fewer than two readings are not.
    """
    rows: list[AgreementRow] = []
    for result in sorted(results, key=lambda r: r.id):
        if result.agreement is not None:
            place = (sets or {}).get(result.id, "")
            surfaces = result.agreement.surface_of
            kinds = pair_kinds(result.agreement.raters)
            for pair in result.agreement.pairs:
                key = (pair.label, pair.rater_a, pair.rater_b)
                kind = kinds[pair.rater_a, pair.rater_b]
                rows.append(_agreement_row(result, pair, kind, place, surfaces.get(key)))
    return tuple(rows)


def likely_cause(case: CaseResult, pair: PairAgreement) -> str:
    """The sentence of the likeliest cause of a pair's value; empty when none was looked for."""
    causes = case.agreement.causes if case.agreement is not None else ()
    key = (pair.label, pair.rater_a, pair.rater_b)
    for cause in causes:
        if cause.best and (cause.label, cause.rater_a, cause.rater_b) == key:
            return cause.sentence
    return ""


def _agreement_row(
    result: CaseResult,
    pair: PairAgreement,
    kind: PairKind,
    place: str,
    surface: PairSurface | None,
) -> AgreementRow:
    a, b = (
        _volume_ml(result, rater, pair.label, voxels)
        for rater, voxels in ((pair.rater_a, pair.voxels_a), (pair.rater_b, pair.voxels_b))
    )
    return AgreementRow(
        case=result.id,
        center=result.center,
        set=place,
        included=result.included,
        label=pair.label,
        rater_a=pair.rater_a,
        rater_b=pair.rater_b,
        outcome=pair.outcome,
        dice=pair.dice,
        jaccard=None if pair.dice is None else pair.dice / (2 - pair.dice),
        volume_a_ml=a,
        volume_b_ml=b,
        volume_difference_percent=_difference_percent(a, b),
        kind=kind,
        hausdorff_mm=surface.hausdorff_mm if surface else None,
        hd95_max_mm=surface.hd95_max_mm if surface else None,
        hd95_pooled_mm=surface.hd95_pooled_mm if surface else None,
        assd_mm=surface.assd_mm if surface else None,
        surface_dice=surface.nsd if surface else None,
        cause=likely_cause(result, pair),
    )


def _volume_ml(result: CaseResult, rater: str, label: str, voxels: int) -> float | None:
    """None where the grid is not known, or the rater did not annotate the label."""
    annotated = any(r.rater == rater and label in r.voxels for r in result.readings)
    if result.geometry is None or not annotated:
        return None
    return voxels * result.geometry.voxel_volume_mm3 / 1000


def _difference_percent(a: float | None, b: float | None) -> float | None:
    if a is None or b is None or a + b == 0:
        return None
    return 200 * (b - a) / (a + b)
