"""The folder convention: center/patient/case with an image and a folder of masks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from MedPrepLib import catalog
from MedPrepLib.cohort import Case, Patient
from MedPrepLib.config.settings import FolderSource, NnunetSource, Screen
from MedPrepLib.errors import ConfigError
from MedPrepLib.findings import Finding
from MedPrepLib.labels import MAX_LABEL_VALUE
from MedPrepLib.scan.casefolder import image_of_case, mask_folder
from MedPrepLib.scan.found import Candidate, Drawn, ImageFound
from MedPrepLib.scan.headers import HeaderReader, linked, unlisted
from MedPrepLib.scan.image import find_image, nothing
from MedPrepLib.scan.readings import drawn_among, drawn_from
from MedPrepLib.scan.walk import Contents, contents_of, image_suffix, is_plain_file, stem
from MedPrepLib.textfiles import MAX_SETTINGS_BYTES, read_text


def scan_folders(
    source: FolderSource, root: Path, reader: HeaderReader, screen: Screen, called: str
) -> Iterator[Candidate | Finding]:
    """One candidate per ``center/patient/case`` folder below ``root``.

    The image is ``image.*``, a folder ``image`` of DICOM files, or whatever single image lies
    in the case folder, but for its folder ``masks``. Center and patient are the folders' names;
    age and sex come from DICOM. Folders that cannot be listed and links in place of folders are
    findings about ``called``.
    """
    top = contents_of(root)
    reasons, links = [top.refused], len(top.links)
    for center in map(contents_of, top.folders):
        reasons.append(center.refused)
        links += len(center.links)
        for patient in map(contents_of, center.folders):
            reasons.append(patient.refused)
            links += len(patient.links)
            for folder in patient.folders:
                own = contents_of(folder)
                reasons.append(own.refused)
                masks = contents_of(mask_folder(folder, own))
                drawn = drawn_among(masks, source.annotations, folder.parts[-2:])
                yield _case_in(folder, own, drawn, source, reader, screen)
    yield from (*unlisted([reason for reason in reasons if reason], called), *linked(links, called))


def _case_in(
    folder: Path,
    own: Contents,
    drawn: Drawn,
    source: FolderSource,
    reader: HeaderReader,
    screen: Screen,
) -> Candidate:
    center, patient = folder.parts[-3:-1]
    item = f"{center}/{patient}/{folder.name}"
    image = image_of_case(folder, own, item, reader, screen, source.part)
    person = msgspec.structs.replace(image.patient, id=patient, center=center, issuer="")
    return candidate(item, person, image, drawn, source.modality)


def scan_nnunet(source: NnunetSource, root: Path) -> Iterator[Candidate | Finding]:
    """Cases of an nnU-Net raw data set: channel 0000 of imagesTr, labelsTr, dataset.json.

    Every case is a patient of its own, for nnU-Net does not know patients. Raises ConfigError
    when dataset.json is missing or has no labels that can be used.
    """
    names = _nnunet_labels(root, source.path)
    images = contents_of(root / "imagesTr")
    links = (str(root / "imagesTr" / name) for name in images.links)
    for path in (*images.files, *links):
        case_id = stem(path).removesuffix("_0000")
        if case_id in ("", stem(path)) or not image_suffix(path):
            continue
        label_file = root / "labelsTr" / (case_id + image_suffix(path))
        pairs = [("reference", str(label_file))] if is_plain_file(str(label_file)) else []
        drawn = _with_values(drawn_from(pairs, source.annotations), names)
        told = linked(int(label_file.is_symlink()), case_id)
        drawn = msgspec.structs.replace(drawn, findings=told)
        image = find_image(Path(path), case_id, HeaderReader(None, ()), Screen())
        patient = Patient(case_id, source.center)
        yield candidate(case_id, patient, image, drawn, source.modality)


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


def _nnunet_labels(root: Path, shown: str) -> tuple[tuple[int, str], ...]:
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


def candidate(
    item: str, patient: Patient, image: ImageFound, drawn: Drawn, modality: str
) -> Candidate:
    """A candidate from its parts; ``modality`` stands in where the header has none.

    Segmentation objects that lay beside the image are readings, too.
    """
    image = _unless_drawn(image, drawn)
    scan = image.scan
    if not scan.modality and modality:
        scan = msgspec.structs.replace(scan, modality=modality)
    case = Case(
        id=item,
        patient=patient,
        scan=scan,
        image=image.source,
        readings=drawn.masks + image.annotations,
        links=image.links,
        boxes=drawn.boxes,
        slices=drawn.slices,
    )
    findings = tuple(f.about(item) for f in (*image.findings, *drawn.findings))
    if not image.source.paths and not image.findings:
        findings = (catalog.FILE_MISSING.at(item, "the case has no image"), *findings)
    return Candidate(case, image.slices, findings, drawn.rules)


def _unless_drawn(image: ImageFound, drawn: Drawn) -> ImageFound:
    """The image, unless its file is one that a rater drew."""
    masks = {part.path for reading in drawn.masks for part in reading.parts}
    if image.source.kind == "dicom" or masks.isdisjoint(image.source.paths):
        return image
    why = "the only image file is a mask of the case"
    return msgspec.structs.replace(nothing(catalog.FILE_MISSING.at("", why)), patient=image.patient)
