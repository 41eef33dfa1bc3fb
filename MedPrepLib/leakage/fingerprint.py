"""The fingerprint of an image: small, and nearly the same for every copy of it.

The image in canonical orientation becomes 24 x 24 x 24 block means, and these become ranks
(0 to 255): another offset or scale of gray values changes nothing. The extent in millimeters
stands beside them, because a cropped copy covers less. What two fingerprints have in common is
measured in nearness.py.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import MedPrepError
from MedPrepLib.geometry import Triple
from MedPrepLib.images import Volume, VoxelArray
from MedPrepLib.leakage.canonical import canonical

BLOCKS = 24
"""Blocks along each axis."""

SAMPLED = 128
"""Longer axes are thinned (every 2nd voxel from 256 on, ...): a block mean needs no more."""

LEVELS = 65_536
"""Steps between the lowest and the highest block mean; closer means are tied, noise of sums is."""

Ranks = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.float32]
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """``ranks``: (24, 24, 24) uint8, along Superior, Posterior, Left; ``extent_mm`` likewise."""

    ranks: Ranks
    extent_mm: Triple

    def __str__(self) -> str:
        """The fingerprint as text; :meth:`parse` reads it."""
        packed = base64.b64encode(zlib.compress(self.ranks.tobytes(), 6)).decode("ascii")
        return ":".join((*(f"{x:.6g}" for x in self.extent_mm), packed))

    @classmethod
    def parse(cls, text: str) -> Fingerprint:
        """What ``str`` made; MedPrepError for anything else."""
        try:
            z, y, x, packed = text.split(":")
            ranks = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8)
            return cls(ranks.reshape(BLOCKS, BLOCKS, BLOCKS), (float(z), float(y), float(x)))
        except (ValueError, binascii.Error, zlib.error):
            raise MedPrepError(f"{text[:20]!r} is no fingerprint") from None


def fingerprint(volume: Volume) -> Fingerprint:
    """The fingerprint of an image. Voxels that are no finite numbers count as the lowest one."""
    array, spacing = canonical(volume)
    z, y, x = (float(n * width) for n, width in zip(array.shape, spacing, strict=True))
    return Fingerprint(_ranks(_block_means(array)), (z, y, x))


def _block_means(array: VoxelArray) -> npt.NDArray[np.float32]:
    """Means over 24 equal parts of every axis; voxels across a border count in proportion."""
    steps = tuple(slice(None, None, max(1, n // SAMPLED)) for n in array.shape)
    means = array[steps].astype(np.float32)
    if not np.isfinite(means).all():
        low = np.min(means, where=np.isfinite(means), initial=np.inf)
        means = np.where(np.isfinite(means), means, np.float32(low if np.isfinite(low) else 0))
    means -= means.min()
    for axis in range(3):
        weights = parts(means.shape[axis], 0.0, 1.0, BLOCKS)
        means = np.moveaxis(np.tensordot(weights, means, (1, axis)), 0, axis)
    return means


def _ranks(means: npt.NDArray[np.float32]) -> Ranks:
    """Ranks scaled to 0..255; ties share their middle rank."""
    span = float(means.max() - means.min())
    steps = np.rint((means - means.min()) * ((LEVELS - 1) / span if span else 0.0))
    _, place, counts = np.unique(steps.ravel(), return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    scaled = np.floor(middle[place.ravel()] * (256 / steps.size))
    ranks: Ranks = scaled.astype(np.uint8).reshape(steps.shape)
    return ranks


def parts(count: int, start: float, stop: float, wanted: int) -> Weights:
    """Weights (wanted, count) that average ``count`` cells into equal parts of a stretch of them.

    ``start`` and ``stop`` are shares of the whole, 0 to 1.
    """
    table: Weights = tables(count, np.array([start]), np.array([stop]), wanted)[0]
    table.flags.writeable = False
    return table


def tables(count: int, starts: Shares, stops: Shares, wanted: int) -> Weights:
    """The weights (..., wanted, count) of :func:`parts` for arrays of stretches."""
    # As numpy.linspace does it, which takes longer than all of the rest.
    edges = np.arange(wanted + 1) * ((stops - starts) / wanted)[..., None] + starts[..., None]
    edges[..., -1] = stops
    edges = edges[..., None] * count
    cells = np.arange(count)
    overlap = np.minimum(edges[..., 1:, :], cells + 1) - np.maximum(edges[..., :-1, :], cells)
    weights = np.maximum(overlap, 0.0)
    shares: Weights = (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)
    return shares
