"""NRRD files: header and voxels, read by our own hand.

Format: Teem's "Definition of NRRD File Format". Read here are raw, gzip, bzip2 and ASCII
encodings, attached data, and detached data only as one plain file beside the header. Readers
that follow every ``data file:`` line hand out foreign bytes as voxels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib import catalog
from MedPrepLib.errors import GeometryError
from MedPrepLib.formats.faults import (
    DEFLATE_RATIO,
    MAX_VOXELS,
    FileFaultError,
    file_size,
    neighbor,
    opening,
    read_head,
    read_voxels,
    require_plausible,
    whole_numbers,
)
from MedPrepLib.formats.nrrdspace import space_of
from MedPrepLib.geometry import FloatArray, Geometry
from MedPrepLib.images import Volume

MAX_HEADER_BYTES = 1 << 22
"""Headers are a few kilobytes; segmentations with a thousand segments reach one megabyte."""

MAX_SKIP_BYTES = 1 << 31
"""``byte skip`` passes over the header of another format, or over earlier volumes."""

_MAGIC = re.compile(rb"NRRD000[1-5]\r?\n")
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": (
        "longlong",
        "long long",
        "long long int",
        "signed long long",
        "signed long long int",
        "int64",
        "int64_t",
    ),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: code for code, names in _TYPES.items() for name in names}
_ENCODINGS = {
    "raw": "raw",
    "gzip": "gzip",
    "gz": "gzip",
    "bzip2": "bzip2",
    "bz2": "bzip2",
    "ascii": "ascii",
    "text": "ascii",
    "txt": "ascii",
}


@dataclass(frozen=True, eq=False)
class NrrdHeader:
    """A parsed NRRD header.

    ``sizes`` are in file order, fastest first, without axes of one element that are none of the
    three of space (see nrrdspace). ``list_axis`` is the axis without a place in
    space (layers, colors, directions); None for a plain volume. ``affine`` is the 4x4
    index-to-LPS matrix over the other axes. ``fields`` have lower-case names; ``keys`` are the
    ``key:=value`` pairs. ``offset`` is where the data begin in ``data_path``; ``lead``: bytes
    before the first voxel in compressed data.
    """

    fields: Mapping[str, str]
    keys: Mapping[str, str]
    dtype: np.dtype[Any]
    sizes: tuple[int, ...]
    list_axis: int | None
    affine: FloatArray
    encoding: str
    data_path: Path
    offset: int
    lead: int = 0

    @property
    def grid_size(self) -> tuple[int, ...]:
        """The sizes of the axes in space."""
        return tuple(n for axis, n in enumerate(self.sizes) if axis != self.list_axis)

    @property
    def geometry(self) -> Geometry:
        """The grid; FileFaultError when it is not 3-D, or sheared, singular or missing."""
        if len(self.grid_size) > 3:
            raise FileFaultError(
                catalog.FOUR_D, f"an image of {len(self.grid_size)} dimensions is no single volume"
            )
        if len(self.grid_size) < 3:
            raise FileFaultError(catalog.TOO_FEW_SLICES, "a two-dimensional image is no volume")
        try:
            return Geometry.from_affine(self.affine, self.grid_size)
        except GeometryError as error:
            raise FileFaultError(catalog.AFFINE_INVALID, str(error)) from None


def read_header(
    path: Path, *, root: Path | None = None, max_voxels: int = MAX_VOXELS
) -> NrrdHeader:
    """Parse the header of ``path`` and make sure that the file can hold what it promises.

    Raises FileFaultError with the kind of finding: FILE_MISSING, FILE_UNREADABLE, PATH_ESCAPE,
    IMPLAUSIBLE_SIZE, PIXELS_UNREADABLE (truncated), AFFINE_INVALID.
    """
    fields, keys, offset = _parse(read_head(path, MAX_HEADER_BYTES))
    dtype = _dtype(fields)
    sizes = _sizes(fields)
    encoding = _ENCODINGS.get(fields.get("encoding", "").lower())
    if "endian" not in fields and dtype.itemsize > 1 and encoding != "ascii":
        raise FileFaultError(
            catalog.FILE_UNREADABLE, "the NRRD header does not say the order of bytes (endian)"
        )
    if encoding is None:
        raise FileFaultError(
            catalog.FILE_UNREADABLE, "the NRRD encoding is not one of raw, gzip, bzip2, ascii"
        )
    data_path, offset = _data_place(path, fields, offset, root)
    promised = math.prod(sizes) * dtype.itemsize
    offset, lead = _skips(fields, data_path, offset, encoding, promised)
    ratio = {"raw": 1, "ascii": 4, "gzip": DEFLATE_RATIO, "bzip2": 1 << 20}[encoding]
    require_plausible(
        sizes,
        dtype.itemsize,
        available=file_size(data_path) - offset,
        ratio=ratio,
        max_voxels=max_voxels,
    )
    kept, list_axis, affine = space_of(fields, sizes)
    return NrrdHeader(
        fields, keys, dtype, kept, list_axis, affine, encoding, data_path, offset, lead
    )


def read_layers(header: NrrdHeader) -> npt.NDArray[Any]:
    """The voxels as an array (layer, k, j, i); one layer when there is no list axis.

    Native byte order. Raises FileFaultError (PIXELS_UNREADABLE) for damaged or truncated data.
    """
    if header.encoding == "ascii":
        flat = _ascii_voxels(header)
    else:
        flat = read_voxels(
            header.data_path,
            header.offset,
            header.dtype,
            header.sizes,
            header.encoding,
            lead=header.lead,
        )
    array = flat.reshape(header.sizes[::-1])
    if header.list_axis is None:
        array = array[np.newaxis]
    else:
        array = np.moveaxis(array, array.ndim - 1 - header.list_axis, 0)
    return np.ascontiguousarray(array, dtype=header.dtype.newbyteorder("="))


def read_nrrd(path: Path, *, max_voxels: int = MAX_VOXELS) -> Volume:
    """The volume in an NRRD file, in its stored type; raises FileFaultError."""
    header = read_header(path, max_voxels=max_voxels)
    require_scalar(header)
    return Volume(read_layers(header)[0], header.geometry)


def require_scalar(header: NrrdHeader) -> None:
    """FileFaultError (FOUR_D) for an NRRD with several values per voxel."""
    if header.list_axis is not None:
        count = header.sizes[header.list_axis]
        raise FileFaultError(catalog.FOUR_D, f"the NRRD holds {count} values per voxel")


def data_place(path: Path, head: bytes) -> Path:
    """The file with the voxels of the header ``head`` of ``path``; raises FileFaultError."""
    fields, _, offset = _parse(head)
    return _data_place(path, fields, offset, None)[0]


def _parse(head: bytes) -> tuple[dict[str, str], dict[str, str], int]:
    """Fields, keys and the offset of the data (the end, for a detached header)."""
    match = _MAGIC.match(head)
    if match is None:
        raise FileFaultError(catalog.FILE_UNREADABLE, "the file does not begin as NRRD does")
    blank = re.compile(rb"\r?\n\r?\n").search(head, match.end() - 2)
    if blank is None and len(head) == MAX_HEADER_BYTES:
        raise FileFaultError(catalog.FILE_UNREADABLE, "the NRRD header has no end")
    end = blank.start() if blank else len(head)
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    for line in head[match.end() : end].decode("utf-8", "replace").splitlines():
        if line.startswith("#"):
            continue
        key, assigned, value = line.partition(":=")
        if assigned and ": " not in key:
            keys[_unescaped(key)] = _unescaped(value)
            continue
        name, _, value = line.partition(":")
        fields[name.strip().lower().replace("centerings", "centers")] = value.strip()
    return fields, keys, blank.end() if blank else len(head)


def _dtype(fields: Mapping[str, str]) -> np.dtype[Any]:
    code = _DTYPES.get(fields.get("type", "").lower())
    if code is None:
        raise FileFaultError(catalog.FILE_UNREADABLE, "the NRRD voxel type is unknown or missing")
    order = ">" if fields.get("endian", "little").lower() == "big" else "<"
    return np.dtype(order + code)


def _sizes(fields: Mapping[str, str]) -> tuple[int, ...]:
    try:
        sizes = whole_numbers(fields.get("sizes", ""))
        dimension = int(fields.get("dimension", ""))
    except ValueError:
        raise FileFaultError(catalog.FILE_UNREADABLE, "NRRD sizes are not whole numbers") from None
    if len(sizes) != dimension or not sizes or min(sizes) < 1 or dimension > 16:
        raise FileFaultError(
            catalog.FILE_UNREADABLE, f"NRRD dimension {dimension} does not fit {len(sizes)} sizes"
        )
    return sizes


def _data_place(
    path: Path, fields: Mapping[str, str], offset: int, root: Path | None
) -> tuple[Path, int]:
    detached = fields.get("data file", fields.get("datafile"))
    if detached is None:
        return path, offset
    return neighbor(path, detached, root), 0


def _skips(
    fields: Mapping[str, str], data_path: Path, offset: int, encoding: str, promised: int
) -> tuple[int, int]:
    """Where the data begin in the file, and how many bytes stand before the voxels in them.

    ``line skip`` passes over lines of the file. ``byte skip`` passes over bytes of the file too,
    but of compressed data over what they hold; -1: raw voxels end the file.
    """
    try:
        lines = int(fields.get("line skip", fields.get("lineskip", "0")))
        skip = int(fields.get("byte skip", fields.get("byteskip", "0")))
    except ValueError:
        raise FileFaultError(catalog.FILE_UNREADABLE, "NRRD skips are not whole numbers") from None
    if skip == -1 and encoding == "raw":
        return max(file_size(data_path) - promised, 0), 0
    if lines < 0 or not 0 <= skip <= MAX_SKIP_BYTES:
        raise FileFaultError(
            catalog.FILE_UNREADABLE,
            f"an NRRD line skip of {lines} or byte skip of {skip} is not supported",
        )
    offset = _after_lines(data_path, offset, lines) if lines else offset
    return (offset, skip) if encoding in ("gzip", "bzip2") else (offset + skip, 0)


def _after_lines(data_path: Path, offset: int, lines: int) -> int:
    """The place behind so many lines, which have to be there: what is skipped is another header."""
    with opening(catalog.FILE_UNREADABLE), data_path.open("rb") as stream:
        stream.seek(offset)
        head = stream.read(MAX_HEADER_BYTES)
    place = 0
    for _ in range(lines):
        place = head.find(b"\n", place) + 1
        if not place:
            raise FileFaultError(
                catalog.PIXELS_UNREADABLE, f"the file holds fewer than the {lines} lines to skip"
            )
    return offset + place


def _ascii_voxels(header: NrrdHeader) -> npt.NDArray[Any]:
    with header.data_path.open("rb") as stream:
        stream.seek(header.offset)
        words = stream.read().split()
    count = math.prod(header.sizes)
    if len(words) < count:
        raise FileFaultError(
            catalog.PIXELS_UNREADABLE,
            f"the file is truncated: {count} voxels promised, {len(words)} found",
        )
    try:
        return np.array(words[:count]).astype(header.dtype)
    except (ValueError, OverflowError):
        why = "ASCII voxels are not numbers of the type that the header states"
        raise FileFaultError(catalog.PIXELS_UNREADABLE, why) from None


def _unescaped(text: str) -> str:
    r"""NRRD key/values write a line feed as ``\n`` and a backslash as two."""
    return re.sub(r"\\([n\\])", lambda m: "\n" if m[1] == "n" else "\\", text)


def escaped(text: str) -> str:
    """The inverse of what reading a key/value does."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")
