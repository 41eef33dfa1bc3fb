"""Where patches lie: by chance, around foreground, or on a grid that covers a case.

Sizes and positions here are in the order of array axes (k, j, i).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

Place = tuple[int, int, int]


def uniform(shape: Sequence[int], patch: Sequence[int], rng: np.random.Generator) -> Place:
    """A position at which the patch lies inside; centered along axes that are too short."""
    k, j, i = (
        int(rng.integers(0, n - p + 1)) if n > p else (n - p) // 2
        for n, p in zip(shape, patch, strict=True)
    )
    return (k, j, i)


def around(voxel: Sequence[int], shape: Sequence[int], patch: Sequence[int]) -> Place:
    """The position with ``voxel`` in the middle, moved as little as it takes to lie inside."""
    k, j, i = (
        min(max(v - p // 2, 0), n - p) if n > p else (n - p) // 2
        for v, n, p in zip(voxel, shape, patch, strict=True)
    )
    return (k, j, i)


def balanced(
    counts: dict[str, int],
    coordinate: Callable[[str, int], Place],
    background: float,
    rng: np.random.Generator,
) -> Place | None:
    """A voxel of a label, each label that the case has being as likely as any other.

    ``counts``: coordinates per label. None with probability ``background`` and for cases without
    foreground: the patch may lie anywhere.
    """
    if not counts or rng.random() < background:
        return None
    label = list(counts)[int(rng.integers(len(counts)))]
    return coordinate(label, int(rng.integers(counts[label])))


def grid(shape: Sequence[int], patch: Sequence[int], overlap: Sequence[int]) -> list[Place]:
    """Positions that cover every voxel; neighbors share at least ``overlap`` voxels.

    The last patch along an axis ends with the volume; axes that are too short are centered.
    """
    axes = [
        _steps(n, p, p - shared) if n > p else [(n - p) // 2]
        for n, p, shared in zip(shape, patch, overlap, strict=True)
    ]
    return [(k, j, i) for k, j, i in itertools.product(*axes)]


def _steps(size: int, patch: int, stride: int) -> list[int]:
    count = -(-(size - patch) // stride) + 1
    return [min(n * stride, size - patch) for n in range(count)]
