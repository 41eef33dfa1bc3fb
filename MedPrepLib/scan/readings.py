"""Which files of masks, boxes and slice labels belong to which rater."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from MedPrepLib import catalog
from MedPrepLib.cohort import BoxReading, MaskPart, MaskReading, ReadingFile, SliceReading
from MedPrepLib.config.settings import Annotation
from MedPrepLib.findings import Finding
from MedPrepLib.scan.aside import Aside
from MedPrepLib.scan.found import Drawn
from MedPrepLib.scan.maskfiles import Kind, Meaning, meaning_of
from MedPrepLib.scan.namesakes import rater_without
from MedPrepLib.scan.rules import Rules, one_spelling, values_of
from MedPrepLib.scan.walk import Contents, contents_of, folder_below, is_link, stem


class _File(NamedTuple):
    """A file of a reading; without ``label`` and ``values`` it says itself what it holds."""

    kind: Kind
    rater: str
    path: str
    label: str | None
    values: tuple[tuple[int, str], ...] = ()
    in_folder: bool = False
    """It lies in a rater's folder."""
    namesake: bool = False
    """It was called after the patient or the case; ``rater`` is what is left."""


def drawn_from(
    files: Iterable[tuple[str, str]],
    annotations: Mapping[str, Annotation],
    about: Sequence[str] = (),
) -> Drawn:
    """Mask readings, in order of rater, from (annotation name, path) pairs.

    ``annotations`` says how a name is to be read: whose it is, which label, which values; by
    default the name is the rater's, but for what names the patient or the case (``about``).
    Several files of one rater become parts of one reading. Links are not followed, which is said.
    """
    rules, aside = Rules(annotations), Aside()
    found = []
    for name, path in files:
        whole = _whole(Meaning("mask", name), path, rules.of(name), about)
        if whole is not None and is_link(path):
            aside.links += 1
        elif whole is not None:
            found.append(whole)
    return _drawn(found, rules, aside.findings())


def drawn_in(
    root: Path, name: str, annotations: Mapping[str, Annotation], about: Sequence[str] = ()
) -> Drawn:
    """Everything in the folder ``name`` below ``root``; nothing when no such folder is there.

    ``<rater>.nii.gz`` (or another format, or a DICOM SEG / RTSTRUCT) holds all labels of
    a rater; ``<rater>/<label>.nii.gz`` holds one label each; ``<rater>.mrk.json`` holds boxes
    (3D Slicer markups), ``<rater>.slices.csv`` labels per slice; ``<rater>/<label>.mrk.json``
    holds boxes of one label, as 3D Slicer saves them. ``annotations``: rules by the name of a
    file (``<rater>``, ``<label>``) or of a rater's folder, whose rule holds for the files in it
    that have none. ``about``: names of patient and case, the patient's first, which are no part of
    a rater's. What is not read is told by findings, which are about nobody yet.
    """
    if not folder_below(root, name):
        return Drawn()
    return drawn_among(contents_of(root / name), annotations, about)


def drawn_among(
    contents: Contents, annotations: Mapping[str, Annotation], about: Sequence[str] = ()
) -> Drawn:
    """Everything in a folder of readings that was listed; as :func:`drawn_in`."""
    rules, aside = Rules(annotations), Aside()
    files: list[_File] = []
    for path, meaning in _gone_through(contents, rules, aside):
        whole = _whole(meaning, path, rules.of(meaning.name), about)
        files += [whole] if whole is not None else []
    for sub in contents.folders:
        if not rules.of(sub.name).ignore:
            files += _in_rater_folder(sub, rules, aside, about)
    return _drawn(files, rules, aside.findings())


def _gone_through(contents: Contents, rules: Rules, aside: Aside) -> list[tuple[str, Meaning]]:
    """The files of a folder that mean something; others are counted, unless a rule ignores them."""
    aside.add_folder(contents)
    found: list[tuple[str, Meaning]] = []
    other: list[str] = []
    for path in contents.files:
        meaning = meaning_of(path)
        if meaning is not None:
            found.append((path, meaning))
        elif not _is_ignored(path, rules):
            other.append(path)
    aside.add_files(other, [path for path, _ in found])
    aside.links += sum(not _is_ignored(name, rules) for name in contents.links)
    return found


def _is_ignored(path: str, rules: Rules) -> bool:
    """True when a rule leaves a file out by its name, with or without what follows its dots."""
    name = Path(path).name
    return any(rules.of(word).ignore for word in {stem(name), Path(name).stem, name.split(".")[0]})


def _whole(meaning: Meaning, path: str, rule: Annotation, about: Sequence[str]) -> _File | None:
    """A file of a rater's whole reading, unless its rule leaves it out."""
    if rule.ignore:
        return None
    rater, namesake = _rater(rule, meaning.rater, about)
    values = values_of(rule)
    return _File(meaning.kind, rater, path, rule.label or None, values, namesake=namesake)


def _rater(rule: Annotation, name: str, about: Sequence[str]) -> tuple[str, bool]:
    """Whose a file or folder of this name is, and whether its name held that of somebody else."""
    if rule.rater:
        return one_spelling(rule.rater), False
    spelled = one_spelling(name)
    rater = rater_without(spelled, about)
    return rater, rater != spelled


def _in_rater_folder(
    folder: Path, rules: Rules, aside: Aside, about: Sequence[str]
) -> Iterator[_File]:
    """The files of one label each in a rater's folder."""
    common = rules.of(folder.name)
    rater, namesake = _rater(common, folder.name, about)
    contents = contents_of(folder)
    for path, meaning in _gone_through(contents, rules, aside):
        own = rules.of(meaning.name)
        if own.ignore:
            continue
        rule = own if own.label or own.values else common
        says_itself = meaning.nameless or (meaning.kind == "mask" and bool(rule.values))
        label = rule.label or (None if says_itself else meaning.name)
        values = values_of(rule)
        yield _File(meaning.kind, rater, path, label, values, in_folder=True, namesake=namesake)
    for sub in contents.folders:
        if not rules.of(sub.name).ignore:
            aside.add_deep(sub)


def _drawn(files: Sequence[_File], rules: Rules, findings: Iterable[Finding] = ()) -> Drawn:
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
        findings=(
            *findings,
            *_twice([file for file in files if file.kind == "mask"]),
            *_namesakes(files),
        ),
    )


def _namesakes(files: Sequence[_File]) -> Iterator[Finding]:
    """A finding where names of files held that of the patient or the case."""
    found = [file for file in files if file.namesake]
    if found:
        raters = ", ".join(sorted({file.rater for file in found}))
        message = (
            f"{len(found)} of {len(files)} files of readings are called after the patient or the "
            f"case; what is left of their names: {raters}"
        )
        yield catalog.RATER_NAMESAKE.at("", message)


def _twice(masks: Sequence[_File]) -> Iterator[Finding]:
    """A finding per rater whose files may hold the same labels: perhaps an old and a new version.

    That is: two files that hold all labels, one beside a folder of that rater, or two that differ
    by their ending. Files that rules give a label or values are what somebody said they are.
    """
    for rater in sorted({file.rater for file in masks}):
        own = [file for file in masks if file.rater == rater]
        whole = [file for file in own if file.label is None and not file.values]
        beside = whole and any(file.in_folder for file in own if file not in whole)
        called = {(Path(file.path).parent, stem(file.path)) for file in own}
        if len(whole) > 1 or beside or len(called) < len(own):
            message = f"{len(own)} mask files of {rater} may hold the same labels; they were united"
            yield catalog.READING_TWICE.at("", message)
