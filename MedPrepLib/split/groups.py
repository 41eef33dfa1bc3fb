"""People who must stay together, and the order in which they are dealt."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from MedPrepLib.leakage import Evidence, tied
from MedPrepLib.split.members import Member

NEGATIVE = "negative"
"""The class of those who show nothing."""


@dataclass(frozen=True)
class Group:
    """People who must stay together, usually one patient. ``classes`` is never empty.

    ``patients``: their public names; ``people``: how many they are, for a person may have two.
    """

    name: str
    patients: frozenset[str]
    centers: frozenset[str]
    cases: tuple[str, ...]
    classes: frozenset[str]
    people: int


def groups_of(members: Sequence[Member], near: Iterable[Evidence]) -> list[Group]:
    """Connected components of cases that share a patient, a trace or a near-duplicate image."""
    root = {member.id: member.id for member in members}

    def find(case: str) -> str:
        while root[case] != case:
            root[case] = root[root[case]]
            case = root[case]
        return case

    for evidence in tied([member.subject for member in members], near):
        root[find(evidence.other)] = find(evidence.one)
    cases: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        cases[find(member.id)].append(member)
    return sorted((_group(own) for own in cases.values()), key=lambda g: g.name)


def _group(members: Sequence[Member]) -> Group:
    return Group(
        name=min(m.patient for m in members),
        patients=frozenset(m.patient for m in members),
        centers=frozenset(m.center for m in members),
        cases=tuple(m.id for m in members),
        classes=frozenset[str]().union(*(m.classes for m in members)) or frozenset((NEGATIVE,)),
        people=len({m.person or m.patient for m in members}),
    )


def people(groups: Iterable[Group]) -> int:
    """How many patients there are in some groups."""
    return sum(group.people for group in groups)


def class_counts(groups: Iterable[Group]) -> dict[str, int]:
    """Patients per class, in order of name; a tied group counts all its patients for each."""
    counts: dict[str, int] = defaultdict(int)
    for group in groups:
        for name in group.classes:
            counts[name] += group.people
    return dict(sorted(counts.items()))


def by_rarest_class(groups: Sequence[Group], everybody: Sequence[Group]) -> dict[str, list[Group]]:
    """Every group under the rarest of its classes (rarest among everybody), rarest class first."""
    counts = class_counts(everybody)
    ranked = sorted(counts, key=lambda name: (counts[name], name))
    strata: dict[str, list[Group]] = {name: [] for name in ranked}
    for group in groups:
        strata[min(group.classes, key=ranked.index)].append(group)
    return {name: own for name, own in strata.items() if own}


def shuffled(groups: Iterable[Group], seed: int, purpose: str) -> list[Group]:
    """The groups in an order by lot: each one's lot depends on seed, purpose and name alone."""
    return sorted(groups, key=lambda group: (_lot(seed, purpose, group.name), group.name))


def _lot(seed: int, purpose: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\x1f{purpose}\x1f{name}".encode()).digest()
