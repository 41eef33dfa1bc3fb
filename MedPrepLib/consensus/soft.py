"""Soft labels: how likely each voxel belongs to a structure, instead of yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib.consensus.census import Census, segment_census
from MedPrepLib.consensus.panel import Panel, panel
from MedPrepLib.consensus.record import make_record
from MedPrepLib.errors import LabelError
from MedPrepLib.results import ConsensusRecord
from MedPrepLib.segmentation import Segmentation

FloatTable = npt.NDArray[np.float64]

CERTAIN = 1e-7
"""STAPLE's stop rule leaves its parameters undetermined by this much; less says nothing."""


@dataclass(frozen=True, eq=False)
class ProbabilityMap:
    """A probability per voxel, kept as one number for each combination of votes.

    ``table`` (T,): the probability of each row of the ``census``. A few megabytes where the
    volume itself would take four bytes per voxel.
    """

    census: Census
    table: FloatTable

    def array(self) -> npt.NDArray[np.float32]:
        """The whole volume, float32 (k, j, i).

        Probabilities within CERTAIN of 0 or 1 are stored as 0 or 1. Most of a volume is certain
        background, which then takes neither time nor memory until it is touched.
        """
        table = np.where(self.table < CERTAIN, 0.0, self.table)
        table = np.where(table > 1 - CERTAIN, 1.0, table)
        return self.census.painted(table.astype(np.float32))


@dataclass(frozen=True, eq=False)
class SoftLabel:
    """The probability of one label and how it was made."""

    probability: ProbabilityMap
    record: ConsensusRecord


def soft_label(
    readings: Mapping[str, Segmentation], label: str, hashes: Mapping[str, str] | None = None
) -> SoftLabel:
    """The part of raters who drew the label, out of those who annotated it: votes / voters.

    The record's ``raters`` are those voters and ``tied_voxels`` the voxels at exactly one half.
    Raises GeometryError without readings or on different grids, LabelError when nobody annotated
    the label.
    """
    made = annotated_panel(readings, label)
    census = segment_census(made, label)
    votes = census.rows.sum(axis=1, dtype=np.int64)
    voters = len(made.raters)
    tied = int(census.counts[2 * votes == voters].sum())
    return SoftLabel(
        ProbabilityMap(census, votes / voters), make_record(made, "soft vote", tied, hashes)
    )


def annotated_panel(
    readings: Mapping[str, Segmentation], label: str, ties: str = "background"
) -> Panel:
    """The panel of those who annotated the label; LabelError when nobody did."""
    everyone = panel(readings, (label,), {label: 1}, ties)
    voters = everyone.annotators(label)
    if not voters:
        raise LabelError(f"nobody annotated {label!r}")
    return panel({rater: readings[rater] for rater in voters}, (label,), {label: 1}, ties)
