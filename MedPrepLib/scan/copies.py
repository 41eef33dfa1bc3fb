"""Segmentation objects that lie in a source twice: a copy is no second rater."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from hashlib import file_digest

from MedPrepLib import catalog
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.dicom.part10 import open_regular
from MedPrepLib.dicom.series import SeriesGroup
from MedPrepLib.errors import ReadError
from MedPrepLib.findings import Finding
from MedPrepLib.hiccups import answered

OBJECTS = ("rtstruct", "seg")
"""Kinds of groups that hold annotations."""


def without_copies(
    groups: Sequence[SeriesGroup], item: str
) -> tuple[list[SeriesGroup], list[Finding]]:
    """The segmentation objects among ``groups`` without copies, and what to say of ``item``.

    Files of one SOPInstanceUID (which is unique, PS3.5 chapter 9) are compared byte by byte. Of
    equal ones the first by path is kept, with a note: as several raters they would agree perfectly.
    Different ones are all kept, as a question.
    """
    kept: list[SeriesGroup] = []
    seen: dict[str, set[Hashable]] = {}
    objects = sorted((g for g in groups if g.kind in OBJECTS), key=lambda g: g.headers[0].path)
    count = Counter(group.headers[0].sop_uid for group in objects)
    for group in objects:
        uid = group.headers[0].sop_uid
        if uid and count[uid] > 1:
            content = _content(group.headers[0])
            if content in seen.setdefault(uid, set()):
                continue
            seen[uid].add(content)
        kept.append(group)
    versions = sum(len(contents) for contents in seen.values() if len(contents) > 1)
    return kept, [*_said(len(objects) - len(kept), versions, item)]


def _content(header: SliceHeader) -> Hashable:
    """A hash of the file; what cannot be read is no copy of anything."""
    try:
        return header.size_bytes, answered(lambda: _digest(header.path))
    except ReadError:
        return header.path


def _digest(path: str) -> bytes:
    with open_regular(path) as file:
        return file_digest(file, "sha256").digest()


def _said(copies: int, versions: int, item: str) -> Iterator[Finding]:
    if copies:
        objects = "1 segmentation object is a copy of another"
        if copies > 1:
            objects = f"{copies} segmentation objects are copies of others"
        yield catalog.READING_COPIED.at(item, f"{objects}, byte for byte, and left out")
    if versions:
        message = f"{versions} segmentation objects share a SOPInstanceUID and differ: versions?"
        yield catalog.READING_TWICE.at(item, message)
