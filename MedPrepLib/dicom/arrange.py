"""The slices of one series, put in order along their normal and judged as a stack.

Order and spacing come from ImagePositionPatient projected on the slice normal, never from
InstanceNumber, SliceThickness or SpacingBetweenSlices; a gap is reported, never stretched over.
Findings call slices by their number in this order (from 1) and give millimeters.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from MedPrepLib import catalog
from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.duplicates import without_duplicates
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.dicom.mixed import mixed_findings
from MedPrepLib.dicom.multiframe import frames_of, is_multiframe
from MedPrepLib.dicom.slicecheck import slice_findings
from MedPrepLib.dicom.stack import Stack, stack_findings, stack_geometry, stack_of
from MedPrepLib.errors import GeometryError, ReadError, UnsupportedError
from MedPrepLib.findings import Finding, rejects
from MedPrepLib.geometry import Geometry

BURNING_MODALITIES = frozenset({"CR", "DX", "ES", "IVUS", "OT", "RF", "US", "XA"})
"""Modalities whose devices commonly write text into the pixels."""

BURNING_WORDS = ("SCREEN", "CAPTURE", "DOSE")
"""Parts of ImageType values of screenshots and dose pages (SCREEN SAVE, DOSE_INFO...)."""


class Arranged(msgspec.Struct, frozen=True):
    """A series in slice order along the normal; ``geometry`` is None unless it is a volume.

    ``announced`` is the number of images the headers speak of, None when they do not say.
    ``left_aside`` are files of the series that are no slice of it (localizers, copies).
    """

    headers: tuple[SliceHeader, ...]
    geometry: Geometry | None
    findings: tuple[Finding, ...]
    announced: int | None = None
    left_aside: tuple[SliceHeader, ...] = ()


def arrange(headers: Sequence[SliceHeader], item: str, settings: Screen) -> Arranged:
    """The slices of a series in order, its grid, and everything that is wrong with it.

    A frame of an enhanced multi-frame object counts as a slice: its header has the path of all of
    them and a ``frame`` of its own. A series of localizers only has neither a geometry nor a
    rejecting finding. Pixels are read only to compare slices at one position. Bad data never
    raises.
    """
    scouts = tuple(h for h in headers if "LOCALIZER" in h.image_type)
    slices = tuple(h for h in headers if "LOCALIZER" not in h.image_type)
    findings = _localizer_findings(len(scouts), len(headers), item)
    if not slices:
        return Arranged(tuple(headers), None, tuple(findings))
    findings += _derived_findings(slices, item)
    findings += _burned_in_findings(slices, item)
    slices, found = _single_frames(slices, item)
    findings += found
    if rejects(findings):
        return Arranged(slices, None, tuple(findings), left_aside=scouts)
    findings += slice_findings(slices, item)
    if rejects(findings):
        return Arranged(slices, None, tuple(findings), left_aside=scouts)
    try:
        stack = stack_of(slices)
    except GeometryError as error:
        findings.append(catalog.AFFINE_INVALID.at(item, str(error)))
        return Arranged(slices, None, tuple(findings), left_aside=scouts)
    return _arrange_stack(stack, scouts, findings, item, settings)


def _arrange_stack(
    stack: Stack,
    scouts: tuple[SliceHeader, ...],
    findings: list[Finding],
    item: str,
    settings: Screen,
) -> Arranged:
    """The same, once every slice is known to be a gray image with a place in space."""
    findings += mixed_findings(stack, item)
    if rejects(findings):
        return Arranged(stack.headers, None, tuple(findings), left_aside=scouts)
    kept, dropped, found = without_duplicates(stack, item)
    findings += found
    stack = stack_of(kept)
    announced = _announced(kept)
    findings += _count_findings(kept, announced, item, settings)
    if len(kept) > 1 and not rejects(found):
        findings += stack_findings(stack, item, settings)
    geometry: Geometry | None = None
    problems: list[Finding] = []
    if not rejects(findings):
        geometry, problems = _geometry(stack, item, settings)
    return Arranged(
        headers=stack.headers,
        geometry=geometry,
        findings=(*findings, *problems),
        announced=announced,
        left_aside=(*scouts, *dropped),
    )


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


def _count_findings(
    headers: Sequence[SliceHeader], announced: int | None, item: str, settings: Screen
) -> list[Finding]:
    findings = []
    count = len(headers)
    if count < settings.min_slices:
        slices = "1 slice" if count == 1 else f"{count} slices"
        message = f"{slices}, at least {settings.min_slices} are needed"
        findings.append(catalog.TOO_FEW_SLICES.at(item, message))
    if announced is not None and announced > count and not _is_regular_subset(headers):
        message = f"{count} slices found, the headers speak of {announced}"
        findings.append(catalog.SLICES_TRUNCATED.at(item, message))
    return findings


def _is_regular_subset(headers: Sequence[SliceHeader]) -> bool:
    """True when instance numbers rise in equal steps and no count says otherwise.

    Interleaved maps and echoes number their slices 1, 3, 5... without any being lost.
    """
    if any(h.images_in_acquisition for h in headers):
        return False
    numbers = sorted(h.instance_number for h in headers if h.instance_number is not None)
    return len({b - a for a, b in pairwise(numbers)}) <= 1
