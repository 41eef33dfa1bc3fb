"""Screening: is this the scan the study wants, by its header facts? Rules without voxels.

A rule is a small function together with the kinds of its findings and where it comes from;
``RULES`` lists those about one case, ``PEOPLE_RULES`` those that need to see all cases. What a
finding is worth may be changed in the study file, ``[screen.severity]``; "off" skips the rule.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from MedPrepLib import catalog
from MedPrepLib.cohort import Case
from MedPrepLib.config.settings import Screen, Word
from MedPrepLib.findings import Finding, Kind, Severity
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import is_generic, known_id
from MedPrepLib.issuers import Doubt, doubtful_issuers
from MedPrepLib.vocabulary import BODY_PARTS, MODALITIES

CaseCheck = Callable[[Case, Geometry, Screen], Iterator[Finding]]
PeopleCheck = Callable[[Sequence[Case]], Iterator[Finding]]
Check = TypeVar("Check", CaseCheck, PeopleCheck)


@dataclass(frozen=True, slots=True)
class Rule(Generic[Check]):
    """One question to the header facts.

    ``kinds``: everything it may find. ``source``: where the rule or its limit comes from, in one
    sentence (a DICOM attribute, a standard, a paper, a measured fact).
    """

    check: Check
    kinds: tuple[Kind, ...]
    source: str

    def is_off(self, severity: Mapping[str, Word]) -> bool:
        """True when the study file switches off everything that the rule may find."""
        return all(severity.get(kind.code) == "off" for kind in self.kinds)


MODALITY_WORDS: Mapping[str, str] = {
    "CT": r"\bct\b|computed tomography|\bcomputertomogra",
    "MR": r"\bmrt?\b|\bmri\b|magnetic resonance|magnetresonanz",
    "PT": r"\bpet\b|positron",
    "US": r"\bus\b|ultraso|sonogra",
    "CR": r"\bcr\b|\bx-?ray\b|\bradiogra",
}
"""Words in Study- and SeriesDescription that name a modality (English and German usage)."""

HYBRID = frozenset(("CT", "MR", "PT"))
"""A study described as PET/CT or PET/MR holds series of each; no conflict then."""


def screen(case: Case, geometry: Geometry, settings: Screen) -> tuple[Finding, ...]:
    """Findings of all rules about one case; ``geometry`` is that of the image."""
    return tuple(
        finding
        for rule in RULES
        if not rule.is_off(settings.severity)
        for finding in rule.check(case, geometry, settings)
    )


def screen_people(cases: Sequence[Case]) -> tuple[Finding, ...]:
    """Findings that need to see all cases: ids of nobody, of two centers, of unclear issuers."""
    return tuple(finding for rule in PEOPLE_RULES for finding in rule.check(cases))


def _nobody(cases: Sequence[Case]) -> Iterator[Finding]:
    message = "the patient id is blank or a placeholder; the case is a patient of its own"
    for case in cases:
        if is_generic(case.patient.id):
            yield catalog.NO_PATIENT_ID.at(case.id, message)


def _two_centers(cases: Sequence[Case]) -> Iterator[Finding]:
    by_id: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        if patient := known_id(case.patient.id):
            by_id[patient].append(case)
    for same in by_id.values():
        centers = sorted({case.patient.center for case in same})
        if len(centers) > 1:
            message = f"the same patient id occurs in {' and '.join(centers)}"
            for case in same:
                yield catalog.SAME_ID_TWO_CENTERS.at(case.id, message)


def _issuers(cases: Sequence[Case]) -> Iterator[Finding]:
    for case, doubt in doubtful_issuers(cases).items():
        several = doubt.bare and doubt.issuers > 1
        kind = catalog.ISSUER_AMBIGUOUS if several else catalog.ISSUER_MISSING
        yield kind.at(case, f"the same patient id occurs in this center {_named(doubt)}")


def _named(doubt: Doubt) -> str:
    if not doubt.bare:
        return "with an issuer that is written in two ways"
    return f"without an issuer and with {'one' if doubt.issuers == 1 else doubt.issuers}"


def judged(findings: Iterable[Finding], severity: Mapping[str, Word]) -> tuple[Finding, ...]:
    """The findings as the study file judges them: other severities, some switched off.

    Final ones stay what they are: there is nothing that could be accepted.
    """
    kept = []
    for finding in findings:
        kind = catalog.find_kind(finding.code)
        word = severity.get(finding.code)
        if word is None or (kind is not None and kind.final):
            kept.append(finding)
        elif word != "off":
            kept.append(finding.with_severity(Severity.from_word(word)))
    return tuple(kept)


def modality_of(case: Case) -> str:
    """The modality: the header's or the table's; else the only one the descriptions name."""
    if case.scan.modality:
        # The attribute may hold any text; what is no modality is another one.
        return case.scan.modality if case.scan.modality in MODALITIES else "OT"
    named = _named_modalities(case)
    return next(iter(named)) if len(named) == 1 else ""


def _named_modalities(case: Case) -> frozenset[str]:
    text = f"{case.scan.study_description} {case.scan.series_description}".lower()
    return frozenset(m for m, words in MODALITY_WORDS.items() if re.search(words, text))


def _is_dicom(case: Case) -> bool:
    return case.image.kind == "dicom"


def _missing_tags(case: Case, _geometry: Geometry, _settings: Screen) -> Iterator[Finding]:
    # Whose id it is has a rule of its own; and a grid was made, so its spacing is known (of
    # multi-frame objects it stands in the functional groups).
    missing = [tag for tag in case.scan.missing_tags if tag not in ("PatientID", "PixelSpacing")]
    if _is_dicom(case) and missing:
        yield catalog.MISSING_TAGS.at(case.id, f"the header has no {', '.join(missing)}")


def _study_description(case: Case, _geometry: Geometry, _settings: Screen) -> Iterator[Finding]:
    if _is_dicom(case) and not case.scan.study_description.strip():
        yield catalog.NO_STUDY_DESCRIPTION.at(case.id, "the header has no StudyDescription")


def _device(case: Case, _geometry: Geometry, _settings: Screen) -> Iterator[Finding]:
    if _is_dicom(case) and not (case.scan.manufacturer.strip() or case.scan.model.strip()):
        yield catalog.NO_DEVICE.at(case.id, "neither Manufacturer nor ManufacturerModelName is set")


def _modality(case: Case, _geometry: Geometry, settings: Screen) -> Iterator[Finding]:
    modality = modality_of(case)
    if not modality:
        yield catalog.MODALITY_UNKNOWN.at(case.id, "neither header nor study file tells it")
        return
    if settings.modalities and modality not in settings.modalities:
        wanted = ", ".join(settings.modalities)
        yield catalog.MODALITY_UNWANTED.at(case.id, f"modality {modality}; wanted: {wanted}")
    named = _named_modalities(case)
    if named and modality not in named and not (modality in HYBRID and len(named & HYBRID) > 1):
        message = f"Modality says {modality}, the descriptions name {' and '.join(sorted(named))}"
        yield catalog.MODALITY_CONFLICT.at(case.id, message)


def _thickness(case: Case, geometry: Geometry, settings: Screen) -> Iterator[Finding]:
    limits = {
        "CT": settings.max_ct_slice_mm,
        "MR": settings.max_mr_slice_mm,
        "PT": settings.max_pt_slice_mm,
    }
    modality = modality_of(case)
    # Files may be stored in any axis order: their slices are stacked along the coarsest axis.
    distance = geometry.spacing[2] if _is_dicom(case) else max(geometry.spacing)
    limit = limits.get(modality)
    if limit is not None and distance > limit + 1e-6:
        message = f"{distance:.2f} mm between slices, more than {limit:g} mm for {modality}"
        yield catalog.THICK_SLICES.at(case.id, message)


def _anisotropy(case: Case, geometry: Geometry, settings: Screen) -> Iterator[Finding]:
    ratio = max(geometry.spacing) / min(geometry.spacing)
    if ratio > settings.max_anisotropy:
        message = (
            f"voxels are {ratio:.1f} times longer than wide (limit {settings.max_anisotropy:g})"
        )
        yield catalog.ANISOTROPIC.at(case.id, message)


def _voxels(case: Case, geometry: Geometry, settings: Screen) -> Iterator[Finding]:
    voxels = geometry.voxels
    if voxels > settings.max_voxels:
        message = f"{voxels:.3g} voxels, more than {settings.max_voxels:.3g}"
        yield catalog.IMPLAUSIBLE_SIZE.at(case.id, message)


def _slices(case: Case, geometry: Geometry, settings: Screen) -> Iterator[Finding]:
    if min(geometry.size) < settings.min_slices:
        message = f"{min(geometry.size)} slices, fewer than {settings.min_slices}"
        yield catalog.TOO_FEW_SLICES.at(case.id, message)


def _burned_in(case: Case, _geometry: Geometry, _settings: Screen) -> Iterator[Finding]:
    if case.scan.burned_in.strip().upper() == "YES":
        yield catalog.BURNED_IN_RISK.at(case.id, "BurnedInAnnotation (0028,0301) is YES")


HEAD_PARTS = frozenset(
    ("HEAD", "HEADNECK", "BRAIN", "FACE", "SKULL", "SINUS", "JAW", "MANDIBLE", "MAXILLA", "ORBIT",
     "EYE", "EAR", "NOSE", "MOUTH", "WHOLEBODY", "CEREBELLUM", "CEREBRALA")
)  # fmt: skip
"""Values of BodyPartExamined of images that may show a face."""

_HEAD_WORDS = re.compile(
    r"\b(head|brain|skull|cranial|cranium|cerebr\w*|face|facial|sinus\w*|orbit\w*|neuro\w*|"
    r"kopf|sch(ae|ä)del|hirn|gesicht|whole ?body|ganzk(oe|ö)rper|mprage|icp)\b"
)


def _face(case: Case, geometry: Geometry, settings: Screen) -> Iterator[Finding]:
    edges = [n * step for n, step in zip(geometry.size, geometry.spacing, strict=True)]
    if modality_of(case) not in HYBRID or min(edges) < settings.face_extent_mm:
        return
    part = " ".join(case.scan.body_part.upper().split())
    words = f"{case.scan.study_description} {case.scan.series_description}".casefold()
    # What the header says of the region counts; descriptions where it does not say.
    if part in HEAD_PARTS or (part not in BODY_PARTS and _HEAD_WORDS.search(words)):
        shown = " x ".join(f"{edge:.0f}" for edge in edges)
        message = f"a head in {shown} mm (from {settings.face_extent_mm:g} mm on)"
        yield catalog.FACE_POSSIBLE.at(case.id, message)


def _photometric(case: Case, _geometry: Geometry, _settings: Screen) -> Iterator[Finding]:
    if case.scan.photometric == "MONOCHROME1":
        yield catalog.MONOCHROME1.at(case.id, "PhotometricInterpretation is MONOCHROME1")


RULES: tuple[Rule[CaseCheck], ...] = (
    Rule(
        _missing_tags,
        (catalog.MISSING_TAGS,),
        "Attributes of type 1 or 2 of every image in PS3.3 (C.7.1.1, C.7.2.1, C.7.3.1, C.7.6.2); "
        "which of them count is the study's choice.",
    ),
    Rule(
        _study_description,
        (catalog.NO_STUDY_DESCRIPTION,),
        "StudyDescription (0008,1030), optional in PS3.3 C.7.2.1: without it only the images tell "
        "what was examined.",
    ),
    Rule(
        _device,
        (catalog.NO_DEVICE,),
        "Manufacturer (0008,0070) and ManufacturerModelName (0008,1090), PS3.3 C.7.5.1.",
    ),
    Rule(
        _modality,
        (catalog.MODALITY_UNKNOWN, catalog.MODALITY_UNWANTED, catalog.MODALITY_CONFLICT),
        "Modality (0008,0060), PS3.3 C.7.3.1.1.1, beside the words of StudyDescription "
        "(0008,1030) and SeriesDescription (0008,103E).",
    ),
    Rule(
        _thickness,
        (catalog.THICK_SLICES,),
        "Distance of ImagePositionPatient (0020,0032) along the normal, not SliceThickness "
        "(0018,0050); CT at most 5 mm as in RECIST 1.1 (Eisenhauer et al., Eur. J. Cancer 45:228, "
        "2009), MR and PET by choice.",
    ),
    Rule(
        _anisotropy,
        (catalog.ANISOTROPIC,),
        "Longest over shortest edge of a voxel; the limit is a choice: 0.5 mm pixels in 5 mm "
        "slices just pass.",
    ),
    Rule(
        _voxels,
        (catalog.IMPLAUSIBLE_SIZE,),
        "Size of the grid; the limit is what a case file may declare (2^31 voxels).",
    ),
    Rule(
        _slices,
        (catalog.TOO_FEW_SLICES,),
        "Size of the grid: two slices give a distance, only a third shows that it is regular.",
    ),
    Rule(
        _burned_in,
        (catalog.BURNED_IN_RISK,),
        "BurnedInAnnotation (0028,0301), PS3.3 C.7.6.1, asked for by the Clean Pixel Data option "
        "of PS3.15 (E.3.1); for files that do not say, modalities and ImageType (0008,0008) of "
        "devices that write into pixels.",
    ),
    Rule(
        _face,
        (catalog.FACE_POSSIBLE,),
        "BodyPartExamined (0018,0015), else the words of StudyDescription (0008,1030) and "
        "SeriesDescription (0008,103E), and the field of view; faces of MR were told apart from "
        "photographs in 83 % of 84 people (Schwarz et al., N. Engl. J. Med. 381:1684, 2019).",
    ),
    Rule(
        _photometric,
        (catalog.MONOCHROME1,),
        "PhotometricInterpretation (0028,0004), PS3.3 C.7.6.3.1.2: concerns the display alone.",
    ),
)

PEOPLE_RULES: tuple[Rule[PeopleCheck], ...] = (
    Rule(
        _nobody,
        (catalog.NO_PATIENT_ID,),
        "PatientID (0010,0020), of type 2 in PS3.3 C.7.1.1: it may be empty, and anonymizers give "
        "one value to everybody.",
    ),
    Rule(
        _two_centers,
        (catalog.SAME_ID_TWO_CENTERS,),
        "PatientID (0010,0020) is unique for its issuer only (0010,0021), PS3.3 C.7.1.1.",
    ),
    Rule(
        _issuers,
        (catalog.ISSUER_MISSING, catalog.ISSUER_AMBIGUOUS),
        "IssuerOfPatientID (0010,0021) of type 3 in PS3.3 C.7.1.1: it may be left out; without it "
        "nothing tells equal ids of one center apart.",
    ),
)
