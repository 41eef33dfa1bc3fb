"""Where the bricks of a case lie in its file: taken from libhdf5 once, kept as plain numbers."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from MedPrepLib import layout
from MedPrepLib.errors import CorruptCaseError, GeometryError
from MedPrepLib.filters import PIPELINES, applied
from MedPrepLib.geometry import Geometry
from MedPrepLib.load.case import damage_named, read_head
from MedPrepLib.load.guard import HDF5_ERRORS, MAX_CHUNK_BYTES, opened, pipeline_of
from MedPrepLib.load.intensities import Intensities

if TYPE_CHECKING:
    import h5py

MAX_RECORD_BYTES = 1 << 28
_LENGTH = struct.Struct("<I")
_EQUAL = b"="


@dataclass(frozen=True, eq=False)
class Bricks:
    """The stored bricks (HDF5 chunks) of one dataset.

    ``shape`` and ``brick`` in the order of array axes. ``offsets`` (bytes from the beginning of
    the file; 0: not stored, all ``fill``), ``sizes`` (bytes, checksum included) and ``filters``
    (which of ``pipelines`` was applied) have one entry per brick, in the shape of the brick grid.

    Raises CorruptCaseError for numbers that cannot be: they may come from a file of a stranger.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    brick: tuple[int, ...]
    fill: float
    pipelines: tuple[tuple[int, ...], ...]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.uint32]
    filters: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        grid = grid_of(self.shape, self.brick)
        plausible = (
            self.offsets.shape == self.sizes.shape == self.filters.shape == grid
            and self.dtype.kind in "iuf"
            and 0 < self.brick_bytes <= MAX_CHUNK_BYTES
            and math.prod(self.shape) <= layout.MAX_VOXELS
            and set(self.pipelines) <= set(PIPELINES)
            and (self.filters < max(len(self.pipelines), 1)).all()
            and (self.offsets >= 0).all()
        )
        if not plausible:
            raise CorruptCaseError("a table of bricks that cannot be")

    @property
    def brick_bytes(self) -> int:
        """Of one brick when decoded."""
        return math.prod(self.brick) * self.dtype.itemsize

    def require_inside(self, file_bytes: int) -> None:
        """CorruptCaseError unless every brick lies inside a file of that size."""
        ends = np.where(self.offsets > 0, self.offsets + self.sizes, 0)
        if ends.size and int(ends.max()) > file_bytes:
            raise CorruptCaseError(f"a brick ends beyond the {file_bytes} bytes of the file")


@dataclass(frozen=True, eq=False)
class CaseTable:
    """What patches of one case need besides its file: a value of some kilobytes that pickles.

    ``bricks``: image, mask and ``foreground/<label name>`` (only labels with coordinates).
    ``foreground``: label names in schema order. ``boxes`` (n, 6) and ``box_labels`` (n,) as in
    load.LoadedCase. ``intensities`` are those of the whole image.
    """

    id: str
    geometry: Geometry
    pad_value: float
    annotated: bool
    ignore_value: int | None
    intensities: Intensities
    boxes: npt.NDArray[np.int32]
    box_labels: npt.NDArray[np.int32]
    bricks: Mapping[str, Bricks]

    @property
    def foreground(self) -> tuple[str, ...]:
        """Names of the labels with coordinates."""
        return tuple(name[len(FOREGROUND) :] for name in self.bricks if name.startswith(FOREGROUND))


FOREGROUND = "foreground/"


def grid_of(shape: tuple[int, ...], brick: tuple[int, ...]) -> tuple[int, ...]:
    """How many bricks cover ``shape`` along each axis."""
    return tuple(-(-n // max(b, 1)) for n, b in zip(shape, brick, strict=True))


def read_table(path: Path | str) -> CaseTable:
    """The table of the case file at ``path``, after all checks of load.guard.

    Raises CohortError and CorruptCaseError as load.read_case; no voxel is read.
    """
    with opened(path) as file:
        return table_in(file, path)


def own_table(path: Path) -> CaseTable:
    """The table of a case file that this process has just written.

    It is nobody else's, so that load.guard is not asked, which takes as long as the rest.
    """
    import h5py

    with h5py.File(path, "r", locking=False) as file:
        return table_in(file, path)


def table_in(file: h5py.Group, path: Path | str) -> CaseTable:
    """The table of a case in a file or group that load.guard let in; errors as above."""
    head = read_head(file, path)
    with damage_named(head.id, path):
        names = layout.slugs(head.labels.names)
        bricks = {name: _bricks(file[name]) for name in ("image", "mask")}
        for label in head.labels.names:
            places = file.get(f"{FOREGROUND}{names[label]}")
            if places is not None and places.size:
                bricks[FOREGROUND + label] = _bricks(places)
    return CaseTable(
        id=head.id,
        geometry=head.geometry,
        pad_value=head.pad_value,
        annotated=head.annotated,
        ignore_value=head.ignore_value,
        intensities=Intensities.of(head.statistics),
        boxes=head.boxes,
        box_labels=head.box_labels,
        bricks=bricks,
    )


def _bricks(dataset: h5py.Dataset) -> Bricks:
    pipeline = pipeline_of(dataset)
    chunks: list[Any] = []
    dataset.id.chunk_iter(chunks.append)
    grid = grid_of(dataset.shape, dataset.chunks)
    offsets, sizes = np.zeros(grid, np.int64), np.zeros(grid, np.uint32)
    filters = np.zeros(grid, np.uint8)
    used: list[tuple[int, ...]] = []
    for chunk in chunks:
        place = tuple(a // b for a, b in zip(chunk.chunk_offset, dataset.chunks, strict=True))
        through = applied(pipeline, chunk.filter_mask)
        if through not in used:
            used.append(through)
        offsets[place], sizes[place] = chunk.byte_offset, chunk.size
        filters[place] = used.index(through)
    return Bricks(
        shape=dataset.shape,
        dtype=dataset.dtype,
        brick=dataset.chunks,
        fill=float(dataset.fillvalue),
        pipelines=tuple(used),
        offsets=offsets,
        sizes=sizes,
        filters=filters,
    )


# --- as bytes: what an index file holds for a case ----------------------------------------------
def encoded(table: CaseTable) -> bytes:
    """The table as bytes: JSON with all small values, then the numbers of the stored bricks.

    A checksum stands before them. Nothing is deflated: another zlib would make other bytes.
    """
    grid = table.geometry
    head = {
        "id": table.id,
        "grid": [grid.size, grid.spacing, grid.origin, grid.direction],
        "pad_value": table.pad_value,
        "annotated": table.annotated,
        "ignore_value": table.ignore_value,
        "intensities": asdict(table.intensities),
        "boxes": table.boxes.tolist(),
        "box_labels": table.box_labels.tolist(),
        "bricks": {
            name: [b.shape, b.dtype.str, b.brick, b.fill, b.pipelines]
            for name, b in table.bricks.items()
        },
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    parts = [_LENGTH.pack(len(text)), text]
    for bricks in table.bricks.values():
        stored = bricks.offsets > 0
        offsets, sizes = bricks.offsets[stored], bricks.sizes[stored].astype(np.int64)
        parts += [
            np.packbits(stored).tobytes(),
            _column(np.diff(offsets, prepend=0) - np.append(0, sizes)[: sizes.size]),
            _column(sizes),
            _column(bricks.filters[stored].astype(np.int64)),
        ]
    data = b"".join(parts)
    return _LENGTH.pack(zlib.crc32(data)) + data


def _column(values: npt.NDArray[np.int64]) -> bytes:
    """Integers in as few bytes as all of them fit in; equal ones as one.

    Bricks follow each other in a file, mostly, and uncompressed ones are equally large.
    """
    if values.size and (values == values[0]).all():
        return _EQUAL + values[:1].astype("<i8").tobytes()
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    width = next(n for n in (1, 2, 4, 8) if -(1 << 8 * n - 1) <= low and high < 1 << 8 * n - 1)
    return bytes([width]) + values.astype(f"<i{width}").tobytes()


def decoded(record: bytes | memoryview) -> CaseTable:
    """The table that :func:`encoded` made these bytes of; CorruptCaseError when it did not."""
    data = bytes(record[_LENGTH.size : MAX_RECORD_BYTES])
    if bytes(record[: _LENGTH.size]) != _LENGTH.pack(zlib.crc32(data)):
        raise CorruptCaseError("a record of the index was changed")
    try:
        return _table(data)
    except CorruptCaseError:
        raise
    except (struct.error, GeometryError, *HDF5_ERRORS) as error:
        raise CorruptCaseError(f"a record of the index is damaged: {error}") from None


def _table(data: bytes) -> CaseTable:
    (length,) = _LENGTH.unpack_from(data)
    start = _LENGTH.size
    head = json.loads(data[start : start + length])
    size, spacing, origin, direction = (tuple(x) for x in head["grid"])
    bricks, start = {}, start + length
    for name, row in head["bricks"].items():
        bricks[name], start = _stored(row, data, start)
    return CaseTable(
        id=head["id"],
        geometry=Geometry(size, spacing, origin, direction),
        pad_value=head["pad_value"],
        annotated=head["annotated"],
        ignore_value=head["ignore_value"],
        intensities=Intensities(**head["intensities"]),
        boxes=np.array(head["boxes"], dtype=np.int32).reshape(-1, 6),
        box_labels=np.array(head["box_labels"], dtype=np.int32),
        bricks=bricks,
    )


def _stored(row: list[Any], data: bytes, start: int) -> tuple[Bricks, int]:
    shape, dtype, brick, fill, pipelines = row
    grid = grid_of(tuple(shape), tuple(brick))
    count = math.prod(grid)
    if count > layout.MAX_VOXELS // 8:
        raise CorruptCaseError(f"a table of {count} bricks")
    bits = np.frombuffer(data, np.uint8, -(-count // 8), start)
    stored = np.unpackbits(bits, count=count).astype(bool).reshape(grid)
    wanted, start = int(stored.sum()), start + bits.size
    gaps, start = _values(data, start, wanted)
    sizes, start = _values(data, start, wanted)
    filters, start = _values(data, start, wanted)
    ends = np.cumsum(gaps + sizes)
    columns = []
    for values, kind in ((ends - sizes, np.int64), (sizes, np.uint32), (filters, np.uint8)):
        column = np.zeros(grid, kind)
        column[stored] = values
        columns.append(column)
    used = tuple(tuple(pipeline) for pipeline in pipelines)
    table = Bricks(tuple(shape), np.dtype(dtype), tuple(brick), fill, used, *columns)
    return table, start


def _values(data: bytes, start: int, count: int) -> tuple[npt.NDArray[np.int64], int]:
    """``count`` integers of a column that begins at ``start``, and where it ends."""
    width, start = data[start : start + 1], start + 1
    if width == _EQUAL:
        value = np.frombuffer(data, "<i8", 1, start)
        return np.repeat(value, count), start + value.nbytes
    values = np.frombuffer(data, f"<i{width[0]}", count, start)
    return values.astype(np.int64), start + values.nbytes
