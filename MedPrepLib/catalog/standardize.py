"""What is found in voxel values."""

from __future__ import annotations

from MedPrepLib.catalog.kinds import declare

_note, _review, _reject, _final = declare("standardize")

NOT_FINITE = _reject(
    "NOT_FINITE",
    "The image holds NaN or infinite values.",
    "Convert the image again from its source.",
)
CLIPPED = _note(
    "CLIPPED",
    "Voxels outside the stored range were clipped.",
    "Nothing to do unless metal or calibration matters to the task.",
)
CONSTANT_IMAGE = _reject(
    "CONSTANT_IMAGE",
    "All voxels have the same value.",
    "Check the export; the pixel data seem to be lost.",
)
NOT_HU = _review(
    "NOT_HU",
    "A CT does not look like Hounsfield units (air and tissue are not where they should be), or "
    "its header names another unit.",
    "Check rescale slope, intercept and type at the source.",
)

SUV_UNKNOWN = _review(
    "SUV_UNKNOWN",
    "A PET cannot be converted to SUV by body weight; its values stay as stored.",
    "Restore the attribute that the message names from the source, or set standardize.pet to "
    '"stored" if all PETs of the study share a unit.',
)
