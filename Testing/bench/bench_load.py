"""How fast patches of a packed cohort are beside other ways to load them, as ratios with targets.

Run from the repository root: ``python Testing/bench/bench_load.py [--cases 12] [--rounds 3]``. CPU
time of one process and one thread each, candidates take turns in one run, medians; files are in
the page cache. Rows that say cold are wall clock, on files dropped from it. A tool that is not
installed is named and left out; a slow one loads fewer patches. Patches are 96 x 96 x 96 voxels of
an int16 image and its mask, in batches of two; a patch's time is what is printed. nnU-Net's own
loader hands over float32, so its row is compared with our batches of float32 tensors as well.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from MedPrepLib.config.settings import Pack
from MedPrepLib.errors import UnsupportedError
from MedPrepLib.export import export_cohort
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, to_sitk
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.load import PatchDataset, ThreadLoader
from MedPrepLib.manifest import Manifest, ManifestCase, write_manifest
from MedPrepLib.pack import PackedCase, write_case
from MedPrepLib.results import Statistics

REPOSITORY = Path(__file__).resolve().parents[2]
SHAPE = (120, 512, 512)
EDGE = 96
GRID = Geometry(SHAPE[::-1], (0.8, 0.8, 2.5), (-200.0, -190.0, 30.0))
SCHEMA = LabelSchema((Label("organ", 1), Label("lesion", 2)))
MEMORY_TARGET_MB = 60
SETTLE_S = 0.5
"""Threads of the tool before go on spinning for a while; CPU time is that of all threads."""
CODECS = ("raw", "lz4", "gzip")


# --- data -----------------------------------------------------------------------------------


def phantom(seed):
    """A noisy body in air with an organ and a lesion; packs 2.5 times smaller, as real CT does."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    k, j, i = (np.linspace(-1, 1, n, dtype=np.float32) for n in SHAPE)
    radius = j[:, None] ** 2 / 0.6 + i**2 / 0.8
    soft = ndimage.zoom(rng.normal(40, 60, (8, 12, 12)).astype(np.float32), (15, 43, 43), order=1)
    image = np.empty(SHAPE, np.int16)
    for n, slice_ in enumerate(image):
        noise = rng.normal(0, 14, slice_.shape).astype(np.float32)
        slice_[...] = np.where(radius < 1, soft[n, :512, :512] + noise, noise / 2 - 1000)
        slice_[j[:, None] ** 2 + i**2 > 1] = -1024
    mask = np.zeros(SHAPE, np.uint8)
    c = rng.uniform(-0.3, 0.3, 3)
    away = (k[:, None, None] - c[0]) ** 2 / 3 + (j[:, None] - c[1]) ** 2 + (i - c[2]) ** 2
    mask[away < 0.03] = 1
    mask[away < 0.002] = 2
    return image, mask


def make_data(folder, count):
    """Every candidate's files: case files by codec, .npy, NIfTI, DICOM."""
    import SimpleITK as sitk

    rows = {codec: [] for codec in CODECS}
    for n in range(count):
        image, mask = phantom(n)
        mean, std = float(image.mean()), float(image.std())
        packed = PackedCase(
            f"c{n:03}", Volume(image, GRID), -1024, mask,
            Statistics(image.size, mean, std, -1024.0, float(image.max()), {}), "ab" * 32,
            meta={"modality": "CT"},
        )  # fmt: skip
        for codec in CODECS:
            shard = write_case(folder / codec, packed, Pack(codec=codec), SCHEMA)
            rows[codec].append(ManifestCase(packed.id, f"P{n}", "C", "CT", "train", 0, shard))
        for name, array in (("image", image), ("mask", mask)):
            np.save(folder / f"{name}{n}.npy", array)
        if n < 4:
            for name, array in (("image", image), ("mask", mask)):
                sitk.WriteImage(to_sitk(Volume(array, GRID)), folder / f"{name}{n}.nii.gz")
            write_dicom(sitk, folder / f"dicom{n}", image)
    for codec in CODECS:
        write_manifest(folder / codec, manifest_of(rows[codec]))
    with contextlib.suppress(UnsupportedError):  # without lmdb its rows are left out
        export_cohort(folder / "raw", "lmdb", folder / "one.lmdb")


def manifest_of(rows):
    return Manifest(
        "0", "bench", "segmentation", 'name = "bench"\n', "cd" * 32, "ab" * 32, SCHEMA, tuple(rows)
    )


def write_dicom(sitk, folder, image):
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    for n, pixels in enumerate(image):
        slice_ = sitk.GetImageFromArray(pixels)
        slice_.SetMetaData("0020|0032", f"0\\0\\{2.5 * n}")
        slice_.SetMetaData("0020|0013", str(n))
        writer.SetFileName(str(folder / f"{n:03}.dcm"))
        writer.Execute(slice_)


# --- candidates: each is a function that loads ``count`` patches --------------------------------


def places(count, cases, seed=0):
    """Case and position of each patch, the same for all that can be told."""
    rng = np.random.default_rng(seed)
    for n in range(count):
        yield n % cases, [int(rng.integers(0, size - EDGE + 1)) for size in SHAPE]


def cut(array, start):
    return array[tuple(slice(a, a + EDGE) for a in start)]


def patches_of(folder, codec, cases, **settings):
    given = {"sampling": "uniform", "as_torch": False, **settings}
    return PatchDataset(folder / codec, (EDGE,) * 3, None, samples_per_case=20, **given)


def bricks(dataset):
    """Our bricks into a reused batch of two, as a training loop without threads would."""
    image = np.empty((2, 1, EDGE, EDGE, EDGE), dataset.item(0)["image"].dtype)
    mask = np.empty(image.shape, np.uint8)
    epochs = itertools.count()

    def load(count):
        epoch = next(epochs)
        for n in range(count):
            into = {"image": image[n % 2], "mask": mask[n % 2]}
            dataset.item(n * 7 % len(dataset), epoch, into)

    return load


def threads(dataset):
    loader = ThreadLoader(dataset, 2, threads=2)

    def load(count):
        for n, _ in zip(range(count // 2), loader, strict=False):
            loader.set_epoch(n)

    return load


def data_loader(dataset):
    """What a training script without worker processes gets: batches of two, as tensors."""
    data = importlib.import_module("torch.utils.data")
    dataset = copy.copy(dataset)
    dataset.as_torch = True

    def load(count):
        for _ in zip(range(count // 2), data.DataLoader(dataset, 2, shuffle=True), strict=False):
            pass

    return load


def memmap(folder, cases):
    image = np.empty((2, EDGE, EDGE, EDGE), np.int16)
    mask = np.empty(image.shape, np.uint8)

    def load(count):
        for n, (case, start) in enumerate(places(count, cases)):
            for out, name in ((image, "image"), (mask, "mask")):
                out[n % 2] = cut(np.load(folder / f"{name}{case}.npy", mmap_mode="r"), start)

    return load


def hyperslabs(folder, codec, cases):
    import h5py

    files = [h5py.File(path, "r", locking=False) for path in sorted((folder / codec).rglob("*.h5"))]

    def load(count):
        for case, start in places(count, cases):
            for name in ("image", "mask"):
                cut(files[case][name], start)

    return load


def lmdb_volumes(lmdb, folder, cases):
    """Whole arrays as LMDB values, patches cut out of the mapped value."""
    env = lmdb.open(str(folder / "lmdb"), map_size=1 << 40, readahead=False)
    with env.begin(write=True) as text:
        for n in range(cases):
            for name in ("image", "mask"):
                text.put(f"{name}{n}".encode(), np.load(folder / f"{name}{n}.npy").tobytes())

    def load(count):
        with env.begin(buffers=True) as text:
            for case, start in places(count, cases):
                for name, kind in (("image", np.int16), ("mask", np.uint8)):
                    value = np.frombuffer(text.get(f"{name}{case}".encode()), kind)
                    cut(value.reshape(SHAPE), start).copy()

    return load


def nnunet_dataset(nnunet, folder, cases):
    """nnU-Net's preprocessed data set of the same cases, saved as its preprocessor saves them."""
    target = folder / "nnunet"
    target.mkdir(exist_ok=True)
    shape = (1, *SHAPE)
    blocks, chunks = nnunet.comp_blosc2_params(shape, (EDGE,) * 3)
    for n in range(cases):
        if not (target / f"c{n:03}.pkl").is_file():
            image = np.load(folder / f"image{n}.npy").astype(np.float32)[None]
            mask = np.load(folder / f"mask{n}.npy").astype(np.int8)[None]
            found = {label: np.argwhere(mask == label)[::97] for label in (1, 2)}
            nnunet.nnUNetDatasetBlosc2.save_case(
                (image - image.mean()) / image.std(), mask, {"class_locations": found},
                str(target / f"c{n:03}"), chunks=chunks, blocks=blocks,
            )  # fmt: skip
    return nnunet.nnUNetDatasetBlosc2(str(target))


def nnunet_batches(dataset):
    """nnUNetDataLoader without transforms: crops, batches of two, tensors of float32."""
    loading = importlib.import_module("nnunetv2.training.dataloading.data_loader")
    labels = importlib.import_module("nnunetv2.utilities.label_handling.label_handling")
    manager = labels.LabelManager({"background": 0, "organ": 1, "lesion": 2}, None)
    edges = (EDGE,) * 3
    loader = loading.nnUNetDataLoader(dataset, 2, edges, edges, manager)

    def load(count):
        for _ in range(count // 2):
            loader.generate_train_batch()

    return load


def nnunet_crops(dataset):
    """What its loader does to read a patch, and nothing else."""

    def load(count):
        for case, start in places(count, len(dataset.identifiers)):
            for array in dataset.load_case(dataset.identifiers[case])[:2]:
                array[(slice(None), *(slice(a, a + EDGE) for a in start))]

    return load


def naive(folder, source):
    """What a __getitem__ does that decodes the whole case for every item."""
    import SimpleITK as sitk

    def read(case):
        if source == "NIfTI":
            return sitk.ReadImage(folder / f"image{case}.nii.gz")
        return sitk.ReadImage(sorted(map(str, (folder / f"dicom{case}").iterdir())))

    def load(count):
        for case, start in places(count, 4):
            for image in (read(case), sitk.ReadImage(folder / f"mask{case}.nii.gz")):
                cut(sitk.GetArrayViewFromImage(image), start).copy()

    return load


def nibabel_crops(nib, folder):
    """A slice of nibabel's array proxy: the gzip stream is decoded up to the patch's end."""

    def load(count):
        for case, start in places(count, 4):
            for name in ("image", "mask"):
                proxy = nib.load(folder / f"{name}{case}.nii.gz").dataobj
                np.asarray(proxy[tuple(slice(a, a + EDGE) for a in start[::-1])])

    return load


def torchio_queue(tio, folder):
    def load(count):
        subjects = [
            tio.Subject(
                image=tio.ScalarImage(folder / f"image{n}.nii.gz"),
                mask=tio.LabelMap(folder / f"mask{n}.nii.gz"),
            )
            for n in range(4)
        ]
        sampler = tio.data.UniformSampler(EDGE)
        queue = tio.Queue(tio.SubjectsDataset(subjects), 4, 1, sampler)
        for n in range(count):
            queue[n % len(queue)]

    return load


def monai_cache(folder, *, persistent=False):
    """Decoded cases in memory (or as torch saved them), a random crop for each item."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = importlib.import_module("monai.data")
        t = importlib.import_module("monai.transforms")
    keys = ["image", "mask"]
    files = [{key: folder / f"{key}{n}.nii.gz" for key in keys} for n in range(4)]
    chain = t.Compose(
        [
            t.LoadImaged(keys),
            t.EnsureChannelFirstd(keys),
            t.RandSpatialCropd(keys, (EDGE,) * 3, random_size=False),
        ]
    )
    if persistent:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cached = data.PersistentDataset(files, chain, folder / "persistent")
    else:
        cached = data.CacheDataset(files, chain, progress=False, num_workers=1)
    return lambda count: [cached[n % 4] for n in range(count)]


# --- measuring ------------------------------------------------------------------------------


class Table:
    """Median milliseconds a patch, and what each is of our raw bricks."""

    def __init__(self, rounds):
        self.rounds = rounds
        print(f"{'':<48}{'ms a patch':>12}{'ratio':>10}{'target':>12}")

    def rows(self, ours, candidates):
        """``candidates``: (name, work, patches a round, target as (lowest, of ours / of it))."""
        times = {name: [] for name, *_ in candidates}
        for _, work, count, _ in candidates:
            work(count if count > 20 else 4)  # what is quick is slower the first time
        for turn in range(self.rounds):
            for name, work, count, _ in candidates:
                if count > 9 or turn < 2:
                    time.sleep(SETTLE_S)
                    start = time.process_time()
                    work(count)
                    times[name].append((time.process_time() - start) / count * 1e3)
        medians = {name: statistics.median(values) for name, values in times.items()}
        for name, _, _, target in candidates:
            self.line(name, medians[name], medians[ours], target)
        return medians

    def line(self, name, ms, ours, target):
        ratio = ms / ours
        shown, met = ("", "") if target is None else (f">= {target:g}x", ratio >= target)
        missed = "  missed" if target is not None and not met else ""
        print(f"{name:<48}{ms:9.2f} ms{ratio:9.2f}x{shown:>12}{missed}", flush=True)


def peer(name):
    """The module of another tool; None, and a line, when it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed; its rows are left out (pip install '.[bench]')")
        return None


def verified(dataset):
    """The dataset after its bricks were read once: checksums are verified at the first touch."""
    whole = copy.copy(dataset)
    whole.sampling = "grid"
    places = [len(whole._grid(whole.tables.table(entry))) for entry in whole.cases]
    whole._ends = list(itertools.accumulate(places))
    for n in range(len(whole)):
        whole.item(n)
    return dataset


def as_floats(folder, dataset, cases):
    """The same patches as float32 in [0, 1], of bricks that were verified for ``dataset``."""
    floats = patches_of(folder, dataset.tables.folder.name, cases, window=(-600.0, 1500.0))
    floats.tables = dataset.tables
    return floats


def warm_rows(table, folder, cases):
    raw, packed, portable = (verified(patches_of(folder, x, cases)) for x in CODECS)
    ours = "bricks raw"
    rows = [
        (ours, bricks(raw), 200, None),
        ("bricks raw, 2 threads reading ahead", threads(raw), 200, None),
        ("bricks lz4", bricks(packed), 200, None),
        ("bricks lz4, 2 threads reading ahead", threads(packed), 200, None),
        ("bricks raw, as float32 in [0, 1]", bricks(as_floats(folder, raw, cases)), 100, None),
        ("bricks lz4, as float32 in [0, 1]", bricks(as_floats(folder, packed, cases)), 100, None),
        ("bricks gzip", bricks(portable), 20, None),
        ("np.memmap of .npy", memmap(folder, cases), 200, 1),
        ("h5py hyperslabs, raw", hyperslabs(folder, "raw", cases), 100, 1),
        ("h5py hyperslabs, gzip", hyperslabs(folder, "gzip", cases), 10, 1),
        ("NIfTI whole, SimpleITK", naive(folder, "NIfTI"), 4, 100),
        ("DICOM whole, SimpleITK", naive(folder, "DICOM"), 4, 100),
    ]
    rows += [*peer_rows(folder, cases), *tensor_rows(folder, raw, packed, cases)]
    medians = table.rows(ours, rows)
    shares_of_lz4(medians)
    if NNUNET in medians:
        table.line(f"{NNUNET} beside ours", medians[NNUNET], medians[TENSORS], 3)


def shares_of_lz4(medians):
    """How near lz4 comes to raw; the target is that of a training loop, which wants floats."""
    for what in BARE + LOADERS:
        if f"bricks raw{what}" in medians:
            share = medians[f"bricks raw{what}"] / medians[f"bricks lz4{what}"]
            shown = ">= 0.6x" if what in LOADERS else ""
            missed = "  missed" if shown and share < 0.6 else ""
            print(f"{f'lz4 beside raw{what}':<48}{share:21.2f}x{shown:>12}{missed}")


BARE = ("", ", as float32 in [0, 1]", ", tensors")
LOADERS = (", 2 threads reading ahead", ", float32 tensors")
TENSORS = "bricks raw, float32 tensors"
NNUNET = "nnU-Net's loader"


def tensor_rows(folder, raw, packed, cases):
    """A torch DataLoader in this process, and nnU-Net's loader, which does the same."""
    if peer("torch") is None:
        return []
    floats, packed_floats = (as_floats(folder, data, cases) for data in (raw, packed))
    rows = [
        ("bricks raw, tensors", data_loader(raw), 100, None),
        ("bricks lz4, tensors", data_loader(packed), 100, None),
        (TENSORS, data_loader(floats), 100, None),
        ("bricks lz4, float32 tensors", data_loader(packed_floats), 100, None),
    ]
    nnunet = peer("nnunetv2.training.dataloading.nnunet_dataset")
    if nnunet is not None:
        theirs = nnunet_dataset(nnunet, folder, cases)
        rows += [
            (NNUNET, nnunet_batches(theirs), 40, 3),
            ("nnU-Net's Blosc2, crops alone", nnunet_crops(theirs), 40, 3),
        ]
    return rows


def peer_rows(folder, cases):
    lmdb, tio, monai, nib = (peer(name) for name in ("lmdb", "torchio", "monai", "nibabel"))
    rows = []
    if lmdb is not None:
        one = PatchDataset(
            folder / "one.lmdb", (EDGE,) * 3, None,
            samples_per_case=20, sampling="uniform", as_torch=False,
        )  # fmt: skip
        rows += [
            ("bricks raw, in one LMDB (medprep export)", bricks(verified(one)), 200, None),
            ("LMDB, a volume a value", lmdb_volumes(lmdb, folder, cases), 100, 1),
        ]
    if nib is not None:
        rows.append(("NIfTI crops, nibabel", nibabel_crops(nib, folder), 4, 100))
    if tio is not None:
        rows.append(("torchio Queue (nii.gz)", torchio_queue(tio, folder), 4, 60))
    if monai is not None:
        rows.append(("MONAI CacheDataset", monai_cache(folder), 8, 40))
        rows.append(("MONAI PersistentDataset", monai_cache(folder, persistent=True), 8, 40))
    return rows


def drop_caches(folder):
    """Only of these files; they are on the disk already."""
    for path in folder.rglob("*"):
        if path.suffix in {".h5", ".npy"}:
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def cold_rows(table, folder, cases, count=24):
    """Fresh datasets on files that are not in the page cache; checksums included.

    Disks are moody: twice as many rounds, and the ratio is the median of theirs.
    """
    work = {
        "cold: bricks lz4": lambda: bricks(patches_of(folder, "lz4", cases)),
        "cold: bricks raw": lambda: bricks(patches_of(folder, "raw", cases)),
        "cold: np.memmap": lambda: memmap(folder, cases),
    }
    for codec in ("lz4", "raw"):  # the tables, as a training node has them
        importlib.import_module("MedPrepLib.load").build_index(folder / codec)
    times = {name: [] for name in work}
    for _ in range(2 * table.rounds):
        for name, make in work.items():
            load = make()
            drop_caches(folder)
            start = time.perf_counter()
            load(count)
            times[name].append((time.perf_counter() - start) / count * 1e3)
    for name, target in (("bricks lz4", None), ("bricks raw", None), ("np.memmap", 3)):
        found = times[f"cold: {name}"]
        ratios = [a / b for a, b in zip(found, times["cold: bricks lz4"], strict=True)]
        ms = statistics.median(found)
        table.line(f"cold: {name}", ms, ms / statistics.median(ratios), target)


MEMORY = """
import os, sys
import torch
from torch.utils.data import DataLoader
from MedPrepLib.load import PatchDataset

class Nothing:
    def __len__(self):
        return 100

    def __getitem__(self, n):
        return torch.zeros(1)

def used_mb(dataset):
    batches = iter(DataLoader(dataset, 2, num_workers=2, multiprocessing_context="fork"))
    for _ in range(30):
        next(batches)
    total = 0
    for pid in (os.getpid(), *(worker.pid for worker in batches._workers)):
        with open(f"/proc/{pid}/smaps_rollup") as lines:
            total += sum(int(x.split()[1]) for x in lines if x.startswith(KINDS))
    return total / 1e3

KINDS = ("Pss_Anon", "Pss_Shmem")  # pages of the files themselves belong to the page cache
torch.set_num_threads(1)
before = used_mb(Nothing())
print(used_mb(PatchDataset(sys.argv[1], (96, 96, 96), None, samples_per_case=10)) - before)
"""


def memory_row(folder):
    """What two workers and their parent hold beside what they hold for a dataset of nothing."""
    if peer("torch") is None or not Path("/proc/self/smaps_rollup").exists():
        return
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(folder / "raw")],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    used = float(run.stdout)
    met = "" if used <= MEMORY_TARGET_MB else "  missed"
    print(f"{'2 workers, memory beside the imports':<48}{used:9.1f} MB{'<= 60 MB':>22}{met}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keep the files here and use them again")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not (folder / "raw" / "manifest.json").is_file():
            make_data(folder, given.cases)
        with contextlib.suppress(ImportError):
            importlib.import_module("torch").set_num_threads(1)
        sitk = importlib.import_module("SimpleITK")
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        table = Table(given.rounds)
        warm_rows(table, folder, given.cases)
        cold_rows(table, folder, given.cases)
        memory_row(folder)


if __name__ == "__main__":
    main()
