"""A rater's mask that is displaced against the others: found by trying whole-voxel shifts.

A displaced mask (a transform that was not hardened, an image that was exported again) has a low
Dice that a shift repairs, while a true disagreement stays one.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from MedPrepLib.catalog import MASK_SHIFTED
from MedPrepLib.config.settings import Agree
from MedPrepLib.findings import Finding
from MedPrepLib.geometry import Geometry, Index
from MedPrepLib.regions import extent
from MedPrepLib.results import Agreement, PairAgreement
from MedPrepLib.segmentation import BoolArray, Segmentation

REPAIRED_DICE = 0.9
"""Dice that a shift must reach to be reported: raters who drew the same structure."""
LONGEST_SHIFT = 10
"""Voxels per axis; more is another place, not a displaced mask."""
SMALLEST_MASK = 8
"""Voxels; smaller masks fit each other anywhere."""


@dataclass(frozen=True, eq=False)
class _Crop:
    """The box of one mask: its voxels, the (k, j, i) of its first corner, its centroid."""

    voxels: BoolArray
    corner: tuple[int, int, int]
    centroid: tuple[float, float, float]


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
            rater: _crop(readings[rater].mask(label))
            for rater in sorted({r for p in flagged for r in (p.rater_a, p.rater_b)})
        }
        tried = [_best_shift(p, crops[p.rater_a], crops[p.rater_b]) for p in flagged]
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


def _crop(mask: BoolArray) -> _Crop:
    where = extent(mask.view(np.uint8))
    voxels = mask[where]
    k, j, i = (s.start for s in where)
    centers = [
        float(np.average(np.arange(n), weights=voxels.sum(axis=_others(axis))))
        for axis, n in enumerate(voxels.shape)
    ]
    return _Crop(voxels, (k, j, i), (k + centers[0], j + centers[1], i + centers[2]))


def _others(axis: int) -> tuple[int, ...]:
    return tuple(a for a in range(3) if a != axis)


def _best_shift(pair: PairAgreement, fixed: _Crop, moving: _Crop) -> _Shifted:
    """Climb from the distance of the centroids to the shift with the largest overlap."""
    center = _index(round(a - b) for a, b in zip(fixed.centroid, moving.centroid, strict=True))
    if max(abs(s) for s in center) > LONGEST_SHIFT:
        return _Shifted(pair, center, 0.0)
    best, most = center, _common(fixed, moving, center)
    while True:
        around = [_index(a + b for a, b in zip(best, s, strict=True)) for s in _STEPS]
        around = [s for s in around if max(map(abs, s)) <= LONGEST_SHIFT]
        counts = {s: _common(fixed, moving, s) for s in around}
        candidate = max(counts, key=lambda s: counts[s])
        if counts[candidate] <= most:
            break
        best, most = candidate, counts[candidate]
    return _Shifted(pair, best, 2 * most / (pair.voxels_a + pair.voxels_b))


_STEPS = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]


def _common(fixed: _Crop, moving: _Crop, shift: Index) -> int:
    """Voxels that ``fixed`` shares with ``moving`` after it was moved by ``shift``."""
    ours, theirs = [], []
    corners = zip(fixed.corner, moving.corner, shift, strict=True)
    sizes = zip(fixed.voxels.shape, moving.voxels.shape, strict=True)
    for (a, b, s), (n, m) in zip(corners, sizes, strict=True):
        offset = b + s - a
        start, stop = max(0, offset), min(n, offset + m)
        if start >= stop:
            return 0
        ours.append(slice(start, stop))
        theirs.append(slice(start - offset, stop - offset))
    return int(np.count_nonzero(fixed.voxels[tuple(ours)] & moving.voxels[tuple(theirs)]))


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
