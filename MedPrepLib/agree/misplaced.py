"""Masks that only lie wrong: a world transform left out, or axes mixed up on the way.

Tried are the mistakes of the field: x and y negated (RAS taken for LPS), the image's origin or
center left out of the mask's position, index axes flipped or exchanged. A mistake is believed when
undoing it makes two masks agree that did not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from MedPrepLib.agree.crops import Crop
from MedPrepLib.agree.runs import IntArray
from MedPrepLib.geometry import LPS_TO_RAS, FloatArray, Geometry

NEARBY = 0.25
"""How far the moved centroid may lie from the other's, in diagonals of its box: farther away the
masks cannot agree."""

FEW_VOXELS = 3000
"""An even sample of so many voxels shows which mistake it may be."""
ENOUGH_VOXELS = 100_000
"""Of larger masks an even sample of at most so many voxels is moved: Dice to about 0.002."""

_AXES = "ijk"


@dataclass(frozen=True, eq=False)
class Mistake:
    """``matrix`` (4x4) takes an index (i, j, k) to where it belongs; ``words`` say how."""

    code: Literal["transform not applied", "axes mixed up"]
    words: str
    matrix: FloatArray


@dataclass(frozen=True, eq=False)
class Undone:
    """A mistake, and the Dice with the other mask once it is undone."""

    mistake: Mistake
    dice: float


def best_undone(fixed: Crop, moving: Crop, geometry: Geometry) -> Undone | None:
    """The mistake whose undoing on ``moving`` makes it most like ``fixed``; None if none does.

    Voxels land on the nearest voxel (exactly on one for flips and exchanges). Of equals the
    first counts: world before index axes, fewer flips before more. Neither crop may be empty.
    """
    target, start = np.array(fixed.centroid)[[2, 1, 0]], np.array(moving.centroid)[[2, 1, 0]]
    reach = NEARBY * float(np.linalg.norm(fixed.voxels.shape)) + 1
    tried = [m for m in mistakes(geometry) if _far(m, start, target) <= reach]
    if not tried:
        return None
    few = moving.sample(FEW_VOXELS)
    best = max(tried, key=lambda mistake: _dice(mistake, few, fixed, moving.count))
    dice = _dice(best, moving.sample(ENOUGH_VOXELS), fixed, moving.count)
    return Undone(best, dice) if dice > 0 else None


def mistakes(geometry: Geometry) -> Iterator[Mistake]:
    """Every mistake that can be told on a grid, each with the way back."""
    yield from _world_mistakes(geometry)
    yield from _index_mistakes(geometry)


def _world_mistakes(geometry: Geometry) -> Iterator[Mistake]:
    to_index = np.linalg.inv(geometry.affine)
    mirrors = (
        ("negating x and y in the world (RAS taken for LPS)", LPS_TO_RAS),
        ("negating x in the world", np.diag([-1.0, 1.0, 1.0, 1.0])),
        ("negating y in the world", np.diag([1.0, -1.0, 1.0, 1.0])),
    )
    for words, mirror in mirrors:
        matrix: FloatArray = to_index @ mirror @ geometry.affine
        yield Mistake("axes mixed up", words, matrix)
    middle = geometry.point_at([(n - 1) / 2 for n in geometry.size])
    for name, point in (("origin", geometry.origin), ("center", middle)):
        for sign, way in ((1.0, ""), (-1.0, "minus ")):
            move = np.eye(4)
            move[:3, 3] = sign * np.array(point)
            matrix = to_index @ move @ geometry.affine
            if np.abs(np.rint(matrix[:3, 3])).any():
                x, y, z = point
                words = f"moving by {way}the image's {name} ({x:.4g}, {y:.4g}, {z:.4g}) mm"
                yield Mistake("transform not applied", words, matrix)


def _index_mistakes(geometry: Geometry) -> Iterator[Mistake]:
    orders = [
        order
        for order in itertools.permutations(range(3))
        if all(geometry.size[a] == n for a, n in zip(order, geometry.size, strict=True))
    ]
    flips = sorted(itertools.product((False, True), repeat=3), key=sum)
    for order, flipped in itertools.product(orders, flips):
        if order == (0, 1, 2) and not any(flipped):
            continue
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for axis, (source, flip) in enumerate(zip(order, flipped, strict=True)):
            matrix[axis, source] = -1 if flip else 1
            matrix[axis, 3] = geometry.size[axis] - 1 if flip else 0
        yield Mistake("axes mixed up", _index_words(order, flipped), matrix)


def _index_words(order: tuple[int, ...], flipped: tuple[bool, ...]) -> str:
    words = []
    if order != (0, 1, 2):
        words.append("taking the index axes in the order " + "".join(_AXES[a] for a in order))
    if any(flipped):
        names = [name for name, flip in zip(_AXES, flipped, strict=True) if flip]
        words.append("flipping index axis " + " and ".join(names))
    return " and ".join(words)


def _far(mistake: Mistake, start: FloatArray, target: FloatArray) -> float:
    moved = mistake.matrix[:3, :3] @ start + mistake.matrix[:3, 3]
    return float(np.linalg.norm(moved - target))


def _dice(mistake: Mistake, index: IntArray, fixed: Crop, count: int) -> float:
    """Dice of ``fixed`` and ``count`` voxels of which ``index`` are an even sample."""
    moved = np.rint(index @ mistake.matrix[:3, :3].T + mistake.matrix[:3, 3]).astype(np.int64)
    k, j, i = (moved[:, [2, 1, 0]] - fixed.corner).T
    depth, height, width = fixed.voxels.shape
    inside = (k >= 0) & (k < depth) & (j >= 0) & (j < height) & (i >= 0) & (i < width)
    common = int(np.count_nonzero(fixed.voxels[k[inside], j[inside], i[inside]]))
    return 2 * common * (count / len(index)) / (fixed.count + count)
