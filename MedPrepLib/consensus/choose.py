"""The front door: one consensus of several readings, by the method of the study file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from MedPrepLib.config import settings as study
from MedPrepLib.consensus.census import Census
from MedPrepLib.consensus.multilabel import fit_panel
from MedPrepLib.consensus.panel import Panel, panel
from MedPrepLib.consensus.record import Consensus, make_record
from MedPrepLib.consensus.stack import Choice, stacked
from MedPrepLib.consensus.staple import Estimate, estimate
from MedPrepLib.consensus.vote import majority_vote
from MedPrepLib.results import RaterPerformance
from MedPrepLib.segmentation import Segmentation


def consensus(
    readings: Mapping[str, Segmentation],
    labels: Sequence[str],
    values: Mapping[str, int],
    settings: study.Consensus,
    hashes: Mapping[str, str] | None = None,
) -> Consensus:
    """The consensus of readings on one grid by ``settings.method``, and the record of it.

    "majority": :func:`majority_vote`. "staple": one label, or segments that may overlap, are
    estimated one by one (binary STAPLE, inside from a probability of one half, exactly one half is
    a tie; a segment lies above those with lower values); several labels that exclude each other
    are estimated together (multi-label STAPLE). The record holds each rater's sensitivity and
    specificity per label. A single reading is taken as it is.

    Raises GeometryError without readings or on different grids, LabelError for a label without
    a value, or with the value that undecided voxels need.
    """
    if settings.method == "majority" or len(readings) < 2:
        return majority_vote(readings, labels, values, settings, hashes)
    made = panel(readings, labels, values, settings.ties)
    if made.overlapping or len(made.values) == 1:
        return _per_segment(made, settings, hashes)
    fit = fit_panel(made, settings)
    record = make_record(made, "staple", fit.tied, hashes, fit.performance, fit.converged)
    return Consensus(fit.label_map, record)


def _per_segment(
    made: Panel, settings: study.Consensus, hashes: Mapping[str, str] | None
) -> Consensus:
    estimates: dict[str, Estimate] = {}

    def choose(label: str, census: Census) -> Choice:
        found = estimates[label] = estimate(census, settings)
        return np.asarray((found.inside > 0.5) & ~found.tied, dtype=np.bool_), found.tied

    label_map, tied = stacked(made, choose)
    performance = tuple(
        RaterPerformance(label, rater, p, q)
        for label, found in estimates.items()
        for rater, p, q in zip(
            made.annotators(label), found.sensitivity, found.specificity, strict=True
        )
    )
    converged = all(found.converged for found in estimates.values())
    return Consensus(label_map, make_record(made, "staple", tied, hashes, performance, converged))
