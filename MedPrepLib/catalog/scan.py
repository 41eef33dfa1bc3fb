"""What reading files and arranging series finds."""

from __future__ import annotations

from MedPrepLib.catalog.kinds import declare

_note, _review, _reject, _final = declare("scan")

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
MASK_IGNORED = _review(
    "MASK_IGNORED",
    "Files in a folder of masks are not read: their format or their place is none that is known.",
    "Save them as .seg.nrrd, NIfTI, NRRD, MetaImage or DICOM, as masks/<rater>.* or "
    "masks/<rater>/<label>.*, leave them out by a rule (ignore), or move them away; folders of "
    "masks that are called otherwise are named by masks at the source.",
)
MASK_UNMATCHED = _review(
    "MASK_UNMATCHED",
    "Masks of a source match no case by the name of their file or folder, and are not read.",
    "Call the folder of a DICOM tree as the case (MedPrep's private identities.csv lists them) or "
    "by its SeriesInstanceUID, and a label map as its image; or move them away.",
)
LINK_IGNORED = _review(
    "LINK_IGNORED",
    "Symbolic links lie among the images or masks of a source; they are never followed.",
    "Put the files themselves in place of the links (cp -L, datalad unlock), or move them away.",
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
ONLY_LOCALIZERS = _final(
    "ONLY_LOCALIZERS",
    "Nothing but localizers (scouts) lie where the image should be, or form a series.",
    "Nothing to do where the series that they were made for is there as well; else export it.",
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
MIXED_RESCALE = _final(
    "MIXED_RESCALE",
    "Some slices of one series lack the rescale slope or intercept that the others have.",
    "Export the series again from the scanner or archive; what these slices measure in is unknown.",
)
MIXED_FRAME = _review(
    "MIXED_FRAME",
    "Slices of one series name several frames of reference: their positions need not fit together.",
    "Check that the slices are one volume (an anonymizer that gave every file a new UID does no "
    "harm), else separate them before export.",
)
SLICES_ALTERNATE = _review(
    "SLICES_ALTERNATE",
    "Slices of several CT acquisitions or reconstructions take turns along one stack.",
    "Look at the volume in a plane across the slices; if it shows stripes, separate the "
    "acquisitions before export.",
)
MODALITY_LUT = _reject(
    "MODALITY_LUT",
    "Slices carry a table that makes values of the modality out of stored ones; it is not applied.",
    "Export the original series with rescale slope and intercept, or accept stored values.",
)
GANTRY_TILT = _final(
    "GANTRY_TILT",
    "The slices are sheared against their stacking direction (a tilted gantry).",
    "Resample the series to an orthogonal grid with a tool that corrects the tilt (dcm2niix), and "
    "draw on that; MedPrep does not, for masks of tilted slices would no longer fit the image.",
)
SLICE_DISPLACED = _final(
    "SLICE_DISPLACED",
    "Slices lie beside the stack that the others form: moved within their plane.",
    "Find out which position is right (a table that moved, an edited header), and export again.",
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
READING_TWICE = _review(
    "READING_TWICE",
    "Several mask files of one rater may hold the same labels (versions?) and were united, or "
    "segmentation objects with one UID differ and count as several raters.",
    "Keep the file that counts, or say what each holds in [sources.annotations.NAME] (label, "
    "values, rater, ignore); a second reading of the same person is called <rater>@2.",
)
RATER_NAMESAKE = _note(
    "RATER_NAMESAKE",
    "Files of readings are called after the patient or the case; what is left of the name is the "
    "rater's.",
    "Nothing to do; name them after their raters, or say whose they are in "
    "[sources.annotations.NAME] (rater).",
)
READING_COPIED = _note(
    "READING_COPIED",
    "A segmentation object lies in the source several times; it counts as one reading.",
    "Nothing to do.",
)
ANNOTATION_RULE_UNUSED = _review(
    "ANNOTATION_RULE_UNUSED",
    "Rules of a source about its annotations match no file: nothing is ignored or mapped by them.",
    "Correct the name in [sources.annotations.NAME], or remove the rule.",
)
READING_SHARED = _note(
    "READING_SHARED",
    "An annotation of a series of several volumes does not say on which it was drawn.",
    "Nothing to do where the volumes show the same anatomy; else keep it with the volume it is of.",
)
ANNOTATION_ORPHANED = _review(
    "ANNOTATION_ORPHANED",
    "Segmentation objects of a source belong to none of its images.",
    "Export the images they were drawn on as well, or move the objects away; one whose patient or "
    "study is written wrongly can be named in a table or laid in a mask folder.",
)
ANNOTATION_AMBIGUOUS = _review(
    "ANNOTATION_AMBIGUOUS",
    "A segmentation object fits several images of its frame of reference, or it or a mask folder "
    "names a series or a folder that several images are in; it was given to none.",
    "Name the image in a table or a mask folder, or export the object with its references.",
)
