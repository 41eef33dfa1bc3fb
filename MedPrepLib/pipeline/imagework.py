"""The steps of a case that concern its image: screen, standardize, picture, pack."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.cohort import Case
from MedPrepLib.errors import GeometryError, ReadError, SourceChangedError, UnsupportedError
from MedPrepLib.findings import rejections
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.images import Volume, VoxelArray
from MedPrepLib.ledger import fingerprint
from MedPrepLib.pipeline.draft import CaseTask, Draft, known
from MedPrepLib.pipeline.order import PICTURES
from MedPrepLib.pipeline.readmitwork import judge
from MedPrepLib.pipeline.unitwork import in_units
from MedPrepLib.screen import modality_of
from MedPrepLib.segmentation import Segmentation
from MedPrepLib.shareable import shareable_facts


def screen(task: CaseTask, draft: Draft) -> Draft:
    """Judge the image by its headers; a file's own header is read here."""
    from MedPrepLib.formats.files import check_file, read_geometry
    from MedPrepLib.screen import screen as screened

    case = draft.case
    geometry = draft.geometry
    if not case.image.paths:
        return _unread(task, draft)
    if case.image.kind == "file":
        path = Path(case.image.paths[0])
        draft = draft.plus(*check_file(path, case.id, max_voxels=task.study.screen.max_voxels))
        if rejections(judge(task, draft.findings), case.id):
            return draft
        try:
            geometry = read_geometry(path)
        except FileFaultError as fault:
            return _unread(task, draft.plus(fault.at(case.id)))
    if geometry is None:
        return draft.plus(catalog.NO_POSITION.at(case.id, "no grid can be made of the headers"))
    findings = list(screened(case, geometry, task.study.screen))
    reviewed = any(review.verdict == "approved" for review in task.reviews.values())
    if not (case.raters or reviewed):
        # Said before the voxels are read: most studies leave such images out.
        findings.append(catalog.NO_READING.at(case.id, "there is no annotation of this image"))
    return replace(draft.plus(*findings), geometry=geometry)


def _unread(task: CaseTask, draft: Draft) -> Draft:
    """The draft of an image that could not be read: rejected, whatever the study makes of why.

    The same code may be worth a note elsewhere, as for one file of many in a folder.
    """
    if rejections(judge(task, draft.findings), draft.case.id):
        return draft
    message = "there is no image to be read, whatever is accepted"
    return draft.plus(catalog.PIXELS_UNREADABLE.at(draft.case.id, message))


def standardize(task: CaseTask, draft: Draft) -> Draft:
    """Read the voxels and bring them to the scale that models see."""
    from MedPrepLib.leakage import fingerprint as image_fingerprint
    from MedPrepLib.leakage import image_hashes
    from MedPrepLib.standardize import standardize as standardized

    try:
        volume, padding = _read_image(task, draft.case)
    except FileFaultError as fault:
        return _unread(task, draft.plus(fault.at(draft.case.id)))
    except SourceChangedError as error:
        return draft.plus(catalog.SOURCE_CHANGED.at(draft.case.id, str(error)))
    except UnsupportedError as error:
        return draft.plus(catalog.CODEC_MISSING.at(draft.case.id, str(error)))
    except (ReadError, GeometryError) as error:
        return draft.plus(catalog.PIXELS_UNREADABLE.at(draft.case.id, str(error)))
    scaled = in_units(task, volume, padding)
    done = standardized(
        scaled.volume,
        modality_of(draft.case),
        task.study.standardize,
        draft.case.id,
        scaled.padding,
        in_place=True,  # it was read here, for nothing else
    )
    hashes = image_hashes(done.volume)
    return replace(
        draft.plus(*scaled.findings, *done.findings),
        image=done.volume,
        geometry=done.volume.geometry,
        pad_value=done.pad_value,
        statistics=done.statistics,
        unit=scaled.unit,
        pixel_hash=hashes.image,
        slice_hashes=hashes.slices,
        fingerprint=str(image_fingerprint(done.volume)),
    )


def _read_image(task: CaseTask, case: Case) -> tuple[Volume, float | None]:
    """The voxels in modality units, and the value that marks padding, if any."""
    if case.image.kind == "dicom":
        from MedPrepLib.dicom.pixels import read_series

        pixels = read_series(task.candidate.slices)
        return pixels.volume, pixels.padding
    from MedPrepLib.formats.files import read_volume

    return read_volume(Path(case.image.paths[0])), None


def recheck(task: CaseTask, draft: Draft) -> Draft:
    """Make sure that every file still is the one that was there when the run began.

    Nothing was read that is older than the last change, so a case made of two states of a file,
    or of a file that was being copied, is never packed.
    """
    if task.seen and fingerprint(draft.case.paths) != task.seen:
        message = "an image or annotation file is not the one that the run began with"
        return draft.plus(catalog.SOURCE_CHANGED.at(draft.case.id, message))
    return draft


def picture(task: CaseTask, draft: Draft) -> Draft:
    """Draw the overlay for the report while the voxels are in memory.

    It is called after its content, as case files are: a run that was ended between the picture and
    the note of its case leaves the picture that an earlier note speaks of.
    """
    from MedPrepLib.atomic import write_bytes
    from MedPrepLib.report.pictures import overlay

    if not task.study.report.pictures:
        return draft
    window = task.study.standardize.windows.get(task.study.report.window)
    png = overlay(
        known(draft.image),
        draft.masks,
        decided(draft),
        task.study.schema(),
        window=window,
        modality=modality_of(draft.case),
    )
    name = f"{draft.case.id}-{hashlib.sha256(png).hexdigest()[:12]}.png"
    write_bytes(task.private / PICTURES / name, png)
    return replace(draft, picture=name)


def decided(draft: Draft) -> VoxelArray | None:
    """The label map without undecided voxels, which are no structure to draw."""
    if draft.label_map is None or draft.consensus is None or draft.consensus.ignore_value is None:
        return draft.label_map
    return np.where(draft.label_map == draft.consensus.ignore_value, 0, draft.label_map)


def pack(task: CaseTask, draft: Draft) -> Draft:
    """Write the case file, and note where its bricks lie."""
    from MedPrepLib.load.table import encoded, own_table
    from MedPrepLib.pack import PackedCase, write_case

    case = draft.case
    image, masks = _placed(task, draft)
    packed = PackedCase(
        id=case.id,
        image=image,
        pad_value=draft.pad_value,
        mask=draft.label_map,
        readings=masks,
        statistics=known(draft.statistics),
        targets=draft.targets,
        consensus=draft.consensus,
        meta=shareable_facts(case, task.patient, task.study.privacy, task.model, task.days),
        recipe_hash=task.recipe,
        unit=draft.unit,
    )
    shard = write_case(task.cohort, packed, task.study.pack, task.study.schema())
    return replace(draft, shard=shard, bricks=encoded(own_table(task.cohort / shard.name)))


def _placed(task: CaseTask, draft: Draft) -> tuple[Volume, Mapping[str, Segmentation]]:
    """Image and readings as they are packed: the study may not want to tell where they lay."""
    image = known(draft.image)
    if task.study.privacy.origin == "kept":
        return image, draft.masks
    grid = replace(image.geometry, origin=(0.0, 0.0, 0.0))
    masks = {rater: replace(mask, geometry=grid) for rater, mask in draft.masks.items()}
    return replace(image, geometry=grid), masks
