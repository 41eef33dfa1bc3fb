"""Every image series in a tree of DICOM files becomes a case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from MedPrepLib import catalog
from MedPrepLib.cohort import MaskReading
from MedPrepLib.config.settings import DicomSource, Screen
from MedPrepLib.dicom.series import SeriesGroup, describe_objects, group_series
from MedPrepLib.findings import Finding
from MedPrepLib.scan.attach import find_images
from MedPrepLib.scan.copies import without_copies
from MedPrepLib.scan.folders import candidate
from MedPrepLib.scan.found import Candidate, Drawn, ImageFound
from MedPrepLib.scan.headers import HeaderReader
from MedPrepLib.scan.image import annotation_readings, found_volumes, no_dicom
from MedPrepLib.scan.parts import Shared, part_name, shared_out
from MedPrepLib.scan.readings import drawn_in
from MedPrepLib.scan.unmatched import CaseFolders
from MedPrepLib.scan.walk import listings_below


def scan_dicom_tree(
    source: DicomSource,
    root: Path,
    masks: Path | None,
    reader: HeaderReader,
    screen: Screen,
    called: str,
) -> Iterator[Candidate | Finding | CaseFolders]:
    """One candidate per image series below ``root``, however files are named and nested.

    A series of several volumes makes a case of each, called after it. Segmentation objects go to
    the series (and volume) they refer to; ``masks`` may hold a folder of mask
    files per case. Image files of other formats are counted in a note: nothing in such a tree
    tells images from masks, which the folder convention and a table do. Findings that belong to
    no case are about ``called``. Where there is a folder of masks, what its folders may be called.
    """
    headers, others, unreadable = reader.read(listings_below(root, masks), called)
    yield from unreadable
    groups = group_series(headers)
    objects, unplaced = find_images(groups, screen, called)
    yield from (*describe_objects(groups, called), *unplaced)
    images = [g for g in groups if g.kind == "image"]
    yield from _unclear_masks(masks, images, root, source, called)
    shared_uids = _repeated(g.series_uid for g in images)
    known = {_folder(group, root) for group in images} | {g.series_uid for g in images} - {""}
    for group, item in zip(images, _names(images, root), strict=True):
        uid = "" if group.series_uid in shared_uids else group.series_uid
        mine, copies = without_copies(objects.get(group.key, ()), item)
        volumes = found_volumes(group, item, screen)
        for one in _cases(group, volumes, annotation_readings(mine), masks, (item, uid), source):
            known.update((item, one.case.id))
            said = (finding.about(one.case.id) for finding in copies)
            yield msgspec.structs.replace(one, findings=(*one.findings, *said))
    if masks:
        yield CaseFolders(masks, frozenset(known), called)
    yield from no_dicom(others, headers, called)


def _cases(
    group: SeriesGroup,
    volumes: Sequence[ImageFound],
    attached: Sequence[MaskReading],
    masks: Path | None,
    called: tuple[str, str],
    source: DicomSource,
) -> Iterator[Candidate]:
    """A case per volume of a series; ``called``: its name, and its UID if it alone has it."""
    item = called[0]
    names = [part_name(item, volume) for volume in volumes]
    own = [
        _drawn(masks if name != item else None, (name,), source, _named(group, name))
        for name in names
    ]
    shared = Shared(attached, _drawn(masks, called, source, _named(group, item)), own)
    for name, volume in zip(names, shared_out(volumes, shared, item), strict=True):
        person = msgspec.structs.replace(volume.image.patient, center=source.center)
        yield candidate(name, person, volume.image, volume.drawn, source.modality)


def _names(images: Sequence[SeriesGroup], root: Path) -> list[str]:
    """The series' folder relative to the root; several in one folder get a part of their hash.

    All of them, also the one that was there first: no name may depend on what came when.
    """
    folders = [_folder(group, root) for group in images]
    crowded = _repeated(folders)
    return [
        f"{folder}~{sha256(group.key.encode()).hexdigest()[:8]}" if folder in crowded else folder
        for folder, group in zip(folders, images, strict=True)
    ]


def _repeated(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name, count in Counter(names).items() if count > 1)


def _folder(group: SeriesGroup, root: Path) -> str:
    first = min(header.path for header in group.headers)
    folder = Path(first).parent.relative_to(root).as_posix()
    return folder if folder != "." else root.name


def _named(group: SeriesGroup, item: str) -> tuple[str, ...]:
    """What patient and case of a series are called; the case by every folder on the way to it."""
    return group.headers[0].patient_id, item, *item.split("/")


def _drawn(
    masks: Path | None, names: Sequence[str], source: DicomSource, about: Sequence[str] = ()
) -> Drawn:
    """What lies in the mask folder of a case, called by the first of its names that has one."""
    if masks is None:
        return Drawn()
    drawn = (drawn_in(masks, name, source.annotations, about) for name in names if name)
    return next((found for found in drawn if found != Drawn()), Drawn())


def _unclear_masks(
    masks: Path | None, images: Sequence[SeriesGroup], root: Path, source: DicomSource, called: str
) -> Iterator[Finding]:
    """ANNOTATION_AMBIGUOUS for mask folders whose name is that of several series.

    As where a second series came into the folder of a case, or where series share a UID.
    """
    folders = _repeated(_folder(group, root) for group in images)
    names = folders | _repeated(group.series_uid for group in images) - {""}
    count = sum(_drawn(masks, (name,), source) != Drawn() for name in names)
    if count:
        message = (
            f"{count} mask folders are called by a folder or a UID that several series have; "
            "whose are they?"
        )
        yield catalog.ANNOTATION_AMBIGUOUS.at(called, message)
