"""Invented readers: each draws the true surfaces a little differently, and saves them their way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from MedPrepLib.formats.segnrrd import write_seg_nrrd
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, VoxelArray
from MedPrepLib.labels import Color
from MedPrepLib.sample.flaws import SHIFT, Flaws, at_half_resolution, displaced
from MedPrepLib.sample.grids import tidy
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.sample.noise import Seed
from MedPrepLib.sample.phantom import Phantom
from MedPrepLib.sample.roster import Form, Plan
from MedPrepLib.sample.shapes import F
from MedPrepLib.segmentation import Segment, Segmentation

ORGAN_VALUE, LESION_VALUE = 1, 2
ORGAN_COLOR: Color = (110, 160, 220)
LESION_COLOR: Color = (220, 50, 47)
ORGAN_NAMES = {"CT": "lung", "MR": "brain"}


@dataclass(frozen=True)
class Reader:
    """How somebody draws: how far outside the true surface, and how unsteadily (millimeters)."""

    name: str
    bias_mm: float
    wobble_mm: float
    lesion_word: str


READERS: Mapping[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader("ana", 0.2, 0.6, "lesion"),
        Reader("ben", -0.4, 0.7, "lesion"),
        Reader("chen", 0.5, 0.8, "tumor"),
    )
}
CORE_ONLY_MM = -5.5
"""The further bias of the reader who draws the solid core only (Flaws.DISAGREE)."""


def save_readings(folder: Path, plan: Plan, phantom: Phantom, seed: Seed) -> None:
    """Write one file per reader into ``folder`` (``<reader>.seg.nrrd`` or ``<reader>.nii.gz``)."""
    folder.mkdir(parents=True)
    for name, form in plan.readers:
        reading = _flawed(_drawn(READERS[name], plan, phantom, seed.of(name)), name, plan.flaw)
        _save(folder, name, form, reading)


def _drawn(reader: Reader, plan: Plan, phantom: Phantom, seed: Seed) -> Segmentation:
    """What a reader draws: the lesion always lies within the organ (one layer, it wins)."""
    grid = phantom.geometry
    hand = F(reader.wobble_mm) * seed.of("organ").smooth(grid, 14.0) + F(0.5 * reader.bias_mm)
    organ = phantom.organ_mm + hand > 0
    core = CORE_ONLY_MM if plan.flaw is Flaws.DISAGREE and reader.name == "ana" else 0.0
    labels = organ.astype(np.uint8)
    if plan.lesion is not None:
        near = range(
            *_span(np.asarray((phantom.lesion_mm > -6).any(axis=(1, 2))))
        )  # mm: beyond any reader
        part = slice(near.start, near.stop)
        hand = F(reader.wobble_mm) * seed.of("lesion").smooth(grid, 8.0, near)
        drawn = phantom.lesion_mm[part] + hand + F(reader.bias_mm + core) > 0
        labels[part][organ[part] & drawn] = LESION_VALUE
    organ_word = ORGAN_NAMES[plan.modality]
    segments = (
        Segment(organ_word, ORGAN_VALUE, 0, ORGAN_COLOR),
        Segment(reader.lesion_word, LESION_VALUE, 0, LESION_COLOR),
    )
    return Segmentation((labels,), grid, segments)


def _flawed(reading: Segmentation, name: str, flaw: Flaws) -> Segmentation:
    if name == "ben" and flaw is Flaws.SHIFTED:
        return replace(reading, layers=(displaced(reading.layers[0], SHIFT),))
    if name == "ben" and flaw is Flaws.OTHER_GRID:
        coarse = at_half_resolution(reading)
        return replace(coarse, geometry=tidy(coarse.geometry))
    return reading


def _save(folder: Path, name: str, form: Form, reading: Segmentation) -> None:
    if form.startswith("nifti"):
        volume = Volume(reading.layers[0], reading.geometry)
        if form == "nifti-backwards":
            volume = _stored_backwards(volume)
        write_nifti(folder / f"{name}.nii.gz", volume)
        return
    if form == "seg-cropped":
        reading = _cropped(reading)
    elif form == "seg-layers":
        reading = _nested(reading)
    write_seg_nrrd(folder / f"{name}.seg.nrrd", reading)


def _nested(reading: Segmentation) -> Segmentation:
    """The organ with the lesion filled in, and the lesion in a second layer."""
    labels = reading.layers[0]
    organ = (labels > 0).astype(np.uint8)
    lesion = np.where(labels == LESION_VALUE, labels, 0).astype(np.uint8)
    first, second = reading.segments
    return Segmentation((organ, lesion), reading.geometry, (first, replace(second, layer=1)))


def _cropped(reading: Segmentation) -> Segmentation:
    """Only the box around what was drawn, as Slicer saves a cropped segmentation."""
    labels = reading.layers[0]
    box = [_span(np.asarray(labels.any(axis=axes))) for axes in ((1, 2), (0, 2), (0, 1))]
    (k0, k1), (j0, j1), (i0, i1) = box
    grid = reading.geometry.cropped((i0, j0, k0), (i1 - i0, j1 - j0, k1 - k0))
    return Segmentation((labels[k0:k1, j0:j1, i0:i1],), tidy(grid), reading.segments)


def _span(used: VoxelArray) -> tuple[int, int]:
    places = np.flatnonzero(used)
    return int(places[0]), int(places[-1]) + 1


def _stored_backwards(volume: Volume) -> Volume:
    """The same voxels in the same places, with the i and j axes counted from the other end."""
    grid = volume.geometry
    ni, nj, nk = grid.size
    d = grid.direction
    turned = (-d[0], -d[1], d[2], -d[3], -d[4], d[5], -d[6], -d[7], d[8])
    flipped = Geometry((ni, nj, nk), grid.spacing, grid.point_at((ni - 1, nj - 1, 0)), turned)
    return Volume(np.flip(volume.array, axis=(1, 2)), tidy(flipped))
