"""What the report says of each case: its row in the table and its page of details."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from MedPrepLib.findings import Finding, Severity, worst
from MedPrepLib.report.model import ReportInput, lowest_dice, needs_look
from MedPrepLib.report.places import page_names
from MedPrepLib.report.sets import set_name
from MedPrepLib.report.strips import Apart, unit_of
from MedPrepLib.report.styles import RaterStyle, rater_styles
from MedPrepLib.report.text import NOTHING, dice, number, times
from MedPrepLib.results import (
    CaseResult,
    ConsensusRecord,
    PairAgreement,
    ReadingResult,
    Statistics,
    person_of,
)
from MedPrepLib.tables import likely_cause

MAX_PAIRS = 40
"""A case of a hundred labels has thousands of pairs; those that agree least are shown."""

MAX_PLACES = 8
"""Places where raters differ; the largest first."""

MAX_ALIKE = 20
"""Links to other cases of a patient."""

OUTCOMES = {
    "measured": "",
    "both empty": "both empty",
    "one empty": "one empty",
    "not annotated": "not annotated",
}


@dataclass(frozen=True, slots=True)
class PairRow:
    """A pair of raters on one label of a case."""

    pair: PairAgreement
    below: bool
    hd95: str
    assd: str
    nsd: float | None
    cause: str


@dataclass(frozen=True, slots=True)
class LabelVolume:
    """The volume in milliliters of one label, by rater and in the consensus."""

    label: str
    color: str
    readings: tuple[str, ...]
    consensus: str


@dataclass(frozen=True, slots=True)
class CasePage:
    """One case, ready for its page. ``name``: its file without ending (places.page_names)."""

    case: CaseResult
    name: str
    place: str
    grid: str
    lowest: float | None
    below: bool
    state: str
    """``out``, ``look`` or ``ready``."""
    severity: int
    findings: tuple[Finding, ...]
    codes: tuple[str, ...]
    styles: tuple[RaterStyle, ...]
    pairs: tuple[PairRow, ...]
    pairs_left_out: int
    pairs_unknown: int
    """Of a label that one of the two did not annotate and the other did not draw either."""
    volumes: tuple[LabelVolume, ...]
    geometry: tuple[tuple[str, str], ...]
    statistics: tuple[tuple[str, str], ...]
    consensus: tuple[tuple[str, str], ...]
    chance: tuple[tuple[str, str], ...]
    places: tuple[str, ...]
    apart: tuple[Apart, ...]
    provenance: tuple[tuple[str, str], ...]
    alike: tuple[str, ...]
    """The other cases of this patient."""


def case_pages(report: ReportInput, apart: Mapping[str, tuple[Apart, ...]]) -> tuple[CasePage, ...]:
    """All cases in order of id; ``apart``: what is unusual about each (strips.StripsView.of)."""
    names = page_names([case.id for case in report.ordered])
    patients: dict[tuple[str, str], list[str]] = defaultdict(list)
    for case in report.ordered:
        patients[person_of(case)].append(case.id)
    return tuple(
        _page(
            report,
            case,
            names[case.id],
            apart.get(case.id, ()),
            [other for other in patients[person_of(case)] if other != case.id],
        )
        for case in report.ordered
    )


def _page(
    report: ReportInput,
    case: CaseResult,
    name: str,
    apart: tuple[Apart, ...],
    alike: Sequence[str],
) -> CasePage:
    threshold = report.settings.agree.threshold
    lowest = lowest_dice(case)
    findings = tuple(sorted(case.findings, key=lambda f: (-f.severity, f.item != case.id)))
    ranked = _ranked(case)
    pairs = [pair for pair in ranked if not _says_nothing(pair)]
    return CasePage(
        case=case,
        name=name,
        place=set_name(report, case.id) if case.included else "",
        grid=_grid(case),
        lowest=lowest,
        below=lowest is not None and lowest < threshold,
        state="look" if needs_look(case) else "ready" if case.included else "out",
        severity=int(worst(case.findings) or 0),
        findings=findings,
        codes=tuple(dict.fromkeys(f.code for f in findings)),
        styles=rater_styles(reading.rater for reading in case.readings),
        pairs=_pair_rows(case, pairs[:MAX_PAIRS], threshold),
        pairs_left_out=max(0, len(pairs) - MAX_PAIRS),
        pairs_unknown=len(ranked) - len(pairs),
        volumes=_volumes(report, case),
        geometry=_geometry(case),
        statistics=_statistics(report, case),
        consensus=_lineage(case.consensus),
        chance=_chance(case),
        places=_places(report, case),
        apart=apart,
        provenance=_provenance(report, case),
        alike=tuple(alike[:MAX_ALIKE]),
    )


def _pair_rows(
    case: CaseResult, pairs: Sequence[PairAgreement], threshold: float
) -> tuple[PairRow, ...]:
    measured = case.agreement.surface_of if case.agreement is not None else {}
    rows = []
    for pair in pairs:
        surface = measured.get((pair.label, pair.rater_a, pair.rater_b))
        rows.append(
            PairRow(
                pair=pair,
                below=pair.dice is not None and pair.dice < threshold,
                hd95=_length(surface.hd95_max_mm if surface else None),
                assd=_length(surface.assd_mm if surface else None),
                nsd=surface.nsd if surface else None,
                cause=likely_cause(case, pair),
            )
        )
    return tuple(rows)


def _length(value_mm: float | None) -> str:
    return NOTHING if value_mm is None else f"{value_mm:.2f}"


def _chance(case: CaseResult) -> tuple[tuple[str, str], ...]:
    """Fleiss' kappa and Krippendorff's alpha per label, where they are defined."""
    rows = case.agreement.chance if case.agreement is not None else ()
    return tuple(
        (
            row.label or "all labels",
            f"kappa {_coefficient(row.fleiss_kappa)}, alpha {_coefficient(row.krippendorff_alpha)}",
        )
        for row in rows
        if row.fleiss_kappa is not None or row.krippendorff_alpha is not None
    )


def _coefficient(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _places(report: ReportInput, case: CaseResult) -> tuple[str, ...]:
    """The largest places where raters differ, in words a reader can go to.

    In the grid that is packed: where it begins at zero, slice and millimeters of the scanner would
    tell together where it began.
    """
    found = case.agreement.differences if case.agreement is not None else ()
    begins = (0.0, 0.0, 0.0)
    if report.settings.privacy.origin == "zero" and case.geometry is not None:
        begins = case.geometry.origin
    sentences = []
    for place in found[:MAX_PLACES]:
        x, y, z = (a - b for a, b in zip(place.center_mm, begins, strict=True))
        side = f"{'L' if x >= 0 else 'R'} {abs(x):.0f}, {'P' if y >= 0 else 'A'} {abs(y):.0f}"
        height = f"{'S' if z >= 0 else 'I'} {abs(z):.0f} mm"
        drawn, left = ", ".join(place.raters_for), ", ".join(place.raters_against)
        where = f"({side}, {height}), slice {place.index[2]}"
        who = f"drawn by {drawn or 'a minority'}, not by {left or 'the others'}"
        size = f"{number(place.volume_ml, 3)} mL"
        sentences.append(f"{place.label}, {place.kind}: {size} at {where}; {who}")
    return tuple(sentences)


def severe(page: CasePage) -> tuple[Finding, ...]:
    """The findings of a case that ask for something."""
    return tuple(f for f in page.findings if f.severity >= Severity.REVIEW)


def _grid(case: CaseResult) -> str:
    """The number of slices, and the spacing."""
    if case.geometry is None:
        return NOTHING
    return f"{case.geometry.size[2]} · {times(case.geometry.spacing, 2)} mm"


def _ranked(case: CaseResult) -> list[PairAgreement]:
    """The least agreement first; what is undefined last."""
    pairs = case.agreement.pairs if case.agreement is not None else ()
    return sorted(
        pairs,
        key=lambda p: (
            p.outcome == "not annotated",
            p.dice is None,
            p.dice if p.dice is not None else 0.0,
            p.label,
            p.rater_a,
            p.rater_b,
        ),
    )


def _says_nothing(pair: PairAgreement) -> bool:
    return pair.outcome == "not annotated" and not (pair.voxels_a or pair.voxels_b)


def _volumes(report: ReportInput, case: CaseResult) -> tuple[LabelVolume, ...]:
    if case.geometry is None:
        return ()
    milliliters = case.geometry.voxel_volume_mm3 / 1000
    readings = _by_rater(case)
    target = case.targets.voxels if case.targets is not None else {}
    rows = []
    for label in report.settings.schema():
        drawn = [reading.voxels.get(label.name) for reading in readings]
        made = target.get(label.name)
        if made or any(voxels is not None for voxels in drawn):
            rows.append(
                LabelVolume(
                    label.name,
                    "#{:02x}{:02x}{:02x}".format(*label.color),
                    tuple(_volume(voxels, milliliters) for voxels in drawn),
                    _volume(made, milliliters),
                )
            )
    return tuple(rows)


def _volume(voxels: int | None, milliliters: float) -> str:
    if voxels is None:
        return NOTHING
    volume = voxels * milliliters
    if volume >= 100:
        return f"{volume:,.0f}"
    return number(volume, 3) if voxels else "empty"


def _geometry(case: CaseResult) -> tuple[tuple[str, str], ...]:
    grid = case.geometry
    if grid is None:
        return ()
    extent = [n * s for n, s in zip(grid.size, grid.spacing, strict=True)]
    return (
        ("Voxels (i, j, k)", times(grid.size)),
        ("Spacing", f"{times(grid.spacing)} mm"),
        ("Extent", f"{times(extent, 0)} mm"),
        ("Axes", "left-handed" if grid.is_left_handed else "right-handed"),
    )


def _statistics(report: ReportInput, case: CaseResult) -> tuple[tuple[str, str], ...]:
    found: Statistics | None = case.statistics
    if found is None:
        return ()
    unit = f" {unit_of(report, case)}".rstrip()
    rows = [
        ("Mean ± SD", f"{number(found.mean)} ± {number(found.std)}{unit}"),
        ("Range", f"{number(found.minimum)} … {number(found.maximum)}{unit}"),
    ]
    percentiles = sorted(found.percentiles.items(), key=lambda item: float(item[0]))
    rows += [(f"Percentile {at}", f"{number(value)}{unit}") for at, value in percentiles]
    counted = (("Padding", found.padding), ("Clipped below", found.clipped_low),
               ("Clipped above", found.clipped_high))  # fmt: skip
    rows += [(what, f"{count:,} voxels") for what, count in counted if count]
    return tuple(rows)


def _lineage(record: ConsensusRecord | None) -> tuple[tuple[str, str], ...]:
    if record is None:
        return ()
    hashes = [f"{rater} {record.inputs[rater][:12]}" for rater in sorted(record.inputs)]
    return (
        ("Method", record.method),
        ("Raters", ", ".join(record.raters)),
        ("Ties go to", record.tie_rule),
        ("Tied voxels", f"{record.tied_voxels:,}"),
        *([("Stored as", str(record.ignore_value))] if record.ignore_value is not None else []),
        *([("Converged", "no")] if record.converged is False else []),
        ("Made from", ", ".join(hashes)),
        *_performance(record),
    )


def _provenance(report: ReportInput, case: CaseResult) -> tuple[tuple[str, str], ...]:
    """What the case was made of and by. No hash of the original voxels: it would tell who it is."""
    shard = case.shard
    rows = [
        ("Case file", "" if shard is None else shard.name),
        ("Bytes", "" if shard is None else f"{shard.size:,}"),
        ("SHA-256 of the file", "" if shard is None else shard.sha256),
        *((f"Reading of {r.rater}", r.content_hash) for r in _by_rater(case)),
        ("Scanner", case.device),
        ("MedPrep", report.version),
        ("Configuration", report.config_hash),
    ]
    return tuple((what, told) for what, told in rows if told)


def _by_rater(case: CaseResult) -> list[ReadingResult]:
    return sorted(case.readings, key=lambda reading: reading.rater)


def _performance(record: ConsensusRecord) -> list[tuple[str, str]]:
    """What STAPLE estimates of each rater."""
    return [
        (
            f"Sensitivity, specificity: {row.rater}, {row.label}",
            f"{_coefficient(row.sensitivity)}, {_coefficient(row.specificity)}",
        )
        for row in record.performance
    ]


def excluded_pages(pages: Sequence[CasePage]) -> tuple[CasePage, ...]:
    """The excluded cases."""
    return tuple(page for page in pages if page.state == "out")


def dice_words(pair: PairAgreement) -> str:
    """The Dice of a pair, or why it has none."""
    outcome = OUTCOMES[pair.outcome]
    if pair.dice is None:
        return outcome
    return f"{dice(pair.dice)} ({outcome})" if outcome else dice(pair.dice)
