"""What makes single slices useless for a volume, whatever their neighbors are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from MedPrepLib import catalog
from MedPrepLib.dicom.elements import DEFLATED_LITTLE
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.findings import Finding, Kind

COMPRESSION_LIMIT = 100_000
"""Pixels may be this many times larger than their compressed form. A constant slice in JPEG 2000
stays below 10,000; a decompression bomb does not."""

DEFLATE_LIMIT = 1032
"""The largest ratio the deflate format can reach."""


def slice_findings(slices: Sequence[SliceHeader], item: str) -> list[Finding]:
    """One finding per kind of flaw, naming how many slices have it; all of them reject.

    Slices have no order yet, so they are counted and not numbered.
    """
    checks: tuple[tuple[Kind, Callable[[SliceHeader], str]], ...] = (
        (catalog.FILE_UNREADABLE, _unreadable),
        (catalog.COLOR_IMAGE, _color),
        (catalog.PIXELS_UNREADABLE, _pixels),
        (catalog.IMPLAUSIBLE_SIZE, _size),
        (catalog.NO_POSITION, _position),
    )
    findings = []
    for kind, problem_of in checks:
        problems = [problem for problem in map(problem_of, slices) if problem]
        if problems:
            message = f"{len(problems)} of {len(slices)} files: {problems[0]}"
            findings.append(kind.at(item, message))
    return findings


def _unreadable(header: SliceHeader) -> str:
    if header.unreadable:
        return f"no number in {', '.join(header.unreadable)}"
    return "RescaleSlope is 0" if header.slope == 0 else ""


def _color(header: SliceHeader) -> str:
    if header.samples != 1:
        return f"{header.samples} samples per pixel"
    return "PALETTE COLOR" if header.photometric == "PALETTE COLOR" else ""


def _pixels(header: SliceHeader) -> str:
    if header.pixel_offset < 0 or not header.rows or not header.columns:
        return "there are no pixel data"
    if header.float_pixels or header.bits_allocated not in (8, 16, 32):
        return f"{header.bits_allocated} bits per pixel of an unusual kind"
    if not 1 <= header.bits_stored <= header.bits_allocated:
        return f"{header.bits_stored} bits stored in {header.bits_allocated}"
    if header.is_native:
        there = min(header.pixel_length, header.size_bytes - header.pixel_offset)
        needed = (header.frame + 1) * header.frame_bytes
        if there < needed:
            return f"pixel data are truncated, {needed} bytes expected, {there} found"
    return ""


def _size(header: SliceHeader) -> str:
    if header.is_native or header.pixel_offset < 0:
        return ""
    if header.transfer_syntax == DEFLATED_LITTLE:
        limit = DEFLATE_LIMIT * header.size_bytes
    else:
        limit = COMPRESSION_LIMIT * max(header.size_bytes - header.pixel_offset, 1)
    if header.frame_bytes > limit:
        return f"{header.frame_bytes} bytes promised by a file of {header.size_bytes}"
    return ""


def _position(header: SliceHeader) -> str:
    if header.position is None:
        return "no ImagePositionPatient"
    if header.orientation is None:
        return "no ImageOrientationPatient"
    spacing = header.pixel_spacing
    if spacing is None or not all(math.isfinite(s) and s > 0 for s in spacing):
        return "no usable PixelSpacing"
    return ""
