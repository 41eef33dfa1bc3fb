"""Every image series in a tree of DICOM files becomes a case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from MedPrepLib import catalog
from MedPrepLib.config.settings import DicomSource, Screen
from MedPrepLib.dicom.series import SeriesGroup, describe_objects, group_series
from MedPrepLib.findings import Finding
from MedPrepLib.scan.attach import find_images
from MedPrepLib.scan.folders import candidate
from MedPrepLib.scan.found import Candidate, Drawn
from MedPrepLib.scan.headers import HeaderReader
from MedPrepLib.scan.image import annotation_readings, found_volumes
from MedPrepLib.scan.parts import Shared, part_name, shared_out
from MedPrepLib.scan.readings import drawn_in
from MedPrepLib.scan.walk import image_suffix, listings_below


def scan_dicom_tree(
    source: DicomSource,
    root: Path,
    masks: Path | None,
    reader: HeaderReader,
    screen: Screen,
    called: str,
) -> Iterator[Candidate | Finding]:
    """One candidate per image series below ``root``, however files are named and nested.

    A series of several volumes makes a case of each, called after it. Segmentation objects go to
    the series (and volume) they refer to; ``masks`` may hold a folder of mask
    files per case. Image files of other formats are counted in a note: nothing in such a tree
    tells images from masks, which the folder convention and a table do. Findings that belong to
    no case are about ``called``.
    """
    before = reader.files_seen
    headers, others, unreadable = reader.read(listings_below(root, masks), called)
    count = reader.files_seen - before
    yield from unreadable
    groups = group_series(headers)
    objects, unplaced = find_images(groups, screen, called)
    yield from (*describe_objects(groups, called), *unplaced)
    images = [g for g in groups if g.kind == "image"]
    for group, item in zip(images, _names(images, root), strict=True):
        volumes = found_volumes(group, item, screen)
        names = [part_name(item, volume) for volume in volumes]
        own = [
            drawn_in(masks / name, source.annotations) if masks and name != item else Drawn()
            for name in names
        ]
        attached = annotation_readings(objects.get(group.key, ()))
        shared = Shared(attached, _drawn(masks, group, item, source), own)
        for name, volume in zip(names, shared_out(volumes, shared, item), strict=True):
            person = msgspec.structs.replace(volume.image.patient, center=source.center)
            yield candidate(name, person, volume.image, volume.drawn, source.modality)
    if others:
        files = sum(1 for path in others if image_suffix(path))
        message = f"{len(others)} of {count} files are no DICOM objects ({files} are image files)"
        yield catalog.FILE_IGNORED.at(called, message)


def _names(images: Sequence[SeriesGroup], root: Path) -> list[str]:
    """The series' folder relative to the root; several in one folder get a part of their hash."""
    folders = [_folder(group, root) for group in images]
    crowded = {folder for folder, count in Counter(folders).items() if count > 1}
    return [
        f"{folder}~{sha256(group.key.encode()).hexdigest()[:8]}" if folder in crowded else folder
        for folder, group in zip(folders, images, strict=True)
    ]


def _folder(group: SeriesGroup, root: Path) -> str:
    first = min(header.path for header in group.headers)
    folder = Path(first).parent.relative_to(root).as_posix()
    return folder if folder != "." else root.name


def _drawn(masks: Path | None, group: SeriesGroup, item: str, source: DicomSource) -> Drawn:
    """What lies in the mask folder of a case, called by its name or its SeriesInstanceUID."""
    if masks is None:
        return Drawn()
    named = drawn_in(masks / item, source.annotations)
    return named if named != Drawn() else drawn_in(masks / group.series_uid, source.annotations)
