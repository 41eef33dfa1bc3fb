"""A consensus of segments that may overlap: each is decided alone, then they are stacked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from MedPrepLib.consensus.census import Census, segment_census
from MedPrepLib.consensus.panel import BoolArray, Panel
from MedPrepLib.consensus.ties import map_type
from MedPrepLib.images import VoxelArray

Choice = tuple[BoolArray, BoolArray]
"""Per row of a segment's census: whether it belongs to the segment, and whether that is a tie."""


def stacked(made: Panel, choose: Callable[[str, Census], Choice]) -> tuple[VoxelArray, int]:
    """The label map of all segments and the number of ties, summed over segments.

    A segment lies above all those with lower values, and so does its ignore value: a voxel that
    may or may not belong to the topmost segment is undecided.
    """
    dtype = map_type(made.values)
    merged: VoxelArray | None = None
    total = 0
    for label, value in made.values.items():
        voters = made.annotators(label)
        if not voters:
            continue
        census = segment_census(made, label)
        inside, tied = choose(label, census)
        breaker = made.rule.column(voters)
        own = 0 if breaker is None else census.rows[tied, breaker] * value
        table = np.where(inside, value, 0).astype(dtype)
        table[tied] = made.rule.settle(np.full(np.count_nonzero(tied), value), own)
        painted = census.painted(table)
        merged = painted if merged is None else _above(merged, painted)
        total += int(census.counts[tied].sum())
    return np.zeros(made.shape, dtype) if merged is None else merged, total


def _above(below: VoxelArray, painted: VoxelArray) -> VoxelArray:
    """``below``, changed where something is painted; slice by slice, to need no volume for it."""
    for under, over in zip(below, painted, strict=True):
        np.copyto(under, over, where=over > 0)
    return below
