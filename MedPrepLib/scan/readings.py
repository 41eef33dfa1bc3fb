"""Which mask files belong to which rater."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from MedPrepLib import markups, slicelabels
from MedPrepLib.cohort import BoxReading, MaskPart, MaskReading, ReadingFile, SliceReading
from MedPrepLib.config.settings import Annotation
from MedPrepLib.scan.found import Drawn
from MedPrepLib.scan.walk import Contents, contents_of, files_in, image_suffix, is_folder, stem


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
    return drawn_among(contents_of(folder), annotations) if is_folder(folder) else Drawn()


def drawn_among(contents: Contents, annotations: Mapping[str, Annotation]) -> Drawn:
    """Everything in a folder of readings that was listed; as :func:`drawn_in`."""
    inner = tuple((folder.name, files_in(folder)) for folder in contents.folders)
    boxes, slices = (
        _reading_files(contents.files, inner, suffix, annotations)
        for suffix in (markups.SUFFIX, slicelabels.SUFFIX)
    )
    return Drawn(
        masks=_masks(contents.files, inner, annotations),
        boxes=tuple(BoxReading(rater, files) for rater, files in boxes.items()),
        slices=tuple(SliceReading(rater, files) for rater, files in slices.items()),
    )


Inner = tuple[tuple[str, tuple[str, ...]], ...]
"""Names of the folders in a folder of readings, and the files in each."""


def _reading_files(
    files: Sequence[str], inner: Inner, suffix: str, annotations: Mapping[str, Annotation]
) -> dict[str, tuple[ReadingFile, ...]]:
    """The files with this ending, by rater; the annotation rules say whose they are."""
    found: dict[str, list[ReadingFile]] = defaultdict(list)
    for path in files:
        if path.lower().endswith(suffix):
            name = Path(path).name[: -len(suffix)]
            rule = annotations.get(name, Annotation())
            if not rule.ignore:
                found[rule.rater or name].append(ReadingFile(path, rule.label or None))
    for name, paths in inner:
        rater = annotations.get(name, Annotation()).rater or name
        for path in paths:
            if path.lower().endswith(suffix):
                label = Path(path).name[: -len(suffix)]
                rule = annotations.get(label, Annotation())
                found[rater].append(ReadingFile(path, rule.label or label))
    return {rater: tuple(found[rater]) for rater in sorted(found)}


def _masks(
    files: Sequence[str], inner: Inner, annotations: Mapping[str, Annotation]
) -> tuple[MaskReading, ...]:
    whole = [(stem(path), path) for path in files if _may_be_mask(path)]
    readings = {reading.rater: reading for reading in readings_from(whole, annotations)}
    for name, paths in inner:
        rater = annotations.get(name, Annotation()).rater or name
        parts = tuple(
            MaskPart(path, label=annotations.get(stem(path), Annotation()).label or stem(path))
            for path in paths
            if _may_be_mask(path)
        )
        if parts:
            own = readings[rater].parts if rater in readings else ()
            readings[rater] = MaskReading(rater, own + parts)
    return tuple(readings[rater] for rater in sorted(readings))


def _may_be_mask(path: str) -> bool:
    return bool(image_suffix(path)) or path.lower().endswith(".dcm")
