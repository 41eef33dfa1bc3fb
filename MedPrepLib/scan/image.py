"""Finding the one image that a case folder or a table row means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from MedPrepLib import catalog
from MedPrepLib.cohort import ImageSource, MaskPart, MaskReading, Patient, Scan
from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.arrange import arrange_volumes
from MedPrepLib.dicom.facts import scan_facts
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.dicom.series import SeriesGroup, describe_objects, group_series
from MedPrepLib.findings import Finding, rejects
from MedPrepLib.hiccups import is_hiccup
from MedPrepLib.scan.copies import OBJECTS, without_copies
from MedPrepLib.scan.found import ImageFound
from MedPrepLib.scan.headers import HeaderReader
from MedPrepLib.scan.maskfiles import DICOM_ENDINGS
from MedPrepLib.scan.walk import (
    Listing,
    folder_of,
    image_suffix,
    is_folder,
    is_plain_file,
    listing_of,
    listings_below,
)

_NUMBER = re.compile(r"\d+")
_ARCHIVES = (".7z", ".bz2", ".gz", ".iso", ".rar", ".tar", ".tgz", ".xz", ".zip")


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
        return nothing(_missing(path, item))
    return _folder_image(list(listings_below(path, without)), item, reader, screen, part)


def _missing(path: Path, item: str) -> Finding:
    try:
        link = path.is_symlink()
    except OSError as error:  # closed folder above it, name too long, drive that is away
        kind = catalog.SOURCE_OFFLINE if is_hiccup(error) else catalog.FILE_MISSING
        kind = catalog.ACCESS_DENIED if isinstance(error, PermissionError) else kind
        return kind.at(item, f"the image cannot be reached: {error.strerror}")
    if link:
        why = "the image is a symbolic link, which is not followed"
        return catalog.FILE_MISSING.at(item, why, remedy=catalog.LINK_IGNORED.remedy)
    return catalog.FILE_MISSING.at(item, "the image file or folder does not exist")


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
    objects, copies = without_copies(groups, item)
    masks = annotation_readings(objects)
    notes = (*unreadable, *describe_objects(groups, item), *copies)
    if volumes:
        chosen, extra = _choose(volumes, item, screen, part)
    else:
        images = [path for path in others if may_be_image(path)]
        if len(images) == 1 and not headers:
            lone = _file_image(images[0], item, part)
            return msgspec.structs.replace(lone, findings=(*lone.findings, *notes))
        return nothing(_no_volume(count, others, item), *notes)
    findings = (*chosen.findings, *extra, *no_dicom(others, headers, item), *notes)
    return msgspec.structs.replace(chosen, findings=findings, annotations=masks)


def _no_volume(files: int, others: Sequence[str], item: str) -> Finding:
    """Why a folder of so many files has no image: none is a slice, ``others`` are no DICOM."""
    if not files:
        return catalog.FILE_MISSING.at(item, "no image file lies here")
    images = sum(map(may_be_image, others))
    why = f"{files} files, none of them an image slice; {images} image files{_packed(others)}"
    code = catalog.AMBIGUOUS_IMAGE if images > 1 else catalog.FILE_UNREADABLE
    return code.at(item, why)


def no_dicom(others: Sequence[str], headers: Sequence[SliceHeader], item: str) -> Iterator[Finding]:
    """What is said of files beside those of ``headers`` that are no DICOM objects.

    FILE_UNREADABLE for those called as such, by their ending or as their neighbors are: what a
    failed transfer leaves is a slice that is lost.
    """
    count = len(others) + len(headers)
    folders = set(map(folder_of, others))
    near = [h.path for h in headers if folder_of(h.path) in folders] if folders else []
    alike = set(map(_shape, near))
    lost = [p for p in others if p.lower().endswith(DICOM_ENDINGS) or _shape(p) in alike]
    if lost:
        one = "1 file is called like a DICOM object, and is none"
        files = one if len(lost) == 1 else f"{len(lost)} files are called like DICOM, and are none"
        message = f"{files} (empty, or damaged?)"
        yield catalog.FILE_UNREADABLE.at(item, message)
    if len(others) > len(lost):
        kinds = f"{sum(map(may_be_image, others))} are image files{_packed(others)}"
        message = f"{len(others) - len(lost)} of {count} files are no DICOM objects ({kinds})"
        yield catalog.FILE_IGNORED.at(item, message)


def _shape(path: str) -> tuple[str, str]:
    """The folder and the name of a file, with whatever numbers the name has."""
    folder = folder_of(path)
    return folder, _NUMBER.sub("0", path[len(folder) :])


def _packed(paths: Sequence[str]) -> str:
    """How many of the files are archives: exports often come as such."""
    count = sum(path.lower().endswith(_ARCHIVES) and not image_suffix(path) for path in paths)
    if not count:
        return ""
    return ", 1 archive that has to be unpacked" if count == 1 else f", {count} archives to unpack"


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
        count = _slices_in_all((*headers, *arranged.left_aside))
        findings = (*arranged.findings, *_only_localizers(headers, item))
        image = ImageFound(source, scan, patient, links, arranged.headers, findings)
        found.append(msgspec.structs.replace(image, slices_in_all=count))
    return tuple(found)


def _only_localizers(headers: Sequence[SliceHeader], item: str) -> Iterator[Finding]:
    if all("LOCALIZER" in header.image_type for header in headers):
        yield catalog.ONLY_LOCALIZERS.at(item, "only localizers lie here, no image volume")


def _slices_in_all(headers: Sequence[SliceHeader]) -> int:
    """How many slices these are, localizers apart; at least the frames that one object names."""
    slices = [header for header in headers if "LOCALIZER" not in header.image_type]
    return max(len(slices), max((header.number_of_frames for header in slices), default=0))


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
    scouts = {name: v for name, v in volumes.items() if _is_localizer(v)}
    others = {name: v for name, v in volumes.items() if name not in scouts}
    usable = {name: v for name, v in others.items() if not _refusals(v, screen)}
    candidates = usable or others or scouts
    chosen = min(candidates.items(), key=lambda v: (-len(v[1].source.paths), v[0]))[1]
    aside = [f for v in scouts.values() if v is not chosen
             for f in v.findings if f.code == catalog.LOCALIZER.code]  # fmt: skip
    if len(usable) > 1:
        listed = ", ".join(_listed(usable))
        message = f"{len(usable)} image volumes lie here: {listed}; which one is meant?"
        aside.append(catalog.AMBIGUOUS_IMAGE.at(item, message))
    refused = {n: v for n, v in others.items() if n not in usable and v is not chosen}
    return chosen, (*aside, *_refused(refused, chosen, item, screen))


def _refused(
    refused: Mapping[str, ImageFound], chosen: ImageFound, item: str, screen: Screen
) -> Iterator[Finding]:
    """What is said of volumes that cannot be used beside the one that was chosen.

    One of as many slices or more may be the one that is meant: that it has a fault is no reason
    to take another. Slices beyond a gap are counted, too.
    """
    count = len(chosen.source.paths)
    larger = {name: v for name, v in refused.items() if v.slices_in_all >= count}
    for name, volume in sorted(larger.items()):
        why = "; ".join(f"{f.code}, {f.message}" for f in _refusals(volume, screen))
        message = (
            f"{name} has {volume.slices_in_all} slices and the volume that was chosen {count}, but "
            f"{name} is refused ({why}); which one is meant?"
        )
        yield catalog.AMBIGUOUS_IMAGE.at(item, message)
    smaller = {name: v for name, v in refused.items() if name not in larger}
    if smaller:
        listed = ", ".join(_listed(smaller))
        message = f"{len(smaller)} smaller volumes that cannot be used were left aside: {listed}"
        yield catalog.FILE_IGNORED.at(item, message)


def _listed(volumes: Mapping[str, ImageFound]) -> list[str]:
    return [f"{name} ({len(v.source.paths)} slices)" for name, v in sorted(volumes.items()) if name]


def _unknown_part(part: str, there: Sequence[str], item: str) -> Finding:
    """``part`` is quoted: it is the study file's or the table's own word."""
    known = ", ".join(there) if there else "one volume without a name; leave the part empty"
    message = f"no single volume here is called {part!r}; there is {known}"
    return catalog.PART_UNKNOWN.at(item, message)


def _refusals(volume: ImageFound, screen: Screen) -> list[Finding]:
    """The findings that reject a volume, but for those that the study accepts."""
    accepted = [code for code, word in screen.severity.items() if word != "reject"]
    return [f for f in volume.findings if rejects([f]) and f.code not in accepted]


def _is_localizer(volume: ImageFound) -> bool:
    """True for a series of nothing but localizers; one among slices is only left aside."""
    return any(f.code == catalog.ONLY_LOCALIZERS.code for f in volume.findings)


def annotation_readings(groups: Sequence[SeriesGroup]) -> tuple[MaskReading, ...]:
    """Segmentation objects as readings; they are numbered, for their names may name people."""
    readings = []
    for kind in OBJECTS:
        files = sorted(h.path for g in groups if g.kind == kind for h in g.headers)
        for number, path in enumerate(files, start=1):
            rater = kind if len(files) == 1 else f"{kind}-{number}"
            readings.append(MaskReading(rater, (MaskPart(path),)))
    return tuple(readings)
