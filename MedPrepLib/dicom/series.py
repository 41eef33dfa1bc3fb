"""Sorting DICOM files into image series, annotation objects and everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from MedPrepLib import catalog
from MedPrepLib.dicom.arrange import Arranged, arrange, arrange_volumes
from MedPrepLib.dicom.facts import scan_facts
from MedPrepLib.dicom.headers import LABEL_MAP, RTSTRUCT, SEGMENTATION, SliceHeader
from MedPrepLib.findings import Finding, Severity
from MedPrepLib.identity import normalized_id

__all__ = [
    "Arranged",
    "Kind",
    "SeriesGroup",
    "arrange",
    "arrange_volumes",
    "describe_objects",
    "group_series",
    "is_capture",
    "kind_of",
    "scan_facts",
]

Kind = Literal["image", "rtstruct", "seg", "other"]

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_IMAGES = frozenset(
    _STORAGE + tail
    for tail in (
        "1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1",
        "2", "2.1", "2.2", "3.1", "4", "4.1", "4.3", "4.4", "6.1", "6.2",
        "12.1", "12.1.1", "12.2", "12.2.1", "13.1.1", "13.1.2", "13.1.3", "13.1.4", "13.1.5",
        "20", "128", "128.1", "130", "481.1", "501.1", "501.2.1",
    )
)  # fmt: skip
"""Storage SOP classes of scanners (PS3.4 annex B.5): CR, DX, MG, CT, US, MR, XA, RF, NM, PET..."""

_CAPTURES = frozenset(_STORAGE + tail for tail in ("7", "7.1", "7.2", "7.3", "7.4"))
"""Secondary capture: screenshots, dose reports, scanned paper."""

_WORDS = {
    "11": "presentation state", "88": "structured report", "9": "waveform",
    "481.2": "RT dose", "481.4": "RT treatment record", "481.5": "RT plan", "481.8": "RT plan",
    "66": "registration or raw data", "77": "microscopy, photograph or ophthalmic image",
    "104": "encapsulated document", "30": "parametric map",
}  # fmt: skip


class SeriesGroup(msgspec.Struct, frozen=True):
    """Files that belong together: one series, one kind of object, in the order of their paths."""

    kind: Kind
    series_uid: str
    headers: tuple[SliceHeader, ...]

    key: str
    """Tells this group from all others of a scan; private, made of UIDs and paths."""

    @property
    def referenced_series(self) -> tuple[str, ...]:
        """The image series an annotation object was drawn on, as far as it says."""
        return tuple(dict.fromkeys(uid for h in self.headers for uid in h.referenced_series))

    @property
    def folder(self) -> str:
        """The folder of the first file."""
        return str(Path(self.headers[0].path).parent)


def kind_of(header: SliceHeader) -> Kind:
    """What an object is, by its SOP class (0008,0016), or by its pixels when it names none."""
    uid = header.sop_class_uid
    if uid == RTSTRUCT:
        return "rtstruct"
    if uid in (SEGMENTATION, LABEL_MAP):
        return "seg"
    if is_capture(header):
        return "other"
    has_pixels = header.rows > 0 and header.columns > 0 and header.pixel_offset >= 0
    return "image" if uid in _IMAGES or (not uid and has_pixels) else "other"


def is_capture(header: SliceHeader) -> bool:
    """True for secondary captures: screenshots, dose reports, scanned paper."""
    return header.sop_class_uid in _CAPTURES or header.modality == "SC"


def group_series(headers: Iterable[SliceHeader]) -> tuple[SeriesGroup, ...]:
    """Files grouped by series and kind, sorted by the path of their first file.

    Patient and study count too: some anonymizers give every series the same UID. Ids of patients
    are compared as everywhere (see identity.normalized_id): one that was typed anew in the middle
    of a series does not part it. Files without
    SeriesInstanceUID belong together when folder, study, frame of reference, modality and
    description agree. An RTSTRUCT or SEG forms a group of its own: each is one reading, also when
    several share a series.
    """
    groups: dict[tuple[str, ...], list[SliceHeader]] = {}
    for header in sorted(headers, key=lambda h: h.path):
        key = _group_key(header, _plain_id(header.patient_id))
        groups.setdefault(key, []).append(header)
    return tuple(
        SeriesGroup(
            kind_of(first),
            first.series_uid,
            (first, *others),
            "|".join(_group_key(first, first.patient_id)),
        )
        for first, *others in groups.values()
    )


def describe_objects(groups: Iterable[SeriesGroup], item: str) -> tuple[Finding, ...]:
    """What to say of the objects that never become a case: notes, one per kind of object."""
    others = [h for group in groups if group.kind == "other" for h in group.headers]
    words = Counter(_word_for(h) for h in others)
    findings = [
        catalog.NOT_AN_IMAGE.at(item, f"{count} DICOM object{'s' * (count > 1)}: {word}")
        for word, count in sorted(words.items())
    ]
    captures = sum(map(is_capture, others))
    if captures:
        message = f"{captures} secondary captures were left out: their pixels may show names"
        findings.append(catalog.BURNED_IN_RISK.at(item, message).with_severity(Severity.NOTE))
    return tuple(findings)


def _group_key(header: SliceHeader, patient: str) -> tuple[str, ...]:
    kind = kind_of(header)
    if kind in ("rtstruct", "seg"):
        return (kind, header.path)
    identity = (kind, patient, header.study_uid, header.series_uid)
    if header.series_uid:
        return identity
    folder = str(Path(header.path).parent)
    description = (header.modality, header.series_description)
    return (*identity, folder, header.frame_of_reference_uid, *description)


_plain_id = lru_cache(maxsize=1024)(normalized_id)
"""Once per patient, not once per file."""


def _word_for(header: SliceHeader) -> str:
    """What an object that is no image is called, in words; never anything out of the header."""
    if is_capture(header):
        return "secondary capture, no image volume"
    tail = header.sop_class_uid.removeprefix(_STORAGE)
    for length in (2, 1):
        word = _WORDS.get(".".join(tail.split(".")[:length]))
        if word is not None:
            return f"{word}, no image volume"
    return "no image volume" if tail else "neither pixels nor SOP class, no image volume"
