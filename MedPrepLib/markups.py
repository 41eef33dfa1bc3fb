"""3D Slicer's markups files (.mrk.json): boxes that were drawn as ROI, read and written.

Format: Slicer's ``markups-schema-v1.0.3.json`` (and every other 1.x), ``"type": "ROI"``. The
``orientation`` holds nine numbers in row-major order whose columns are the axes of the box in the
file's own coordinate system. Slicer writes no name into the file: what the user sees in the data
tree becomes the file's name, and the labels of the control points (``tumor-1``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from MedPrepLib import catalog
from MedPrepLib.atomic import write_bytes
from MedPrepLib.boxes import WorldBox
from MedPrepLib.errors import GeometryError
from MedPrepLib.formats.faults import FileFaultError, file_size, opening
from MedPrepLib.geometry import IDENTITY_DIRECTION, LPS_TO_RAS, FloatArray, Triple

SUFFIX = ".mrk.json"
SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/"
    "Schema/markups-schema-v1.0.3.json#"
)
MAX_BYTES = 64 << 20
"""Of a markups file; a box takes about 1 KB."""

MAX_MARKUPS = 2000
"""In one file; comparing boxes takes the square of their number."""

_KNOWN_SCHEMA = re.compile(r"markups-schema-v1\.\d+\.\d+\.json#*$", re.IGNORECASE)
_POINT_NUMBER = re.compile(r"-\d+$")
_UNITS_MM = {"mm": 1.0, "um": 1e-3}


def read_boxes(path: Path) -> tuple[WorldBox, ...]:
    """Every ROI of a markups file, in the order of the file, in LPS millimeters.

    The label is the markup's ``name`` or ``label``; in files that Slicer wrote it is the label of
    the first control point without its number; it may be empty. Files in RAS are converted,
    turned boxes stay turned. Markups of other types (points, lines) are passed over. Raises
    FileFaultError: READING_UNREADABLE when the file is no markups file of version 1, or an ROI
    has no center or size, is inside out, or is made of numbers that are no box; FILE_MISSING.
    """
    size = file_size(path)
    if size > MAX_BYTES:
        raise _fault(f"the file has {size} bytes, more than {MAX_BYTES}")
    try:
        with opening(catalog.READING_UNREADABLE):
            content = path.read_bytes()
        tree = msgspec.json.decode(content)
    except (ValueError, RecursionError) as error:
        raise _fault(f"the file is no JSON: {error}") from None
    if not isinstance(tree, dict) or not _KNOWN_SCHEMA.search(str(tree.get("@schema"))):
        raise _fault("the file is no markups file of version 1")
    markups = tree.get("markups")
    if not isinstance(markups, list) or not all(isinstance(m, dict) for m in markups):
        raise _fault("the file has no list of markups")
    if len(markups) > MAX_MARKUPS:
        raise _fault(f"the file holds {len(markups)} markups, more than {MAX_MARKUPS}")
    return tuple(_box(m, number) for number, m in enumerate(markups, 1) if m.get("type") == "ROI")


def write_boxes(
    path: Path, boxes: Sequence[WorldBox], colors: Mapping[str, Triple] | None = None
) -> None:
    """Write boxes as ROI markups in LPS that Slicer opens; the same boxes give the same bytes.

    One control point per ROI lies at the center, as Slicer itself places it. ``colors``: red,
    green, blue from 0 to 1 per label. The file is written whole or not at all; OSError.
    """
    markups = [_markup(box, colors or {}) for box in boxes]
    tree = {"@schema": SCHEMA, "markups": markups}
    write_bytes(path, (json.dumps(tree, indent=1, allow_nan=False) + "\n").encode())


def _box(markup: Mapping[str, Any], number: int) -> WorldBox:
    where = f"ROI {number}"
    system = markup.get("coordinateSystem") or "LPS"
    if system not in {"LPS", "RAS"}:
        raise _fault(f"{where} has an unknown coordinate system")
    if markup.get("insideOut") is True:
        raise _fault(f"{where} is inside out: everything but a box")
    turn: FloatArray = LPS_TO_RAS[:3, :3] if system == "RAS" else np.eye(3)
    scale = _unit(markup, where)
    center = turn @ _numbers(markup, "center", 3, where) * scale
    size = np.abs(_numbers(markup, "size", 3, where)) * scale
    axes = np.reshape(IDENTITY_DIRECTION, (3, 3))
    if "orientation" in markup:  # a box without one lies along the axes, in either system
        axes = turn @ _numbers(markup, "orientation", 9, where).reshape(3, 3)
    try:
        return WorldBox(
            _label(markup), _triple(center), _triple(size), tuple(axes.ravel().tolist())
        )
    except GeometryError as error:
        raise _fault(f"{where}: {error}") from None


def _unit(markup: Mapping[str, Any], where: str) -> float:
    """Millimeters per unit; a unit is a UCUM code or [code, "UCUM", meaning]."""
    unit = markup.get("coordinateUnits") or "mm"
    code = unit[0] if isinstance(unit, list) else unit
    if not isinstance(code, str) or code not in _UNITS_MM:
        raise _fault(f"{where} is in another unit than mm or um")
    return _UNITS_MM[code]


def _numbers(markup: Mapping[str, Any], key: str, count: int, where: str) -> FloatArray:
    values = markup.get(key)
    good = isinstance(values, list) and len(values) == count
    if not good or not all(_is_number(value) for value in values or ()):
        raise _fault(f"{where}: {key!r} is not {count} finite numbers")
    return np.array(values, dtype=np.float64)


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def _label(markup: Mapping[str, Any]) -> str:
    for key in ("name", "label"):
        text = markup.get(key)
        if isinstance(text, str) and text.strip():
            return text.strip()
    points = markup.get("controlPoints")
    first = points[0] if isinstance(points, list) and points else None
    text = first.get("label") if isinstance(first, dict) else None
    return _POINT_NUMBER.sub("", text).strip() if isinstance(text, str) else ""


def _markup(box: WorldBox, colors: Mapping[str, Triple]) -> dict[str, Any]:
    axes = np.reshape(box.axes, (3, 3))
    if np.linalg.det(axes) < 0:  # Slicer turns ROIs by rotations; a mirrored box is the same box
        axes = axes * (1, 1, -1)
    center = [float(x) for x in box.center_mm]
    orientation = [float(x) for x in axes.ravel()]
    point = {
        "id": "1",
        "label": f"{box.label}-1",
        "position": center,
        "orientation": orientation,
        "selected": True,
        "locked": False,
        "visibility": True,
        "positionStatus": "defined",
    }
    color = colors.get(box.label)
    return {
        "type": "ROI",
        "name": box.label,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": 1,
        "roiType": "Box",
        "center": center,
        "orientation": orientation,
        "size": [float(x) for x in box.size_mm],
        "insideOut": False,
        "controlPoints": [point],
        **({"display": {"color": list(color), "selectedColor": list(color)}} if color else {}),
    }


def _fault(message: str) -> FileFaultError:
    return FileFaultError(catalog.READING_UNREADABLE, message)


def _triple(values: FloatArray) -> Triple:
    x, y, z = values.tolist()
    return (x, y, z)
