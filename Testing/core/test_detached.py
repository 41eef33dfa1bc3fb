"""Voxels beside their header (.mhd, .nhdr): a change of them is a change of the case."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK as sitk

from MedPrepLib.config import parse_study
from MedPrepLib.errors import ReadError, RunError
from MedPrepLib.formats.detached import data_files
from MedPrepLib.formats.files import read_volume
from MedPrepLib.identity import SiteKey
from MedPrepLib.pipeline import Order, Summary, run
from MedPrepLib.pipeline.quarantine import readmit

SHAPE = (12, 20, 22)
STUDY = """
name = "detached"
[[sources]]
kind = "folders"
path = "raw"
modality = "MR"
[labels.tumor]
value = 1
[privacy]
case_names = "given"
[split]
test_fraction = 0
[report]
pictures = false
"""
CASE = "north_p1_base"
HEADERS = (".mhd", ".nhdr")


def written(path: Path, voxels: np.ndarray) -> Path:
    """The voxels as SimpleITK writes them, in a file beside the header; that file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    return path.with_suffix(".raw")


def mask(size: int) -> np.ndarray:
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[2 : 2 + size, 2 : 2 + size, 2 : 2 + size] = 1
    return voxels


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 900, SHAPE).astype(np.int16)


def finished(folder: Path, settings: str = "") -> tuple[Order, Summary]:
    text = STUDY + settings
    order = Order(parse_study(text), text, folder, folder / "cohort", workers=1)
    return order, run(order, key=SiteKey(bytes(32)))


def packed_voxels(folder: Path) -> int:
    (path,) = (folder / "cohort" / "cases").rglob("*.h5")
    with h5py.File(path) as file:
        return int((file["mask"][()] == 1).sum())


@pytest.mark.parametrize("suffix", HEADERS)
def test_the_file_with_the_voxels_is_the_one_that_simpleitk_wrote(tmp_path, suffix):
    raw = written(tmp_path / f"a{suffix}", image(0))
    assert raw.is_file()
    assert data_files(str(tmp_path / f"a{suffix}")) == (str(raw),)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii.gz", ".nii"])
def test_a_file_that_holds_its_own_voxels_has_no_other(tmp_path, suffix):
    written(tmp_path / f"a{suffix}", image(0))
    assert data_files(str(tmp_path / f"a{suffix}")) == ()


@pytest.mark.parametrize(("suffix", "other"), [(".mhd", ".mha"), (".nhdr", ".nrrd"), (".nhdr", "")])
def test_a_header_is_known_by_what_it_says_not_by_its_name(tmp_path, suffix, other):
    raw = written(tmp_path / f"a{suffix}", image(0))
    header = (tmp_path / f"a{suffix}").rename(tmp_path / f"a{other}")
    assert data_files(str(header)) == (str(raw),)
    assert (read_volume(header).array == image(0)).all()


def test_a_header_of_many_kilobytes_is_read_to_its_end(tmp_path):
    raw = written(tmp_path / "a.nhdr", image(0))
    text = (tmp_path / "a.nhdr").read_text()
    first, rest = text.split("\n", 1)
    keys = "".join(f"key{n}:=a long value of a key without a meaning\n" for n in range(2000))
    (tmp_path / "a.nhdr").write_text(f"{first}\n{keys}{rest}")
    assert data_files(str(tmp_path / "a.nhdr")) == (str(raw),)


@pytest.mark.parametrize(
    "name", ["LIST", "a%02d.raw 1 12 1", "../a.raw", "/etc/hostname", "sub/a.raw", "gone.raw", ""]
)
@pytest.mark.parametrize("suffix", HEADERS)
def test_data_that_no_reader_follows_are_not_watched_either(tmp_path, suffix, name):
    folder = tmp_path / "in"
    raw = written(folder / f"a{suffix}", image(0))
    (folder / "sub").mkdir()
    for place in (tmp_path / "a.raw", folder / "sub" / "a.raw"):
        place.write_bytes(raw.read_bytes())
    header = folder / f"a{suffix}"
    text = header.read_text()
    assert "a.raw" in text
    header.write_text(text.replace("a.raw", name))
    assert data_files(str(header)) == ()
    with pytest.raises(ReadError):
        read_volume(header)


def test_a_link_out_of_the_folder_is_not_watched_either(tmp_path):
    raw = written(tmp_path / "in" / "a.mhd", image(0))
    raw.rename(tmp_path / "a.raw")
    raw.symlink_to(tmp_path / "a.raw")
    assert data_files(str(tmp_path / "in" / "a.mhd")) == ()


@pytest.mark.parametrize("suffix", HEADERS)
def test_corrected_voxels_beside_the_same_header_reach_the_cohort(tmp_path, suffix):
    case = tmp_path / "raw" / "north" / "p1" / "base"
    written(case / f"image{suffix}", image(0))
    drawn = written(case / "masks" / f"ana{suffix}", mask(5))
    finished(tmp_path)
    assert packed_voxels(tmp_path) == 125
    _, again = finished(tmp_path)
    assert again.cases_done == 0
    assert again.unchanged
    drawn.write_bytes(mask(2).tobytes())
    _, corrected = finished(tmp_path)
    assert corrected.cases_done == 1
    assert not corrected.unchanged
    assert packed_voxels(tmp_path) == 8


def test_a_decision_about_an_image_ends_where_its_voxels_change(tmp_path):
    case = tmp_path / "raw" / "north" / "p1" / "base"
    raw = written(case / "image.mhd", image(0))
    written(case / "masks" / "ana.mhd", mask(5))
    only_ct = '[screen]\nmodalities = ["CT"]\n'
    order, summary = finished(tmp_path, only_ct)
    assert not summary.included
    raw.write_bytes(image(1).tobytes())
    with pytest.raises(RunError, match="changed since the last run"):
        readmit(order, CASE, "MODALITY_UNWANTED", "eva", "fits")
    finished(tmp_path, only_ct)
    readmit(order, CASE, "MODALITY_UNWANTED", "eva", "fits")
    assert finished(tmp_path, only_ct)[1].included
    raw.write_bytes(image(2).tobytes())
    _, summary = finished(tmp_path, only_ct)
    assert not summary.included
    assert [f.code for f in summary.findings if f.code == "READMISSION_STALE"]
