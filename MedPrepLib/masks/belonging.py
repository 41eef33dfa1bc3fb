"""Does a mask object name the image that it was given to? Tables and folders may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from MedPrepLib import catalog
from MedPrepLib.cohort import MaskReading
from MedPrepLib.dicom.annotated import Annotated, read_annotated, read_series_and_frames
from MedPrepLib.findings import Finding
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.masks.objects import kind_of


@dataclass(frozen=True)
class ImageIdentity:
    """The UIDs of a DICOM image; private. Empty ones are unknown and compared with nothing."""

    series_uid: str = ""
    frame_of_reference_uid: str = ""
    instances: frozenset[str] = frozenset()


def other_series(reading: MaskReading, image: ImageIdentity, item: str) -> tuple[Finding, ...]:
    """OTHER_SERIES for every file of a reading whose references are not those of its image.

    RTSTRUCT and SEG only. One that names an image of the series belongs to it, whatever else it
    names. What was compared is said in words; UIDs never are.
    """
    findings = []
    for number, part in enumerate(reading.parts, start=1):
        if _is_object(Path(part.path)):
            differs = _difference(read_series_and_frames(part.path), image)
            if differs:  # but it may name images of the series among others
                differs = _difference(read_annotated(part.path, places=False), image)
            if differs:
                of = f"file {number} of {len(reading.parts)}: " if len(reading.parts) > 1 else ""
                findings.append(catalog.OTHER_SERIES.at(item, of + differs))
    return tuple(findings)


def _is_object(path: Path) -> bool:
    try:
        return kind_of(path) != "labels"
    except FileFaultError:
        return False  # said when the file is read


def _difference(mask: Annotated, image: ImageIdentity) -> str:
    """What speaks against the image, in words; empty when nothing does."""
    if mask.instances & image.instances:
        return ""
    elsewhere = bool(image.series_uid and mask.series and image.series_uid not in mask.series)
    frame = image.frame_of_reference_uid
    other_frame = bool(frame and mask.frames and frame not in mask.frames)
    if not (elsewhere or other_frame):
        return ""
    words = [
        _compared("series", elsewhere, bool(mask.series and image.series_uid)),
        _compared("frame of reference", other_frame, bool(mask.frames and frame)),
    ]
    if mask.instances and image.instances:
        words.append(f"none of the {len(mask.instances)} images it names is a slice of this image")
    return "the mask refers to " + ", ".join(words)


def _compared(what: str, other: bool, known: bool) -> str:
    if not known:
        return f"an unknown {what}"
    return f"another {what}" if other else f"the same {what}"
