"""The step that makes of masks, boxes and slice labels what a model can be trained on.

What raters drew themselves wins over what is derived from masks, and what a reviewer approved wins
over both; label by label, so that a box of a tumor says nothing about the organ around it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import msgspec

from MedPrepLib import catalog
from MedPrepLib.config.settings import Consensus
from MedPrepLib.findings import Finding
from MedPrepLib.pipeline import reviewwork
from MedPrepLib.pipeline.draft import CaseTask, Draft, known
from MedPrepLib.results import Box, SliceLabels, SliceRange, Targets

if TYPE_CHECKING:
    from MedPrepLib.consensus.slices import SliceConsensus

Target = TypeVar("Target", Box, SliceRange)


def targets(task: CaseTask, draft: Draft) -> Draft:
    """Derive what a model can be trained on; nothing, where a reviewer found nothing."""
    from MedPrepLib.targets import derive

    schema = task.study.schema()
    if reviewwork.found_nothing(task, draft):
        made = derive(known(draft.label_map), known(draft.geometry), schema)
        return reviewwork.settled(task, replace(draft, targets=made))
    boxes, draft = reviewwork.reviewed_boxes(task, draft)
    slices, draft = reviewwork.reviewed_slices(task, draft)
    nothing = draft.label_map is None and boxes is None and slices is None
    if nothing and not (draft.boxes or draft.slice_readings):
        return reviewwork.settled(task, draft)
    made = Targets({}, (), ())
    if draft.label_map is not None:
        made = derive(draft.label_map, known(draft.geometry), schema)
    made, draft = _drawn_boxes(task, draft, made, boxes)
    made, draft = _noted_slices(task, draft, made, slices)
    return reviewwork.settled(task, replace(draft, targets=made))


def _drawn_boxes(
    task: CaseTask, draft: Draft, made: Targets, reviewed: tuple[Box, ...] | None
) -> tuple[Targets, Draft]:
    """The boxes that enough raters drew, or the reviewed ones, for every label of either."""
    from MedPrepLib.agree import first_readings

    drawn = first_readings(draft.boxes)
    boxed = _labels_of(box for own in drawn.values() for box in own)
    if reviewed is None and drawn:
        boxes, draft = _merged_boxes(task, draft, drawn)
        return _with_boxes(task, made, boxes, boxed), draft
    if reviewed is None:
        return made, draft
    return _with_boxes(task, made, reviewed, boxed | _labels_of(reviewed)), draft


def _merged_boxes(
    task: CaseTask, draft: Draft, readings: Mapping[str, Sequence[Box]]
) -> tuple[tuple[Box, ...], Draft]:
    """The boxes of one reading per person as one, and what is to be said of the way to it."""
    from MedPrepLib.agree.sets import judge_sets_against
    from MedPrepLib.agree.versus import CONSENSUS
    from MedPrepLib.consensus.boxes import merge_boxes, quorum_of

    study, item = task.study, draft.case.id
    quorum = quorum_of(study.consensus.box_quorum, len(readings))
    merged = merge_boxes(readings, quorum, study.agree.box_iou, geometry=known(draft.geometry))
    boxes = tuple(found.box for found in merged.boxes)
    said: list[Finding] = []
    if quorum is not None and quorum < study.consensus.box_quorum:
        message = f"{quorum} rater(s) looked for boxes, box_quorum is {study.consensus.box_quorum}"
        said.append(catalog.QUORUM_LOWERED.at(item, message))
    halves = sum(2 * len(found.raters) == len(readings) for found in merged.dissent)
    said += _halves(study.consensus, halves, item)
    if len(readings) > 1:
        names = study.schema().names
        both = {**readings, CONSENSUS: boxes}
        said += judge_sets_against(both, (), names, study.agree, item)
    return boxes, draft.plus(*said)


def _noted_slices(
    task: CaseTask, draft: Draft, made: Targets, reviewed: SliceLabels | None
) -> tuple[Targets, Draft]:
    """The slices that most raters noted, or the reviewed ones, for every label looked for."""
    if reviewed is not None:
        return _with_slices(task, made, reviewed.ranges, reviewed.annotated), draft
    if not draft.slice_readings:
        return made, draft
    voted, draft = _voted_slices(task, draft)
    made = _with_slices(task, made, voted.labels.ranges, voted.labels.annotated)
    return msgspec.structs.replace(made, undecided=voted.undecided), draft


def _voted_slices(task: CaseTask, draft: Draft) -> tuple[SliceConsensus, Draft]:
    """The slices of one reading per person, with what is to be said of the vote."""
    from MedPrepLib.agree.sets import judge_sets_against
    from MedPrepLib.agree.slices import first_slices
    from MedPrepLib.consensus.slices import vote_slices

    study, item, names = task.study, draft.case.id, task.study.schema().names
    readings = first_slices(draft.slice_readings)
    voted = vote_slices(readings, names, study.consensus.ties)
    said: list[Finding] = []
    if tied := sum(voted.tied.values()):
        ties = study.consensus.ties
        became = "stay undecided" if ties == "undecided" else f"went to {ties}"
        message = f"{tied} slice(s) without a majority {became}"
        said.append(catalog.CONSENSUS_TIES.at(item, message))
    if len(readings) > 1:
        both = (*readings, voted.labels)
        said += judge_sets_against(None, both, names, study.agree, item)
    return voted, draft.plus(*said)


def _halves(how: Consensus, tied: int, item: str) -> Iterator[Finding]:
    """What is said of boxes that half of the raters drew and half did not."""
    if not tied:
        return
    message = f"{tied} box(es) without a majority were left out"
    yield catalog.CONSENSUS_TIES.at(item, message)
    if how.ties == "undecided":
        yield catalog.TIES_NOT_UNDECIDED.at(item, message)


def _labels_of(found: Iterable[Box]) -> frozenset[str]:
    return frozenset(box.label for box in found)


def _with_boxes(
    task: CaseTask, made: Targets, boxes: Sequence[Box], decided: Collection[str]
) -> Targets:
    merged = _per_label(made.boxes, boxes, decided, task.study.schema().names)
    return msgspec.structs.replace(made, boxes=merged)


def _with_slices(
    task: CaseTask, made: Targets, ranges: Sequence[SliceRange], decided: Collection[str]
) -> Targets:
    merged = _per_label(made.slices, ranges, decided, task.study.schema().names)
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
