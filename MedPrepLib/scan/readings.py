"""Which mask files belong to which rater."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from MedPrepLib import markups, slicelabels
from MedPrepLib.cohort import BoxReading, MaskPart, MaskReading, ReadingFile, SliceReading
from MedPrepLib.config.settings import Annotation
from MedPrepLib.scan.found import Drawn
from MedPrepLib.scan.walk import files_in, folders_in, image_suffix, is_folder, stem


def readings_from(
    files: Iterable[tuple[str, str]], annotations: Mapping[str, Annotation]
) -> tuple[MaskReading, ...]:
    """Readings, in order of rater, from (annotation name, path) pairs.

    ``annotations`` says how a name is to be read: whose it is, which label, which values; by
    default the name is the rater's. Several files of one rater become parts of one reading.
    """
    parts: dict[str, list[MaskPart]] = defaultdict(list)
    for name, path in files:
        rule = annotations.get(name, Annotation())
        if not rule.ignore:
            values = tuple(sorted((int(v), label) for v, label in rule.values.items()))
            part = MaskPart(path, label=rule.label or None, values=values)
            parts[rule.rater or name].append(part)
    return tuple(MaskReading(rater, tuple(parts[rater])) for rater in sorted(parts))


def drawn_in(folder: Path, annotations: Mapping[str, Annotation]) -> Drawn:
    """Everything in a folder of readings; nothing when there is no such folder.

    ``<rater>.nii.gz`` (or another format, or a DICOM SEG / RTSTRUCT as .dcm) holds all labels of
    a rater; ``<rater>/<label>.nii.gz`` holds one label each; ``<rater>.mrk.json`` holds boxes
    (3D Slicer markups), ``<rater>.slices.csv`` labels per slice; ``<rater>/<label>.mrk.json``
    holds boxes of one label, as 3D Slicer saves them.
    """
    if not is_folder(folder):
        return Drawn()
    return Drawn(
        masks=_masks_in(folder, annotations),
        boxes=tuple(
            BoxReading(rater, files)
            for rater, files in _reading_files(folder, markups.SUFFIX, annotations).items()
        ),
        slices=tuple(
            SliceReading(rater, files)
            for rater, files in _reading_files(folder, slicelabels.SUFFIX, annotations).items()
        ),
    )


def _reading_files(
    folder: Path, suffix: str, annotations: Mapping[str, Annotation]
) -> dict[str, tuple[ReadingFile, ...]]:
    """The files with this ending, by rater; the annotation rules say whose they are."""
    found: dict[str, list[ReadingFile]] = defaultdict(list)
    for path in files_in(folder):
        if path.lower().endswith(suffix):
            name = Path(path).name[: -len(suffix)]
            rule = annotations.get(name, Annotation())
            if not rule.ignore:
                found[rule.rater or name].append(ReadingFile(path, rule.label or None))
    for sub in folders_in(folder):
        rater = annotations.get(sub.name, Annotation()).rater or sub.name
        for path in files_in(sub):
            if path.lower().endswith(suffix):
                label = Path(path).name[: -len(suffix)]
                rule = annotations.get(label, Annotation())
                found[rater].append(ReadingFile(path, rule.label or label))
    return {rater: tuple(found[rater]) for rater in sorted(found)}


def _masks_in(folder: Path, annotations: Mapping[str, Annotation]) -> tuple[MaskReading, ...]:
    whole = [(stem(path), path) for path in files_in(folder) if _may_be_mask(path)]
    readings = {reading.rater: reading for reading in readings_from(whole, annotations)}
    for sub in folders_in(folder):
        rater = annotations.get(sub.name, Annotation()).rater or sub.name
        parts = tuple(
            MaskPart(path, label=annotations.get(stem(path), Annotation()).label or stem(path))
            for path in files_in(sub)
            if _may_be_mask(path)
        )
        if parts:
            own = readings[rater].parts if rater in readings else ()
            readings[rater] = MaskReading(rater, own + parts)
    return tuple(readings[rater] for rater in sorted(readings))


def _may_be_mask(path: str) -> bool:
    return bool(image_suffix(path)) or path.lower().endswith(".dcm")
