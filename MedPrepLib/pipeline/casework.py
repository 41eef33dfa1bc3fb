"""What is done with one case, from headers to a written case file. Runs in a worker process.

A case goes through the steps as a frozen draft that each step extends; the first finding that
rejects the case ends its way. Nothing here knows of other cases, progress or processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from MedPrepLib import catalog
from MedPrepLib.cohort import Case, MaskReading
from MedPrepLib.errors import GeometryError, ReadError, SourceChangedError, UnsupportedError
from MedPrepLib.findings import Finding, Severity, worst
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.images import Volume
from MedPrepLib.pipeline.draft import CaseTask, Draft, known
from MedPrepLib.pipeline.order import PICTURES
from MedPrepLib.pipeline.workers import Lost
from MedPrepLib.results import (
    CaseResult,
    GridVerdict,
    ReadingResult,
)
from MedPrepLib.screen import judged, modality_of
from MedPrepLib.segmentation import Segmentation
from MedPrepLib.shareable import device, shareable_age, shareable_facts


def work(task: CaseTask) -> CaseResult:
    """Do one case and say what was found. Bad data never raises."""
    case = msgspec.structs.replace(task.candidate.case, id=task.name)
    findings = tuple(f.about(task.name) for f in task.candidate.findings)
    draft = _judge(Draft(case, findings, case.image.geometry), task)
    for name, step in STEPS.items():
        if _rejected(draft):
            break
        draft = _judge(step(task, draft), task)
        if name == task.through:
            break
    return _result(task, draft)


def _judge(draft: Draft, task: CaseTask) -> Draft:
    return replace(draft, findings=judged(draft.findings, task.study.screen.severity))


def _rejected(draft: Draft) -> bool:
    own = (f for f in draft.findings if f.item == draft.case.id)
    return worst(own) == Severity.REJECT


def _screen(task: CaseTask, draft: Draft) -> Draft:
    from MedPrepLib.formats.files import check_file, read_geometry
    from MedPrepLib.screen import screen

    case = draft.case
    geometry = draft.geometry
    if case.image.kind == "file":
        path = Path(case.image.paths[0])
        draft = draft.plus(*check_file(path, case.id, max_voxels=task.study.screen.max_voxels))
        if _rejected(_judge(draft, task)):
            return draft
        try:
            geometry = read_geometry(path)
        except FileFaultError as fault:
            return draft.plus(fault.at(case.id))
    if geometry is None:
        return draft.plus(catalog.NO_POSITION.at(case.id, "no grid can be made of the headers"))
    findings = screen(case, geometry, task.study.screen)
    return replace(draft.plus(*findings), geometry=geometry)


def _standardize(task: CaseTask, draft: Draft) -> Draft:
    from MedPrepLib.standardize import standardize

    try:
        volume, padding = _read_image(task, draft.case)
    except FileFaultError as fault:
        return draft.plus(fault.at(draft.case.id))
    except SourceChangedError as error:
        return draft.plus(catalog.SOURCE_CHANGED.at(draft.case.id, str(error)))
    except UnsupportedError as error:
        return draft.plus(catalog.CODEC_MISSING.at(draft.case.id, str(error)))
    except (ReadError, GeometryError) as error:
        return draft.plus(catalog.PIXELS_UNREADABLE.at(draft.case.id, str(error)))
    done = standardize(
        volume, modality_of(draft.case), task.study.standardize, draft.case.id, padding
    )
    return replace(
        draft.plus(*done.findings),
        image=done.volume,
        geometry=done.volume.geometry,
        pad_value=done.pad_value,
        statistics=done.statistics,
        pixel_hash=_pixel_hash(done.volume),
    )


def _read_image(task: CaseTask, case: Case) -> tuple[Volume, float | None]:
    """The voxels in modality units, and the value that marks padding, if any."""
    if case.image.kind == "dicom":
        from MedPrepLib.dicom.pixels import read_series

        pixels = read_series(task.candidate.slices)
        return pixels.volume, pixels.padding
    from MedPrepLib.formats.files import read_volume

    return read_volume(Path(case.image.paths[0])), None


def _pixel_hash(volume: Volume) -> str:
    """SHA-256 over shape and voxels: equal for the same image under another name or place."""
    digest = hashlib.sha256(repr((volume.array.shape, volume.array.dtype.str)).encode())
    digest.update(volume.array.data)
    return digest.hexdigest()


def _align(task: CaseTask, draft: Draft) -> Draft:
    masks: dict[str, Segmentation] = {}
    readings: list[ReadingResult] = []
    findings: list[Finding] = []
    for reading in draft.case.readings:
        aligned, result, own = _one_reading(task, draft, reading)
        findings += own
        if aligned is not None and result is not None:
            masks[reading.rater] = aligned
            readings.append(result)
    if not masks:
        count = len(draft.case.readings)
        message = f"{count} readings, none usable" if count else "there is no mask for this image"
        findings.append(catalog.NO_READING.at(draft.case.id, message))
    return replace(draft.plus(*findings), masks=masks, readings=tuple(readings))


def _one_reading(
    task: CaseTask, draft: Draft, reading: MaskReading
) -> tuple[Segmentation | None, ReadingResult | None, list[Finding]]:
    """One rater's masks on the image grid; no segmentation when a finding rejects the reading."""
    from MedPrepLib.align import compare_grids, to_grid
    from MedPrepLib.consensus import reading_hash
    from MedPrepLib.masks import load_reading, merge

    geometry = known(draft.geometry)
    item = f"{draft.case.id}/{reading.rater}"
    loaded = load_reading(reading, geometry, task.study.schema(), item)
    findings = list(loaded.findings)
    parts: list[Segmentation] = []
    verdicts: list[GridVerdict] = []
    for segmentation in loaded.segmentations:
        verdict = compare_grids(geometry, segmentation.geometry, task.study.align)
        aligned = to_grid(segmentation, geometry, verdict, task.study.align, item)
        findings += aligned.findings
        verdicts.append(verdict)
        parts.append(aligned.segmentation)
    own = judged(findings, task.study.screen.severity)
    if not parts or worst(own) == Severity.REJECT:
        return None, None, list(own)
    merged = merge(parts, item)
    findings += merged.findings
    furthest = max(verdicts, key=lambda v: v.displacement_mm)
    voxels = _voxels_per_segment(merged.segmentation)
    if not any(voxels.values()):
        findings.append(catalog.READING_EMPTY.at(item, "read, nothing found"))
    result = ReadingResult(reading.rater, furthest, voxels, reading_hash(merged.segmentation))
    return merged.segmentation, result, findings


def _voxels_per_segment(segmentation: Segmentation) -> dict[str, int]:
    from MedPrepLib.joint import label_counts

    counts = [label_counts(layer) for layer in segmentation.layers]
    return {s.name: counts[s.layer].get(s.value, 0) for s in segmentation.segments}


def _agree(task: CaseTask, draft: Draft) -> Draft:
    from MedPrepLib.agree import agree, judge
    from MedPrepLib.agree.shift import find_shifts

    if len(draft.masks) < 2:
        return draft
    agreement = agree(draft.masks, task.study.schema().names)
    low = judge(agreement, task.study.agree, draft.case.id)
    shifted = find_shifts(draft.masks, agreement, task.study.agree, draft.case.id) if low else ()
    return replace(draft.plus(*low, *shifted), agreement=agreement)


def _consensus(task: CaseTask, draft: Draft) -> Draft:
    from MedPrepLib.consensus import majority_vote

    if not draft.masks:
        return draft
    schema = task.study.schema()
    values = {label.name: label.value for label in schema}
    hashes = {reading.rater: reading.content_hash for reading in draft.readings}
    made = majority_vote(draft.masks, schema.names, values, task.study.consensus, hashes)
    draft = replace(draft, label_map=made.label_map, consensus=made.record)
    if made.record.tied_voxels:
        rule = task.study.consensus.ties
        message = f"{made.record.tied_voxels} voxels without a majority went to {rule}"
        draft = draft.plus(catalog.CONSENSUS_TIES.at(draft.case.id, message))
    return draft


def _targets(task: CaseTask, draft: Draft) -> Draft:
    from MedPrepLib.targets import derive

    if draft.label_map is None:
        return draft
    targets = derive(draft.label_map, known(draft.geometry), task.study.schema())
    return replace(draft, targets=targets)


def _picture(task: CaseTask, draft: Draft) -> Draft:
    from MedPrepLib.atomic import write_bytes
    from MedPrepLib.report.pictures import overlay

    if not task.study.report.pictures:
        return draft
    window = task.study.standardize.windows.get(task.study.report.window)
    png = overlay(
        known(draft.image),
        draft.masks,
        draft.label_map,
        task.study.schema(),
        window=window,
        modality=modality_of(draft.case),
    )
    name = f"{draft.case.id}.png"
    write_bytes(task.private / PICTURES / name, png)
    return replace(draft, picture=name)


def _pack(task: CaseTask, draft: Draft) -> Draft:
    from MedPrepLib.pack import PackedCase, write_case

    case = draft.case
    packed = PackedCase(
        id=case.id,
        image=known(draft.image),
        pad_value=draft.pad_value,
        mask=draft.label_map,
        readings=draft.masks,
        statistics=known(draft.statistics),
        targets=draft.targets,
        consensus=draft.consensus,
        meta=shareable_facts(case, task.patient),
        recipe_hash=task.recipe,
    )
    shard = write_case(task.cohort, packed, task.study.pack, task.study.schema())
    return replace(draft, shard=shard)


STEPS: Mapping[str, Callable[[CaseTask, Draft], Draft]] = {
    "screen": _screen,
    "standardize": _standardize,
    "align": _align,
    "agree": _agree,
    "consensus": _consensus,
    "targets": _targets,
    "picture": _picture,
    "pack": _pack,
}
"""The steps of one case, in order."""


def _result(task: CaseTask, draft: Draft) -> CaseResult:
    case = draft.case
    return CaseResult(
        id=case.id,
        patient=task.patient,
        center=case.patient.center,
        modality=modality_of(case),
        device=device(case.scan.manufacturer),
        sex=case.patient.sex,
        age_years=shareable_age(case.patient.age_years),
        findings=draft.findings,
        geometry=draft.geometry,
        statistics=draft.statistics,
        readings=draft.readings,
        agreement=draft.agreement,
        consensus=draft.consensus,
        targets=draft.targets,
        pixel_hash=draft.pixel_hash,
        shard=draft.shard,
        picture=draft.picture,
    )


def lost_result(task: CaseTask, lost: Lost) -> CaseResult:
    """What is said of a case whose worker never answered."""
    seconds = f"{lost.seconds:.0f} s"
    if lost.why == "timeout":
        limit = task.study.run.timeout_s
        finding = catalog.WORKER_TIMEOUT.at(
            task.name, f"stopped after {seconds} (limit {limit:g} s)"
        )
    else:
        finding = catalog.WORKER_DIED.at(task.name, f"the worker died twice, last after {seconds}")
    case = msgspec.structs.replace(task.candidate.case, id=task.name)
    return _result(task, Draft(case, (finding,), case.image.geometry))
