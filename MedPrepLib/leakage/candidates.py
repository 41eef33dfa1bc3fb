"""Which pairs of fingerprints are worth a close look: for each image, the most similar others.

Similarity is the correlation of coarse images (10 x 10 x 10 blocks), the best of many windows.
All pairs are compared, but not by all of their blocks. Written as unit vectors, one image is u,
a window of the other v, and with the projection P onto a few directions
u . v = Pu . Pv + (u - Pu) . (v - Pv) <= Pu . Pv + |u - Pu| |v - Pv| (Cauchy and Schwarz),
which is one product of vectors that have the length of the residual as a last coordinate. Where
this bound is below what counts, the pair cannot count: no pair is lost. The directions (principal
components of a part of the images) decide how much work is spared, never what is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from MedPrepLib.leakage.fingerprint import BLOCKS, Fingerprint, Ranks, Weights, parts

Float = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.intp]
Pair = tuple[int, int]

CANDIDATES = 32
"""For every image so many of the most similar ones are compared closely."""

LEAST_SIMILAR = 0.8
"""Correlation of coarse images below which there was no copy in any trial (the least was 0.82)."""

LEVEL = 2e-6
"""Similarities that differ by less are level: ten times what rounding of float32 amounts to."""

COARSE = 10
"""Blocks along an axis of a coarse image."""

ROUGH, FINE = 64, 256
"""Directions of the projection: for all pairs, and for those of which these few do not tell."""

SLACK = 2e-3
"""Added to a bound for its rounding: at most 1,000 x 2^-24 for each of both factors and each of
two coordinates; measured: below 1e-5."""

SAMPLED, MANY = 64, 2048
"""About so many images that directions are made of: in all windows, and in one."""

COLUMNS, ROWS, BOUNDS = 64, 2048, 1 << 23
"""Images a batch, and a block of those it is compared with; most bounds at a time."""


def candidates(prints: Sequence[Fingerprint], groups: Sequence[str]) -> set[Pair]:
    """Pairs worth a close look: the most similar ones, at any of some crops and shifts.

    For each image at most ``CANDIDATES`` others of another (or no) group, and those that are level
    with the last of them, at most as many again.
    """
    found: set[Pair] = set()
    if len(prints) < 2:
        return found
    people = _numbers(groups)
    inner = np.concatenate(list(_inner(prints)))
    directions = _directions(prints, inner)
    fine = _bounding(inner @ directions)
    rough = _bounding(fine[:, :ROUGH])
    batch = max(1, min(COLUMNS, BOUNDS // len(prints)))
    for start in range(0, len(prints), batch):
        windows = _windowed(np.stack([p.ranks for p in prints[start : start + batch]]))
        projected = _bounding(windows @ directions)
        highest = _highest(rough, _bounding(projected[..., :ROUGH]))
        for column, bounds in enumerate(highest):
            own = start + column
            bounds[people == people[own]] = -1
            possible = np.flatnonzero(bounds >= LEAST_SIMILAR - SLACK)
            finer = _best(fine, possible, projected[column])
            best = _most_similar(possible, finer, inner, windows[column])
            found.update((min(own, other), max(own, other)) for other in best)
    return found


def _numbers(groups: Sequence[str]) -> Numbers:
    """A number per group; everybody without a group has one of their own."""
    known = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return np.array([known[g] if g else -1 - n for n, g in enumerate(groups)], np.intp)


def _most_similar(possible: Numbers, bounds: Float, inner: Float, windows: Float) -> list[int]:
    """The most similar ones of some images, of which ``bounds`` says how similar they can be.

    In order of the bound: once it is below the last that counts, no other can count.
    """
    order = np.argsort(-bounds, kind="stable")
    possible, bounds = possible[order], bounds[order]
    scores = np.empty(0, np.float32)
    wanted, step = LEAST_SIMILAR, 2 * CANDIDATES
    while len(scores) < len(possible) and bounds[len(scores)] >= wanted - SLACK:
        tried = possible[len(scores) : len(scores) + step]
        scores = np.concatenate((scores, _best(inner, tried, windows)))
        if len(scores) >= CANDIDATES:
            last = -np.partition(-scores, CANDIDATES - 1)[CANDIDATES - 1]
            wanted = max(LEAST_SIMILAR, float(last))
    return [int(image) for image in _chosen(possible[: len(scores)], scores)]


def _chosen(images: Numbers, scores: Float) -> Numbers:
    """The best of some images by their similarity, and those that are level with the last one."""
    enough = scores >= LEAST_SIMILAR - LEVEL
    images, scores = images[enough], scores[enough]
    if len(images) <= CANDIDATES:
        return images
    last = np.partition(scores, -CANDIDATES)[-CANDIDATES]
    above = scores > last + LEVEL
    level = ~above & (scores >= last - LEVEL)
    room = 2 * CANDIDATES - np.count_nonzero(above)
    return np.concatenate((images[above], np.sort(images[level])[:room]))


def _best(rows: Float, chosen: Numbers, windows: Float) -> Float:
    """The largest product of each of the chosen rows with any window."""
    blocks = (chosen[start : start + ROWS] for start in range(0, len(chosen), ROWS))
    highest = [(rows[block] @ windows.T).max(axis=1) for block in blocks]
    return np.concatenate(highest) if highest else np.empty(0, np.float32)


def _highest(rows: Float, windows: Float) -> Float:
    """The largest bound of any window, (images of ``windows``, images of ``rows``)."""
    highest = np.full((len(windows), len(rows)), -1, np.float32)
    stacked = windows.transpose(1, 0, 2)
    for start in range(0, len(rows), ROWS):
        block = highest[:, start : start + ROWS]
        product = np.empty_like(block, order="C")
        turned = rows[start : start + ROWS].T
        for window in stacked:
            np.matmul(window, turned, out=product)
            np.maximum(block, product, out=block)
    return highest


def _directions(prints: Sequence[Fingerprint], inner: Float) -> Float:
    """About the principal directions of some coarse images, orthonormal: (1000, FINE).

    Found by two steps of the power method from random directions (Halko, Martinsson, Tropp, SIAM
    Review 53:217, 2011); whatever they are, bounds hold.
    """
    some = np.stack([p.ranks for p in prints[:: -(-len(prints) // SAMPLED)]])
    windows = _windowed(some).reshape(-1, COARSE**3)
    sample = np.concatenate((windows, inner[:: -(-len(inner) // MANY)]))
    found = np.random.default_rng(0).standard_normal((COARSE**3, FINE), np.float32)
    for _ in range(2):
        found, _ = np.linalg.qr(sample.T @ (sample @ found))
    projected = sample @ found
    _, turned = np.linalg.eigh(projected.T @ projected)
    return np.ascontiguousarray(found @ turned[:, ::-1])


def _bounding(projected: Float) -> Float:
    """Projected unit vectors, and after their coordinates the length of what is left over."""
    # Cancellation makes a small length uncertain; rather too long than too short.
    rest = 1.0 + 1e-5 - np.einsum("...d,...d->...", projected, projected)
    return np.concatenate((projected, np.sqrt(np.maximum(rest, 0))[..., None]), axis=-1)


def _inner(prints: Sequence[Fingerprint]) -> Iterator[Float]:
    """The inner 10/12 of every image, coarse, as unit vectors."""
    window = parts(BLOCKS, 1 / 12, 11 / 12, COARSE)
    for start in range(0, len(prints), COLUMNS):
        images = np.stack([p.ranks for p in prints[start : start + COLUMNS]])
        yield _normal(_seen(images, (window,)))[:, 0]


def _windowed(images: Ranks) -> Float:
    """Every image in every window, coarse, as unit vectors: (images, windows, 1000)."""
    return np.concatenate([_normal(_seen(images, ways)) for ways in crops()], axis=1)


@lru_cache(maxsize=1)
def crops() -> tuple[tuple[Weights, ...], tuple[Weights, ...]]:
    """Along each axis, the windows in which the inner 10/12 of another image may lie.

    Shifted, or nearly everything: the latter is what the window becomes in a copy that lost some
    borders, at one end of an axis or at both.
    """
    shifted = tuple(parts(BLOCKS, (1 - s) / 12, (11 - s) / 12, COARSE) for s in (-1, 0, 1))
    ends = ((0.0, 0.91), (0.026, 0.974), (0.09, 1.0))
    return shifted, tuple(parts(BLOCKS, start, stop, COARSE) for start, stop in ends)


def _seen(images: Ranks, ways: Sequence[Weights]) -> Float:
    """Block means of images in every combination of windows: (images, combinations, 1000)."""
    weights, count, n = np.concatenate(ways), len(images), len(ways)
    columns = images.reshape(-1, BLOCKS).astype(np.float32) @ weights.T
    planes = np.matmul(weights, columns.reshape(-1, BLOCKS, len(weights)))
    blocks = np.matmul(weights, planes.reshape(count, BLOCKS, -1))
    apart = blocks.reshape(count, n, COARSE, n, COARSE, n, COARSE)
    seen: Float = apart.transpose(0, 1, 3, 5, 2, 4, 6).reshape(count, n**3, COARSE**3)
    return seen


def _normal(rows: Float) -> Float:
    centered: Float = rows - rows.mean(axis=-1, keepdims=True)
    lengths = np.linalg.norm(centered, axis=-1, keepdims=True)
    centered /= np.maximum(lengths, 1e-6)
    return centered
