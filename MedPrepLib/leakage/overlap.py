"""Where two fingerprints lie over each other: the offset at which their gradients fit best.

Offsets are tried along one axis at a time, so what the windows of the other two axes make of an
image is the same for all trials, and is made once. No sum is taken in another order for that:
every trial gives, bit for bit, what it would give alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from MedPrepLib.leakage.fingerprint import BLOCKS, Weights, tables

Float = npt.NDArray[np.float32]
Window = tuple[Weights, Weights, Weights]
_Span = tuple[float, float, float, float]
"""Start and stop of the overlap in the first and in the second image, as shares of an axis."""

FITTED, JUDGED = 12, 18
"""Blocks along an axis of the overlap: while it is searched, and when it is judged."""

LEAST_OVERLAP = 0.6
"""Copies that share less than this part of an axis are not looked for."""

SEARCH = ((0.04, 3), (0.02, 2), (0.01, 1), (0.005, 1))
"""How the overlap is searched along each axis: step as part of the extent, steps to either side."""

HOPELESS = 0.5
"""Correlation of gradients after the first round of the search below which there is no copy."""


AFTER, BEFORE = slice(1, None), slice(None, -1)
WHOLE = (0.0, 1.0, 0.0, 1.0)


def fitted(
    first: Float, first_mm: Sequence[float], second: Float, second_mm: Sequence[float]
) -> tuple[Window, Window] | None:
    """The windows of both images at the offset where their gradients correlate best.

    None for images that overlap too little, or that fit too badly anywhere near.
    """
    lengths = list(zip(first_mm, second_mm, strict=True))
    search = _Search(np.stack((first, second)), lengths)
    for step, reach in SEARCH:
        if step < SEARCH[0][0] and search.best < HOPELESS:
            return None
        turns = [turn for turn in range(-reach, reach + 1) if turn]
        for axis, (a, b) in enumerate(lengths):
            middle = search.offset[axis]
            search.along(axis, [middle + turn * step * max(a, b) for turn in turns])
    return search.windows()


def seen(image: Float, window: Window) -> Float:
    """Block means of the part of an image that lies in a window."""
    k, j, i = window
    rows = (k @ image.reshape(BLOCKS, -1)).reshape(len(k), BLOCKS, BLOCKS)
    means: Float = np.matmul(np.matmul(j, rows), i.T)
    return means


def gradients(images: Float) -> Float:
    """Differences of neighbors along the last three axes (equally long), flat, for every image."""
    *count, n, _, _ = images.shape
    size = (n - 1) * n * n
    flat = np.empty((*count, 3 * size), np.float32)
    for axis in range(3):
        shape = [n - 1 if each == axis else n for each in range(3)]
        out = flat[..., axis * size : (axis + 1) * size].reshape(*count, *shape)
        np.subtract(_cut(images, axis, AFTER), _cut(images, axis, BEFORE), out=out)
    return flat


def _cut(images: Float, axis: int, part: slice) -> Float:
    index = [slice(None)] * images.ndim
    index[axis - 3] = part
    return images[tuple(index)]


class _Search:
    """The best offset so far (mm along each axis), and how well the images fit there.

    ``images``: both of them, (2, 24, 24, 24).
    """

    def __init__(self, images: Float, lengths: Sequence[tuple[float, float]]) -> None:
        self._images = images
        self._lengths = lengths
        self.offset = [(a - b) / 2 for a, b in lengths]
        self._spans = [_span(at, *mm) for at, mm in zip(self.offset, lengths, strict=True)]
        self._weights = [_tables([span or WHOLE], FITTED)[:, 0] for span in self._spans]
        self.best = -1.0
        self.along(0, self.offset[:1])

    def along(self, axis: int, tried: Sequence[float]) -> None:
        """Move to the best of the tried offsets along an axis, if any is better."""
        spans = [(at, _span(at, *self._lengths[axis])) for at in tried]
        valid = [(at, span) for at, span in spans if span is not None]
        if not valid or any(s is None for n, s in enumerate(self._spans) if n != axis):
            return
        weights = _tables([span for _, span in valid], FITTED)
        one, other = gradients(self._trials(axis, weights))
        for n, (at, span) in enumerate(valid):
            fit = _correlation(one[n], other[n])
            if fit > self.best:
                self.best = fit
                self.offset[axis], self._spans[axis] = at, span
                self._weights[axis] = weights[:, n]

    def windows(self) -> tuple[Window, Window] | None:
        """What both images see at the best offset, where it is judged; None for too little."""
        spans = [span for span in self._spans if span is not None]
        if len(spans) < len(self._spans):
            return None
        one, other = _tables(spans, JUDGED)
        return (one[0], one[1], one[2]), (other[0], other[1], other[2])

    def _trials(self, axis: int, weights: Weights) -> Float:
        """Both images through the windows of the best offset, but for one axis, where they vary.

        Images first, then trials. Written so that every product has the shape it would have alone.
        """
        k, j, i = (each[:, None] for each in self._weights)
        flat = self._images.reshape(2, 1, BLOCKS, -1)
        if axis == 0:
            k = weights
        rows = np.matmul(k, flat).reshape(2, -1, FITTED, BLOCKS, BLOCKS)
        planes = np.matmul((weights if axis == 1 else j)[:, :, None], rows)
        means: Float = np.matmul(planes, (weights if axis == 2 else i).swapaxes(-1, -2)[:, :, None])
        return means


def _span(shift: float, a: float, b: float) -> _Span | None:
    """What both see when the second begins ``shift`` mm behind the first; None for too little."""
    start, stop = max(0.0, shift), min(a, shift + b)
    if stop - start < LEAST_OVERLAP * max(a, b):
        return None
    own = round(start / a, 4), round(stop / a, 4)
    return *own, round((start - shift) / b, 4), round((stop - shift) / b, 4)


def _tables(spans: Sequence[_Span], count: int) -> Weights:
    """Weights of both images for every span: (2, spans, count, 24)."""
    ends = np.array(spans).reshape(-1, 2, 2)
    return tables(BLOCKS, ends[:, :, 0].T, ends[:, :, 1].T, count)


def _correlation(one: Float, other: Float) -> float:
    power = float(one @ one) * float(other @ other)
    return float(one @ other) / power**0.5 if power else 0.0
