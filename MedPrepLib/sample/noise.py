"""Randomness that is the same on every machine: seeds, white noise, smooth noise.

Only raw 64-bit words of PCG64 are drawn (NumPy keeps that stream stable, unlike its
distributions), and everything made of them is element by element: + - * / and sqrt are rounded
alike by every machine that follows IEEE 754. Sums and matrix products, whose order depends on
the processor, and exp, sin or pow, whose last bit does, appear nowhere in this package.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib.geometry import Geometry

FloatField = npt.NDArray[np.float32]

_WHITE_SIGMA = 147.8
"""Standard deviation of the sum of four random bytes: sqrt(4 * (256^2 - 1) / 12)."""

_SMOOTH_SIGMA = 30.1
"""Of a random byte (73.9) after quadratic spline weights along three axes (0.55 ^ 1.5)."""


@dataclass(frozen=True)
class Seed:
    """A node in a tree of seeds; equal paths give equal numbers, whatever the order of use."""

    words: tuple[int, ...]

    def of(self, name: str) -> Seed:
        """The seed below this one for the purpose ``name``."""
        return Seed((*self.words, zlib.crc32(name.encode())))

    def uniform(self, low: float, high: float) -> float:
        """One number between ``low`` and ``high``."""
        return low + (high - low) * (int(self._raw(1)[0]) >> 11) * 2.0**-53

    def order(self, count: int) -> list[int]:
        """The numbers 0..count-1 in random order."""
        draws = self._raw(count).tolist()
        return sorted(range(count), key=lambda n: (draws[n], n))

    def white(self, shape: Sequence[int]) -> FloatField:
        """Independent, nearly Gaussian numbers with mean 0 and sigma 1."""
        count = int(np.prod(shape))
        octets = self._bytes(4 * count).reshape(4, count).astype(np.int16)
        total = octets[0] + octets[1] + octets[2] + octets[3]
        field = (total.astype(np.float32) - np.float32(510)) / np.float32(_WHITE_SIGMA)
        return np.asarray(field.reshape(shape), dtype=np.float32)

    def smooth(
        self, geometry: Geometry, length_mm: float, slices: range | None = None
    ) -> FloatField:
        """Smooth noise (k, j, i), mean 0 and sigma about 1, with blobs of some ``length_mm``.

        ``slices``: only these of the grid, with the same values that the whole would have.

        A quadratic B-spline through random bytes on a coarse lattice of whole voxels.
        """
        wanted = slices if slices is not None else range(geometry.size[2])
        si, sj, sk = (max(1, round(length_mm / spacing)) for spacing in geometry.spacing)
        ni, nj, nk = geometry.size
        shape = (_knots(nk, sk), _knots(nj, sj), _knots(ni, si))
        lattice = self._bytes(shape[0] * shape[1] * shape[2]).astype(np.float32)
        field = ((lattice - np.float32(127.5)) / np.float32(_SMOOTH_SIGMA)).reshape(shape)
        first = wanted.start // sk
        field = field[first : (wanted.stop - 1) // sk + 3]
        # Axis i first, while the others are coarse: then whole rows and planes are combined.
        field = _splined(_splined(field, 2, si, range(ni)), 1, sj, range(nj))
        return _splined(field, 0, sk, range(wanted.start - first * sk, wanted.stop - first * sk))

    def _raw(self, count: int) -> npt.NDArray[np.uint64]:
        generator = np.random.PCG64(np.random.SeedSequence(self.words))
        return np.asarray(generator.random_raw(count), dtype="<u8")

    def _bytes(self, count: int) -> npt.NDArray[np.uint8]:
        return self._raw((count + 7) // 8).view(np.uint8)[:count]


def _knots(count: int, step: int) -> int:
    return -(-count // step) + 2


def _splined(knots: FloatField, axis: int, step: int, places: range) -> FloatField:
    """The values at ``places`` along ``axis`` of the quadratic B-spline through ``knots``."""
    place = np.arange(places.start, places.stop)
    base = place // step
    t = ((place - base * step + 0.5) / step).astype(np.float32)
    shape = [1] * knots.ndim
    shape[axis] = len(place)
    field = knots.take(base, axis) * (0.5 * (1 - t) * (1 - t)).reshape(shape)
    for number, weight in enumerate((0.5 + t - t * t, 0.5 * t * t), start=1):
        piece = knots.take(base + number, axis)
        piece *= weight.reshape(shape)
        field += piece
    return field
