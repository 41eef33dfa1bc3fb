"""Does a mask object name the image that it was given to? Tables and folders may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from MedPrepLib import catalog
from MedPrepLib.cohort import MaskReading
from MedPrepLib.dicom.annotated import Annotated, read_annotated, read_references
from MedPrepLib.findings import Finding, Severity
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.identity import are_two_patients, known_id
from MedPrepLib.masks.objects import kind_of


@dataclass(frozen=True)
class ImageIdentity:
    """The UIDs of a DICOM image; private. Empty ones are unknown and compared with nothing.

    ``patient_id``: as its slices say (0010,0020), whatever a folder or a table calls the patient.
    """

    series_uid: str = ""
    frame_of_reference_uid: str = ""
    instances: frozenset[str] = frozenset()
    patient_id: str = ""


def other_series(reading: MaskReading, image: ImageIdentity, item: str) -> tuple[Finding, ...]:
    """OTHER_SERIES for every file of a reading whose references are not those of its image.

    RTSTRUCT and SEG only. One that names an image of the series belongs to it, whatever else it
    names. A note where only the named images are others and series and patient are the same: whole
    collections were published with new UIDs of their images and old ones in their structures.
    What was compared is said in words; UIDs never are.
    """
    findings = []
    for number, part in enumerate(reading.parts, start=1):
        if _is_object(Path(part.path)):
            mask = _references(part.path, image)
            differs = _difference(mask, image)
            if differs:
                of = f"file {number} of {len(reading.parts)}: " if len(reading.parts) > 1 else ""
                finding = catalog.OTHER_SERIES.at(item, of + differs)
                same = _is_same(mask, image)
                findings.append(finding.with_severity(Severity.NOTE) if same else finding)
    return tuple(findings)


def _is_object(path: Path) -> bool:
    try:
        return kind_of(path) != "labels"
    except FileFaultError:
        return False  # said when the file is read


def _references(path: str, image: ImageIdentity) -> Annotated:
    """What a mask refers to, read to its end only where its beginning leaves a doubt.

    It may name images of the series among others, or with its contours only.
    """
    mask = read_references(path)
    named = bool(mask.instances or not image.instances)
    return mask if named and not _difference(mask, image) else read_annotated(path, places=False)


def _difference(mask: Annotated, image: ImageIdentity) -> str:
    """What speaks against the image, in words; empty when nothing does."""
    if mask.instances & image.instances:
        return ""
    elsewhere = bool(image.series_uid and mask.series and image.series_uid not in mask.series)
    frame = image.frame_of_reference_uid
    other_frame = bool(frame and mask.frames and frame not in mask.frames)
    other_slices = bool(mask.instances and image.instances)
    other_patient = are_two_patients(mask.patient_id, image.patient_id)
    if not (elsewhere or other_frame or other_slices or other_patient):
        return ""
    words = [
        _compared("series", elsewhere, bool(mask.series and image.series_uid)),
        _compared("frame of reference", other_frame, bool(mask.frames and frame)),
    ]
    if other_slices:
        words.append(f"none of the {len(mask.instances)} images it names is a slice of this image")
    if other_patient:
        words.append("it carries the ID of another patient")
    return "the mask refers to " + ", ".join(words)


def _is_same(mask: Annotated, image: ImageIdentity) -> bool:
    """True where both say that series and patient are the same, and no frame says otherwise."""
    patient, frame = known_id(image.patient_id), image.frame_of_reference_uid
    same_patient = bool(patient) and patient == known_id(mask.patient_id)
    same_frame = not frame or not mask.frames or frame in mask.frames
    return same_patient and same_frame and image.series_uid in mask.series


def _compared(what: str, other: bool, known: bool) -> str:
    if not known:
        return f"an unknown {what}"
    return f"another {what}" if other else f"the same {what}"
