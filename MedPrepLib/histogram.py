"""Exact statistics of intensities: from a histogram of integers, or from sorted floats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

CHUNK = 1 << 18
"""Voxels handled at a time: what numpy makes in between stays small, and is made seldom."""

LOWEST = -32768
"""The value that the first bin of a histogram counts."""


@dataclass(frozen=True)
class Moments:
    """Count, mean, population standard deviation, extremes and percentiles of some numbers.

    Everything is 0 when there are no numbers.
    """

    count: int
    mean: float
    std: float
    minimum: float
    maximum: float
    percentiles: dict[str, float]


class Histogram:
    """Counts of int16 values, added chunk by chunk."""

    def __init__(self, counts: npt.NDArray[np.int64] | None = None) -> None:
        self.counts = np.zeros(-2 * LOWEST, dtype=np.int64) if counts is None else counts

    def add(self, values: npt.NDArray[np.int16], base: int | None = None) -> tuple[int, int]:
        """Count ``values``; bounds that none of them exceeds (0 and 0 when there are none).

        ``base``: a value that few or none are expected to be below; the bounds are then ``base``
        and the highest value, or one above int16 when there was a lower one. Without it the lowest
        is looked for, and the bounds are the extremes.
        Call this with chunks: what bincount counts is a copy of eight bytes per value.
        """
        if not values.size:
            return 0, 0
        low = int(values.min()) if base is None else base
        # As uint16, differences of int16 that wrap around come out right; lower values go around.
        found = np.bincount(np.subtract(values, np.int16(low)).view(np.uint16))
        first = low - LOWEST
        around = max(first + found.size - self.counts.size, 0)
        self.counts[first : first + found.size] += found[: found.size - around]
        self.counts[:around] += found[found.size - around :]
        return low, low + found.size - 1

    def between(self, low: int, high: int) -> int:
        """How many values lie between ``low`` and ``high``, both inclusive."""
        return int(self.counts[max(low - LOWEST, 0) : max(high - LOWEST + 1, 0)].sum())

    def without(self, high: int) -> Histogram:
        """The same counts with all values up to ``high`` (inclusive) taken out."""
        counts = self.counts.copy()
        counts[: max(high - LOWEST + 1, 0)] = 0
        return Histogram(counts)

    def clipped(self, low: int, high: int) -> Histogram:
        """The histogram after clipping the values to ``low`` .. ``high``."""
        counts = np.zeros_like(self.counts)
        inner = slice(low - LOWEST, high - LOWEST + 1)
        counts[inner] = self.counts[inner]
        counts[low - LOWEST] += self.counts[: low - LOWEST].sum()
        counts[high - LOWEST] += self.counts[high - LOWEST + 1 :].sum()
        return Histogram(counts)

    def moments(self, percentiles: Sequence[float]) -> Moments:
        """The exact statistics; sums are integers, so the order of chunks does not matter."""
        present = np.flatnonzero(self.counts)
        if not present.size:
            return Moments(0, 0.0, 0.0, 0.0, 0.0, _named(percentiles, [0.0] * len(percentiles)))
        values = [int(v) + LOWEST for v in present]
        counts = self.counts[present].tolist()
        total = sum(counts)
        first = sum(v * c for v, c in zip(values, counts, strict=True))
        second = sum(v * v * c for v, c in zip(values, counts, strict=True))
        reached = np.cumsum(self.counts[present])
        ranks = [percentile_rank(q, total) for q in percentiles]
        found = np.searchsorted(reached, ranks, side="right")
        return Moments(
            count=total,
            mean=first / total,
            std=math.sqrt(Fraction(total * second - first * first, total * total)),
            minimum=float(values[0]),
            maximum=float(values[-1]),
            percentiles=_named(percentiles, [float(values[i]) for i in found]),
        )


def float_moments(values: npt.NDArray[np.float32], percentiles: Sequence[float]) -> Moments:
    """The statistics of finite floats (any shape), summed in float64; percentiles are exact."""
    flat = values.reshape(-1)
    if not flat.size:
        return Histogram().moments(percentiles)
    chunks = [flat[start : start + CHUNK] for start in range(0, flat.size, CHUNK)]
    mean = math.fsum(float(c.sum(dtype=np.float64)) for c in chunks) / flat.size
    squares = math.fsum(float(np.square(c.astype(np.float64) - mean).sum()) for c in chunks)
    ordered = np.sort(flat)
    at_ranks = [float(ordered[percentile_rank(q, flat.size)]) for q in percentiles]
    return Moments(
        count=int(flat.size),
        mean=mean,
        std=math.sqrt(squares / flat.size),
        minimum=float(ordered[0]),
        maximum=float(ordered[-1]),
        percentiles=_named(percentiles, at_ranks),
    )


def percentile_rank(percent: float, count: int) -> int:
    """The zero-based rank of a percentile among ``count`` sorted numbers.

    Inverted-cdf definition (Hyndman & Fan 1996, type 1): the smallest number that at least
    ``percent`` of all do not exceed. Computed with fractions: 99.5 % of 200 is rank 198 exactly.
    """
    wanted = Fraction(str(percent)) * count / 100
    return max(math.ceil(wanted) - 1, 0)


def _named(percentiles: Sequence[float], values: Sequence[float]) -> dict[str, float]:
    return {f"{q:g}": value for q, value in zip(percentiles, values, strict=True)}
