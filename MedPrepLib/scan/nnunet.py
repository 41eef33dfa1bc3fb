"""nnU-Net raw folders, and the Medical Segmentation Decathlon's, which are their elder form."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from MedPrepLib import catalog
from MedPrepLib.cohort import Patient
from MedPrepLib.config.settings import NnunetSource, Screen
from MedPrepLib.errors import ConfigError
from MedPrepLib.findings import Finding
from MedPrepLib.labels import MAX_LABEL_VALUE
from MedPrepLib.scan.folders import candidate
from MedPrepLib.scan.found import Candidate, Drawn, ImageFound
from MedPrepLib.scan.headers import HeaderReader, linked
from MedPrepLib.scan.image import find_image, nothing
from MedPrepLib.scan.readings import drawn_from
from MedPrepLib.scan.unmatched import unmatched_files
from MedPrepLib.scan.walk import Contents, contents_of, image_suffix, is_folder, stem
from MedPrepLib.textfiles import MAX_SETTINGS_BYTES, read_text

CHANNEL = "_0000"
"""What ends the name of an image's first channel."""

PARTS = ("imagesTr", "labelsTr")

EXPECTED_NNUNET = (
    f"images are looked for in imagesTr, called <case>{CHANNEL} as in nnU-Net, or as their label "
    "maps in labelsTr are, as in the Medical Segmentation Decathlon"
)


class _Named(NamedTuple):
    """Files of imagesTr or labelsTr by their names without ending; links only where no file is."""

    files: Mapping[str, tuple[str, ...]]
    links: Mapping[str, str]

    @property
    def names(self) -> frozenset[str]:
        return frozenset((*self.files, *self.links))


def scan_nnunet(source: NnunetSource, root: Path, called: str) -> Iterator[Candidate | Finding]:
    """Cases of an nnU-Net raw data set: channel 0000 of imagesTr, labelsTr, dataset.json.

    In the Decathlon's form images have no number of a channel: it is taken for that where images
    are called as label maps are, and none as nnU-Net calls them. Every case is a patient of its
    own, for neither knows patients. What belongs to no case is told of ``called``. Raises
    ConfigError when dataset.json is missing or has no labels that can be used.
    """
    values = _labels(root, source.path)
    images, labels = (_named(root / part) for part in PARTS)
    ending = "" if _is_decathlon(images.names, labels.names) else CHANNEL
    cases = sorted(name.removesuffix(ending) for name in images.names if name.endswith(ending))
    for case_id in filter(None, cases):
        image = _image(images, case_id + ending, case_id)
        drawn = _with_values(_drawn(labels, case_id, image, source), values)
        yield candidate(case_id, Patient(case_id, source.center), image, drawn, source.modality)
    yield from linked(sum((root / part).is_symlink() for part in PARTS), called)
    yield from unmatched_files(labels.names - {*cases}, labels.names, called)
    yield from _unnumbered([n for n in images.names if not (n.endswith(ending) or _channel(n))],
                           called)  # fmt: skip


def _named(folder: Path) -> _Named:
    there = contents_of(folder) if is_folder(folder) else Contents()
    files: dict[str, tuple[str, ...]] = {}
    for path in filter(image_suffix, there.files):
        files[stem(path)] = (*files.get(stem(path), ()), path)
    links = {stem(name): str(folder / name) for name in filter(image_suffix, there.links)}
    return _Named(files, {name: path for name, path in links.items() if name not in files})


def _is_decathlon(images: frozenset[str], labels: frozenset[str]) -> bool:
    first = {name.removesuffix(CHANNEL) for name in images if name.endswith(CHANNEL)}
    if first & labels:
        return False
    return bool(images & labels) or not (labels or any(map(_channel, images)))


def _channel(name: str) -> str:
    """The number of a channel at the end of a name; empty when there is none."""
    found = re.search(r".(_[0-9]{4})$", name)
    return found[1] if found else ""


def _image(images: _Named, name: str, case_id: str) -> ImageFound:
    paths = images.files.get(name) or (images.links[name],)
    if len(paths) > 1:
        why = f"{len(paths)} image files differ by their ending only; which one is meant?"
        return nothing(catalog.AMBIGUOUS_IMAGE.at(case_id, why))
    return find_image(Path(paths[0]), case_id, HeaderReader(None, ()), Screen())


def _drawn(labels: _Named, case_id: str, image: ImageFound, source: NnunetSource) -> Drawn:
    """The label map of a case: with the ending of its image where there are several."""
    paths = labels.files.get(case_id, ())
    endings = set(map(image_suffix, image.source.paths))
    alike = [path for path in paths if image_suffix(path) in endings]
    drawn = drawn_from([("reference", p) for p in alike or paths], source.annotations)
    told = (*drawn.findings, *linked(int(case_id in labels.links), case_id))
    return msgspec.structs.replace(drawn, findings=told)


def _unnumbered(names: Collection[str], called: str) -> Iterator[Finding]:
    if names:
        of, has = ("1 image", "has") if len(names) == 1 else (f"{len(names)} images", "have")
        message = f"{of} of imagesTr {has} no number of a channel, as {CHANNEL}"
        yield catalog.FILE_IGNORED.at(called, message)


def _with_values(drawn: Drawn, names: tuple[tuple[int, str], ...]) -> Drawn:
    """The readings with the data set's own names of values, where no rule gives others."""
    masks = tuple(
        msgspec.structs.replace(
            reading,
            parts=tuple(
                msgspec.structs.replace(part, values=part.values or names) for part in reading.parts
            ),
        )
        for reading in drawn.masks
    )
    return msgspec.structs.replace(drawn, masks=masks)


def _labels(root: Path, shown: str) -> tuple[tuple[int, str], ...]:
    """(value, name) of the labels in dataset.json, in order of value, without the background."""
    try:
        dataset = msgspec.json.decode(read_text(root / "dataset.json", MAX_SETTINGS_BYTES))
        pairs = sorted(pair for entry in dataset["labels"].items() for pair in _label(*entry))
    except (OSError, KeyError, AttributeError, TypeError, ValueError, RecursionError) as error:
        problem = f"$.sources: {shown} has no usable dataset.json with labels ({error})"
        raise ConfigError([problem]) from None
    if not pairs:
        known = '"name": number or "number": "name" (no regions of several numbers)'
        problem = f"$.sources: {shown} names no label in dataset.json that can be used; "
        raise ConfigError([f"{problem}they are read as {known}"])
    if len(dict(pairs)) < len(pairs):
        raise ConfigError([f"$.sources: two labels of {shown} share a number in dataset.json"])
    return tuple(pairs)


def _label(key: object, given: object) -> Iterator[tuple[int, str]]:
    """(value, name) of a label: "name": number since nnU-Net 2, "number": "name" before it.

    The latter is the format of the Medical Segmentation Decathlon, too. Nothing for the background
    (0) and for what is neither.
    """
    number, name = (key, given) if isinstance(given, str) and _is_number(key) else (given, key)
    if _is_number(number) and 0 < int(str(number)) <= MAX_LABEL_VALUE:
        yield int(str(number)), str(name)


def _is_number(given: object) -> bool:
    text = str(given)
    return isinstance(given, int | str) and text.isascii() and text.isdigit()
