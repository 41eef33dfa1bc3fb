"""The raters of a consensus, and their maps with the values of the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from MedPrepLib.agree.pairs import require_one_grid
from MedPrepLib.consensus.ties import TieRule, tie_rule
from MedPrepLib.errors import GeometryError, LabelError
from MedPrepLib.geometry import Index
from MedPrepLib.images import VoxelArray
from MedPrepLib.joint import value_counts
from MedPrepLib.labels import MAX_LABEL_VALUE
from MedPrepLib.segmentation import Segmentation

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Panel:
    """Raters in order of name with their readings, labels in order of value, and the tie rule."""

    raters: tuple[str, ...]
    readings: tuple[Segmentation, ...]
    values: dict[str, int]
    rule: TieRule

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in order of value."""
        return tuple(self.values)

    @property
    def shape(self) -> Index:
        """The shape (k, j, i) of every map."""
        return self.readings[0].geometry.shape

    @property
    def overlapping(self) -> bool:
        """Whether segments may overlap: some reading keeps them in several layers."""
        return any(
            len({s.layer for s in reading.segments if s.name in self.values}) > 1
            for reading in self.readings
        )

    def voters(self) -> BoolArray:
        """Who annotated the label of each value: (highest value + 1, raters)."""
        table = np.zeros((max(self.values.values(), default=0) + 1, len(self.raters)), np.bool_)
        for label, value in self.values.items():
            table[value] = [reading.find(label) is not None for reading in self.readings]
        return table

    def maps(self) -> list[VoxelArray]:
        """The layers of readings without overlaps, with the schema's values.

        Values that no reading of the panel declares may remain (see :func:`declared`); those that
        only other readings declare are background.
        """
        voters = self.voters()
        known: BoolArray = np.asarray(voters.any(axis=1), dtype=np.bool_)
        return [
            _own_layer(_schema_layer(reading, self.values), known & ~own)
            for reading, own in zip(self.readings, voters.T, strict=True)
        ]

    def annotators(self, label: str) -> tuple[str, ...]:
        """Those who annotated the label."""
        pairs = zip(self.raters, self.readings, strict=True)
        return tuple(rater for rater, reading in pairs if reading.find(label) is not None)


def panel(
    readings: Mapping[str, Segmentation],
    labels: Sequence[str],
    values: Mapping[str, int],
    ties: str,
) -> Panel:
    """The panel for a consensus of readings on one grid.

    Raises GeometryError without readings or on different grids, LabelError for a label without
    a value, or with the value that the tie rule needs.
    """
    if not readings:
        raise GeometryError("a consensus needs at least one reading")
    require_one_grid(readings)
    missing = [label for label in labels if label not in values]
    if missing:
        raise LabelError(f"no value is given for {', '.join(missing)}")
    raters = tuple(sorted(readings))
    wanted = {label: values[label] for label in sorted(labels, key=lambda label: values[label])}
    ordered = tuple(readings[rater] for rater in raters)
    return Panel(raters, ordered, wanted, tie_rule(ties, wanted))


def declared(labels: VoxelArray, known: BoolArray) -> VoxelArray:
    """The labels with 0 for every value that is not ``known`` (table by value); a view if none."""
    if known.all() and (labels.size == 0 or int(labels.max()) < known.size):
        return labels
    table = np.zeros(np.iinfo(labels.dtype).max + 1, dtype=labels.dtype)
    values = np.flatnonzero(known)[: table.size]
    table[values] = values
    present = table[labels]
    return present if (present != labels).any() else labels


def _own_layer(layer: VoxelArray, foreign: BoolArray) -> VoxelArray:
    """The layer with 0 for the values of ``foreign`` (table by value); itself if it has none."""
    strange = [value for value in np.flatnonzero(foreign).tolist() if value]
    if not strange or value_counts(layer).keys().isdisjoint(strange):
        return layer
    known = np.ones(int(layer.max()) + 1, dtype=np.bool_)
    known[[value for value in strange if value < known.size]] = False
    return declared(layer, known)


def _schema_layer(reading: Segmentation, values: Mapping[str, int]) -> VoxelArray:
    """The layer of a reading without overlaps, with the schema's values (a view if it has them).

    Voxels of other segments become background; values that it does not declare may remain.
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
