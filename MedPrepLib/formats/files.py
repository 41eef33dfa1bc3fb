"""Image files that are no DICOM series: checked, then read as a Volume or just its Geometry.

NIfTI (.nii, .nii.gz, both versions), NRRD (.nrrd, .nhdr) and MetaImage (.mha, .mhd) are read by
our own readers, because common ones follow data paths out of the folder, crash on valid 5-D
headers or differ in which matrix of a NIfTI file they believe.
"""

from __future__ import annotations

from pathlib import Path

from MedPrepLib import catalog
from MedPrepLib.findings import Finding
from MedPrepLib.formats import metaimage, nifti, niftiheader, nrrd, nrrdspace
from MedPrepLib.formats.faults import (
    MAX_VOXELS,
    FileFaultError,
    file_size,
    read_head,
    require_fetched,
    require_inside,
    spacing_faults,
)
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume

SUFFIXES = {
    ".nii": "nifti", ".nii.gz": "nifti",
    ".nrrd": "nrrd", ".nhdr": "nrrd",
    ".mha": "meta", ".mhd": "meta",
}  # fmt: skip
"""File name endings of volumes, and their format."""


def format_of(path: Path) -> str:
    """The format, nifti, nrrd or meta: by the file's ending, else by its first bytes.

    Raises FileFaultError (FILE_MISSING, FILE_UNREADABLE) for anything else.
    """
    name = path.name.lower()
    for suffix, kind in SUFFIXES.items():
        if name.endswith(suffix):
            return kind
    head = read_head(path, 540)
    if head.startswith(b"NRRD000"):
        return "nrrd"
    if head[344:347] in {b"n+1", b"ni1"} or head[4:7] in {b"n+2", b"ni2"}:
        return "nifti"
    if head.startswith((b"ObjectType", b"NDims")):
        return "meta"
    what = "this is no volume file"
    if head[128:132] == b"DICM":
        what = "this is a DICOM file, a part of a series and no volume file"
    raise FileFaultError(
        catalog.FILE_UNREADABLE, f"{what}; known endings are {', '.join(SUFFIXES)}"
    )


def check_file(
    path: Path | str,
    item: str,
    root: Path | None = None,
    *,
    labels: bool = False,
    max_voxels: int = MAX_VOXELS,
) -> tuple[Finding, ...]:
    """Everything that is wrong with one volume file, found without reading its voxels.

    ``root`` is the source folder that no link or header may leave. ``labels``: the file is a
    label map. Never raises for bad data; no finding means that :func:`read_volume` will work
    unless the voxel data themselves are damaged.
    """
    path = Path(path)
    try:
        file_size(path)
        require_inside(path, root)
        require_fetched(path)
        kind = format_of(path)
        if kind == "nifti":
            return nifti.check_header(path, item, labels=labels, max_voxels=max_voxels)
        if kind == "meta":
            faults = spacing_faults(_geometry(path, root, max_voxels))
        else:
            header = nrrd.read_header(path, root=root, max_voxels=max_voxels)
            faults = nrrdspace.unit_faults(header.fields, _nrrd_geometry(header))
    except FileFaultError as fault:
        return (fault.at(item),)
    return tuple(fault.at(item) for fault in faults)


def read_geometry(path: Path | str) -> Geometry:
    """The grid of a volume file; only its header is read. Raises ReadError."""
    return _geometry(Path(path), None, MAX_VOXELS)


def read_volume(path: Path | str, *, max_voxels: int = MAX_VOXELS) -> Volume:
    """The volume in a file: voxels (k, j, i) in their stored type, NIfTI scaling applied.

    Raises ReadError with the reason; run :func:`check_file` first to learn all reasons.
    """
    path = Path(path)
    kind = format_of(path)
    if kind == "nifti":
        return nifti.read_nifti(path, max_voxels=max_voxels)
    if kind == "meta":
        return metaimage.read_metaimage(path, max_voxels=max_voxels)
    return nrrd.read_nrrd(path, max_voxels=max_voxels)


def _geometry(path: Path, root: Path | None, max_voxels: int) -> Geometry:
    kind = format_of(path)
    if kind == "nifti":
        return nifti.geometry_of(niftiheader.parse(path))
    if kind == "meta":
        return metaimage.read_header(path, root=root, max_voxels=max_voxels).geometry
    return _nrrd_geometry(nrrd.read_header(path, root=root, max_voxels=max_voxels))


def _nrrd_geometry(header: nrrd.NrrdHeader) -> Geometry:
    geometry = header.geometry
    nrrd.require_scalar(header)
    return geometry
