"""Which groups have a place already: by hand, or since an earlier split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from MedPrepLib import catalog
from MedPrepLib.errors import ConfigError
from MedPrepLib.findings import Finding
from MedPrepLib.split.groups import Group
from MedPrepLib.split.members import Place


def pinned(
    groups: Sequence[Group], kept: Mapping[str, Place], fixed: Mapping[str, Place]
) -> tuple[dict[str, Place], list[Finding]]:
    """The places of groups that have one, by name. A fold of None is still to be dealt.

    What a person fixed wins over what was kept. Where evidence now ties people who were placed
    apart, training wins: an image that training has seen is no test of it any more. Raises
    ConfigError when people tied together were fixed in different places.
    """
    places: dict[str, Place] = {}
    findings: list[Finding] = []
    for group in groups:
        by_hand = {fixed[p] for p in sorted(group.patients) if p in fixed}
        before = [kept[p] for p in sorted(group.patients) if p in kept]
        if len(by_hand) > 1:
            cases = ", ".join(group.cases[:4])
            raise ConfigError([f"$.split.fixed: cases {cases} must stay together, and are not"])
        if by_hand:
            places[group.name] = _with_fold(by_hand.pop(), before)
        elif before:
            places[group.name] = min(before, key=lambda p: (p.part != "train", before.index(p)))
            if len(set(before)) > 1:
                findings.append(_joined(group, places[group.name]))
    return places, findings


def _with_fold(place: Place, before: Sequence[Place]) -> Place:
    if place.part == "test" or place.fold is not None:
        return place
    return next((p for p in before if p.part == "train"), place)


def _joined(group: Group, place: Place) -> Finding:
    return catalog.SPLIT_MOVED.at(
        "split",
        f"{len(group.patients)} patients (cases {', '.join(group.cases[:4])}) turned out to belong "
        f"together and are now all in {place.name}",
    )
