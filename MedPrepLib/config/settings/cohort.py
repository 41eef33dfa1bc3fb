"""What a cohort holds, what it tells, and how it is trained with."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from MedPrepLib.config.settings.base import Section


class Pack(Section, frozen=True):
    """The cohort on disk."""

    codec: Annotated[
        Literal["raw", "lz4", "gzip"],
        Meta(
            description="raw: fastest to load while the cohort fits in memory; lz4: for larger "
            "ones (needs hdf5plugin); gzip: smallest, portable"
        ),
    ] = "raw"
    foreground_voxels: Annotated[
        int, Meta(ge=0, le=1_000_000, description="coordinates kept per label for sampling")
    ] = 10_000


class Augment(Section, frozen=True):
    """Chance changes of training items that keep anatomy true; 0 or empty: not done."""

    refused: ClassVar[dict[str, str]] = {
        "crop": "cropping is not offered: it cuts findings off and moves what a box means; patches "
        "are taken by the loader",
        "scale": "scaling is not offered: lesion size is a finding, and millimeters would no "
        "longer be millimeters",
    }
    """Settings that other tools have, and why they are not here."""

    rotation_deg: Annotated[
        float,
        Meta(ge=0, le=10, description="largest angle about each of the axes L, P, S, degrees"),
    ] = 10.0
    flips: Annotated[
        tuple[Literal["left-right", "anterior-posterior", "inferior-superior"], ...],
        Meta(description="axes that are flipped with probability 1/2; left-right swaps partners"),
    ] = ()
    elastic_mm: Annotated[
        float,
        Meta(
            ge=0,
            le=10,
            description="largest displacement along an axis, mm; below a sixth of "
            "elastic_spacing_mm, so that nothing folds",
        ),
    ] = 4.0
    elastic_spacing_mm: Annotated[
        float, Meta(ge=8, le=200, description="between the control points of the elastic field, mm")
    ] = 40.0
    contrast: Annotated[
        float, Meta(ge=0, le=0.15, description="largest relative change of contrast")
    ] = 0.15
    contrast_pivot: Annotated[
        float, Meta(ge=0, le=1, description="intensity, in [0, 1], that contrast leaves unchanged")
    ] = 0.5
    noise_sigma: Annotated[
        float,
        Meta(
            ge=0, le=0.01, description="largest standard deviation of noise, intensities in [0, 1]"
        ),
    ] = 0.01


class Privacy(Section, frozen=True):
    """What names may reach the cohort."""

    case_names: Annotated[
        Literal["pseudonym", "given"],
        Meta(
            description="given: the study's own names (of cases, patients, drawn structures) "
            "are free of identity"
        ),
    ] = "pseudonym"
    min_group: Annotated[
        int,
        Meta(
            ge=2,
            le=100,
            description="a device's model is kept when so many patients share it; medprep "
            "share-check names cases of smaller groups (k-anonymity)",
        ),
    ] = 5
    age_step_years: Annotated[
        int, Meta(ge=1, le=45, description="ages are kept as the lower end of spans of so many")
    ] = 1
    leave_out: Annotated[
        tuple[
            Literal[
                "sex",
                "age_years",
                "manufacturer",
                "model",
                "body_part",
                "field_strength_t",
                "kvp",
                "slice_thickness_mm",
                "repetition_time_ms",
                "echo_time_ms",
                "image_type",
                "kernel",
                "contrast_agent",
            ],
            ...,
        ],
        Meta(description="facts of headers that the cohort does without"),
    ] = ()
    study_days: Annotated[
        bool,
        Meta(
            description="cases tell how many days after the patient's first study among the "
            "sources they were made (never a date)"
        ),
    ] = False
    origin: Annotated[
        Literal["kept", "zero"],
        Meta(description="zero: packed grids begin at 0, 0, 0 mm, wherever the patient lay"),
    ] = "kept"
