"""How fast the consensus is beside SimpleITK: CPU time, candidates interleaved, medians.

Run from the repository root: ``python Testing/bench/bench_consensus.py [--slices 200]``. The
readings are blobs (512 x 512 x slices) that each rater draws a little differently. SimpleITK's
threads are counted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from MedPrepLib.agree.chance import chance_agreement
from MedPrepLib.config.settings import Consensus
from MedPrepLib.consensus import (
    ProbabilityMap,
    consensus,
    majority_vote,
    multilabel_staple,
    soft_label,
    staple,
)
from MedPrepLib.geometry import Geometry
from MedPrepLib.segmentation import Segment, Segmentation

JITTER_VOXELS = 0.7
"""Standard deviation of centers and radii between raters."""


def blobs(shape, labels, raters, seed=0):
    """Label maps of ellipsoids on a lattice; with one label, one large ellipsoid."""
    rng = np.random.default_rng(seed)
    maps = [np.zeros(shape, np.uint8) for _ in range(raters)]
    cells = 1 if labels == 1 else int(np.ceil(labels ** (1 / 3)))
    cell = np.array(shape) / cells
    for value in range(1, labels + 1):
        place = np.array(np.unravel_index(value - 1, (cells,) * 3)) + 0.5
        radii = cell * rng.uniform(0.2, 0.42, 3)
        for labeled in maps:
            own = np.maximum(radii + rng.normal(0, JITTER_VOXELS, 3), 1.5)
            draw(labeled, place * cell + rng.normal(0, JITTER_VOXELS, 3), own, value)
    return maps


def draw(labeled, center, radii, value):
    low = np.maximum(np.floor(center - radii).astype(int), 0)
    high = np.minimum(np.ceil(center + radii).astype(int) + 1, labeled.shape)
    parts = zip(low, high, center, radii, strict=True)
    k, j, i = (((np.arange(a, b) - c) / r) ** 2 for a, b, c, r in parts)
    inside = k[:, None, None] + j[None, :, None] + i[None, None, :] < 1
    labeled[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][inside] = value


def cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def compare(name, ours, theirs, rounds, slow=False):
    """One line: median CPU times of candidates that take turns, and their ratio.

    A slow peer has one turn, in the middle of ours.
    """
    a, b = [], []
    for turn in range(rounds):
        a.append(cpu(ours))
        if not slow or turn == rounds // 2:
            b.append(cpu(theirs))
    a, b = statistics.median(a), statistics.median(b)
    print(f"{name:<46} {a * 1e3:9.1f} ms {b * 1e3:11.1f} ms {b / a:8.1f}x")


def alone(name, ours, rounds):
    value = statistics.median(cpu(ours) for _ in range(rounds))
    print(f"{name:<46} {value * 1e3:9.1f} ms {'-':>11}")


def study(maps, labels):
    size = tuple(reversed(maps[0].shape))
    segments = tuple(Segment(f"label {v}", v) for v in range(1, labels + 1))
    readings = {f"r{n}": Segmentation((m,), Geometry(size), segments) for n, m in enumerate(maps)}
    return readings, [s.name for s in segments], {s.name: s.value for s in segments}


def dense(probability: ProbabilityMap):
    return probability.array()


def bench(labels, raters, slices, rounds):
    import SimpleITK as sitk

    maps = blobs((slices, 512, 512), labels, raters)
    readings, names, values = study(maps, labels)
    hashes = dict.fromkeys(readings, "")
    images = [sitk.GetImageFromArray(m) for m in maps]
    what = f"{labels} label(s), {raters} raters, {slices} slices"
    weighed = Consensus(method="staple")
    compare(
        f"majority, {what}",
        lambda: majority_vote(readings, names, values, Consensus(), hashes),
        lambda: sitk.LabelVoting(images),
        rounds,
    )
    if labels == 1:
        compare(
            f"STAPLE with volume, {what}",
            lambda: dense(staple(readings, names[0], weighed).probability),
            lambda: sitk.STAPLE(images),
            rounds,
            slow=True,
        )
        alone("STAPLE p, q only", lambda: staple(readings, names[0], weighed), rounds)
        alone(
            "soft label with volume",
            lambda: dense(soft_label(readings, names[0], hashes).probability),
            rounds,
        )
    elif labels < 10:
        compare(
            f"multi-label STAPLE, {what}",
            lambda: multilabel_staple(readings, names, values, weighed),
            lambda: sitk.MultiLabelSTAPLE(images),
            rounds,
            slow=True,
        )
    else:
        alone("multi-label STAPLE", lambda: multilabel_staple(readings, names, values, weighed), 1)
    alone("kappa and alpha", lambda: chance_agreement(readings, names), 1)


def extra_memory(labels, raters, slices):
    """Megabytes that a STAPLE consensus needs beside its inputs, its label map included."""
    maps = blobs((slices, 512, 512), labels, raters)
    readings, names, values = study(maps, labels)
    hashes = dict.fromkeys(readings, "")
    tracemalloc.start()
    consensus(readings, names, values, Consensus(method="staple"), hashes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="*", default=[1, 5, 104])
    given = parser.parse_args()
    print(f"{'':<46} {'MedPrep':>12} {'SimpleITK':>14}")
    for labels in given.labels:
        bench(labels, 8, given.slices, given.rounds)
        extra = extra_memory(labels, 8, given.slices)
        print(f"{'STAPLE consensus, extra memory':<46} {extra:9.0f} MB")


if __name__ == "__main__":
    main()
