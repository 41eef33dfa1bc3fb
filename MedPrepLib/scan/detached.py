"""Candidates whose files are headers learn which files hold the voxels (.mhd and .raw, .nhdr)."""

from __future__ import annotations

import msgspec

from MedPrepLib.cohort import MaskReading
from MedPrepLib.formats.detached import data_files
from MedPrepLib.scan.found import Candidate


def with_data_files(found: Candidate) -> Candidate:
    """The candidate with every file that its image and masks are read from.

    Without them a run would take a case whose voxels were corrected for unchanged. DICOM files
    hold their own pixels and are not opened again.
    """
    case = found.case
    image = case.image
    beside = tuple(p for path in image.paths for p in data_files(path)) if _is_file(found) else ()
    if beside:
        image = msgspec.structs.replace(image, data_paths=beside)
    readings = tuple(map(_with_data_files, case.readings))
    if image is case.image and readings == case.readings:
        return found
    case = msgspec.structs.replace(case, image=image, readings=readings)
    return msgspec.structs.replace(found, case=case)


def _is_file(found: Candidate) -> bool:
    return found.case.image.kind == "file"


def _with_data_files(reading: MaskReading) -> MaskReading:
    parts = tuple(
        msgspec.structs.replace(part, data_paths=beside) if beside else part
        for part in reading.parts
        for beside in [data_files(part.path)]
    )
    return msgspec.structs.replace(reading, parts=parts)
