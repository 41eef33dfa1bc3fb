"""A stratified draw of test patients where no whole center can be held out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from MedPrepLib.split.groups import Group, by_rarest_class, class_counts, people, shuffled

MOST_OF_A_CLASS = 0.5
"""Part of a class's patients that a wanted prevalence may take from training, at most."""


def draw(
    groups: Sequence[Group],
    free: Sequence[Group],
    test: Sequence[Group],
    fraction: float,
    prevalence: Mapping[str, float],
    seed: int,
) -> list[Group]:
    """Who is added to ``test`` so that it holds at least ``fraction`` of all patients.

    Class by class in proportion to the whole cohort, what is there already counted in; where a
    class cannot give enough, others do. ``free`` are those who may be drawn.
    """
    if len(groups) < 2:
        return []
    needed = math.ceil(fraction * people(groups) - 1e-9)
    chosen = _in_proportion(groups, free, test, fraction, needed, seed)
    return _toward(prevalence, chosen, free, test, groups, seed) if prevalence else chosen


def _in_proportion(
    groups: Sequence[Group],
    free: Sequence[Group],
    test: Sequence[Group],
    fraction: float,
    needed: int,
    seed: int,
) -> list[Group]:
    whole, there = by_rarest_class(groups, groups), by_rarest_class(test, groups)
    lots = {
        name: shuffled(own, seed, "test") for name, own in by_rarest_class(free, groups).items()
    }
    missing = {name: fraction * people(whole[name]) - people(there.get(name, ())) for name in lots}
    chosen: list[Group] = []
    while people(test) + people(chosen) < needed and any(lots.values()):
        name = max((n for n in lots if lots[n]), key=lambda n: (missing[n], n))
        chosen.append(lots[name].pop(0))
        missing[name] -= chosen[-1].people
    return chosen


def _toward(
    prevalence: Mapping[str, float],
    chosen: list[Group],
    free: Sequence[Group],
    test: Sequence[Group],
    groups: Sequence[Group],
    seed: int,
) -> list[Group]:
    """Exchange chosen people for others of other classes while that brings the shares nearer."""
    drawn = {group.name for group in chosen}
    inside = _by_classes(chosen)
    outside = _by_classes(shuffled((g for g in free if g.name not in drawn), seed, "test"))
    most = {name: MOST_OF_A_CLASS * count for name, count in class_counts(groups).items()}
    for _ in range(len(free)):
        present = [*test, *(group for own in inside.values() for group in own)]
        best, exchange = _distance(present, prevalence), None
        for out in sorted(inside, key=sorted):
            for into in sorted(outside, key=sorted):
                if not inside[out] or not outside[into] or out == into:
                    continue
                leaves, comes = inside[out][-1], outside[into][0]
                after = [*(g for g in present if g is not leaves), comes]
                distance = _distance(after, prevalence)
                counts = class_counts(after)
                fair = all(counts[c] <= most[c] for c in into - out)
                if distance < best - 1e-9 and fair:
                    best, exchange = distance, (out, into)
        if exchange is None:
            break
        out, into = exchange
        leaves, comes = inside[out].pop(), outside[into].pop(0)
        inside[into].append(comes)
        outside[out].insert(0, leaves)
    return [group for own in inside.values() for group in own]


def _by_classes(groups: Iterable[Group]) -> dict[frozenset[str], list[Group]]:
    found: dict[frozenset[str], list[Group]] = defaultdict(list)
    for group in groups:
        found[group.classes].append(group)
    return found


def _distance(tested: Sequence[Group], prevalence: Mapping[str, float]) -> float:
    """How many patients, summed over classes, the test set is away from the wanted shares."""
    shown, count = class_counts(tested), people(tested)
    return sum(abs(shown.get(name, 0) - share * count) for name, share in prevalence.items())
