"""Opening a case file that a stranger may have made: only what MedPrep itself writes is let in.

HDF5 can point to other files (external storage, external links, virtual datasets), hold
references to objects, declare sizes that no memory holds, and name filters that load libraries.
None of that occurs in a case file, so all of it is refused before a voxel is read.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from MedPrepLib.errors import CohortError, UnsupportedError
from MedPrepLib.filters import (
    BLOSC,
    BLOSC_HEADER_BYTES,
    CHECKSUM_BYTES,
    FLETCHER32,
    PIPELINES,
    applied,
    require_blosc,
)
from MedPrepLib.layout import CASES_FOLDER, MANIFEST_MEMBER, MAX_MANIFEST_BYTES, MAX_VOXELS

if TYPE_CHECKING:
    import h5py

VOLUMES = frozenset({"image", "mask"})
GROUPS = frozenset({"readings", "foreground", "targets"})
MAX_DEPTH = 2
MAX_MEMBERS = 70_000
MAX_CHUNK_BYTES = 1 << 20
MAX_TABLE_BYTES = 1 << 30
FREE_BYTES = 256 << 20
"""That a case may declare whatever it stores."""
MAX_GROWTH = 2000
"""How often a case may declare what it stores."""

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
        raise CohortError(
            f"{place} is missing, or a link; where the cohort was made again, open it again"
        )
    with _translated(place):
        # Case files never change: no lock is needed, and network drives often have none.
        file = h5py.File(place, "r", locking=False)
    with file:
        with _translated(place), place.open("rb") as stream:
            _check_root(file, stream)
        yield file


@contextmanager
def opened_bytes(data: bytes | memoryview, source: str) -> Iterator[h5py.File]:
    """The case file whose bytes are ``data``, checked as by :func:`opened`; ``source`` names it."""
    import h5py

    stream = io.BytesIO(data)
    with _translated(source):
        file = h5py.File(stream, "r")
    with file:
        with _translated(source):
            _check_root(file, stream)
        yield file


@contextmanager
def opened_member(path: Path, case_id: str) -> Iterator[h5py.Group]:
    """One case of a cohort in a single HDF5 file (``cases/<id>``), checked as by :func:`opened`."""
    import h5py

    with _translated(path):
        file = h5py.File(path, "r", locking=False)
    with file:
        with _translated(path), path.open("rb") as stream:
            group = _hard_group(_hard_group(file, CASES_FOLDER), case_id)
            _check_root(group, stream)
        yield group


def manifest_of(path: Path) -> bytes:
    """The bytes of the manifest in a cohort that is a single HDF5 file."""
    import h5py

    with _translated(path), h5py.File(path, "r", locking=False) as file:
        link = file.get(MANIFEST_MEMBER, getlink=True)
        member = file[MANIFEST_MEMBER] if isinstance(link, h5py.HardLink) else None
        if not isinstance(member, h5py.Dataset) or member.dtype != "u1" or member.ndim != 1:
            raise CohortError("it has no manifest")
        properties = member.id.get_create_plist()
        if properties.get_external_count() or member.is_virtual or properties.get_nfilters():
            raise CohortError("its manifest lies elsewhere")
        if member.size > MAX_MANIFEST_BYTES:
            raise CohortError(f"its manifest has {member.size} bytes")
        data: bytes = member[()].tobytes()
        return data


def _hard_group(parent: h5py.Group, name: str) -> h5py.Group:
    import h5py

    link = parent.get(name, getlink=True)
    member = parent[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(member, h5py.Group):
        raise CohortError(f"it has no {name!r}")
    return member


@contextmanager
def _translated(path: Path | str) -> Iterator[None]:
    try:
        yield
    except UnsupportedError:  # one of HDF5_ERRORS, but no damage
        raise
    except CohortError as error:
        raise type(error)(f"{path}: {error}") from None
    except HDF5_ERRORS as error:
        raise CohortError(f"{path} is damaged or no case file: {error}") from None


def _check_root(file: h5py.Group, stream: BinaryIO) -> None:
    names = set(file)
    if not names >= VOLUMES or not names <= VOLUMES | GROUPS:
        raise CohortError(f"a case file does not hold {sorted(names ^ VOLUMES)[:5]}")
    check_group(file, stream, depth=0)
    _check_total(file)


def _check_total(case: h5py.Group) -> None:
    """Bricks that are not stored are free: what a case declares must be in keeping with the rest.

    Voxels of a real image take some bytes: even air compresses at most a thousandfold.
    """
    import h5py

    declared = stored = 0

    def count(_name: str, member: h5py.Group | h5py.Dataset) -> None:
        nonlocal declared, stored
        if isinstance(member, h5py.Dataset):
            declared += math.prod(member.shape) * member.dtype.itemsize
            stored += member.id.get_storage_size()

    case.visititems(count)
    if declared > FREE_BYTES + MAX_GROWTH * stored:
        raise CohortError(f"implausible: {declared} bytes of voxels are declared, {stored} stored")


def check_group(group: h5py.Group, stream: BinaryIO, *, depth: int = 0) -> None:
    """CohortError for members of a case, ``depth`` groups inside it, that no case holds.

    ``stream``: the file that libhdf5 has open, to look at bytes without decoding them.
    """
    import h5py

    if len(group) > MAX_MEMBERS:
        raise CohortError(f"{group.name} has {len(group)} members")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise CohortError(f"{name!r} is a link to somewhere else")
        member = group[name]
        if isinstance(member, h5py.Dataset):
            _check_dataset(member, stream, is_volume=depth == MAX_DEPTH or name in VOLUMES)
        elif isinstance(member, h5py.Group) and depth < MAX_DEPTH:
            check_group(member, stream, depth=depth + 1)
        else:
            raise CohortError(f"{name!r} is nothing a case file holds")


def _check_dataset(dataset: h5py.Dataset, stream: BinaryIO, *, is_volume: bool) -> None:
    name = dataset.name
    properties = dataset.id.get_create_plist()
    if properties.get_external_count() or dataset.is_virtual:
        raise CohortError(f"{name} keeps its data in another file")
    if dataset.dtype.hasobject or dataset.dtype.kind not in "iuf" or dataset.dtype.itemsize > 4:
        raise CohortError(f"{name} holds {dataset.dtype}, which is no voxel or index type")
    _check_size(dataset, is_volume=is_volume)
    if math.prod(dataset.shape):
        _check_storage(dataset, stream)


def _check_size(dataset: h5py.Dataset, *, is_volume: bool) -> None:
    count = math.prod(dataset.shape)
    fits = (
        len(dataset.shape) == 3 and 0 < count <= MAX_VOXELS
        if is_volume
        else len(dataset.shape) in (1, 2) and count * dataset.dtype.itemsize <= MAX_TABLE_BYTES
    )
    if not fits or dataset.shape != dataset.maxshape:
        raise CohortError(f"{dataset.name} has an implausible shape {dataset.shape}")


def pipeline_of(dataset: h5py.Dataset) -> tuple[int, ...]:
    """The numbers of a dataset's filters, in the order of writing."""
    properties = dataset.id.get_create_plist()
    return tuple(properties.get_filter(n)[0] for n in range(properties.get_nfilters()))


def _check_storage(dataset: h5py.Dataset, stream: BinaryIO) -> None:
    pipeline = pipeline_of(dataset)
    if not set(pipeline) <= {number for known in PIPELINES for number in known}:
        raise CohortError(f"{dataset.name} needs unknown filters {list(pipeline)}")
    if dataset.chunks is None or FLETCHER32 not in pipeline:
        raise CohortError(f"{dataset.name} has no checksum")
    if pipeline not in PIPELINES:
        raise CohortError(f"{dataset.name} uses its filters in the order {list(pipeline)}")
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if chunk_bytes > MAX_CHUNK_BYTES:
        raise CohortError(f"{dataset.name} has chunks of {chunk_bytes} bytes")
    _check_chunks(dataset, stream, pipeline, chunk_bytes)


def _check_chunks(
    dataset: h5py.Dataset, stream: BinaryIO, pipeline: tuple[int, ...], chunk_bytes: int
) -> None:
    """No stored chunk is larger than what its voxels can need, nor promises more than they are.

    Deflate grows at most 1032-fold, so a bound on the stored size bounds the inflated one; Blosc
    allocates whatever its header says.
    """
    chunks: list[Any] = []
    dataset.id.chunk_iter(chunks.append)
    largest = max((chunk.size for chunk in chunks), default=0)
    if largest > 2 * chunk_bytes + 64:
        raise CohortError(f"{dataset.name} stores {largest} bytes for one chunk")
    for chunk in chunks:
        if BLOSC in applied(pipeline, chunk.filter_mask):
            stream.seek(chunk.byte_offset)
            header = stream.read(BLOSC_HEADER_BYTES)
            size = chunk.size - CHECKSUM_BYTES
            require_blosc(header, size, dataset.dtype.itemsize, chunk_bytes)
