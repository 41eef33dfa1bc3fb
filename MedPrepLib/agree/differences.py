"""The places where raters differ, the ones worth a look first: missed lesions, parts, borders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np

from MedPrepLib.agree.crops import common_box, crop, milliliters, placed
from MedPrepLib.agree.morphology import opened
from MedPrepLib.agree.pairs import require_one_grid
from MedPrepLib.agree.runs import Parts, connected, owners, runs_of
from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import Geometry, Index, Triple
from MedPrepLib.regions import Slices
from MedPrepLib.results import Difference
from MedPrepLib.segmentation import BoolArray, Segmentation

BORDER_VOXELS = 2
"""What is nowhere as thick as this many voxels of the finest spacing, along every axis, is a border
sliver; one thick slice of 5 mm between pixels of 0.7 mm is more than that."""

_ROUNDING = 1e-6

Kind = Literal["missed lesion", "part", "border"]


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One label as several raters drew it: ``masks`` in the box that begins at (i, j, k)."""

    label: str
    geometry: Geometry
    raters: tuple[str, ...]
    masks: tuple[BoolArray, ...]
    corner: Index


def differing_components(
    readings: Mapping[str, Segmentation], label: str | None = None
) -> tuple[Difference, ...]:
    """Every place where raters who annotated a label differ on it; borders last, largest first.

    A structure is a 26-connected component of what anybody drew. One in which some rater drew
    nothing is a "missed lesion" as a whole. In the others, what is at least BORDER_VOXELS thick
    falls into 26-connected "part"s, and the rest is one "border" per structure. Every differing
    voxel is in exactly one place. ``label``: None for all labels, each on its own. Raises
    GeometryError on different grids.
    """
    require_one_grid(readings)
    every = {name for reading in readings.values() for name in reading.names}
    found = [
        difference
        for name in (sorted(every) if label is None else [label])
        for difference in _differences(readings, name)
    ]
    return tuple(sorted(found, key=lambda d: (d.kind == "border", -d.voxels, d.label, d.index)))


def voxels_of(
    readings: Mapping[str, Segmentation], difference: Difference
) -> tuple[Slices, BoolArray]:
    """The differing voxels of one place: a box (k, j, i) of the grid, and a mask in it.

    ``difference`` is one of :func:`differing_components` of the same readings. Raises
    GeometryError when it is not, because a reading has changed in the meantime.
    """
    drawn = _drawn(readings, difference.label)
    found = _places(drawn) if drawn is not None else ()
    for kind, parts in found:
        if kind == difference.kind and drawn is not None:
            away = [n - at for n, at in zip(difference.index, drawn.corner, strict=True)]
            number = parts.part_at((away[0], away[1], away[2]))
            if number is not None:
                where = tuple(
                    slice(start, start + n)
                    for start, n in zip(drawn.corner[::-1], parts.runs.shape, strict=True)
                )
                return (where[0], where[1], where[2]), parts.mask(number)
    raise GeometryError(
        f"the raters do not differ on {difference.label!r} at voxel {difference.index} (any more)"
    )


def _differences(readings: Mapping[str, Segmentation], label: str) -> list[Difference]:
    drawn = _drawn(readings, label)
    if drawn is None:
        return []
    return [row for kind, parts in _places(drawn) for row in _listed(drawn, kind, parts)]


def _drawn(readings: Mapping[str, Segmentation], label: str) -> _Drawn | None:
    """The label as those drew it who annotated it; None where nobody can differ."""
    raters = tuple(r for r in sorted(readings) if readings[r].find(label) is not None)
    crops = [crop(readings[rater], label) for rater in raters]
    where = common_box([cut.where for cut in crops])
    if len(raters) < 2 or not any(cut.count for cut in crops):
        return None
    k, j, i = (s.start for s in where)
    masks = tuple(placed(cut, where) for cut in crops)
    return _Drawn(label, readings[raters[0]].geometry, raters, masks, (i, j, k))


def _places(drawn: _Drawn) -> Iterator[tuple[Kind, Parts]]:
    """The places of each kind, numbered."""
    anybody: BoolArray = reduce(np.logical_or, drawn.masks)
    differs: BoolArray = anybody & ~reduce(np.logical_and, drawn.masks)
    if not differs.any():
        return
    structures = connected(runs_of(anybody))
    missed = _missed(structures, drawn.masks)
    thick = opened(differs, box_steps(drawn.geometry))
    parts = connected(runs_of(thick))
    slivers = _inside(differs & ~thick, structures)
    yield "missed lesion", structures.only(missed)
    yield "part", parts.only(~_within(parts, structures, missed))
    yield "border", slivers.only(~missed & (slivers.voxels > 0))


def box_steps(geometry: Geometry) -> Index:
    """Voxels (k, j, i), 1 or 2 each, that are as thick as BORDER_VOXELS of the finest spacing.

    1 along an axis on which the grid has only one voxel.
    """
    limit = BORDER_VOXELS * min(geometry.spacing)
    i, j, k = (
        min(n, int(np.ceil(limit / step - _ROUNDING)))
        for n, step in zip(geometry.size, geometry.spacing, strict=True)
    )
    return (k, j, i)


def _missed(structures: Parts, masks: Sequence[BoolArray]) -> BoolArray:
    """Which structures (count,) hold no voxel of some rater."""
    drawn = [_inside(mask, structures).voxels > 0 for mask in masks]
    missed: BoolArray = ~np.logical_and.reduce(drawn)
    return missed


def _inside(mask: BoolArray, structures: Parts) -> Parts:
    """The runs of a mask that lies inside the structures, numbered as they are."""
    runs = runs_of(mask)
    return Parts(runs, structures.number[owners(runs, structures.runs)], structures.count)


def _within(parts: Parts, structures: Parts, chosen: BoolArray) -> BoolArray:
    """Which parts (count,) lie in one of the chosen structures."""
    owner = structures.number[owners(parts.runs, structures.runs)]
    within = np.zeros(parts.count, dtype=np.bool_)
    within[parts.number] = chosen[owner]
    return within


def _listed(drawn: _Drawn, kind: Kind, parts: Parts) -> list[Difference]:
    if not parts.count:
        return []
    flat, run = parts.runs.voxels()
    number = parts.number[run]
    votes = np.array(
        [np.bincount(number[mask.reshape(-1)[flat]], minlength=parts.count) for mask in drawn.masks]
    )
    in_favor = votes > 0 if kind == "missed lesion" else 2 * votes > parts.voxels
    middles = parts.nearest_voxels(parts.centroids(), drawn.geometry.spacing) + drawn.corner
    return [
        _difference(drawn, kind, (i, j, k), voxels, tuple(chosen))
        for (i, j, k), voxels, chosen in zip(
            middles.tolist(), parts.voxels.tolist(), in_favor.T.tolist(), strict=True
        )
    ]


def _difference(
    drawn: _Drawn,
    kind: Kind,
    index: Index,
    voxels: int,
    in_favor: tuple[bool, ...],
) -> Difference:
    center: Triple = drawn.geometry.point_at(index)
    votes = list(zip(drawn.raters, in_favor, strict=True))
    return Difference(
        drawn.label,
        kind,
        center,
        index,
        voxels,
        milliliters(voxels, drawn.geometry),
        tuple(rater for rater, chosen in votes if chosen),
        tuple(rater for rater, chosen in votes if not chosen),
    )
