"""What is found in masks, boxes and slice labels, and in how they lie on their image."""

from __future__ import annotations

from MedPrepLib.catalog.kinds import declare

_note, _review, _reject, _final = declare("align")

NO_READING = _reject(
    "NO_READING",
    "No usable annotation belongs to this image.",
    "Add a mask, or lower the severity to keep unannotated images.",
)
NO_MASK = _review(
    "NO_MASK",
    "A case of a segmentation study has boxes or slice labels, and no mask.",
    "Draw a mask, or set task to detection or classification; datasets leave such a case out.",
)
RATER_NAME_TAKEN = _final(
    "RATER_NAME_TAKEN",
    "A reading goes by the name of the consensus, and would be confused with it; it is left out.",
    "Name the file after the rater; if it is the consensus of an export, take it out of the masks.",
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
    "Some or all raters of a case did not annotate a label: such pairs have no Dice, and a label "
    "that is in no mask, or in no table of slices, is absent for want of a look.",
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
MASK_NUMBERED = _review(
    "MASK_NUMBERED",
    "A mask file has as many slices as a series with a gap, which its header cannot state; its "
    "slices were placed by their number.",
    "Check the mask on the image; if it is displaced, save it on the grid it was drawn on or as "
    "RTSTRUCT or DICOM SEG, which lie in space.",
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
    "A mask given to an image refers to another series, another frame of reference or slices that "
    "are none of the image, or carries another patient's ID.",
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
CONTOURS_REPEATED = _note(
    "CONTOURS_REPEATED",
    "Contours of a region are stored more than once; each was filled once.",
    "Nothing to do; a region that was copied onto itself can be cleaned where it was drawn.",
)
CONTOURS_OPEN = _review(
    "CONTOURS_OPEN",
    "Some contours of a region are open (points, lines) and enclose nothing; they were left out.",
    "Close them where they were drawn and export the region again, if they are part of it.",
)
CONTOURS_SPARSE = _review(
    "CONTOURS_SPARSE",
    "Contours lie farther apart than the slices, at a regular step; slices between them are empty.",
    "Interpolate between the contours where they were drawn, and export them again.",
)
REGION_LEFT_OUT = _review(
    "REGION_LEFT_OUT",
    "A region of a segmentation object cannot be used; its label counts as not annotated.",
    "Correct the region where it was drawn, and export it again; the message says why.",
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
