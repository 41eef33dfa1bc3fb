"""The header of a NIfTI file, parsed by our own hand: plain values, both versions and endians.

Readers disagree about odd headers, and SimpleITK accepts 93 % of mutated ones; so the numbers
are taken from the bytes and judged by nifti.py before any library opens the file.
Sources: nifti1.h (2007) and nifti2.h (2011) of the NIfTI Data Format Working Group.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.formats.faults import FileFaultError, file_size, inflated_head, opening
from MedPrepLib.geometry import FloatArray

UNIT_NAMES = {0: "unknown", 1: "meter", 2: "millimeter", 3: "micron"}

_TYPE_CODES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8",
    256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_COLOR_CODES = (128, 2304)
_BITS = {1: 1, 32: 64, 128: 24, 1536: 128, 1792: 128, 2048: 256, 2304: 32}
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class NiftiHeader:
    """The fields of a NIfTI header that say what and where the voxels are.

    ``dim``, ``pixdim``: all eight numbers. ``quaternion``: b, c, d; ``offset``: qoffset x, y, z;
    ``srow``: twelve numbers, row by row. World axes are RAS, as the format defines.
    """

    version: Literal[1, 2]
    big_endian: bool
    compressed: bool
    file_bytes: int
    single_file: bool
    dim: tuple[int, ...]
    datatype: int
    bitpix: int
    pixdim: tuple[float, ...]
    vox_offset: float
    slope: float
    inter: float
    units: int
    qform_code: int
    sform_code: int
    quaternion: tuple[float, float, float]
    offset: tuple[float, float, float]
    srow: tuple[float, ...]

    @property
    def dims_valid(self) -> bool:
        """True when dim[0] is 1..7 and every dimension in use is at least 1."""
        return 1 <= self.dim[0] <= 7 and min(self.dim[1 : self.dim[0] + 1]) >= 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes i, j, k, ... without trailing ones beyond k; never fewer than three."""
        sizes = [*self.dim[1 : self.dim[0] + 1], 1, 1, 1]
        while len(sizes) > 3 and sizes[-1] == 1:
            sizes.pop()
        return tuple(sizes)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the stored voxels; FileFaultError for colors, complex numbers and unknowns."""
        if self.datatype in _COLOR_CODES:
            raise FileFaultError(catalog.COLOR_IMAGE, "the NIfTI voxels are RGB colors")
        code = _TYPE_CODES.get(self.datatype)
        if code is None:
            raise FileFaultError(
                catalog.NIFTI_INVALID, f"NIfTI datatype {self.datatype} is not a real number type"
            )
        return np.dtype((">" if self.big_endian else "<") + code)

    @property
    def expected_bitpix(self) -> int | None:
        """The bits per voxel that the datatype needs; None for unknown datatypes."""
        code = _TYPE_CODES.get(self.datatype)
        return np.dtype(code).itemsize * 8 if code else _BITS.get(self.datatype)

    @property
    def scaled(self) -> bool:
        """True when voxels are stored as (value - inter) / slope.

        A slope of 0 means "no scaling" in the standard; one that is not finite is read the
        same way, as nibabel does. (A slope with an intercept that is none is refused.)
        """
        if self.slope == 0 or not np.isfinite([self.slope, self.inter]).all():
            return False
        return (self.slope, self.inter) != (1.0, 0.0)

    @property
    def sform(self) -> FloatArray:
        """4x4 index-to-RAS matrix of the sform rows (method 3)."""
        matrix = np.eye(4)
        matrix[:3] = np.reshape(self.srow, (3, 4))
        return matrix

    @property
    def qform(self) -> FloatArray:
        """4x4 index-to-RAS matrix of the quaternion (method 2); NaN when it is no rotation.

        nifti1.h: a = sqrt(1 - b2 - c2 - d2), and pixdim[0] < 0 turns the third axis round.
        """
        b, c, d = self.quaternion
        rest = 1.0 - (b * b + c * c + d * d)
        if rest < -1e-5:  # float32 rounding of a half turn stays well below
            return np.full((4, 4), np.nan)
        a = np.sqrt(max(rest, 0.0))
        if rest < 1e-7:  # as nifti_quatern_to_mat44: a half turn, normalized
            a, (b, c, d) = 0.0, np.array([b, c, d]) / np.sqrt(b * b + c * c + d * d)
        rotation = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
            ]
        )
        factor = -1.0 if self.pixdim[0] < 0 else 1.0
        matrix = np.eye(4)
        matrix[:3, :3] = rotation * (np.array(self.pixdim[1:4]) * [1.0, 1.0, factor])
        matrix[:3, 3] = self.offset
        return matrix

    @property
    def affine(self) -> FloatArray:
        """4x4 index-to-RAS matrix: the sform if it has a code, else the qform.

        This is nibabel's order. Where both have a code and differ, check_header rejects.
        """
        return self.sform if self.sform_code > 0 else self.qform


def parse(path: Path) -> NiftiHeader:
    """The header of a .nii or .nii.gz file (told apart by content).

    Raises FileFaultError: FILE_MISSING, FILE_UNREADABLE, or NIFTI_INVALID when size or magic
    are not those of a NIfTI file.
    """
    size = file_size(path)
    head, compressed = _head(path)
    if len(head) < 348:
        raise FileFaultError(
            catalog.NIFTI_INVALID, f"the file ends after {len(head)} bytes of its 348-byte header"
        )
    for order in "<>":
        length = struct.unpack_from(order + "i", head)[0]
        if length == 348:
            return _version_1(head, order, compressed, size)
        if length == 540 and len(head) >= 540:
            return _version_2(head, order, compressed, size)
    raise FileFaultError(
        catalog.NIFTI_INVALID,
        f"sizeof_hdr is {struct.unpack_from('<i', head)[0]}; NIfTI has 348 or 540",
    )


def _head(path: Path) -> tuple[bytes, bool]:
    try:
        with opening(catalog.FILE_UNREADABLE), path.open("rb") as stream:
            compressed = stream.read(2) == _GZIP_MAGIC
            stream.seek(0)
            if not compressed:
                return stream.read(540), False
            return inflated_head(stream, 540), True
    except (EOFError, zlib.error) as error:
        raise FileFaultError(
            catalog.FILE_UNREADABLE, f"the gzip stream is damaged: {error}"
        ) from None


def _version_1(head: bytes, order: str, compressed: bool, size: int) -> NiftiHeader:
    magic = head[344:348]
    if magic not in {b"n+1\0", b"ni1\0"}:
        raise FileFaultError(catalog.NIFTI_INVALID, "the NIfTI-1 magic is missing (Analyze file?)")
    datatype, bitpix = struct.unpack_from(order + "hh", head, 70)
    vox_offset, slope, inter = struct.unpack_from(order + "fff", head, 108)
    qform_code, sform_code = struct.unpack_from(order + "hh", head, 252)
    placed = struct.unpack_from(order + "18f", head, 256)
    return NiftiHeader(
        version=1,
        big_endian=order == ">",
        compressed=compressed,
        file_bytes=size,
        single_file=magic == b"n+1\0",
        dim=struct.unpack_from(order + "8h", head, 40),
        datatype=datatype,
        bitpix=bitpix,
        pixdim=struct.unpack_from(order + "8f", head, 76),
        vox_offset=vox_offset,
        slope=slope,
        inter=inter,
        units=head[123] & 7,
        qform_code=qform_code,
        sform_code=sform_code,
        quaternion=placed[:3],
        offset=placed[3:6],
        srow=placed[6:],
    )


def _version_2(head: bytes, order: str, compressed: bool, size: int) -> NiftiHeader:
    if head[4:12] not in {b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n"}:
        raise FileFaultError(
            catalog.NIFTI_INVALID, "the NIfTI-2 magic is missing or was changed in transfer"
        )
    datatype, bitpix = struct.unpack_from(order + "hh", head, 12)
    vox_offset, slope, inter = struct.unpack_from(order + "qdd", head, 168)
    qform_code, sform_code = struct.unpack_from(order + "ii", head, 344)
    placed = struct.unpack_from(order + "18d", head, 352)
    return NiftiHeader(
        version=2,
        big_endian=order == ">",
        compressed=compressed,
        file_bytes=size,
        single_file=head[5:6] == b"+",
        dim=struct.unpack_from(order + "8q", head, 16),
        datatype=datatype,
        bitpix=bitpix,
        pixdim=struct.unpack_from(order + "8d", head, 104),
        vox_offset=vox_offset,
        slope=slope,
        inter=inter,
        units=struct.unpack_from(order + "i", head, 500)[0] & 7,
        qform_code=qform_code,
        sform_code=sform_code,
        quaternion=placed[:3],
        offset=placed[3:6],
        srow=placed[6:],
    )


def gzip_length(path: Path) -> int:
    """What a gzip file says of its inflated size, modulo 2**32 (RFC 1952, ISIZE).

    True for files of one member; others, and truncated ones, give any number.
    """
    with path.open("rb") as stream:
        stream.seek(-4, 2)
        return int(np.frombuffer(stream.read(4), "<u4")[0])
