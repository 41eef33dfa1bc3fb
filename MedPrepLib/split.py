"""Who trains and who tests: whole patients, whole centers, nobody on both sides.

Whole centers are held out as an independent test set until they make up the wanted part of the
patients; with a single center, patients are drawn instead, stratified by what they show. The
rest is dealt into stratified cross-validation folds. People whose images are identical
(suspected leaks) count as one.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from MedPrepLib import catalog
from MedPrepLib.config.settings import Split
from MedPrepLib.errors import ConfigError, MedPrepError
from MedPrepLib.findings import Finding

Part = Literal["train", "test"]
UNKNOWN_CENTERS = frozenset(("", "unknown"))
"""What stands where the center is not known; such cases are no independent center."""

MAX_CENTERS_SEARCHED = 16
"""Up to here every combination of centers is weighed; beyond, centers are added one by one."""


class Member(msgspec.Struct, frozen=True):
    """What the split needs to know of one included case."""

    id: str
    patient: str
    center: str
    classes: frozenset[str]
    """Labels present in the case's target; empty for a negative case."""
    pixel_hash: str = ""
    links: tuple[str, ...] = ()
    """Hashed UIDs (study, frame of reference): equal ones tie patients together."""


class Place(msgspec.Struct, frozen=True):
    """Where one case went. Training cases carry the fold in which they validate."""

    part: Part
    fold: int | None


class SplitPlan(msgspec.Struct, frozen=True):
    """The split of a cohort, and what was achieved of what was wanted."""

    places: dict[str, Place]
    test_centers: tuple[str, ...]
    patients: int
    test_patients: int
    cases: int
    test_cases: int
    wanted_fraction: float
    sentence: str


@dataclass(frozen=True)
class _Group:
    """People who must stay together, usually one patient."""

    name: str
    patients: frozenset[str]
    centers: frozenset[str]
    cases: tuple[str, ...]
    stratum: str


def split(
    members: Sequence[Member], settings: Split, seed: int
) -> tuple[SplitPlan, tuple[Finding, ...]]:
    """Place every case, and say what could not be met.

    The unit of ``settings.test_fraction`` is patients. The result depends on the members, the
    settings and the seed only, not on their order. The plan has been audited: a patient or an
    image on both sides raises MedPrepError instead of returning.
    """
    ordered = sorted(members, key=lambda m: m.id)
    groups = _groups(ordered)
    held_out = _test_centers(groups, settings)
    if held_out:
        test = {g.name for g in groups if g.centers & held_out}
    else:
        test = _drawn_test(groups, settings, seed)
    train = [g for g in groups if g.name not in test]
    folds, rare = _folds(train, settings.folds, seed)
    places = {
        case: Place("test", None) if g.name in test else Place("train", folds[g.name])
        for g in groups
        for case in g.cases
    }
    plan = _plan(groups, test, places, tuple(sorted(held_out)), settings)
    audit(ordered, plan.places)
    return plan, (*rare, *_unmet(plan, settings))


def leaks(members: Iterable[Member]) -> tuple[Finding, ...]:
    """Cases whose image occurs, voxel for voxel, under another patient as well."""
    by_image: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        if member.pixel_hash:
            by_image[member.pixel_hash].append(member)
    findings = []
    for same in by_image.values():
        if len({m.patient for m in same}) > 1:
            for member in same:
                others = ", ".join(m.id for m in same if m.id != member.id)
                findings.append(
                    catalog.LEAK_SUSPECT.at(
                        member.id, f"every voxel equals that of {others}, another patient"
                    )
                )
    return tuple(findings)


def audit(members: Iterable[Member], places: Mapping[str, Place]) -> None:
    """Prove that no patient, image or linked study is on both sides, or in two folds.

    Raises MedPrepError naming the two cases, or when a case has no place.
    """
    seen: dict[str, tuple[str, Place]] = {}
    for member in members:
        place = places.get(member.id)
        if place is None:
            raise MedPrepError(f"the split forgot case {member.id}")
        for key in _ties(member):
            other, where = seen.setdefault(key, (member.id, place))
            if where != place:
                raise MedPrepError(
                    f"leak: cases {other} and {member.id} share {key.partition(':')[0]} but are "
                    f"in {where.part}/{where.fold} and {place.part}/{place.fold}"
                )


def _ties(member: Member) -> tuple[str, ...]:
    image = (f"image:{member.pixel_hash}",) if member.pixel_hash else ()
    links = tuple(f"link:{link}" for link in member.links)
    return (f"patient:{member.patient}", *image, *links)


def _groups(members: Sequence[Member]) -> list[_Group]:
    """Connected components of cases that share a patient, an image or a linked study."""
    root: dict[str, str] = {}

    def find(key: str) -> str:
        while root.setdefault(key, key) != key:
            root[key] = root[root[key]]
            key = root[key]
        return key

    for member in members:
        first, *others = _ties(member)
        for key in others:
            root[find(key)] = find(first)
    cases: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        cases[find(f"patient:{member.patient}")].append(member)
    groups = [_group(own) for own in cases.values()]
    return sorted(groups, key=lambda g: g.name)


def _group(members: Sequence[Member]) -> _Group:
    classes = sorted(set().union(*(m.classes for m in members)))
    return _Group(
        name=min(m.patient for m in members),
        patients=frozenset(m.patient for m in members),
        centers=frozenset(m.center for m in members),
        cases=tuple(m.id for m in members),
        stratum="+".join(classes) or "negative",
    )


def _test_centers(groups: Sequence[_Group], settings: Split) -> frozenset[str]:
    """The centers to hold out: fewest patients that still reach the wanted fraction."""
    centers = sorted(set().union(*(g.centers for g in groups))) if groups else []
    if settings.test_centers:
        unknown = [c for c in settings.test_centers if c not in centers]
        if unknown:
            known = ", ".join(centers) or "none"
            problem = f"$.split.test_centers: {unknown[0]!r} has no included case; centers: {known}"
            raise ConfigError([problem])
        return frozenset(settings.test_centers)
    if settings.test_fraction == 0 or len(centers) < 2:
        return frozenset()
    eligible = [center for center in centers if center not in UNKNOWN_CENTERS]
    total = sum(len(g.patients) for g in groups)
    needed = settings.test_fraction * total
    candidates = ((held, _patients_of(groups, held)) for held in _center_choices(groups, eligible))
    # More than half of the patients for the test would starve the training.
    fitting = [(n, len(held), held) for held, n in candidates if needed <= n <= total / 2]
    return frozenset(min(fitting)[2]) if fitting else frozenset()


def _center_choices(groups: Sequence[_Group], centers: Sequence[str]) -> Iterable[tuple[str, ...]]:
    if len(centers) <= MAX_CENTERS_SEARCHED:
        for count in range(1, len(centers) + 1):
            yield from itertools.combinations(centers, count)
        return
    by_size = sorted(centers, key=lambda c: (_patients_of(groups, (c,)), c))
    for count in range(1, len(centers) + 1):
        yield tuple(by_size[:count])


def _patients_of(groups: Sequence[_Group], centers: Iterable[str]) -> int:
    held = set(centers)
    return sum(len(g.patients) for g in groups if g.centers & held)


def _drawn_test(groups: Sequence[_Group], settings: Split, seed: int) -> set[str]:
    """A stratified draw of patients, stratum by stratum, largest remainders first."""
    if settings.test_fraction == 0 or len(groups) < 2:
        return set()
    strata: dict[str, list[_Group]] = defaultdict(list)
    for group in groups:
        strata[group.stratum].append(group)
    wanted = int(np.ceil(settings.test_fraction * len(groups) - 1e-9))
    exact = {s: settings.test_fraction * len(own) for s, own in strata.items()}
    counts = {s: int(x) for s, x in exact.items()}
    for stratum in sorted(exact, key=lambda s: (counts[s] - exact[s], s)):
        if sum(counts.values()) < wanted:
            counts[stratum] += 1
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    chosen: set[str] = set()
    for stratum in sorted(strata):
        names = [g.name for g in strata[stratum]]
        chosen.update(generator.permutation(names)[: counts[stratum]].tolist())
    return chosen


def _folds(train: Sequence[_Group], wanted: int, seed: int) -> tuple[dict[str, int], list[Finding]]:
    """Stratified folds: each class is shuffled and dealt round, beginning where the last ended.

    Every class and the whole differ by at most one group between folds.
    """
    count = max(1, min(wanted, len(train)))
    strata: dict[str, list[str]] = defaultdict(list)
    for group in train:
        strata[group.stratum].append(group.name)
    rare = [
        catalog.RARE_CLASS.at(
            "split",
            f"class {stratum!r} has fewer training patients ({len(names)}) than there are "
            f"folds ({count})",
        )
        for stratum, names in sorted(strata.items())
        if len(names) < count
    ]
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,)))
    dealt = [name for s in sorted(strata) for name in generator.permutation(strata[s]).tolist()]
    return {name: turn % count for turn, name in enumerate(dealt)}, rare


def _plan(
    groups: Sequence[_Group],
    test: set[str],
    places: dict[str, Place],
    held_out: tuple[str, ...],
    settings: Split,
) -> SplitPlan:
    patients = sum(len(g.patients) for g in groups)
    tested = [g for g in groups if g.name in test]
    test_patients = sum(len(g.patients) for g in tested)
    test_cases = sum(len(g.cases) for g in tested)
    share = f"{test_patients} of {patients} patients"
    if held_out:
        how = f"test: {share}, all of {' and '.join(held_out)}, who never train"
    elif tested:
        how = f"test: {share}, drawn at random within each class"
    else:
        how = "no test set"
    return SplitPlan(
        places=dict(sorted(places.items())),
        test_centers=held_out,
        patients=patients,
        test_patients=test_patients,
        cases=len(places),
        test_cases=test_cases,
        wanted_fraction=settings.test_fraction,
        sentence=how,
    )


def _unmet(plan: SplitPlan, settings: Split) -> list[Finding]:
    if not plan.patients:
        return []
    achieved = plan.test_patients / plan.patients
    if achieved + 1e-9 >= settings.test_fraction:
        return []
    return [
        catalog.SPLIT_UNEVEN.at(
            "split",
            f"the test set holds {achieved:.0%} of the patients, less than the wanted "
            f"{settings.test_fraction:.0%}",
        )
    ]
