"""Opening a case file that a stranger may have made: only what MedPrep itself writes is let in.

HDF5 can point to other files (external storage, external links, virtual datasets), hold
references to objects, declare sizes that no memory holds, and name filters that load libraries.
None of that occurs in a case file, so all of it is refused before a voxel is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from MedPrepLib.errors import CohortError
from MedPrepLib.layout import MAX_VOXELS

if TYPE_CHECKING:
    import h5py

VOLUMES = frozenset({"image", "mask"})
GROUPS = frozenset({"readings", "foreground", "targets"})
MAX_DEPTH = 2
MAX_MEMBERS = 70_000
MAX_CHUNK_BYTES = 1 << 20
MAX_TABLE_BYTES = 1 << 30

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
"""The HDF5 filter numbers that a case file may use."""

HDF5_ERRORS = (
    OSError, RuntimeError, KeyError, IndexError, ValueError, TypeError, AttributeError,
    OverflowError,
)  # fmt: skip
"""What h5py, or text of another form than expected, raises in files that contradict themselves."""


@contextmanager
def opened(path: Path | str) -> Iterator[h5py.File]:
    """The case file at ``path``, open for reading and checked.

    Raises CohortError when it is missing, no HDF5 file, or holds anything unexpected.
    """
    import h5py

    place = Path(path)
    if place.is_symlink() or not place.is_file():
        raise CohortError(f"{place} is missing, or a link")
    with _translated(place):
        # Case files never change: no lock is needed, and network drives often have none.
        file = h5py.File(place, "r", locking=False)
    with file:
        with _translated(place):
            _check_root(file)
        yield file


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except CohortError as error:
        raise type(error)(f"{path}: {error}") from None
    except HDF5_ERRORS as error:
        raise CohortError(f"{path} is damaged or no case file: {error}") from None


def _check_root(file: h5py.File) -> None:
    names = set(file)
    if not names >= VOLUMES or not names <= VOLUMES | GROUPS:
        raise CohortError(f"a case file does not hold {sorted(names ^ VOLUMES)[:5]}")
    _check_group(file, depth=0)


def _check_group(group: h5py.Group, depth: int) -> None:
    import h5py

    if len(group) > MAX_MEMBERS:
        raise CohortError(f"{group.name} has {len(group)} members")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise CohortError(f"{name!r} is a link to somewhere else")
        member = group[name]
        if isinstance(member, h5py.Dataset):
            _check_dataset(member, is_volume=depth == MAX_DEPTH or name in VOLUMES)
        elif isinstance(member, h5py.Group) and depth < MAX_DEPTH:
            _check_group(member, depth + 1)
        else:
            raise CohortError(f"{name!r} is nothing a case file holds")


def _check_dataset(dataset: h5py.Dataset, *, is_volume: bool) -> None:
    name = dataset.name
    properties = dataset.id.get_create_plist()
    if properties.get_external_count() or dataset.is_virtual:
        raise CohortError(f"{name} keeps its data in another file")
    if dataset.dtype.hasobject or dataset.dtype.kind not in "iuf" or dataset.dtype.itemsize > 4:
        raise CohortError(f"{name} holds {dataset.dtype}, which is no voxel or index type")
    _check_size(dataset, is_volume=is_volume)
    if math.prod(dataset.shape):
        _check_storage(dataset, properties)


def _check_size(dataset: h5py.Dataset, *, is_volume: bool) -> None:
    count = math.prod(dataset.shape)
    fits = (
        len(dataset.shape) == 3 and 0 < count <= MAX_VOXELS
        if is_volume
        else len(dataset.shape) in (1, 2) and count * dataset.dtype.itemsize <= MAX_TABLE_BYTES
    )
    if not fits or dataset.shape != dataset.maxshape:
        raise CohortError(f"{dataset.name} has an implausible shape {dataset.shape}")


def _check_storage(dataset: h5py.Dataset, properties: h5py.h5p.PropDCID) -> None:
    filters = {properties.get_filter(n)[0] for n in range(properties.get_nfilters())}
    if not filters <= {DEFLATE, SHUFFLE, FLETCHER32}:
        raise CohortError(f"{dataset.name} needs unknown filters {sorted(filters)}")
    if dataset.chunks is None or FLETCHER32 not in filters:
        raise CohortError(f"{dataset.name} has no checksum")
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if chunk_bytes > MAX_CHUNK_BYTES:
        raise CohortError(f"{dataset.name} has chunks of {chunk_bytes} bytes")
    if DEFLATE in filters:
        _check_stored(dataset, 2 * chunk_bytes + 64)


def _check_stored(dataset: h5py.Dataset, limit: int) -> None:
    """Deflate grows at most 1032-fold; a stored chunk above its own size is made to explode."""
    sizes: list[int] = []
    dataset.id.chunk_iter(lambda chunk: sizes.append(chunk.size))
    if max(sizes, default=0) > limit:
        raise CohortError(f"{dataset.name} stores {max(sizes)} bytes for one chunk")
