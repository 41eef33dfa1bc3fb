"""NIfTI files (.nii, .nii.gz, versions 1 and 2): judged by their header, read by our own hand.

The index-to-world matrix is the sform if it has a code, else the qform, as in nibabel. SimpleITK
may take the other one, so files in which the two differ are rejected, never guessed.
Scaling (scl_slope, scl_inter) is applied as nifti1.h says: value = slope * stored + inter.
Numbers are taken as millimeters, whatever xyzt_units says; another unit is a finding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.errors import GeometryError
from MedPrepLib.findings import Finding
from MedPrepLib.formats.faults import (
    DEFLATE_RATIO,
    MAX_VOXELS,
    FileFaultError,
    read_voxels,
    require_plausible,
    spacing_faults,
)
from MedPrepLib.formats.niftiheader import UNIT_NAMES, NiftiHeader, gzip_length, parse
from MedPrepLib.geometry import (
    LPS_TO_RAS,
    SHEAR_TOLERANCE,
    FloatArray,
    Geometry,
    orthonormality_error,
    shear_deg,
)
from MedPrepLib.images import Volume, VoxelArray

CONFLICT_FRACTION = 0.25
"""Corners placed by two matrices may differ by this part of the smallest spacing: below half a
voxel every reader finds the same voxel, and float32 quaternions move corners by a ninth."""

_MIN_OFFSET = {1: 352, 2: 544}


def check_header(
    path: Path, item: str, *, labels: bool = False, max_voxels: int = MAX_VOXELS
) -> tuple[Finding, ...]:
    """Everything that is wrong with a NIfTI file, found without reading its voxels.

    ``labels``: the file is a label map, which must not be scaled. Truncation of a plain file
    shows in its size; of a compressed one in its trailer, and only if that looks wrong the
    data are inflated to see. Never raises for bad data.
    """
    try:
        header = parse(path)
    except FileFaultError as fault:
        return (fault.at(item),)
    faults = list(_structure_faults(header))
    if not faults:
        faults += _size_faults(path, header, max_voxels)
    faults += _affine_faults(header)
    faults += _unit_faults(header)
    if labels and header.scaled:
        faults.append(
            FileFaultError(
                catalog.MASK_NOT_LABELS,
                f"a label map is scaled by slope {header.slope:g} and intercept {header.inter:g}",
            )
        )
    return tuple(fault.at(item) for fault in faults)


def geometry_of(header: NiftiHeader) -> Geometry:
    """The grid in LPS; FileFaultError (FOUR_D, NIFTI_INVALID, AFFINE_INVALID) if there is none."""
    if not header.dims_valid:
        raise _dims_fault(header)
    if len(header.shape) > 3:
        raise _four_d_fault(header)
    if header.sform_code <= 0 and header.qform_code <= 0:
        raise _missing_affine_fault()
    if not np.isfinite(header.affine).all():
        raise FileFaultError(catalog.AFFINE_INVALID, "the affine is not made of finite numbers")
    try:
        return Geometry.from_affine(LPS_TO_RAS @ header.affine, header.shape)
    except GeometryError as error:
        raise FileFaultError(catalog.AFFINE_INVALID, str(error)) from None


def read_nifti(path: Path, *, max_voxels: int = MAX_VOXELS) -> Volume:
    """The volume in a NIfTI file.

    Unscaled voxels keep their stored type. Scaled ones become float32 if they are stored in 16
    bits or fewer, or as float32, and float64 otherwise. Raises FileFaultError (a ReadError) for
    the first fault of structure; conflicts between sform and qform are check_header's business.
    """
    header = parse(path)
    for fault in _structure_faults(header):
        raise fault
    geometry = geometry_of(header)
    _require_data(header, max_voxels)
    encoding = "gzip" if header.compressed else "raw"
    if header.compressed:
        lead = int(header.vox_offset)
        data = read_voxels(path, 0, header.dtype, geometry.shape, encoding, lead=lead)
    else:
        data = read_voxels(path, int(header.vox_offset), header.dtype, geometry.shape, encoding)
    array = data.reshape(geometry.shape)
    return Volume(_scaled(array, header), geometry)


def _scaled(array: VoxelArray, header: NiftiHeader) -> VoxelArray:
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if not header.scaled:
        return native
    narrow = native.dtype.itemsize <= 2 or native.dtype == np.float32
    result: VoxelArray = native.astype(np.float32 if narrow else np.float64)
    np.multiply(result, header.slope, out=result)
    np.add(result, header.inter, out=result)
    return result


def _structure_faults(header: NiftiHeader) -> Iterator[FileFaultError]:
    """Faults that make the voxels themselves unreadable."""
    if not header.single_file:
        yield FileFaultError(
            catalog.NIFTI_INVALID, "a header of a .hdr/.img pair; only single files are read"
        )
    if not header.dims_valid:
        yield _dims_fault(header)
    elif len(header.shape) > 3:
        yield _four_d_fault(header)
    try:
        _ = header.dtype
    except FileFaultError as fault:
        yield fault
    expected = header.expected_bitpix
    if expected is not None and expected != header.bitpix:
        yield FileFaultError(
            catalog.NIFTI_INVALID,
            f"bitpix is {header.bitpix}, but datatype {header.datatype} has {expected} bits",
        )
    if math.isfinite(header.slope) and header.slope and not math.isfinite(header.inter):
        yield FileFaultError(
            catalog.NIFTI_INVALID,
            f"voxels are scaled by {header.slope:g}, but the intercept is {header.inter}",
        )
    yield from _offset_faults(header)


def _offset_faults(header: NiftiHeader) -> Iterator[FileFaultError]:
    least, offset = _MIN_OFFSET[header.version], header.vox_offset
    if not math.isfinite(offset) or offset != int(offset) or offset < least:
        yield FileFaultError(
            catalog.NIFTI_INVALID, f"vox_offset is {offset:g}; it must be at least {least}"
        )
    elif not header.compressed and offset >= header.file_bytes:
        yield FileFaultError(
            catalog.NIFTI_INVALID,
            f"vox_offset {offset:.0f} lies beyond the end of the file ({header.file_bytes} bytes)",
        )


def _size_faults(path: Path, header: NiftiHeader, max_voxels: int) -> list[FileFaultError]:
    try:
        promised = _require_data(header, max_voxels)
        if header.compressed:
            total = promised + int(header.vox_offset)
            if gzip_length(path) != total % 2**32:
                read_voxels(
                    path, 0, np.dtype("u1"), (promised,), "gzip", lead=int(header.vox_offset)
                )
    except FileFaultError as fault:
        return [fault]
    return []


def _require_data(header: NiftiHeader, max_voxels: int) -> int:
    lead = 0 if header.compressed else int(header.vox_offset)
    return require_plausible(
        header.shape,
        header.dtype.itemsize,
        available=header.file_bytes - lead,
        ratio=DEFLATE_RATIO if header.compressed else 1,
        max_voxels=max_voxels,
    )


def _affine_faults(header: NiftiHeader) -> list[FileFaultError]:
    if header.sform_code <= 0 and header.qform_code <= 0:
        return [*_pixdim_faults(header), _missing_affine_fault()]
    faults = _pixdim_faults(header)
    if header.sform_code > 0:
        faults += _matrix_faults(header.sform, "sform")
    if header.qform_code > 0 and not faults:
        faults += _matrix_faults(header.qform, "qform")
    if faults or not header.dims_valid:
        return faults
    return _conflict_faults(header)


def _pixdim_faults(header: NiftiHeader) -> list[FileFaultError]:
    spacing = header.pixdim[1:4]
    if all(math.isfinite(x) and x > 0 for x in spacing) and math.isfinite(header.pixdim[0]):
        return []
    words = ", ".join(f"{x:g}" for x in header.pixdim[:4])
    return [
        FileFaultError(
            catalog.NIFTI_INVALID, f"pixdim is {words}; spacings must be positive and finite"
        )
    ]


def _matrix_faults(matrix: FloatArray, name: str) -> list[FileFaultError]:
    if not np.isfinite(matrix).all():
        return [FileFaultError(catalog.AFFINE_INVALID, f"the {name} is not made of finite numbers")]
    columns = matrix[:3, :3]
    lengths = np.sqrt((columns**2).sum(axis=0))
    if lengths.min() <= 0 or abs(np.linalg.det(columns / lengths)) < SHEAR_TOLERANCE:
        return [FileFaultError(catalog.AFFINE_INVALID, f"the {name} is singular")]
    if orthonormality_error(columns / lengths) > SHEAR_TOLERANCE:
        return [
            FileFaultError(
                catalog.AFFINE_INVALID,
                f"the {name} is sheared: axes deviate from a right angle by "
                f"{shear_deg(columns):.3g} degrees; "
                f"{math.degrees(math.asin(SHEAR_TOLERANCE)):.2g} degrees is the limit",
            )
        ]
    return []


def _conflict_faults(header: NiftiHeader) -> list[FileFaultError]:
    """Sform against qform, or against pixdim where there is no qform, at the grid's corners."""
    if header.sform_code <= 0:
        return []
    sform = Geometry.from_affine(header.sform, header.shape[:3])
    limit = CONFLICT_FRACTION * min(sform.spacing)
    if header.qform_code > 0:
        gap = sform.displacement_mm(Geometry.from_affine(header.qform, header.shape[:3]))
        words = f"sform (code {header.sform_code}) and qform (code {header.qform_code})"
    else:
        gap = max(
            abs(a - b) * max(n - 1, 1)
            for a, b, n in zip(sform.spacing, header.pixdim[1:4], sform.size, strict=True)
        )
        words = "sform and pixdim"
    if gap <= limit:
        return []
    return [
        FileFaultError(
            catalog.AFFINE_CONFLICT,
            f"{words} place a corner of the grid {gap:.3g} mm apart; the limit is {limit:.3g} mm",
        )
    ]


def _unit_faults(header: NiftiHeader) -> list[FileFaultError]:
    faults = []
    if header.units not in {0, 2}:
        unit = UNIT_NAMES.get(header.units, f"code {header.units}")
        faults.append(
            FileFaultError(
                catalog.SPACING_SUSPECT,
                f"xyzt_units says {unit}; the spacing {header.pixdim[1]:g} x "
                f"{header.pixdim[2]:g} x {header.pixdim[3]:g} was taken as millimeters",
            )
        )
    try:
        return faults or list(spacing_faults(geometry_of(header)))
    except FileFaultError:
        return faults  # said by another check


def _dims_fault(header: NiftiHeader) -> FileFaultError:
    return FileFaultError(
        catalog.NIFTI_INVALID,
        f"dim is {list(header.dim)}: dim[0] must be 1 to 7 and the sizes at least 1",
    )


def _four_d_fault(header: NiftiHeader) -> FileFaultError:
    words = " x ".join(str(n) for n in header.shape)
    return FileFaultError(catalog.FOUR_D, f"the image has {len(header.shape)} dimensions: {words}")


def _missing_affine_fault() -> FileFaultError:
    return FileFaultError(
        catalog.AFFINE_INVALID, "neither sform nor qform has a code: the position is unknown"
    )
