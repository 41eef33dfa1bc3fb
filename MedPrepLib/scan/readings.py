"""Which files of masks, boxes and slice labels belong to which rater."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from MedPrepLib import markups, slicelabels
from MedPrepLib.cohort import BoxReading, MaskPart, MaskReading, ReadingFile, SliceReading
from MedPrepLib.config.settings import Annotation
from MedPrepLib.scan.found import Drawn
from MedPrepLib.scan.rules import Rules, values_of
from MedPrepLib.scan.walk import Contents, contents_of, files_in, image_suffix, is_folder, stem

Kind = Literal["mask", "boxes", "slices"]


class _File(NamedTuple):
    """A file of a reading; without ``label`` and ``values`` it says itself what it holds."""

    kind: Kind
    rater: str
    path: str
    label: str | None
    values: tuple[tuple[int, str], ...] = ()


def drawn_from(files: Iterable[tuple[str, str]], annotations: Mapping[str, Annotation]) -> Drawn:
    """Mask readings, in order of rater, from (annotation name, path) pairs.

    ``annotations`` says how a name is to be read: whose it is, which label, which values; by
    default the name is the rater's. Several files of one rater become parts of one reading.
    """
    rules = Rules(annotations)
    whole = (_whole("mask", name, path, rules.of(name)) for name, path in files)
    return _drawn([file for file in whole if file is not None], rules)


def drawn_in(folder: Path, annotations: Mapping[str, Annotation]) -> Drawn:
    """Everything in a folder of readings; nothing when there is no such folder.

    ``<rater>.nii.gz`` (or another format, or a DICOM SEG / RTSTRUCT as .dcm) holds all labels of
    a rater; ``<rater>/<label>.nii.gz`` holds one label each; ``<rater>.mrk.json`` holds boxes
    (3D Slicer markups), ``<rater>.slices.csv`` labels per slice; ``<rater>/<label>.mrk.json``
    holds boxes of one label, as 3D Slicer saves them. ``annotations``: rules by the name of a
    file (``<rater>``, ``<label>``) or of a rater's folder, whose rule holds for the files in it
    that have none.
    """
    return drawn_among(contents_of(folder), annotations) if is_folder(folder) else Drawn()


def drawn_among(contents: Contents, annotations: Mapping[str, Annotation]) -> Drawn:
    """Everything in a folder of readings that was listed; as :func:`drawn_in`."""
    rules = Rules(annotations)
    whole = (
        _whole(kind, name, path, rules.of(name))
        for path in contents.files
        for kind, name in _meaning(path)
    )
    files = [file for file in whole if file is not None]
    for sub in contents.folders:
        files += _in_rater_folder(sub, rules)
    return _drawn(files, rules)


def _meaning(path: str) -> Iterator[tuple[Kind, str]]:
    """What a file holds and what it is called, by its ending; nothing for other files."""
    name, lower = Path(path).name, path.lower()
    if lower.endswith(markups.SUFFIX):
        yield "boxes", name[: -len(markups.SUFFIX)]
    elif lower.endswith(slicelabels.SUFFIX):
        yield "slices", name[: -len(slicelabels.SUFFIX)]
    elif image_suffix(path) or lower.endswith(".dcm"):
        yield "mask", stem(path)


def _whole(kind: Kind, name: str, path: str, rule: Annotation) -> _File | None:
    """A file of a rater's whole reading, unless its rule leaves it out."""
    if rule.ignore:
        return None
    return _File(kind, rule.rater or name, path, rule.label or None, values_of(rule))


def _in_rater_folder(folder: Path, rules: Rules) -> Iterator[_File]:
    """The files of one label each in a rater's folder."""
    common = rules.of(folder.name)
    if common.ignore:
        return
    rater = common.rater or folder.name
    for path in files_in(folder):
        for kind, name in _meaning(path):
            own = rules.of(name)
            if own.ignore:
                continue
            rule = own if own.label or own.values else common
            is_map = kind == "mask" and bool(rule.values)
            label = rule.label or (None if is_map else name)
            yield _File(kind, rater, path, label, values_of(rule))


def _drawn(files: Iterable[_File], rules: Rules) -> Drawn:
    """The files as readings of every kind, in order of rater."""
    parts: dict[str, list[MaskPart]] = defaultdict(list)
    boxes: dict[str, list[ReadingFile]] = defaultdict(list)
    slices: dict[str, list[ReadingFile]] = defaultdict(list)
    for file in files:
        if file.kind == "mask":
            part = MaskPart(file.path, label=file.label, values=file.values)
            parts[file.rater].append(part)
        else:
            other = boxes if file.kind == "boxes" else slices
            other[file.rater].append(ReadingFile(file.path, file.label))
    return Drawn(
        masks=tuple(MaskReading(rater, tuple(parts[rater])) for rater in sorted(parts)),
        boxes=tuple(BoxReading(rater, tuple(boxes[rater])) for rater in sorted(boxes)),
        slices=tuple(SliceReading(rater, tuple(slices[rater])) for rater in sorted(slices)),
        rules=tuple(sorted(rules.used)),
    )
