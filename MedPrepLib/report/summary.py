"""The report in short: the verdict, the key numbers, the flow of exclusions, the cohort table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from MedPrepLib.agree.pairs import person
from MedPrepLib.catalog import find_kind
from MedPrepLib.findings import Finding, Severity
from MedPrepLib.report.model import ReportInput, judged_dice
from MedPrepLib.report.text import NOTHING, dice, listing, median, plural
from MedPrepLib.results import CaseResult, Person, patients_of, people_of

_STEPS = (
    (("scan",), "reading the files", "readable as volumes"),
    (("screen",), "screening the headers", "passed screening"),
    (("standardize",), "checking the values", "with values as expected"),
    (("align", "agree", "review", "split"), "matching the annotations", "with usable annotations"),
    (("run",), "processing", "processed"),
)
"""Stages of the catalog, what was done there, and what remained."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the found cases, for the bar below the verdict; ``start`` and ``width`` in %."""

    kind: str
    words: str
    count: int
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Reason:
    """How many cases one finding code excluded."""

    code: str
    count: int
    meaning: str


@dataclass(frozen=True, slots=True)
class FlowStep:
    """One row of the flow: what was left out at a stage, and what remained after it."""

    doing: str
    dropped: int
    reasons: tuple[Reason, ...]
    remaining: str
    left: int


@dataclass(frozen=True, slots=True)
class CohortRow:
    """One center and modality of the included cases, or the total."""

    center: str
    modality: str
    patients: int
    cases: int
    excluded: int
    sex: str
    age: str
    devices: str
    total: bool = False


def verdict(report: ReportInput) -> str:
    """What the report comes down to, in one or two sentences."""
    found, usable = len(report.cases), len(report.included)
    if not found:
        return "No case was found in the sources."
    look, excluded = len(report.to_review), len(report.excluded)
    text = f"{usable:,} of {plural(found, 'case')} can be trained on"
    if look:
        text += f"; {look:,} of them {'needs' if look == 1 else 'need'} a look first"
    if not excluded:
        return f"{text}. Nothing is excluded."
    return f"{text}. {excluded:,} {'is' if excluded == 1 else 'are'} excluded."


def shares(report: ReportInput) -> tuple[Share, ...]:
    """The parts of the bar: ready, to be looked at, excluded; empty parts are left out."""
    look, excluded = len(report.to_review), len(report.excluded)
    parts = (
        ("ready", "ready to train", len(report.included) - look),
        ("look", "usable, look first", look),
        ("out", "excluded", excluded),
    )
    whole, start, made = max(1, len(report.cases)), 0.0, []
    for kind, words, count in parts:
        if count:
            width = 100 * count / whole
            made.append(Share(kind, words, count, round(start, 3), round(width, 3)))
            start += width
    return tuple(made)


def key_numbers(report: ReportInput) -> tuple[tuple[str, str], ...]:
    """Numbers of the included cases with their names."""
    cases = report.included
    rule = report.settings.agree.rule
    values = [v for v in (judged_dice(case, rule) for case in cases) if v is not None]
    return (
        (f"{len(cases):,}", "case" if len(cases) == 1 else "cases included"),
        (f"{len(patients_of(cases)):,}", "patients"),
        (f"{len({case.center for case in cases}):,}", "centers"),
        (f"{len(raters_of(cases)):,}", "raters"),
        (f"{len(report.settings.labels):,}", "labels"),
        (dice(median(values), 2), "median lowest Dice"),
    )


def flow(report: ReportInput) -> tuple[FlowStep, ...]:
    """What was left out where. Each excluded case counts once, under its first reason."""
    counts: Counter[str] = Counter(primary_reason(case).code for case in report.excluded)
    left, steps = len(report.cases), []
    for stages, doing, remaining in _STEPS:
        codes = [code for code in counts if _stage_of(code) in stages]
        dropped = sum(counts[code] for code in codes)
        left -= dropped
        reasons = [Reason(code, counts[code], meaning(code)) for code in codes]
        reasons.sort(key=lambda reason: (-reason.count, reason.code))
        if dropped or not {"scan", "screen", "align"}.isdisjoint(stages):
            steps.append(FlowStep(doing, dropped, tuple(reasons), remaining, left))
    return tuple(steps)


def primary_reason(case: CaseResult) -> Finding:
    """The first finding that rejects the case itself; ValueError when nothing does."""
    for finding in case.findings:
        if finding.severity == Severity.REJECT and finding.item == case.id:
            return finding
    raise ValueError(f"case {case.id} is not excluded")


def meaning(code: str) -> str:
    """What a finding code means; the code itself when it is not declared here."""
    kind = find_kind(code)
    return kind.meaning if kind is not None else code


def cohort_table(report: ReportInput) -> tuple[CohortRow, ...]:
    """The included cases by center and modality, then the total."""
    groups: dict[tuple[str, str], list[CaseResult]] = defaultdict(list)
    for case in report.ordered:
        groups[case.center, case.modality].append(case)
    everybody = people_of(report.included)
    rows = [_cohort_row(center, modality, groups[center, modality], everybody)
            for center, modality in sorted(groups)]  # fmt: skip
    if len(rows) > 1:
        rows.append(_cohort_row("All centers", "", report.ordered, everybody, total=True))
    return tuple(rows)


def raters_of(cases: Iterable[CaseResult]) -> tuple[str, ...]:
    """Everybody with a usable reading, in order of name, once however often they read.

    Of masks, boxes or slice labels.
    """
    names = (
        name
        for case in cases
        for name in (*(reading.rater for reading in case.readings), *case.other_raters)
    )
    return tuple(sorted({person(name) for name in names}))


def _cohort_row(
    center: str,
    modality: str,
    cases: Sequence[CaseResult],
    everybody: Mapping[tuple[str, str], Person],
    *,
    total: bool = False,
) -> CohortRow:
    """``everybody``: of the whole cohort, so that one patient has one sex and age in all rows."""
    included = [case for case in cases if case.included]
    people = [everybody[who] for who in sorted(patients_of(included))]
    sexes = Counter(person.sex for person in people)
    ages = [person.age_years for person in people if person.age_years is not None]
    devices = sorted({case.device for case in included if case.device})
    return CohortRow(
        center=center,
        modality=modality,
        patients=len(people),
        cases=len(included),
        excluded=len(cases) - len(included),
        sex=_sex(sexes),
        age=_age(ages, len(people)),
        devices=plural(len(devices), "device") if total else listing(devices, 4) or NOTHING,
        total=total,
    )


def _sex(counts: Counter[str]) -> str:
    words = {"F": "F", "M": "M", "O": "other", "unknown": "not stated"}
    shown = [f"{counts[key]} {word}" for key, word in words.items() if counts[key]]
    return ", ".join(shown) or NOTHING


def _age(ages: Sequence[int], people: int) -> str:
    middle = median(ages)
    if middle is None:
        return NOTHING
    known = "" if len(ages) == people else f", {people - len(ages)} not stated"
    return f"{middle:g} ({min(ages)}{NOTHING}{max(ages)}{known})"


def _stage_of(code: str) -> str:
    kind = find_kind(code)
    return kind.stage if kind is not None else "run"
