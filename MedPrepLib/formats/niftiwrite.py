"""Writing NIfTI-1 files: the same volume gives the same bytes, and sform equals qform.

Source: the NIfTI-1.1 header (nifti1.h, 2007). World axes are RAS in the file, LPS here. Nothing is
written into the header's free texts (descrip, aux_file, db_name, intent_name) unless it is given.
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from MedPrepLib.geometry import LPS_TO_RAS, FloatArray
from MedPrepLib.images import Volume

_DATATYPES = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "uint16": 512}
_SCANNER = 1
"""NIFTI_XFORM_SCANNER_ANAT: the coordinates are those of the scanner."""

_MILLIMETERS = 2
_LAYOUT = "<i 35x b 8h 3f 4h 8f 3f h 2b 4f 2i 80s 24s 2h 6f 12f 16s 4s"


def write_nifti(
    path: Path, volume: Volume, affine: FloatArray | None = None, *, description: bytes = b""
) -> None:
    """Write a compressed NIfTI-1 file (``.nii.gz``).

    ``affine``: write this 4x4 index-to-RAS matrix (millimeters) as sform, and no qform, whether
    it makes sense or not. ``description``: at most 79 bytes. Raises KeyError
    for voxel types that NIfTI-1 does not know here.
    """
    array = volume.array.astype(volume.array.dtype.newbyteorder("<"), copy=False)
    # No file name and time 0 in the gzip header: the same bytes on every day.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 4, raw, mtime=0) as stream:
        stream.write(_header(volume, affine, description) + b"\0\0\0\0")
        stream.write(array.data)


def _header(volume: Volume, affine: FloatArray | None, description: bytes) -> bytes:
    dtype = volume.array.dtype
    grid = volume.geometry
    sform = LPS_TO_RAS @ grid.affine if affine is None else np.asarray(affine, dtype=np.float64)
    qfac, turn = (1.0, (0.0, 0.0, 0.0)) if affine is not None else _quaternion(sform)
    qcode = 0 if affine is not None else _SCANNER
    return struct.pack(
        _LAYOUT,
        348,
        0,  # dim_info
        *(3, *grid.size, 1, 1, 1, 1),
        *(0.0, 0.0, 0.0),  # intent
        *(0, _DATATYPES[dtype.name], 8 * dtype.itemsize, 0),
        *(qfac, *grid.spacing, 0.0, 0.0, 0.0, 0.0),
        *(352.0, 1.0, 0.0),  # data offset, slope, intercept
        *(0, 0, _MILLIMETERS),
        *(0.0, 0.0, 0.0, 0.0),
        *(0, 0),
        description,
        b"",
        *(qcode, _SCANNER),
        *turn,
        *sform[:3, 3].tolist(),
        *sform[:3].ravel().tolist(),
        b"",
        b"n+1\0",
    )


def _quaternion(affine: FloatArray) -> tuple[float, tuple[float, float, float]]:
    """The handedness (qfac) and quaternion (b, c, d) of the rotation part; a is not negative."""
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    r = affine[:3, :3] / spacing
    qfac = 1.0
    if np.linalg.det(r) < 0:
        qfac = -1.0
        r = r * np.array([1.0, 1.0, -1.0])
    xx, yy, zz = float(r[0, 0]), float(r[1, 1]), float(r[2, 2])
    # Four times each product of two components; the largest square is the safe divisor.
    products = np.array(
        [
            [1 + xx + yy + zz, r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], 1 + xx - yy - zz, r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [r[0, 2] - r[2, 0], r[0, 1] + r[1, 0], 1 - xx + yy - zz, r[1, 2] + r[2, 1]],
            [r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], 1 - xx - yy + zz],
        ]
    )
    best = int(np.argmax(np.diag(products)))
    q = products[best] / (2 * np.sqrt(products[best, best]))
    _, b, c, d = (q if q[0] >= 0 else -q).tolist()
    return qfac, (b, c, d)
