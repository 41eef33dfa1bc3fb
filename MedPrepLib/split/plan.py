"""The split of a cohort: what has a place keeps it, whole centers test, the rest is dealt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from MedPrepLib.config.settings import Split
from MedPrepLib.findings import Finding
from MedPrepLib.leakage import Evidence
from MedPrepLib.results import Prevalence
from MedPrepLib.split.balance import mixing, redrawn, shortcomings
from MedPrepLib.split.centers import centers_of, choose_centers, require_known
from MedPrepLib.split.draw import draw
from MedPrepLib.split.folds import deal
from MedPrepLib.split.frozen import Record, settings_digest
from MedPrepLib.split.groups import Group, class_counts, groups_of, people
from MedPrepLib.split.members import Member, Place, SplitPlan
from MedPrepLib.split.pins import pinned
from MedPrepLib.split.proof import audit


class _Tested(NamedTuple):
    groups: list[Group]
    centers: frozenset[str]


def split(
    members: Sequence[Member],
    settings: Split,
    seed: int,
    *,
    near: Sequence[Evidence] = (),
    record: Record | None = None,
    fixed: Mapping[str, Place] | None = None,
) -> tuple[SplitPlan, tuple[Finding, ...]]:
    """Place every case, and say what could not be met.

    The unit of ``settings.test_fraction`` is patients. The result depends on the arguments only,
    not on the order of members. ``near``: near-duplicates (proof.near_copies). ``record``: where
    patients were placed before; under the same settings they stay. ``fixed``: patient to place,
    as a person wants it. The plan has been audited: a tie across two sets raises MedPrepError
    instead of returning.
    """
    ordered = sorted(members, key=lambda m: m.id)
    groups = groups_of(ordered, near)
    same = record is not None and record.settings == settings_digest(settings, seed)
    kept = record if record is not None and same else Record("")
    pins, findings = pinned(groups, kept.places, fixed or {})
    tested = _tested(groups, pins, kept, settings, seed)
    test = {group.name for group in tested.groups}
    train = [group for group in groups if group.name not in test]
    stay = {n: p.fold for n, p in pins.items() if p.fold is not None and n not in test}
    folds, count = deal(train, stay, settings.folds, seed)
    places = {
        case: Place("test", None) if g.name in test else Place("train", folds[g.name])
        for g in groups
        for case in g.cases
    }
    mixed = {c for g in train for c in g.centers} & tested.centers
    chosen = {p for p, place in (fixed or {}).items() if place.part == "test"}
    plan = SplitPlan(
        places=dict(sorted(places.items())),
        test_centers=tuple(sorted(tested.centers - mixed)),
        mixed_centers=tuple(sorted(mixed)),
        by_hand=bool(tested.groups) and all(g.patients & chosen for g in tested.groups),
        patients=people(groups),
        test_patients=people(tested.groups),
        cases=len(places),
        test_cases=sum(len(g.cases) for g in tested.groups),
        wanted_fraction=settings.test_fraction,
        prevalence=_prevalence(settings, tested.groups, train),
        proof=audit(ordered, places, near),
    )
    findings += [*mixing(plan, train), *shortcomings(plan, settings, train, folds, count)]
    if record is not None and not same:
        findings += redrawn(record, plan, ordered)
    return plan, tuple(findings)


def _tested(
    groups: Sequence[Group],
    pins: Mapping[str, Place],
    kept: Record,
    settings: Split,
    seed: int,
) -> _Tested:
    """Who tests: those who did, all of the held-out centers, and more where these are too few."""
    require_known(settings.test_centers, groups)
    held = frozenset(settings.test_centers or kept.centers)
    test = [
        g
        for g in groups
        if (pins[g.name].part == "test" if g.name in pins else bool(g.centers & held))
    ]
    total = people(groups)
    missing = math.ceil(settings.test_fraction * total - 1e-9) - people(test)
    if settings.test_centers or missing <= 0:
        return _Tested(test, held)
    names = {group.name for group in test}
    free = [g for g in groups if g.name not in names and g.name not in pins]
    drawn_before = not held and any(place.part == "test" for place in kept.places.values())
    if len(centers_of(groups)) > 1 and not drawn_before:
        # More than half of the patients for the test would starve the training.
        room = (float(missing), total / 2 - people(test))
        more = choose_centers(groups, free, room, settings.prevalence)
        if more:
            return _Tested([*test, *(g for g in free if g.centers & more)], held | more)
    if held:
        return _Tested(test, held)
    more_people = draw(groups, free, test, settings.test_fraction, settings.prevalence, seed)
    return _Tested([*test, *more_people], held)


def _prevalence(
    settings: Split, test: Sequence[Group], train: Sequence[Group]
) -> dict[str, Prevalence]:
    def share(name: str, part: Sequence[Group]) -> float:
        return class_counts(part).get(name, 0) / people(part) if part else 0.0

    return {
        name: Prevalence(wanted, share(name, test), share(name, train))
        for name, wanted in sorted(settings.prevalence.items())
    }
