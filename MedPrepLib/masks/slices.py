"""One rater's labels per slice of one image, with the labels of the study."""

from __future__ import annotations

from pathlib import Path

from MedPrepLib import catalog
from MedPrepLib.cohort import SliceReading
from MedPrepLib.findings import Finding
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.geometry import Geometry
from MedPrepLib.labels import LabelSchema
from MedPrepLib.masks.matching import shown, unknown_labels
from MedPrepLib.results import SliceLabels, SliceRange
from MedPrepLib.slicelabels import SliceRow, read_slices, slice_labels


def load_slices(
    reading: SliceReading, geometry: Geometry, schema: LabelSchema, item: str
) -> tuple[SliceLabels, tuple[Finding, ...]]:
    """The slice labels of a reading with the schema's names, for every slice of the image.

    A label is annotated when a row names it, found or not; a table without rows has looked for
    every label of the schema. A file for which the source names one label is about this label
    whatever its rows say. Left out, with a finding: unknown labels (LABEL_UNKNOWN), slices
    beyond the image (SLICES_OUTSIDE), and files that cannot be read; nothing found at all is
    READING_EMPTY. Never raises for bad data.
    """
    rows: list[SliceRow] = []
    findings: list[Finding] = []
    unknown: list[str] = []
    nothing_said = False
    for file in reading.files:
        try:
            found = read_slices(Path(file.path))
        except FileFaultError as fault:
            findings.append(fault.at(item))
            continue
        nothing_said = nothing_said or (not found and file.label is None)
        if file.label is not None:
            found = (SliceRow(file.label, 0, 0), *(_renamed(row, file.label) for row in found))
        for row in found:
            label = schema.find(row.label)
            if label is None:
                unknown.append(row.label)
            else:
                rows.append(_renamed(row, label.name))
    if unknown:
        findings.append(unknown_labels([shown(name) for name in dict.fromkeys(unknown)], item))
    slices = geometry.size[2]
    if beyond := [row for row in rows if row.stop > slices]:
        last = max(row.stop for row in beyond) - 1
        message = f"{len(beyond)} range(s) reach slice {last}; the image ends at slice {slices - 1}"
        findings.append(catalog.SLICES_OUTSIDE.at(item, message))
    named = {row.label for row in rows}
    annotated = [name for name in schema.names if nothing_said or name in named]
    ranges = [SliceRange(row.label, row.start, row.stop) for row in rows]
    labels = slice_labels(reading.rater, slices, ranges, annotated)
    if annotated and not labels.ranges and not findings:
        findings.append(catalog.READING_EMPTY.at(item, "read, no slice labeled"))
    return labels, tuple(findings)


def _renamed(row: SliceRow, label: str) -> SliceRow:
    return SliceRow(label, row.start, row.stop)
