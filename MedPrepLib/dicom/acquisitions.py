"""Slices of one stack that may be of several acquisitions: even spacing does not make them one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from MedPrepLib import catalog
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.findings import Finding, Severity


class _Trait(NamedTuple):
    """What slices of one acquisition or reconstruction share."""

    name: str
    value_of: Callable[[SliceHeader], Hashable]


_TRAITS = (
    _Trait("ConvolutionKernel (0018,1210)", lambda h: h.kernel),
    _Trait("KVP (0018,0060)", lambda h: h.kvp),
    _Trait("AcquisitionNumber (0020,0012)", lambda h: h.acquisition_number),
)


def acquisition_findings(headers: Sequence[SliceHeader], item: str) -> list[Finding]:
    """MIXED_FRAME and SLICES_ALTERNATE for the slices of a stack, in its order."""
    return [*_frame_findings(headers, item), *_alternating(headers, item)]


def _frame_findings(headers: Sequence[SliceHeader], item: str) -> Iterator[Finding]:
    """Positions are comparable within one frame of reference only (PS3.3 C.7.4.1).

    A note where every slice has one of its own: that is how some anonymizers replace UIDs.
    """
    frames = {h.frame_of_reference_uid for h in headers} - {""}
    if len(frames) < 2:
        return
    message = f"{len(headers)} slices name {len(frames)} frames of reference (0020,0052)"
    finding = catalog.MIXED_FRAME.at(item, message)
    yield finding.with_severity(Severity.NOTE) if len(frames) == len(headers) else finding


def _alternating(headers: Sequence[SliceHeader], item: str) -> Iterator[Finding]:
    """Slices of a CT whose acquisition changes and changes back along the stack.

    Those that follow each other (rotations of the tube, chest and abdomen) change for good. MR is
    left out: its packages of slices lie in each other on purpose.
    """
    if any(h.modality != "CT" for h in headers):
        return
    for trait in _TRAITS:
        values = [trait.value_of(header) for header in headers]
        runs = 1 + sum(a != b for a, b in pairwise(values))
        kinds = len(set(values))
        if runs > kinds:
            message = (
                f"along {len(headers)} slices, {kinds} values of {trait.name} change {runs - 1} "
                "times: slices of several acquisitions seem to lie in each other"
            )
            yield catalog.SLICES_ALTERNATE.at(item, message)
            return
