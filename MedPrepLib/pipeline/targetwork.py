"""The step that makes of masks, boxes and slice labels what a model can be trained on.

What raters drew themselves wins over what is derived from masks, and what a reviewer approved wins
over both; label by label, so that a box of a tumor says nothing about the organ around it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import msgspec

from MedPrepLib.pipeline import reviewwork
from MedPrepLib.pipeline.draft import CaseTask, Draft, known
from MedPrepLib.results import Box, SliceRange, Targets

Target = TypeVar("Target", Box, SliceRange)


def targets(task: CaseTask, draft: Draft) -> Draft:
    """Derive what a model can be trained on; nothing, where a reviewer found nothing."""
    from MedPrepLib.targets import derive

    if reviewwork.found_nothing(task, draft):
        made = derive(known(draft.label_map), known(draft.geometry), task.study.schema())
        return reviewwork.settled(task, replace(draft, targets=made))
    boxes, draft = reviewwork.reviewed_boxes(task, draft)
    slices, draft = reviewwork.reviewed_slices(task, draft)
    nothing = draft.label_map is None and boxes is None and slices is None
    if nothing and not (draft.boxes or draft.slice_readings):
        return reviewwork.settled(task, draft)
    made = Targets({}, (), ())
    schema = task.study.schema()
    if draft.label_map is not None:
        made = derive(draft.label_map, known(draft.geometry), schema)
    made = _drawn_boxes(task, draft, made)
    made = _noted_slices(task, draft, made)
    if boxes is not None:
        decided = _labels_of(boxes) | _boxed(draft)
        made = _with_boxes(made, boxes, decided, schema.names)
    if slices is not None:
        made = _with_slices(made, slices.ranges, slices.annotated, schema.names)
    return reviewwork.settled(task, replace(draft, targets=made))


def _drawn_boxes(task: CaseTask, draft: Draft, made: Targets) -> Targets:
    """The targets with the boxes that enough raters drew, for every label that anybody boxed."""
    from MedPrepLib.agree import first_readings
    from MedPrepLib.consensus.boxes import merge_boxes

    if not draft.boxes:
        return made
    merged = merge_boxes(
        first_readings(draft.boxes),
        task.study.consensus.box_quorum or None,
        task.study.agree.box_iou,
        geometry=known(draft.geometry),
    )
    boxes = tuple(found.box for found in merged.boxes)
    return _with_boxes(made, boxes, _boxed(draft), task.study.schema().names)


def _noted_slices(task: CaseTask, draft: Draft, made: Targets) -> Targets:
    """The targets with the slices that most raters noted, for every label that they looked for."""
    from MedPrepLib.agree.slices import first_slices
    from MedPrepLib.consensus.slices import vote_slices

    if not draft.slice_readings:
        return made
    names = task.study.schema().names
    readings = first_slices(draft.slice_readings)
    voted = vote_slices(readings, names, task.study.consensus.ties).labels
    return _with_slices(made, voted.ranges, voted.annotated, names)


def _boxed(draft: Draft) -> frozenset[str]:
    """The labels that some rater drew a box of, in the reading of theirs that counts."""
    from MedPrepLib.agree import first_readings

    return frozenset().union(*map(_labels_of, first_readings(draft.boxes).values()))


def _labels_of(found: Iterable[Box]) -> frozenset[str]:
    return frozenset(box.label for box in found)


def _with_boxes(
    made: Targets, boxes: Sequence[Box], decided: Collection[str], names: Sequence[str]
) -> Targets:
    merged = _per_label(made.boxes, boxes, decided, names)
    return msgspec.structs.replace(made, boxes=merged)


def _with_slices(
    made: Targets, ranges: Sequence[SliceRange], decided: Collection[str], names: Sequence[str]
) -> Targets:
    merged = _per_label(made.slices, ranges, decided, names)
    return msgspec.structs.replace(made, slices=merged)


def _per_label(
    before: Sequence[Target],
    after: Sequence[Target],
    decided: Collection[str],
    names: Sequence[str],
) -> tuple[Target, ...]:
    """``after`` for the labels that were ``decided``, ``before`` for others, in order of label."""
    return tuple(
        found
        for name in names
        for found in (after if name in decided else before)
        if found.label == name
    )
