"""Near-duplicates found the plain way: all pairs by all of their blocks, every offset on its own.

What MedPrepLib.leakage finds faster must be what this finds.
"""

from __future__ import annotations

import itertools

import numpy as np

from MedPrepLib.leakage.fingerprint import BLOCKS, parts

CANDIDATES, LEAST_SIMILAR, COARSE = 32, 0.8, 10
FITTED, JUDGED, LEAST_OVERLAP, STEEP, HOPELESS = 12, 18, 0.6, 8, 0.5
SEARCH = ((0.04, 3), (0.02, 2), (0.01, 1), (0.005, 1))
BATCH = 512


def near_duplicates(prints, groups, limit):
    for one, other in sorted(candidates(prints, groups)):
        found = agreement(prints[one], prints[other])
        if found >= limit:
            yield one, other, found


def candidates(prints, groups):
    names = np.array(groups, dtype=object)
    found = set()
    for start in range(0, len(prints), BATCH):
        scores = similarities(prints, prints[start : start + BATCH])
        for column in range(scores.shape[1]):
            own = start + column
            apart = (names != names[own]) | (names == "")
            apart[own] = False
            score = np.where(apart, scores[:, column], -1.0)
            best = np.argsort(-score, kind="stable")[:CANDIDATES]
            found |= {
                (min(own, int(i)), max(own, int(i))) for i in best if score[i] >= LEAST_SIMILAR
            }
    return found


def similarities(prints, batch):
    """How similar every print is to every one of the batch, in the window that suits best."""
    ranks, some = (np.stack([p.ranks for p in each]) for each in (prints, batch))
    inner = _normal(_coarse(ranks, (parts(BLOCKS, 1 / 12, 11 / 12, COARSE),) * 3))
    similar = np.full((len(prints), len(some)), -1.0, np.float32)
    for window in _crops():
        np.maximum(similar, inner @ _normal(_coarse(some, window)).T, out=similar)
    return similar


def _crops():
    shifted = [parts(BLOCKS, (1 - s) / 12, (11 - s) / 12, COARSE) for s in (-1, 0, 1)]
    ends = ((0.0, 0.91), (0.026, 0.974), (0.09, 1.0))
    cut = [parts(BLOCKS, start, stop, COARSE) for start, stop in ends]
    return [window for ways in (shifted, cut) for window in itertools.product(ways, ways, ways)]


def _coarse(images, window):
    k, j, i = window
    planes = np.matmul(j, np.matmul(images.astype(np.float32), i.T))
    return np.einsum("ak,nkji->naji", k, planes, optimize=True).reshape(len(images), -1)


def _normal(rows):
    centered = rows - rows.mean(axis=1, keepdims=True)
    return centered / np.maximum(np.linalg.norm(centered, axis=1, keepdims=True), 1e-6)


def agreement(one, other):
    if one.extent_mm == other.extent_mm and np.array_equal(one.ranks, other.ranks):
        return 1.0 if np.ptp(one.ranks) else 0.0
    first, second = one.ranks.astype(np.float32), other.ranks.astype(np.float32)
    windows = _fitted(first, one.extent_mm, second, other.extent_mm)
    if windows is None:
        return 0.0
    return _same_signs(_ranked(_seen(first, windows[0])), _ranked(_seen(second, windows[1])))


def _fitted(first, first_mm, second, second_mm):
    offset = [(a - b) / 2 for a, b in zip(first_mm, second_mm, strict=True)]
    best = _fit(first, second, _windows(offset, first_mm, second_mm, FITTED))
    for step, reach in SEARCH:
        if step < SEARCH[0][0] and best < HOPELESS:
            return None
        for axis in range(3):
            middle = offset[axis]
            for turn in range(-reach, reach + 1):
                tried = list(offset)
                tried[axis] = middle + turn * step * max(first_mm[axis], second_mm[axis])
                fit = _fit(first, second, _windows(tried, first_mm, second_mm, FITTED))
                if fit > best:
                    best, offset = fit, tried
    return _windows(offset, first_mm, second_mm, JUDGED)


def _windows(offset, first_mm, second_mm, count):
    own, others = [], []
    for shift, a, b in zip(offset, first_mm, second_mm, strict=True):
        start, stop = max(0.0, shift), min(a, shift + b)
        if stop - start < LEAST_OVERLAP * max(a, b):
            return None
        own.append(parts(BLOCKS, round(start / a, 4), round(stop / a, 4), count))
        others.append(
            parts(BLOCKS, round((start - shift) / b, 4), round((stop - shift) / b, 4), count)
        )
    return own, others


def _seen(image, window):
    k, j, i = window
    rows = (k @ image.reshape(BLOCKS, -1)).reshape(len(k), BLOCKS, BLOCKS)
    return np.matmul(np.matmul(j, rows), i.T)


def _fit(first, second, windows):
    if windows is None:
        return -1.0
    one, other = _gradients(_seen(first, windows[0])), _gradients(_seen(second, windows[1]))
    power = float(one @ one) * float(other @ other)
    return float(one @ other) / power**0.5 if power else 0.0


def _gradients(image):
    return np.concatenate([np.diff(image, axis=axis).ravel() for axis in range(3)])


def _ranked(image):
    _, place, counts = np.unique(np.rint(image), return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) * (256 / image.size)
    return middle[place.ravel()].reshape(image.shape).astype(np.float32)


def _same_signs(one, other):
    a, b = _gradients(one), _gradients(other)
    steep = np.abs(a) + np.abs(b) > STEEP
    return float((np.sign(a) == np.sign(b))[steep].mean()) if steep.any() else 0.0
