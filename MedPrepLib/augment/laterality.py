"""Flips that do not make a left kidney of a right one without saying so."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import LabelError
from MedPrepLib.images import VoxelArray
from MedPrepLib.labels import LabelSchema

LEFT_RIGHT = "left-right"
PATIENT_AXES = (LEFT_RIGHT, "anterior-posterior", "inferior-superior")
"""In the order of LPS."""

_SIDES = {
    *("left", "right", "l", "r", "lt", "rt", "lh", "rh"),
    *("sinister", "sinistra", "sinistro", "sin", "sx"),
    *("dexter", "dextra", "destra", "destro", "dex", "dx"),
    *("links", "linke", "linker", "linkes", "linken"),
    *("rechts", "rechte", "rechter", "rechtes", "rechten"),
    *("gauche", "droit", "droite", "izquierdo", "izquierda", "derecho", "derecha"),
    *("lul", "lll", "rul", "rml", "rll"),
}
"""Words for one side in names of labels; the last are lobes of the lungs."""
_SEAMS = re.compile(r"[\W_]+|(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][^\W\d_A-Z])")
"""Where one word of a name ends and another begins, also in lungLeft and RLung."""


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
    words = [word.lower() for word in _SEAMS.split(name)]
    # Left2 has a side, the vertebra L5 none.
    numbered = [word.rstrip("0123456789") for word in words]
    return any(word in _SIDES for word in (*words, *(n for n in numbered if len(n) > 1)))


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
