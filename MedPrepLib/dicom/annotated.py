"""What a segmentation object (RTSTRUCT, SEG) says of the image it was drawn on, and where it lies.

Read whole, which takes a while for large structure sets: for objects whose series is not there, and
for those that name another than that of their case. UIDs in here are private.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BufferedReader
from typing import TYPE_CHECKING, Any

import numpy as np

from MedPrepLib.dicom.bounded import MAX_OBJECT_BYTES, pydicom_reading, read_bounded
from MedPrepLib.dicom.decimals import MAX_POINTS, points_of
from MedPrepLib.dicom.part10 import open_regular
from MedPrepLib.errors import ReadError
from MedPrepLib.geometry import FloatArray

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PLANE_TOLERANCE = 0.1
"""Part of the slice distance by which a contour may lie off the slice that it was drawn on: so far
it finds its image, and is filled there without a word."""

Path = tuple[str, ...]

_SERIES: tuple[Path, ...] = (
    ("ReferencedFrameOfReferenceSequence", "RTReferencedStudySequence",
     "RTReferencedSeriesSequence", "SeriesInstanceUID"),
    ("ReferencedSeriesSequence", "SeriesInstanceUID"),
)  # fmt: skip
_FRAMES: tuple[Path, ...] = (
    ("ReferencedFrameOfReferenceSequence", "FrameOfReferenceUID"),
    ("StructureSetROISequence", "ReferencedFrameOfReferenceUID"),
)
_REFERENCES = (0x00081115, 0x00081200, 0x00100020, 0x00200052, 0x30060010, 0x30060020)
"""The elements at the top that hold these, and the patient's ID."""
_INSTANCES: tuple[Path, ...] = (
    ("ReferencedFrameOfReferenceSequence", "RTReferencedStudySequence",
     "RTReferencedSeriesSequence", "ContourImageSequence", "ReferencedSOPInstanceUID"),
    ("ROIContourSequence", "ContourSequence", "ContourImageSequence", "ReferencedSOPInstanceUID"),
    ("ReferencedSeriesSequence", "ReferencedInstanceSequence", "ReferencedSOPInstanceUID"),
    ("SourceImageSequence", "ReferencedSOPInstanceUID"),
    ("PerFrameFunctionalGroupsSequence", "DerivationImageSequence", "SourceImageSequence",
     "ReferencedSOPInstanceUID"),
)  # fmt: skip
_STUDIES: tuple[Path, ...] = (
    ("ReferencedFrameOfReferenceSequence", "RTReferencedStudySequence", "ReferencedSOPInstanceUID"),
    ("StudiesContainingOtherReferencedInstancesSequence", "StudyInstanceUID"),
)
_FRAME_POSITIONS: Path = (
    "PerFrameFunctionalGroupsSequence", "PlanePositionSequence", "ImagePositionPatient",
)  # fmt: skip
_CONTOURS: Path = ("ROIContourSequence", "ContourSequence")


@dataclass(frozen=True, eq=False)
class Annotated:
    """UIDs that an object refers to, as far as it says; all empty for a damaged one.

    ``frames``: of reference, those of the regions or of the references; the object's own
    (0020,0052) only where these say nothing, for it may be new. ``points`` (n, 3): LPS
    millimeters of contour points, or of the first pixels of SEG frames. ``patient_id`` is the
    object's own (0010,0020); ``studies`` are those that it refers to (PS3.3 C.8.8.5, C.12.3).
    """

    series: frozenset[str] = frozenset()
    frames: frozenset[str] = frozenset()
    instances: frozenset[str] = frozenset()
    points: FloatArray = field(default_factory=lambda: np.empty((0, 3)))
    studies: frozenset[str] = frozenset()
    patient_id: str = ""


def read_annotated(path: str, *, places: bool = True) -> Annotated:
    """What the RTSTRUCT or SEG at ``path`` refers to; ``places``: also where it lies."""
    try:
        with BufferedReader(open_regular(path)) as file, pydicom_reading():
            dataset = read_bounded(file, MAX_OBJECT_BYTES)
            points = _points(dataset) if places else np.empty((0, 3))
            return replace(_named(dataset), points=points)
    except OSError:
        return Annotated()


def read_references(path: str) -> Annotated:
    """What stands before all contours: no points, and of the images those of whole series."""
    tags = _REFERENCES
    try:
        with BufferedReader(open_regular(path)) as file, pydicom_reading():
            return _named(read_bounded(file, MAX_OBJECT_BYTES, tags=tags, behind=max(tags)))
    except OSError:
        return Annotated()


def _named(dataset: Dataset) -> Annotated:
    own = {str(dataset.get("FrameOfReferenceUID") or "")} - {""}
    return Annotated(
        series=_uids(dataset, _SERIES),
        frames=_uids(dataset, _FRAMES) or frozenset(own),
        instances=_uids(dataset, _INSTANCES),
        studies=_uids(dataset, _STUDIES),
        patient_id=str(dataset.get("PatientID") or ""),
    )


def _uids(dataset: Dataset, paths: tuple[Path, ...]) -> frozenset[str]:
    return frozenset(str(v) for path in paths for v in _values(dataset, path)) - {""}


def _values(dataset: Any, path: Path) -> Iterator[Any]:
    """Every value at the end of a path of sequences."""
    value = dataset.get(path[0])
    if value is None:
        return
    if len(path) == 1:
        yield value
        return
    for item in value:
        yield from _values(item, path[1:])


def _items(dataset: Any, path: Path) -> Iterator[Any]:
    """Every item of the last of a path of sequences."""
    for sequence in _values(dataset, path):
        yield from sequence or ()


def _points(dataset: Dataset) -> FloatArray:
    """ReadError for more points than an object has."""
    contours = (item.get_item("ContourData") for item in _items(dataset, _CONTOURS))
    rows, count = [np.empty((0, 3))], 0
    for row in map(points_of, contours):
        rows.append(row)
        count += len(row)
        if count > MAX_POINTS:
            raise ReadError(f"more than {MAX_POINTS} points")
    frames = (value for value in _values(dataset, _FRAME_POSITIONS) if value)
    rows += [np.array([float(x) for x in value]).reshape(-1, 3) for value in frames]
    return np.concatenate(rows)
