"""What reviews change in a run: masks of wrong headers, the consensus, and what needs a look.

A review speaks of readings as they were. When any of them has changed since, it is out of date:
nothing of it is used, and the case asks for another look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.errors import MedPrepError
from MedPrepLib.findings import Finding, Severity
from MedPrepLib.images import VoxelArray
from MedPrepLib.joint import value_counts
from MedPrepLib.pipeline.draft import CaseTask, Draft, known
from MedPrepLib.pipeline.reviewdrawn import boxes_of, differing, label_map_of, slices_of
from MedPrepLib.results import Box, ConsensusRecord, SliceLabels
from MedPrepLib.review import (
    DrawnFile,
    DrawnKind,
    Review,
    case_state,
    contradictions,
    drawn_hashes,
    drawn_of,
    fixed_readings,
    nothing_found,
    speaks_of,
    unbound,
)

Drawn = TypeVar("Drawn")


def adopts(task: CaseTask, rater: str) -> bool:
    """True when a reviewer says that this rater's masks lie on the image's grid."""
    return rater in fixed_readings(task.reviews)


def valid_reviews(task: CaseTask, draft: Draft) -> dict[str, Review]:
    """The reviews that speak of the readings as they are now."""
    now = _inputs(draft)
    return {name: review for name, review in task.reviews.items() if speaks_of(review, now)}


def reviewed_mask(task: CaseTask, draft: Draft) -> Draft:
    """The draft with the mask that the last reviewer approved in place of the consensus.

    An empty one, where that is what the last reviewer to approve found.
    """
    reviews = valid_reviews(task, draft)
    empty, found = nothing_found(reviews), drawn_of(reviews, "mask")
    if empty is not None:
        return _emptied(task, draft, empty)
    if found is None:
        return draft
    review, file = found
    try:
        label_map, ignore = label_map_of(task, draft, review, file)
    except MedPrepError as error:
        return draft.plus(_unusable(draft, error))
    start = f" (from {file.start.method})" if file.start else ""
    record = _record(draft, review, start, ignore, _looked_for(task, draft, label_map))
    return replace(draft, label_map=label_map, consensus=record)


def found_nothing(task: CaseTask, draft: Draft) -> bool:
    """True where the last reviewer to approve found nothing, whatever raters drew or noted."""
    return nothing_found(valid_reviews(task, draft)) is not None


def reviewed_boxes(task: CaseTask, draft: Draft) -> tuple[tuple[Box, ...] | None, Draft]:
    """The boxes that the last reviewer approved, in voxels; None when nobody drew any."""
    return _approved(task, draft, "boxes", boxes_of)


def reviewed_slices(task: CaseTask, draft: Draft) -> tuple[SliceLabels | None, Draft]:
    """The slice labels that the last reviewer approved; None when nobody noted any."""
    return _approved(task, draft, "slices", slices_of)


def settled(task: CaseTask, draft: Draft) -> Draft:
    """What the verdicts make of the findings: an approved case asks for no look any more."""
    reviews = valid_reviews(task, draft)
    item = draft.case.id
    said = [
        catalog.REVIEW_STALE.at(item, f"the review of {name} speaks of other readings")
        for name in sorted(task.reviews.keys() - reviews.keys())
    ]
    state = case_state(reviews.values())
    who = ", ".join(
        f"{r.reviewer} (version {r.version})"
        for _, r in sorted(reviews.items())
        if r.verdict == state
    )
    differ = differing(task, draft, reviews)
    said += (*_contradicting(reviews, item), *(f for f in differ if f.severity > Severity.NOTE))
    if state == "flagged":
        said.append(catalog.REVIEW_FLAGGED.at(item, f"flagged by {who}"))
    lost = any(finding.code == catalog.REVIEW_UNREADABLE.code for finding in draft.findings)
    if state == "approved" and not said and not lost:
        said.append(catalog.REVIEW_APPROVED.at(item, f"approved by {who}"))
        draft = replace(draft, findings=tuple(map(_seen, draft.findings)))
    notes = (finding for finding in differ if finding not in said)
    return draft.plus(*said, *notes, *_unbound(reviews, draft))


def _inputs(draft: Draft) -> dict[str, str]:
    masks = {reading.rater: reading.content_hash for reading in draft.readings}
    return masks | drawn_hashes(draft.boxes, draft.slice_readings)


def _unbound(reviews: Mapping[str, Review], draft: Draft) -> Iterator[Finding]:
    """What the reviews in use do not say of the readings that they judged."""
    now = _inputs(draft)
    for name, review in sorted(reviews.items()):
        kinds = unbound(review, now)
        if review.verdict and kinds:
            message = f"the review of {name} does not say which {' and '.join(kinds)} it judged"
            yield catalog.REVIEW_UNBOUND.at(draft.case.id, message)


def _seen(finding: Finding) -> Finding:
    seen = finding.severity == Severity.REVIEW
    return finding.with_severity(Severity.NOTE) if seen else finding


def _contradicting(reviews: Mapping[str, Review], item: str) -> Iterator[Finding]:
    if saying := contradictions(reviews):
        words = ("found nothing" if r.nothing_found else "drew something" for r in saying)
        who = (f"{r.reviewer} (version {r.version})" for r in saying)
        message = ", then ".join(f"{name} {did}" for name, did in zip(who, words, strict=True))
        yield catalog.REVIEWS_CONTRADICT.at(item, message)


def _emptied(task: CaseTask, draft: Draft, review: Review) -> Draft:
    """The draft with an empty consensus."""
    dtype = np.uint8 if draft.label_map is None else draft.label_map.dtype
    empty = np.zeros(known(draft.geometry).shape, dtype)
    record = _record(draft, review, ": nothing found", None, task.study.schema().names)
    return replace(draft, label_map=empty, consensus=record)


def _approved(
    task: CaseTask,
    draft: Draft,
    kind: DrawnKind,
    read: Callable[[CaseTask, Draft, Review, DrawnFile], tuple[Drawn, tuple[Finding, ...]]],
) -> tuple[Drawn | None, Draft]:
    """What the last reviewer to approve drew of a kind."""
    found = drawn_of(valid_reviews(task, draft), kind)
    if found is None:
        return None, draft
    try:
        drawn, said = read(task, draft, *found)
    except MedPrepError as error:
        return None, draft.plus(_unusable(draft, error))
    return drawn, draft.plus(*said)


def _unusable(draft: Draft, error: MedPrepError) -> Finding:
    return catalog.REVIEW_UNREADABLE.at(draft.case.id, f"{error}; it is not used")


def _looked_for(task: CaseTask, draft: Draft, label_map: VoxelArray) -> tuple[str, ...]:
    """What raters looked for and the reviewer drew; everything, where no rater had drawn a mask.

    A drawing that began as a consensus lists all labels, whether or not somebody looked for them.
    """
    schema, before = task.study.schema(), draft.consensus
    if before is None or before.annotated is None:
        return schema.names
    drawn = value_counts(label_map)
    return tuple(x.name for x in schema if x.name in before.annotated or x.value in drawn)


def _record(
    draft: Draft,
    review: Review,
    how: str,
    ignore_value: int | None,
    annotated: tuple[str, ...],
) -> ConsensusRecord:
    """How the reviewed consensus came about, with the readings that stood before the reviewer."""
    before = draft.consensus
    return ConsensusRecord(
        method=f"review by {review.reviewer}, version {review.version}{how}",
        raters=before.raters if before else (),
        tie_rule=before.tie_rule if before else "",
        tied_voxels=0,
        inputs=before.inputs if before else {},
        ignore_value=ignore_value,
        annotated=annotated,
    )
