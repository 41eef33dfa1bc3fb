"""MetaImage files (.mha, .mhd): header and voxels, read by our own hand.

Source: the MetaIO format of Kitware (documentation of the tags). Voxels are read from the file
itself (``ElementDataFile = LOCAL``) or from one plain file beside it, never from a list, a
pattern or another folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from MedPrepLib import catalog
from MedPrepLib.errors import GeometryError
from MedPrepLib.formats.faults import (
    DEFLATE_RATIO,
    MAX_VOXELS,
    FileFaultError,
    file_size,
    neighbor,
    read_head,
    read_voxels,
    require_plausible,
    whole_numbers,
)
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume

MAX_HEADER_BYTES = 1 << 20

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_DATA_LINE = re.compile(rb"^ElementDataFile[ \t]*=[ \t]*([^\r\n]*)\r?\n?", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class MetaHeader:
    """A parsed MetaImage header: grid, voxel type and where the voxels lie."""

    geometry: Geometry
    dtype: np.dtype[Any]
    compressed: bool
    data_path: Path
    offset: int


def read_header(
    path: Path, *, root: Path | None = None, max_voxels: int = MAX_VOXELS
) -> MetaHeader:
    """Parse the header of ``path`` and make sure that the file can hold what it promises.

    Raises FileFaultError: FILE_MISSING, FILE_UNREADABLE, PATH_ESCAPE, FOUR_D, COLOR_IMAGE,
    AFFINE_INVALID, IMPLAUSIBLE_SIZE, PIXELS_UNREADABLE (truncated).
    """
    fields, data_name, offset = _parse(read_head(path, MAX_HEADER_BYTES))
    size = _size(fields)
    dtype = _dtype(fields)
    compressed = _is_true(fields, "CompressedData")
    local = _is_local(data_name)
    data_path = path if local else neighbor(path, data_name, root)
    promised = int(np.prod(size, dtype=object)) * dtype.itemsize
    offset = offset if local else _skip(fields, data_path, promised)
    require_plausible(
        size,
        dtype.itemsize,
        available=file_size(data_path) - offset,
        ratio=DEFLATE_RATIO if compressed else 1,
        max_voxels=max_voxels,
    )
    return MetaHeader(_geometry(fields, size), dtype, compressed, data_path, offset)


def read_metaimage(path: Path, *, max_voxels: int = MAX_VOXELS) -> Volume:
    """The volume in a MetaImage file, in its stored type; raises FileFaultError."""
    header = read_header(path, max_voxels=max_voxels)
    encoding = "zlib" if header.compressed else "raw"
    shape = header.geometry.shape
    data = read_voxels(header.data_path, header.offset, header.dtype, shape, encoding)
    array = data.reshape(shape).astype(header.dtype.newbyteorder("="), copy=False)
    return Volume(array, header.geometry)


def data_place(path: Path, head: bytes) -> Path:
    """The file with the voxels of the header ``head`` of ``path``; raises FileFaultError."""
    data_name = _parse(head)[1]
    return path if _is_local(data_name) else neighbor(path, data_name)


def _is_local(data_name: str) -> bool:
    return data_name.upper() == "LOCAL"


def _parse(head: bytes) -> tuple[dict[str, str], str, int]:
    """Fields, the value of ElementDataFile, and where the header ends."""
    match = _DATA_LINE.search(head)
    if match is None:
        raise FileFaultError(catalog.FILE_UNREADABLE, "the file has no MetaImage header")
    fields: dict[str, str] = {}
    for line in head[: match.start()].decode("utf-8", "replace").splitlines():
        name, _, value = line.partition("=")
        fields[name.strip()] = value.strip()
    if _is_true(fields, "BinaryData", default="True"):
        return fields, match[1].decode("utf-8", "replace").strip(), match.end()
    raise FileFaultError(catalog.FILE_UNREADABLE, "ASCII MetaImage files are not supported")


def _is_true(fields: Mapping[str, str], name: str, default: str = "False") -> bool:
    """MetaIO looks at the first letter only: True, T, true, 1..."""
    return fields.get(name, default)[:1] in {"T", "t", "1"}


def _size(fields: Mapping[str, str]) -> tuple[int, int, int]:
    """The first three sizes; axes behind them may have one element only (one point in time)."""
    try:
        size = whole_numbers(fields.get("DimSize", ""))
        dimensions = int(fields.get("NDims", ""))
    except ValueError:
        raise FileFaultError(catalog.FILE_UNREADABLE, "DimSize is not whole numbers") from None
    if len(size) != dimensions or not size or min(size) < 1:
        raise FileFaultError(
            catalog.FILE_UNREADABLE, f"NDims {dimensions} does not fit {len(size)} sizes"
        )
    if max(size[3:], default=1) > 1:
        raise FileFaultError(catalog.FOUR_D, f"the image has {dimensions} dimensions")
    if dimensions < 3:
        raise FileFaultError(catalog.TOO_FEW_SLICES, "a two-dimensional image is no volume")
    return size[0], size[1], size[2]


def _dtype(fields: Mapping[str, str]) -> np.dtype[Any]:
    if fields.get("ElementNumberOfChannels", "1") != "1":
        raise FileFaultError(catalog.COLOR_IMAGE, "the voxels have several channels")
    code = _TYPES.get(fields.get("ElementType", ""))
    if code is None:
        raise FileFaultError(catalog.FILE_UNREADABLE, "the MetaImage voxel type is unknown")
    big = _is_true(fields, "BinaryDataByteOrderMSB") or _is_true(fields, "ElementByteOrderMSB")
    return np.dtype((">" if big else "<") + code)


def _skip(fields: Mapping[str, str], data_path: Path, promised: int) -> int:
    """HeaderSize: bytes to skip in the data file; -1 when the voxels end the file."""
    try:
        skip = int(fields.get("HeaderSize", "0"))
    except ValueError:
        raise FileFaultError(catalog.FILE_UNREADABLE, "HeaderSize is no whole number") from None
    return max(file_size(data_path) - promised, 0) if skip == -1 else max(skip, 0)


def _geometry(fields: Mapping[str, str], size: tuple[int, int, int]) -> Geometry:
    """Row a of TransformMatrix is the direction of axis a; positions are LPS millimeters."""
    axes = int(fields["NDims"])
    spacing = _numbers(fields, ("ElementSpacing", "ElementSize"), axes)[:3]
    origin = _numbers(fields, ("Offset", "Position", "Origin"), axes)[:3]
    rows = np.reshape(
        _numbers(fields, ("TransformMatrix", "Rotation", "Orientation"), axes * axes), (axes, axes)
    )
    if rows[:3, 3:].any() or rows[3:, :3].any():
        raise FileFaultError(
            catalog.AFFINE_INVALID, "TransformMatrix mixes space with its fourth axis"
        )
    affine = np.eye(4)
    affine[:3, :3] = rows[:3, :3].T * spacing
    affine[:3, 3] = origin
    if min(spacing) <= 0:
        raise FileFaultError(catalog.AFFINE_INVALID, f"the spacing {spacing} mm is not positive")
    try:
        return Geometry.from_affine(affine, size)
    except GeometryError as error:
        raise FileFaultError(catalog.AFFINE_INVALID, str(error)) from None


def _numbers(fields: Mapping[str, str], names: Sequence[str], count: int) -> list[float]:
    text = next((fields[name] for name in names if name in fields), None)
    if text is None:
        raise FileFaultError(catalog.AFFINE_INVALID, f"the header has no {names[0]}")
    try:
        numbers = [float(x) for x in text.split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise FileFaultError(catalog.AFFINE_INVALID, f"{names[0]} is not {count} finite numbers")
    return numbers
