"""Reading bricks of a case file through a memory map: only those that a patch needs."""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import CohortError, CorruptCaseError
from MedPrepLib.filters import (
    BLOSC,
    BLOSC_HEADER_BYTES,
    CHECKSUM_BYTES,
    DEFLATE,
    SHUFFLE,
    checked_payload,
    require_blosc,
)
from MedPrepLib.images import VoxelArray
from MedPrepLib.load.codecs import blosc_decoder, decode_brick
from MedPrepLib.load.storage import Extent
from MedPrepLib.load.table import FOREGROUND, Bricks, CaseTable

_PACKED = {BLOSC, DEFLATE, SHUFFLE}
_WILLNEED = getattr(mmap, "MADV_WILLNEED", None)

Span = tuple[int, slice, slice]
"""One brick along one axis: its number, where it goes in the patch, where that lies in it."""


class MappedCase:
    """One case in memory as far as it is read; nothing of libhdf5 is involved.

    The checksum of a brick is verified when it is first touched. ``advise``: tell the system in
    one go which bytes are about to be read, also for bricks that were read before; for cohorts
    larger than memory. Safe in threads and after a fork; holds a map, so it does not pickle.

    Raises CohortError when the file is missing or a link, CorruptCaseError when it does not have
    the size that it should have.
    """

    def __init__(self, extent: Extent, table: CaseTable, *, advise: bool = False) -> None:
        path = extent.path
        self.path = path
        self.table = table
        self._advise = advise
        self._start = extent.start
        if path.is_symlink() or not path.is_file():
            raise CohortError(
                f"case {table.id}, file {path}: missing, or a link; where the cohort was made "
                "again, open it again"
            )
        with path.open("rb") as stream:
            found = path.stat().st_size
            if found != extent.file_bytes:
                raise self._corrupt(f"has {found} bytes instead of {extent.file_bytes}")
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        for bricks in table.bricks.values():
            bricks.require_inside(extent.size)
        self._seen = {name: np.zeros(b.offsets.shape, bool) for name, b in table.bricks.items()}

    def read(self, name: str, start: Sequence[int], out: VoxelArray, pad: float) -> None:
        """Fill ``out`` with the voxels of dataset ``name`` from ``start`` (array order) on.

        ``out``: C-contiguous, of the dataset's type. ``start`` may be negative and the patch may
        reach beyond the end: ``pad`` is put there. Raises CorruptCaseError when a brick is not
        what was written.
        """
        bricks = self.table.bricks[name]
        spans = [
            _spans(first, length, size, brick)
            for first, length, size, brick in zip(
                start, out.shape, bricks.shape, bricks.brick, strict=True
            )
        ]
        if not all(spans):
            out.fill(pad)
            return
        place = tuple(slice(axis[0][0], axis[-1][0] + 1) for axis in spans)
        offsets = bricks.offsets[place]
        self._prepare(name, bricks, place, offsets)
        _fill_gaps(out, spans, pad, bricks.fill, whole=bool(offsets.all()))
        if all(map(_PACKED.isdisjoint, bricks.pipelines)):
            self._copy(bricks, spans, offsets, out)
        else:
            self._decode(bricks, spans, place, out)

    def coordinate(self, label: str, number: int) -> tuple[int, int, int]:
        """Foreground voxel ``number`` (k, j, i) of a label; errors as for :meth:`read`."""
        name = FOREGROUND + label
        bricks = self.table.bricks[name]
        row = np.empty((1, 3), bricks.dtype)
        self.read(name, (number, 0), row, 0)
        k, j, i = row[0].tolist()
        return (k, j, i)

    def _prepare(
        self, name: str, bricks: Bricks, place: tuple[slice, ...], offsets: npt.NDArray[np.int64]
    ) -> None:
        """Ask for the bytes ahead of reading them, and verify what was not read before."""
        seen = self._seen[name][place]
        new = (offsets > 0) & ~seen
        if self._advise or new.any():
            wanted = offsets > 0 if self._advise else new
            self._will_need(offsets[wanted], bricks.sizes[place][wanted])
        if not new.any():
            return
        rows = (offsets, bricks.sizes[place], bricks.filters[place])
        for row in zip(*(column[new].tolist() for column in rows), strict=True):
            try:
                self._verify(bricks, *row)
            except CorruptCaseError as error:
                raise self._corrupt(f"{name}: {error}") from None
        seen |= new

    def _verify(self, bricks: Bricks, offset: int, size: int, filters: int) -> None:
        """The checksum of a brick, and that it promises no more than a brick holds."""
        with (
            memoryview(self._map) as view,
            view[self._start + offset : self._start + offset + size] as stored,
            checked_payload(stored) as payload,
        ):
            if BLOSC in bricks.pipelines[filters]:
                header, itemsize = bytes(payload[:BLOSC_HEADER_BYTES]), bricks.dtype.itemsize
                require_blosc(header, len(payload), itemsize, bricks.brick_bytes)

    def _will_need(self, offsets: npt.NDArray[np.int64], sizes: npt.NDArray[np.uint32]) -> None:
        """MADV_WILLNEED on the pages of the bricks; neighbors in the file are asked for at once."""
        if _WILLNEED is None:
            return
        order = np.argsort(offsets)
        begins = (self._start + offsets[order]) // mmap.PAGESIZE
        ends = -(-(self._start + offsets + sizes)[order] // mmap.PAGESIZE)
        breaks = np.flatnonzero(begins[1:] > ends[:-1]) + 1
        firsts = begins[np.concatenate(([0], breaks))] * mmap.PAGESIZE
        lasts = ends[np.concatenate((breaks - 1, [ends.size - 1]))] * mmap.PAGESIZE
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
            self._map.madvise(_WILLNEED, first, min(last, len(self._map)) - first)

    def _copy(
        self,
        bricks: Bricks,
        spans: list[list[Span]],
        offsets: npt.NDArray[np.int64],
        out: VoxelArray,
    ) -> None:
        """Bricks that are stored as they are: straight from the map into the patch."""
        buffer, base, array = self._map, self._start, np.ndarray
        lines = [(_as_lines(out, to), part.start * out.itemsize) for _, to, part in spans[-1]]
        shape = bricks.brick[:-1]
        strides = np.empty(bricks.brick, bricks.dtype).strides[:-1]
        for row, (to, part) in zip(_rows(offsets), _corners(spans[:-1]), strict=True):
            for offset, (target, skip) in zip(row, lines, strict=True):
                if offset:
                    start = base + offset + skip
                    target[to] = array(shape, target.dtype, buffer, start, strides)[part]

    def _decode(
        self,
        bricks: Bricks,
        spans: list[list[Span]],
        place: tuple[slice, ...],
        out: VoxelArray,
    ) -> None:
        """Bricks that are packed: one after the other into one scratch brick, which stays in cache.

        LZ4 goes without the checks that :meth:`_verify` has made.
        """
        scratch = np.empty(bricks.brick, bricks.dtype)
        lines = [(_as_lines(out, to), _as_lines(scratch, part)) for _, to, part in spans[-1]]
        lz4 = [BLOSC in used for used in bricks.pipelines]
        rows = zip(
            _rows(bricks.offsets[place]),
            _rows(bricks.sizes[place]),
            _rows(bricks.filters[place]),
            _corners(spans[:-1]),
            strict=True,
        )
        try:
            decode_lz4 = blosc_decoder(scratch) if any(lz4) else None
            view = memoryview(self._map)[self._start :]
            for *stored, (to, part) in rows:
                for offset, size, filters, (target, source) in zip(*stored, lines, strict=True):
                    if not offset:
                        continue
                    if lz4[filters] and decode_lz4:
                        decode_lz4(view[offset : offset + size - CHECKSUM_BYTES])
                    else:
                        brick, used = view[offset : offset + size], bricks.pipelines[filters]
                        decode_brick(brick, used, scratch.dtype, scratch, check=False)
                    target[to] = source[part]
        except CorruptCaseError as error:
            raise self._corrupt(f"a brick cannot be decoded: {error}") from None

    def _corrupt(self, why: str) -> CorruptCaseError:
        return CorruptCaseError(f"case {self.table.id}, file {self.path}: {why}")


def _spans(start: int, length: int, size: int, brick: int) -> list[Span]:
    """The bricks along one axis that a patch touches; empty when it lies outside."""
    low, high = max(start, 0), min(start + length, size)
    spans = []
    for number in range(low // brick, -(-high // brick) if high > low else 0):
        first = number * brick
        begin, end = max(low, first), min(high, first + brick)
        spans.append((number, slice(begin - start, end - start), slice(begin - first, end - first)))
    return spans


def _as_lines(array: VoxelArray, part: slice) -> VoxelArray:
    """What ``part`` takes of each line along the last axis, as one item; shares the memory.

    Numpy copies such items in two thirds of the time that their voxels take.
    """
    line = f"V{(part.stop - part.start) * array.itemsize}"
    lines: VoxelArray = array[..., part].view(line)[..., 0]
    return lines


def _rows(column: npt.NDArray[Any]) -> list[list[int]]:
    """Numbers of bricks, in rows along the last axis."""
    rows: list[list[int]] = column.reshape(-1, column.shape[-1]).tolist()
    return rows


def _corners(spans: list[list[Span]]) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """For each row of bricks: where it goes in the patch, where that lies in its bricks."""
    for axes in itertools.product(*spans):
        yield tuple(to for _, to, _ in axes), tuple(part for _, _, part in axes)


def _fill_gaps(
    out: VoxelArray, spans: list[list[Span]], pad: float, fill: float, *, whole: bool
) -> None:
    """What no stored brick will overwrite: ``pad`` outside of the volume, ``fill`` inside."""
    inside = tuple(slice(axis[0][1].start, axis[-1][1].stop) for axis in spans)
    padded = any(part.stop - part.start < n for part, n in zip(inside, out.shape, strict=True))
    if padded:
        out.fill(pad)
    if not whole and not (padded and pad == fill):
        out[inside] = fill
