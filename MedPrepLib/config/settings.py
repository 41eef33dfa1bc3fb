"""Every setting of MedPrep: default, range, unit and source in one place.

A study file is TOML with exactly these names. ``Meta`` carries the range (checked on load) and
the sentence shown in the reference; lengths are millimeters, unless a name says otherwise.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from MedPrepLib.labels import Label, LabelSchema, Terminology, distinct_color

Word = Literal["off", "note", "review", "reject"]
Task = Literal["segmentation", "detection", "classification"]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
ColorValue = Annotated[int, Meta(ge=0, le=255)]


def limit(
    about: str, *codes: str, unit: str = "", ge: float | None = None, le: float | None = None
) -> Meta:
    """A setting that decides on findings: what it says, their codes, its unit and its range."""
    extra = {"codes": list(codes), "unit": unit}
    return Meta(ge=ge, le=le, description=about, extra_json_schema=extra)


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the study file."""


class Annotation(Section, frozen=True):
    """How the files called by one annotation name are to be read."""

    rater: Annotated[str, Meta(description="who drew it; default: the annotation's name")] = ""
    label: Annotated[str, Meta(description="every non-zero voxel means this label")] = ""
    values: Annotated[
        dict[str, str], Meta(description="label name for each number in the file, as text keys")
    ] = {}
    ignore: Annotated[bool, Meta(description="leave these files out")] = False


class SourceSection(Section, frozen=True, tag_field="kind"):
    """What all sources have in common."""

    path: Annotated[str, Meta(min_length=1, description="relative to the study file")]
    modality: Annotated[str, Meta(description="modality of files whose header has none")] = ""
    annotations: Annotated[
        dict[str, Annotation], Meta(description="by rater file or annotation name")
    ] = {}


class DicomSource(SourceSection, frozen=True, tag="dicom"):
    """A tree of DICOM files; each image series becomes a case."""

    center: Annotated[str, Meta(description="center of all cases of this source")] = ""
    centers: Annotated[
        str,
        Meta(
            description="a CSV that tells centers: columns center and any of folder, institution, "
            "station, patient"
        ),
    ] = ""
    masks: Annotated[
        str,
        Meta(
            description="folder with one sub-folder per case or SeriesInstanceUID, holding "
            "<rater>.nii.gz, .nrrd, .seg.nrrd or .mha"
        ),
    ] = ""


class FolderSource(SourceSection, frozen=True, tag="folders"):
    """center/patient/case/ with image.* (or a folder image/ of DICOM) and masks/<rater>.*."""

    centers: Annotated[
        str,
        Meta(
            description="a CSV that tells centers: columns center and any of folder, institution, "
            "station, patient"
        ),
    ] = ""
    part: Annotated[
        str, Meta(description='the volume meant where series hold several: "b800", "echo1"')
    ] = ""


class TableSource(SourceSection, frozen=True, tag="table"):
    """A CSV or TSV with one row per case.

    Columns: case, patient, image, annotations (``name=path;name=path``); optional: center,
    modality, sex, age, manufacturer, model, study, part (the volume meant where a series holds
    several: b800, echo1). ``columns`` renames them. Paths are relative to the table.
    """

    columns: Annotated[
        dict[str, str], Meta(description="our column name = the table's column name")
    ] = {}
    centers: Annotated[
        str,
        Meta(
            description="a CSV that tells centers: columns center and any of folder, institution, "
            "station, patient; for rows that name no center"
        ),
    ] = ""


class NnunetSource(SourceSection, frozen=True, tag="nnunet"):
    """An nnU-Net raw folder: imagesTr, labelsTr, dataset.json (channel 0000 only)."""

    center: Annotated[str, Meta(description="center of all cases of this source")] = ""


Source = DicomSource | FolderSource | TableSource | NnunetSource


class TerminologyCode(Section, frozen=True):
    """A coded concept (DICOM PS3.16)."""

    scheme: Annotated[Name, Meta(description="coding scheme, such as SCT (SNOMED CT)")]
    value: Annotated[Name, Meta(description="code in that scheme")]
    meaning: Annotated[str, Meta(description="what the code stands for, in words")] = ""


class LabelSection(Section, frozen=True):
    """One structure; its key in ``[labels]`` is its name."""

    value: Annotated[int, Meta(ge=1, le=65535, description="voxel value in the packed mask")]
    color: Annotated[
        tuple[ColorValue, ColorValue, ColorValue] | None, Meta(description="sRGB, 0-255")
    ] = None
    aliases: Annotated[
        tuple[str, ...], Meta(description="other names of it in masks and objects")
    ] = ()
    partner: Annotated[str, Meta(description="the same structure on the other side")] = ""
    terminology: Annotated[
        TerminologyCode | None, Meta(description="what it is, as a code; matches segments, too")
    ] = None


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
    severity: Annotated[dict[str, Word], Meta(description="finding code = severity or off")] = {}


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
        limit("Dice below this is reviewed", "LOW_AGREEMENT", ge=0, le=1),
    ] = 0.7
    rule: Annotated[
        Literal["worst_pair", "mean_pair", "consensus"],
        limit(
            "which value the threshold judges; consensus: every rater against it", "LOW_AGREEMENT"
        ),
    ] = "worst_pair"
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
            "training ignores), or rater:<name>",
            extra_json_schema={"codes": ["CONSENSUS_TIES"], "unit": ""},
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
        int, Meta(ge=0, le=1000, description="raters who must draw a box; 0: more than half")
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
    ] = {}
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


class Report(Section, frozen=True):
    """The report."""

    pictures: Annotated[bool, Meta(description="draw an overlay picture of every case")] = True
    window: Annotated[str, Meta(description="named window for CT pictures; empty: by content")] = ""
    outlier_score: Annotated[
        float,
        Meta(
            ge=1,
            le=100,
            description="a case whose intensity percentiles or spacing lie farther from the median "
            "of its modality is marked, in robust standard deviations (Iglewicz and Hoaglin 1993)",
        ),
    ] = 3.5


class Card(Section, frozen=True):
    """What people tell of the data set, for its card; everybody may read it, so name no patient."""

    title: Annotated[
        str, Meta(max_length=200, description="name of the data set; empty: that of the study")
    ] = ""
    description: Annotated[
        str,
        Meta(max_length=20_000, description="what it is and what it is for; empty lines part"),
    ] = ""
    creators: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
        Meta(description="people who made the data set"),
    ] = ()
    publisher: Annotated[
        str, Meta(max_length=200, description="institution that answers for it")
    ] = ""
    license: Annotated[
        str,
        Meta(max_length=200, description="SPDX identifier (CC-BY-4.0), name, or web address"),
    ] = ""
    citation: Annotated[
        str, Meta(max_length=20_000, description="how to cite it, best as BibTeX")
    ] = ""
    url: Annotated[
        str,
        Meta(
            max_length=2000,
            pattern=r"^(https?://[A-Za-z0-9._~:/?#@!$&'*+,;=%-]+)?$",
            description="a web page about it, http(s)://...",
        ),
    ] = ""
    version: Annotated[
        str,
        Meta(
            pattern=r"^([0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9})?$",
            description="of the data set, major.minor.patch (1.0.0)",
        ),
    ] = ""
    published: Annotated[
        str,
        Meta(
            pattern=r"^([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))?$",
            description="day of publication, YYYY-MM-DD",
        ),
    ] = ""


class Run(Section, frozen=True):
    """How the work is done; nothing here changes the result."""

    workers: Annotated[
        int, Meta(ge=0, le=256, description="processes; 0: as many as cores and free memory allow")
    ] = 0
    timeout_s: Annotated[
        float,
        limit("per case, seconds", "WORKER_TIMEOUT", unit="s", ge=1, le=86_400),
    ] = 600.0
    memory_gb: Annotated[
        float,
        limit(
            "a worker may not ask for more, GB of addresses; 0: what the machine has",
            "WORKER_MEMORY",
            unit="GB",
            ge=0,
            le=4096,
        ),
    ] = 0.0
    fail_on: Annotated[
        Literal["review", "reject", "never"], Meta(description="exit status 1 from here on")
    ] = "reject"


class Study(Section, frozen=True):
    """A whole study file."""

    name: Annotated[Name, Meta(description="of the study, as the report shows it")]
    sources: Annotated[
        tuple[Source, ...], Meta(min_length=1, description="where images and masks come from")
    ]
    labels: Annotated[
        dict[str, LabelSection], Meta(description="the structures; required without labels_file")
    ] = {}
    labels_file: Annotated[
        str, Meta(description="a 3D Slicer color table (.csv, .ctbl) in place of [labels]")
    ] = ""
    reading_dates: Annotated[
        str,
        Meta(
            description="a CSV with case, rater, date (YYYY-MM-DD), for learning curves; "
            "only the order of the dates is kept"
        ),
    ] = ""
    reviews: Annotated[
        str, Meta(min_length=1, description="folder of the reviews made in 3D Slicer")
    ] = "reviews"
    readmitted: Annotated[
        str,
        Meta(
            min_length=1,
            description="file of findings that people accepted (medprep readmit writes it)",
        ),
    ] = "readmitted.toml"
    task: Annotated[
        Task, Meta(description="what is packed as targets: masks, boxes, or labels per slice")
    ] = "segmentation"
    seed: Annotated[
        int, Meta(ge=0, le=2**63 - 1, description="all randomness of a run comes from it")
    ] = 0
    screen: Screen = Screen()
    standardize: Standardize = Standardize()
    align: Align = Align()
    agree: Agree = Agree()
    consensus: Consensus = Consensus()
    split: Split = Split()
    pack: Pack = Pack()
    augment: Augment = Augment()
    privacy: Privacy = Privacy()
    report: Report = Report()
    card: Card = Card()
    run: Run = Run()

    def schema(self) -> LabelSchema:
        """The label schema; LabelError when labels contradict each other."""
        return LabelSchema(tuple(_label(name, row) for name, row in self.labels.items()))


def _label(name: str, row: LabelSection) -> Label:
    code = row.terminology
    return Label(
        name=name,
        value=row.value,
        color=row.color or distinct_color(row.value),
        aliases=row.aliases,
        terminology=Terminology(code.scheme, code.value, code.meaning) if code else None,
        partner=row.partner or None,
    )
