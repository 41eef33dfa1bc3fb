"""Case files made by a stranger: nothing outside the file is opened, nothing huge is allocated."""

from __future__ import annotations

import random
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
    stranger_at_the_root: "does not hold",
    deep_group: "nothing a case file holds",
    circle: "nothing a case file holds",
    named_type: "nothing a case file holds",
    object_attribute: "damaged attributes",
    missing_mask: "does not hold",
}


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


def test_links_and_other_files_are_refused(shard: Path, tmp_path: Path):
    link = tmp_path / "link.h5"
    link.symlink_to(shard)
    text = tmp_path / "text.h5"
    text.write_bytes(b"no HDF5 at all")
    for path in (link, text, tmp_path, tmp_path / "missing.h5"):
        with pytest.raises(CohortError):
            read_case(path)


def test_a_truncated_file_is_refused(shard: Path):
    data = shard.read_bytes()
    for part in (0.1, 0.5, 0.99):
        shard.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(CohortError):
            read_case(shard)


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
