"""The rule book: every finding code by stage, what a study makes of it, its limits, its source.

Nothing here is written twice: codes are those of the catalog, limits those of the settings,
sources of screening rules stand beside the rules. What the other stages go by is told here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from MedPrepLib.catalog import all_kinds
from MedPrepLib.config.settings import Study
from MedPrepLib.config.thresholds import Threshold, thresholds
from MedPrepLib.findings import Kind
from MedPrepLib.screen import PEOPLE_RULES, RULES

_STACK = "ImagePositionPatient (0020,0032) and ImageOrientationPatient (0020,0037), PS3.3 C.7.6.2"
_NIFTI = "NIfTI-1 header (nifti1.h, 2007)"

SOURCES: Mapping[str, str] = MappingProxyType({
    "NOT_AN_IMAGE": "SOPClassUID (0008,0016): storage classes of PS3.4 B.5 that are no scan.",
    "LOCALIZER": "ImageType (0008,0008) value 3, PS3.3 C.8.2.1.1.1 (CT) and C.8.3.1.1.1 (MR).",
    "ONLY_LOCALIZERS": "ImageType (0008,0008) value 3, as for LOCALIZER.",
    "DERIVED": "ImageType (0008,0008) value 1, PS3.3 C.7.6.1.1.2.",
    "CENTER_UNKNOWN": "InstitutionName (0008,0080), StationName (0008,1010), PatientID "
    "(0010,0020) or the folder, against the study's center table.",
    "SLICE_GAP": f"{_STACK}; spacing is never stretched over a gap, as ITK's series reader does.",
    "SLICES_TRUNCATED": "ImagesInAcquisition (0020,1002), else the range of InstanceNumber "
    "(0020,0013); InConcatenationTotalNumber (0020,9163) of objects cut in pieces.",
    "DUPLICATE_SLICE": f"{_STACK}: two slices at one position with equal pixels.",
    "DUPLICATE_POSITION": f"{_STACK}: two slices at one position with other pixels.",
    "DUPLICATE_UID_CONFLICT": "SOPInstanceUID (0008,0018) is unique, PS3.5 chapter 9.",
    "MIXED_ORIENTATION": "ImageOrientationPatient (0020,0037), PS3.3 C.7.6.2.",
    "MIXED_SIZE": "Rows (0028,0010), Columns (0028,0011), PixelSpacing (0028,0030).",
    "MIXED_BIT_DEPTH": "BitsAllocated (0028,0100), PixelRepresentation (0028,0103).",
    "MIXED_RESCALE": "RescaleIntercept (0028,1052), RescaleSlope (0028,1053).",
    "MIXED_FRAME": "FrameOfReferenceUID (0020,0052), PS3.3 C.7.4.1: one for all of a series.",
    "SLICES_ALTERNATE": "AcquisitionNumber (0020,0012), KVP (0018,0060), ConvolutionKernel "
    "(0018,1210) along the stack.",
    "MODALITY_LUT": "ModalityLUTSequence (0028,3000), PS3.3 C.11.1; only a rescaling is applied.",
    "GANTRY_TILT": f"{_STACK}: drift of the origin within the slice plane over the whole stack.",
    "SLICE_DISPLACED": f"{_STACK}: the origin within the slice plane, beside those of most.",
    "NO_POSITION": f"{_STACK}; InstanceNumber (0020,0013) tells no place.",
    "COLOR_IMAGE": "SamplesPerPixel (0028,0002), PS3.3 C.7.6.3.",
    "CODEC_MISSING": "TransferSyntaxUID (0002,0010), PS3.5 annex A.",
    "PIXELS_UNREADABLE": "PixelData (7FE0,0010) beside Rows, Columns and BitsAllocated, PS3.5 8.",
    "FOUR_D": f"{_NIFTI}, dim[0]; dimensions of NRRD and MetaImage.",
    "NIFTI_INVALID": f"{_NIFTI}: sizes, data type and offset against each other and the file.",
    "AFFINE_INVALID": "The matrix has to be finite and invertible with orthogonal axes; readers "
    "disagree on all others.",
    "AFFINE_CONFLICT": f"{_NIFTI}, qform and sform: nibabel takes one, ITK the other.",
    "SPACING_SUSPECT": f"{_NIFTI}, xyzt_units; a body is neither a millimeter nor ten meters long.",
    "NOT_FINITE": "IEEE 754: NaN and infinity are no intensities.",
    "CLIPPED": "CT numbers of 12 bits, -1024 to 3071 HU (RescaleIntercept -1024, PS3.3 C.8.2.1).",
    "NOT_HU": "Hounsfield scale, air -1000 HU and water 0 HU; RescaleType (0028,1054).",
    "GRID_ROUNDING": "Largest distance of corresponding corners; the float32 of NIfTI headers "
    "moves them by up to 5e-5 mm (measured).",
    "GRID_RESAMPLED": "Largest distance of corners; labels take the nearest neighbor.",
    "GRID_MISMATCH": "Largest distance of corresponding corners, and the part of the mask inside.",
    "LOW_AGREEMENT": "Dice (Ecology 26:297, 1945); 0.7 after "
    "Zijdenbos et al. (IEEE Trans. Med. Imaging 13:716, 1994).",
    "CONSENSUS_TIES": "Votes per voxel; what a tie becomes is consensus.ties.",
    "REVIEW_STALE": "SHA-256 of the readings as they were judged.",
    "LEAK_SUSPECT": "SHA-256 of the voxels: equal images under two patient ids.",
    "RARE_CLASS": "Stratified folds need a patient of the class in each.",
    "SPLIT_UNEVEN": "Whole patients and whole centers only.",
    "WORKER_TIMEOUT": "Wall clock of one case, monotonic.",
})  # fmt: skip
"""Where the findings of the stages other than screening come from, by code."""


class RuleRow(msgspec.Struct, frozen=True):
    """One finding code as a study has it.

    ``severity`` is what the study file makes of ``default``, "off" when it is switched off.
    ``final``: nobody can accept it. ``source`` is empty where the meaning says it all.
    """

    stage: str
    code: str
    default: str
    severity: str
    final: bool
    meaning: str
    remedy: str
    source: str
    thresholds: tuple[Threshold, ...]


def rulebook(study: Study | None = None) -> tuple[RuleRow, ...]:
    """A row per finding code, in the order of the stages; without a study, with all defaults."""
    study = study or Study(name="defaults", sources=())
    limits = thresholds(study)
    sources = {**_screening_sources(), **SOURCES}
    return tuple(_row(kind, study, limits, sources.get(kind.code, "")) for kind in all_kinds())


def _row(kind: Kind, study: Study, limits: tuple[Threshold, ...], source: str) -> RuleRow:
    default = kind.severity.word
    return RuleRow(
        stage=kind.stage,
        code=kind.code,
        default=default,
        severity=default if kind.final else study.screen.severity.get(kind.code, default),
        final=kind.final,
        meaning=kind.meaning,
        remedy=kind.remedy,
        source=source,
        thresholds=tuple(limit for limit in limits if kind.code in limit.codes),
    )


def _screening_sources() -> dict[str, str]:
    rules = [(rule.kinds, rule.source) for rule in RULES]
    rules += [(rule.kinds, rule.source) for rule in PEOPLE_RULES]
    return {kind.code: source for kinds, source in rules for kind in kinds}
