"""Fingerprints of made-up people: a few kinds of bodies, everybody's a little different."""

from __future__ import annotations

import numpy as np

from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.leakage import Fingerprint, fingerprint

GRID, KINDS, ORGANS = 24, 6, 10
COPIED = 0.02
"""Part of the images that are a copy of the one before, cut at some sides and one gray value up."""


def made_up(count: int, seed: int = 0) -> list[Fingerprint]:
    """As many fingerprints; those of one kind look alike, and a few are copies of others."""
    rng = np.random.default_rng(seed)
    kinds = [_organs(np.random.default_rng((seed, kind))) for kind in range(KINDS)]
    found: list[Fingerprint] = []
    last = None
    for _ in range(count):
        if last is not None and rng.random() < COPIED:
            found.append(fingerprint(_cut(last, rng)))
            last = None
            continue
        last = _body(kinds[rng.integers(KINDS)], rng)
        found.append(fingerprint(last))
    return found


def _organs(rng: np.random.Generator) -> np.ndarray:
    """Of each organ: middle (3), half axes (3), gray value; the body itself comes first."""
    middle = rng.uniform(-0.6, 0.6, (ORGANS, 3))
    axes = rng.uniform(0.12, 0.4, (ORGANS, 3))
    gray = rng.uniform(-1.5, 1.5, (ORGANS, 1))
    middle[0], axes[0], gray[0] = 0, rng.uniform(0.5, 1.3, 3), 1.0
    return np.concatenate((middle, axes, gray), axis=1)


def _body(organs: np.ndarray, rng: np.random.Generator) -> Volume:
    own = organs + rng.normal(0, 0.02, organs.shape)
    z, y, x = np.meshgrid(
        *(np.linspace(-1, 1, GRID, dtype=np.float32),) * 3, indexing="ij", sparse=True
    )
    image = np.zeros((GRID,) * 3, np.float32)
    for c, b, a, sz, sy, sx, gray in own:
        away = ((z - c) / sz) ** 2 + ((y - b) / sy) ** 2 + ((x - a) / sx) ** 2
        image += gray / (1 + np.minimum(away, 8) ** 3)
    for knots, strength in ((5, 0.15), (9, 0.1), (13, 0.06)):
        image += _smooth(rng.normal(0, strength, (knots,) * 3))
    image += rng.normal(0, 0.03, image.shape).astype(np.float32)
    spacing = tuple(float(s) for s in np.round(rng.uniform(10, 16, 3), 2))
    return Volume((image * 500).astype(np.int16), Geometry((GRID,) * 3, spacing))


def _smooth(knots: np.ndarray) -> np.ndarray:
    """Values between knots, linearly, on the whole grid."""
    at = np.linspace(0, len(knots) - 1, GRID)
    weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(len(knots))))
    image = np.einsum("zc,yb,xa,cba->zyx", weights, weights, weights, knots, optimize=True)
    return image.astype(np.float32)


def _cut(volume: Volume, rng: np.random.Generator) -> Volume:
    start = tuple(int(n) for n in rng.integers(0, 3, 3))
    stop = tuple(int(n) for n in rng.integers(0, 2, 3))
    size = tuple(GRID - a - b for a, b in zip(start, stop, strict=True))
    i, j, k = start
    array = volume.array[k : k + size[2], j : j + size[1], i : i + size[0]]
    return Volume(array + np.int16(1), volume.geometry.cropped(start, size))
