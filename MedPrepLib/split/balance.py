"""Whether a split is what was wanted: checked on the result, not assumed of the way to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from MedPrepLib import catalog
from MedPrepLib.config.settings import Split
from MedPrepLib.findings import Finding
from MedPrepLib.split.frozen import Record
from MedPrepLib.split.groups import Group, class_counts, people
from MedPrepLib.split.members import Member, SplitPlan

_ITEM = "split"


def shortcomings(
    plan: SplitPlan,
    settings: Split,
    train: Sequence[Group],
    folds: Mapping[str, int],
    count: int,
) -> Iterator[Finding]:
    """Everything in which the split falls short of the settings."""
    if not plan.patients:
        return
    if len(train) < settings.folds:
        yield catalog.FEW_FOLDS.at(
            _ITEM,
            f"{len(train)} training patients (those tied together count once) make {count} of "
            f"{settings.folds} folds",
        )
    yield from _rare(train, count)
    yield from _uneven(train, folds, count)
    achieved = plan.test_patients / plan.patients
    if achieved + 1e-9 < settings.test_fraction:
        yield catalog.SPLIT_UNEVEN.at(
            _ITEM,
            f"the test set holds {achieved:.0%} of the patients, less than the wanted "
            f"{settings.test_fraction:.0%}",
        )
    yield from _off_prevalence(plan)


def mixing(plan: SplitPlan, train: Sequence[Group]) -> Iterator[Finding]:
    """Held-out centers of whom somebody trains, which no placement by the settings would do."""
    for center in plan.mixed_centers:
        there = [group for group in train if center in group.centers]
        cases = [case for group in there for case in group.cases]
        yield catalog.SPLIT_CENTER_TRAINS.at(
            _ITEM,
            f"{center} is held out, but {people(there)} patients who were there (or belong "
            f"together with one who was) train: cases {', '.join(cases[:4])}",
        )


def _rare(train: Sequence[Group], count: int) -> Iterator[Finding]:
    for name, patients in class_counts(train).items():
        if patients < count:
            yield catalog.RARE_CLASS.at(
                _ITEM,
                f"class {name!r} has fewer training patients ({patients}) than there are "
                f"folds ({count})",
            )


def _uneven(train: Sequence[Group], folds: Mapping[str, int], count: int) -> Iterator[Finding]:
    """Classes that a fold lacks or that differ by more than two groups between folds."""
    shown = Counter((folds[group.name], name) for group in train for name in group.classes)
    for name in sorted(class_counts(train)):
        sizes = [shown[fold, name] for fold in range(count)]
        lacking = sum(sizes) >= count and not min(sizes)
        if lacking or max(sizes) - min(sizes) > 2:
            yield catalog.SPLIT_UNEVEN.at(
                _ITEM,
                f"folds hold {min(sizes)} to {max(sizes)} patients with class {name!r} "
                "(those tied together count once)",
            )


def _off_prevalence(plan: SplitPlan) -> Iterator[Finding]:
    for name, shares in plan.prevalence.items():
        if abs(shares.test - shares.wanted) * plan.test_patients > 0.5 + 1e-9:
            yield catalog.PREVALENCE_UNMET.at(
                _ITEM,
                f"{shares.test:.1%} of the test patients show class {name!r}, not "
                f"{shares.wanted:.1%}",
            )


def redrawn(record: Record, plan: SplitPlan, members: Sequence[Member]) -> list[Finding]:
    """A note when other settings moved people between training and test."""
    now = {member.patient: plan.places[member.id].part for member in members}
    moved = sum(now[p] != place.part for p, place in record.places.items() if p in now)
    if not moved:
        return []
    return [
        catalog.SPLIT_REDRAWN.at(
            _ITEM, f"{moved} of {len(now)} patients changed between training and test"
        )
    ]
