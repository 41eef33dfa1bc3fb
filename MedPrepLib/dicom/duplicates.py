"""Slices found twice: copies are dropped, different slices at one position are named."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.dicom.stack import SAME_POSITION_MM, Stack
from MedPrepLib.dicom.stored import stored_bytes
from MedPrepLib.errors import ReadError
from MedPrepLib.findings import Finding

_DISTINGUISHING: tuple[tuple[str, Callable[[SliceHeader], object]], ...] = (
    ("b-value", lambda h: h.b_value),
    ("TemporalPositionIdentifier (0020,0100)", lambda h: h.temporal_position),
    ("EchoTime (0018,0081)", lambda h: h.echo_time_ms),
    ("EchoNumbers (0018,0086)", lambda h: h.echo_number),
    ("TriggerTime (0018,1060)", lambda h: h.trigger_time_ms),
    ("AcquisitionNumber (0020,0012)", lambda h: h.acquisition_number),
    ("ImageType (0008,0008)", lambda h: h.image_type),
    ("InstanceNumber (0020,0013)", lambda h: h.instance_number),
)


def without_duplicates(
    stack: Stack, item: str
) -> tuple[tuple[SliceHeader, ...], tuple[SliceHeader, ...], list[Finding]]:
    """(slices kept, copies dropped, findings), the slices in order along the normal.

    Copies have the same position, the same scale and the same stored pixels; the first is kept.
    Files with one SOPInstanceUID but other content, and different slices at one position, are
    findings that reject. Pixels are read for such slices only.
    """
    kept: list[SliceHeader] = []
    dropped: list[SliceHeader] = []
    crowds: list[list[SliceHeader]] = []
    for group in _by_position(stack):
        distinct: list[SliceHeader] = []
        for header in group:
            is_copy = any(_same_content(header, other) for other in distinct)
            (dropped if is_copy else distinct).append(header)
        kept += distinct
        if len(distinct) > 1:
            crowds.append(distinct)
    findings = [*_copy_findings(dropped, item), *_conflict_findings(kept, item)]
    if crowds and not any(f.code == catalog.DUPLICATE_UID_CONFLICT.code for f in findings):
        findings.append(_crowd_finding(crowds, stack, len(kept), item))
    return tuple(kept), tuple(dropped), findings


def _by_position(stack: Stack) -> list[list[SliceHeader]]:
    groups: list[list[SliceHeader]] = []
    last = -np.inf
    for header, height in zip(stack.headers, stack.heights_mm, strict=True):
        if height - last > SAME_POSITION_MM:
            groups.append([])
            last = height
        groups[-1].append(header)
    return groups


def _same_content(one: SliceHeader, other: SliceHeader) -> bool:
    scale = (one.slope, one.intercept, one.position, one.transfer_syntax, one.pixel_length)
    if scale != (
        other.slope, other.intercept, other.position, other.transfer_syntax, other.pixel_length,
    ):  # fmt: skip
        return False
    try:
        return stored_bytes(one) == stored_bytes(other)
    except ReadError:
        return False  # what cannot be read is no copy of anything


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
    crowds: Sequence[Sequence[SliceHeader]], stack: Stack, kept: int, item: str
) -> Finding:
    """Different slices at one position, and the attribute that would tell them apart."""
    spread = float(stack.heights_mm[-1] - stack.heights_mm[0])
    if spread <= SAME_POSITION_MM:
        where = f"all {kept} slices lie at one position"
    else:
        most = max(len(c) for c in crowds)
        first = stack.headers.index(crowds[0][0])
        height = float(stack.heights_mm[first] - stack.heights_mm[0])
        where = (
            f"{len(crowds)} positions hold up to {most} different slices each, the first at "
            f"{height:.2f} mm"
        )
    return catalog.DUPLICATE_POSITION.at(item, f"{where}; {_what_differs(crowds)}")


def _what_differs(crowds: Sequence[Sequence[SliceHeader]]) -> str:
    for name, value_of in _DISTINGUISHING:
        values = [[value_of(h) for h in crowd] for crowd in crowds]
        if all(None not in v and len(set(v)) == len(v) for v in values):
            count = len({value for row in values for value in row})
            numbers = sorted({v for row in values for v in row if isinstance(v, (int, float))})
            listed = f" ({', '.join(f'{v:g}' for v in numbers)})" if 0 < len(numbers) <= 8 else ""
            return f"they differ in {name}, {count} values{listed}"
    return "no attribute tells them apart"
