"""Flips that do not make a left kidney of a right one without saying so."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import LabelError
from MedPrepLib.images import VoxelArray
from MedPrepLib.labels import LabelSchema
from MedPrepLib.sides import sides_in

LEFT_RIGHT = "left-right"
PATIENT_AXES = (LEFT_RIGHT, "anterior-posterior", "inferior-superior")
"""In the order of LPS."""


def require_partners(schema: LabelSchema) -> None:
    """LabelError when a label sounds like one side of the body and names no partner.

    Flipped, it would be the other side under the same name.
    """
    alone = [label.name for label in schema if not label.partner and _sided(label.name)]
    if alone:
        raise LabelError(
            f"left-right flips are refused: label {alone[0]!r} is of one side and has no partner; "
            "name the label of the other side in [labels], or leave the flip out"
        )


def _sided(name: str) -> bool:
    return bool(sides_in(name) - {"both"})


def swapped_values(schema: LabelSchema) -> dict[int, int]:
    """Value of each paired label -> value of its partner."""
    pairs = {x.value: schema.named(x.partner).value for x in schema if x.partner is not None}
    return {value: other for value, other in pairs.items() if value != other}


def swapped(values: VoxelArray, pairs: dict[int, int]) -> VoxelArray:
    """Label values of any shape with partners exchanged; a new array."""
    result = values.copy()
    for value, other in pairs.items():
        result[values == value] = other
    return result


def swapped_columns(schema: LabelSchema) -> list[int]:
    """For each label in schema order, the column of its partner (its own without one)."""
    columns = {label.name: n for n, label in enumerate(schema)}
    return [columns[label.partner or label.name] for label in schema]


def array_axis(axes_mm: npt.NDArray[Any], patient_axis: str) -> int:
    """The array axis that runs most nearly along an axis of the patient.

    ``axes_mm``: as field.coordinates. Every patient axis gets an array axis of its own, also on
    oblique grids.
    """
    cosines = np.abs(axes_mm / np.linalg.norm(axes_mm, axis=0))
    taken: dict[int, int] = {}
    for flat in np.argsort(-cosines, axis=None, kind="stable").tolist():
        world, axis = divmod(flat, 3)
        if world not in taken and axis not in taken.values():
            taken[world] = axis
    return taken[PATIENT_AXES.index(patient_axis)]
