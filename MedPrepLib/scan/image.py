"""Finding the one image that a case folder or a table row means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from MedPrepLib import catalog
from MedPrepLib.cohort import ImageSource, MaskPart, MaskReading, Patient, Scan
from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.arrange import arrange
from MedPrepLib.dicom.facts import scan_facts
from MedPrepLib.dicom.series import SeriesGroup, describe_objects, group_series
from MedPrepLib.findings import Finding, rejects
from MedPrepLib.scan.found import ImageFound
from MedPrepLib.scan.headers import HeaderReader
from MedPrepLib.scan.walk import Listing, image_suffix, is_plain_file, listing_of, listings_below


def find_image(path: Path, item: str, reader: HeaderReader, screen: Screen) -> ImageFound:
    """The image at ``path``: a file, or a folder that holds one DICOM series (or one file).

    Whatever is wrong is a finding of the result; an image that cannot be one is still returned,
    with a REJECT, so that the case appears among the excluded ones.
    """
    if is_plain_file(str(path)):
        if image_suffix(path.name):
            return _file_image(str(path))
        return _folder_image([listing_of(str(path))], item, reader, screen)
    if not path.is_dir():
        return _nothing(catalog.FILE_MISSING.at(item, "the image file or folder does not exist"))
    return _folder_image(list(listings_below(path)), item, reader, screen)


def _file_image(path: str) -> ImageFound:
    return ImageFound(ImageSource("file", (path,)), Scan(), Patient("", ""))


def _nothing(finding: Finding) -> ImageFound:
    return ImageFound(ImageSource("file", ()), Scan(), Patient("", ""), findings=(finding,))


def _folder_image(
    listings: Sequence[Listing], item: str, reader: HeaderReader, screen: Screen
) -> ImageFound:
    headers, others, unreadable = reader.read(listings, item)
    count = sum(len(listing.names) for listing in listings)
    groups = group_series(headers)
    volumes = [found_volume(g, item, screen) for g in groups if g.kind == "image"]
    masks = annotation_readings(groups)
    notes = (*unreadable, *describe_objects(groups, item))
    if volumes:
        chosen, extra = _choose(volumes, item)
    else:
        images = [path for path in others if image_suffix(path)]
        if len(images) == 1 and not headers:
            return _file_image(images[0])
        why = f"{count} files, none of them an image slice; {len(images)} image files"
        code = catalog.AMBIGUOUS_IMAGE if len(images) > 1 else catalog.FILE_UNREADABLE
        return _nothing(code.at(item, why))
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


def found_volume(group: SeriesGroup, item: str, screen: Screen) -> ImageFound:
    """One DICOM series as an image, arranged along its normal."""
    arranged = arrange(group.headers, item, screen)
    scan, patient, links = scan_facts(group.headers, screen.key_tags)
    paths = tuple(header.path for header in arranged.headers or group.headers)
    source = ImageSource("dicom", paths, arranged.geometry)
    return ImageFound(source, scan, patient, links, arranged.headers, arranged.findings)


def _choose(volumes: Sequence[ImageFound], item: str) -> tuple[ImageFound, tuple[Finding, ...]]:
    """The only usable volume; else the one with most slices, and why that is a question."""
    usable = [v for v in volumes if not rejects(v.findings) and not _is_localizer(v)]
    ranked = sorted(usable or volumes, key=lambda v: (-len(v.source.paths), v.links.series_uid))
    chosen = ranked[0]
    aside: list[Finding] = [
        f
        for v in volumes
        if v is not chosen
        for f in v.findings
        if f.code == catalog.LOCALIZER.code
    ]
    if len(usable) > 1:
        sizes = ", ".join(str(len(v.source.paths)) for v in ranked)
        message = f"{len(usable)} image series lie here (slices: {sizes}); which one is meant?"
        aside.append(catalog.AMBIGUOUS_IMAGE.at(item, message))
    return chosen, tuple(aside)


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
