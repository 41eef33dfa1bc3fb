"""The identities that stand in the sources of a study: headers read again, names of files.

Bounded: of every folder, the first and the last files are read, and of those the header only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from MedPrepLib.dicom.elements import DEFLATED_LITTLE
from MedPrepLib.dicom.quiet import quiet_pydicom
from MedPrepLib.phi.forms import Identity

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MOST_HEADER_BYTES = 4 << 20
FILES_PER_FOLDER = 6
"""Read in every folder, half of them from its beginning and half from its end."""

KEYWORDS = {
    "id": (
        "PatientID OtherPatientIDs AccessionNumber AdmissionID IssuerOfPatientID "
        "MedicalRecordLocator DeviceSerialNumber PatientTelephoneNumbers MilitaryRank "
        "StationName PlacerOrderNumberImagingServiceRequest FillerOrderNumberImagingServiceRequest"
    ),
    "date": (
        "PatientBirthDate StudyDate SeriesDate AcquisitionDate ContentDate AcquisitionDateTime "
        "InstanceCreationDate"
    ),
    "uid": (
        "StudyInstanceUID SeriesInstanceUID SOPInstanceUID FrameOfReferenceUID DeviceUID "
        "ReferencedSOPInstanceUID"
    ),
    "institution": (
        "InstitutionName InstitutionAddress InstitutionalDepartmentName PatientAddress "
        "ReferringPhysicianAddress"
    ),
}
"""Attributes by what they tell; person names (VR PN) are taken wherever they stand."""

_CATEGORY = {name: kind for kind, names in KEYWORDS.items() for name in names.split()}


def header_identities(path: Path) -> Iterator[Identity]:
    """What the header of a DICOM file says; nothing for another file or a hopeless header."""
    with path.open("rb") as stream:
        content = stream.read(MOST_HEADER_BYTES)
    # pydicom would inflate all of a deflated file at once.
    if content[128:132] == b"DICM" and DEFLATED_LITTLE.encode() not in content[:2048]:
        with quiet_pydicom():
            yield from _in_header(content)


def _in_header(content: bytes) -> list[Identity]:
    from pydicom import dcmread
    from pydicom.errors import BytesLengthException, InvalidDicomError

    found: list[Identity] = []
    try:
        dataset = dcmread(BytesIO(content), stop_before_pixels=True)
        found += _in_dataset(dataset)
    except (
        InvalidDicomError,
        BytesLengthException,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        NotImplementedError,
        RecursionError,
        struct.error,
    ):  # fmt: skip - a header that is cut off, or damaged: what came before it counts
        return found
    return found


def _in_dataset(dataset: Dataset) -> Iterator[Identity]:
    for element in dataset.iterall():
        category = "name" if element.VR == "PN" else _CATEGORY.get(element.keyword)
        if category is None or not element.value:
            continue
        values = element.value if element.VM > 1 else (element.value,)
        yield from (Identity(category, str(value)) for value in values)


def path_identities(path: Path, root: Path) -> Iterator[Identity]:
    """The names of a file and of the folders that it is in, below the source."""
    inner = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    for part in inner.parts[:-1]:
        yield Identity("path", part)
    yield Identity("path", inner.name.split(".")[0])


def folder_sample(names: Iterable[str]) -> list[str]:
    """The files of a folder that are read."""
    every = sorted(names)
    half = FILES_PER_FOLDER // 2
    return every if len(every) <= FILES_PER_FOLDER else [*every[:half], *every[-half:]]
