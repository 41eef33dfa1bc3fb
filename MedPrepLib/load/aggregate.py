"""From predictions on overlapping patches back to one volume."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import GeometryError

Weights = Literal["constant", "gaussian"]
SIGMA_FRACTION = 1 / 8
"""Standard deviation of the Gaussian as a part of the patch's edge (Isensee et al., Nature Methods
18:203, 2021)."""


class Aggregator:
    """Weighted means of patches (channels, k, j, i) over one case.

    shape: (k, j, i) of the case. "constant": the plain mean; "gaussian": voxels in the middle of a
    patch, where a network sees most context, count more.
    """

    def __init__(
        self, shape: tuple[int, int, int], channels: int = 1, weights: Weights = "gaussian"
    ) -> None:
        self._sum = np.zeros((channels, *shape), np.float32)
        self._weight = np.zeros(shape, np.float32)
        self._kind = weights
        self._window: npt.NDArray[np.float32] = np.zeros((0, 0, 0), np.float32)

    def add(self, patch: Any, position: npt.ArrayLike) -> None:
        """Add a patch (channels, k, j, i), or a tensor of that shape, at index (i, j, k).

        ``position`` is that of the item; what lies outside of the case is left out. Raises
        GeometryError for another number of channels or axes.
        """
        if "bfloat16" in str(getattr(patch, "dtype", "")):  # which numpy does not know
            patch = patch.float()
        array = np.asarray(patch)
        if array.ndim != 4 or array.shape[0] != self._sum.shape[0]:
            raise GeometryError(
                f"a patch of shape {array.shape} is not {self._sum.shape[0]} channels of (k, j, i)"
            )
        if self._window.shape != array.shape[1:]:
            self._window = _window(array.shape[1:], self._kind)
        start = np.asarray(position).tolist()[::-1]
        spans = list(zip(start, array.shape[1:], self._weight.shape, strict=True))
        to = tuple(slice(max(a, 0), max(min(a + p, n), 0)) for a, p, n in spans)
        part = tuple(slice(s.start - a, s.stop - a) for s, (a, _, _) in zip(to, spans, strict=True))
        window = self._window[part]
        self._sum[(slice(None), *to)] += array[(slice(None), *part)] * window
        self._weight[to] += window

    def result(self) -> npt.NDArray[np.float32]:
        """The mean (channels, k, j, i); 0 where no patch was."""
        safe = np.where(self._weight > 0, self._weight, np.float32(1))
        return np.divide(self._sum, safe, dtype=np.float32)

    @property
    def is_complete(self) -> bool:
        """True when every voxel was covered."""
        return bool((self._weight > 0).all())


def _window(shape: tuple[int, ...], kind: Weights) -> npt.NDArray[np.float32]:
    if kind == "constant":
        return np.ones(shape, np.float32)
    axes: list[npt.NDArray[Any]] = []
    for size in shape:
        away = (np.arange(size) - (size - 1) / 2) / max(size * SIGMA_FRACTION, 1e-6)
        axes.append(np.exp(-0.5 * away**2))
    weights = axes[0][:, None, None] * axes[1][:, None] * axes[2]
    return np.asarray(weights / weights.max(), np.float32)
