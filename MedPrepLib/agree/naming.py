"""Labels under another name: the structure that one rater calls X and another one Y."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from MedPrepLib.joint import JointCounts, joint_counts
from MedPrepLib.segmentation import Segmentation
from MedPrepLib.words import CountArray


@dataclass(frozen=True, slots=True)
class LookAlike:
    """The segment ``name`` of another reading, and its Dice with the label it was compared to."""

    name: str
    dice: float


@dataclass(frozen=True, eq=False)
class CrossLabels:
    """Overlap of any label of one reading with any label of another, from one joint count."""

    readings: Mapping[str, Segmentation]
    columns: Mapping[tuple[str, int], int]
    counted: JointCounts
    volumes: tuple[CountArray, ...]
    """Voxels per value of every column."""

    def look_alike(self, drawn_by: str, label: str, other: str) -> LookAlike | None:
        """The label of ``other`` that is most like ``label`` of ``drawn_by``, if not that one.

        None when ``drawn_by`` drew nothing or no label of another name shares a voxel with it.
        """
        segment = self.readings[drawn_by].find(label)
        if segment is None:
            return None
        here = self.counted.tuples[:, self.columns[drawn_by, segment.layer]] == segment.value
        counts = self.counted.counts[here]
        own = int(counts.sum())
        best: LookAlike | None = None
        for candidate in self.readings[other].segments:
            if candidate.name == label:
                continue
            column = self.columns[other, candidate.layer]
            common = int(counts[self.counted.tuples[here, column] == candidate.value].sum())
            theirs = _at(self.volumes[column], candidate.value)
            dice = 2 * common / (own + theirs) if common else 0.0
            if dice > (best.dice if best else 0.0):
                best = LookAlike(candidate.name, dice)
        return best


def cross_labels(readings: Mapping[str, Segmentation]) -> CrossLabels:
    """Count which labels of all readings (on one grid) meet."""
    places = [(rater, n) for rater in sorted(readings) for n in range(len(readings[rater].layers))]
    counted = joint_counts([readings[rater].layers[layer] for rater, layer in places])
    volumes = tuple(
        np.bincount(column, weights=counted.counts).astype(np.int64) for column in counted.tuples.T
    )
    return CrossLabels(readings, {place: n for n, place in enumerate(places)}, counted, volumes)


def _at(counts: CountArray, value: int) -> int:
    return int(counts[value]) if value < counts.size else 0
