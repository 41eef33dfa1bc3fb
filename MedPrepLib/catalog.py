"""Every finding code MedPrep knows: what it means, what it is worth, what makes it go away.

The severities are defaults: ``[screen.severity]`` in a study file may change them per code, but
for the final ones, which leave nothing that could be accepted.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from MedPrepLib.findings import Kind, Severity

_KINDS: dict[str, Kind] = {}
_STAGES: dict[str, str] = {}


def _kind(code: str, severity: Severity, meaning: str, remedy: str, *, final: bool = False) -> Kind:
    if code in _KINDS:
        raise ValueError(f"finding code {code} is declared twice")
    _KINDS[code] = Kind(code, severity, meaning, remedy, final, next(reversed(_STAGES)))
    return _KINDS[code]


def _note(code: str, meaning: str, remedy: str) -> Kind:
    return _kind(code, Severity.NOTE, meaning, remedy)


def _review(code: str, meaning: str, remedy: str) -> Kind:
    return _kind(code, Severity.REVIEW, meaning, remedy)


def _reject(code: str, meaning: str, remedy: str) -> Kind:
    return _kind(code, Severity.REJECT, meaning, remedy)


def _final(code: str, meaning: str, remedy: str) -> Kind:
    """A fault that leaves nothing to accept: no volume, grid or result can be made."""
    return _kind(code, Severity.REJECT, meaning, remedy, final=True)


def _stage(name: str, about: str) -> None:
    """The kinds declared from here on are found in this stage."""
    _STAGES[name] = about


def stages() -> Mapping[str, str]:
    """The stages that find something, in order, and what each of them looks at."""
    return MappingProxyType(_STAGES)


def all_kinds() -> tuple[Kind, ...]:
    """Every declared kind, in the order of declaration (that of the stages)."""
    return tuple(_KINDS.values())


def find_kind(code: str) -> Kind | None:
    """The kind with this code, if there is one."""
    return _KINDS.get(code)


def did_you_mean(word: str) -> str:
    """``; did you mean "SLICE_GAP"?`` for a word that is close to a code, else nothing."""
    close = difflib.get_close_matches(word.upper(), _KINDS, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""


# --- scan: files and series -------------------------------------------------------------------
_stage("scan", "files and series")

FILE_UNREADABLE = _reject(
    "FILE_UNREADABLE",
    "A file cannot be read as the format it claims to be.",
    "Export the file again from its source, or remove it from the study.",
)
FILE_IGNORED = _note(
    "FILE_IGNORED",
    "Files in a source folder are neither images nor masks and were left aside.",
    "Nothing to do; move them away to silence this note.",
)
FOLDER_UNREADABLE = _review(
    "FOLDER_UNREADABLE",
    "A folder of a source cannot be listed: nobody knows what is missing.",
    "Let the account that runs MedPrep read the folder, or move it out of the source.",
)
PREAMBLE_PROGRAM = _note(
    "PREAMBLE_PROGRAM",
    "A DICOM file begins like a program, an archive or a page: it may be run as one.",
    "Nothing to do for the cohort, which copies no such bytes; have the source checked.",
)
NOT_AN_IMAGE = _note(
    "NOT_AN_IMAGE",
    "A DICOM object is no image volume (report, plan, dose, waveform, secondary capture...).",
    "Nothing to do; such objects never become cases.",
)
LOCALIZER = _note(
    "LOCALIZER",
    "A series is a localizer (scout) by its ImageType.",
    "Nothing to do; localizers are not volumes.",
)
DERIVED = _review(
    "DERIVED",
    "A series is derived (reformatted, projected, computed) by its ImageType.",
    "Prefer the original acquisition, or accept the derived one by lowering the severity.",
)
TOO_FEW_SLICES = _reject(
    "TOO_FEW_SLICES",
    "A series has too few slices to be a volume.",
    "Export the whole series, or lower screen.min_slices.",
)
SLICE_GAP = _reject(
    "SLICE_GAP",
    "Slice positions are not evenly spaced: at least one slice is missing.",
    "Export the series again with every slice, or accept the longest even run (lower the severity, "
    "or re-admit the case); MedPrep never stretches the spacing over a gap.",
)
SLICES_TRUNCATED = _review(
    "SLICES_TRUNCATED",
    "The headers announce more slices than were found.",
    "Export the series again and compare the number of images.",
)
DUPLICATE_SLICE = _note(
    "DUPLICATE_SLICE",
    "The same slice was found twice with identical pixels; one copy was dropped.",
    "Nothing to do.",
)
DUPLICATE_POSITION = _final(
    "DUPLICATE_POSITION",
    "Several different slices lie at one position: phases, echoes, b-values or a conflict.",
    "Separate the series by acquisition before export; MedPrep divides it only where every volume "
    "is complete.",
)
SUB_SERIES = _note(
    "SUB_SERIES",
    "A series holds several volumes (orientations, b-values, echoes, times); this is one of them.",
    "Nothing to do; exclude the volumes that are not wanted.",
)
TOO_MANY_VOLUMES = _final(
    "TOO_MANY_VOLUMES",
    "A series holds more volumes than may become cases: a long time series, or many directions.",
    "Raise screen.max_sub_series to have a case per volume, or export the wanted volume alone.",
)
DUPLICATE_UID_CONFLICT = _final(
    "DUPLICATE_UID_CONFLICT",
    "Two files carry the same SOPInstanceUID with different content.",
    "Find out which copy is right and remove the other.",
)
MIXED_ORIENTATION = _final(
    "MIXED_ORIENTATION",
    "Slices of one series have different orientations.",
    "Split the series by orientation before export; MedPrep does where every set has at least "
    "screen.min_slices slices.",
)
MIXED_SIZE = _final(
    "MIXED_SIZE",
    "Slices of one series differ in rows, columns or pixel spacing.",
    "Export the series again; mixed slices cannot form one volume.",
)
MIXED_BIT_DEPTH = _final(
    "MIXED_BIT_DEPTH",
    "Slices of one series differ in bit depth or sign.",
    "Export the series again from the scanner or archive, without conversion.",
)
GANTRY_TILT = _final(
    "GANTRY_TILT",
    "The slices are sheared against their stacking direction (a tilted gantry).",
    "Resample the series to an orthogonal grid with a tool that corrects the tilt (dcm2niix), and "
    "draw on that; MedPrep does not, for masks of tilted slices would no longer fit the image.",
)
NO_POSITION = _final(
    "NO_POSITION",
    "Slices carry no ImagePositionPatient or ImageOrientationPatient.",
    "Export the original objects; positions cannot be guessed from instance numbers.",
)
MULTIFRAME_UNSUPPORTED = _final(
    "MULTIFRAME_UNSUPPORTED",
    "A multi-frame object of a kind that is not read: not an enhanced CT, MR or PET, or deflated.",
    "Convert it to single-frame DICOM or NIfTI first.",
)
COLOR_IMAGE = _final(
    "COLOR_IMAGE",
    "An image has several samples per pixel (color); intensities are not a modality value.",
    "Use the original grayscale series.",
)
CODEC_MISSING = _final(
    "CODEC_MISSING",
    "The transfer syntax is compressed and no installed codec can decode it.",
    'Install the codecs: pip install "MedPrep[codecs]".',
)
PIXELS_UNREADABLE = _final(
    "PIXELS_UNREADABLE",
    "Pixel data are missing, truncated or cannot be decoded.",
    "Export the file again; compare its size with the source.",
)
FOUR_D = _final(
    "FOUR_D",
    "An image has more than three dimensions.",
    "Split it into volumes and name the one that was annotated.",
)
NIFTI_INVALID = _reject(
    "NIFTI_INVALID",
    "A NIfTI header contradicts itself or the file.",
    "Convert the image again from its source.",
)
AFFINE_INVALID = _final(
    "AFFINE_INVALID",
    "The index-to-world matrix is singular, sheared, not finite, or missing.",
    "Convert the image again from DICOM; do not repair the matrix by hand.",
)
AFFINE_CONFLICT = _reject(
    "AFFINE_CONFLICT",
    "sform and qform of a NIfTI file place the voxels differently; readers disagree.",
    "Decide which is right and write it to both.",
)
SPACING_SUSPECT = _review(
    "SPACING_SUSPECT",
    "The spacing is implausible for a body, e.g. meters taken for millimeters.",
    "Compare with the scanner's field of view and correct the unit.",
)
PATH_ESCAPE = _final(
    "PATH_ESCAPE",
    "A header or a table points outside its source folder.",
    "Put the data beside the header, or declare the folder as a source.",
)
IMPLAUSIBLE_SIZE = _final(
    "IMPLAUSIBLE_SIZE",
    "A header promises more voxels than the file can hold or the limit allows.",
    "Check the file; raise screen.max_voxels if the image is really that large.",
)
TABLE_ROW_INVALID = _reject(
    "TABLE_ROW_INVALID",
    "A row of a case table cannot be used.",
    "Correct the row; the message names the column and the value.",
)
DATE_UNUSED = _note(
    "DATE_UNUSED",
    "The table of reading dates names readings that no source has.",
    "Write case and rater as the sources do; MedPrep's private identities.csv lists the cases.",
)
FILE_MISSING = _final(
    "FILE_MISSING",
    "A file that the study names does not exist.",
    "Correct the path or restore the file.",
)
SOURCE_EMPTY = _review(
    "SOURCE_EMPTY",
    "A source holds no image.",
    "Check the path and the kind of the source in the study file.",
)
AMBIGUOUS_IMAGE = _reject(
    "AMBIGUOUS_IMAGE",
    "A case folder or table row holds several image volumes and none is named.",
    "Name the volume (column part of a table, part of a folder source) or the image file.",
)
PART_UNKNOWN = _final(
    "PART_UNKNOWN",
    "A case names a volume (its part) that is not there, or that several are called.",
    "Correct the column part of the table, or part of the source; the message lists what is there.",
)
READING_SHARED = _note(
    "READING_SHARED",
    "An annotation of a series of several volumes does not say on which it was drawn.",
    "Nothing to do where the volumes show the same anatomy; else keep it with the volume it is of.",
)
ANNOTATION_ORPHANED = _review(
    "ANNOTATION_ORPHANED",
    "Segmentation objects of a source belong to none of its images.",
    "Export the images they were drawn on as well, or move the objects away.",
)
ANNOTATION_AMBIGUOUS = _review(
    "ANNOTATION_AMBIGUOUS",
    "A segmentation object fits several images of its frame of reference; it was given to none.",
    "Name the image in a table or a mask folder, or export the object with its references.",
)

# --- screen: rules on header facts ------------------------------------------------------------
_stage("screen", "header facts and people")

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

# --- standardize ------------------------------------------------------------------------------
_stage("standardize", "voxel values")

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
    "A CT does not look like Hounsfield units (air and tissue are not where they should be).",
    "Check rescale slope and intercept at the source.",
)

SUV_UNKNOWN = _review(
    "SUV_UNKNOWN",
    "A PET cannot be converted to SUV by body weight; its values stay as stored.",
    "Restore the attribute that the message names from the source, or set standardize.pet to "
    '"stored" if all PETs of the study share a unit.',
)

# --- masks and align --------------------------------------------------------------------------
_stage("align", "masks, boxes and slice labels on their image")

NO_READING = _reject(
    "NO_READING",
    "No usable annotation belongs to this image.",
    "Add a mask, or lower the severity to keep unannotated images.",
)
MASK_UNREADABLE = _reject(
    "MASK_UNREADABLE",
    "A mask file cannot be read.",
    "Save the segmentation again.",
)
MASK_UNSUPPORTED = _reject(
    "MASK_UNSUPPORTED",
    "A mask comes in a format this version, or this installation, cannot read.",
    "Export it as .seg.nrrd or NIfTI.",
)
MASK_NOT_LABELS = _reject(
    "MASK_NOT_LABELS",
    "A mask holds fractions, negative values or scaled numbers instead of labels.",
    "Save it as a label map with integer values and without scl_slope.",
)
LABEL_UNKNOWN = _review(
    "LABEL_UNKNOWN",
    "A mask holds labels that are not in the label schema; they were left out.",
    "Add the label or an alias to [labels], or map it at the source.",
)
LABEL_NOT_ANNOTATED = _note(
    "LABEL_NOT_ANNOTATED",
    "Some raters of a case annotated a label, others did not; such pairs have no Dice.",
    "Nothing to do if these raters were not asked for it; else check the names of their segments.",
)
LABEL_BY_VALUE = _note(
    "LABEL_BY_VALUE",
    "Labels were matched by their numbers because the file has no names.",
    "Nothing to do if all raters used the same numbers.",
)
LABELS_OVERLAP = _note(
    "LABELS_OVERLAP",
    "Segments of one reading overlap; where one value per voxel is stored, the higher one wins.",
    "Nothing to do for nested structures; check the order of the schema.",
)
READING_EMPTY = _note(
    "READING_EMPTY",
    "A reading was made and found nothing (annotated empty).",
    "Nothing to do if the rater meant it.",
)
GRID_ROUNDING = _note(
    "GRID_ROUNDING",
    "Mask and image grids differ by rounding of the header only; the mask was snapped.",
    "Nothing to do.",
)
GRID_ADOPTED = _note(
    "GRID_ADOPTED",
    "A reviewer found that the mask lies on the image's grid, whatever its header says.",
    "Nothing to do; take the decision back in the review to align by the header again.",
)
GRID_MOVED = _note(
    "GRID_MOVED",
    "The mask lies on the image's lattice but is shifted, cropped or flipped in storage; "
    "labels were moved without interpolation.",
    "Nothing to do.",
)
GRID_RESAMPLED = _review(
    "GRID_RESAMPLED",
    "The mask lies on another grid and was resampled with nearest neighbor.",
    "Annotate on the image itself where exact borders matter.",
)
GRID_MISMATCH = _reject(
    "GRID_MISMATCH",
    "The mask's grid does not fit the image and cannot be resampled safely.",
    "Check that the mask was drawn on this image.",
)
OTHER_SERIES = _review(
    "OTHER_SERIES",
    "A mask given to an image refers to another series, or to another frame of reference.",
    "Check that the mask was drawn on this image; if it was copied on purpose, accept it.",
)
MASK_OUTSIDE = _review(
    "MASK_OUTSIDE",
    "Part of the mask lies outside the image.",
    "Check that the mask was drawn on this image.",
)
MASK_SHIFTED = _review(
    "MASK_SHIFTED",
    "A rater's mask agrees much better after a shift: it seems displaced against the others.",
    "Open the case and confirm the shift.",
)
LESION_LOST = _review(
    "LESION_LOST",
    "A component vanished when the mask was moved to the image grid.",
    "Annotate on the image grid, or export the mask at full resolution.",
)
READING_UNREADABLE = _reject(
    "READING_UNREADABLE",
    "A file of boxes or slice labels cannot be read.",
    "Save the markups again from 3D Slicer, or correct the table; the message says where.",
)
BOX_OUTSIDE = _review(
    "BOX_OUTSIDE",
    "A box lies wholly or partly outside the image; what is outside was left out.",
    "Check that the box was drawn on this image.",
)
BOX_EMPTY = _review(
    "BOX_EMPTY",
    "A box has no volume; it was left out.",
    "Draw the box again, or delete it.",
)
SLICES_OUTSIDE = _review(
    "SLICES_OUTSIDE",
    "Slice labels name slices that the image does not have; these were left out.",
    "Check that the slices were labeled on this image and are counted from 0.",
)
SLICES_UNPLACED = _final(
    "SLICES_UNPLACED",
    "Slice labels count the slices of a whole series, of which only a run without gaps is used.",
    "Export the series again with every slice, or give boxes or masks, which lie in space.",
)

# --- agree and consensus ----------------------------------------------------------------------
_stage("agree", "raters and their consensus")

LOW_AGREEMENT = _review(
    "LOW_AGREEMENT",
    "Raters agree less than the threshold on at least one label.",
    "Review the case together; the report shows where they differ.",
)
CONSENSUS_TIES = _note(
    "CONSENSUS_TIES",
    "Voxels without a majority were decided by the tie rule.",
    "Nothing to do; ask another rater to break the ties.",
)

# --- review: what people decided --------------------------------------------------------------
_stage("review", "what people decided")

REVIEW_APPROVED = _note(
    "REVIEW_APPROVED",
    "Somebody looked at the case and approved it; what asked for a look is a note now.",
    "Nothing to do.",
)
REVIEW_FLAGGED = _review(
    "REVIEW_FLAGGED",
    "Somebody looked at the case and flagged it.",
    "Read the comment in the folder of reviews, settle it, and approve the case.",
)
REVIEW_STALE = _review(
    "REVIEW_STALE",
    "Readings changed since the case was reviewed; what was decided then is not used.",
    "Look at the case again and save the review.",
)
REVIEW_UNREADABLE = _review(
    "REVIEW_UNREADABLE",
    "A file in the folder of reviews cannot be read, or was changed afterwards.",
    "Restore it from a backup, or move it away and review the case again.",
)

READMITTED = _note(
    "READMITTED",
    "A person accepted a finding that rejects the case; it counts as a note.",
    "Nothing to do; medprep readmit --withdraw takes it back.",
)
READMISSION_STALE = _review(
    "READMISSION_STALE",
    "A case was re-admitted, but its data changed since, or the entry is not bound to any data.",
    "Look at the case again and re-admit it with medprep readmit, or withdraw the entry.",
)
READMISSION_REFUSED = _review(
    "READMISSION_REFUSED",
    "A case was re-admitted in spite of a finding that nobody can accept for a single case.",
    "Follow the remedy of that finding and withdraw the re-admission.",
)
READMISSION_UNUSED = _note(
    "READMISSION_UNUSED",
    "A re-admission accepts a finding that does not occur, or a case that is not there.",
    "Nothing to do; medprep readmit --withdraw silences this note.",
)

# --- split ------------------------------------------------------------------------------------
_stage("split", "train and test sets")

LEAK_SUSPECT = _review(
    "LEAK_SUSPECT",
    "The same image, or a copy of it, occurs under two patient ids; both are kept in one set.",
    "Find out which id is right and remove the copy.",
)
RARE_CLASS = _review(
    "RARE_CLASS",
    "A class has fewer patients than there are folds.",
    "Use fewer folds or collect more cases of this class.",
)
FEW_FOLDS = _review(
    "FEW_FOLDS",
    "There are fewer training patients than folds, so some folds were not made.",
    "Use fewer folds (split.folds) or collect more cases.",
)
PREVALENCE_UNMET = _review(
    "PREVALENCE_UNMET",
    "The test set does not show a class as often as split.prevalence wants.",
    "Report the achieved proportion, or change split.prevalence or split.test_fraction.",
)
SPLIT_MOVED = _review(
    "SPLIT_MOVED",
    "Patients who were placed apart turned out to belong together and were joined.",
    "Train again if the model has seen them, or remove the copy.",
)
SPLIT_REDRAWN = _review(
    "SPLIT_REDRAWN",
    "Changed settings of the split moved patients between training and test.",
    "Do not test models on patients they were trained with; or restore the settings.",
)
SPLIT_FIXED_UNKNOWN = _note(
    "SPLIT_FIXED_UNKNOWN",
    "The list of fixed places names cases or patients that are not in the cohort.",
    "Correct the list, or leave it: they are placed there when they come.",
)
SPLIT_UNEVEN = _note(
    "SPLIT_UNEVEN",
    "The split cannot meet the wanted proportions with whole patients and centers.",
    "Nothing to do, or change split.test_fraction.",
)

# --- running ----------------------------------------------------------------------------------
_stage("run", "the run itself")

WORKER_DIED = _final(
    "WORKER_DIED",
    "The worker process died while it worked on this case, also when retried alone.",
    "Check memory and the file; run the case alone.",
)
WORKER_TIMEOUT = _final(
    "WORKER_TIMEOUT",
    "A case took longer than the limit and was stopped.",
    "Check the storage, or raise run.timeout_s.",
)
WORKER_MEMORY = _final(
    "WORKER_MEMORY",
    "A case asked for more memory than a worker may have.",
    "Raise run.memory_gb or use a machine with more memory; check the image's size in its header.",
)
SOURCE_OFFLINE = _final(
    "SOURCE_OFFLINE",
    "A drive did not answer, also when it was asked again after a while.",
    "Run the same command again when the drive is back: only such cases are done again.",
)
SOURCE_CHANGED = _final(
    "SOURCE_CHANGED",
    "A source file changed or vanished while it was being used.",
    "Wait until the export is complete and run again.",
)
