"""Bricks: what libhdf5 and its plugins wrote is decoded without them, and damage is found."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from MedPrepLib.errors import CorruptCaseError, UnsupportedError
from MedPrepLib.filters import applied, blosc, fletcher32, require_blosc
from MedPrepLib.load.codecs import decode_brick

SHAPE = (32, 32, 32)
PIPELINES = {"raw": (3,), "gzip": (2, 1, 3), "lz4": (32001, 3)}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    blosc.cache_clear()


def written_by_h5py(path: Path, codec: str, voxels: np.ndarray) -> bytes:
    """The stored bytes of one chunk that libhdf5 made, checksum and all."""
    return chunk_by_h5py(path, codec, voxels)[1]


def chunk_by_h5py(path: Path, codec: str, voxels: np.ndarray) -> tuple[tuple[int, ...], bytes]:
    """Which filters the chunk went through (small ones are not always packed), and its bytes."""
    options: dict[str, object] = {}
    if codec == "gzip":
        options = {"shuffle": True, "compression": "gzip", "compression_opts": 1}
    if codec == "lz4":
        pytest.importorskip("blosc")
        hdf5plugin = pytest.importorskip("hdf5plugin")
        options = dict(hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=1))
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=voxels, chunks=voxels.shape, fletcher32=True, **options)
    with h5py.File(path) as file:
        properties = file["x"].id.get_create_plist()
        filters = tuple(properties.get_filter(n)[0] for n in range(properties.get_nfilters()))
        assert filters == PIPELINES[codec]
        mask, data = file["x"].id.read_direct_chunk((0, 0, 0))
        return applied(filters, mask), data


def some_voxels(dtype: str, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    rng = np.random.default_rng(0)
    voxels = rng.normal(100, 9, shape).astype(dtype)
    voxels[shape[0] // 2 :] = 100  # LZ4 finds nothing in noise alone
    return voxels


@pytest.mark.parametrize("dtype", ["<i2", "|u1", "<u2", "<f4"])
@pytest.mark.parametrize("codec", PIPELINES)
def test_bricks_that_libhdf5_wrote_are_decoded_to_the_same_voxels(
    tmp_path: Path, codec: str, dtype: str
):
    for shape in (SHAPE, (3, 32, 5), (1, 1, 1)):
        voxels = some_voxels(dtype, shape)
        filters, stored = chunk_by_h5py(tmp_path / "x.h5", codec, voxels)
        assert filters == PIPELINES[codec] or voxels.size < 500
        out = np.empty(shape, dtype)
        decode_brick(stored, filters, dtype, out)
        np.testing.assert_array_equal(out, voxels)
        out[...] = 0
        decode_brick(memoryview(bytearray(stored)), filters, dtype, out, check=False)
        np.testing.assert_array_equal(out, voxels)


def test_fletcher32_is_the_checksum_of_libhdf5(tmp_path: Path):
    draw = np.random.default_rng(0)
    for size in (1, 2, 3, 255, 65_535, 65_536, 65_537, 200_001):
        for data in (
            draw.integers(0, 256, size, dtype=np.uint8),
            np.zeros(size, np.uint8),
            np.full(size, 255, np.uint8),
        ):
            with h5py.File(tmp_path / "x.h5", "w") as file:
                file.create_dataset("x", data=data, chunks=data.shape, fletcher32=True)
                file.flush()
                stored = file["x"].id.read_direct_chunk((0,))[1]
            assert int.from_bytes(stored[-4:], "little") == fletcher32(data.tobytes())
    assert fletcher32(b"") == 0


@pytest.mark.parametrize("codec", PIPELINES)
def test_every_flipped_bit_of_a_stored_brick_is_found(tmp_path: Path, codec: str):
    stored = written_by_h5py(tmp_path / "x.h5", codec, some_voxels("<i2", (6, 7, 9)))
    out = np.empty((6, 7, 9), "<i2")
    for bit in range(8 * len(stored)):
        changed = bytearray(stored)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptCaseError, match="checksum"):
            decode_brick(changed, PIPELINES[codec], "<i2", out)


def resealed(payload: bytes) -> bytes:
    """A brick with a right checksum, as somebody would make who means harm."""
    return payload + fletcher32(payload).to_bytes(4, "little")


@pytest.mark.parametrize("codec", PIPELINES)
def test_a_brick_cut_short_is_refused_whatever_its_checksum(tmp_path: Path, codec: str):
    stored = written_by_h5py(tmp_path / "x.h5", codec, some_voxels("<i2"))
    out = np.empty(SHAPE, "<i2")
    for length in (0, 3, 9, 15, 16, 40, len(stored) - 5):
        with pytest.raises(CorruptCaseError):
            decode_brick(resealed(stored[:length]), PIPELINES[codec], "<i2", out)
    for length in (0, 1, 3):
        with pytest.raises(CorruptCaseError, match="no checksum"):
            decode_brick(stored[:length], PIPELINES[codec], "<i2", out)


def test_a_stream_that_explodes_is_stopped_at_the_size_of_a_brick():
    import tracemalloc

    bomb = resealed(zlib.compress(bytes(200_000_000), 9))
    tracemalloc.start()
    with pytest.raises(CorruptCaseError, match="deflate stream of 65536 bytes"):
        decode_brick(bomb, (2, 1, 3), "<i2", np.empty(SHAPE, "<i2"))
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_a_blosc_header_that_promises_another_size_or_codec_is_refused(tmp_path: Path):
    stored = written_by_h5py(tmp_path / "x.h5", "lz4", some_voxels("<i2"))
    for place, value in (
        (0, 3),  # format of another Blosc
        (2, 0x05),  # BloscLZ
        (2, 0x25),  # bits shuffled
        (3, 4),  # items of another size
        (7, 0x7F),  # two gigabytes
        (4, 1),
        (11, 0x7F),  # blocks of two gigabytes
        (12, 1),  # another stored length
    ):
        changed = bytearray(stored[:-4])
        changed[place] = value
        with pytest.raises(CorruptCaseError, match="a brick"):
            decode_brick(resealed(bytes(changed)), (32001, 3), "<i2", np.empty(SHAPE, "<i2"))
    require_blosc(stored[:16], len(stored) - 4, 2, 65_536)


def test_filters_that_no_case_has_and_arrays_that_do_not_fit_are_refused():
    stored = resealed(bytes(65_536))
    out = np.empty(SHAPE, "<i2")
    for filters in ((), (2,), (1,), (3, 3), (32000, 3), (3, 1)):
        with pytest.raises(CorruptCaseError, match="went through the filters"):
            decode_brick(stored, filters, "<i2", out)
    with pytest.raises(ValueError, match="cannot be decoded into"):
        decode_brick(stored, (3,), "<u2", out)
    with pytest.raises(ValueError, match="not in place"):
        decode_brick(stored, (3,), "<i2", out.T)
    assert applied((2, 1, 3), 0b010) == (2, 3)
    with pytest.raises(CorruptCaseError, match=r"\[2, 1\]"):
        applied((2, 1, 3), 0b100)


def test_without_blosc_the_way_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "blosc", None)
    blosc.cache_clear()
    with pytest.raises(UnsupportedError, match=r'pip install "MedPrep\[lz4\]"'):
        blosc()
