"""Packing: the file holds what went in, by independent readers, and is the same every time."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from core.cohort_samples import RECIPE, SCHEMA, packed_case

from MedPrepLib import layout
from MedPrepLib.config.settings import Pack
from MedPrepLib.errors import GeometryError, LabelError, MedPrepError, RunError, UnsupportedError
from MedPrepLib.filters import blosc
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.joint import label_counts
from MedPrepLib.load import read_case
from MedPrepLib.pack import PackedCase, write, write_case
from MedPrepLib.pack.foreground import sample_foreground
from MedPrepLib.segmentation import Segmentation

TESTING = Path(__file__).resolve().parents[1]


@pytest.fixture(params=["raw", "lz4", "gzip"])
def codec(request: pytest.FixtureRequest) -> str:
    if request.param == "lz4":
        pytest.importorskip("blosc")
        pytest.importorskip("hdf5plugin")
    return request.param


def test_plain_h5py_reads_every_voxel(tmp_path: Path, codec: str):
    packed = packed_case()
    shard = write_case(tmp_path, packed, Pack(codec=codec), SCHEMA)
    with h5py.File(tmp_path / shard.name) as file:
        np.testing.assert_array_equal(file["image"][()], packed.image.array)
        np.testing.assert_array_equal(file["mask"][()], packed.mask)
        assert (file["image"].dtype, file["mask"].dtype) == (np.int16, np.uint8)
        layer = file["readings/Dr_B/layer1"]
        np.testing.assert_array_equal(layer[()], packed.readings["Dr. B"].layers[1])
        assert layer.dtype == np.uint16
        assert file["readings/Dr_A_a"].attrs["rater"] == "Dr. A/ä"
        assert file["targets/boxes"][()].tolist() == [[10, 25, 33, 12, 28, 37]]
        assert file["targets/box_labels"][()].tolist() == [7]
        assert file["targets/slices"][()].tolist() == [[3, 6, 20], [7, 10, 12]]
        assert json.loads(file.attrs["statistics"])["count"] == packed.statistics.count
        assert json.loads(file.attrs["meta"])["kvp"] == 120.5
        assert [row["name"] for row in json.loads(file.attrs["labels"])] == list(SCHEMA.names)
        assert (file.attrs["case_id"], file.attrs["recipe_hash"]) == ("case-1", RECIPE)


def test_every_voxel_keeps_its_place_in_the_world(tmp_path: Path):
    """ITK, given the attributes of the file, must find the same value at the same millimeter."""
    import SimpleITK as sitk

    packed = packed_case()
    shard = write_case(tmp_path, packed, Pack(), SCHEMA)
    with h5py.File(tmp_path / shard.name) as file:
        image = sitk.GetImageFromArray(file["image"][()])
        image.SetSpacing(file.attrs["spacing"].tolist())
        image.SetOrigin(file.attrs["origin"].tolist())
        image.SetDirection(file.attrs["direction"].tolist())
        box = file["targets/boxes"][0]
    for index in [(0, 0, 0), (12, 30, 7), (69, 44, 36), (33, 25, 10)]:
        point = packed.image.geometry.point_at(index)
        assert image.TransformPhysicalPointToIndex(point) == index
        assert image[index] == packed.image.at(index)
    low = image.TransformContinuousIndexToPhysicalPoint([float(x) - 0.5 for x in box[2::-1]])
    np.testing.assert_allclose(low, packed.targets.boxes[0].low_mm, atol=1e-9)


def test_h5py_and_our_loader_agree_with_nibabel_in_millimeters(tmp_path: Path):
    import nibabel as nib

    packed = packed_case()
    shard = write_case(tmp_path, packed, Pack(), SCHEMA)
    loaded = read_case(tmp_path / shard.name)
    assert loaded.geometry == packed.image.geometry
    affine = np.diag([-1, -1, 1, 1]) @ loaded.geometry.affine
    point = nib.affines.apply_affine(affine, (12, 30, 7)) * (-1, -1, 1)
    np.testing.assert_allclose(point, packed.image.geometry.point_at((12, 30, 7)), atol=1e-9)


def test_bricks_of_air_and_background_are_not_stored(tmp_path: Path, codec: str):
    array = np.full((70, 70, 70), -1024, dtype=np.int16)
    array[40, 40, 40] = 5
    packed = _plain(array)
    shard = write_case(tmp_path, packed, Pack(codec=codec), SCHEMA)
    with h5py.File(tmp_path / shard.name) as file:
        assert file["image"].chunks == (32, 32, 32)
        assert file["image"].id.get_num_chunks() == 1
        assert file["mask"].id.get_num_chunks() == 0
        assert file["image"].fillvalue == -1024
        np.testing.assert_array_equal(file["image"][()], array)
        assert not file["mask"][()].any()


def test_noise_that_no_codec_makes_smaller_is_stored_all_the_same(tmp_path: Path, codec: str):
    noise = np.random.default_rng(0).integers(-32768, 32767, (33, 40, 64)).astype(np.int16)
    shard = write_case(tmp_path, _plain(noise), Pack(codec=codec), SCHEMA)
    with h5py.File(tmp_path / shard.name) as file:
        np.testing.assert_array_equal(file["image"][()], noise)
        assert file["image"].id.get_num_chunks() == 8
    np.testing.assert_array_equal(read_case(tmp_path / shard.name).image, noise)


def test_a_case_names_the_library_that_its_bytes_depend_on(tmp_path: Path, codec: str):
    shard = write_case(tmp_path, packed_case(), Pack(codec=codec), SCHEMA)
    with h5py.File(tmp_path / shard.name) as file:
        assert file.attrs["codec"] == codec
        library = file.attrs["codec_library"]
    assert library.partition(" ")[0] == {"raw": "", "gzip": "zlib", "lz4": "c-blosc"}[codec]


@pytest.mark.parametrize("missing", ["blosc", "hdf5plugin"])
def test_a_codec_that_is_missing_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
):
    blosc.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UnsupportedError, match=rf'{missing}: pip install "MedPrep\[lz4\]"'):
        write_case(tmp_path, packed_case(), Pack(codec="lz4"), SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_small_images_have_small_bricks(tmp_path: Path):
    shard = write_case(tmp_path, _plain(np.ones((3, 40, 5), dtype=np.int16)), Pack(), SCHEMA)
    with h5py.File(tmp_path / shard.name) as file:
        assert file["image"].chunks == (3, 32, 5)


@pytest.mark.parametrize("highest", [255, 256, 65_535])
def test_masks_are_uint8_only_when_the_labels_fit(tmp_path: Path, highest: int):
    from MedPrepLib.labels import Label, LabelSchema

    schema = LabelSchema((Label("a", 1), Label("b", highest)))
    mask = np.zeros((3, 4, 5), dtype=np.uint16)
    mask[1, 2, 3] = highest
    packed = replace(_plain(np.ones((3, 4, 5), dtype=np.int16)), mask=mask)
    shard = write_case(tmp_path, packed, Pack(), schema)
    with h5py.File(tmp_path / shard.name) as file:
        assert file["mask"].dtype == (np.uint8 if highest == 255 else np.uint16)
        assert file["mask"][1, 2, 3] == highest


def test_the_name_size_and_hash_returned_are_those_of_the_file(tmp_path: Path):
    shard = write_case(tmp_path, packed_case("a.b_c-1"), Pack(), SCHEMA)
    prefix = hashlib.sha256(b"a.b_c-1").hexdigest()[:2]
    data = (tmp_path / shard.name).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    assert (shard.size, shard.sha256) == (len(data), digest)
    assert shard.name == f"cases/{prefix}/a.b_c-1-{digest[:12]}.h5"
    assert stat.S_IMODE((tmp_path / shard.name).stat().st_mode) == 0o600
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.h5*")] == [shard.name]


@pytest.mark.fault("F52")
def test_a_dataset_that_somebody_still_holds_changes_no_byte(
    tmp_path: Path, codec: str, monkeypatch
):
    settings = Pack(codec=codec)
    plain = write_case(tmp_path / "plain", packed_case(), settings, SCHEMA)
    held = []
    for name in ("write_bricks", "write_table"):
        function = getattr(write, name)
        monkeypatch.setattr(
            write,
            name,
            lambda *given, _function=function, **more: (
                held.append(_function(*given, **more)) or held[-1]
            ),
        )
    assert write_case(tmp_path / "held", packed_case(), settings, SCHEMA) == plain
    assert len(held) > 5


@pytest.mark.fault("F52")
def test_the_same_case_gives_the_same_bytes_in_another_process(tmp_path: Path, codec: str):
    script = "print(write_case(folder, packed_case(), Pack(codec=sys.argv[2]), SCHEMA).sha256)"
    hashes = set()
    for seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo")):
        folder = tmp_path / f"folder{seed}" / ("deeper" * int(seed))
        run = _in_child(script, folder, codec, PYTHONHASHSEED=seed, TZ=zone)
        assert run.returncode == 0, run.stderr
        hashes.add(run.stdout.strip())
    assert len(hashes) == 1


@pytest.mark.fault("F52")
def test_no_time_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Object headers without times: the low-level information of every object says 0."""
    shard = write_case(tmp_path, packed_case(), Pack(), SCHEMA)
    with h5py.File(tmp_path / shard.name) as file:
        names = ["/"]
        file.visit(names.append)
        times = {h5py.h5g.get_objinfo(file[name].id).mtime for name in names}
    assert len(names) > 10
    assert times == {0}


def test_a_flipped_bit_in_voxels_is_noticed_by_plain_h5py(tmp_path: Path, codec: str):
    shard = write_case(tmp_path, packed_case(), Pack(codec=codec), SCHEMA)
    path = tmp_path / shard.name
    with h5py.File(path) as file:
        chunk = file["image"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + chunk.size // 2] ^= 4
    path.write_bytes(data)
    with h5py.File(path) as file, pytest.raises(OSError, match=r"(?i)filter|inflate|checksum"):
        file["image"][()]


def test_foreground_coordinates_are_even_exact_and_capped(tmp_path: Path):
    packed = packed_case()
    shard = write_case(tmp_path, packed, Pack(foreground_voxels=100), SCHEMA)
    with h5py.File(tmp_path / shard.name) as file:
        kidney = file["foreground/left_kidney"]
        tumor = file["foreground/tumor_Lasion"]
        assert kidney.dtype == np.int32
        assert (kidney.attrs["value"], kidney.attrs["voxels"]) == (3, 2800)
        assert kidney.shape == (100, 3)
        k, j, i = kidney[()].T
        assert (packed.mask[k, j, i] == 3).all()
        np.testing.assert_array_equal(tumor[()], np.argwhere(packed.mask == 7))
        assert "right_kidney" not in file["foreground"]
    everything = np.argwhere(packed.mask == 3)
    np.testing.assert_array_equal(np.stack([k, j, i], axis=1), everything[14::28])


def test_the_foreground_sample_does_not_depend_on_slabs(monkeypatch: pytest.MonkeyPatch):
    mask = np.random.default_rng(0).integers(0, 5, (20, 30, 40)).astype(np.uint16)
    counts = label_counts(mask)
    assert counts == {v: int((mask == v).sum()) for v in range(1, 5)}
    whole = sample_foreground(mask, counts, 77)
    monkeypatch.setattr("MedPrepLib.pack.foreground.SLAB_VOXELS", 997)
    assert label_counts(mask) == counts
    for value, coordinates in sample_foreground(mask, counts, 77).items():
        np.testing.assert_array_equal(coordinates, whole[value])
        everything = np.argwhere(mask == value)
        step = [(2 * m + 1) * len(everything) // 154 for m in range(77)]
        np.testing.assert_array_equal(coordinates, everything[step])


def test_no_foreground_is_kept_when_the_cap_is_zero(tmp_path: Path):
    shard = write_case(tmp_path, packed_case(), Pack(foreground_voxels=0), SCHEMA)
    assert read_case(tmp_path / shard.name).foreground["left kidney"].shape == (0, 3)


@pytest.mark.parametrize("case_id", ["", "../x", "a/b", "a b", "ä", "..", "x" * 65, "a\n", "a\\b"])
def test_ids_that_are_no_safe_file_names_are_refused(case_id: str):
    with pytest.raises(MedPrepError, match="case id"):
        replace(packed_case(), id=case_id)


@pytest.mark.parametrize("meta", [{"PatientName": "x"}, {"study_uid": "1.2"}, {"model": "x" * 300}])
def test_facts_that_are_not_on_the_allow_list_are_refused(meta: dict[str, str]):
    with pytest.raises(MedPrepError, match="meta"):
        replace(packed_case(), meta=meta)


def test_values_and_grids_that_do_not_fit_are_refused(tmp_path: Path):
    packed = packed_case()
    odd = np.where(packed.mask == 3, 200, 0).astype(np.uint8)
    elsewhere = Segmentation((packed.mask,), Geometry(packed.image.geometry.size), ())
    with pytest.raises(LabelError, match=r"\[200\]"):
        write_case(tmp_path, replace(packed, mask=odd), Pack(), SCHEMA)
    with pytest.raises(LabelError, match="unsigned"):
        replace(packed, mask=packed.mask.astype(np.int16))
    with pytest.raises(GeometryError, match="mask"):
        replace(packed, mask=packed.mask[1:])
    with pytest.raises(MedPrepError, match="float64"):
        replace(packed, image=packed.image.with_array(packed.image.array.astype(np.float64)))
    with pytest.raises(GeometryError, match="image grid"):
        replace(packed, readings={"R": elsewhere})
    assert list(tmp_path.iterdir()) == []


def test_raters_whose_names_look_alike_stay_apart(tmp_path: Path):
    packed = packed_case()
    reading = packed.readings["Dr. B"]
    raters = {"R 1": reading, "R_1": packed.readings["Dr. A/ä"], "日本": reading, "": reading}
    shard = write_case(tmp_path, replace(packed, readings=raters), Pack(), SCHEMA)
    loaded = read_case(tmp_path / shard.name)
    assert set(loaded.readings) == set(raters)
    for rater, original in raters.items():
        assert loaded.readings[rater].segments == original.segments
        for ours, theirs in zip(loaded.readings[rater].layers, original.layers, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_case_that_nobody_annotated_says_so(tmp_path: Path):
    packed = _plain(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    shard = write_case(tmp_path, packed, Pack(), SCHEMA)
    loaded = read_case(tmp_path / shard.name)
    assert not loaded.annotated
    assert not loaded.mask.any()
    assert (loaded.readings, loaded.consensus) == ({}, None)
    assert (loaded.boxes.shape, loaded.slices.shape) == ((0, 6), (0, 3))


@pytest.mark.fault("F3")
def test_too_little_space_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=300_000))
    with pytest.raises(RunError, match=r"needs up to [\d.]+ MB, and 0\.3 MB are free"):
        write_case(tmp_path, packed_case(), Pack(), SCHEMA)
    assert list(tmp_path.rglob("*.h5*")) == []


LIMITED = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
write_case(folder, packed_case(), Pack(), SCHEMA)
"""

KILLED = """
expected = write_case(folder / "whole", packed_case(), Pack(), SCHEMA)
for delay_ms in range(0, 40, 3):
    place = folder / str(delay_ms)
    child = os.fork()
    if child == 0:
        write_case(place, packed_case(), Pack(), SCHEMA)
        os._exit(0)
    time.sleep(delay_ms / 1000)
    os.kill(child, 9)
    os.waitpid(child, 0)
    for path in place.rglob("*.h5"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == expected.sha256
    assert write_case(place, packed_case(), Pack(), SCHEMA) == expected
    assert len(list(place.rglob("*.h5"))) == 1
"""


@pytest.mark.fault("F3")
def test_a_disk_that_fills_up_while_writing_leaves_no_case_behind(tmp_path: Path):
    """The limit is real (RLIMIT_FSIZE), in a child: HDF5 may crash on a full disk."""
    run = _in_child(LIMITED, tmp_path)
    assert run.returncode != 0
    assert list(tmp_path.rglob("*.h5")) == []
    write_case(tmp_path, packed_case(), Pack(), SCHEMA)
    assert [p.suffix for p in tmp_path.rglob("*") if p.is_file()] == [".h5"]


@pytest.mark.fault("F1")
def test_kill_9_at_any_moment_leaves_a_whole_case_or_none(tmp_path: Path):
    run = _in_child(KILLED, tmp_path)
    assert run.returncode == 0, run.stderr


def test_packing_takes_little_memory_beside_the_case(tmp_path: Path):
    array = np.random.default_rng(0).integers(-1000, 1000, (96, 256, 256)).astype(np.int16)
    packed = _plain(array)
    mask = np.zeros(array.shape, dtype=np.uint8)
    mask[20:60, 50:200, 50:200] = 3
    packed = replace(packed, mask=mask)
    tracemalloc.start()
    write_case(tmp_path, packed, Pack(), SCHEMA)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


def test_slugs_are_safe_unique_and_do_not_depend_on_order():
    names = ["Dr. A", "Dr A", "Dr_A", "../../etc", "ÄÖ", "", "x" * 99, "日本", "."]
    found = layout.slugs(names)
    assert found == layout.slugs(reversed(names))
    assert len(set(found.values())) == len(names)
    assert all(layout.is_safe_name(slug) and "." not in slug for slug in found.values())


IMPORTS = """
import hashlib, os, resource, signal, sys, time
from pathlib import Path
from types import SimpleNamespace
from core.cohort_samples import *
folder = Path(sys.argv[1])
"""


def _in_child(script: str, folder: Path, *arguments: str, **environment: str):
    path = os.pathsep.join([str(TESTING), str(TESTING.parent)])
    return subprocess.run(
        [sys.executable, "-c", IMPORTS + script, str(folder), *arguments],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _plain(array: np.ndarray) -> PackedCase:
    k, j, i = array.shape
    sample = packed_case()
    image = Volume(array, Geometry((i, j, k), (0.5, 0.5, 2.0)))
    return PackedCase("plain", image, -1024.0, None, sample.statistics, RECIPE)
