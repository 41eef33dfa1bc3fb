"""Writing one case file."""

from __future__ import annotations

import errno
import hashlib
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from MedPrepLib import atomic, layout
from MedPrepLib.config.settings import Pack
from MedPrepLib.errors import GeometryError, LabelError, MedPrepError, RunError
from MedPrepLib.images import VoxelArray
from MedPrepLib.joint import label_counts
from MedPrepLib.labels import LabelSchema
from MedPrepLib.pack.bricks import BrickWriter, write_bricks, write_table
from MedPrepLib.pack.case import PackedCase, StreamedImage, attributes_of
from MedPrepLib.pack.codecs import require_codec
from MedPrepLib.pack.foreground import sample_foreground
from MedPrepLib.results import ShardFile, Targets

if TYPE_CHECKING:
    import h5py

SPARE_BYTES = 1 << 20
"""Left free beside the case itself, for HDF5's own tables."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_case(
    cohort_dir: Path | str, packed: PackedCase, settings: Pack, schema: LabelSchema
) -> ShardFile:
    """Write the file of one case into a cohort and name it.

    The file is plain HDF5 (readable by version 1.10 and later; the codec lz4 needs hdf5plugin):
    ``image`` and ``mask`` (k, j, i), ``readings/<rater>/layer0``..., ``foreground/<label>`` int32
    (n, 3) in the order k, j, i, ``targets/boxes`` int32 (n, 6) as k0, j0, i0, k1, j1, i1 with
    exclusive ends, ``targets/box_labels``, ``targets/slices`` int32 (n, 3) as label value, first
    and end slice. The same case gives the same bytes, and its file the same name; another file of
    the case is left as it is, for whoever reads it.

    Undecided voxels of the mask keep their value, named by the attribute ``ignore_value``; they
    belong to no label. Raises LabelError for other values that the schema does not know, RunError
    when the disk is full, UnsupportedError where the codec is missing, OSError when the disk
    refuses.
    """
    if isinstance(packed.image, StreamedImage):
        raise MedPrepError(f"the image of case {packed.id} is not in memory: use stream_case")
    slabs = iter((packed.image.array,))
    return stream_case(cohort_dir, packed, slabs, lambda: packed, settings, schema)


def stream_case(
    cohort_dir: Path | str,
    begun: PackedCase,
    slabs: Iterator[VoxelArray],
    finished: Callable[[], PackedCase],
    settings: Pack,
    schema: LabelSchema,
) -> ShardFile:
    """Write a case whose image comes in slabs (k, j, i), and name its file; as :func:`write_case`.

    All slabs but the last have a multiple of layout.BRICK slices. ``finished`` is asked for the
    case once the slabs have come: it is ``begun`` with the statistics, which are known only then.
    """
    require_codec(settings.codec)
    counts = _label_counts(begun, schema)
    folder = atomic.make_folder(Path(cohort_dir) / layout.case_folder(begun.id))
    _require_space(folder, begun)
    try:
        with atomic.unnamed(folder / f"{begun.id}.h5") as partial:
            _write(partial, begun, slabs, finished, settings, schema, counts)
            with partial.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            size = partial.stat().st_size
            name = layout.case_file_name(begun.id, digest)
            atomic.become(partial, Path(cohort_dir) / name)
    except OSError as error:
        if error.errno in _FULL:
            raise RunError(f"no space left while writing case {begun.id}") from error
        raise
    return ShardFile(name, size, digest)


def _label_counts(packed: PackedCase, schema: LabelSchema) -> dict[int, int]:
    """Voxels per label value of the mask, without undecided voxels."""
    counts = {} if packed.mask is None else label_counts(packed.mask)
    ignore = packed.ignore_value
    if ignore is not None:
        if schema.valued(ignore) is not None:
            raise LabelError(f"a label has the value {ignore}, which undecided voxels hold")
        counts.pop(ignore, None)
    unknown = [value for value in counts if schema.valued(value) is None]
    if unknown:
        raise LabelError(f"the mask holds values that no label has: {unknown}")
    return counts


def _write(
    path: Path,
    begun: PackedCase,
    slabs: Iterator[VoxelArray],
    finished: Callable[[], PackedCase],
    settings: Pack,
    schema: LabelSchema,
    counts: dict[int, int],
) -> None:
    import h5py

    # Readable by HDF5 1.10 and later; unlike older layouts its tables carry checksums.
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        _write_image(file, begun, slabs, settings)
        values = [label.value for label in schema]
        mask_type = _label_type(max(values, default=0))
        # A mask that nobody drew has no bricks.
        mask = BrickWriter(
            file, "mask", begun.geometry.shape, dtype=mask_type, fill=0, codec=settings.codec
        )
        if begun.mask is not None:
            mask.write(0, begun.mask)
        _write_readings(file, begun, settings)
        if begun.mask is not None:
            _write_foreground(file, begun.mask, settings, schema, counts)
        if begun.targets is not None:
            _write_targets(file, begun.targets, settings, schema)
        # Last, because the statistics of a streamed image are known only now.
        for key, value in attributes_of(finished(), schema, counts, settings.codec).items():
            file.attrs[key] = np.asarray(value) if isinstance(value, list) else value


def _write_image(
    file: h5py.File, begun: PackedCase, slabs: Iterator[VoxelArray], settings: Pack
) -> None:
    shape = begun.geometry.shape
    pixel_type = "<i2" if begun.pixel_type == np.int16 else "<f4"
    writer = BrickWriter(
        file, "image", shape, dtype=pixel_type, fill=begun.pad_value, codec=settings.codec
    )
    first = 0
    for slab in slabs:
        writer.write(first, slab)
        first += slab.shape[0]
    if first != shape[0]:
        raise GeometryError(f"case {begun.id} has {shape[0]} slices, and {first} came")


def _write_readings(file: h5py.File, packed: PackedCase, settings: Pack) -> None:
    names = layout.slugs(packed.readings)
    for rater in sorted(packed.readings):
        group = file.create_group(f"readings/{names[rater]}")
        group.attrs["rater"] = rater
        for number, layer in enumerate(packed.readings[rater].layers):
            dtype = _label_type(_highest(layer))
            write_bricks(group, f"layer{number}", layer, dtype=dtype, fill=0, codec=settings.codec)


def _write_foreground(
    file: h5py.File,
    mask: VoxelArray,
    settings: Pack,
    schema: LabelSchema,
    counts: dict[int, int],
) -> None:
    group = file.create_group("foreground")
    names = layout.slugs(schema.names)
    coordinates = sample_foreground(mask, counts, settings.foreground_voxels)
    for label in schema:
        if label.value in coordinates:
            table = write_table(
                group, names[label.name], coordinates[label.value], codec=settings.codec
            )
            table.attrs["label"] = label.name
            table.attrs["value"] = label.value
            table.attrs["voxels"] = counts[label.value]


def _write_targets(file: h5py.File, targets: Targets, settings: Pack, schema: LabelSchema) -> None:
    group = file.create_group("targets")
    boxes = [(*_kji(box.start), *_kji(box.stop)) for box in targets.boxes]
    labels = [schema.named(box.label).value for box in targets.boxes]
    slices = [(schema.named(s.label).value, s.start, s.stop) for s in targets.slices]
    write_table(group, "boxes", np.array(boxes, dtype="<i4").reshape(-1, 6), settings.codec)
    write_table(group, "box_labels", np.array(labels, dtype="<i4"), settings.codec)
    write_table(group, "slices", np.array(slices, dtype="<i4").reshape(-1, 3), settings.codec)


def _kji(index: tuple[int, int, int]) -> tuple[int, int, int]:
    """From (i, j, k), as values name a voxel, to the order of array axes."""
    i, j, k = index
    return (k, j, i)


def _highest(layer: VoxelArray) -> int:
    return int(layer.max())


def _label_type(highest: int) -> str:
    if highest > np.iinfo(np.uint16).max:
        raise LabelError(f"label value {highest} is above 65535")
    return "|u1" if highest <= np.iinfo(np.uint8).max else "<u2"


def _require_space(folder: Path, packed: PackedCase) -> None:
    layers = [layer for reading in packed.readings.values() for layer in reading.layers]
    drawn = sum(array.nbytes for array in (packed.mask, *layers) if array is not None)
    image = math.prod(packed.geometry.shape) * packed.pixel_type.itemsize
    needed = image + drawn + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RunError(
            f"case {packed.id} needs up to {needed / 1e6:.1f} MB, and {free / 1e6:.1f} MB are "
            "free; make room and run again: finished cases are kept"
        )
