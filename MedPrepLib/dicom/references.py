"""Which image series an annotation object (RTSTRUCT, SEG) was drawn on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BufferedReader
from typing import TYPE_CHECKING, BinaryIO

from MedPrepLib.dicom.bounded import MAX_OBJECT_BYTES, pydicom_reading, read_bounded
from MedPrepLib.dicom.elements import MAX_HEADER_BYTES
from MedPrepLib.dicom.part10 import open_regular

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_REFERENCED_FRAMES, _STUDIES, _SERIES = 0x30060010, 0x30060012, 0x30060014
_REFERENCED_SERIES, _SERIES_UID = 0x00081115, 0x0020000E


def referenced_series(file: BinaryIO) -> tuple[str, ...]:
    """The SeriesInstanceUIDs that an RTSTRUCT or SEG refers to; empty when it does not say.

    RTSTRUCT: (3006,0010) > (3006,0012) > (3006,0014); SEG: (0008,1115).
    """
    tags = (_REFERENCED_FRAMES, _REFERENCED_SERIES)
    try:
        with pydicom_reading():
            return _uids(read_bounded(file, MAX_HEADER_BYTES, tags=tags, behind=max(tags)))
    except OSError:
        return ()


def _uids(dataset: Dataset) -> tuple[str, ...]:
    series = list(dataset.get(_REFERENCED_SERIES, _Empty).value or ())
    for frame in dataset.get(_REFERENCED_FRAMES, _Empty).value or ():
        for study in frame.get(_STUDIES, _Empty).value or ():
            series.extend(study.get(_SERIES, _Empty).value or ())
    uids = (item.get(_SERIES_UID) for item in series)
    return tuple(dict.fromkeys(str(uid.value) for uid in uids if uid is not None))


Instances = frozenset[tuple[str, int]]
"""(SOPInstanceUID, frame number from 1; 0 where the whole object is meant)."""


def referenced_instances(path: str) -> Instances:
    """The images that the contours or frames of an RTSTRUCT or SEG were drawn on.

    RTSTRUCT: ContourImageSequence (3006,0016) of the contours, where there is none that of the
    series, which often lists all of its images. SEG: SourceImageSequence (0008,2112) of the
    frames, else ReferencedInstanceSequence (0008,114A). Empty when the object does not say, or
    cannot be read. It reads the whole header: ask only where a series holds several volumes.
    """
    try:
        with BufferedReader(open_regular(path)) as file, pydicom_reading():
            dataset = read_bounded(file, MAX_OBJECT_BYTES)
            for groups in _REFERENCES:
                found = frozenset(_instances(dataset, groups))
                if found:
                    return found
    except OSError:
        pass
    return frozenset()


_REFERENCES: tuple[tuple[tuple[str, ...], ...], ...] = (
    (
        ("ROIContourSequence", "ContourSequence", "ContourImageSequence"),
        ("SharedFunctionalGroupsSequence", "DerivationImageSequence", "SourceImageSequence"),
        ("PerFrameFunctionalGroupsSequence", "DerivationImageSequence", "SourceImageSequence"),
    ),
    (
        (
            "ReferencedFrameOfReferenceSequence",
            "RTReferencedStudySequence",
            "RTReferencedSeriesSequence",
            "ContourImageSequence",
        ),
        ("ReferencedSeriesSequence", "ReferencedInstanceSequence"),
    ),
)
"""Sequences in sequences that end in references to images, the more exact ones first."""


def _instances(dataset: Dataset, groups: Sequence[Sequence[str]]) -> Iterator[tuple[str, int]]:
    for names in groups:
        level = [dataset]
        for name in names:
            level = [item for parent in level for item in parent.get(name) or ()]
        for item in level:
            uid = str(item.get("ReferencedSOPInstanceUID", ""))
            frames = item.get("ReferencedFrameNumber")
            if uid and frames is None:
                yield uid, 0
            elif uid:
                for frame in [frames] if isinstance(frames, (int, str)) else frames:
                    yield uid, int(frame)


class _Empty:
    """Stands for an absent sequence."""

    value = ()
