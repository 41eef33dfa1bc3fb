"""Slices that are not evenly spaced: where, and the longest run that is."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.stack import FloatArray, Stack, usual_step_mm
from MedPrepLib.findings import Finding


def even_part(stack: Stack, item: str, settings: Screen) -> tuple[Stack, list[Finding]]:
    """(the stack itself, nothing) where its spacing is even; else its longest even run, and why.

    The run is what is used where a person accepts the gap: nothing is stretched or invented. Of
    equally long runs it is the first. ``stack`` has at least two slices at different heights.
    """
    heights = stack.heights_mm - stack.heights_mm[0]
    usual = usual_step_mm(heights)
    limit = settings.gap_tolerance * usual
    problem = _problem(heights, usual, limit)
    if not problem:
        return stack, []
    start, stop = _longest_run(heights, usual, limit)
    if stop - start > 1:
        problem += (
            f"; accepting it means to use slices {start + 1} to {stop} of {len(heights)}, the "
            f"longest even run, and to leave {len(heights) - (stop - start)} out"
        )
    run = slice(start, stop)
    used = replace(
        stack,
        headers=stack.headers[run],
        heights_mm=stack.heights_mm[run],
        positions_mm=stack.positions_mm[run],
    )
    return used, [catalog.SLICE_GAP.at(item, problem)]


def _problem(heights: FloatArray, usual: float, limit: float) -> str:
    """The worst step or the worst place; empty when spacing is even. Heights begin at 0."""
    steps = np.diff(heights)
    wrong = np.flatnonzero(np.abs(steps - usual) > limit)
    if len(wrong):
        at = int(wrong[np.abs(steps[wrong] - usual).argmax()])
        missing = round(float(steps[at]) / usual) - 1
        lost = f"; {missing} missing there" if missing > 0 else ""
        more = f"; {len(wrong)} such places" if len(wrong) > 1 else ""
        return (
            f"slices {at + 1} and {at + 2} of {len(heights)} are {steps[at]:.3f} mm apart "
            f"({heights[at]:.2f} to {heights[at + 1]:.2f} mm from the first), usual is "
            f"{usual:.3f} mm with a tolerance of {limit:.3f} mm{lost}{more}"
        )
    drift = np.abs(heights - np.linspace(0.0, heights[-1], len(heights)))
    at = int(drift.argmax())
    if drift[at] <= limit:
        return ""
    return (
        f"slice {at + 1} of {len(heights)} lies {drift[at]:.3f} mm from where even spacing "
        f"would put it ({heights[at]:.2f} mm from the first), tolerance {limit:.3f} mm"
    )


def _longest_run(heights: FloatArray, usual: float, limit: float) -> tuple[int, int]:
    """First and one past the last slice of the longest run without a wrong step or a drift."""
    wrong = np.flatnonzero(np.abs(np.diff(heights) - usual) > limit) + 1
    ends = [0, *(int(n) for n in wrong), len(heights)]
    runs = sorted(pairwise(ends), key=lambda r: (r[0] - r[1], r[0]))
    best = (0, 1)
    for start, stop in runs:
        if stop - start <= best[1] - best[0]:
            break
        first, last = _without_drift(heights[start:stop], limit)
        if last - first > best[1] - best[0]:
            best = (start + first, start + last)
    return best


def _without_drift(heights: FloatArray, limit: float) -> tuple[int, int]:
    """The longest window whose slices all lie where even spacing between its ends puts them."""
    for length in range(len(heights), 1, -1):
        windows = np.lib.stride_tricks.sliding_window_view(heights, length)
        first, last = windows[:, :1], windows[:, -1:]
        even = first + (last - first) * np.linspace(0.0, 1.0, length)
        good = np.flatnonzero(np.abs(windows - even).max(axis=1) <= limit)
        if len(good):
            return int(good[0]), int(good[0]) + length
    return 0, 1
