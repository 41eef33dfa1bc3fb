"""Screening: is this the scan the study wants, by its header facts? Rules without voxels.

Each rule is a small function from (case, geometry, settings) to findings; ``RULES`` lists them.
What a finding is worth may be changed in the study file, ``[screen.severity]``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from MedPrepLib import catalog
from MedPrepLib.cohort import Case
from MedPrepLib.config.settings import Screen, Word
from MedPrepLib.findings import Finding, Severity
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import is_generic, normalized_id

Rule = Callable[[Case, Geometry, Screen], Iterator[Finding]]

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
    return tuple(finding for rule in RULES for finding in rule(case, geometry, settings))


def screen_people(cases: Sequence[Case]) -> tuple[Finding, ...]:
    """Findings that need to see all cases: ids that identify nobody, ids in two centers."""
    findings = [
        catalog.NO_PATIENT_ID.at(
            case.id, "the patient id is blank or a placeholder; the case is a patient of its own"
        )
        for case in cases
        if is_generic(case.patient.id)
    ]
    by_id: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        if not is_generic(case.patient.id):
            by_id[normalized_id(case.patient.id)].append(case)
    for same in by_id.values():
        centers = sorted({case.patient.center for case in same})
        if len(centers) > 1:
            message = f"the same patient id occurs in {' and '.join(centers)}"
            findings += [catalog.SAME_ID_TWO_CENTERS.at(case.id, message) for case in same]
    return tuple(findings)


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
        return case.scan.modality
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


def _size(case: Case, geometry: Geometry, settings: Screen) -> Iterator[Finding]:
    voxels = geometry.size[0] * geometry.size[1] * geometry.size[2]
    if voxels > settings.max_voxels:
        message = f"{voxels:.3g} voxels, more than {settings.max_voxels:.3g}"
        yield catalog.IMPLAUSIBLE_SIZE.at(case.id, message)
    if min(geometry.size) < settings.min_slices:
        message = f"{min(geometry.size)} slices, fewer than {settings.min_slices}"
        yield catalog.TOO_FEW_SLICES.at(case.id, message)


def _burned_in(case: Case, _geometry: Geometry, _settings: Screen) -> Iterator[Finding]:
    if case.scan.burned_in.strip().upper() == "YES":
        yield catalog.BURNED_IN_RISK.at(case.id, "BurnedInAnnotation (0028,0301) is YES")


def _photometric(case: Case, _geometry: Geometry, _settings: Screen) -> Iterator[Finding]:
    if case.scan.photometric == "MONOCHROME1":
        yield catalog.MONOCHROME1.at(case.id, "PhotometricInterpretation is MONOCHROME1")


RULES: tuple[Rule, ...] = (
    _missing_tags,
    _study_description,
    _device,
    _modality,
    _thickness,
    _anisotropy,
    _size,
    _burned_in,
    _photometric,
)
