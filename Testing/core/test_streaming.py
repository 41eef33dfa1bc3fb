"""Packing slab by slab gives the file of the whole volume, in memory that does not grow."""

from __future__ import annotations

import csv
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from core.cohort_samples import RECIPE, SCHEMA
from dicom_files import COLUMNS, ROWS, set_pixels, write_series

from MedPrepLib.config.settings import Pack, Screen, Standardize
from MedPrepLib.dicom.headers import SliceHeader, read_header
from MedPrepLib.dicom.pixels import read_series
from MedPrepLib.dicom.series import arrange
from MedPrepLib.errors import GeometryError, MedPrepError, ReadError
from MedPrepLib.load import read_case
from MedPrepLib.pack import PackedCase, StreamedImage, stream_case, write_case
from MedPrepLib.standardize import Standardized, standardize
from MedPrepLib.streaming import pack_series

META = {"modality": "CT", "patient": "P-1"}
SETTINGS = Standardize()


def series(folder: Path, count: int = 70, **facts: object) -> tuple[SliceHeader, ...]:
    """Slices with air, tissue, metal beyond the range, and what lies outside the field of view."""

    def edit(ds, k):
        rng = np.random.default_rng(k)
        stored = rng.normal(40, 30, (ROWS, COLUMNS))
        stored[0], stored[-1, 2:] = -1000, 3500
        stored[:, 0] = facts.get("outside", -2000)
        ds.RescaleSlope, ds.RescaleIntercept = facts.get("slope", 1), facts.get("intercept", 0)
        if "padding" in facts:
            ds.PixelPaddingValue = 0 if k == facts.get("like_water_in") else facts["padding"]
        if "limit" in facts:
            ds.PixelPaddingRangeLimit = facts["limit"]
        set_pixels(ds, stored.astype(np.int16), 16)

    folder.mkdir()
    arranged = arrange(
        [read_header(str(p)) for p in write_series(folder, count, edit, dtype="i2")],
        "case",
        Screen(),
    )
    assert arranged.geometry is not None, arranged.findings
    return arranged.headers


def as_a_whole(headers: tuple[SliceHeader, ...], modality: str = "CT") -> Standardized:
    pixels = read_series(headers)
    return standardize(pixels.volume, modality, SETTINGS, "case", pixels.padding)


SERIES = {
    "plain": {},
    "shifted": {"intercept": -24},
    "marked": {"padding": -2000},
    "marked above the field of view": {"padding": -1111, "outside": -1111},
    "marked like water": {"padding": 0, "outside": 0},
    "marked like water in one slice": {"padding": -1111, "outside": -1111, "like_water_in": 40},
    "marked by a range": {"padding": -1111, "outside": -1100, "limit": -1100},
    "marked by a range up to water": {"padding": -1111, "outside": -1111, "limit": 0},
    "fractions": {"slope": 0.5},
    "beyond int16": {"intercept": 31_000},
}


@pytest.mark.parametrize("facts", SERIES.values(), ids=SERIES)
def test_a_streamed_series_has_the_bytes_of_one_that_is_packed_whole(tmp_path: Path, facts):
    headers = series(tmp_path / "in", **facts)
    whole = as_a_whole(headers)
    packed = PackedCase(
        id="case", image=whole.volume, pad_value=whole.pad_value, mask=None,
        statistics=whole.statistics, recipe_hash=RECIPE, meta=META, unit="HU",
    )  # fmt: skip
    expected = write_case(tmp_path / "whole", packed, Pack(), SCHEMA)
    done = pack_series(
        tmp_path / "streamed", headers, "case", RECIPE, META, SCHEMA, Pack(), SETTINGS
    )
    assert done.shard == expected
    assert (done.statistics, done.findings) == (whole.statistics, whole.findings)
    assert done.streamed == (facts.get("slope", 1) == 1 and facts.get("intercept", 0) < 1000)


def test_statistics_of_a_streamed_series_are_those_of_numpy(tmp_path: Path):
    headers = series(tmp_path / "in")
    done = pack_series(tmp_path, headers, "case", RECIPE, META, SCHEMA, Pack(), SETTINGS)
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([h.path for h in headers])
    found = sitk.GetArrayFromImage(reader.Execute()).astype(np.float64)
    inside = np.clip(found[found > -1500], SETTINGS.ct_low_hu, SETTINGS.ct_high_hu)
    statistics = done.statistics
    assert (statistics.count, statistics.padding) == (inside.size, found.size - inside.size)
    assert statistics.mean == pytest.approx(inside.mean(), rel=1e-12)
    assert statistics.std == pytest.approx(inside.std(), rel=1e-12)
    with h5py.File(tmp_path / done.shard.name) as file:
        expected = np.clip(found, SETTINGS.ct_low_hu, SETTINGS.ct_high_hu)
        np.testing.assert_array_equal(file["image"][()], expected)


def test_other_modalities_are_packed_whole(tmp_path: Path):
    headers = series(tmp_path / "in")
    meta = {**META, "modality": "MR"}
    done = pack_series(tmp_path, headers, "case", RECIPE, meta, SCHEMA, Pack(), SETTINGS)
    assert not done.streamed
    loaded = read_case(tmp_path / done.shard.name)
    np.testing.assert_array_equal(loaded.image, as_a_whole(headers, "MR").volume.array)


def test_memory_does_not_grow_with_the_length_of_a_scan(tmp_path: Path):
    peaks = []
    for count in (64, 256):
        headers = series(tmp_path / f"in{count}", count)
        pack_series(tmp_path, headers, "case", RECIPE, META, SCHEMA, Pack(), SETTINGS)
        tracemalloc.start()
        pack_series(tmp_path, headers, "case", RECIPE, META, SCHEMA, Pack(), SETTINGS)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000


def test_a_slice_that_cannot_be_read_leaves_no_file(tmp_path: Path):
    headers = series(tmp_path / "in", 40)
    path = Path(headers[35].path)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ReadError):
        pack_series(tmp_path, headers, "case", RECIPE, META, SCHEMA, Pack(), SETTINGS)
    assert list(tmp_path.rglob("*.h5*")) == []


def test_slabs_that_are_too_few_or_not_there_are_refused(tmp_path: Path):
    headers = series(tmp_path / "in", 8)
    geometry = as_a_whole(headers).volume.geometry
    packed = PackedCase(
        id="case", image=StreamedImage(geometry, np.dtype(np.int16)), pad_value=-1024, mask=None,
        statistics=as_a_whole(headers).statistics, recipe_hash=RECIPE,
    )  # fmt: skip
    slab = np.zeros((7, *geometry.shape[1:]), np.int16)
    with pytest.raises(GeometryError, match="has 8 slices, and 7 came"):
        stream_case(tmp_path, packed, iter([slab]), lambda: packed, Pack(), SCHEMA)
    with pytest.raises(MedPrepError, match="not in memory"):
        write_case(tmp_path, packed, Pack(), SCHEMA)
    assert list(tmp_path.rglob("*.h5*")) == []


def test_real_cts_are_streamed_to_the_voxels_that_they_have_as_a_whole(
    shared_data: Path, tmp_path: Path
):
    with (shared_data / "cohort.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["modality"] == "CT"]
    folders = [shared_data / row["image"] for row in rows]
    packed = 0
    for number, folder in enumerate(path for path in folders if path.is_dir()):
        found = [read_header(str(path)) for path in sorted(folder.iterdir()) if path.is_file()]
        arranged = arrange([h for h in found if h.rows], "case", Screen(min_slices=2))
        if arranged.geometry is None:
            continue
        name = f"case-{number}"
        done = pack_series(tmp_path, arranged.headers, name, RECIPE, META, SCHEMA, Pack(), SETTINGS)
        whole = as_a_whole(arranged.headers)
        np.testing.assert_array_equal(
            read_case(tmp_path / done.shard.name).image, whole.volume.array
        )
        assert done.statistics == whole.statistics
        assert done.streamed
        packed += 1
    assert packed >= 3
