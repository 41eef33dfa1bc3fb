"""Segmentation objects find the image that they were drawn on.

Only among images of the patient and the study that they speak of, where both say one; some
anonymizers give every series the same UID. In this order: the series they refer to (PS3.3
C.8.8.5, C.8.20.1), of several with its UID the one that holds an image they refer to; any series
that holds one; the only series in their frame of reference; of several there, those whose grid
the contours or frames fit. An object that finds nothing is said, never silently left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.annotated import PLANE_TOLERANCE, Annotated, read_annotated
from MedPrepLib.dicom.series import SeriesGroup, arrange_volumes
from MedPrepLib.findings import Finding
from MedPrepLib.geometry import FloatArray, Geometry
from MedPrepLib.identity import are_two_patients, known_id

_NO_SERIES = "refer to series that are not here"
_NO_FRAME = "refer to a frame of reference that no image here has"
_NOTHING = "refer to nothing"
_OTHER_PERSON = "refer to images of another patient or study than their own"
_SHARED_UIDS = "name a series or images whose UIDs several series here have; whose are they?"
_SHARED_FRAME = (
    "share a frame of reference with several images and fit the slices of none, or of several "
    "patients; whose are they?"
)
_UNCLEAR = (_SHARED_UIDS, _SHARED_FRAME)

Images = Sequence[SeriesGroup]


class _There(NamedTuple):
    """The images of a scan; also by series UID, and by patient ("" where there is no id)."""

    images: Images
    by_series: Mapping[str, Images]
    by_patient: Mapping[str, Images]

    def of(self, patient_id: str) -> Images:
        """The images that may show a patient."""
        patient = known_id(patient_id)
        if not patient:
            return self.images
        return [*self.by_patient.get(patient, ()), *self.by_patient.get("", ())]


def find_images(
    groups: Sequence[SeriesGroup], screen: Screen, called: str
) -> tuple[Mapping[str, tuple[SeriesGroup, ...]], tuple[Finding, ...]]:
    """The segmentation objects of every image, by the key of its group.

    Objects that find none are left out, with ANNOTATION_ORPHANED or ANNOTATION_AMBIGUOUS about
    ``called``. One that refers to nothing belongs to an only image.
    """
    there = _there(groups)
    found: dict[str, list[SeriesGroup]] = {}
    problems: Counter[str] = Counter()
    for group in groups:
        if group.kind in ("rtstruct", "seg"):
            mine, problem = _images_of(group, there, screen)
            for image in mine:
                found.setdefault(image.key, []).append(group)
            problems[problem] += not mine
    return {key: tuple(objects) for key, objects in found.items()}, _said(problems, called)


def _there(groups: Sequence[SeriesGroup]) -> _There:
    images = [g for g in groups if g.kind == "image"]
    by_series: dict[str, list[SeriesGroup]] = {}
    by_patient: dict[str, list[SeriesGroup]] = {}
    for image in images:
        by_series.setdefault(image.series_uid, []).append(image)
        by_patient.setdefault(known_id(image.headers[0].patient_id), []).append(image)
    return _There(images, by_series, by_patient)


def _images_of(group: SeriesGroup, there: _There, screen: Screen) -> tuple[Images, str]:
    """The images that an object was drawn on, and what to say where there are none."""
    series = group.referenced_series
    named = [image for uid in series for image in there.by_series.get(uid, ())]
    plain = 0 < len(named) == len({image.series_uid for image in named}) and _of_one_person(named)
    if plain and all(_agrees(group, image) for image in named):
        return named, ""  # as nearly all do; the object need not be read
    object_ = read_annotated(group.headers[0].path)
    own = there.of(group.headers[0].patient_id)
    mine = [image for image in own if _may_be(group, object_, image)]
    if not (named or object_.series | object_.frames | object_.instances):
        return (mine if len(there.images) == 1 else ()), _NOTHING
    found, problem = _among([g for g in mine if g.series_uid in series], object_, mine, screen)
    if found or problem:
        return found, problem
    reached = named or _by_instance(object_, there.images) or _in_frame(object_, there.images)
    return (), _OTHER_PERSON if reached else _why_lost(object_)


def _among(named: Images, object_: Annotated, images: Images, screen: Screen) -> tuple[Images, str]:
    """Which of the images are meant that may be; without any, whether that is unclear."""
    counts = Counter(image.series_uid for image in named)
    shared = [image for image in named if counts[image.series_uid] > 1]
    meant = [image for image in named if counts[image.series_uid] == 1]
    meant += _by_instance(object_, shared if named else images)
    if meant or named:
        return (meant, "") if meant and _of_one_person(meant) else ((), _SHARED_UIDS)
    there = _in_frame(object_, images)
    if len(there) < 2:
        return there, ""
    fitting = _fitting(object_.points, there, screen)
    return (fitting, "") if fitting and _of_one_person(fitting) else ((), _SHARED_FRAME)


def _of_one_person(images: Images) -> bool:
    """True unless the images say that they show several patients."""
    return len({known_id(image.headers[0].patient_id) for image in images} - {""}) <= 1


def _agrees(group: SeriesGroup, image: SeriesGroup) -> bool:
    """True unless object and image name two patients or two studies."""
    own, other = group.headers[0], image.headers[0]
    return not are_two_patients(own.patient_id, other.patient_id) and (
        not own.study_uid or not other.study_uid or own.study_uid == other.study_uid
    )


def _may_be(group: SeriesGroup, object_: Annotated, image: SeriesGroup) -> bool:
    """As :func:`_agrees`, of an image of the patient and an object that was read.

    An object may lie in a study of its own: the study that it refers to, or an image that it
    names, counts as well.
    """
    named = image.headers[0].study_uid in object_.studies or bool(_by_instance(object_, [image]))
    return named or _agrees(group, image)


def _by_instance(object_: Annotated, images: Images) -> list[SeriesGroup]:
    return [g for g in images if any(h.sop_uid in object_.instances for h in g.headers)]


def _in_frame(object_: Annotated, images: Images) -> list[SeriesGroup]:
    return [g for g in images if any(h.frame_of_reference_uid in object_.frames for h in g.headers)]


def _fitting(points: FloatArray, images: Images, screen: Screen) -> list[SeriesGroup]:
    return [group for group in images if any(fits(points, g) for g in _grids(group, screen))]


def _grids(group: SeriesGroup, screen: Screen) -> list[Geometry]:
    """The grids of the volumes that a series holds."""
    volumes = arrange_volumes(group.headers, "", screen)
    return [volume.geometry for volume in volumes if volume.geometry is not None]


def fits(points: FloatArray, grid: Geometry) -> bool:
    """True when every point (n, 3; LPS mm) lies on a slice of the grid and within its field."""
    if len(points) == 0:
        return False
    inverse = np.linalg.inv(grid.affine)
    index = points @ inverse[:3, :3].T + inverse[:3, 3]
    off = np.abs(index[:, 2] - np.rint(index[:, 2])).max()
    inside = (index >= -0.5) & (index <= np.array(grid.size) - 0.5)
    return bool(off <= PLANE_TOLERANCE and inside.all())


def _why_lost(object_: Annotated) -> str:
    if object_.frames:
        return _NO_FRAME
    return _NO_SERIES if object_.series or object_.instances else _NOTHING


def _said(problems: Counter[str], called: str) -> tuple[Finding, ...]:
    """ANNOTATION_ORPHANED in one sentence, and ANNOTATION_AMBIGUOUS for every question."""
    lost = {why: n for why, n in sorted(problems.items()) if n and why not in _UNCLEAR}
    findings = []
    if lost:
        reasons = ", ".join(f"{count} {why}" for why, count in lost.items())
        message = f"{sum(lost.values())} segmentation objects belong to no image here: {reasons}"
        findings.append(catalog.ANNOTATION_ORPHANED.at(called, message))
    for why in _UNCLEAR:
        if problems[why]:
            message = f"{problems[why]} segmentation objects {why}"
            findings.append(catalog.ANNOTATION_AMBIGUOUS.at(called, message))
    return tuple(findings)
