"""Slices found twice: copies are dropped, different slices at one position are named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from hashlib import sha256

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.dicom.attributes import ATTRIBUTES, INSTANCE_NUMBER, sorted_values
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.dicom.stack import SAME_POSITION_MM, Stack
from MedPrepLib.dicom.stored import stored_bytes
from MedPrepLib.errors import ReadError
from MedPrepLib.findings import Finding
from MedPrepLib.hiccups import answered


def without_duplicates(
    stack: Stack, item: str
) -> tuple[tuple[SliceHeader, ...], tuple[SliceHeader, ...], list[Finding]]:
    """(slices kept, copies dropped, findings), the slices in order along the normal.

    Copies have the same position, the same scale and the same stored pixels; the first is kept.
    Files with one SOPInstanceUID but other content, and different slices at one position, are
    findings that reject. Pixels are read for such slices only, each once.
    """
    kept: list[SliceHeader] = []
    dropped: list[SliceHeader] = []
    crowds: list[list[SliceHeader]] = []
    for group in by_position(stack):
        firsts: dict[Hashable, SliceHeader] = {}
        for header in group:
            content = content_of(header) if len(group) > 1 else None
            if firsts.setdefault(content, header) is not header:
                dropped.append(header)
        distinct = list(firsts.values())
        kept += distinct
        if len(distinct) > 1:
            crowds.append(distinct)
    findings = [*_copy_findings(dropped, item), *_conflict_findings(kept, item)]
    if crowds and not any(f.code == catalog.DUPLICATE_UID_CONFLICT.code for f in findings):
        findings.append(_crowd_finding(crowds, stack, kept, item))
    return tuple(kept), tuple(dropped), findings


def by_position(stack: Stack) -> list[list[SliceHeader]]:
    """The slices of a stack, those at one position together."""
    groups: list[list[SliceHeader]] = []
    last = -np.inf
    for header, height in zip(stack.headers, stack.heights_mm, strict=True):
        if height - last > SAME_POSITION_MM:
            groups.append([])
            last = height
        groups[-1].append(header)
    return groups


def content_of(header: SliceHeader) -> Hashable:
    """What copies of a slice have in common: position, scale and a hash of the stored pixels.

    What cannot be read is no copy of anything; a drive that hiccups is asked again.
    """
    try:
        pixels = sha256(answered(lambda: stored_bytes(header))).digest()
    except ReadError:
        return (header.path, header.frame)
    scale = (header.slope, header.intercept, header.transfer_syntax, header.pixel_length)
    return (header.position, *scale, pixels)


def _copy_findings(dropped: Sequence[SliceHeader], item: str) -> list[Finding]:
    if not dropped:
        return []
    count = len(dropped)
    said = "1 slice was" if count == 1 else f"{count} slices were"
    return [
        catalog.DUPLICATE_SLICE.at(item, f"{said} found twice with identical pixels and position")
    ]


def _conflict_findings(kept: Sequence[SliceHeader], item: str) -> list[Finding]:
    first: dict[tuple[str, int], int] = {}
    clashes = []
    for number, header in enumerate(kept, start=1):
        if header.sop_uid:
            earlier = first.setdefault((header.sop_uid, header.frame), number)
            if earlier != number:
                clashes.append((earlier, number))
    if not clashes:
        return []
    a, b = clashes[0]
    more = f" ({len(clashes)} such pairs)" if len(clashes) > 1 else ""
    return [
        catalog.DUPLICATE_UID_CONFLICT.at(
            item,
            f"slices {a} and {b} of {len(kept)} carry the same SOPInstanceUID but differ in "
            f"content{more}",
        )
    ]


def _crowd_finding(
    crowds: Sequence[Sequence[SliceHeader]],
    stack: Stack,
    kept: Sequence[SliceHeader],
    item: str,
) -> Finding:
    """Different slices at one position, and the attribute that would tell them apart."""
    spread = float(stack.heights_mm[-1] - stack.heights_mm[0])
    if spread <= SAME_POSITION_MM:
        where = f"all {len(kept)} slices lie at one position"
    else:
        most = max(len(c) for c in crowds)
        first = stack.headers.index(crowds[0][0])
        height = float(stack.heights_mm[first] - stack.heights_mm[0])
        where = (
            f"{len(crowds)} positions hold up to {most} different slices each, the first at "
            f"{height:.2f} mm"
        )
    return catalog.DUPLICATE_POSITION.at(item, f"{where}; {_what_differs(crowds, kept)}")


def _what_differs(crowds: Sequence[Sequence[SliceHeader]], kept: Sequence[SliceHeader]) -> str:
    """The attribute that would tell the slices apart, its values and the sets they make."""
    for attribute in (*ATTRIBUTES, INSTANCE_NUMBER):
        values = [[attribute.value_of(h) for h in crowd] for crowd in crowds]
        if all(None not in v and len(set(v)) == len(v) for v in values):
            counts = Counter(map(attribute.value_of, kept))
            ordered = sorted_values(counts)
            numbers = [f"{v:g}" for v in ordered if isinstance(v, (int, float))]
            listed = f" ({', '.join(numbers)})" if 0 < len(numbers) <= 8 else ""
            sizes = " + ".join(str(counts[v]) for v in ordered[:8])
            sets = f" in sets of {sizes} slices" if len(counts) <= 8 else ""
            return f"they differ in {attribute.name}, {len(counts)} values{listed}{sets}"
    return "no attribute tells them apart"
