"""Who the patients of a cohort are: one rule for everything that counts them.

An id that comes with its issuer in one export and without in another gives two public names
(issuers.py). They stay in use, for they may stand in a cohort already; whoever counts people counts
such a pair once, by the name that is told beside them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Named(Protocol):
    """A case, and the names of whom it shows."""

    @property
    def center(self) -> str:
        """The center, within which ``patient`` names a person."""

    @property
    def patient(self) -> str:
        """The public name that goes with the id and its issuer."""

    @property
    def person(self) -> str:
        """The name under which the patient is counted; empty: ``patient``."""


class Told(Named, Protocol):
    """And what is told of them."""

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


def person_of(case: Named) -> tuple[str, str]:
    """Center and public name by which cases of one person are known; equal for equal people."""
    return case.center, case.person or case.patient


def patients_of(cases: Iterable[Named]) -> set[tuple[str, str]]:
    """The distinct people, each within a center."""
    return {person_of(case) for case in cases}


def people_of(cases: Iterable[Told]) -> dict[tuple[str, str], Person]:
    """The patients by person_of, in the order of their first cases.

    Everybody is counted at the youngest age: a patient who comes again is older, and stays in the
    band that the first visit gave.
    """
    own: dict[tuple[str, str], list[Told]] = defaultdict(list)
    for case in cases:
        own[person_of(case)].append(case)
    return {who: _person(cases) for who, cases in own.items()}


def _person(cases: Iterable[Told]) -> Person:
    told = list(cases)
    sexes = Counter(case.sex for case in told if case.sex != "unknown")
    ages = [case.age_years for case in told if case.age_years is not None]
    sex = min(sexes, key=lambda each: (-sexes[each], each), default="unknown")
    return Person(sex, min(ages, default=None))
