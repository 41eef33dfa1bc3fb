"""What rules on header facts find."""

from __future__ import annotations

from MedPrepLib.catalog.kinds import declare

_note, _review, _reject, _final = declare("screen")

NO_PATIENT_ID = _review(
    "NO_PATIENT_ID",
    "The patient id is blank or a placeholder shared by many; the case stays a group of its own.",
    "Give the patient id in the case table.",
)
SAME_ID_TWO_CENTERS = _review(
    "SAME_ID_TWO_CENTERS",
    "One patient id occurs in two centers; they are treated as two people.",
    "If it is one person, give both the same center or merge them in the case table.",
)
ISSUER_MISSING = _note(
    "ISSUER_MISSING",
    "One patient id occurs in a center with and without its issuer, or with an issuer written in "
    "two ways; it is taken for one person, and all of it stays in one set.",
    "Nothing to do; to have one public name as well, give the issuer in all headers or name the "
    "patient in the case table.",
)
ISSUER_AMBIGUOUS = _review(
    "ISSUER_AMBIGUOUS",
    "One patient id occurs in a center without an issuer and with several; whose it is cannot be "
    "told, so all of it stays in one set.",
    "Give the issuer in the headers that lack it, or name the patients in the case table.",
)
CENTER_UNKNOWN = _review(
    "CENTER_UNKNOWN",
    "No row of the study's center table matches the case.",
    "Add a row for its folder, institution, station or patient to the center table.",
)
CENTER_ROW_UNUSED = _note(
    "CENTER_ROW_UNUSED",
    "Rows of the study's center table match no case, or only cases that a row above matches.",
    "Nothing to do; check the spelling of these rows, or remove them.",
)
MISSING_TAGS = _review(
    "MISSING_TAGS",
    "Key header attributes are absent.",
    "Export again without a filter that strips them.",
)
NO_STUDY_DESCRIPTION = _review(
    "NO_STUDY_DESCRIPTION",
    "The study has no StudyDescription (0008,1030).",
    "Confirm from the images that this is the wanted examination.",
)
NO_DEVICE = _review(
    "NO_DEVICE",
    "Neither manufacturer nor model of the scanner is known.",
    "Add the device to the case table, or accept the case.",
)
MODALITY_UNWANTED = _reject(
    "MODALITY_UNWANTED",
    "The modality is not among those the study asks for.",
    "Add it to screen.modalities, or remove the series.",
)
MODALITY_UNKNOWN = _review(
    "MODALITY_UNKNOWN",
    "The modality is neither in the header nor in the study file nor deducible.",
    "Give the modality in the case table or at the source.",
)
MODALITY_CONFLICT = _review(
    "MODALITY_CONFLICT",
    "Modality and StudyDescription or SeriesDescription name different modalities.",
    "Look at the image and correct the header or the table.",
)
THICK_SLICES = _review(
    "THICK_SLICES",
    "The distance between slices is larger than the modality's limit.",
    "Use a thinner reconstruction, or raise the limit for this modality.",
)
ANISOTROPIC = _note(
    "ANISOTROPIC",
    "The voxels are much longer in one direction than in another.",
    "Prefer an isotropic reconstruction where there is one.",
)
BURNED_IN_RISK = _reject(
    "BURNED_IN_RISK",
    "The object may carry text burned into the pixels (BurnedInAnnotation or a capture).",
    "Check the pixels for names before lowering the severity.",
)
FACE_POSSIBLE = _note(
    "FACE_POSSIBLE",
    "The image shows a head from the outside, so that a face could be rendered.",
    "Deface the image before it is given to others; MedPrep does not.",
)
MONOCHROME1 = _note(
    "MONOCHROME1",
    "Stored for inverted display (MONOCHROME1); modality values are kept as they are.",
    "Nothing to do.",
)
