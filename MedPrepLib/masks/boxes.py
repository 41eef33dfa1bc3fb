"""One rater's boxes on one image: the ROIs of markups files, with the labels of the study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from MedPrepLib import catalog
from MedPrepLib.boxes import WorldBox, corners_mm
from MedPrepLib.cohort import BoxReading
from MedPrepLib.findings import Finding
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.geometry import Geometry
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.markups import read_boxes
from MedPrepLib.masks.matching import shown, unknown_labels

OUTSIDE_VOXELS = 0.5
"""How far, in voxels, a box may reach beyond the edge of the image before it is said: a box
drawn to the border by hand ends somewhere near it."""

_NUMBERED = re.compile(r"[\s_#-]*\d+$")
_UNNAMED = re.compile(r"(R|ROI)?([\s_-]*\d+)?", re.IGNORECASE)
"""Names that 3D Slicer gives by itself: R, R_1, ROI..."""


def load_boxes(
    reading: BoxReading, geometry: Geometry, schema: LabelSchema, item: str
) -> tuple[tuple[WorldBox, ...], tuple[Finding, ...]]:
    """The boxes of a reading with the schema's label names, in the order of files and ROIs.

    The label is that of the file if the source names one, else the ROI's name or alias in the
    schema, with or without a number behind it (``tumor 2``); an ROI that was never named takes
    the only label of a schema that has just one. Left out, with a finding: ROIs of unknown labels
    (LABEL_UNKNOWN), without volume (BOX_EMPTY), wholly outside the image (BOX_OUTSIDE), and files
    that cannot be read. A box that reaches beyond the image is kept and said (BOX_OUTSIDE);
    ``boxes.clipped`` cuts it. No box at all is READING_EMPTY. Never raises for bad data.
    """
    boxes: list[WorldBox] = []
    findings: list[Finding] = []
    unknown: list[str] = []
    for file in reading.files:
        try:
            drawn = read_boxes(Path(file.path))
        except FileFaultError as fault:
            findings.append(fault.at(item))
            continue
        for box in drawn:
            label = _meant(box.label, file.label, schema)
            if label is None:
                unknown.append(shown(file.label or box.label))
                continue
            named = msgspec.structs.replace(box, label=label.name)
            kept, said = _placed(named, len(boxes) + 1, geometry, item)
            boxes += kept
            findings += said
    if unknown:
        findings.append(unknown_labels(unknown, item))
    if not boxes and not findings:
        findings.append(catalog.READING_EMPTY.at(item, "read, no box drawn"))
    return tuple(boxes), tuple(findings)


def _meant(name: str, given: str | None, schema: LabelSchema) -> Label | None:
    if given is not None:
        return schema.find(given)
    found = schema.find(name) or schema.find(_NUMBERED.sub("", name))
    if found is None and len(schema) == 1 and _UNNAMED.fullmatch(name):
        return schema.labels[0]
    return found


def _placed(
    box: WorldBox, number: int, geometry: Geometry, item: str
) -> tuple[Sequence[WorldBox], Sequence[Finding]]:
    """The box, if it has a volume inside the image, and what is to be said of its place."""
    what = f"box {number} ({shown(box.label)})"
    if box.volume_mm3 == 0:
        words = " x ".join(f"{x:g}" for x in box.size_mm)
        return (), [catalog.BOX_EMPTY.at(item, f"{what} measures {words} mm")]
    points = corners_mm(box) - geometry.affine[:3, 3]
    indices = np.linalg.solve(geometry.affine[:3, :3], points.T).T
    low, high = indices.min(axis=0), indices.max(axis=0)
    last = np.array(geometry.size) - 0.5
    if (high <= -0.5).any() or (low >= last).any():
        return (), [catalog.BOX_OUTSIDE.at(item, f"{what} lies wholly outside the image")]
    beyond = np.maximum(-0.5 - low, high - last)
    if (beyond <= OUTSIDE_VOXELS).all():
        return [box], ()
    worst = float((beyond * geometry.spacing).max())
    limit = " x ".join(f"{OUTSIDE_VOXELS * mm:.3g}" for mm in geometry.spacing)
    message = f"{what} reaches {worst:.3g} mm beyond the image (limit {limit} mm)"
    return [box], [catalog.BOX_OUTSIDE.at(item, message)]
