"""How fast agreement and consensus are beside other tools, as one table of ratios with targets.

Run from the repository root: ``python Testing/bench/bench_agreement.py [--slices 200]``. CPU time,
one thread each, candidates take turns in one run, medians. A tool that is not installed is named
and left out. A slow one does a part of the work and its time is multiplied; the table says so.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import resource
import statistics
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from MedPrepLib.agree import agree
from MedPrepLib.agree.surface import surfaces
from MedPrepLib.config.settings import Consensus
from MedPrepLib.consensus import majority_vote, multilabel_staple, staple
from MedPrepLib.geometry import Geometry
from MedPrepLib.segmentation import Segment, Segmentation

SPACING_MM = (0.8, 0.8, 2.0)
TOLERANCE_MM = 2.0
CAREFUL_MM, TYPICAL_MM = 1.2, 12.0
"""Standard deviations of a rater's border, at points 15 mm apart: large organs drawn with care
(Dice 0.99), and what four radiologists make of a lung nodule (Dice 0.8 to 0.9)."""
MEMORY_TARGET_MB = 120


# --- masks --------------------------------------------------------------------------------


def readings_of(labels, raters, slices, roughness_mm=CAREFUL_MM, seed=0):
    """Lumps on a lattice; every rater draws an own rough border around each of them."""
    shape = (slices, 512, 512)
    rng = np.random.default_rng(seed)
    maps = [np.zeros(shape, np.uint8) for _ in range(raters)]
    cells = 1 if labels == 1 else int(np.ceil(labels ** (1 / 3)))
    cell_mm = np.array(shape) * SPACING_MM[::-1] / cells
    for value in range(1, labels + 1):
        center = (np.array(np.unravel_index(value - 1, (cells,) * 3)) + 0.5) * cell_mm
        radii = np.minimum(cell_mm * rng.uniform(0.24, 0.4, 3), 110)
        form = rng.standard_normal((6, 6, 6)) * radii.min() * 0.1
        for labeled in maps:
            draw(labeled, center, radii, value, (form, roughness_mm), rng)
    return study(maps, labels)


def draw(labeled, center, radii, value, border, rng):
    """All in mm along (k, j, i). ``border``: how far it bulges, the same for all, and its sigma."""
    from scipy import ndimage

    spacing = np.array(SPACING_MM[::-1])
    low = np.maximum(np.floor((center - 1.25 * radii) / spacing).astype(int), 0)
    high = np.minimum(np.ceil((center + 1.25 * radii) / spacing).astype(int), labeled.shape)
    parts = zip(low, high, spacing, center, radii, strict=True)
    k, j, i = (((np.arange(a, b, dtype=np.float32) * s - c) / r) ** 2 for a, b, s, c, r in parts)
    outside = np.sqrt(k[:, None, None] + j[:, None] + i).astype(np.float32)
    outside = (outside - 1) * np.float32(radii.mean())
    grid = np.maximum((high - low) * spacing / 15, 2).astype(int)
    form, roughness_mm = border
    for bulge in (form, rng.standard_normal(grid) * roughness_mm):
        outside += ndimage.zoom(bulge.astype(np.float32), (high - low) / bulge.shape, order=1)
    labeled[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][outside < 0] = value


def study(maps, labels):
    size = tuple(reversed(maps[0].shape))
    segments = tuple(Segment(f"label {v}", v) for v in range(1, labels + 1))
    grid = Geometry(size, SPACING_MM)
    return {f"r{n}": Segmentation((m,), grid, segments) for n, m in enumerate(maps)}


def first_two(readings):
    return {rater: readings[rater] for rater in ("r0", "r1")}


def names_of(readings):
    return next(iter(readings.values())).names


# --- timing -------------------------------------------------------------------------------


def cpu_s(work):
    """CPU time of ``work`` and of the processes that it starts and waits for."""
    start = spent_s()
    work()
    return spent_s() - start


def spent_s():
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Table:
    """Rows of median CPU times: ours, a peer's, their ratio, and the ratio to reach."""

    def __init__(self, rounds, memory_target_mb=MEMORY_TARGET_MB):
        self.rounds, self.memory_target_mb = rounds, memory_target_mb
        print(f"{'':<44}{'MedPrep':>12}  {'peer':<30}{'':>12}{'ratio':>9}{'target':>9}")

    def row(self, what, ours, peers, part=""):
        """``peers``: (name, work, factor, target). Ours and theirs take turns, slow peers once."""
        mine, theirs = [], {name: [] for name, *_ in peers}
        cpu_s(ours)
        for turn in range(self.rounds):
            mine.append(cpu_s(ours))
            for name, work, factor, _ in peers:
                if turn == 0 or theirs[name][0] < 3 * factor:
                    theirs[name].append(cpu_s(work) * factor)
            mine.append(cpu_s(ours))
        own = statistics.median(mine)
        label = f"{what}{', ' + part if part else ''}"
        for name, _, factor, target in peers:
            other = statistics.median(theirs[name])
            shown = f"{name}{f' (1 of {factor:g} done)' if factor != 1 else ''}"
            met = "" if other / own >= target else "  missed"
            print(
                f"{label:<44}{own * 1e3:9.1f} ms  {shown:<30}{other * 1e3:9.0f} ms"
                f"{other / own:8.1f}x{target:8g}x{met}",
                flush=True,
            )
            label = ""
        if not peers:
            print(f"{label:<44}{own * 1e3:9.1f} ms", flush=True)

    def memory(self, what, work):
        """Peak of what ``work`` allocates, its result included."""
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        met = "" if peak <= self.memory_target_mb else "  missed"
        print(f"{what:<44}{peak:9.1f} MB{'':>54}<= {self.memory_target_mb} MB{met}", flush=True)


def peer(name):
    """The module of another tool; None, and a line, when it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed; its rows are left out (pip install '.[bench]')")
        return None


# --- rows ---------------------------------------------------------------------------------


def overlap_rows(table, sitk, labels, raters, slices, target):
    readings = readings_of(labels, raters, slices)
    names = names_of(readings)
    images = [sitk.GetImageFromArray(r.layers[0]) for r in readings.values()]
    pairs = list(itertools.combinations(images, 2))
    measured = pairs[:2]

    def overlaps():
        for a, b in measured:
            measures = sitk.LabelOverlapMeasuresImageFilter()
            measures.Execute(a, b)
            for value in range(1, labels + 1):
                measures.GetDiceCoefficient(value)

    name = "SimpleITK LabelOverlapMeasures"
    rows = [(name, overlaps, len(pairs) / len(measured), target)]
    table.row(f"Dice, {labels} label(s), {raters} raters", lambda: agree(readings, names), rows)
    table.memory("the same, extra memory", lambda: agree(readings, names))
    return readings


def monai_row(table, monai, slices):
    import torch

    torch.set_num_threads(1)
    readings = readings_of(5, 2, slices)
    names = names_of(readings)
    tensors = [torch.from_numpy(r.layers[0].copy())[None, None] for r in readings.values()]

    def with_monai():
        monai.compute_dice(*tensors, include_background=False, num_classes=len(names) + 1)

    rows = [("MONAI compute_dice", with_monai, 1, 150)]
    table.row("Dice, 5 labels, 2 raters", lambda: agree(readings, names), rows, f"{slices} slices")


def surface_rows(table, sitk, surface_distance, readings):
    names = names_of(readings)
    a, b = (r.layers[0] for r in readings.values())
    images = [sitk.GetImageFromArray(m) for m in (a, b)]
    for image in images:
        image.SetSpacing(SPACING_MM)
    flags = [m.astype(bool) for m in (a, b)]

    def ours():
        return surfaces(readings, names, TOLERANCE_MM)

    def with_elements():
        measured = surface_distance.compute_surface_distances(*flags, SPACING_MM[::-1])
        surface_distance.compute_robust_hausdorff(measured, 100)
        surface_distance.compute_robust_hausdorff(measured, 95)
        surface_distance.compute_average_surface_distance(measured)
        surface_distance.compute_surface_dice_at_tolerance(measured, TOLERANCE_MM)

    def hausdorff():
        sitk.HausdorffDistanceImageFilter().Execute(*images)

    rows = [("surface-distance", with_elements, 1, 12)] if surface_distance else []
    rows.append(("SimpleITK Hausdorff alone", hausdorff, 1, 70))
    table.row("HD, HD95, ASSD, NSD, 1 label", ours, rows)
    table.memory("the same, extra memory", ours)


def many_surfaces_rows(table, readings):
    names = names_of(readings)

    def ours():
        return surfaces(readings, names, TOLERANCE_MM)

    table.row(f"HD, HD95, ASSD, NSD, {len(names)} labels, 2 raters", ours, [])
    table.memory("the same, extra memory", ours)


def vote_rows(table, sitk, readings):
    names, values = names_of(readings), {s.name: s.value for s in readings["r0"].segments}
    images = [sitk.GetImageFromArray(r.layers[0]) for r in readings.values()]
    hashes = dict.fromkeys(readings, "")

    def ours():
        return majority_vote(readings, names, values, Consensus(), hashes)

    peers = [("SimpleITK LabelVoting", lambda: sitk.LabelVoting(images), 1, 20)]
    table.row(f"majority, {len(names)} label(s), {len(images)} raters", ours, peers)
    table.memory("the same, extra memory", ours)


def staple_rows(table, sitk, labels, slices, target, roughness_mm=CAREFUL_MM):
    readings = readings_of(labels, 8, slices, roughness_mm)
    names, values = names_of(readings), {s.name: s.value for s in readings["r0"].segments}
    images = [sitk.GetImageFromArray(r.layers[0]) for r in readings.values()]
    settings = Consensus(method="staple")

    def ours():
        if labels == 1:
            return staple(readings, names[0], settings).probability.array()
        return multilabel_staple(readings, names, values, settings)

    filter_ = sitk.STAPLE if labels == 1 else sitk.MultiLabelSTAPLE
    peers = [(f"SimpleITK {filter_.__name__}", lambda: filter_(images), 1, target)]
    mean = statistics.mean(row.mean_dice for row in agree(readings, names).labels)
    part = f"{slices} slices, Dice {mean:.2f}"
    table.row(f"STAPLE, {labels} label(s)", ours, peers, part)
    if labels == 1:
        table.row("the same, p and q alone", lambda: staple(readings, names[0], settings), [])
    table.memory("the same, extra memory", ours)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    sitk = importlib.import_module("SimpleITK")
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    monai, surface_distance = peer("monai.metrics"), peer("surface_distance")
    table = Table(given.rounds)
    for raters, target in ((2, 8), (8, 40)):
        many = overlap_rows(table, sitk, 104, raters, given.slices, target)
        if raters == 2:
            many_surfaces_rows(table, many)
    del many
    if monai is not None:
        monai_row(table, monai, min(25, given.slices))
    staple_rows(table, sitk, 5, min(50, given.slices), 200)
    for roughness_mm in (CAREFUL_MM, TYPICAL_MM):
        staple_rows(table, sitk, 1, min(100, given.slices), 120, roughness_mm)
    overlap_rows(table, sitk, 1, 2, given.slices, 30)
    one = overlap_rows(table, sitk, 1, 8, given.slices, 150)
    surface_rows(table, sitk, surface_distance, first_two(one))
    vote_rows(table, sitk, one)


if __name__ == "__main__":
    main()
