"""The steps of a case that concern its readings: align, agree, consensus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from MedPrepLib import catalog
from MedPrepLib.cohort import MaskReading
from MedPrepLib.config.settings import Align
from MedPrepLib.findings import Finding, Severity, worst
from MedPrepLib.pipeline import reviewwork
from MedPrepLib.pipeline.draft import CaseTask, Draft, known
from MedPrepLib.results import Agreement, Box, ReadingResult, SliceLabels
from MedPrepLib.screen import judged
from MedPrepLib.segmentation import Segmentation

if TYPE_CHECKING:
    from MedPrepLib.masks.belonging import ImageIdentity


def align(task: CaseTask, draft: Draft) -> Draft:
    """Bring every reading to the image grid and the label schema."""
    masks: dict[str, Segmentation] = {}
    readings: list[ReadingResult] = []
    named, findings = _named_after_raters(draft)
    for reading in named.case.readings:
        aligned, result, own = _mask_reading(task, draft, reading)
        findings += own
        if aligned is not None and result is not None:
            masks[reading.rater] = aligned
            readings.append(result)
    boxes, slices, said = _other_readings(task, named)
    findings += said
    case = draft.case
    count = len(case.readings) + len(case.boxes) + len(case.slices)
    if count and not (masks or boxes or slices):
        findings.append(catalog.NO_READING.at(case.id, f"{count} readings, none usable"))
    return replace(
        draft.plus(*findings),
        masks=masks,
        readings=tuple(readings),
        boxes=boxes,
        slice_readings=slices,
    )


def _named_after_raters(draft: Draft) -> tuple[Draft, list[Finding]]:
    """The draft without readings that go by the name of the consensus, and a finding for each."""
    from MedPrepLib.agree.versus import is_consensus

    case = draft.case
    kinds = (case.readings, case.boxes, case.slices)
    taken = sorted({r.rater for kind in kinds for r in kind if is_consensus(r.rater)})
    if not taken:
        return draft, []
    masks, boxes, slices = (
        tuple(reading for reading in kind if not is_consensus(reading.rater)) for kind in kinds
    )
    kept = msgspec.structs.replace(case, readings=masks, boxes=boxes, slices=slices)
    said = [
        catalog.RATER_NAME_TAKEN.at(f"{case.id}/{rater}", f"a rater is called {rater!r}")
        for rater in taken
    ]
    return replace(draft, case=kept), said


def _mask_reading(
    task: CaseTask, draft: Draft, reading: MaskReading
) -> tuple[Segmentation | None, ReadingResult | None, list[Finding]]:
    """One rater's masks on the image grid; no segmentation when a finding rejects the reading."""
    from MedPrepLib.consensus import reading_hash
    from MedPrepLib.masks import merge
    from MedPrepLib.reading import align_reading

    item = f"{draft.case.id}/{reading.rater}"
    geometry, study = known(draft.geometry), task.study
    adopt = reviewwork.adopts(task, reading.rater)
    limits = _align_limits(task)
    aligned = align_reading(
        reading,
        geometry,
        study.schema(),
        limits,
        item,
        adopt=adopt,
        image=_identity(task),
        source=draft.case.image,
    )
    findings = list(aligned.findings)
    own = judged(findings, study.screen.severity)
    if aligned.verdict is None or worst(own) == Severity.REJECT:
        return None, None, list(own)
    merged = merge(aligned.parts, item)
    findings += merged.findings
    voxels = _voxels_per_segment(merged.segmentation)
    if not any(voxels.values()):
        findings.append(catalog.READING_EMPTY.at(item, "read, nothing found"))
    result = ReadingResult(
        reading.rater,
        aligned.verdict,
        voxels,
        reading_hash(merged.segmentation),
        aligned.changes,
    )
    return merged.segmentation, result, findings


def _is_cut(task: CaseTask) -> bool:
    """True for an image of which the longest even run is used, because its gap was accepted."""
    return any(f.code == catalog.SLICE_GAP.code for f in task.candidate.findings)


def _align_limits(task: CaseTask) -> Align:
    """The study's limits. Masks drawn on a whole series reach beyond what is used of it.

    That is told (MASK_OUTSIDE), but it is no sign of a mask of another image.
    """
    limits = task.study.align
    return msgspec.structs.replace(limits, min_overlap=0.0) if _is_cut(task) else limits


def _identity(task: CaseTask) -> ImageIdentity:
    from MedPrepLib.masks.belonging import ImageIdentity

    links, slices = task.candidate.case.links, task.candidate.slices
    instances = frozenset(header.sop_uid for header in slices) - {""}
    patient = slices[0].patient_id if slices else ""
    return ImageIdentity(links.series_uid, links.frame_of_reference_uid, instances, patient)


def _voxels_per_segment(segmentation: Segmentation) -> dict[str, int]:
    from MedPrepLib.joint import label_counts

    counts = [label_counts(layer) for layer in segmentation.layers]
    return {s.name: counts[s.layer].get(s.value, 0) for s in segmentation.segments}


def _other_readings(
    task: CaseTask, draft: Draft
) -> tuple[dict[str, tuple[Box, ...]], tuple[SliceLabels, ...], list[Finding]]:
    """Boxes per rater, cut to the image, and slice labels; readings with a REJECT are left out."""
    from MedPrepLib.boxes import clipped, to_index
    from MedPrepLib.masks.boxes import load_boxes
    from MedPrepLib.masks.slices import load_slices

    geometry, schema = known(draft.geometry), task.study.schema()
    boxes: dict[str, tuple[Box, ...]] = {}
    slices: list[SliceLabels] = []
    findings: list[Finding] = []
    for drawn in draft.case.boxes:
        found, said = load_boxes(drawn, geometry, schema, f"{draft.case.id}/{drawn.rater}")
        findings += said
        if worst(judged(said, task.study.screen.severity)) != Severity.REJECT:
            inside = (clipped(to_index(box, geometry), geometry) for box in found)
            boxes[drawn.rater] = tuple(box for box in inside if box is not None)
    for noted in draft.case.slices:
        item = f"{draft.case.id}/{noted.rater}"
        labels, said = load_slices(noted, geometry, schema, item)
        if _is_cut(task):
            # Nobody knows which slice of the run is which of those that the rater counted.
            said = (*said, catalog.SLICES_UNPLACED.at(item, "a run of even slices is used"))
        findings += said
        if worst(judged(said, task.study.screen.severity)) != Severity.REJECT:
            slices.append(labels)
    return boxes, tuple(slices), findings


def agree(task: CaseTask, draft: Draft) -> Draft:
    """Measure how far raters agree, and where they do not, why."""
    from MedPrepLib.agree import agree as agreement_of
    from MedPrepLib.agree import details, judge
    from MedPrepLib.agree.equal import equal_masks
    from MedPrepLib.agree.sets import judge_sets
    from MedPrepLib.agree.shift import find_shifts

    names, settings = task.study.schema().names, task.study.agree
    agreement = Agreement((), (), ())
    low: tuple[Finding, ...] = ()
    if len(draft.masks) > 1:
        verdicts = {reading.rater: reading.grid for reading in draft.readings}
        agreement = agreement_of(draft.masks, names)
        low = (
            *judge(agreement, settings, draft.case.id),
            *equal_masks(agreement, settings, draft.case.id),
        )
        agreement = details(draft.masks, agreement, settings, verdicts)
    draft = draft.plus(*_not_annotated(task, draft))
    shifted = find_shifts(draft.masks, agreement, settings, draft.case.id)
    agreement = _others_agree(task, draft, agreement)
    sets = judge_sets((*agreement.boxes, *agreement.slices), settings, draft.case.id)
    if agreement == Agreement((), (), ()):
        return draft
    return replace(draft.plus(*low, *shifted, *sets), agreement=agreement)


def _not_annotated(task: CaseTask, draft: Draft) -> Iterator[Finding]:
    """Labels that not all raters annotated, perhaps because of another name, or none of them."""
    for label in task.study.schema().names:
        with_it = [r for r in sorted(draft.masks) if draft.masks[r].find(label) is not None]
        without = [r for r in sorted(draft.masks) if r not in with_it]
        if without:
            some = f"annotated by {', '.join(with_it)}, not by {', '.join(without)}"
            message = f"label {label!r}: {some if with_it else 'in no mask'}"
            yield catalog.LABEL_NOT_ANNOTATED.at(draft.case.id, message)
        yield from _not_looked_for(draft, label, masked=bool(with_it))


def _not_looked_for(draft: Draft, label: str, *, masked: bool) -> Iterator[Finding]:
    """The same of slice labels, where a label in no table counts as absent unless a mask has it."""
    with_it = sorted(r.rater for r in draft.slice_readings if label in r.annotated)
    without = sorted(r.rater for r in draft.slice_readings if label not in r.annotated)
    if without and (with_it or not masked):
        some = f"looked for on slices by {', '.join(with_it)}, not by {', '.join(without)}"
        message = f"label {label!r}: {some if with_it else 'in no table of slices'}"
        yield catalog.LABEL_NOT_ANNOTATED.at(draft.case.id, message)


def _others_agree(task: CaseTask, draft: Draft, agreement: Agreement) -> Agreement:
    from MedPrepLib.agree.boxes import agree_boxes
    from MedPrepLib.agree.slices import agree_slices

    names = task.study.schema().names
    if len(draft.boxes) > 1:
        rows = agree_boxes(draft.boxes, names, task.study.agree.box_iou)
        agreement = msgspec.structs.replace(agreement, boxes=rows)
    if len(draft.slice_readings) > 1:
        noted = agree_slices(draft.slice_readings, names)
        agreement = msgspec.structs.replace(agreement, slices=noted)
    return agreement


def consensus(task: CaseTask, draft: Draft) -> Draft:
    """Make one reading of several; judge the raters against it where the rule says so."""
    from MedPrepLib.agree import against_consensus, first_readings, judge_against
    from MedPrepLib.consensus import consensus as made_of

    if not draft.masks:
        return _without_mask(task, reviewwork.reviewed_mask(task, draft))
    schema = task.study.schema()
    values = {label.name: label.value for label in schema}
    hashes = {reading.rater: reading.content_hash for reading in draft.readings}
    voters = first_readings(draft.masks)
    made = made_of(voters, schema.names, values, task.study.consensus, hashes)
    draft = replace(draft, label_map=made.label_map, consensus=made.record)
    draft = reviewwork.reviewed_mask(task, draft)
    if draft.consensus is made.record and made.record.tied_voxels:
        rule = task.study.consensus.ties
        message = f"{made.record.tied_voxels} voxels without a majority went to {rule}"
        draft = draft.plus(catalog.CONSENSUS_TIES.at(draft.case.id, message))
    if len(voters) < 2 or draft.agreement is None:
        return draft
    rows = against_consensus(voters, known(draft.label_map), values)
    low = judge_against(rows, task.study.agree, draft.case.id)
    agreement = msgspec.structs.replace(draft.agreement, consensus=rows)
    return replace(draft.plus(*low), agreement=agreement)


def _without_mask(task: CaseTask, draft: Draft) -> Draft:
    """Say that a case of a segmentation study has something else instead of a mask."""
    kinds = (("boxes", draft.boxes), ("slice labels", draft.slice_readings))
    drawn = [what for what, there in kinds if there]
    if not drawn or draft.label_map is not None or task.study.task != "segmentation":
        return draft
    message = f"{' and '.join(drawn)}, and no mask: nothing to train a segmentation with"
    return draft.plus(catalog.NO_MASK.at(draft.case.id, message))
