"""The slices of one series, put in order along their normal and judged as a stack.

Order and spacing come from ImagePositionPatient projected on the slice normal, never from
InstanceNumber, SliceThickness or SpacingBetweenSlices; a gap is reported, never stretched over.
Findings call slices by their number in this order (from 1) and give millimeters.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

from MedPrepLib import catalog
from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.acquisitions import acquisition_findings
from MedPrepLib.dicom.concatenation import concatenation_findings
from MedPrepLib.dicom.duplicates import without_duplicates
from MedPrepLib.dicom.evenrun import even_part
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.dicom.mixed import mixed_findings, orientation_sets
from MedPrepLib.dicom.multiframe import frames_of, is_multiframe
from MedPrepLib.dicom.slicecheck import slice_findings
from MedPrepLib.dicom.stack import Stack, stack_geometry, stack_of, tilt_findings
from MedPrepLib.dicom.subseries import Part, divide, summary
from MedPrepLib.dicom.units import unit_findings
from MedPrepLib.errors import GeometryError, ReadError, UnsupportedError
from MedPrepLib.findings import Finding, rejects
from MedPrepLib.geometry import Geometry

BURNING_MODALITIES = frozenset({"CR", "DX", "ES", "IVUS", "OT", "RF", "US", "XA"})
"""Modalities whose devices commonly write text into the pixels."""

BURNING_WORDS = ("SCREEN", "CAPTURE", "DOSE")
"""Parts of ImageType values of screenshots and dose pages (SCREEN SAVE, DOSE_INFO...)."""


class Arranged(msgspec.Struct, frozen=True):
    """A volume of a series in slice order along the normal; ``geometry`` is None if it is none.

    ``announced`` is the number of images the headers speak of, None when they do not say.
    ``left_aside`` are files of the series that are no slice of it (localizers, copies, slices
    beyond a gap). ``part`` is what this volume is called where the series holds several.
    ``stack_mm``: where a gap leaves slices aside, the heights of all, mm from the first in use.
    """

    headers: tuple[SliceHeader, ...]
    geometry: Geometry | None
    findings: tuple[Finding, ...]
    announced: int | None = None
    left_aside: tuple[SliceHeader, ...] = ()
    part: str = ""
    stack_mm: tuple[float, ...] = ()


class _Slices(NamedTuple):
    """Single slices with a place in space, what was left aside, and what was found so far.

    ``usable``: False when no volume can be made of them.
    """

    slices: tuple[SliceHeader, ...]
    scouts: tuple[SliceHeader, ...]
    findings: tuple[Finding, ...]
    usable: bool


def arrange(headers: Sequence[SliceHeader], item: str, settings: Screen) -> Arranged:
    """The slices of a series in order, its grid, and everything that is wrong with it.

    A frame of an enhanced multi-frame object counts as a slice: its header has the path of all of
    them and a ``frame`` of its own. A series of localizers only has neither a geometry nor a
    rejecting finding. There is a geometry wherever a volume can be made, also where findings
    reject it: beyond a gap, slices are left aside. Pixels are read only to compare slices at one
    position. Bad data never raises.
    """
    found = _slices_of(headers, item)
    if not found.usable:
        return Arranged(found.slices, None, found.findings, left_aside=found.scouts)
    return _arrange_stack(found, item, settings)


def arrange_volumes(
    headers: Sequence[SliceHeader], item: str, settings: Screen
) -> tuple[Arranged, ...]:
    """Every volume of a series, at least one: where slices collide, it is divided (see divide).

    More than ``settings.max_sub_series`` volumes are one that is rejected. Whether slices are
    missing is judged for the series as a whole, for numbers go through all of its volumes.
    """
    found = _slices_of(headers, item)
    if not found.usable:
        return (Arranged(found.slices, None, found.findings, left_aside=found.scouts),)
    parts = divide(found.slices, settings.min_slices)
    if len(parts) == 1:
        return (_arrange_stack(found, item, settings),)
    if len(parts) > settings.max_sub_series:
        message = (
            f"{len(found.slices)} slices form {len(parts)} volumes by {parts[0].by}, more than the "
            f"limit of {settings.max_sub_series} (screen.max_sub_series)"
        )
        findings = (*found.findings, catalog.TOO_MANY_VOLUMES.at(item, message))
        return (Arranged(found.slices, None, findings, left_aside=found.scouts),)
    announced = _announced(found.slices)
    complete = announced is None or not _truncated(found.slices, announced, item)
    return tuple(
        _arrange_part(found, part, parts, None if complete else announced, item, settings)
        for part in parts
    )


def _arrange_part(
    series: _Slices,
    part: Part,
    parts: Sequence[Part],
    announced: int | None,
    item: str,
    settings: Screen,
) -> Arranged:
    """One volume of a divided series; ``announced`` is None unless the series is truncated."""
    findings = [*series.findings, catalog.SUB_SERIES.at(item, summary(part, parts))]
    if announced is not None:
        findings += _truncated(series.slices, announced, item)
    own = series._replace(slices=part.headers, findings=tuple(findings))
    arranged = _arrange_stack(own, item, settings, whole=False)
    return msgspec.structs.replace(arranged, part=part.suffix)


def _slices_of(headers: Sequence[SliceHeader], item: str) -> _Slices:
    """What there is to arrange, and everything that makes a volume impossible slice by slice."""
    scouts = tuple(h for h in headers if "LOCALIZER" in h.image_type)
    slices = tuple(h for h in headers if "LOCALIZER" not in h.image_type)
    findings = _localizer_findings(len(scouts), len(headers), item)
    if not slices:
        return _Slices(tuple(headers), (), tuple(findings), usable=False)
    findings += _derived_findings(slices, item)
    findings += _burned_in_findings(slices, item)
    findings += concatenation_findings(slices, item)
    slices, problems = _single_frames(slices, item)
    findings += unit_findings(slices, item)
    problems = problems or slice_findings(slices, item)
    if not problems:
        try:
            for members in orientation_sets(slices):
                stack_of(members[:1])
        except GeometryError as error:
            problems = [catalog.AFFINE_INVALID.at(item, str(error))]
    return _Slices(slices, scouts, (*findings, *problems), usable=not problems)


def _arrange_stack(found: _Slices, item: str, settings: Screen, *, whole: bool = True) -> Arranged:
    """Slices known to be gray images with a place in space, as one volume.

    ``whole``: they are all there is of the series, so that their numbers tell of missing ones.
    """
    stack = stack_of(found.slices)
    findings = [*found.findings]
    mixed = mixed_findings(stack, item)
    if mixed:
        return Arranged(stack.headers, None, (*findings, *mixed), left_aside=found.scouts)
    kept, dropped, copies = without_duplicates(stack, item)
    findings += copies
    stack = stack_of(kept) if dropped else stack
    findings += [] if rejects(copies) else acquisition_findings(stack.headers, item)
    announced = _announced(kept) if whole else None
    findings += _few_findings(len(kept), item, settings)
    if announced is not None:
        findings += _truncated(kept, announced, item)
    used, geometry = stack, None
    if not rejects(copies):
        used, geometry, problems = _volume(stack, item, settings)
        findings += problems
    lost, heights = _left_out(stack, used)
    return Arranged(
        headers=used.headers,
        geometry=geometry,
        findings=tuple(findings),
        announced=announced,
        left_aside=(*found.scouts, *dropped, *lost),
        stack_mm=heights,
    )


def _left_out(stack: Stack, used: Stack) -> tuple[tuple[SliceHeader, ...], tuple[float, ...]]:
    """The slices beyond a gap, and the heights of all slices from the first that is used."""
    if used is stack:
        return (), ()
    kept = frozenset(used.headers)
    lost = tuple(h for h in stack.headers if h not in kept)
    return lost, tuple((stack.heights_mm - used.heights_mm[0]).tolist())


def _volume(
    stack: Stack, item: str, settings: Screen
) -> tuple[Stack, Geometry | None, list[Finding]]:
    """The slices that are used, their grid if they have one, and what is wrong with the stack."""
    if len(stack.headers) < 2:
        return stack, None, []
    used, findings = even_part(stack, item, settings)
    tilt = tilt_findings(stack, item, settings)
    if tilt or len(used.headers) < 2:
        return stack, None, [*findings, *tilt]
    if used is not stack:
        findings += _few_findings(len(used.headers), item, settings)
    geometry, problems = _geometry(used, item, settings)
    return used, geometry, [*findings, *problems]


def _single_frames(
    files: tuple[SliceHeader, ...], item: str
) -> tuple[tuple[SliceHeader, ...], list[Finding]]:
    """Multi-frame objects taken apart into one header per frame; the others as they are."""
    slices: list[SliceHeader] = []
    for header in files:
        if not is_multiframe(header):
            slices.append(header)
            continue
        try:
            slices += frames_of(header)
        except UnsupportedError as error:
            return files, [catalog.MULTIFRAME_UNSUPPORTED.at(item, str(error))]
        except ReadError as error:
            return files, [catalog.FILE_UNREADABLE.at(item, f"a multi-frame object: {error}")]
    return tuple(slices), []


def _geometry(stack: Stack, item: str, settings: Screen) -> tuple[Geometry | None, list[Finding]]:
    try:
        geometry = stack_geometry(stack)
    except GeometryError as error:
        return None, [catalog.AFFINE_INVALID.at(item, str(error))]
    i, j, k = geometry.size
    if i * j * k > settings.max_voxels:
        message = f"{i} x {j} x {k} voxels, more than the limit of {settings.max_voxels}"
        return None, [catalog.IMPLAUSIBLE_SIZE.at(item, message)]
    return geometry, []


def _localizer_findings(scouts: int, files: int, item: str) -> list[Finding]:
    if not scouts:
        return []
    left = "" if scouts == files else "; the others are used"
    return [catalog.LOCALIZER.at(item, f"{scouts} of {files} files are localizers{left}")]


def _derived_findings(slices: Sequence[SliceHeader], item: str) -> list[Finding]:
    """ImageType (0008,0008) value 1: pixels computed from those of other images."""
    derived = [h for h in slices if h.image_type[:1] == ("DERIVED",)]
    if not derived:
        return []
    count = f"{len(derived)} of {len(slices)} slices are"
    return [catalog.DERIVED.at(item, f"{count} derived by their ImageType")]


def _burned_in_findings(slices: Sequence[SliceHeader], item: str) -> list[Finding]:
    """Devices and screen captures that write names into the pixels, unless the header denies it.

    BurnedInAnnotation (0028,0301) itself is a rule of screening.
    """
    risky = [
        h
        for h in slices
        if h.burned_in not in ("YES", "NO")
        and (h.modality in BURNING_MODALITIES or _is_screenshot(h))
    ]
    if not risky:
        return []
    kind = risky[0].modality if risky[0].modality in BURNING_MODALITIES else "screen captures"
    message = f"{len(risky)} of {len(slices)} files ({kind}) may have text burned into the pixels"
    return [catalog.BURNED_IN_RISK.at(item, message)]


def _is_screenshot(header: SliceHeader) -> bool:
    return any(word in value for value in header.image_type for word in BURNING_WORDS)


def _announced(headers: Sequence[SliceHeader]) -> int | None:
    """How many images the headers speak of: ImagesInAcquisition, or the InstanceNumber range.

    (0020,1002) counts one acquisition, so it is summed over the acquisitions found. The range of
    (0020,0013) is a lower bound. None when neither is there: completeness is then unknown.
    """
    per_acquisition = {h.acquisition_number: h.images_in_acquisition for h in headers}
    if all(per_acquisition.values()):
        return sum(count for count in per_acquisition.values() if count)
    numbers = [h.instance_number for h in headers if h.instance_number is not None]
    if len(set(numbers)) < len(headers):
        return None
    return max(numbers) - min(numbers) + 1


def _few_findings(count: int, item: str, settings: Screen) -> list[Finding]:
    if count >= settings.min_slices:
        return []
    slices = "1 slice" if count == 1 else f"{count} slices"
    message = f"{slices}, at least {settings.min_slices} are needed"
    return [catalog.TOO_FEW_SLICES.at(item, message)]


def _truncated(headers: Sequence[SliceHeader], announced: int, item: str) -> list[Finding]:
    if announced <= len(headers) or _is_regular_subset(headers):
        return []
    message = f"{len(headers)} slices found, the headers speak of {announced}"
    return [catalog.SLICES_TRUNCATED.at(item, message)]


def _is_regular_subset(headers: Sequence[SliceHeader]) -> bool:
    """True when instance numbers rise in equal steps and no count says otherwise.

    Interleaved maps and echoes number their slices 1, 3, 5... without any being lost.
    """
    if any(h.images_in_acquisition for h in headers):
        return False
    numbers = sorted(h.instance_number for h in headers if h.instance_number is not None)
    return len({b - a for a, b in pairwise(numbers)}) <= 1
