"""Taking one rater's word for one place at which raters differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from MedPrepLib.agree.differences import voxels_of
from MedPrepLib.boxes import WorldBox, iou, to_world
from MedPrepLib.casebook import Place
from MedPrepLib.consensus.panel import panel
from MedPrepLib.errors import LabelError, MedPrepError
from MedPrepLib.images import VoxelArray
from MedPrepLib.regions import Slices
from MedPrepLib.results import Box, Difference, SliceRange
from MedPrepLib.review import Accepted
from MedPrepLib.slicelabels import flag_ranges, slice_flags, slice_labels

if TYPE_CHECKING:
    from MedPrepLib.mrml.desk import Desk

METHOD = "consensus"
"""In place of a rater: what the method made."""


def accept(desk: Desk, place: Place, source: str) -> None:
    """Put what ``source`` (a rater, or "consensus" of masks) has at the place into the consensus.

    Only the label of the place is touched. Raises MedPrepError where nothing was decided yet,
    LabelError for a rater who did not look for the label, GeometryError when the readings have
    changed.
    """
    if place.difference is not None:
        accept_voxels(desk, place.difference, source)
        return
    if source not in (*place.raters_for, *place.raters_against):
        raise LabelError(f"{source} did not look for {place.label!r}; choose another rater")
    if place.box is not None:
        _accept_box(desk, place.box, source, drawn=source in place.raters_for)
    elif place.slices is not None:
        _accept_slices(desk, place.slices, noted=source in place.raters_for)


def accept_voxels(desk: Desk, place: Difference, source: str) -> None:
    """Take the voxels of one label in a place, and those there that nobody decided.

    Where labels overlap the ones above are left alone, and below the label the rater's own lie.
    """
    label_map, ignore = desk.nodes.drawn_consensus()
    where, mask = voxels_of(desk.case.masks, place)
    value = desk.case.schema.named(place.label).value
    overlapping = _overlapping(desk)
    theirs = _label_map_of(desk, source, place.label, where, value if overlapping else None)
    here = label_map[where]
    undecided = mask & (here == ignore) if ignore is not None else np.zeros_like(mask)
    touched = mask & ~undecided & ((theirs == value) | (here == value))
    if overlapping:
        touched &= here <= value
    here[touched] = theirs[touched]
    here[undecided] = _label_map_of(desk, source, place.label, where, None)[undecided]
    left = ignore if ignore is not None and (label_map == ignore).any() else None
    desk.nodes.put_consensus(label_map, left)
    desk.accepted.append(Accepted(place.label, place.index, source))


def _overlapping(desk: Desk) -> bool:
    """Whether the readings were voted on label by label, each lying above those of lower value."""
    values = {label.name: label.value for label in desk.case.schema}
    return panel(desk.case.masks, tuple(values), values, "background").overlapping


def _label_map_of(
    desk: Desk, source: str, label: str, where: Slices, highest: int | None
) -> VoxelArray:
    """What ``source`` has in a box: all labels, or those of values up to ``highest``.

    Labels of higher value lie above, as in the vote.
    """
    if source == METHOD and desk.start is not None:
        return desk.start.label_map[where]
    reading = desk.case.masks.get(source)
    if reading is None or reading.find(label) is None:
        raise LabelError(f"{source} did not look for {label!r}; choose another rater")
    known = sorted(desk.case.schema, key=lambda found: found.value)
    stacked = np.zeros_like(reading.layers[0][where], dtype=np.uint16)
    for one in known:
        segment = reading.find(one.name)
        if segment is not None and (highest is None or one.value <= highest):
            stacked[reading.layers[segment.layer][where] == segment.value] = one.value
    return stacked


def _accept_box(desk: Desk, box: Box, source: str, *, drawn: bool) -> None:
    """Have the rater's own box there, or none."""
    geometry = desk.case.geometry
    there = to_world(box, geometry)
    kept = [b for b in desk.drawn_boxes() if not _same(b, there, desk)]
    if drawn:
        own = [to_world(b, geometry) for b in desk.case.boxes[source] if b.label == box.label]
        kept.append(max(own, key=lambda found: iou(found, there)))
    desk.put_boxes(kept)


def _same(box: WorldBox, other: WorldBox, desk: Desk) -> bool:
    return box.label == other.label and iou(box, other) >= desk.analysis.settings.box_iou


def _accept_slices(desk: Desk, place: SliceRange, *, noted: bool) -> None:
    """Have the label on these slices, or not."""
    if desk.slices is None:
        raise MedPrepError("there is no consensus of the slices; make one first")
    own = slice_labels("", desk.case.geometry.size[2], desk.slices, (place.label,))
    flags = np.array(slice_flags(own, place.label))
    flags[place.start : place.stop] = noted
    others = tuple(found for found in desk.slices if found.label != place.label)
    desk.slices = tuple(
        sorted((*others, *flag_ranges(place.label, flags)), key=lambda r: (r.label, r.start))
    )
