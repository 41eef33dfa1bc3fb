"""The small commands: check, compare, describe, findings, init."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from core.small_studies import STUDY, write_study

from MedPrepLib.command import medprep
from MedPrepLib.config import load_study
from MedPrepLib.formats.segnrrd import write_seg_nrrd
from MedPrepLib.geometry import Geometry
from MedPrepLib.segmentation import Segment, Segmentation


def answer(*words: object, status: int = 0) -> str:
    result = CliRunner().invoke(medprep, [str(w) for w in words], standalone_mode=False)
    code = result.return_value if result.exception is None else 3
    assert (code or 0) == status, (result.output, result.exception)
    return result.output


GRID = Geometry((20, 18, 10), (1.0, 1.0, 3.0), (-10.0, 5.0, 100.0))


def write_mask(path: Path, shift: int = 0, grid: Geometry = GRID, name: str = "tumor") -> Path:
    voxels = np.zeros(grid.shape, np.uint8)
    voxels[3:7, 4:12, 4 + shift : 12 + shift] = 1
    write_seg_nrrd(path, Segmentation((voxels,), grid, (Segment(name, 1, color=(9, 9, 9)),)))
    return path


@pytest.fixture
def masks(tmp_path: Path) -> tuple[Path, Path]:
    return write_mask(tmp_path / "ana.seg.nrrd"), write_mask(tmp_path / "ben.seg.nrrd", shift=4)


def test_compare_gives_every_pair_and_fails_below_the_threshold(masks) -> None:
    output = answer("compare", *masks, status=1)
    assert "tumor: ana / ben" in output
    assert "0.5000" in output
    assert "LOW_AGREEMENT" in output
    assert "LOW_AGREEMENT" not in answer("compare", *masks, "--threshold", "0.4")


def test_compare_answers_programs_in_json(masks) -> None:
    record = json.loads(answer("compare", *masks, "--json", status=1))
    (pair,) = record["agreement"]["pairs"]
    assert (pair["rater_a"], pair["rater_b"], pair["dice"]) == ("ana", "ben", 0.5)


def test_compare_tells_masks_of_the_same_name_apart_by_their_folders(tmp_path) -> None:
    for reader in ("r1", "r2"):
        (tmp_path / reader).mkdir()
        write_mask(tmp_path / reader / "mask.seg.nrrd")
    output = answer("compare", tmp_path / "r1/mask.seg.nrrd", tmp_path / "r2/mask.seg.nrrd")
    assert "tumor: r1 / r2" in output
    assert "1.0000" in output


def test_compare_takes_names_from_a_study_file(tmp_path, masks) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "x"\n[[sources]]\nkind = "dicom"\npath = "."\n'
        '[labels.lesion]\nvalue = 1\naliases = ["tumor"]\n'
    )
    assert "lesion: ana / ben" in answer("compare", *masks, "--labels", study, status=1)


def test_compare_matches_files_without_names_by_value(tmp_path, masks) -> None:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.zeros(GRID.shape, np.uint8))
    image.SetSpacing(GRID.spacing)
    image.SetOrigin(GRID.origin)
    image[4:12, 4:12, 3:7] = 1
    sitk.WriteImage(image, str(tmp_path / "chen.nii.gz"))
    record = json.loads(answer("compare", masks[0], tmp_path / "chen.nii.gz", "--json"))
    (pair,) = record["agreement"]["pairs"]
    assert (pair["label"], pair["dice"]) == ("tumor", 1.0)
    assert "LABEL_BY_VALUE" in {f["code"] for f in record["findings"]}


def test_check_says_how_far_a_mask_is_off_and_why(tmp_path, masks) -> None:
    same = json.loads(answer("check", masks[0], masks[1], "--json"))["masks"]["ben"]
    assert (same["verdict"], same["displacement_mm"]) == ("same", 0.0)
    other = Geometry(GRID.size, (1.0, 1.0, 3.2), GRID.origin)
    output = answer("check", masks[0], write_mask(tmp_path / "off.seg.nrrd", grid=other), status=1)
    assert "resample" in output
    assert "spacing" in output
    assert "1.800 mm" in output


def test_check_reports_a_file_that_is_no_mask(tmp_path, masks) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"nonsense")
    output = answer("check", masks[0], broken, status=1)
    assert "broken" in output
    assert "reject" in output


def test_findings_explains_codes_with_remedy() -> None:
    output = answer("findings", "slice_gap")
    assert "SLICE_GAP" in output
    assert "never stretches" in output
    codes = {row["code"] for row in json.loads(answer("findings", "--json"))}
    assert {"SLICE_GAP", "LOW_AGREEMENT", "LEAK_SUSPECT"} <= codes


def test_an_unknown_code_is_a_wrong_call() -> None:
    result = CliRunner().invoke(medprep, ["findings", "SLICE_GAPP"])
    assert result.exit_code == 2
    assert 'did you mean "SLICE_GAP"?' in result.output


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["cases.csv"], "table"),
        (["dataset.json", "imagesTr/a_0000.nii.gz"], "nnunet"),
        (["raw/north/p1/c1/image.nii.gz"], "folders"),
        (["anything/1.dcm"], "dicom"),
    ],
)
def test_init_writes_a_valid_study_for_what_it_sees(tmp_path, files: list[str], kind: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    answer("init", tmp_path, "--labels", "liver, liver tumor")
    study = load_study(tmp_path / "study.toml")
    assert study.sources[0].__struct_config__.tag == kind
    assert study.schema().names == ("liver", "liver tumor")
    result = CliRunner().invoke(medprep, ["init", str(tmp_path)])
    assert "exists already" in str(result.exception)


def test_the_demo_makes_again_what_an_older_version_left(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "demo", [{"case": "c0", "patient": "p0"}])
    study = folder / "study.toml"
    study.write_text(STUDY, encoding="utf-8")
    answer("demo", folder, "--workers", 1)
    study.write_text(STUDY + "[agree]\nthreshold = 0.9\n", encoding="utf-8")
    answer("run", study, "--workers", 1, status=3)
    answer("demo", folder, "--workers", 1)
