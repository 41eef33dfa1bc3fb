"""One series that holds several volumes: divided by what tells its slices apart.

First by orientation, where every set of equally oriented slices can be a volume. Then, only where
slices collide at positions, by the first attribute (or the fewest attributes together) whose
values each form a full set of the same positions without collisions. What cannot be divided
cleanly stays whole, and is rejected as one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np

from MedPrepLib.dicom.attributes import ATTRIBUTES, B_VALUE, Attribute, Called, sorted_values
from MedPrepLib.dicom.duplicates import by_position, content_of
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.dicom.mixed import orientation_sets
from MedPrepLib.dicom.stack import stack_of

MOST_TOGETHER = 3
"""Attributes that may be needed together, e.g. b-value, direction and repetition."""

AllKeys = dict[int, tuple[Hashable, ...]]
Keys = Mapping[int, Hashable]
"""The value that decides about a slice, by ``id`` of its header."""


class Part(NamedTuple):
    """Slices that may be one volume. ``suffix`` is empty when the series was not divided.

    ``by`` names what divided the series, ``value`` what it is in this part.
    """

    headers: tuple[SliceHeader, ...]
    suffix: str = ""
    by: str = ""
    value: str = ""


def divide(slices: Sequence[SliceHeader], min_slices: int) -> tuple[Part, ...]:
    """The volumes that a series holds, one part when it is one or cannot be divided.

    ``slices`` are single frames with position and orientation. A part has at least
    ``min_slices`` slices. Parts are sorted by orientation, then by value. Pixels are read only of
    slices at one position, and only until two of them differ: copies do not divide a series.
    Raises GeometryError for orientations that are none.
    """
    whole = Part(tuple(slices))
    least = max(min_slices, 2)
    sets = orientation_sets(slices)
    if len(sets) == 1:
        return _by_attribute(whole, least)
    if min(map(len, sets)) < least:
        return (whole,)
    return tuple(part for turned in _by_plane(sets) for part in _by_attribute(turned, least))


def summary(part: Part, parts: Sequence[Part]) -> str:
    """The sentence that says what the series holds and which part of it this is."""
    count = sum(len(p.headers) for p in parts)
    values = [p.value for p in parts]
    listed = ", ".join(values[:8]) + (", ..." if len(values) > 8 else "")
    return (
        f"the series of {count} slices holds {len(parts)} volumes by {part.by} ({listed}); this is "
        f"{part.suffix}, {part.by} {part.value}, with {len(part.headers)} slices"
    )


def _by_plane(sets: Sequence[Sequence[SliceHeader]]) -> list[Part]:
    """A part per orientation, called by the nearest plane of the body, numbered where needed."""
    turned = sorted((_plane(s[0]), s[0].orientation or (), tuple(s)) for s in sets)
    planes = [plane for plane, _, _ in turned]
    parts = []
    for number, (plane, _, members) in enumerate(turned):
        place = planes[: number + 1].count(plane)
        name = plane if planes.count(plane) == 1 else f"{plane}{place}"
        parts.append(Part(members, name, "orientation", name))
    return parts


def _plane(header: SliceHeader) -> str:
    directions = np.reshape(np.array(header.orientation), (2, 3))
    normal = np.abs(np.cross(directions[0], directions[1]))
    return ("sagittal", "coronal", "axial")[int(normal.argmax())]


def _by_attribute(part: Part, least: int) -> tuple[Part, ...]:
    """The parts that the first fitting attribute makes of slices that collide."""
    groups = by_position(stack_of(part.headers))
    crowds = [group for group in groups if len(group) > 1]
    if not crowds or len(groups) < least or not _really_differ(crowds):
        return (part,)
    places = {id(header): n for n, group in enumerate(groups) for header in group}
    for keys, calling, by in _ways(part.headers, groups):
        sets: dict[Hashable, list[SliceHeader]] = {}
        for header in part.headers:
            sets.setdefault(keys[id(header)], []).append(header)
        if _is_clean(list(sets.values()), places, len(groups)):
            return _called(part, sets, calling, by)
    return (part,)


def _called(
    part: Part,
    sets: Mapping[Hashable, Sequence[SliceHeader]],
    calling: Mapping[Hashable, Called],
    by: str,
) -> tuple[Part, ...]:
    suffixes = [called.suffix for called in calling.values()]
    distinct = len(set(suffixes)) == len(suffixes)  # values may look alike when rounded
    return tuple(
        Part(
            tuple(sets[key]),
            _joined("_", part.suffix, called.suffix, "" if distinct else str(number)),
            _joined(" and ", part.by, by),
            _joined(" ", part.value, called.said),
        )
        for number, (key, called) in enumerate(calling.items(), start=1)
    )


def _joined(separator: str, *words: str) -> str:
    return separator.join(word for word in words if word)


def _really_differ(crowds: Sequence[Sequence[SliceHeader]]) -> bool:
    """False when all slices at one position are copies of each other, whatever headers say."""
    for crowd in crowds:
        first = content_of(crowd[0])
        if any(content_of(header) != first for header in crowd[1:]):
            return True
    return False


def _is_clean(sets: Sequence[Sequence[SliceHeader]], places: Mapping[int, int], count: int) -> bool:
    """True when every set covers all positions, with copies at most at the same one."""
    if len(sets) < 2 or min(map(len, sets)) < count:
        return False
    if any(len({places[id(h)] for h in members}) < count for members in sets):
        return False
    uids = [{(h.sop_uid, h.frame) for h in members if h.sop_uid} for members in sets]
    if len(frozenset().union(*uids)) < sum(map(len, uids)):
        return False  # one UID with two contents is a conflict, not a sub-series
    return all(len(s) == count or _only_copies(s, places) for s in sets)


def _only_copies(members: Sequence[SliceHeader], places: Mapping[int, int]) -> bool:
    here: dict[int, set[Hashable]] = {}
    for header in members:
        here.setdefault(places[id(header)], set()).add(content_of(header))
    return all(len(contents) == 1 for contents in here.values())


def _ways(
    slices: Sequence[SliceHeader], groups: Sequence[Sequence[SliceHeader]]
) -> Iterator[tuple[Keys, dict[Hashable, Called], str]]:
    """Every way to divide, best first: (keys of the slices, names of the values, what it is)."""
    varying = [a for a in ATTRIBUTES if len({a.value_of(h) for h in slices}) > 1]
    most = len(slices) // len(groups)
    for count in range(1, MOST_TOGETHER + 1):
        for needed in combinations(varying, count):
            if 1 < len(set(_keys(slices, needed).values())) <= most:
                chosen, keys = _with_b_value(slices, needed)
                called = _names(chosen, list(keys.values()))
                yield keys, called, " and ".join(a.name for a in chosen)
    for by, prefix, width, keys_of in (
        ("order of TriggerTime (0018,1060)", "phase", 2, _ranks_by_trigger_time),
        ("order of InstanceNumber (0020,0013)", "t", 3, _blocks_of_instance_numbers),
    ):
        ranks = keys_of(groups)
        if ranks:
            values = sorted(set(ranks.values()))
            yield ranks, {v: Called(f"{prefix}{v:0{width}d}", f"{v}") for v in values}, by


def _keys(slices: Sequence[SliceHeader], chosen: Sequence[Attribute]) -> AllKeys:
    return {id(h): tuple(a.value_of(h) for a in chosen) for h in slices}


def _with_b_value(
    slices: Sequence[SliceHeader], chosen: tuple[Attribute, ...]
) -> tuple[tuple[Attribute, ...], AllKeys]:
    """The b-value in front where it changes no set: people look for it in a name."""
    keys = _keys(slices, chosen)
    if B_VALUE in chosen or len({h.b_value for h in slices}) == 1:
        return chosen, keys
    longer = (B_VALUE, *chosen)
    with_it = _keys(slices, longer)
    same = len(set(with_it.values())) == len(set(keys.values()))
    return (longer, with_it) if same else (chosen, keys)


def _names(
    chosen: Sequence[Attribute], keys: Sequence[tuple[Hashable, ...]]
) -> dict[Hashable, Called]:
    """What every combination of values is called, in the order of the values."""
    own: list[dict[Hashable, Called]] = []
    for place, attribute in enumerate(chosen):
        values = sorted_values(key[place] for key in keys)
        own.append(dict(zip(values, attribute.calling(values), strict=True)))
    ordered = sorted(
        set(keys), key=lambda key: [list(o).index(v) for o, v in zip(own, key, strict=True)]
    )
    named: dict[Hashable, Called] = {}
    for key in ordered:
        words = [o[v] for o, v in zip(own, key, strict=True)]
        # An absent value (no direction at b = 0) needs no word beside others.
        there = [w for w, v in zip(words, key, strict=True) if v is not None] or words
        named[key] = Called("_".join(w.suffix for w in there), " ".join(w.said for w in there))
    return named


def _ranks_by_trigger_time(groups: Sequence[Sequence[SliceHeader]]) -> dict[int, int]:
    """The phase of every slice: trigger times rise, but not by the same steps, at each position."""
    return _ranks(groups, lambda h: h.trigger_time_ms)


def _blocks_of_instance_numbers(groups: Sequence[Sequence[SliceHeader]]) -> dict[int, int]:
    """The n-th slice at every position, where these form blocks of instance numbers.

    A time series whose volumes no attribute counts is numbered volume by volume.
    """
    ranks = _ranks(groups, lambda h: h.instance_number)
    blocks: dict[int, list[int]] = {}
    for group in groups:
        for header in group if ranks else ():
            blocks.setdefault(ranks[id(header)], []).append(header.instance_number or 0)
    ordered = [blocks[n] for n in sorted(blocks)]
    return ranks if all(max(a) < min(b) for a, b in pairwise(ordered)) else {}


def _ranks(
    groups: Sequence[Sequence[SliceHeader]],
    value_of: Callable[[SliceHeader], float | None],
) -> dict[int, int]:
    """The place (from 1) of each slice among those at its position; empty when there is none."""
    ranks: dict[int, int] = {}
    for group in groups:
        values = [value for value in map(value_of, group) if value is not None]
        if len(values) < len(group) or len(set(values)) < len(values):
            return {}
        for rank, header in enumerate(sorted(group, key=lambda h: value_of(h) or 0.0), start=1):
            ranks[id(header)] = rank
    return ranks
