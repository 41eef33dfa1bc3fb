"""Which mask files belong to which rater."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from MedPrepLib.cohort import MaskPart, MaskReading
from MedPrepLib.config.settings import Annotation
from MedPrepLib.scan.walk import files_in, folders_in, image_suffix, stem


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


def masks_in(folder: Path, annotations: Mapping[str, Annotation]) -> tuple[MaskReading, ...]:
    """The readings of a mask folder.

    ``<rater>.nii.gz`` (or another format, or a DICOM SEG / RTSTRUCT as .dcm) holds all labels of
    a rater; ``<rater>/<label>.nii.gz`` holds one label each.
    """
    if not folder.is_dir():
        return ()
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
