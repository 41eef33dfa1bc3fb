"""Alignment and agreement of a single case, without a study: for the command line and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from MedPrepLib import catalog
from MedPrepLib.agree import agree, details, judge
from MedPrepLib.align import compare_grids, drawn_outside
from MedPrepLib.cohort import MaskPart, MaskReading
from MedPrepLib.config.load import load_study
from MedPrepLib.config.settings import Agree, Align, Screen
from MedPrepLib.findings import Finding, rejects
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.formats.files import read_geometry
from MedPrepLib.geometry import Geometry
from MedPrepLib.labels import LabelSchema
from MedPrepLib.masks import common_schema, merge, read_any_mask
from MedPrepLib.reading import align_reading
from MedPrepLib.results import Agreement, GridVerdict
from MedPrepLib.scan.headers import HeaderReader
from MedPrepLib.scan.image import find_image
from MedPrepLib.segmentation import Segmentation


def check_alignment(
    image: Path, masks: Sequence[Path], settings: Align | None = None
) -> tuple[dict[str, GridVerdict], tuple[Finding, ...]]:
    """How each mask's grid lies to the image's, by mask name; and what could not be read.

    ``image``: a file, or a folder with one DICOM series. Raises nothing for bad data.
    """
    settings = settings or Align()
    found = find_image(image, image.name, HeaderReader(None, ()), Screen())
    findings = list(found.findings)
    geometry = found.source.geometry
    if geometry is None and not rejects(findings):
        try:
            geometry = read_geometry(Path(found.source.paths[0]))
        except FileFaultError as fault:
            findings.append(fault.at(image.name))
    if geometry is None:
        return {}, tuple(findings)
    verdicts: dict[str, GridVerdict] = {}
    for name, path in zip(distinct_names(masks), masks, strict=True):
        try:
            mask = read_any_mask(path, geometry)
        except FileFaultError as fault:
            findings.append(fault.at(name))
        else:
            verdicts[name] = compare_grids(geometry, mask.geometry, settings)
            findings += drawn_outside(mask, settings, name)
    return verdicts, tuple(findings)


def compare_masks(
    masks: Sequence[Path], study: Path | None = None, settings: Agree | None = None
) -> tuple[Agreement, tuple[Finding, ...]]:
    """How far several raters' masks agree, and why not, each brought to the grid of the first.

    ``study`` names a study file whose labels count; without it structures are matched by their
    names (or numbers, for files without names).
    """
    names = distinct_names(masks)
    first = read_any_mask(masks[0], None)
    schema = load_study(study).schema() if study else _schema_of(masks, first.geometry)
    settings = settings or Agree()
    findings: list[Finding] = []
    aligned: dict[str, Segmentation] = {}
    verdicts: dict[str, GridVerdict] = {}
    for name, path in zip(names, masks, strict=True):
        reading = MaskReading(name, (MaskPart(str(path)),))
        own = align_reading(reading, first.geometry, schema, Align(), name)
        findings += own.findings
        if own.verdict is not None:
            verdicts[name] = own.verdict
            if not rejects(own.findings):
                aligned[name] = merge(own.parts, name).segmentation
    agreement = agree(aligned, schema.names)
    if len(aligned) > 1:
        agreement = details(aligned, agreement, settings, verdicts)
    low = judge(agreement, settings, "comparison")
    return agreement, (*filter(_says_something, findings), *low)


def _says_something(finding: Finding) -> bool:
    """False for "matched by value: 1 = 1", which numbers for names make of a note."""
    pairs = finding.message.partition(": ")[2].split(", ")
    numbers = all(a == b for a, _, b in (pair.partition(" = ") for pair in pairs))
    return not (finding.code == catalog.LABEL_BY_VALUE.code and numbers)


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """File names without suffix; where these repeat, folder names or both, else a number."""
    from MedPrepLib.scan.walk import stem

    stems = [stem(path.name) for path in paths]
    folders = [path.resolve().parent.name for path in paths]
    both = [f"{folder}/{name}" for folder, name in zip(folders, stems, strict=True)]
    for names in (stems, folders, both):
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({number})" for number, name in enumerate(both, start=1)]


def _schema_of(masks: Sequence[Path], geometry: Geometry) -> LabelSchema:
    return common_schema([read_any_mask(path, geometry) for path in masks])
