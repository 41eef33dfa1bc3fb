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


def part_name(item: str, image: ImageFound) -> str:
    """What the case of a volume is called: as its series, with the part after a tilde."""
    return f"{item}~{image.source.part}" if image.source.part else item


def shared_out(
    volumes: Sequence[ImageFound], attached: Sequence[MaskReading], drawn: Drawn, item: str
) -> list[Volume]:
    """The volumes of a series, each with what was drawn on it.

    An annotation object belongs to the volumes whose SOPInstanceUIDs it references; one that
    references several or none, and the files of the series' mask folder, to all that share one
    grid, with a note. ``item`` is what the series is called.
    """
    if len(volumes) == 1:
        return [Volume(msgspec.structs.replace(volumes[0], annotations=tuple(attached)), drawn)]
    mine: dict[int, list[MaskReading]] = {n: [] for n in range(len(volumes))}
    shared: dict[int, int] = dict.fromkeys(mine, 0)
    for reading in attached:
        places = _places(reading, volumes)
        for n in places:
            mine[n].append(reading)
            shared[n] += len(places) > 1
    files = len({*drawn.masks, *drawn.boxes, *drawn.slices})
    anywhere = _on_one_grid(volumes, range(len(volumes)))
    return [
        Volume(
            msgspec.structs.replace(
                image,
                annotations=tuple(mine[n]),
                findings=(
                    *image.findings,
                    *_notes(shared[n] + files * (n in anywhere), len(volumes), item),
                ),
            ),
            drawn if n in anywhere else Drawn(),
        )
        for n, image in enumerate(volumes)
    ]


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
