"""Lesion by lesion: which components two raters both found, and which only one of them.

Two components are the same lesion when their intersection over union is above
``agree.lesion_iou``. The matching is one to one; as many lesions as possible find a partner and,
among such matchings, the sum of IoU is largest (Kuhn, Naval Res. Logist. 2:83, 1955). It is
symmetric: neither rater is the truth.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from MedPrepLib.agree.crops import Crop, crop, mask_crop, milliliters, shared_box
from MedPrepLib.agree.pairs import require_one_grid
from MedPrepLib.agree.runs import IntArray, Runs, owners, runs_of
from MedPrepLib.config.settings import Agree
from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import FloatArray, Geometry
from MedPrepLib.regions import Slices
from MedPrepLib.results import Lesion, LesionCount, LesionMatch, LesionPair, PairLesions
from MedPrepLib.segmentation import BoolArray, Segmentation


@dataclass(frozen=True, eq=False)
class _Contacts:
    """Components that share voxels: ``a`` and ``b`` (n,) number them, ``common`` counts voxels."""

    a: IntArray
    b: IntArray
    common: IntArray
    iou: FloatArray


def match_lesions(a: BoolArray, b: BoolArray, geometry: Geometry, settings: Agree) -> LesionMatch:
    """Match the 26-connected components of two masks (k, j, i) on one grid.

    ``a`` is the reference for "missed" and "extra" only. Raises GeometryError when a mask does
    not fit the grid.
    """
    for mask in (a, b):
        if mask.shape != geometry.shape:
            raise GeometryError(
                f"a mask of shape {mask.shape} does not fit a grid of {geometry.shape}"
            )
    return match_crops(mask_crop(a), mask_crop(b), geometry, settings)


def lesion_agreement(
    readings: Mapping[str, Segmentation], label: str, settings: Agree
) -> tuple[PairLesions, ...]:
    """Match the lesions of every pair of raters who annotated ``label``, in order of rater.

    Raises GeometryError when the readings lie on different grids.
    """
    require_one_grid(readings)
    raters = [r for r in sorted(readings) if readings[r].find(label) is not None]
    crops = {rater: crop(readings[rater], label) for rater in raters}
    return tuple(
        PairLesions(label, a, b, match_crops(crops[a], crops[b], readings[a].geometry, settings))
        for a, b in itertools.combinations(raters, 2)
    )


def counted(row: PairLesions) -> LesionCount:
    """How many lesions a pair has in common, without saying which."""
    match = row.match
    return LesionCount(
        label=row.label,
        rater_a=row.rater_a,
        rater_b=row.rater_b,
        matched=len(match.matched),
        missed=len(match.missed),
        extra=len(match.extra),
        f1=match.f1,
    )


def match_crops(a: Crop, b: Crop, geometry: Geometry, settings: Agree) -> LesionMatch:
    """As :func:`match_lesions`, for one label of two readings that is already cut out."""
    found = sorted(_assigned(_contacts(a, b), settings.lesion_iou))
    with_partner = {n for n, _, _ in found}, {n for _, n, _ in found}
    ours, theirs = _lesions(a, geometry), _lesions(b, geometry)
    return LesionMatch(
        tuple(_lesion_pair(ours[m], theirs[n], common) for m, n, common in found),
        tuple(lesion for n, lesion in enumerate(ours) if n not in with_partner[0]),
        tuple(lesion for n, lesion in enumerate(theirs) if n not in with_partner[1]),
    )


def _lesions(cut: Crop, geometry: Geometry) -> list[Lesion]:
    centers = cut.parts.centroids() + np.array(cut.corner)[[2, 1, 0]]
    return [
        Lesion(geometry.point_at(center), voxels, milliliters(voxels, geometry))
        for center, voxels in zip(centers.tolist(), cut.parts.voxels.tolist(), strict=True)
    ]


def _lesion_pair(a: Lesion, b: Lesion, common: int) -> LesionPair:
    both = a.voxels + b.voxels
    return LesionPair(a, b, common, 2 * common / both, common / (both - common))


def _contacts(first: Crop, second: Crop) -> _Contacts:
    shared = shared_box(first.where, second.where)
    runs = runs_of(first.part(shared) & second.part(shared))
    a, b = (_numbers(runs, shared, cut) for cut in (first, second))
    key, place = np.unique(a * second.parts.count + b, return_inverse=True)
    common = np.bincount(place, weights=runs.lengths, minlength=key.size).astype(np.int64)
    a, b = np.divmod(key, max(second.parts.count, 1))
    together = first.parts.voxels[a] + second.parts.voxels[b] - common
    return _Contacts(a, b, common, common / together)


def _numbers(shared: Runs, where: Slices, cut: Crop) -> IntArray:
    """Which component of a crop each run is in that lies in the box ``where`` and in the crop."""
    by = [here.start - there for here, there in zip(where, cut.corner, strict=True)]
    return cut.parts.number[owners(shared.moved(by, cut.runs.shape), cut.runs)]


def _assigned(contacts: _Contacts, limit: float) -> Iterator[tuple[int, int, int]]:
    """The matched components (a, b) and their common voxels."""
    for group in _groups(contacts, np.flatnonzero(contacts.iou > limit)):
        chosen = group if group.size == 1 else _best_of(contacts, group)
        for n in chosen.tolist():
            yield int(contacts.a[n]), int(contacts.b[n]), int(contacts.common[n])


def _best_of(contacts: _Contacts, group: IntArray) -> IntArray:
    """Which contacts of a group become matches."""
    from scipy.optimize import linear_sum_assignment

    a, row = np.unique(contacts.a[group], return_inverse=True)
    b, column = np.unique(contacts.b[group], return_inverse=True)
    weight = np.zeros((a.size, b.size))
    number = np.full((a.size, b.size), -1)
    # One more match outweighs any sum of IoU.
    weight[row, column] = contacts.iou[group] + min(weight.shape) + 1
    number[row, column] = group
    chosen: IntArray = number[linear_sum_assignment(weight, maximize=True)]
    return chosen[chosen >= 0]


def _groups(contacts: _Contacts, allowed: IntArray) -> list[IntArray]:
    """The allowed contacts, apart for lesions that have nothing to do with each other.

    Thousands of specks would make one matrix of all against all needlessly large.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not allowed.size:
        return []
    a, b = contacts.a[allowed], contacts.b[allowed]
    first = int(a.max()) + 1
    size = first + int(b.max()) + 1
    graph = coo_matrix((np.ones(a.size, np.int8), (a, first + b)), shape=(size, size))
    _, group = connected_components(graph, directed=False)
    order = np.argsort(group[a], kind="stable")
    _, starts = np.unique(group[a][order], return_index=True)
    return np.split(allowed[order], starts[1:])
