"""What the report says of each case: its row in the table and its page of details."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from MedPrepLib.findings import Finding, Severity, worst
from MedPrepLib.report.model import ReportInput, lowest_dice, needs_look
from MedPrepLib.report.sets import set_name
from MedPrepLib.report.styles import RaterStyle, rater_styles
from MedPrepLib.report.text import NOTHING, dice, number, times
from MedPrepLib.results import CaseResult, ConsensusRecord, PairAgreement, Statistics

MAX_PAIRS = 40
"""A case of a hundred labels has thousands of pairs; those that agree least are shown."""

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


@dataclass(frozen=True, slots=True)
class LabelVolume:
    """The volume in milliliters of one label, by rater and in the consensus."""

    label: str
    color: str
    readings: tuple[str, ...]
    consensus: str


@dataclass(frozen=True, slots=True)
class CasePage:
    """One case, ready for the page. ``anchor`` is a number; ids from data are never anchors."""

    case: CaseResult
    anchor: int
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
    volumes: tuple[LabelVolume, ...]
    geometry: tuple[tuple[str, str], ...]
    statistics: tuple[tuple[str, str], ...]
    consensus: tuple[tuple[str, str], ...]


def case_pages(report: ReportInput) -> tuple[CasePage, ...]:
    """All cases in order of id."""
    return tuple(_page(report, case, n) for n, case in enumerate(report.ordered, start=1))


def _page(report: ReportInput, case: CaseResult, anchor: int) -> CasePage:
    threshold = report.settings.agree.threshold
    lowest = lowest_dice(case)
    findings = tuple(sorted(case.findings, key=lambda f: (-f.severity, f.item != case.id)))
    pairs = _ranked(case)
    return CasePage(
        case=case,
        anchor=anchor,
        place=set_name(report, case.id) if case.included else "",
        grid=_grid(case),
        lowest=lowest,
        below=lowest is not None and lowest < threshold,
        state="look" if needs_look(case) else "ready" if case.included else "out",
        severity=int(worst(case.findings) or 0),
        findings=findings,
        codes=tuple(dict.fromkeys(f.code for f in findings)),
        styles=rater_styles(reading.rater for reading in case.readings),
        pairs=tuple(
            PairRow(pair, pair.dice is not None and pair.dice < threshold)
            for pair in pairs[:MAX_PAIRS]
        ),
        pairs_left_out=max(0, len(pairs) - MAX_PAIRS),
        volumes=_volumes(report, case),
        geometry=_geometry(case),
        statistics=_statistics(case),
        consensus=_lineage(case.consensus),
    )


def severe(page: CasePage) -> tuple[Finding, ...]:
    """The findings of a case that ask for something."""
    return tuple(f for f in page.findings if f.severity >= Severity.REVIEW)


def _grid(case: CaseResult) -> str:
    if case.geometry is None:
        return NOTHING
    return f"{times(case.geometry.size)} · {times(case.geometry.spacing, 2)} mm"


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


def _volumes(report: ReportInput, case: CaseResult) -> tuple[LabelVolume, ...]:
    if case.geometry is None:
        return ()
    milliliters = case.geometry.voxel_volume_mm3 / 1000
    readings = sorted(case.readings, key=lambda reading: reading.rater)
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
    return number(voxels * milliliters, 3) if voxels else "empty"


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


def _statistics(case: CaseResult) -> tuple[tuple[str, str], ...]:
    found: Statistics | None = case.statistics
    if found is None:
        return ()
    unit = " HU" if case.modality == "CT" else ""
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
        ("Made from", ", ".join(hashes)),
    )


def excluded_pages(pages: Sequence[CasePage]) -> tuple[CasePage, ...]:
    """The excluded cases."""
    return tuple(page for page in pages if page.state == "out")


def dice_words(pair: PairAgreement) -> str:
    """The Dice of a pair, or why it has none."""
    outcome = OUTCOMES[pair.outcome]
    if pair.dice is None:
        return outcome
    return f"{dice(pair.dice)} ({outcome})" if outcome else dice(pair.dice)
