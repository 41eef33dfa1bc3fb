"""Label maps in files: NIfTI, NRRD, MetaImage and Slicer's .seg.nrrd."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.findings import rejects
from MedPrepLib.formats import nifti, niftiheader, nrrd
from MedPrepLib.formats.faults import MAX_VOXELS, FileFaultError
from MedPrepLib.formats.files import format_of, read_volume
from MedPrepLib.formats.segnrrd import as_labels, is_seg_nrrd, segmentation_from
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import VoxelArray
from MedPrepLib.joint import label_counts
from MedPrepLib.segmentation import Segment, Segmentation


def read_mask(path: Path, *, max_voxels: int = MAX_VOXELS) -> Segmentation:
    """A label map with the names and values of the file, on the file's own grid.

    .seg.nrrd: every listed segment in every layer. Other files have no names: each value that
    occurs is a segment called by its number ("1", "2"); a map without any voxel has no segments,
    and what that means is for the reader of the reading to say. Whole numbers stored as floats
    are labels. Raises FileFaultError, with MASK_NOT_LABELS for fractions, negative values and
    NIfTI files with scl_slope.
    """
    if format_of(path) == "nrrd":
        header = nrrd.read_header(path, max_voxels=max_voxels)
        if is_seg_nrrd(header):
            return segmentation_from(header)
    if format_of(path) == "nifti":
        _require_sound_nifti(path, max_voxels)
    volume = read_volume(path, max_voxels=max_voxels)
    return by_value(as_labels(volume.array), volume.geometry)


def is_nameless(segmentation: Segmentation) -> bool:
    """True when the segments are only numbers, as :func:`read_mask` calls those of plain maps."""
    return all(s.name == str(s.value) and s.color is None for s in segmentation.segments)


def by_value(labels: VoxelArray, geometry: Geometry) -> Segmentation:
    """A segmentation of the values that occur in a label map (k, j, i) of unsigned integers."""
    segments = tuple(Segment(str(v), v) for v in occurring(labels))
    return Segmentation((labels,), geometry, segments)


def occurring(labels: VoxelArray) -> list[int]:
    """The values that occur apart from the background, in ascending order."""
    if labels.dtype.itemsize <= 2:
        return list(label_counts(labels))
    return [int(v) for v in np.unique(labels) if v]


def _require_sound_nifti(path: Path, max_voxels: int) -> None:
    """FileFaultError for the first thing about the header that excludes the mask."""
    header = niftiheader.parse(path)
    if header.scaled:
        raise FileFaultError(
            catalog.MASK_NOT_LABELS,
            f"a label map is scaled by slope {header.slope:g} and intercept {header.inter:g}",
        )
    for finding in nifti.check_header(path, "", max_voxels=max_voxels):
        if rejects((finding,)):
            kind = catalog.find_kind(finding.code) or catalog.MASK_UNREADABLE
            raise FileFaultError(kind, finding.message)
