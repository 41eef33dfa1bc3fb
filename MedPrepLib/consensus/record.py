"""A consensus, how it was made, and the hash that tells whether a reading has changed since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from MedPrepLib.consensus.panel import Panel
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import VoxelArray
from MedPrepLib.results import ConsensusRecord, RaterPerformance
from MedPrepLib.segmentation import Segmentation
from MedPrepLib.words import as_label_maps, as_words, runs, tail

HASH_DIGITS = 6
"""Decimals of millimeters that count in a reading's hash: below any rounding that matters."""

SINGLE = "single reader"
"""The method of a consensus of one."""


@dataclass(frozen=True, eq=False)
class Consensus:
    """``label_map`` (k, j, i): one value of the schema per voxel, uint8 or uint16.

    Under the tie rule "undecided" tied voxels hold the record's ``ignore_value``.
    """

    label_map: VoxelArray
    record: ConsensusRecord


def make_record(
    panel: Panel,
    method: str,
    tied: int,
    hashes: Mapping[str, str] | None,
    performance: tuple[RaterPerformance, ...] = (),
    converged: bool | None = None,
) -> ConsensusRecord:
    """The record of a consensus; ``hashes`` (rater to :func:`reading_hash`) saves time."""
    known = hashes or {}
    inputs = {
        rater: known[rater] if rater in known else reading_hash(reading)
        for rater, reading in zip(panel.raters, panel.readings, strict=True)
    }
    return ConsensusRecord(
        method=SINGLE if len(panel.raters) == 1 else method,
        raters=panel.raters,
        tie_rule=panel.rule.recorded(panel.raters),
        tied_voxels=tied,
        inputs=inputs,
        ignore_value=panel.rule.ignore,
        performance=performance,
        converged=converged,
        annotated=tuple(label for label in panel.labels if panel.annotators(label)),
    )


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
    for part in (starts, words[starts], tail(flat)):
        digest.update(part.data if part.size else b"")
    return digest.hexdigest()


def _grid_numbers(geometry: Geometry) -> list[list[float]]:
    groups = (geometry.size, geometry.spacing, geometry.origin, geometry.direction)
    return [[round(float(v), HASH_DIGITS) + 0.0 for v in group] for group in groups]
