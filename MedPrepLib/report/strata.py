"""The cohort table by center, modality, device, sex and age band, and how small its groups are."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from MedPrepLib.report.model import ReportInput
from MedPrepLib.report.text import NOTHING, plural
from MedPrepLib.results import CaseResult, Person, patients_of, people_of
from MedPrepLib.sharing.groups import grouped, row_of

AGE_EDGES = (18, 40, 60, 80)
BANDS = ("0\N{EN DASH}17", "18\N{EN DASH}39", "40\N{EN DASH}59", "60\N{EN DASH}79", "80+", "?")
"""Minors, two spans of adults, the old; the last one: age not stated."""
SEXES = (("F", "Female"), ("M", "Male"), ("O", "Other sex"), ("unknown", "Sex not stated"))
MAX_ROWS = 120
_Column = tuple[int, int]
"""The number of a sex and of a band."""
_Columns = Mapping[tuple[str, str], _Column]
"""In which column every patient (of a center) is counted."""


@dataclass(frozen=True, slots=True)
class Head:
    """A group of columns: one sex, and the bands of age that occur with it."""

    sex: str
    bands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """Patients in one cell; ``small``: some, but fewer than the study wants to look alike."""

    patients: int
    small: bool


@dataclass(frozen=True, slots=True)
class Stratum:
    """One center, modality and device (or the total), its patients by sex and age, and cases."""

    center: str
    modality: str
    device: str
    counts: tuple[Count, ...]
    patients: int
    cases: int


@dataclass(frozen=True, slots=True)
class Strata:
    """The table; ``notice`` says how many patients nearly stand alone (k-anonymity)."""

    heads: tuple[Head, ...]
    rows: tuple[Stratum, ...]
    total: Stratum
    left_out: int
    k: int
    notice: str
    spans: str


def strata(report: ReportInput) -> Strata | None:
    """Included cases; patients count once per row, everywhere at their youngest age in the cohort.

    None when there are none.
    """
    if not report.included:
        return None
    k = report.settings.privacy.min_group
    people = {who: _column(person) for who, person in people_of(report.included).items()}
    columns = sorted(set(people.values()))
    groups: dict[tuple[str, str, str], list[CaseResult]] = defaultdict(list)
    for case in report.included:
        groups[case.center, case.modality, case.device].append(case)
    rows = [_stratum(key, groups[key], people, k) for key in sorted(groups)]
    step = report.settings.privacy.age_step_years
    return Strata(
        heads=_heads(columns),
        rows=tuple(rows[:MAX_ROWS]),
        total=_stratum(("All centers", "", ""), report.included, people, k),
        left_out=max(0, len(rows) - MAX_ROWS),
        k=k,
        notice=_notice(report, k),
        spans=f"Ages are kept in spans of {step} years and counted by the lower end."
        if step > 1
        else "",
    )


def _column(person: Person) -> _Column:
    sexes = [key for key, _ in SEXES]
    sex = sexes.index(person.sex) if person.sex in sexes else len(sexes) - 1
    return sex, age_band(person.age_years)


def age_band(age_years: int | None) -> int:
    """The number of the band that an age in whole years lies in; the last one is for none."""
    return len(AGE_EDGES) + 1 if age_years is None else bisect_right(AGE_EDGES, age_years)


def _heads(columns: Sequence[_Column]) -> tuple[Head, ...]:
    return tuple(
        Head(word, tuple(BANDS[band] for sex, band in columns if sex == n))
        for n, (_, word) in enumerate(SEXES)
        if any(sex == n for sex, _ in columns)
    )


def _stratum(
    key: tuple[str, str, str], cases: Sequence[CaseResult], columns: _Columns, k: int
) -> Stratum:
    people = patients_of(cases)
    counts = Counter(columns[who] for who in people)
    center, modality, device = key
    return Stratum(
        center=center,
        modality=modality,
        device=device or NOTHING,
        counts=tuple(Count(counts[c], 0 < counts[c] < k) for c in sorted(set(columns.values()))),
        patients=len(people),
        cases=len(cases),
    )


def _notice(report: ReportInput, k: int) -> str:
    """How many patients look like fewer than k; grouped as medprep share-check does."""
    found = grouped(
        [
            row_of(
                case.id,
                case.center,
                case.person or case.patient,
                case.modality,
                {"sex": case.sex, "age_years": case.age_years, "manufacturer": case.device},
            )
            for case in report.included
        ],
        k,
    )
    alike = "center, sex, age in years, device and modality"
    if not found.small:
        return f"Every patient looks like at least {k - 1} others in {alike}."
    alone = {case for group in found.small for case in group.cases}
    patients = len(patients_of(case for case in report.included if case.id in alone))
    return (
        f"{plural(patients, 'patient')} {'looks' if patients == 1 else 'look'} like fewer than "
        f"{k - 1} others in {alike}; the smallest group has {found.smallest}. Whoever knows such a "
        "person may find them here. Before the cohort or this report leaves the site, run medprep "
        "share-check, which also looks at model and body part and says what helps."
    )
