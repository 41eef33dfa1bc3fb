"""How fast a CT is packed from DICOM, in what memory, and how small, beside other ways to do it.

Run from the repository root: ``python Testing/bench/bench_pack.py [--slices 120] [--rounds 3]``.
CPU time in a process of its own for each candidate and round, which take turns; memory is the
growth of the process above its imports (the kernel's VmHWM). The series is synthetic: body,
air, noise of a scanner, 512 x 512 slices. nnU-Net's row is SimpleITK's reader, z-scores and
nnU-Net's own nnUNetDatasetBlosc2.save_case with an empty mask; it is left out where nnU-Net is not
installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]

MEMORY_TARGET_MB = 100
SETUP = """
import json, os, resource, sys, time
sys.path[:0] = [{root!r}, {testing!r}]
source, target = sys.argv[1:]
def peak_mb():
    with open("/proc/self/status") as status:
        rows = dict(line.split(":") for line in status)
    return int(rows["VmHWM"].split()[0]) / 1024, int(rows["VmRSS"].split()[0]) / 1024
"""
MEASURE = """
before = peak_mb()[1]
start = time.process_time()
work()
seconds = time.process_time() - start
print(json.dumps([seconds, peak_mb()[0] - before, os.path.getsize(result())]))
"""
OURS = """
from pathlib import Path
import h5py, numpy
from MedPrepLib.config.settings import Pack, Screen, Standardize
from MedPrepLib.dicom.headers import read_header
from MedPrepLib.dicom.series import arrange
from MedPrepLib.labels import LabelSchema
from MedPrepLib.pack import bricks
from MedPrepLib.streaming import pack_series
if {codec!r} == "lz4":
    import blosc, hdf5plugin
done = []
def work():
    headers = [read_header(str(p)) for p in sorted(Path(source).iterdir())]
    arranged = arrange(headers, "case", Screen())
    done.append(pack_series(target, arranged.headers, "case", "", dict(modality="CT"),
                            LabelSchema(()), Pack(codec={codec!r}), Standardize()))
def result():
    assert done[0].streamed
    return Path(target) / done[0].shard.name
"""
SITK = """
import h5py, numpy, SimpleITK as sitk
sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
def work():
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(source))
    array = sitk.GetArrayFromImage(reader.Execute()).astype("int16")
    array.clip(-1024, 3071, out=array)
    array.mean(dtype="f8"), array.std(dtype="f8")
    with h5py.File(result(), "w") as file:
        file.create_dataset("image", data=array, chunks=True, compression="gzip",
                            compression_opts=4)
def result():
    return target + "/sitk.h5"
"""
NNUNET = """
import warnings
warnings.simplefilter("ignore")
import blosc2, numpy, SimpleITK as sitk, torch
from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2
sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
def work():
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(source))
    array = sitk.GetArrayFromImage(reader.Execute()).astype("float32")
    array = ((array - array.mean()) / array.std())[None]
    blocks, chunks = comp_blosc2_params(array.shape, (96, 96, 96))
    nnUNetDatasetBlosc2.save_case(array, numpy.zeros(array.shape, "int8"), {},
                                  target + "/case", chunks=chunks, blocks=blocks)
def result():
    return target + "/case.b2nd"
"""


def write_ct(folder, slices):
    """A body in air, as stored by a scanner: 12 bits, intercept -1024."""
    from dicom_files import save, set_pixels, slice_dataset

    rng = np.random.default_rng(0)
    j, i = np.mgrid[:512, :512].astype(np.float32) - 256
    body = (j / 170) ** 2 + (i / 220) ** 2 < 1
    for k in range(slices):
        organs = 40 + 60 * np.sin(i / 31 + k / 9) * np.cos(j / 23)
        hu = np.where(body, organs + rng.normal(0, 14, body.shape), -1000)
        ds = slice_dataset(k)
        ds.Rows = ds.Columns = 512
        ds.RescaleIntercept = -1024
        set_pixels(ds, np.rint(hu + 1024).clip(0, 4095).astype(np.uint16))
        save(ds, folder / f"{k:04d}.dcm")


def measured(script, source):
    """(CPU seconds, MB above imports, bytes written) of one candidate in a fresh process."""
    setup = SETUP.format(root=str(ROOT), testing=str(ROOT / "Testing"))
    with tempfile.TemporaryDirectory(dir=source.parent) as target:
        done = subprocess.run(
            [sys.executable, "-c", setup + script + MEASURE, str(source), target],
            check=True,
            capture_output=True,
            text=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    candidates = {f"MedPrep {c}": OURS.format(codec=c) for c in ("raw", "lz4", "gzip")}
    candidates["SimpleITK + h5py gzip-4"] = SITK
    if importlib.util.find_spec("nnunetv2"):
        candidates["SimpleITK + nnU-Net's save_case"] = NNUNET
    else:
        print("nnunetv2 is not installed; its row is left out (pip install '.[bench]')")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "ct"
        source.mkdir()
        write_ct(source, options.slices)
        found = {name: [] for name in candidates}
        for _ in range(options.rounds):
            for name, script in candidates.items():
                found[name].append(measured(script, source))
    show(found, options.slices * 512 * 512 * 2)


def show(found, voxel_bytes):
    own = statistics.median(row[0] for row in found["MedPrep raw"])
    targets = {"SimpleITK + h5py gzip-4": 3, "SimpleITK + nnU-Net's save_case": 8}
    print(f"{'':<34}{'CPU':>9}{'memory':>12}{'size':>11}{'smaller':>9}{'of raw':>9}{'target':>8}")
    for name, rows in found.items():
        seconds, memory, size = (statistics.median(column) for column in zip(*rows, strict=True))
        wanted = targets.get(name)
        met = wanted is None or seconds / own >= wanted
        if name.startswith("MedPrep"):
            met = memory <= MEMORY_TARGET_MB
        print(
            f"{name:<34}{seconds:7.2f} s{memory:9.0f} MB{size / 1e6:8.1f} MB"
            f"{voxel_bytes / size:8.2f}x{seconds / own:8.1f}x"
            f"{f'{wanted}x' if wanted else '':>8}{'' if met else '  missed'}"
        )


if __name__ == "__main__":
    main()
