"""How fast voxels get from files to standardized volumes, and labels from one grid to another.

Run from the repository root: ``python Testing/bench/bench_ingest.py [--slices 200]``. CPU time
(children included), one thread each, candidates take turns in one run, medians; files are in the
page cache. A tool that is not installed is named and left out. Memory is the peak of the resident
set of a fresh process, less what it was before reading. Linux only.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from bench_agreement import Table, peer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import dicom_files

from MedPrepLib.align.resample import sampling
from MedPrepLib.config.settings import Screen, Standardize
from MedPrepLib.dicom.neighbors import HeaderParser
from MedPrepLib.dicom.pixels import read_series
from MedPrepLib.dicom.series import arrange
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, to_sitk
from MedPrepLib.standardize import standardize

SIZE = 512
SPACING_MM = (0.8, 0.8, 2.0)
MEMORY_LIMIT = 1.3

READ_ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
from bench_ingest import headers_of, read_series
headers = headers_of(sys.argv[2:])
read_series(headers[:3])
def memory(field):  # of this program; getrusage would begin with what the parent had
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024
before = memory("VmRSS")
volume = read_series(headers).volume
print((memory("VmHWM") - before) / volume.array.nbytes)
"""


def write_ct(folder: Path, slices: int) -> list[str]:
    """A body in noisy air, 12 bits unsigned, as most scanners write it."""
    rng = np.random.default_rng(0)
    j, i = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    level = np.where((i / 0.8) ** 2 + (j / 0.6) ** 2 < 1, 1064, 30)
    noise = rng.normal(0, 15, (SIZE, SIZE))
    paths = []
    for k in range(slices):
        ds = dicom_files.slice_dataset(k)
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.ImagePositionPatient = [-200, -200, SPACING_MM[2] * k]
        ds.PixelSpacing, ds.Rows, ds.Columns = list(SPACING_MM[:2]), SIZE, SIZE
        stored = np.clip(np.rint(level + np.roll(noise, 7 * k, 0)), 0, 4095).astype("u2")
        dicom_files.set_pixels(ds, stored, 12)
        paths.append(str(dicom_files.save(ds, folder / f"{k:04d}.dcm")))
    return paths


def headers_of(paths):
    """In order, read one after the other as a scan reads them."""
    parser = HeaderParser()
    return arrange([parser.read(p) for p in paths], "case", Screen(min_slices=2)).headers


# --- reading ------------------------------------------------------------------------------


def series_rows(table, sitk, paths, scratch):
    headers = headers_of(paths)
    peers = [
        ("SimpleITK ImageSeriesReader", lambda: with_simpleitk(sitk, paths), 1, 8),
        ("pydicom, rescaled, stacked", lambda: with_pydicom(paths), 1, 15),
    ]
    peers += converter_peers(paths, scratch)
    assert np.array_equal(with_simpleitk(sitk, paths), read_series(headers).volume.array)
    table.row("series to HU, headers known from the scan", lambda: read_series(headers), peers)
    table.row("the same, headers and order included", lambda: read_series(headers_of(paths)), [])
    script = [sys.executable, "-c", READ_ALONE, str(Path(__file__).parent), *paths]
    factor = float(subprocess.run(script, check=True, capture_output=True, text=True).stdout)
    met = "" if factor <= MEMORY_LIMIT else "  missed"
    print(f"{'the same, peak memory':<44}{factor:9.2f} volumes{'':>47}<= {MEMORY_LIMIT}{met}")


def converter_peers(paths, scratch):
    folder = str(Path(paths[0]).parent)
    peers = []
    if peer("dcm2niix") is not None:
        program = str(importlib.import_module("dcm2niix").bin)
        command = [program, "-z", "n", "-b", "n", "-w", "1", "-f", "ct", "-o", scratch, folder]

        def converted():
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        peers.append(("dcm2niix (writes NIfTI)", converted, 1, 3))
    if (monai := peer("monai.transforms")) is not None:
        load = monai.LoadImage(reader="PydicomReader")
        peers.append(("MONAI PydicomReader", lambda: load(folder), 1, 15))
    if (dicom2nifti := peer("dicom2nifti")) is not None:
        logging.disable(logging.WARNING)
        file = str(Path(scratch) / "d2n.nii")

        def with_dicom2nifti():
            dicom2nifti.dicom_series_to_nifti(folder, file, reorient_nifti=False)

        peers.append(("dicom2nifti (writes NIfTI)", with_dicom2nifti, 1, 15))
    return peers


def with_simpleitk(sitk, paths):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(paths)
    image = reader.Execute()  # the view below is valid as long as this is
    return sitk.GetArrayViewFromImage(image).astype(np.int16)


def with_pydicom(paths):
    import pydicom

    slices = [pydicom.dcmread(p) for p in paths]
    slices.sort(key=lambda ds: ds.ImagePositionPatient[2])
    values = [ds.pixel_array * ds.RescaleSlope + ds.RescaleIntercept for ds in slices]
    return np.stack(values).astype(np.int16)


# --- standardizing ------------------------------------------------------------------------


def standardize_rows(table, array):
    settings = Standardize()
    geometry = Geometry(tuple(reversed(array.shape)), SPACING_MM)

    def chain():
        clipped = np.clip(array.astype(np.float64), settings.ct_low_hu, settings.ct_high_hu)
        return clipped.mean(), clipped.std(), np.percentile(clipped, settings.percentiles)

    def ours(*, in_place):
        return standardize(Volume(array, geometry), "CT", settings, "case", in_place=in_place)

    table.row(
        "CT standardization, in place",
        lambda: ours(in_place=True),
        [("numpy float64", chain, 1, 20)],
    )
    table.memory("the same, extra memory", lambda: ours(in_place=True))
    table.row("the same, into a new volume", lambda: ours(in_place=False), [])


# --- labels between grids -----------------------------------------------------------------


def regrid_rows(table, sitk, slices):
    target = Geometry((SIZE, SIZE, slices), SPACING_MM)
    labels = np.zeros(target.shape, np.uint8)
    coarse = np.random.default_rng(0).integers(0, 6, (slices // 10, 30, 39))
    blocks = coarse.repeat(8, 0).repeat(10, 1).repeat(10, 2)
    labels[slices // 10 :][: len(blocks), 100:400, 60:450] = blocks
    flipped = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
    sources = {
        "same grid": (target, 100),
        "integer shift": (target.cropped((5, -7, 3), target.size), 40),
        "flip": (Geometry(target.size, SPACING_MM, target.point_at((511, 511, 0)), flipped), 12),
        "other spacing": (Geometry(target.size, (0.7, 0.7, 1.5), (20, 30, 25)), 12),
    }
    reference = to_sitk(Volume(labels, target))
    for name, (source, goal) in sources.items():
        image = to_sitk(Volume(labels, source))

        def by_simpleitk(image=image):
            return sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0)

        def ours(source=source):
            return sampling(target, source).apply(labels)

        assert np.array_equal(sitk.GetArrayFromImage(by_simpleitk()), ours())
        table.row(f"labels, {name}", ours, [("SimpleITK Resample", by_simpleitk, 1, goal)])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    sitk = importlib.import_module("SimpleITK")
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    table = Table(given.rounds, memory_target_mb=5)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_ct(Path(folder) / "ct", given.slices)
        series_rows(table, sitk, paths, folder)
        array = read_series(headers_of(paths)).volume.array.copy()
    standardize_rows(table, array)
    regrid_rows(table, sitk, given.slices)


if __name__ == "__main__":
    main()
