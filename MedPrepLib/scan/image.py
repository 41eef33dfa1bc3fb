"""Finding the one image that a case folder or a table row means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from MedPrepLib import catalog
from MedPrepLib.cohort import ImageSource, MaskPart, MaskReading, Patient, Scan
from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.arrange import arrange_volumes
from MedPrepLib.dicom.facts import scan_facts
from MedPrepLib.dicom.series import SeriesGroup, describe_objects, group_series
from MedPrepLib.findings import Finding, rejects
from MedPrepLib.scan.found import ImageFound
from MedPrepLib.scan.headers import HeaderReader
from MedPrepLib.scan.walk import (
    Listing,
    image_suffix,
    is_folder,
    is_plain_file,
    listing_of,
    listings_below,
)


def find_image(
    path: Path,
    item: str,
    reader: HeaderReader,
    screen: Screen,
    part: str = "",
    without: Path | None = None,
) -> ImageFound:
    """The image at ``path``: a file, or a folder that holds one DICOM volume (or one file).

    ``part`` names the volume that is meant where there are several: what a sub-series is called
    ("b800"), or "series2" in a folder of several series, or both ("series2_b800").
    ``without`` is a folder below ``path`` that holds no image.
    Whatever is wrong is a finding of the result; an image that cannot be one is still returned,
    with a REJECT, so that the case appears among the excluded ones.
    """
    if is_plain_file(str(path)):
        if image_suffix(path.name):
            return _file_image(str(path), item, part)
        return _folder_image([listing_of(str(path))], item, reader, screen, part)
    if not is_folder(path):
        return nothing(catalog.FILE_MISSING.at(item, "the image file or folder does not exist"))
    return _folder_image(list(listings_below(path, without)), item, reader, screen, part)


def _file_image(path: str, item: str, part: str) -> ImageFound:
    if part:
        return nothing(_unknown_part(part, (), item))
    return ImageFound(ImageSource("file", (path,)), Scan(), Patient("", ""))


def nothing(*findings: Finding) -> ImageFound:
    """No image, and why."""
    return ImageFound(ImageSource("file", ()), Scan(), Patient("", ""), findings=findings)


def _folder_image(
    listings: Sequence[Listing], item: str, reader: HeaderReader, screen: Screen, part: str
) -> ImageFound:
    headers, others, unreadable = reader.read(listings, item)
    count = sum(len(listing.names) for listing in listings)
    groups = group_series(headers)
    volumes = _named_volumes([g for g in groups if g.kind == "image"], item, screen)
    masks = annotation_readings(groups)
    notes = (*unreadable, *describe_objects(groups, item))
    if volumes:
        chosen, extra = _choose(volumes, item, screen, part)
    else:
        images = [path for path in others if may_be_image(path)]
        if len(images) == 1 and not headers:
            return _file_image(images[0], item, part)
        return nothing(_no_volume(count, len(images), item), *notes)
    left = [path for path in others if not image_suffix(path)]
    if left:
        extra = (
            *extra,
            catalog.FILE_IGNORED.at(item, f"{len(left)} of {count} files are no DICOM objects"),
        )
    findings = (*chosen.findings, *extra, *notes)
    return ImageFound(
        chosen.source, chosen.scan, chosen.patient, chosen.links, chosen.slices, findings, masks
    )


def _no_volume(files: int, images: int, item: str) -> Finding:
    """Why a folder of so many files, none of them an image slice, has no image."""
    if not files:
        return catalog.FILE_MISSING.at(item, "no image file lies here")
    why = f"{files} files, none of them an image slice; {images} image files"
    code = catalog.AMBIGUOUS_IMAGE if images > 1 else catalog.FILE_UNREADABLE
    return code.at(item, why)


def may_be_image(path: str) -> bool:
    """True for the name of a volume file that is no segmentation by its ending."""
    suffix = image_suffix(path)
    return bool(suffix) and not path[: -len(suffix)].lower().endswith(".seg")


def found_volumes(group: SeriesGroup, item: str, screen: Screen) -> tuple[ImageFound, ...]:
    """The volumes of one DICOM series (most have one), each arranged along its normal."""
    found = []
    for arranged in arrange_volumes(group.headers, item, screen):
        headers = arranged.headers or group.headers
        scan, patient, links = scan_facts(headers, screen.key_tags)
        paths = tuple(header.path for header in headers)
        source = ImageSource(
            "dicom", paths, arranged.geometry, arranged.part, stack_mm=arranged.stack_mm
        )
        found.append(ImageFound(source, scan, patient, links, arranged.headers, arranged.findings))
    return tuple(found)


def _named_volumes(
    images: Sequence[SeriesGroup], item: str, screen: Screen
) -> dict[str, ImageFound]:
    """All volumes of a folder by the name that chooses them; a lone volume has the name "".

    Series are numbered in the order of their paths: what they are called may name a person.
    """
    named = {}
    for number, group in enumerate(images, start=1):
        series = f"series{number}" if len(images) > 1 else ""
        for volume in found_volumes(group, item, screen):
            named["_".join(word for word in (series, volume.source.part) if word)] = volume
    return named


def _choose(
    volumes: Mapping[str, ImageFound], item: str, screen: Screen, part: str
) -> tuple[ImageFound, tuple[Finding, ...]]:
    """The named volume, or the only usable one; else the one with most slices, and a question."""
    if part:
        meant = [v for name, v in volumes.items() if part in (name, v.source.part)]
        if len(meant) == 1:
            return meant[0], ()
        unknown = nothing(_unknown_part(part, _listed(volumes), item))
        return unknown, ()
    usable = {name: v for name, v in volumes.items() if _is_usable(v, screen)}
    ranked = sorted((usable or volumes).items(), key=lambda v: (-len(v[1].source.paths), v[0]))
    chosen = ranked[0][1]
    aside: list[Finding] = [
        f
        for v in volumes.values()
        if v is not chosen
        for f in v.findings
        if f.code == catalog.LOCALIZER.code
    ]
    if len(usable) > 1:
        listed = ", ".join(_listed(usable))
        message = f"{len(usable)} image volumes lie here: {listed}; which one is meant?"
        aside.append(catalog.AMBIGUOUS_IMAGE.at(item, message))
    return chosen, tuple(aside)


def _listed(volumes: Mapping[str, ImageFound]) -> list[str]:
    return [f"{name} ({len(v.source.paths)} slices)" for name, v in sorted(volumes.items()) if name]


def _unknown_part(part: str, there: Sequence[str], item: str) -> Finding:
    """``part`` is quoted: it is the study file's or the table's own word."""
    known = ", ".join(there) if there else "one volume without a name; leave the part empty"
    message = f"no single volume here is called {part!r}; there is {known}"
    return catalog.PART_UNKNOWN.at(item, message)


def _is_usable(volume: ImageFound, screen: Screen) -> bool:
    """False for localizers and what nobody accepts."""
    accepted = [code for code, word in screen.severity.items() if word != "reject"]
    refused = (f for f in volume.findings if f.code not in accepted)
    return not rejects(refused) and not _is_localizer(volume)


def _is_localizer(volume: ImageFound) -> bool:
    return any(f.code == catalog.LOCALIZER.code for f in volume.findings)


def annotation_readings(groups: Sequence[SeriesGroup]) -> tuple[MaskReading, ...]:
    """Segmentation objects as readings; they are numbered, for their names may name people."""
    readings = []
    for kind in ("rtstruct", "seg"):
        files = sorted(h.path for g in groups if g.kind == kind for h in g.headers)
        for number, path in enumerate(files, start=1):
            rater = kind if len(files) == 1 else f"{kind}-{number}"
            readings.append(MaskReading(rater, (MaskPart(path),)))
    return tuple(readings)
