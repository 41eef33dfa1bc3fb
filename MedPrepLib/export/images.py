"""Cases as NIfTI files and as segmentations of 3D Slicer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from MedPrepLib import layout
from MedPrepLib.export.folder import new_folder, read_entry, write_json
from MedPrepLib.formats.niftiwrite import write_nifti
from MedPrepLib.formats.segnrrd import write_seg_nrrd
from MedPrepLib.images import Volume, VoxelArray
from MedPrepLib.labels import LabelSchema
from MedPrepLib.load import CohortIndex, LoadedCase
from MedPrepLib.segmentation import Segment, Segmentation

UNDECIDED = "undecided"
_UNDECIDED_COLOR = (128, 128, 128)


def to_nifti(index: CohortIndex, target: Path) -> None:
    """``<id>/image.nii.gz``, ``mask.nii.gz`` (where there is one) and ``readings/<rater>...``.

    A reading whose segments overlap has one file per layer, ``<rater>_layer1.nii.gz`` and so on.
    ``labels.json`` names the values of masks, and per case the segments of each rater;
    ``ignore_value`` in it is that of undecided voxels, where there are any.
    """
    with new_folder(target) as partial:
        readings, undecided = {}, False
        for entry in index.cases:
            case = read_entry(index, entry)
            folder = partial / entry.id
            folder.mkdir()
            write_nifti(folder / "image.nii.gz", case.volume)
            if case.annotated:
                write_nifti(folder / "mask.nii.gz", case.volume.with_array(case.mask))
            readings[entry.id] = _write_readings(folder / "readings", case)
            undecided |= case.ignore_value is not None and _holds(case.mask, case.ignore_value)
        labels = {label.name: label.value for label in index.labels}
        ignored = {"ignore_value": index.labels.ignore_value} if undecided else {}
        write_json(partial / "labels.json", {"mask": labels, "readings": readings, **ignored})


def _write_readings(folder: Path, case: LoadedCase) -> dict[str, dict[str, list[object]]]:
    written: dict[str, dict[str, list[object]]] = {}
    if case.readings:
        folder.mkdir()
    for rater, slug in layout.slugs(case.readings).items():
        reading = case.readings[rater]
        names = [f"{slug}.nii.gz"]
        if len(reading.layers) > 1:
            names = [f"{slug}_layer{n + 1}.nii.gz" for n in range(len(reading.layers))]
        for name, layer in zip(names, reading.layers, strict=True):
            write_nifti(folder / name, Volume(layer, case.geometry))
        written[rater] = {s.name: [f"readings/{names[s.layer]}", s.value] for s in reading.segments}
    return written


def to_seg_nrrd(index: CohortIndex, target: Path) -> None:
    """``<id>/image.nii.gz``, ``consensus.seg.nrrd`` and ``readings/<rater>.seg.nrrd``.

    Colors and terminology are the rater's own, or those of the schema where a rater has none.
    """
    with new_folder(target) as partial:
        for entry in index.cases:
            case = read_entry(index, entry)
            folder = partial / entry.id
            folder.mkdir()
            write_nifti(folder / "image.nii.gz", case.volume)
            if case.annotated:
                write_seg_nrrd(folder / "consensus.seg.nrrd", consensus_of(case, index.labels))
            if case.readings:
                (folder / "readings").mkdir()
            for rater, slug in layout.slugs(case.readings).items():
                reading = dressed(case.readings[rater], index.labels)
                write_seg_nrrd(folder / "readings" / f"{slug}.seg.nrrd", reading)


def consensus_of(case: LoadedCase, schema: LabelSchema) -> Segmentation:
    """The mask of a case as segments; undecided voxels are a segment of their own, if any.

    Only labels that somebody looked for: a segment without voxels says that nothing was found.
    """
    annotated = _looked_for(case, schema)
    segments = [
        Segment(label.name, label.value, 0, label.color, label.terminology)
        for label in schema
        if label.name in annotated or _holds(case.mask, label.value)
    ]
    if case.ignore_value is not None and _holds(case.mask, case.ignore_value):
        segments.append(Segment(UNDECIDED, case.ignore_value, 0, _UNDECIDED_COLOR))
    return Segmentation((case.mask,), case.geometry, tuple(segments))


def _looked_for(case: LoadedCase, schema: LabelSchema) -> frozenset[str]:
    """By the record of the consensus; cohorts of before have it in the readings, if anywhere."""
    annotated = (case.consensus or {}).get("annotated")
    if annotated is None and case.readings:
        annotated = [name for reading in case.readings.values() for name in reading.names]
    return frozenset(schema.names if annotated is None else annotated)


def dressed(reading: Segmentation, schema: LabelSchema) -> Segmentation:
    """A reading whose segments have colors and terminology, where anybody gave them."""

    def complete(segment: Segment) -> Segment:
        label = schema.find(segment.name)
        if label is None:
            return segment
        return replace(
            segment,
            color=segment.color or label.color,
            terminology=segment.terminology or label.terminology,
        )

    return replace(reading, segments=tuple(complete(s) for s in reading.segments))


def _holds(array: VoxelArray, value: int) -> bool:
    return bool(np.equal(array, value).any())
