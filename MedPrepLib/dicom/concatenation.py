"""Multi-frame objects cut in pieces for transport (PS3.3 C.7.6.16.2.2.4) that lost some."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from MedPrepLib import catalog
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.findings import Finding


def concatenation_findings(files: Sequence[SliceHeader], item: str) -> list[Finding]:
    """SLICES_TRUNCATED where parts of a concatenation are missing, as far as the others tell.

    Every part is an object of its own and complete in itself. How many there are stands in
    InConcatenationTotalNumber (0020,9163), which may be absent; the numbers of those found
    (0020,9162) are a lower bound then.
    """
    pieces: dict[str, list[SliceHeader]] = {}
    for header in files:
        if header.in_concatenation is not None:
            pieces.setdefault(header.concatenation_uid, []).append(header)
    findings = []
    for parts in pieces.values():
        found = {h.in_concatenation for h in parts}
        total = max(h.concatenation_total or h.in_concatenation or 0 for h in parts)
        if len(found) < total:
            first = next(n for n in count(1) if n not in found)
            message = f"{len(found)} of {total} parts of a concatenation found, not part {first}"
            findings.append(catalog.SLICES_TRUNCATED.at(item, message))
    return findings
