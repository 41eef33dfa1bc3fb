"""Slices whose headers say that voxels are not what their modality measures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from MedPrepLib import catalog
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.findings import Finding

_HOUNSFIELD = frozenset({"", "HU", "US"})
"""Values of RescaleType (0028,1054) that speak for a CT in Hounsfield units; US: unspecified."""

_UNITS = frozenset({"OD", "HU_MOD", "PCT", "Z_EFF", "MGML", "ED", "EDW"})
"""Defined terms of RescaleType, PS3.3 C.11.1.1.2: only these are quoted."""


def unit_findings(slices: Sequence[SliceHeader], item: str) -> list[Finding]:
    """MODALITY_LUT for tables, which are not applied, and NOT_HU for a CT in another unit."""
    findings = []
    tables = sum(header.modality_lut for header in slices)
    if tables:
        message = f"{tables} of {len(slices)} slices have a ModalityLUTSequence (0028,3000)"
        findings.append(catalog.MODALITY_LUT.at(item, message))
    types = [h.rescale_type.upper() for h in slices if h.modality == "CT"]
    others = Counter(name for name in types if name not in _HOUNSFIELD)
    if others:
        name = min(others, key=lambda n: (-others[n], n))
        unit = name if name in _UNITS else "another unit"
        message = (
            f"{others.total()} of {len(slices)} slices are in {unit} by their RescaleType "
            "(0028,1054), not in HU"
        )
        findings.append(catalog.NOT_HU.at(item, message))
    return findings
