"""What a scan brings home: candidates for cases, and what was wrong on the way."""

from __future__ import annotations

import msgspec

from MedPrepLib.cohort import (
    BoxReading,
    Case,
    ImageSource,
    Links,
    MaskReading,
    Patient,
    Scan,
    SliceReading,
)
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.findings import Finding


class Candidate(msgspec.Struct, frozen=True):
    """A case as a source describes it, with what is already wrong with it.

    ``slices`` are the headers of a DICOM volume in slice order; empty for files.
    """

    case: Case
    slices: tuple[SliceHeader, ...] = ()
    findings: tuple[Finding, ...] = ()
    rules: tuple[str, ...] = ()
    """Rules about annotations that held for its readings; only while the source is scanned."""


class Drawn(msgspec.Struct, frozen=True):
    """Everything that raters drew or noted on one image, of all three kinds."""

    masks: tuple[MaskReading, ...] = ()
    boxes: tuple[BoxReading, ...] = ()
    slices: tuple[SliceReading, ...] = ()
    rules: tuple[str, ...] = ()
    """Rules about annotations that held for these files, or left some of them out."""
    findings: tuple[Finding, ...] = ()
    """About what lies there and is not read; their item is the case."""


class ImageFound(msgspec.Struct, frozen=True):
    """The one image of a case folder or table row, before it is known whose it is."""

    source: ImageSource
    scan: Scan
    patient: Patient
    links: Links = Links()
    slices: tuple[SliceHeader, ...] = ()
    findings: tuple[Finding, ...] = ()
    annotations: tuple[MaskReading, ...] = ()
    """Segmentation objects (RTSTRUCT, SEG) that lay beside the image and refer to it."""
    slices_in_all: int = 0
    """Slices of a DICOM volume with those that were left aside (beyond a gap), no localizers."""


class Scanned(msgspec.Struct, frozen=True):
    """Everything a scan found; candidates in order of case id."""

    candidates: tuple[Candidate, ...]
    findings: tuple[Finding, ...]
    """About sources, not about a case."""
    files_seen: int = 0
    headers_read: int = 0
    """DICOM headers parsed now; the rest came unchanged from the ledger."""
