"""A rater's mask that is displaced against the others: found by trying whole-voxel shifts.

A displaced mask (a transform that was not hardened, an image that was exported again) has a low
Dice that a shift repairs, while a true disagreement stays one.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from MedPrepLib.agree.crops import Crop, crop
from MedPrepLib.catalog import MASK_SHIFTED
from MedPrepLib.config.settings import Agree
from MedPrepLib.findings import Finding
from MedPrepLib.geometry import Geometry, Index
from MedPrepLib.results import Agreement, PairAgreement
from MedPrepLib.segmentation import Segmentation

REPAIRED_DICE = 0.9
"""Dice that a shift must reach to be reported: raters who drew the same structure."""
LONGEST_SHIFT = 10
"""Voxels per axis; more is another place, not a displaced mask."""
ENOUGH_RUNS = 2000
"""Rows of a mask that show well enough which way to climb."""
SMALLEST_MASK = 8
"""Voxels; smaller masks fit each other anywhere."""


@dataclass(frozen=True, slots=True)
class _Shifted:
    """Moving the mask of ``pair.rater_b`` by ``shift`` (k, j, i) voxels gives ``dice``."""

    pair: PairAgreement
    shift: Index
    dice: float


def find_shifts(
    readings: Mapping[str, Segmentation], agreement: Agreement, settings: Agree, item: str
) -> tuple[Finding, ...]:
    """MASK_SHIFTED where a shift of at most LONGEST_SHIFT voxels lifts a flagged pair to 0.9.

    Only pairs below ``settings.threshold`` are tried. With several raters the one who is
    displaced against most others is named, once per label.
    """
    found: list[Finding] = []
    for label in dict.fromkeys(pair.label for pair in agreement.pairs):
        flagged = [p for p in agreement.pairs if p.label == label and _worth_trying(p, settings)]
        crops = {
            rater: crop(readings[rater], label)
            for rater in sorted({r for p in flagged for r in (p.rater_a, p.rater_b)})
        }
        tried = [_repair(pair, crops) for pair in flagged]
        repaired = [s for s in tried if s.dice >= REPAIRED_DICE and any(s.shift)]
        if repaired:
            geometry = readings[repaired[0].pair.rater_a].geometry
            found += [
                MASK_SHIFTED.at(item, text) for text in _sentences(repaired, settings, geometry)
            ]
    return tuple(found)


def _worth_trying(pair: PairAgreement, settings: Agree) -> bool:
    small, large = sorted((pair.voxels_a, pair.voxels_b))
    if pair.dice is None or pair.dice >= min(settings.threshold, REPAIRED_DICE):
        return False
    return small >= SMALLEST_MASK and 2 * small / (small + large) >= REPAIRED_DICE


def _repair(pair: PairAgreement, crops: Mapping[str, Crop]) -> _Shifted:
    return _Shifted(pair, *best_shift(crops[pair.rater_a], crops[pair.rater_b], LONGEST_SHIFT))


def best_shift(fixed: Crop, moving: Crop, longest: float) -> tuple[Index, float]:
    """The shift of ``moving``, (k, j, i) voxels, with the largest overlap, and the Dice it gives.

    Climbs from the distance of the centroids, first on a part of the rows, then on all of them;
    0.0 if that distance is more than ``longest`` voxels along an axis. Neither crop may be empty.
    """
    start = _index(round(a - b) for a, b in zip(fixed.centroid, moving.centroid, strict=True))
    if max(abs(s) for s in start) > longest:
        return start, 0.0
    some = moving.runs.every(-(-moving.runs.start.size // ENOUGH_RUNS))
    start, _ = _climb(partial(fixed.common_after, moving, some), start, longest)
    best, most = _climb(partial(fixed.common_after, moving, moving.runs), start, longest)
    return best, 2 * most / (fixed.count + moving.count)


def _climb(common: Callable[[Index], int], start: Index, longest: float) -> tuple[Index, int]:
    """The shift near ``start`` that none of its neighbors beats, and what it has in common."""
    known = {start: common(start)}
    best = start
    while True:
        for step in _STEPS:
            shift = _index(a + b for a, b in zip(best, step, strict=True))
            if shift not in known and max(map(abs, shift)) <= longest:
                known[shift] = common(shift)
        candidate = max(known, key=lambda s: known[s])
        if known[candidate] <= known[best]:
            return best, known[best]
        best = candidate


_STEPS = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]


def _sentences(repaired: Sequence[_Shifted], settings: Agree, geometry: Geometry) -> list[str]:
    """One sentence per displaced rater, the one in most pairs first."""
    left, texts = list(repaired), []
    while left:
        times = Counter(r for s in left for r in (s.pair.rater_b, s.pair.rater_a))
        moved = max(times, key=lambda r: times[r])
        theirs = [s for s in left if moved in (s.pair.rater_a, s.pair.rater_b)]
        texts.append(_sentence(moved, max(theirs, key=lambda s: s.dice), settings, geometry))
        left = [s for s in left if s not in theirs]
    return texts


def _sentence(moved: str, best: _Shifted, settings: Agree, geometry: Geometry) -> str:
    sign = 1 if moved == best.pair.rater_b else -1
    other = best.pair.rater_a if sign == 1 else best.pair.rater_b
    k, j, i = (sign * s for s in best.shift)
    length = float(np.linalg.norm(geometry.affine[:3, :3] @ (i, j, k)))
    return (
        f"label {best.pair.label!r}: moving the mask of {moved} by ({i}, {j}, {k}) voxels "
        f"(i, j, k), {length:.3g} mm, raises its Dice with {other} from {best.pair.dice:.3f} "
        f"(threshold {settings.threshold:g}) to {best.dice:.3f}."
    )


def _index(values: Iterable[float]) -> Index:
    k, j, i = (int(v) for v in values)
    return (k, j, i)
