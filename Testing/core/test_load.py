"""Loading: what was packed comes back, in every kind of process, and damage is named."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from core.cohort_samples import RECIPE, SCHEMA, build_cohort, packed_case

from MedPrepLib import layout
from MedPrepLib.config.settings import Pack
from MedPrepLib.errors import CohortError, CorruptCaseError
from MedPrepLib.load import CohortDataset, EpochSampler, open_cohort, read_case
from MedPrepLib.load.index import NoSuchCaseError
from MedPrepLib.pack import write_case
from MedPrepLib.window import WindowError

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    build_cohort(folder)
    return folder


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    return tmp_path / write_case(tmp_path, packed_case(), Pack(), SCHEMA).name


@pytest.mark.parametrize("codec", ["raw", "lz4", "gzip"])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_case_comes_back_as_it_was_packed(tmp_path: Path, codec: str, modality: str):
    packed = packed_case(modality=modality)
    path = tmp_path / write_case(tmp_path, packed, Pack(codec=codec), SCHEMA).name
    loaded = read_case(path)
    assert loaded.image.dtype == (np.int16 if modality == "CT" else np.float32)
    np.testing.assert_array_equal(loaded.image, packed.image.array)
    np.testing.assert_array_equal(loaded.mask, packed.mask)
    assert loaded.geometry == packed.image.geometry
    assert loaded.volume.at((12, 30, 7)) == packed.image.at((12, 30, 7))
    assert loaded.spacing == packed.image.geometry.spacing
    assert loaded.labels == SCHEMA
    assert loaded.pad_value == packed.pad_value
    assert loaded.annotated
    assert loaded.recipe_hash == RECIPE
    assert loaded.meta == dict(packed.meta)
    assert loaded.statistics["mean"] == packed.statistics.mean
    assert loaded.statistics["percentiles"] == packed.statistics.percentiles
    assert loaded.consensus["tied_voxels"] == 5
    assert set(loaded.readings) == set(packed.readings)
    for rater, original in packed.readings.items():
        assert loaded.readings[rater].segments == original.segments
        for ours, theirs in zip(loaded.readings[rater].layers, original.layers, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_an_empty_reading_stays_different_from_none(shard: Path):
    reading = read_case(shard).readings["Dr. B"]
    assert "nothing" in reading.names
    assert not reading.mask("nothing").any()
    assert reading.find("right kidney") is None


def test_targets_name_the_same_voxels_as_the_mask(shard: Path):
    case = read_case(shard)
    k0, j0, i0, k1, j1, i1 = case.boxes[0]
    inside = case.mask[k0:k1, j0:j1, i0:i1] == case.box_labels[0]
    assert inside.all()
    assert inside.sum() == (case.mask == 7).sum()
    present = case.slice_labels()
    for column, label in enumerate(SCHEMA):
        expected = (case.mask == label.value).any(axis=(1, 2))
        np.testing.assert_array_equal(present[:, column], expected)
    k, j, i = case.foreground["tumor / Läsion"].T
    assert (case.mask[k, j, i] == 7).all()
    assert case.foreground["right kidney"].shape == (0, 3)


def test_parts_are_disjoint_complete_and_follow_the_folds(cohort: Path):
    index = open_cohort(cohort)
    ids = {name: [c.id for c in index.select(name, 0)] for name in ("train", "validation", "test")}
    assert ids == {
        "train": ["case-1", "case-3"],
        "validation": ["case-0", "case-2"],
        "test": ["case-4"],
    }
    assert [c.id for c in index.select("train", 1)] == ids["validation"]
    assert [c.id for c in index.select("train", None)] == [f"case-{n}" for n in range(4)]
    assert len(index.select(None)) == len(CohortDataset(cohort, split=None)) == 5
    assert index.labels == SCHEMA
    for split, fold in (("train", 7), ("validation", None), ("valid", 0)):
        with pytest.raises(NoSuchCaseError, match="folds are"):
            index.select(split, fold)
    with pytest.raises(NoSuchCaseError, match="no case 'x'"):
        index.path_of("x")
    assert index.read("case-2").id == "case-2"


def test_an_item_holds_channel_first_arrays_and_where_they_lie(cohort: Path):
    dataset = CohortDataset(cohort, "train", as_torch=False)
    item = dataset[0]
    packed = packed_case("case-1", (41, 45, 37), seed=1)
    assert item["image"].shape == item["mask"].shape == (1, 37, 45, 41)
    np.testing.assert_array_equal(item["image"][0], packed.image.array)
    np.testing.assert_array_equal(item["mask"][0], packed.mask)
    assert (item["id"], item["patient"]) == ("case-1", "P-1")
    np.testing.assert_array_equal(item["spacing"], (0.7, 0.9, 2.5))
    np.testing.assert_array_equal(item["affine"], packed.image.geometry.affine)
    assert [x["id"] for x in dataset] == ["case-1", "case-3"]
    assert dataset[-1]["id"] == "case-3"
    with pytest.raises(IndexError):
        dataset[2]


def test_windows_come_from_the_study_file(cohort: Path):
    stored = CohortDataset(cohort, "test", as_torch=False)[0]["image"].astype(np.float64)
    for name, (level, width) in {"lung": (-600, 1500), "narrow": (40, 80)}.items():
        scaled = CohortDataset(cohort, "test", window=name, as_torch=False)[0]["image"]
        expected = np.clip((stored - level + width / 2) / width, 0, 1)
        np.testing.assert_allclose(scaled, expected, atol=1e-6)
        pair = CohortDataset(cohort, "test", window=(level, width), as_torch=False)[0]["image"]
        np.testing.assert_array_equal(pair, scaled)
    with pytest.raises(WindowError, match="known: lung, narrow, percentiles, zscore, cohort"):
        CohortDataset(cohort, window="bone")
    with pytest.raises(WindowError, match="positive"):
        CohortDataset(cohort, window=(0, 0))


def test_a_window_in_hounsfield_units_leaves_mr_to_its_own_percentiles(cohort: Path):
    """The MR of a mixed cohort; MONAI interpolates between two voxels, we take one of them."""
    transforms = pytest.importorskip("monai.transforms")
    scaled = {}
    for window in ("lung", "percentiles"):
        items = CohortDataset(cohort, None, window=window, as_torch=False)
        scaled[window] = {item["id"]: item for item in items}
    for case in CohortDataset(cohort, None).cases:
        lung, own = (scaled[window][case.id]["image"] for window in ("lung", "percentiles"))
        assert np.array_equal(lung, own) == (case.modality == "MR")
        assert scaled["percentiles"][case.id]["pad_value"] == 0.0
        stored = open_cohort(cohort).read(case.id).image[np.newaxis].astype(np.float32)
        theirs = transforms.ScaleIntensityRangePercentiles(0.5, 99.5, 0.0, 1.0, clip=True)
        np.testing.assert_allclose(own, np.asarray(theirs(stored)), atol=2e-3)
        assert own.min() == 0.0
        assert own.max() == 1.0
        assert own.dtype == np.float32


def test_percentiles_that_were_not_packed_are_asked_for(cohort: Path):
    from MedPrepLib.load.intensities import Intensities
    from MedPrepLib.load.scaling import Scaling

    own = Intensities.of({"mean": 1.0, "std": 1.0, "percentiles": {"0.5": 0.0, "99": 7.0}})
    with pytest.raises(WindowError, match=r"percentiles 0\.5 and 99\.5: add them to standardize\."):
        Scaling("hounsfield", 40, 80).applied(np.zeros(3, np.int16), "MR", own)
    Scaling("hounsfield", 40, 80).applied(np.zeros(3, np.int16), "CT", own)


def test_z_scores_use_the_case_or_the_training_part(cohort: Path):
    stored = CohortDataset(cohort, "test", as_torch=False)[0]["image"].astype(np.float64)
    own = CohortDataset(cohort, "test", window="zscore", as_torch=False)[0]["image"]
    np.testing.assert_allclose(own, (stored - stored.mean()) / stored.std(), atol=1e-4)
    training = [
        packed_case(f"case-{n}", (40 + n, 45, 37), seed=n).image.array.ravel() for n in (0, 1, 2)
    ]
    pooled = np.concatenate(training).astype(np.float64)
    shared = CohortDataset(cohort, "test", window="cohort", as_torch=False)[0]["image"]
    np.testing.assert_allclose(shared, (stored - pooled.mean()) / pooled.std(), atol=1e-4)


def test_the_z_score_of_a_constant_case_is_zero(tmp_path: Path):
    from MedPrepLib.load.intensities import Intensities
    from MedPrepLib.load.scaling import Scaling

    packed = packed_case()
    flat = packed.image.with_array(np.full_like(packed.image.array, 9))
    statistics = type(packed.statistics)(9, 9.0, 0.0, 9.0, 9.0, {})
    constant = replace(packed, image=flat, statistics=statistics)
    path = tmp_path / write_case(tmp_path, constant, Pack(), SCHEMA).name
    own = Intensities(9.0, 0.0, 9.0, 9.0)
    for kind in ("zscore", "percentiles"):
        assert not Scaling(kind).applied(read_case(path).image, "MR", own).any()


def test_boxes_and_labels_follow_the_task(tmp_path: Path):
    build_cohort(tmp_path / "d", task="detection")
    item = CohortDataset(tmp_path / "d", "test", as_torch=False)[0]
    assert item["boxes"].tolist() == [[10, 25, 33, 12, 28, 37]]
    assert item["box_labels"].tolist() == [7]
    build_cohort(tmp_path / "c", task="classification")
    item = CohortDataset(tmp_path / "c", "test", as_torch=False)[0]
    assert item["labels"].tolist() == [1, 0, 1]
    assert item["slice_labels"].shape == (37, 3)
    assert item["mask"].any()


def test_a_transform_gets_the_item_last(cohort: Path):
    dataset = CohortDataset(cohort, "test", transform=lambda item: item["id"], as_torch=False)
    assert dataset[0] == "case-4"


@pytest.mark.fault("F54")
def test_a_dataset_pickles_and_reads_the_same(cohort: Path):
    dataset = CohortDataset(cohort, "train", window="lung", as_torch=False)
    assert dataset[0] is not None
    again = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(again[1]["image"], dataset[1]["image"])


@pytest.mark.fault("F54")
def test_no_file_stays_open(cohort: Path):
    dataset = CohortDataset(cohort, "train", as_torch=False)
    kept = [dataset[0], dataset[1]]
    handles = [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    assert len(kept) == 2
    assert not [handle for handle in handles if handle.suffix == ".h5"]


LOADER = """
import sys, warnings
from torch.utils.data import DataLoader
from MedPrepLib.load import CohortDataset
def main():
    first = CohortDataset(sys.argv[1], None)
    assert first[0]["image"].dtype.is_floating_point is False
    for workers, method in ((0, None), (2, "fork"), (1, "spawn")):
        loader = DataLoader(CohortDataset(sys.argv[1], None), batch_size=None,
                            num_workers=workers, multiprocessing_context=method)
        sums = {item["id"]: (int(item["image"].long().sum()), int(item["mask"].sum()))
                for item in loader}
        print(sorted(sums.items()))
    batch = next(iter(DataLoader(first, batch_size=1)))
    assert batch["image"].shape[:2] == (1, 1), batch["image"].shape
if __name__ == "__main__":
    main()
"""


@pytest.mark.fault("F54")
def test_torch_loaders_give_the_same_here_in_forked_and_in_spawned_workers(
    cohort: Path, tmp_path: Path
):
    from importlib.util import find_spec

    if find_spec("torch") is None:
        pytest.skip("torch is not installed")
    script = tmp_path / "train.py"
    script.write_text(LOADER, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(script), str(cohort)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    expected = [
        (item["id"], (int(item["image"].astype(np.int64).sum()), int(item["mask"].sum())))
        for item in CohortDataset(cohort, None, as_torch=False)
    ]
    assert lines == [str(expected)] * 3


def test_training_needs_numpy_and_h5py_only(cohort: Path):
    """Everything else of the core is made impossible to import, then a case is loaded."""
    script = (
        "import sys\n"
        "for name in ('msgspec', 'SimpleITK', 'pydicom', 'scipy', 'sklearn', 'click', 'jinja2',"
        " 'tqdm', 'filelock', 'PIL', 'nibabel'): sys.modules[name] = None\n"
        "from MedPrepLib.load import CohortDataset\n"
        "item = CohortDataset(sys.argv[1], 'test', window='lung', as_torch=False)[0]\n"
        "assert item['image'].shape == (1, 37, 45, 44)\n"
        "loaded = {name.split('.')[0] for name, module in sys.modules.items() if module}\n"
        "assert 'torch' not in loaded\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(cohort)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("codec", ["raw", "lz4", "gzip"])
@pytest.mark.parametrize(
    "name", ["image", "mask", "readings/Dr_B/layer1", "foreground/left_kidney"]
)
def test_a_flipped_bit_in_data_is_named_with_case_and_file(tmp_path: Path, codec: str, name: str):
    shard = tmp_path / write_case(tmp_path, packed_case(), Pack(codec=codec), SCHEMA).name
    with h5py.File(shard) as file:
        chunk = file[name].id.get_chunk_info(0)
    data = bytearray(shard.read_bytes())
    data[chunk.byte_offset + chunk.size // 3] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CorruptCaseError, match=r"case case-1, file .*case-1-\w+\.h5"):
        read_case(shard)


@pytest.mark.parametrize("text", [b"C01", b"tumor", b"inverted", b"case-1", b"background"])
def test_a_flipped_bit_in_the_attributes_is_noticed(tmp_path: Path, text: bytes):
    packed = packed_case()
    packed = replace(packed, meta={**packed.meta, "center": "C01", "image_type": "inverted"})
    shard = tmp_path / write_case(tmp_path, packed, Pack(), SCHEMA).name
    data = bytearray(shard.read_bytes())
    data[data.rindex(text)] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CohortError):
        read_case(shard)


def test_a_case_of_a_newer_version_is_refused_with_the_way_out(shard: Path):
    with h5py.File(shard, "r+") as file:
        file.attrs["format_version"] = layout.FORMAT_VERSION + 1
    with pytest.raises(CohortError, match="install a newer MedPrep"):
        read_case(shard)


def test_a_swapped_case_file_is_noticed(tmp_path: Path):
    build_cohort(tmp_path)
    names = {case.id: tmp_path / case.name for case in open_cohort(tmp_path).cases}
    names["case-4"].write_bytes(names["case-1"].read_bytes())
    with pytest.raises(CorruptCaseError, match="holds case case-1, not case-4"):
        CohortDataset(tmp_path, "test")[0]


def test_a_folder_without_a_manifest_is_no_cohort(tmp_path: Path):
    with pytest.raises(CohortError, match=r"has no manifest\.json"):
        open_cohort(tmp_path)
    with pytest.raises(CohortError, match=r"has no manifest\.json"):
        open_cohort(tmp_path / "missing")


@pytest.mark.parametrize("place", ["../outside.h5", "/etc/passwd", "cases/00/case-0.h5"])
def test_a_manifest_cannot_send_the_loader_elsewhere(cohort: Path, tmp_path: Path, place: str):
    tree = json.loads((cohort / layout.MANIFEST_NAME).read_bytes())
    tree["cases"][0]["shard"]["name"] = place
    (tmp_path / layout.MANIFEST_NAME).write_bytes(layout.sealed(tree)[0])
    with pytest.raises(CohortError, match="cannot lie at"):
        open_cohort(tmp_path)


def test_a_manifest_without_what_it_needs_is_refused(cohort: Path, tmp_path: Path):
    whole = json.loads((cohort / layout.MANIFEST_NAME).read_bytes())
    for key in ("cases", "schema", "config", "task", "normalization"):
        tree = {name: value for name, value in whole.items() if name != key}
        (tmp_path / layout.MANIFEST_NAME).write_bytes(layout.sealed(tree)[0])
        with pytest.raises(CohortError):
            open_cohort(tmp_path)


def test_a_sampler_tells_workers_that_stay_the_epoch(cohort: Path):
    def noisy(item, rng):
        return {**item, "noise": rng.random()}

    dataset = CohortDataset(cohort, "train", None, augment=noisy, as_torch=False)
    sampler = EpochSampler(len(dataset), shuffle=False)
    first = [dataset[number]["noise"] for number in sampler]
    assert first == [item["noise"] for item in dataset]
    sampler.set_epoch(1)
    second = [dataset[number]["noise"] for number in sampler]
    dataset.set_epoch(1)
    assert second == [item["noise"] for item in dataset]
    assert not set(first) & set(second)
