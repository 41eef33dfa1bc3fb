"""Strips of intensities and spacings: every case a tick, by center, and who stands apart."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from MedPrepLib.catalog import SUV_UNKNOWN
from MedPrepLib.report.model import ReportInput
from MedPrepLib.report.outliers import MIN_VALUES, Usual, usual, usual_factor
from MedPrepLib.report.text import MINUS, NOTHING, median, number
from MedPrepLib.results import CaseResult

SPACING_FACTOR = 1.1
"""Spacings that differ by less train alike: resampling to a common grid hides it."""
INTENSITY_SHARE = 0.02
"""Of the usual distance between low and high percentile: the least that is told apart."""
MAX_CENTERS = 8
"""Rows of a strip; further centers share one."""
MAX_LISTED = 40
PIXELS = 560.0
"""Width of a strip in units of its drawing."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One outlier in a strip. ``at`` in units of the drawing; ``side``: -1, 1 beyond its ends."""

    case: CaseResult
    at: float
    side: int
    told: str


@dataclass(frozen=True, slots=True)
class Lane:
    """The cases of one center: ticks as an SVG path, outliers apart."""

    center: str
    path: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Strip:
    """One measure of one kind of image; ``band``: start and width of what is usual."""

    title: str
    unit: str
    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    band: tuple[float, float] | None
    usual: str
    cases: int

    @property
    def apart(self) -> int:
        """How many cases stand apart."""
        return sum(len(lane.marks) for lane in self.lanes)


@dataclass(frozen=True, slots=True)
class StripGroup:
    """All strips of one modality and unit; ``listed``: its outliers, the farthest first."""

    name: str
    cases: int
    strips: tuple[Strip, ...]


@dataclass(frozen=True, slots=True)
class Apart:
    """An outlier in words."""

    case: CaseResult
    measure: str
    value: str
    usual: str


@dataclass(frozen=True, slots=True)
class StripsView:
    """The section on images; ``of`` maps a case to what is unlike others of its kind."""

    groups: tuple[StripGroup, ...]
    of: Mapping[str, tuple[Apart, ...]]
    score: float
    too_few: int

    @property
    def listed(self) -> tuple[Apart, ...]:
        """The cases with most that is unusual first, as far as the page lists them."""
        ordered = sorted(self.of.items(), key=lambda item: (-len(item[1]), item[0]))
        return tuple(one for _, found in ordered for one in found)[:MAX_LISTED]

    @property
    def apart(self) -> int:
        """Outliers in all."""
        return sum(map(len, self.of.values()))


@dataclass(frozen=True, slots=True)
class _Measure:
    """What is read off a case, and how the usual is found. ``floor`` is a factor for lengths."""

    title: str
    unit: str
    of: Callable[[CaseResult], float | None]
    floor: float
    length: bool = False

    def usual(self, values: Sequence[float], score: float) -> Usual | None:
        rule = usual_factor if self.length else usual
        return rule(values, score, self.floor)


def strips_view(report: ReportInput) -> StripsView:
    """Strips of the included cases by modality and unit, the commonest first."""
    kinds: dict[tuple[str, str], list[CaseResult]] = defaultdict(list)
    for case in report.included:
        if case.geometry is not None:
            kinds[case.modality or "?", unit_of(report, case)].append(case)
    score = report.settings.report.outlier_score
    groups, found = [], defaultdict[str, list[Apart]](list)
    for (modality, unit), cases in sorted(kinds.items(), key=lambda i: (-len(i[1]), i[0])):
        measures = [*_intensities(cases, unit), *_LENGTHS]
        strips = [s for m in measures if (s := _strip(m, cases, score, found)) is not None]
        groups.append(StripGroup(modality, len(cases), tuple(strips)))
    return StripsView(
        groups=tuple(groups),
        of={case: tuple(rows) for case, rows in found.items()},
        score=score,
        too_few=MIN_VALUES,
    )


def unit_of(report: ReportInput, case: CaseResult) -> str:
    """HU, SUVbw, or nothing for values as stored."""
    if case.modality == "CT":
        return "HU"
    known = not any(finding.code == SUV_UNKNOWN.code for finding in case.findings)
    suv = case.modality == "PT" and report.settings.standardize.pet == "suv" and known
    return "SUVbw" if suv else ""


def _spacing(axis: int) -> Callable[[CaseResult], float | None]:
    return lambda case: None if case.geometry is None else case.geometry.spacing[axis]


def _extent(case: CaseResult) -> float | None:
    return None if case.geometry is None else case.geometry.size[2] * case.geometry.spacing[2]


_LENGTHS = (
    _Measure("Pixel spacing", "mm", _spacing(0), SPACING_FACTOR, length=True),
    _Measure("Slice distance", "mm", _spacing(2), SPACING_FACTOR, length=True),
    _Measure("Extent across slices", "mm", _extent, SPACING_FACTOR, length=True),
)


def _percentile(key: str) -> Callable[[CaseResult], float | None]:
    return lambda case: None if case.statistics is None else case.statistics.percentiles.get(key)


def _intensities(cases: Sequence[CaseResult], unit: str) -> list[_Measure]:
    """The lowest and highest percentile that is kept, and the one nearest to the median."""
    keys = sorted({k for c in cases if c.statistics for k in c.statistics.percentiles}, key=float)
    if not keys:
        return []
    middle = min(keys, key=lambda key: abs(float(key) - 50))
    chosen = sorted({keys[0], middle, keys[-1]}, key=float)
    low, high = (
        median([v for c in cases if (v := _percentile(key)(c)) is not None])
        for key in (keys[0], keys[-1])
    )
    floor = INTENSITY_SHARE * abs((high or 0.0) - (low or 0.0))
    names = {"50": "Median"}
    return [
        _Measure(names.get(k.removesuffix(".0"), f"Percentile {k}"), unit, _percentile(k), floor)
        for k in chosen
    ]


def _strip(
    measure: _Measure, cases: Sequence[CaseResult], score: float, found: dict[str, list[Apart]]
) -> Strip | None:
    values = {c.id: v for c in cases if (v := measure.of(c)) is not None and math.isfinite(v)}
    if not values:
        return None
    limits = measure.usual(list(values.values()), score)
    scale = _scale(list(values.values()), limits)
    words = NOTHING if limits is None else _range_words(limits, measure.unit)
    for case in cases:
        if case.id in values and limits is not None and limits.apart(values[case.id]):
            told = f"{number(values[case.id])} {measure.unit}".strip()
            found[case.id].append(Apart(case, measure.title, told, words))
    return Strip(
        title=measure.title,
        unit=measure.unit,
        lanes=_lanes(measure, [c for c in cases if c.id in values], values, limits, scale),
        ticks=tuple((_at(tick, scale), told) for tick, told in _ticks(*scale)),
        band=None if limits is None else _band(limits, scale),
        usual=words,
        cases=len(values),
    )


def _lanes(
    measure: _Measure,
    cases: Sequence[CaseResult],
    values: Mapping[str, float],
    limits: Usual | None,
    scale: tuple[float, float],
) -> tuple[Lane, ...]:
    shown = [name for name, _ in Counter(c.center for c in cases).most_common(MAX_CENTERS)]
    rows: dict[str, list[CaseResult]] = {name: [] for name in sorted(shown)}
    for case in cases:
        rows.setdefault(case.center if case.center in shown else "other centers", []).append(case)
    lanes = []
    for center, members in rows.items():
        out = [c for c in members if limits is not None and limits.apart(values[c.id])]
        rest = {round(2 * _at(values[c.id], scale)) for c in members} - {
            round(2 * _at(values[c.id], scale)) for c in out
        }
        path = "".join(f"M{at / 2:g} 2v10" for at in sorted(rest))
        marks = tuple(_mark(measure, case, values[case.id], scale) for case in out)
        lanes.append(Lane(center, path, marks))
    return tuple(lanes)


def _mark(measure: _Measure, case: CaseResult, value: float, scale: tuple[float, float]) -> Mark:
    side = -1 if value < scale[0] else 1 if value > scale[1] else 0
    told = f"{measure.title} {number(value)} {measure.unit}".strip()
    return Mark(case, _at(value, scale), side, told)


def _scale(values: Sequence[float], limits: Usual | None) -> tuple[float, float]:
    """From the lowest to the highest value, but no farther out than the usual reaches again."""
    low, high = min(values), max(values)
    if limits is not None:
        width = limits.high - limits.low
        low, high = max(low, limits.low - width), min(high, limits.high + width)
    pad = 0.03 * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad


def _at(value: float, scale: tuple[float, float]) -> float:
    part = (value - scale[0]) / (scale[1] - scale[0])
    return round(PIXELS * min(max(part, 0.0), 1.0), 1)


def _band(limits: Usual, scale: tuple[float, float]) -> tuple[float, float]:
    start, end = _at(limits.low, scale), _at(limits.high, scale)
    return start, round(max(end - start, 1.0), 1)


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Three to seven round numbers, each with as many decimals as tell it from the next."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(f for f in (1, 2, 5, 10) if f * power >= rough)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    numbers = (n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1))
    return [(at, f"{at:,.{decimals}f}".replace("-", MINUS)) for at in numbers]


def _range_words(limits: Usual, unit: str) -> str:
    low, high = (number(float(f"{end:.3g}")) for end in (limits.low, limits.high))
    return f"{low} to {high} {unit}".strip()
