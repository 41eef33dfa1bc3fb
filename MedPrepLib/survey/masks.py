"""The names of the structures in a mask file, without its voxels where that is possible."""

from __future__ import annotations

from pathlib import Path

from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.formats.nrrd import read_header
from MedPrepLib.formats.segnrrd import is_seg_nrrd, segment_names
from MedPrepLib.masks import read_any_mask
from MedPrepLib.masks.objects import decoding, items, kind_of, read_tags


def names_in(path: Path) -> tuple[str, ...]:
    """The names that a .seg.nrrd, RTSTRUCT or DICOM SEG gives; none for other or broken files."""
    try:
        kind = kind_of(path)
        if kind == "rtstruct":
            return _of_dicom(path, "StructureSetROISequence", "ROIName")
        if kind == "seg":
            return _of_dicom(path, "SegmentSequence", "SegmentLabel")
        if path.name.lower().endswith((".nrrd", ".nhdr")):
            header = read_header(path)
            return segment_names(header) if is_seg_nrrd(header) else ()
    except FileFaultError:
        pass
    return ()


def values_in(path: Path) -> tuple[int, ...]:
    """The numbers in a mask file without names; its voxels are read. None for a broken file."""
    try:
        return tuple(segment.value for segment in read_any_mask(path, None).segments)
    except FileFaultError:
        return ()


def _of_dicom(path: Path, sequence: str, keyword: str) -> tuple[str, ...]:
    with decoding():
        rows = items(read_tags(path, [sequence]), sequence)
        names = [str(row.get(keyword, "")).strip() for row in rows]
    return tuple(name for name in names if name)
