"""What the stages go by: rules, limits and methods."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from MedPrepLib.config.settings.base import Section, Word, limit


class Screen(Section, frozen=True):
    """Rules on header facts. ``severity`` changes what a finding code is worth."""

    modalities: Annotated[
        tuple[str, ...],
        limit("wanted DICOM modalities; empty: all images", "MODALITY_UNWANTED"),
    ] = ()
    key_tags: Annotated[
        tuple[str, ...],
        limit("DICOM keywords that every series should carry", "MISSING_TAGS"),
    ] = ("PatientID", "Modality", "StudyInstanceUID", "SeriesInstanceUID", "PixelSpacing")
    min_slices: Annotated[
        int,
        limit("fewer are no volume", "TOO_FEW_SLICES", unit="slices", ge=1, le=10_000),
    ] = 3
    max_ct_slice_mm: Annotated[
        float,
        limit("mm between CT slices", "THICK_SLICES", unit="mm", ge=0.1, le=20),
    ] = 5.0
    max_mr_slice_mm: Annotated[
        float,
        limit("mm between MR slices", "THICK_SLICES", unit="mm", ge=0.1, le=20),
    ] = 5.0
    max_pt_slice_mm: Annotated[
        float,
        limit("mm between PET slices", "THICK_SLICES", unit="mm", ge=0.1, le=20),
    ] = 6.0
    max_anisotropy: Annotated[
        float,
        limit("longest over shortest voxel edge", "ANISOTROPIC", ge=1, le=100),
    ] = 10.0
    max_voxels: Annotated[
        int,
        limit(
            "larger images are implausible", "IMPLAUSIBLE_SIZE", unit="voxels", ge=1_000, le=2**36
        ),
    ] = 2**31
    gap_tolerance: Annotated[
        float,
        limit(
            "deviation of a slice distance, as a part of the median", "SLICE_GAP", ge=0.001, le=0.5
        ),
    ] = 0.05
    max_tilt_mm: Annotated[
        float,
        limit(
            "in-plane drift of the origin over the stack, mm",
            "GANTRY_TILT",
            "SLICE_DISPLACED",
            unit="mm",
            ge=0.001,
            le=10,
        ),
    ] = 0.5
    max_sub_series: Annotated[
        int,
        limit(
            "volumes of one series that become cases; more: rejected",
            "TOO_MANY_VOLUMES",
            unit="volumes",
            ge=1,
            le=10_000,
        ),
    ] = 16
    face_extent_mm: Annotated[
        float,
        limit(
            "a head image shorter than this in some direction shows no face",
            "FACE_POSSIBLE",
            unit="mm",
            ge=10,
            le=500,
        ),
    ] = 80.0
    severity: Annotated[dict[str, Word], Meta(description="finding code = severity or off")] = (
        msgspec.field(default_factory=dict)
    )


class Window(Section, frozen=True):
    """A display window (plain formula: level - width/2 .. level + width/2)."""

    level: Annotated[float, Meta(ge=-32768, le=32767, description="center, HU")]
    width: Annotated[float, Meta(ge=1, le=65535, description="HU")]


def _windows() -> dict[str, Window]:
    return {
        "lung": Window(level=-600, width=1500),
        "mediastinum": Window(level=50, width=350),
        "bone": Window(level=400, width=1800),
        "brain": Window(level=40, width=80),
    }


class Standardize(Section, frozen=True):
    """From stored values to the values a model sees. CT is clipped Hounsfield units as int16."""

    ct_low_hu: Annotated[
        int,
        limit("HU; also the pad value", "CLIPPED", unit="HU", ge=-32768, le=32767),
    ] = -1024
    ct_high_hu: Annotated[
        int,
        limit("HU", "CLIPPED", unit="HU", ge=-32768, le=32767),
    ] = 3071
    pet: Annotated[
        Literal["suv", "stored"],
        Meta(description="PET: suv, converted to SUV by body weight (g/mL); stored, as it is"),
    ] = "suv"
    percentiles: Annotated[
        tuple[Annotated[float, Meta(ge=0, le=100)], ...], Meta(description="stored with each case")
    ] = (0.5, 5.0, 25.0, 50.0, 75.0, 95.0, 99.5)
    windows: Annotated[dict[str, Window], Meta(description="named display windows, HU")] = (
        msgspec.field(default_factory=_windows)
    )


class Align(Section, frozen=True):
    """When a mask belongs to an image."""

    same_mm: Annotated[
        float,
        limit(
            "corner distance that is no difference, mm", "GRID_ROUNDING", unit="mm", ge=0, le=0.1
        ),
    ] = 1e-3
    rounding_fraction: Annotated[
        float,
        limit(
            "of the smallest spacing: snapped and noted",
            "GRID_ROUNDING",
            "GRID_RESAMPLED",
            ge=0,
            le=0.5,
        ),
    ] = 0.1
    resample: Annotated[
        bool,
        limit(
            "resample masks from other grids (false: reject them)",
            "GRID_RESAMPLED",
            "GRID_MISMATCH",
        ),
    ] = True
    min_overlap: Annotated[
        float,
        limit(
            "part of the mask's voxels that must lie inside the image",
            "GRID_MISMATCH",
            "MASK_OUTSIDE",
            ge=0,
            le=1,
        ),
    ] = 0.5


class Agree(Section, frozen=True):
    """When raters agree too little."""

    threshold: Annotated[
        float,
        limit(
            "Dice of masks and slices, F1 of boxes below this is reviewed",
            "LOW_AGREEMENT",
            ge=0,
            le=1,
        ),
    ] = 0.7
    rule: Annotated[
        Literal["worst_pair", "mean_pair", "consensus"],
        limit(
            "which value the threshold judges; consensus: every rater against it", "LOW_AGREEMENT"
        ),
    ] = "worst_pair"
    equal_voxels: Annotated[
        int,
        limit(
            "masks of two people that are equal ask for a look from this size on",
            "READINGS_EQUAL",
            unit="voxels",
            ge=1,
        ),
    ] = 500
    surfaces: Annotated[bool, Meta(description="measure distances between surfaces, too")] = True
    tolerance_mm: Annotated[
        float, Meta(gt=0, le=50, description="surfaces within this are equal (surface Dice), mm")
    ] = 1.0
    lesion_iou: Annotated[
        float,
        Meta(
            ge=0,
            lt=1,
            description="two components are one lesion above this intersection over union; "
            "0: any common voxel",
        ),
    ] = 0.1
    box_iou: Annotated[
        float,
        Meta(gt=0, le=1, description="boxes are one thing from this intersection over union on"),
    ] = 0.5


class Consensus(Section, frozen=True):
    """How several readings become one."""

    method: Annotated[
        Literal["majority", "staple"],
        Meta(description="a vote, or raters weighted by their estimated performance"),
    ] = "majority"
    ties: Annotated[
        str,
        Meta(
            pattern=r"^(background|foreground|undecided|rater:.+)$",
            description="background, foreground (the tied label), undecided (a value that "
            "training ignores, in masks and slice labels), or rater:<name>; boxes go by box_quorum",
            extra_json_schema={"codes": ["CONSENSUS_TIES", "TIES_NOT_UNDECIDED"], "unit": ""},
        ),
    ] = "background"
    confidence_weight: Annotated[
        float,
        Meta(gt=0, le=10, description="STAPLE: factor on the prior, the mean drawn fraction"),
    ] = 1.0
    max_iterations: Annotated[
        int, Meta(ge=1, le=1_000_000, description="STAPLE: rounds before it is called unconverged")
    ] = 10_000
    box_quorum: Annotated[
        int,
        limit(
            "raters who must draw a box (all, where fewer looked); 0: more than half",
            "QUORUM_LOWERED",
            ge=0,
            le=1000,
        ),
    ] = 0


class Split(Section, frozen=True):
    """Who trains and who tests; whole patients, whole centers."""

    test_fraction: Annotated[
        float,
        limit("of patients, at least; 0 for no test set", "SPLIT_UNEVEN", ge=0, le=0.9),
    ] = 0.2
    test_centers: Annotated[
        tuple[str, ...], Meta(description="hold out these centers; empty: chosen")
    ] = ()
    folds: Annotated[
        int,
        limit("cross-validation folds", "RARE_CLASS", "FEW_FOLDS", ge=2, le=20),
    ] = 5
    prevalence: Annotated[
        dict[str, Annotated[float, Meta(gt=0, lt=1)]],
        limit(
            "share of test patients to show a class, e.g. its clinical incidence",
            "PREVALENCE_UNMET",
        ),
    ] = msgspec.field(default_factory=dict)
    fixed: Annotated[
        str,
        limit(
            "a CSV with case or patient, set (train, test), fold: who is placed by hand; "
            "relative to the study file",
            "SPLIT_FIXED_UNKNOWN",
        ),
    ] = ""
    near_duplicate: Annotated[
        float,
        limit(
            "images of two patients are copies when this share of gradient signs agrees; "
            "different patients reach 0.76 at most (MedPrepLib/leakage/nearness.py)",
            "LEAK_SUSPECT",
            ge=0.7,
            le=1,
        ),
    ] = 0.8
