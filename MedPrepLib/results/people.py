"""Who the patients of a cohort are: one rule for every table that counts them by sex and age."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Told(Protocol):
    """A case, and what is told of whom it shows."""

    @property
    def center(self) -> str:
        """The center, within which ``patient`` names a person."""

    @property
    def patient(self) -> str:
        """The public name of the person."""

    @property
    def sex(self) -> str:
        """F, M, O or unknown."""

    @property
    def age_years(self) -> int | None:
        """The age at this case; None where it is not stated."""


class Person(NamedTuple):
    """A patient: the sex that most cases state, and the youngest age that one states."""

    sex: str
    age_years: int | None


def people_of(cases: Iterable[Told]) -> dict[tuple[str, str], Person]:
    """The patients by center and public name, in the order of their first cases.

    Everybody is counted at the youngest age: a patient who comes again is older, and stays in the
    band that the first visit gave.
    """
    own: dict[tuple[str, str], list[Told]] = defaultdict(list)
    for case in cases:
        own[case.center, case.patient].append(case)
    return {who: _person(cases) for who, cases in own.items()}


def _person(cases: Iterable[Told]) -> Person:
    told = list(cases)
    sexes = Counter(case.sex for case in told if case.sex != "unknown")
    ages = [case.age_years for case in told if case.age_years is not None]
    sex = min(sexes, key=lambda each: (-sexes[each], each), default="unknown")
    return Person(sex, min(ages, default=None))
