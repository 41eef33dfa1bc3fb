"""Which whole centers to hold out as an independent test set."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from MedPrepLib.errors import ConfigError
from MedPrepLib.split.groups import Group, class_counts, people

_UNKNOWN_CENTERS = frozenset(
    ("", "unknown", "unk", "n/a", "na", "none", "null", "nan", "not known", "?", "-", "--")
)
"""What stands, in any case, where the center is not known; it is no independent center."""

MAX_CENTERS_SEARCHED = 16
"""Up to here every combination of centers is weighed; beyond, centers are added one by one."""


def centers_of(groups: Iterable[Group]) -> list[str]:
    """All centers, sorted."""
    return sorted(frozenset[str]().union(*(group.centers for group in groups)))


def require_known(wanted: Sequence[str], groups: Sequence[Group]) -> None:
    """ConfigError when a center that is to be held out has no case."""
    centers = centers_of(groups)
    unknown = [center for center in wanted if center not in centers]
    if unknown:
        known = ", ".join(centers) or "none"
        problem = f"$.split.test_centers: {unknown[0]!r} has no included case; centers: {known}"
        raise ConfigError([problem])


def choose_centers(
    groups: Sequence[Group],
    free: Sequence[Group],
    wanted: tuple[float, float],
    prevalence: Mapping[str, float],
) -> frozenset[str]:
    """The centers to hold out: nearest to the prevalences, then fewest patients that suffice.

    ``free``: those who have no place yet; a center is eligible when all of its people are free.
    ``wanted``: the fewest and the most patients to be held out by this choice. Empty where no
    combination of whole centers fits.
    """
    placed = {group.name for group in groups} - {group.name for group in free}
    taken = {center for group in groups if group.name in placed for center in group.centers}
    eligible = [c for c in centers_of(free) if c not in taken and _is_known(c)]
    fitting = []
    for held in _choices(free, eligible):
        tested = _people_at(free, held)
        count = people(tested)
        if wanted[0] <= count <= wanted[1]:
            fitting.append((_distance(tested, count, prevalence), count, len(held), held))
    return frozenset(min(fitting)[3]) if fitting else frozenset()


def _is_known(center: str) -> bool:
    return center.strip().casefold() not in _UNKNOWN_CENTERS


def _choices(groups: Sequence[Group], centers: Sequence[str]) -> Iterable[tuple[str, ...]]:
    if len(centers) <= MAX_CENTERS_SEARCHED:
        for count in range(1, len(centers) + 1):
            yield from itertools.combinations(centers, count)
        return
    by_size = sorted(centers, key=lambda c: (people(_people_at(groups, (c,))), c))
    for count in range(1, len(centers) + 1):
        yield tuple(by_size[:count])


def _people_at(groups: Iterable[Group], centers: Iterable[str]) -> list[Group]:
    held = set(centers)
    return [group for group in groups if group.centers & held]


def _distance(tested: Sequence[Group], count: int, prevalence: Mapping[str, float]) -> float:
    """Sum of the distances to the wanted shares, in steps of one percent."""
    shown = class_counts(tested)
    return round(sum(abs(shown.get(c, 0) / count - p) for c, p in prevalence.items()), 2)
