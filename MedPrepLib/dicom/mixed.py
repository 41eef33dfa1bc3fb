"""Slices of one series that cannot stand in one stack: other orientation, size or scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.dicom.stack import Stack, stack_of
from MedPrepLib.findings import Finding

Key = TypeVar("Key", bound=Hashable)
Pair = tuple[float, float]

ORIENTATION_TOLERANCE = 1e-3
"""Largest difference of a direction cosine between slices of one stack (0.06 degrees)."""

SPACING_TOLERANCE = 1e-4
"""Largest relative difference of PixelSpacing: 0.05 mm over 512 mm."""


class _RescaleValue(NamedTuple):
    """What turns stored values into those of the modality, and what its absence means."""

    name: str
    value_of: Callable[[SliceHeader], float | None]
    absent: float


_RESCALE = (
    _RescaleValue("RescaleIntercept (0028,1052)", lambda h: h.rescale_intercept, 0.0),
    _RescaleValue("RescaleSlope (0028,1053)", lambda h: h.rescale_slope, 1.0),
)


def mixed_findings(stack: Stack, item: str) -> list[Finding]:
    """Orientation, size, spacing and bit depth that differ between slices, a scale that some lack.

    Slices are numbered in stack order; where orientations differ, that order means nothing and
    the sets are counted instead.
    """
    findings = _orientation_findings(stack.headers, item)
    numbered = not findings
    sizes = _sets(stack.headers, lambda h: (h.columns, h.rows))
    if len(sizes) > 1:
        text = _odd_ones(sizes, lambda s: f"{s[0]} x {s[1]} pixels", numbered)
        findings.append(catalog.MIXED_SIZE.at(item, text))
    spacings = _spacing_sets(stack.headers)
    if len(spacings) > 1:
        text = _odd_ones(spacings, lambda s: f"{s[0]:.4g} x {s[1]:.4g} mm pixels", numbered)
        findings.append(catalog.MIXED_SIZE.at(item, text))
    depths = _sets(stack.headers, _depth_key)
    if len(depths) > 1:
        findings.append(catalog.MIXED_BIT_DEPTH.at(item, _odd_ones(depths, _depth, numbered)))
    findings += _rescale_findings(stack.headers, item, numbered=numbered)
    return findings


def _orientation_findings(headers: Sequence[SliceHeader], item: str) -> list[Finding]:
    sets = orientation_sets(headers)
    if len(sets) == 1:
        return []
    angle = max(_angle_deg(sets[0][0], other[0]) for other in sets[1:])
    counts = " + ".join(str(len(s)) for s in sets)
    # Numbers make sense along the normal of the largest set only.
    ordered = stack_of([header for members in sets for header in members]).headers
    odd = [ordered.index(header) + 1 for members in sets[1:] for header in members]
    if len(odd) == 1 and len(sets[0]) > 1:
        what = f"slice {odd[0]} of {len(headers)} is turned by {angle:.1f} degrees"
    else:
        what = (
            f"{len(headers)} slices in {len(sets)} orientations ({counts} slices), turned by up "
            f"to {angle:.1f} degrees"
        )
    return [catalog.MIXED_ORIENTATION.at(item, f"{what} against the others")]


def orientation_sets(headers: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """Slices by orientation, the largest set first; each needs ImageOrientationPatient."""
    sets: list[list[SliceHeader]] = []
    known: dict[tuple[float, ...], list[SliceHeader]] = {}
    for header in headers:
        mine = header.orientation or ()
        if mine not in known:
            known[mine] = _set_of(mine, sets)
        known[mine].append(header)
    return sorted(sets, key=len, reverse=True)


def _set_of(orientation: tuple[float, ...], sets: list[list[SliceHeader]]) -> list[SliceHeader]:
    """The set this orientation belongs to; a new one, appended to ``sets``, when there is none."""
    mine = np.array(orientation)
    for members in sets:
        if np.abs(mine - np.array(members[0].orientation)).max() <= ORIENTATION_TOLERANCE:
            return members
    sets.append([])
    return sets[-1]


def _angle_deg(one: SliceHeader, other: SliceHeader) -> float:
    """The angle of the rotation from one orientation to the other."""
    a, b = (np.array(h.orientation, dtype=float).reshape(2, 3) for h in (one, other))
    a, b = (np.vstack([m, np.cross(m[0], m[1])]) for m in (a, b))
    cosine = (float((a * b).sum()) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _spacing_sets(headers: Sequence[SliceHeader]) -> list[tuple[Pair, list[int]]]:
    """(PixelSpacing, slice numbers), the largest set first; those within the tolerance are one.

    Compared, never rounded: of two neighbors in the last digit a step of rounding would lie
    between, and part them.
    """
    sets: dict[Pair, list[int]] = {}
    for spacing, numbers in _sets(headers, lambda h: h.pixel_spacing or (0.0, 0.0)):
        usual = next((known for known in sets if _is_near(spacing, known)), spacing)
        sets[usual] = sorted([*sets.get(usual, ()), *numbers])
    return sorted(sets.items(), key=lambda s: -len(s[1]))


def _is_near(one: Pair, other: Pair) -> bool:
    return all(
        math.isclose(a, b, rel_tol=SPACING_TOLERANCE) for a, b in zip(one, other, strict=True)
    )


def _rescale_findings(
    headers: Sequence[SliceHeader], item: str, *, numbered: bool
) -> list[Finding]:
    """Slices without the rescale value that others have: a CT's are 1024 HU off their neighbors.

    Scales that differ are applied slice by slice. An absent one means slope 1 and intercept 0, so
    nothing is in doubt where that is what the other slices say.
    """
    doubtful = [r for r in _RESCALE if not {r.value_of(h) for h in headers} <= {None, r.absent}]

    def lacking(header: SliceHeader) -> tuple[str, ...]:
        return tuple(r.name for r in doubtful if r.value_of(header) is None)

    sets = _sets(headers, lacking)
    if len(sets) == 1:
        return []
    return [catalog.MIXED_RESCALE.at(item, _odd_ones(sets, _rescale, numbered))]


def _rescale(lacking: tuple[str, ...]) -> str:
    return " and ".join(f"no {name}" for name in lacking) or "slope and intercept"


def _depth_key(header: SliceHeader) -> tuple[int, int, int]:
    return (header.bits_allocated, header.bits_stored, header.pixel_representation)


def _depth(key: tuple[int, int, int]) -> str:
    sign = "signed" if key[2] else "unsigned"
    return f"{key[1]} of {key[0]} bits {sign}"


def _sets(
    headers: Sequence[SliceHeader], key_of: Callable[[SliceHeader], Key]
) -> list[tuple[Key, list[int]]]:
    """(key, slice numbers from 1), the largest set first."""
    sets: dict[Key, list[int]] = {}
    for number, header in enumerate(headers, start=1):
        sets.setdefault(key_of(header), []).append(number)
    return sorted(sets.items(), key=lambda s: -len(s[1]))


def _odd_ones(
    sets: Sequence[tuple[Key, list[int]]], describe: Callable[[Key], str], numbered: bool
) -> str:
    usual, odd = sets[0], sets[1]
    total = sum(len(numbers) for _, numbers in sets)
    name = f"slice {odd[1][0]} of {total}" if numbered else f"one of {total} slices"
    others = sum(len(numbers) for _, numbers in sets[1:])
    more = f" ({others} slices in all)" if others > 1 else ""
    return f"{name} has {describe(odd[0])}{more}, the usual is {describe(usual[0])}"
