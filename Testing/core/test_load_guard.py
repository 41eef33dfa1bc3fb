"""Case files made by a stranger: nothing outside the file is opened, nothing huge is allocated."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from core.cohort_samples import SCHEMA, packed_case

from MedPrepLib.config.settings import Pack
from MedPrepLib.errors import CohortError
from MedPrepLib.load import read_case
from MedPrepLib.pack import write_case

SHAPE = (37, 45, 70)


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    return tmp_path / write_case(tmp_path, packed_case(), Pack(), SCHEMA).name


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(b"S" * int(np.prod(SHAPE)) * 2)
    return path


def external_storage(file: h5py.File, secret: Path) -> None:
    del file["image"]
    size = secret.stat().st_size
    file.create_dataset("image", SHAPE, "<i2", external=[(str(secret), 0, size)])


def external_link(file: h5py.File, secret: Path) -> None:
    with h5py.File(secret.with_suffix(".h5"), "w") as other:
        other.create_dataset("image", SHAPE, "<i2")
    del file["image"]
    file["image"] = h5py.ExternalLink(str(secret.with_suffix(".h5")), "image")


def soft_link(file: h5py.File, secret: Path) -> None:
    del file["image"]
    file["image"] = h5py.SoftLink("/mask")


def virtual_dataset(file: h5py.File, secret: Path) -> None:
    with h5py.File(secret.with_suffix(".h5"), "w") as other:
        other.create_dataset("image", SHAPE, "<i2")
    del file["image"]
    virtual = h5py.VirtualLayout(SHAPE, "<i2")
    virtual[:] = h5py.VirtualSource(str(secret.with_suffix(".h5")), "image", SHAPE)
    file.create_virtual_dataset("image", virtual)


def object_type(file: h5py.File, secret: Path) -> None:
    del file["image"]
    file.create_dataset("image", SHAPE, h5py.string_dtype(), chunks=(32, 32, 32))


def references(file: h5py.File, secret: Path) -> None:
    del file["mask"]
    file.create_dataset("mask", SHAPE, h5py.ref_dtype, chunks=True)


def huge_shape(file: h5py.File, secret: Path) -> None:
    del file["image"]
    huge = (100_000, 100_000, 100_000)
    file.create_dataset("image", huge, "<i2", chunks=(32, 32, 32), fletcher32=True)


def huge_table(file: h5py.File, secret: Path) -> None:
    del file["targets/boxes"]
    file.create_dataset("targets/boxes", (10**10, 6), "<i4", chunks=(99, 6), fletcher32=True)


def another_shape(file: h5py.File, secret: Path) -> None:
    del file["mask"]
    file.create_dataset("mask", (37, 45, 69), "|u1", chunks=(32, 32, 32), fletcher32=True)


def unknown_filter(file: h5py.File, secret: Path) -> None:
    del file["image"]
    file.create_dataset("image", SHAPE, "<i2", chunks=(32, 32, 32), compression="lzf")


def no_checksum(file: h5py.File, secret: Path) -> None:
    del file["image"]
    file.create_dataset("image", SHAPE, "<i2", chunks=(32, 32, 32))


def huge_chunks(file: h5py.File, secret: Path) -> None:
    del file["image"]
    file.create_dataset(
        "image", (2000, 1000, 1000), "<i2", chunks=(2000, 500, 500), fletcher32=True
    )


def inflating_chunk(file: h5py.File, secret: Path) -> None:
    import zlib

    del file["image"]
    image = file.create_dataset(
        "image", SHAPE, "<i2", chunks=(32, 32, 32), compression="gzip", fletcher32=True
    )
    image.id.write_direct_chunk((0, 0, 0), zlib.compress(bytes(10**8), 1))


def another_image(file: h5py.File, *filters: int) -> h5py.Dataset:
    """An image without voxels whose chunks go through the given filters."""
    for name in set(filters) & {32001}:
        assert pytest.importorskip("hdf5plugin"), name
    del file["image"]
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((32, 32, 32))
    for number in filters:
        properties.set_filter(number, 0, (0, 0, 0, 0, 5, 1, 1) if number == 32001 else (1,))
    space = h5py.h5s.create_simple(SHAPE)
    h5py.h5d.create(file.id, b"image", h5py.h5t.STD_I16LE, space, properties)
    return file["image"]


def blosc_that_promises_gigabytes(file: h5py.File, secret: Path) -> None:
    header = bytes([2, 1, 0x21, 2]) + struct.pack("<3I", 1 << 31, 1 << 16, 40)
    another_image(file, 32001, 3).id.write_direct_chunk((0, 0, 0), header + bytes(28))


def blosc_of_another_kind(file: h5py.File, secret: Path) -> None:
    header = bytes([2, 1, 0x61, 2]) + struct.pack("<3I", 1 << 16, 1 << 16, 40)  # zlib inside
    another_image(file, 32001, 3).id.write_direct_chunk((0, 0, 0), header + bytes(28))


def checksum_before_packing(file: h5py.File, secret: Path) -> None:
    another_image(file, 3, 1)


def checksum_skipped(file: h5py.File, secret: Path) -> None:
    another_image(file, 3).id.write_direct_chunk((0, 0, 0), bytes(65_536), 1)


def huge_raw_chunk(file: h5py.File, secret: Path) -> None:
    another_image(file, 3).id.write_direct_chunk((0, 0, 0), bytes(10_000_000))


def stranger_at_the_root(file: h5py.File, secret: Path) -> None:
    file.create_dataset("more", (3,), "<i2")


def deep_group(file: h5py.File, secret: Path) -> None:
    file.create_group("readings/a/b/c")


def circle(file: h5py.File, secret: Path) -> None:
    file["readings/again"] = file["readings"]


def named_type(file: h5py.File, secret: Path) -> None:
    file["readings/type"] = np.dtype("<i4")


def object_attribute(file: h5py.File, secret: Path) -> None:
    file.attrs["pad_value"] = file.ref


def missing_mask(file: h5py.File, secret: Path) -> None:
    del file["mask"]


TRICKS = {
    external_storage: "in another file",
    external_link: "link to somewhere else",
    soft_link: "link to somewhere else",
    virtual_dataset: "in another file",
    object_type: "no voxel or index type",
    references: "no voxel or index type",
    huge_shape: "implausible shape",
    huge_table: "implausible shape",
    another_shape: "has shape",
    unknown_filter: "unknown filters",
    no_checksum: "no checksum",
    huge_chunks: "chunks of",
    inflating_chunk: "bytes for one chunk",
    blosc_that_promises_gigabytes: "promises 2147483648 bytes",
    blosc_of_another_kind: "packed by Blosc 2 with flags 0x61",
    checksum_before_packing: r"in the order \[3, 1\]",
    checksum_skipped: r"went through the filters \[\]",
    huge_raw_chunk: "stores 10000000 bytes",
    stranger_at_the_root: "does not hold",
    deep_group: "nothing a case file holds",
    circle: "nothing a case file holds",
    named_type: "nothing a case file holds",
    object_attribute: "damaged attributes",
    missing_mask: "does not hold",
}


@pytest.mark.fault("F22", "F60")
@pytest.mark.parametrize(
    ("trick", "reason"), TRICKS.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_what_a_case_never_holds_is_refused_with_the_reason(
    shard: Path, secret: Path, trick: Callable[[h5py.File, Path], None], reason: str
):
    with h5py.File(shard, "r+") as file:
        trick(file, secret)
    with pytest.raises(CohortError, match=reason):
        read_case(shard)


@pytest.mark.fault("F22")
def test_links_and_other_files_are_refused(shard: Path, tmp_path: Path):
    link = tmp_path / "link.h5"
    link.symlink_to(shard)
    text = tmp_path / "text.h5"
    text.write_bytes(b"no HDF5 at all")
    for path in (link, text, tmp_path, tmp_path / "missing.h5"):
        with pytest.raises(CohortError):
            read_case(path)


@pytest.mark.fault("F16")
def test_a_truncated_file_is_refused(shard: Path):
    data = shard.read_bytes()
    for part in (0.1, 0.5, 0.99):
        shard.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(CohortError):
            read_case(shard)


@pytest.mark.fault("F35", "F60")
def test_flipped_bytes_anywhere_give_an_error_or_the_same_case(shard: Path):
    """What a flip cannot reach (unused bytes) stays equal; nothing else may come back."""
    data = shard.read_bytes()
    original = read_case(shard)
    draw = random.Random(0)
    noticed = 0
    for place in draw.sample(range(len(data)), 60) + list(range(0, 2000, 29)):
        changed = bytearray(data)
        changed[place] ^= 1 << draw.randrange(8)
        shard.write_bytes(changed)
        try:
            case = read_case(shard)
        except CohortError:
            noticed += 1
            continue
        np.testing.assert_array_equal(case.image, original.image)
        np.testing.assert_array_equal(case.mask, original.mask)
        assert case.geometry == original.geometry
        assert case.statistics == original.statistics
    assert noticed > 50
