"""Raters against a reference: the consensus, or one of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.agree.pairs import agree, first_raters, pairs_kind, person
from MedPrepLib.config.settings import Agree
from MedPrepLib.errors import LabelError
from MedPrepLib.findings import Finding
from MedPrepLib.images import VoxelArray
from MedPrepLib.results import PairAgreement
from MedPrepLib.segmentation import Segment, Segmentation

Reading = TypeVar("Reading")

CONSENSUS = "consensus"
"""What the reference is called in the pairs; a rater of that name would be confused with it."""


def is_consensus(rater: str) -> bool:
    """True for a reading that goes by the name of the consensus, whether repeated or not."""
    return person(rater) == CONSENSUS


def first_readings(readings: Mapping[str, Reading]) -> dict[str, Reading]:
    """One reading per person, by rater: repeated readings ("ana@2") have no second voice."""
    return {rater: readings[rater] for rater in first_raters(readings)}


def against_consensus(
    readings: Mapping[str, Segmentation], label_map: VoxelArray, values: Mapping[str, int]
) -> tuple[PairAgreement, ...]:
    """Every rater against the consensus ``label_map`` (k, j, i), per label, by label and rater.

    ``values``: voxel value of each label. ``rater_b`` is always the consensus. Undecided voxels
    belong to no label. Raises LabelError when a rater is called "consensus".
    """
    if CONSENSUS in readings:
        raise LabelError(f"a rater is called {CONSENSUS!r}; rename the rater")
    if not readings:
        return ()
    geometry = next(iter(readings.values())).geometry
    everything = tuple(Segment(name, value) for name, value in values.items())
    reference = Segmentation((np.asarray(label_map),), geometry, everything)
    rows = []
    for rater in sorted(readings):
        pair = agree({rater: readings[rater], CONSENSUS: reference}, tuple(values)).pairs
        rows += [row if row.rater_b == CONSENSUS else turned(row) for row in pair]
    order = {label: number for number, label in enumerate(values)}
    return tuple(sorted(rows, key=lambda row: (order[row.label], row.rater_a)))


def judge_against(rows: Sequence[PairAgreement], settings: Agree, item: str) -> tuple[Finding, ...]:
    """LOW_AGREEMENT where a rater is below the threshold against the consensus.

    Only under the rule "consensus"; one finding per label, naming the farthest rater.
    """
    if settings.rule != "consensus":
        return ()
    lowest: dict[str, PairAgreement] = {}
    for row in rows:
        value = row.dice
        if value is not None and value < settings.threshold:
            before = lowest.get(row.label)
            if before is None or value < (before.dice or 0.0):
                lowest[row.label] = row
    return tuple(
        catalog.LOW_AGREEMENT.at(
            item,
            f"label {label!r}: Dice of {row.rater_a} against the consensus {row.dice:.3f} is "
            f"below {settings.threshold:g} (rule consensus)",
        )
        for label, row in lowest.items()
    )


def turned(row: PairAgreement) -> PairAgreement:
    """The same pair, seen from the other side."""
    return PairAgreement(
        label=row.label,
        rater_a=row.rater_b,
        rater_b=row.rater_a,
        outcome=row.outcome,
        dice=row.dice,
        voxels_a=row.voxels_b,
        voxels_b=row.voxels_a,
        intersection=row.intersection,
    )


class AgainstReference(NamedTuple):
    """A rater against a named reference; None where nothing was drawn to divide by."""

    label: str
    rater: str
    sensitivity: float | None
    """Part of the reference that the rater found: common / reference."""
    precision: float | None
    """Part of the rater's mask that is in the reference: common / rater."""


def against_reference(
    pairs: Sequence[PairAgreement], reference: str
) -> tuple[AgainstReference, ...]:
    """Sensitivity and precision of every other rater, from the pairs that hold ``reference``.

    Raises LabelError when no pair does. Repeated readings of the reference are left out.
    """
    rows = []
    for pair in pairs:
        row = pair if pair.rater_b == reference else turned(pair)
        if row.rater_b != reference or pairs_kind(row.rater_a, row.rater_b) == "intra":
            continue
        if row.outcome != "not annotated":
            rows.append(
                AgainstReference(
                    row.label,
                    row.rater_a,
                    row.intersection / row.voxels_b if row.voxels_b else None,
                    row.intersection / row.voxels_a if row.voxels_a else None,
                )
            )
    if not any(reference in (pair.rater_a, pair.rater_b) for pair in pairs):
        known = sorted({rater for pair in pairs for rater in (pair.rater_a, pair.rater_b)})
        raise LabelError(f"no rater {reference!r}; known: {', '.join(known)}")
    return tuple(rows)
