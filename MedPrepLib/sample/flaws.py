"""What is wrong in the sample study, on purpose: one flaw a case, and what MedPrep should say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.findings import Kind, Severity
from MedPrepLib.geometry import Geometry, Index
from MedPrepLib.images import VoxelArray
from MedPrepLib.segmentation import Segmentation


@dataclass(frozen=True)
class Flaw:
    """One sentence about what was done to a case, and the findings it must lead to."""

    sentence: str
    kinds: tuple[Kind, ...]

    @property
    def included(self) -> bool:
        """True when the case stays in the cohort: none of the findings rejects it."""
        return all(kind.severity < Severity.REJECT for kind in self.kinds)


class Flaws(Enum):
    """Every flaw of the sample study."""

    NONE = Flaw("Nothing is wrong with this case.", ())
    BYSTANDERS = Flaw(
        "A localizer series and two files that are no images lie beside the slices; "
        "they are noted and left aside.",
        (catalog.LOCALIZER, catalog.FILE_IGNORED),
    )
    MISSING_SLICE = Flaw(
        "One slice in the middle of the series was lost in the export; the instance numbers "
        "still count it.",
        (catalog.SLICE_GAP, catalog.SLICES_TRUNCATED),
    )
    NO_DEVICE = Flaw(
        "A filter emptied the manufacturer and the model of the scanner.", (catalog.NO_DEVICE,)
    )
    NO_STUDY = Flaw("The header has no StudyDescription.", (catalog.NO_STUDY_DESCRIPTION,))
    THICK = Flaw("The slices lie 6.5 mm apart; the limit for MR is 5 mm.", (catalog.THICK_SLICES,))
    MIXED_BITS = Flaw(
        "One slice was saved again with 8 bits by a viewer; the others have 16.",
        (catalog.MIXED_BIT_DEPTH,),
    )
    BAD_AFFINE = Flaw(
        "The image is a NIfTI file whose sform has a column of zeros: its slices lie on each "
        "other.",
        (catalog.AFFINE_INVALID,),
    )
    OTHER_GRID = Flaw(
        "The reader ben drew on a copy of the image at half the resolution.",
        (catalog.GRID_RESAMPLED,),
    )
    SHIFTED = Flaw(
        "The voxels of the reader ben are displaced by 6, -4 and 1 voxels, though the grid of "
        "the file is right.",
        (catalog.MASK_SHIFTED, catalog.LOW_AGREEMENT),
    )
    DISAGREE = Flaw(
        "The reader ana drew the solid core only, ben and chen the whole lesion.",
        (catalog.LOW_AGREEMENT,),
    )
    LEAK_ORIGINAL = Flaw(
        "The same scan occurs again under another patient id.", (catalog.LEAK_SUSPECT,)
    )
    LEAK_COPY = Flaw(
        "This is the scan of another patient id, exported again with new UIDs.",
        (catalog.LEAK_SUSPECT,),
    )


SHIFT: Index = (6, -4, 1)
"""The displacement of Flaws.SHIFTED in voxels along (i, j, k)."""


def displaced(labels: VoxelArray, shift: Index) -> VoxelArray:
    """The labels (k, j, i) moved by ``shift`` voxels along (i, j, k); zeros move in."""
    moved = np.zeros_like(labels)
    source, target = [], []
    for count, step in zip(labels.shape, (shift[2], shift[1], shift[0]), strict=True):
        source.append(slice(max(0, -step), count - max(0, step)))
        target.append(slice(max(0, step), count - max(0, -step)))
    moved[tuple(target)] = labels[tuple(source)]
    return moved


def at_half_resolution(reading: Segmentation) -> Segmentation:
    """The reading on a grid of voxels twice as large that covers the same space.

    Every block of 2x2x2 voxels becomes one: the highest label that fills at least half of it.
    Sizes must be even.
    """
    labels = reading.layers[0]
    nk, nj, ni = labels.shape
    blocks = labels.reshape(nk // 2, 2, nj // 2, 2, ni // 2, 2)
    coarse = np.zeros((nk // 2, nj // 2, ni // 2), dtype=labels.dtype)
    for segment in sorted(reading.segments, key=lambda s: s.value):
        filled = np.equal(blocks, segment.value).sum(axis=(1, 3, 5))
        coarse[filled >= 4] = segment.value
    return Segmentation((coarse,), _coarser(reading.geometry), reading.segments)


def _coarser(geometry: Geometry) -> Geometry:
    ni, nj, nk = geometry.size
    sx, sy, sz = geometry.spacing
    return replace(
        geometry,
        size=(ni // 2, nj // 2, nk // 2),
        spacing=(2 * sx, 2 * sy, 2 * sz),
        origin=geometry.point_at((0.5, 0.5, 0.5)),
    )


def in_eight_bits(stored: VoxelArray) -> VoxelArray:
    """One slice (j, i) as a careless viewer saves it: its range stretched over 0..255."""
    low, high = int(stored.min()), int(stored.max())
    return ((stored.astype(np.int64) - low) * 255 // max(high - low, 1)).astype(np.uint8)
