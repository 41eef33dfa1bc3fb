"""Headers of a series as the values of a cohort: scan, patient, links."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from MedPrepLib.cohort import Links, Patient, Scan
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.dicom.people import age_in_years, sex_of

T = TypeVar("T")


def scan_facts(
    headers: Sequence[SliceHeader], key_tags: Sequence[str] = ()
) -> tuple[Scan, Patient, Links]:
    """What screening and packing need of a series (at least one header).

    Where slices differ, the most frequent value counts. ``key_tags`` must be those the headers
    were read with. The patient's center is not in a header: it is left empty.
    """

    def usual(value_of: Callable[[SliceHeader], T]) -> T:
        return _most_frequent([value_of(h) for h in headers])

    present = {keyword for header in headers for keyword in header.present}
    scan = Scan(
        modality=usual(lambda h: h.modality),
        manufacturer=usual(lambda h: h.manufacturer),
        model=usual(lambda h: h.model),
        body_part=usual(lambda h: h.body_part),
        study_description=usual(lambda h: h.study_description),
        series_description=usual(lambda h: h.series_description),
        image_type=usual(lambda h: h.image_type),
        kvp=usual(lambda h: h.kvp),
        slice_thickness_mm=usual(lambda h: h.slice_thickness_mm),
        repetition_time_ms=usual(lambda h: h.repetition_time_ms),
        echo_time_ms=usual(lambda h: h.echo_time_ms),
        field_strength_t=usual(lambda h: h.field_strength_t),
        kernel=usual(lambda h: h.kernel),
        contrast_agent=usual(lambda h: h.contrast_agent),
        bits_allocated=tuple(sorted({h.bits_allocated for h in headers})),
        bits_stored=tuple(sorted({h.bits_stored for h in headers})),
        photometric=usual(lambda h: h.photometric),
        transfer_syntax=usual(lambda h: h.transfer_syntax),
        burned_in="YES" if any(h.burned_in == "YES" for h in headers) else usual(_burned_in),
        lossy="01" if any(h.lossy == "01" for h in headers) else usual(_lossy),
        missing_tags=tuple(keyword for keyword in key_tags if keyword not in present),
    )
    patient = Patient(
        id=usual(lambda h: h.patient_id),
        center="",
        issuer=usual(lambda h: h.issuer),
        age_years=age_in_years(usual(lambda h: h.age)),
        sex=sex_of(usual(lambda h: h.sex)),
    )
    links = Links(
        study_uid=usual(lambda h: h.study_uid),
        series_uid=usual(lambda h: h.series_uid),
        frame_of_reference_uid=usual(lambda h: h.frame_of_reference_uid),
    )
    return scan, patient, links


def _burned_in(header: SliceHeader) -> str:
    return header.burned_in


def _lossy(header: SliceHeader) -> str:
    return header.lossy


def _most_frequent(values: Sequence[T]) -> T:
    """The most frequent value; among equals the one that sorts first, whatever the order."""
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], repr(value)))
