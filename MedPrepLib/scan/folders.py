"""The folder convention: center/patient/case with an image and a folder of masks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from MedPrepLib import catalog
from MedPrepLib.cohort import Case, Patient
from MedPrepLib.config.settings import FolderSource, Screen
from MedPrepLib.findings import Finding
from MedPrepLib.scan.beside import Above, beside_image
from MedPrepLib.scan.casefolder import image_of_case, mask_folder
from MedPrepLib.scan.found import Candidate, Drawn, ImageFound
from MedPrepLib.scan.headers import HeaderReader, linked
from MedPrepLib.scan.image import nothing
from MedPrepLib.scan.readings import drawn_among
from MedPrepLib.scan.walk import Contents, contents_of, is_folder

EXPECTED_FOLDERS = (
    "images are looked for three folders deep, in center/patient/case, called image.* or as a "
    "folder image of DICOM files"
)


def scan_folders(
    source: FolderSource, root: Path, reader: HeaderReader, screen: Screen, called: str
) -> Iterator[Candidate | Finding]:
    """One candidate per ``center/patient/case`` folder below ``root``.

    The image is ``image.*``, a folder ``image`` of DICOM files, or whatever single image lies
    in the case folder, but for its folder of masks. Center and patient are the folders' names;
    age and sex come from DICOM. What lies above the case folders and is not read, folders that
    cannot be listed and links in place of folders are findings about ``called``.
    """
    above = Above(source.masks)
    for center in above.folders(contents_of(root)):
        for patient in above.folders(contents_of(center)):
            for folder in above.folders(contents_of(patient)):
                own = contents_of(folder)
                above.refused += (own.refused,) if own.refused else ()
                yield _case_in(folder, own, source, reader, screen)
    yield from above.findings(called)


def _drawn(masks: Path, own: Contents, source: FolderSource) -> Drawn:
    """What lies in the folder of masks of a case; a link in its place is told and not followed."""
    links = sum(name.lower() == source.masks.lower() for name in own.links)
    drawn = Drawn()
    if is_folder(masks):
        about = masks.parent.parts[-2:]
        drawn = drawn_among(contents_of(masks), source.annotations, about)
    return msgspec.structs.replace(drawn, findings=(*drawn.findings, *linked(links, "")))


def _case_in(
    folder: Path,
    own: Contents,
    source: FolderSource,
    reader: HeaderReader,
    screen: Screen,
) -> Candidate:
    center, patient = folder.parts[-3:-1]
    item = f"{center}/{patient}/{folder.name}"
    masks = mask_folder(folder, own, source.masks)
    drawn = _drawn(masks, own, source)
    image = image_of_case(folder, own, masks, item, reader, screen, source.part)
    beside = beside_image(folder, own, masks, image, drawn)
    image = msgspec.structs.replace(image, findings=(*image.findings, *beside))
    person = msgspec.structs.replace(image.patient, id=patient, center=center, issuer="")
    return candidate(item, person, image, drawn, source.modality)


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
