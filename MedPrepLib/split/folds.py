"""Stratified cross-validation folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from MedPrepLib.split.groups import Group, by_rarest_class, shuffled


def deal(
    train: Sequence[Group], kept: Mapping[str, int], wanted: int, seed: int
) -> tuple[dict[str, int], int]:
    """The fold of every training group by name, and how many folds there are.

    Rarest class first (as in iterative stratification: Sechidis, Tsoumakas, Vlahavas, 2011): each
    group goes to the fold with fewest of its class, then fewest in all, in an order by lot. Those
    in ``kept`` stay where they are. Without any kept, and one class each, every class and the
    whole differ by at most one group between folds. There are never more folds than groups.
    """
    count = max(1, min(wanted, len(train)), *(fold + 1 for fold in kept.values()))
    folds = {group.name: kept[group.name] for group in train if group.name in kept}
    sizes = Counter(folds.values())
    shown: Counter[tuple[int, str]] = Counter(
        (folds[group.name], name) for group in train if group.name in kept for name in group.classes
    )
    new = [group for group in train if group.name not in kept]
    for name, own in by_rarest_class(new, train).items():
        for group in shuffled(own, seed, "folds"):
            fold = min(range(count), key=lambda f: (shown[f, name], sizes[f], f))
            folds[group.name] = fold
            sizes[fold] += 1
            shown.update((fold, each) for each in group.classes)
    return folds, count
