"""Annotations of a series that holds several volumes: which of them each belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from MedPrepLib import catalog
from MedPrepLib.cohort import MaskReading
from MedPrepLib.dicom.references import Instances, referenced_instances
from MedPrepLib.findings import Finding
from MedPrepLib.geometry import Geometry
from MedPrepLib.scan.found import Drawn, ImageFound


class Volume(NamedTuple):
    """One volume of a series with its annotation objects, and the files of its mask folder."""

    image: ImageFound
    drawn: Drawn


class Shared(NamedTuple):
    """What was drawn on a series: objects, its mask folder, the mask folder of each volume."""

    attached: Sequence[MaskReading]
    drawn: Drawn
    own: Sequence[Drawn]


def part_name(item: str, image: ImageFound) -> str:
    """What the case of a volume is called: as its series, with the part after a hyphen."""
    return f"{item}-{image.source.part}" if image.source.part else item


def shared_out(volumes: Sequence[ImageFound], shared: Shared, item: str) -> list[Volume]:
    """The volumes of a series, each with what was drawn on it.

    An annotation object belongs to the volumes whose SOPInstanceUIDs it references; one that
    references several or none, and the files of the series' mask folder, to all that share one
    grid, with a note. A volume with a mask folder of its own has no files of the series'.
    ``item`` is what the series is called.
    """
    if len(volumes) == 1:
        image = msgspec.structs.replace(volumes[0], annotations=tuple(shared.attached))
        return [Volume(image, shared.drawn)]
    places = [(reading, _places(reading, volumes)) for reading in shared.attached]
    anywhere = _on_one_grid(volumes, range(len(volumes)))
    found = []
    for n, image in enumerate(volumes):
        mine = tuple(reading for reading, where in places if n in where)
        doubtful = sum(1 for _, where in places if n in where and len(where) > 1)
        drawn = shared.own[n]
        if drawn == Drawn() and n in anywhere:
            drawn = shared.drawn
            doubtful += len(drawn.masks) + len(drawn.boxes) + len(drawn.slices)
        findings = (*image.findings, *_notes(doubtful, len(volumes), item))
        with_notes = msgspec.structs.replace(image, annotations=mine, findings=findings)
        found.append(Volume(with_notes, drawn))
    return found


def _notes(count: int, volumes: int, item: str) -> list[Finding]:
    if not count:
        return []
    message = (
        f"{count} annotation{'s' * (count > 1)} of the series may have been drawn on another one "
        f"of its {volumes} volumes"
    )
    return [catalog.READING_SHARED.at(item, message)]


def _places(reading: MaskReading, volumes: Sequence[ImageFound]) -> list[int]:
    """The volumes an annotation object was drawn on, as far as that can be told."""
    referenced: Instances = frozenset().union(
        *(referenced_instances(part.path) for part in reading.parts)
    )
    named = [n for n, image in enumerate(volumes) if _is_referenced(image, referenced)]
    if len(named) == 1:
        return named
    return _on_one_grid(volumes, named or range(len(volumes)))


def _is_referenced(image: ImageFound, referenced: Instances) -> bool:
    """True when a slice is named; of multi-frame objects, the frame or all frames."""
    return any(
        (header.sop_uid, header.frame + 1) in referenced or (header.sop_uid, 0) in referenced
        for header in image.slices
    )


def _on_one_grid(volumes: Sequence[ImageFound], places: Sequence[int]) -> list[int]:
    """The most of these volumes that share one grid, the first of equally many."""
    grids: dict[Geometry | None, list[int]] = {}
    for n in places:
        grids.setdefault(volumes[n].source.geometry, []).append(n)
    return max(grids.values(), key=len)
