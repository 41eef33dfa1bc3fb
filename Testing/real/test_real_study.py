"""The main job on real data: every usable case in the cohort, every other one with its reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from MedPrepLib.geometry import LPS_TO_RAS, Geometry
from MedPrepLib.load import open_cohort

REPOSITORY = Path(__file__).resolve().parents[2]
STS = [
    *(f"STS_{n:03d}_{kind}" for n in (1, 2, 3, 8, 25, 35) for kind in ("CT", "MR_T1")),
    "STS_001_PET",
]
USABLE = {
    *STS,
    "ProstateX-0000_t2w",
    "ProstateX-0001_t2w",
    "dcmqi_ct",
    "lung_pat_2",
    "pyradiomics_brain1",
    "sct_t2",
    "totalseg_ct",
}
EXCLUDED = {
    "MIP-PROSTATE-01-0002": "NO_READING",
    "ProstateX-0000_adc": "NO_READING",
    "duplicate_positions_ct": "SLICE_GAP",
    "gantrytilting_001": "GANTRY_TILT",
    "missing_slice_dwi": "SLICE_GAP",
    "notavolume_001": "DUPLICATE_POSITION",
    "slicecount_001": "TOO_FEW_SLICES",
    "sliceincrement_001": "SLICE_GAP",
    "sliceincrement_002": "SLICE_GAP",
    "sliceorientation_001": "MIXED_ORIENTATION",
    "compressed_j2k": "NO_READING",
    "compressed_jpeg": "NO_READING",
    "compressed_jpegls": "NO_READING",
    "compressed_rle": "NO_READING",
    "hyperfine": "NO_READING",
    "philips_4x_rescale": "NO_READING",
    "philips_enhanced": "NO_READING",
    "siemens_multiframe": "NO_READING",
}


PARTS = {
    "localizer": ("axial", "coronal", "sagittal"),
    "mixed_bvalues_dwi": ("b50", "b400", "b800"),
    "ge_fmri_4d": ("t001", "t002"),
}
"""Series that hold several volumes, each a case without an annotation."""
EXCLUDED |= {f"{series}-{part}": "NO_READING" for series, parts in PARTS.items() for part in parts}


def medprep(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "MedPrepLib", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=REPOSITORY, timeout=280, check=False
    )


@pytest.fixture(scope="module")
def real(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, object]]:
    """The cohort made of the real data, and the summary of the run."""
    folder = tmp_path_factory.mktemp("real")
    text = (Path(__file__).parent / "study.toml").read_text()
    text = text.replace("../../../shared/data", shared_data.as_posix())
    (folder / "study.toml").write_text(text)
    done = medprep("run", folder / "study.toml", "--json")
    assert done.returncode == 0, done.stderr
    return folder / "cohort", json.loads(done.stdout)


def codes_of(summary: dict[str, object], case: str) -> set[str]:
    found = summary["findings"]
    return {f["code"] for f in found if f["item"] == case and f["severity"] == "reject"}  # type: ignore[union-attr]


def test_every_usable_case_is_in_the_cohort_and_verified(real) -> None:
    cohort, _ = real
    manifest = json.loads((cohort / "manifest.json").read_text())
    assert {case["id"] for case in manifest["cases"]} == USABLE
    assert medprep("verify", cohort).returncode == 0


@pytest.mark.parametrize(("case", "code"), sorted(EXCLUDED.items()))
def test_an_unusable_case_is_excluded_with_its_code(real, case: str, code: str) -> None:
    _, summary = real
    assert code in codes_of(summary, case)


def test_no_odd_file_became_a_case(real) -> None:
    _, summary = real
    rejected = {
        f["item"] for f in summary["findings"] if f["severity"] == "reject" and "/" not in f["item"]
    }
    strangers = rejected - set(EXCLUDED)
    # Single slices of the pydicom test files: series of their own, each with a reason. One file
    # among them is empty, which is told of its source.
    assert {name for name in strangers if not name.startswith("xpydicom_")} == {"source 2"}
    assert codes_of(summary, "source 2") == {"FILE_UNREADABLE"}


@pytest.mark.parametrize("case", STS)
def test_packed_sarcoma_masks_and_images_equal_the_reference(real, shared_data, case: str) -> None:
    nib = pytest.importorskip("nibabel")
    cohort, _ = real
    packed = open_cohort(cohort).read(case)
    patient, kind = case[:7], case[8:]
    folder = shared_data / "reference" / "sts_nifti" / patient
    grid = packed.geometry
    if (folder / f"{kind}_mask.nii.gz").exists():
        mask = nib.load(folder / f"{kind}_mask.nii.gz")
        assert np.array_equal(packed.mask > 0, np.asarray(mask.dataobj).T > 0)
        assert_same_place(grid, mask.affine)
    if (folder / f"{kind}_image.nii.gz").exists():
        image = nib.load(folder / f"{kind}_image.nii.gz")
        expected = np.asarray(image.dataobj).T
        if kind == "CT":
            expected = np.clip(expected, -1024, 3071)
        # PET is scaled slice by slice in float32 on both sides.
        assert np.allclose(packed.image, expected, rtol=1e-6, atol=0 if kind == "CT" else 1e-3)
        assert_same_place(grid, image.affine)


def assert_same_place(grid: Geometry, ras_affine: np.ndarray) -> None:
    theirs = Geometry.from_affine(LPS_TO_RAS @ ras_affine, grid.size)
    assert grid.displacement_mm(theirs) < 1e-3


def test_a_left_handed_label_map_lines_up_with_its_jpeg_2000_image(real, shared_data) -> None:
    nib = pytest.importorskip("nibabel")
    cohort, _ = real
    index = open_cohort(cohort)
    packed = index.read("totalseg_ct")
    grid = packed.geometry
    labels = nib.load(shared_data / "cohort/totalseg/seg/example_seg_dicom.nii.gz")
    voxels = np.asarray(labels.dataobj)
    spleen = np.argwhere(voxels == 1)
    marked = spleen[len(spleen) // 3]
    lps = (LPS_TO_RAS @ labels.affine @ [*marked, 1])[:3]
    i, j, k = (round(x) for x in grid.index_at(lps))
    value = {row.name: row.value for row in index.labels}["spleen"]
    assert packed.mask[k, j, i] == value
    assert np.count_nonzero(packed.mask == value) == len(spleen)
    # The spleen lies in the patient's left (LPS x grows to the left) and is soft tissue.
    assert grid.point_at((i, j, k))[0] > grid.point_at((grid.size[0] / 2, 0, 0))[0]
    assert 0 < np.median(packed.image[packed.mask == value]) < 200


def test_a_second_run_reads_no_header_and_does_no_case(real) -> None:
    cohort, _ = real
    again = json.loads(medprep("run", cohort.parent / "study.toml", "--json").stdout)
    assert (again["headers_read"], again["cases_done"], again["unchanged"]) == (0, 0, True)
