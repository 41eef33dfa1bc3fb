"""Tables for people: agreement per case, label and pair of raters, and per rater, as CSV or JSON.

A row is a frozen struct of numbers and texts; its fields are the columns. Undefined values are
None: an empty cell in CSV, null in JSON, never 0 and never NaN.
"""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from MedPrepLib.agree.pairs import pairs_kind
from MedPrepLib.atomic import write_bytes
from MedPrepLib.errors import RunError
from MedPrepLib.results import CaseResult, Outcome, PairAgreement, PairSurface

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters by which a spreadsheet takes a text for a formula (OWASP, CSV injection)."""

Cell = str | int | float | bool | None


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
    """"intra" for two readings of one person."""
    hausdorff_mm: float | None = None
    hd95_max_mm: float | None = None
    hd95_pooled_mm: float | None = None
    assd_mm: float | None = None
    surface_dice: float | None = None
    cause: str = ""


class RaterRow(msgspec.Struct, frozen=True):
    """One rater on one label, against all others, over all cases.

    ``pairs``: defined values, on ``cases`` cases. ``below``: of these, under the threshold.
    ``volume_bias_percent``: median of 100 (own - other) / mean of both; positive: draws more.
    ``others_median_dice``: of the pairs without this rater; ``gap`` is how far the rater's own
    median lies under it (negative: above). ``lowest``: no rater of this label has a lower median,
    and one has a higher; in a pair alone nobody can be told apart, so nobody is lowest.
    """

    label: str
    rater: str
    cases: int
    pairs: int
    both_empty: int
    not_annotated: int
    mean_dice: float | None
    median_dice: float | None
    below: int
    volume_bias_percent: float | None
    others_median_dice: float | None
    gap: float | None
    lowest: bool


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
            for pair in result.agreement.pairs:
                key = (pair.label, pair.rater_a, pair.rater_b)
                rows.append(_agreement_row(result, pair, place, surfaces.get(key)))
    return tuple(rows)


def rater_summary(rows: Sequence[AgreementRow], threshold: float) -> tuple[RaterRow, ...]:
    """Who differs from the others: a row per label and rater, in order of first label, rater.

    ``threshold``: Dice below this is counted, compared unrounded. Undefined values are counted
    where they belong and left out of means and medians; pairs of one person are left aside.
    """
    found: list[RaterRow] = []
    for label in dict.fromkeys(row.label for row in rows):
        own = [row for row in rows if row.label == label and row.kind == "inter"]
        raters = sorted({rater for row in own for rater in (row.rater_a, row.rater_b)})
        found += _marked([_rater_row(label, rater, own, threshold) for rater in raters])
    return tuple(found)


def write_csv(
    path: Path | str,
    rows: Sequence[msgspec.Struct],
    kind: type[msgspec.Struct] | None = None,
) -> None:
    """Write rows as UTF-8 CSV with a header, every cell quoted; whole or not at all.

    Texts that a spreadsheet would run as a formula get an apostrophe in front; numbers stay
    numbers (shortest digits that give the same value back). ``kind``: the type of the rows, needed
    where there may be none. Raises RunError without rows and kind, OSError.
    """
    columns = _columns(rows, kind)
    text = io.StringIO()
    table = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    table.writerow(columns)
    table.writerows([_cell(getattr(row, column)) for column in columns] for row in rows)
    write_bytes(path, text.getvalue().encode())


def write_json(path: Path | str, rows: Sequence[msgspec.Struct]) -> None:
    """Write rows as a JSON list of objects, one per line; whole or not at all. Raises OSError."""
    lines = [
        json.dumps({name: _defined(getattr(row, name)) for name in row.__struct_fields__})
        for row in rows
    ]
    write_bytes(path, ("[\n" + ",\n".join(lines) + "\n]\n").encode())


def no_formula(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def likely_cause(case: CaseResult, pair: PairAgreement) -> str:
    """The sentence of the likeliest cause of a pair's value; empty when none was looked for."""
    causes = case.agreement.causes if case.agreement is not None else ()
    key = (pair.label, pair.rater_a, pair.rater_b)
    for cause in causes:
        if cause.best and (cause.label, cause.rater_a, cause.rater_b) == key:
            return cause.sentence
    return ""


def _agreement_row(
    result: CaseResult, pair: PairAgreement, place: str, surface: PairSurface | None
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
        kind=pairs_kind(pair.rater_a, pair.rater_b),
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


def _rater_row(label: str, rater: str, rows: Sequence[AgreementRow], threshold: float) -> RaterRow:
    own = [row for row in rows if rater in (row.rater_a, row.rater_b)]
    values = _dice(own)
    others = _median(_dice([row for row in rows if rater not in (row.rater_a, row.rater_b)]))
    median = _median(values)
    bias = [
        row.volume_difference_percent * (1 if row.rater_b == rater else -1)
        for row in own
        if row.volume_difference_percent is not None
    ]
    return RaterRow(
        label=label,
        rater=rater,
        cases=len({row.case for row in own if row.dice is not None}),
        pairs=len(values),
        both_empty=sum(row.outcome == "both empty" for row in own),
        not_annotated=sum(row.outcome == "not annotated" for row in own),
        mean_dice=math.fsum(values) / len(values) if values else None,
        median_dice=median,
        below=sum(value < threshold for value in values),
        volume_bias_percent=_median(bias),
        others_median_dice=others,
        gap=None if median is None or others is None else others - median,
        lowest=False,
    )


def _marked(rows: Sequence[RaterRow]) -> list[RaterRow]:
    """The rows of one label, with those of the lowest median marked."""
    medians = [row.median_dice for row in rows if row.median_dice is not None]
    if not medians or min(medians) == max(medians):
        return list(rows)
    return [msgspec.structs.replace(row, lowest=row.median_dice == min(medians)) for row in rows]


def _dice(rows: Iterable[AgreementRow]) -> list[float]:
    return [row.dice for row in rows if row.dice is not None]


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _columns(rows: Sequence[msgspec.Struct], kind: type[msgspec.Struct] | None) -> tuple[str, ...]:
    if kind is None and not rows:
        raise RunError("a table without rows needs to be told what its rows would be")
    return (kind or type(rows[0])).__struct_fields__


def _defined(value: Cell) -> Cell:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Cell) -> str:
    value = _defined(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return no_formula(value) if isinstance(value, str) else repr(value)
