"""Patches of a cohort in one file: the same voxels from the middle of it, and no way out of it."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import numpy as np
import pytest
from core.cohort_samples import build_cohort

from MedPrepLib.errors import CohortError, CorruptCaseError
from MedPrepLib.export import export_cohort
from MedPrepLib.load import PatchDataset, ThreadLoader, build_index, open_cohort
from MedPrepLib.load.lmdbpages import value_places
from MedPrepLib.load.lmdbvalues import as_value, read_value

SIZE = (24, 20, 16)
GIVEN = {"samples_per_case": 4, "seed": 3, "as_torch": False}


@pytest.fixture(params=["hdf5", "lmdb"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "lmdb":
        pytest.importorskip("lmdb")
    return request.param


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort") / "c"
    build_cohort(folder)
    return folder


def require_same_patches(one: PatchDataset, folder: PatchDataset) -> None:
    assert len(one) == len(folder) > 0
    for ours, theirs in zip(one, folder, strict=True):
        assert ours["id"] == theirs["id"]
        for name in ("image", "mask", "position", "affine", "pad_value"):
            np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize("codec", ["raw", "lz4", "gzip"])
def test_patches_of_one_file_are_those_of_the_folder(tmp_path: Path, kind: str, codec: str):
    pytest.importorskip("blosc")
    build_cohort(tmp_path / "cohort", codec=codec)
    export_cohort(tmp_path / "cohort", kind, tmp_path / "one")
    one = PatchDataset(tmp_path / "one", SIZE, None, advise=True, **GIVEN)
    folder = PatchDataset(tmp_path / "cohort", SIZE, None, **GIVEN)
    require_same_patches(one, folder)
    require_same_patches(pickle.loads(pickle.dumps(one)), folder)


def test_threads_read_one_file_as_they_read_the_folder(cohort: Path, tmp_path: Path, kind: str):
    export_cohort(cohort, kind, tmp_path / "one")
    batches = [
        [(batch["id"], batch["image"].copy()) for batch in ThreadLoader(dataset, 3)]
        for dataset in (
            PatchDataset(place, SIZE, None, window="percentiles", **GIVEN)
            for place in (tmp_path / "one", cohort)
        )
    ]
    for (ours, image), (theirs, expected) in zip(*batches, strict=True):
        assert ours == theirs
        np.testing.assert_array_equal(image, expected)


def test_an_index_is_kept_beside_one_file_and_belongs_to_it_alone(
    cohort: Path, tmp_path: Path, kind: str
):
    one = tmp_path / "one"
    export_cohort(cohort, kind, one)
    path = build_index(one)
    assert path == (one / "load.index" if kind == "lmdb" else tmp_path / "one.load.index")
    dataset = PatchDataset(one, SIZE, None, **GIVEN)
    assert dataset.tables.from_index
    require_same_patches(dataset, PatchDataset(cohort, SIZE, None, **GIVEN))
    if kind == "hdf5":  # offsets count from the beginning of this file, not of a case file
        path.rename(cohort / "load.index")
        assert not PatchDataset(cohort, SIZE, None).tables.from_index
        (cohort / "load.index").unlink()


@pytest.mark.fault("F35")
def test_a_flipped_bit_in_one_file_is_found_by_the_patch_that_touches_it(
    cohort: Path, tmp_path: Path, kind: str
):
    one = tmp_path / "one"
    export_cohort(cohort, kind, one)
    place = one / "data.mdb" if kind == "lmdb" else one
    build_index(one)  # so that no case is read whole, which would find it, too
    entry = open_cohort(cohort).cases[2]
    mapped = PatchDataset(one, SIZE, None).tables.mapped(entry)
    start = mapped._start + int(mapped.table.bricks["image"].offsets.max())
    data = bytearray(place.read_bytes())
    assert data[start : start + 64] in (cohort / entry.name).read_bytes()
    data[start + 9] ^= 16
    place.write_bytes(data)
    grid = PatchDataset(one, SIZE, None, sampling="grid", as_torch=False)
    with pytest.raises(CorruptCaseError, match=f"case {entry.id}, file .*checksum"):
        list(grid)


def test_values_are_found_where_lmdb_itself_keeps_them(tmp_path: Path):
    lmdb = pytest.importorskip("lmdb")
    draw = np.random.default_rng(0)
    blobs = [draw.bytes(n) for n in (4000, 5000, 4096 * 3 - 96, 70_000, 1)]
    with lmdb.open(str(tmp_path / "x"), map_size=1 << 22) as environment:
        for turn in range(3):  # what is written over leaves pages behind
            for n, blob in enumerate(blobs):
                with environment.begin(write=True) as transaction:
                    transaction.put(b"%d" % n, as_value(blob + bytes([turn])))
    data = (tmp_path / "x" / "data.mdb").read_bytes()
    places = value_places(tmp_path / "x")
    for n, blob in enumerate(blobs[:-1]):
        kept = read_value(tmp_path / "x", str(n))
        assert kept == blob + bytes([2])
        begin, size = places[as_value(kept)[40:72].hex()]
        assert data[begin : begin + size] == kept


@pytest.mark.fault("F34")
def test_pages_that_point_anywhere_lead_to_no_byte_outside_of_the_file(
    cohort: Path, tmp_path: Path
):
    pytest.importorskip("lmdb")
    export_cohort(cohort, "lmdb", tmp_path / "one")
    dataset = PatchDataset(tmp_path / "one", SIZE, None, **GIVEN)
    expected = dataset[0]
    frozen = pickle.dumps(dataset)
    path = tmp_path / "one" / "data.mdb"
    data = path.read_bytes()
    draw = random.Random(0)
    starts = [begin - 88 for begin, _ in value_places(tmp_path / "one").values()]
    for _ in range(40):
        changed = bytearray(data)
        for start in starts:  # numbers of pages, flags, lengths of runs, sizes of values
            changed[start + draw.randrange(88)] ^= 1 << draw.randrange(8)
        path.write_bytes(changed[: draw.choice([len(data), draw.randrange(8192, len(data))])])
        try:
            found = pickle.loads(frozen)[0]
        except CohortError:
            continue
        np.testing.assert_array_equal(found["image"], expected["image"])
