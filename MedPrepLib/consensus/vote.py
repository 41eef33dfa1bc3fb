"""One reading out of several: a vote whose tie rule is explicit and recorded.

Where labels exclude each other (every reading in one layer) a voxel gets the label with the most
votes. Where segments may overlap each segment is voted on alone and needs a strict majority. A
rater who did not annotate a label does not vote on it, neither for nor against. No label comes
out that nobody drew there, and nothing depends on the order of the raters.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from MedPrepLib.agree.pairs import require_one_grid
from MedPrepLib.config import settings as study
from MedPrepLib.errors import GeometryError, LabelError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import VoxelArray
from MedPrepLib.joint import (
    as_label_maps,
    as_words,
    differing_words,
    number_rows,
    runs,
    value_counts,
)
from MedPrepLib.labels import MAX_LABEL_VALUE
from MedPrepLib.results import ConsensusRecord
from MedPrepLib.segmentation import Segmentation

IntArray = npt.NDArray[np.int64]
Tuples = npt.NDArray[np.uint16]
Decision = tuple[npt.NDArray[np.uint16], npt.NDArray[np.bool_]]
"""The winning values (T,) of rows of votes (T, R), and which of them were ties (T,)."""

HASH_DIGITS = 6
"""Decimals of millimeters that count in a reading's hash: below any rounding that matters."""


@dataclass(frozen=True, eq=False)
class Consensus:
    """``label_map`` (k, j, i): one value of the schema per voxel, uint8 or uint16."""

    label_map: VoxelArray
    record: ConsensusRecord


@dataclass(frozen=True, eq=False)
class _Ballot:
    """What decides a joint vote.

    ``voters`` (V, R): whether rater R annotated the label with value V. ``rater``: the column
    that breaks ties, if one does.
    """

    voters: npt.NDArray[np.bool_]
    ties: str
    rater: int | None


def majority_vote(
    readings: Mapping[str, Segmentation],
    labels: Sequence[str],
    values: Mapping[str, int],
    settings: study.Consensus,
    hashes: Mapping[str, str] | None = None,
) -> Consensus:
    """The consensus of readings on one grid, with the schema's ``values`` per label.

    Joint vote: a label wins with strictly more votes than any other label and than background
    (counted over those who annotated that label). Per segment: strictly more than half of those
    who annotated it; where winners overlap the higher value is stored. Ties go to background, to
    the tied label (the lowest value if several tie), or as the named rater drew them if that is
    one of the tied outcomes, else to background. A single reading is taken as it is.
    ``hashes`` (rater to :func:`reading_hash`) saves computing them again for the record.

    Raises GeometryError without readings or on different grids, LabelError for a label without
    a value.
    """
    if not readings:
        raise GeometryError("a consensus needs at least one reading")
    require_one_grid(readings)
    missing = [label for label in labels if label not in values]
    if missing:
        raise LabelError(f"no value is given for {', '.join(missing)}")
    raters = sorted(readings)
    wanted = sorted(labels, key=lambda label: values[label])
    values = {label: values[label] for label in wanted}
    ordered = [readings[rater] for rater in raters]
    if any(len({s.layer for s in r.segments if s.name in values}) > 1 for r in ordered):
        label_map, tied = _vote_per_segment(readings, wanted, values, settings.ties)
    else:
        label_map, tied = _vote_jointly(ordered, raters, wanted, values, settings.ties)
    inputs = hashes or {rater: reading_hash(readings[rater]) for rater in raters}
    return Consensus(label_map, _record(inputs, settings, tied))


def reading_hash(segmentation: Segmentation) -> str:
    """SHA-256 (hex) over grid, names, values and voxels; it changes when the reading changes.

    The order of segments and layers, the integer type and unused margins do not matter.
    """
    layers = [_layer_digest(layer) for layer in segmentation.layers]
    segments = sorted((s.name, s.value, layers[s.layer]) for s in segmentation.segments)
    text = json.dumps([_grid_numbers(segmentation.geometry), segments])
    return hashlib.sha256(text.encode()).hexdigest()


def _layer_digest(layer: VoxelArray) -> str:
    """SHA-256 of the runs of equal words: what changes along the map, and where."""
    (flat,) = as_label_maps([layer])
    if flat.itemsize > 1 and int(flat.max()) <= np.iinfo(np.uint8).max:
        flat = flat.astype(np.uint8)
    words = as_words(flat)
    starts, _ = runs(words)
    digest = hashlib.sha256(flat.dtype.str.encode())
    for part in (starts, words[starts], flat[words.size * (8 // flat.itemsize) :]):
        digest.update(part.data if part.size else b"")
    return digest.hexdigest()


def _grid_numbers(geometry: Geometry) -> list[list[float]]:
    groups = (geometry.size, geometry.spacing, geometry.origin, geometry.direction)
    return [[round(float(v), HASH_DIGITS) + 0.0 for v in group] for group in groups]


def _record(inputs: Mapping[str, str], settings: study.Consensus, tied: int) -> ConsensusRecord:
    raters = tuple(sorted(inputs))
    named = settings.ties.removeprefix("rater:")
    absent = named != settings.ties and named not in inputs
    return ConsensusRecord(
        method="single reader" if len(raters) == 1 else settings.method,
        raters=raters,
        tie_rule=f"{settings.ties} (absent: background)" if absent else settings.ties,
        tied_voxels=tied,
        inputs={rater: inputs[rater] for rater in raters},
    )


def _vote_jointly(
    ordered: Sequence[Segmentation],
    raters: Sequence[str],
    labels: Sequence[str],
    values: Mapping[str, int],
    ties: str,
) -> tuple[VoxelArray, int]:
    highest = max((values[label] for label in labels), default=0)
    voters = np.zeros((highest + 1, len(ordered)), dtype=np.bool_)
    for label in labels:
        voters[values[label]] = [reading.find(label) is not None for reading in ordered]
    breaker = next((c for c, rater in enumerate(raters) if ties == f"rater:{rater}"), None)
    ballot = _Ballot(voters, ties, breaker)
    maps = [_schema_layer(reading, values) for reading in ordered]
    label_map, tied = _patched(maps, partial(_winners, ballot=ballot))
    stray = set(value_counts(label_map)) - set(values.values()) - {0}
    if stray:  # values that no segment declares, where all raters agree on them
        label_map = np.where(np.isin(label_map, list(stray)), 0, label_map)
    return label_map.astype(np.min_scalar_type(highest), copy=False), tied


def _schema_layer(reading: Segmentation, values: Mapping[str, int]) -> VoxelArray:
    """The layer of a reading without overlaps, with the schema's values (a view if it has them).

    Voxels of other segments become background; undeclared values may remain.
    """
    wanted = [s for s in reading.segments if s.name in values]
    if not wanted:
        return np.zeros(reading.geometry.shape, dtype=np.uint8)
    layer = reading.layers[wanted[0].layer]
    shared = [s for s in reading.segments if s.layer == wanted[0].layer]
    if all(values.get(s.name) == s.value for s in shared):
        return layer
    highest = max(values[s.name] for s in wanted)
    lookup = np.zeros(MAX_LABEL_VALUE + 1, dtype=np.min_scalar_type(highest))
    for segment in wanted:
        lookup[segment.value] = values[segment.name]
    return lookup[layer]


def _patched(
    maps: Sequence[VoxelArray], decide: Callable[[Tuples], Decision]
) -> tuple[VoxelArray, int]:
    """A copy of the first map in which every voxel that the maps differ on is decided anew."""
    flat = as_label_maps(maps)
    voted = flat[0].copy()
    words = as_words(voted)
    covered = words.size * (8 // voted.itemsize)
    tied = 0
    for places, gathered in differing_words([as_words(m) for m in flat]):
        chosen, count = _decided([word.view(voted.dtype) for word in gathered], decide)
        words[places] = chosen.astype(voted.dtype).view(np.uint64)
        tied += count
    chosen, count = _decided([m[covered:] for m in flat], decide)
    voted[covered:] = chosen
    return voted.reshape(maps[0].shape), tied + count


def _decided(
    columns: Sequence[npt.NDArray[np.unsignedinteger]], decide: Callable[[Tuples], Decision]
) -> tuple[npt.NDArray[np.uint16], int]:
    rows, code = number_rows(columns)
    winners, ties = decide(rows)
    return winners[code], int(np.count_nonzero(ties[code]))


def _winners(rows: Tuples, ballot: _Ballot) -> Decision:
    """The winning value of every row of votes (T, R), and which rows were ties."""
    rows = np.where(rows < len(ballot.voters), rows, 0)
    declared = np.asarray(ballot.voters.any(axis=1), dtype=np.bool_)
    rows = np.where(declared[rows], rows, 0)
    values = np.ascontiguousarray(rows.T)
    votes: IntArray = np.array([(values == own).sum(axis=0) for own in values])
    empty: IntArray = np.array([((rows == 0) & ballot.voters[own]).sum(axis=1) for own in values])
    eligible = (values > 0) & (votes >= empty)
    best = np.where(eligible, votes, 0).max(axis=0)
    leading = eligible & (votes == best)
    lowest = np.where(leading, values, MAX_LABEL_VALUE).min(axis=0)
    highest = np.where(leading, values, 0).max(axis=0)
    level = (leading & (votes == empty)).any(axis=0)
    tied: npt.NDArray[np.bool_] = (best > 0) & ((lowest != highest) | level)
    winner = np.where(best > 0, lowest, 0)
    if ballot.rater is not None:
        winner[tied] = np.where(leading[ballot.rater], values[ballot.rater], 0)[tied]
    elif ballot.ties != "foreground":
        winner[tied] = 0
    return winner.astype(np.uint16), tied


def _vote_per_segment(
    readings: Mapping[str, Segmentation],
    labels: Sequence[str],
    values: Mapping[str, int],
    ties: str,
) -> tuple[VoxelArray, int]:
    shape = next(iter(readings.values())).geometry.shape
    merged = np.zeros(shape, dtype=np.min_scalar_type(max(values[label] for label in labels)))
    total = 0
    for label in labels:  # ascending values: a later, higher one overwrites
        voters = [r for r in sorted(readings) if readings[r].find(label) is not None]
        if not voters:
            continue
        masks = [readings[rater].mask(label).view(np.uint8) for rater in voters]
        breaker = next((c for c, rater in enumerate(voters) if ties == f"rater:{rater}"), None)
        voted, tied = _patched(masks, partial(_majority, ties=ties, breaker=breaker))
        merged[voted.view(np.bool_)] = values[label]
        total += tied
    return merged, total


def _majority(rows: Tuples, ties: str, breaker: int | None) -> Decision:
    """Strict majority of 0/1 votes (T, R), with ties by the rule."""
    twice = 2 * rows.sum(axis=1, dtype=np.int64)
    tied = np.asarray(twice == rows.shape[1], dtype=np.bool_)
    chosen = (twice > rows.shape[1]).astype(np.uint16)
    if ties == "foreground":
        chosen[tied] = 1
    elif breaker is not None:
        chosen[tied] = rows[tied, breaker]
    return chosen, tied
