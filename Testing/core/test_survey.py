"""``medprep init``: what it sees in a folder, what it asks, what it writes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from MedPrepLib.command import medprep
from MedPrepLib.config import load_study
from MedPrepLib.formats.segnrrd import write_seg_nrrd
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.scan import scan
from MedPrepLib.segmentation import Segment, Segmentation
from MedPrepLib.survey import survey

GRID = Geometry((6, 5, 4))


def init(*words: object, answers: str | None = None) -> str:
    call = ["init", *(str(word) for word in words)]
    result = CliRunner().invoke(medprep, call, input=answers, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


def nifti(path: Path, values: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.zeros(GRID.shape, np.int16)
    voxels.flat[: values + 1] = np.arange(values + 1)
    write_nifti(path, Volume(voxels, GRID))
    return path


def seg_nrrd(path: Path, *names: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.zeros(GRID.shape, np.uint8)
    segments = tuple(Segment(name, value) for value, name in enumerate(names, start=1))
    write_seg_nrrd(path, Segmentation((voxels,), GRID, segments))
    return path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    root = tmp_path / "lungs"
    for case in ("c1", "c2"):
        nifti(root / f"raw/north/p1/{case}/image.nii.gz")
        seg_nrrd(root / f"raw/north/p1/{case}/masks/ana.seg.nrrd", "Liver", "tumor")
        seg_nrrd(root / f"raw/north/p1/{case}/masks/ben@2.seg.nrrd", "liver")
    return root


def test_folders_tell_raters_and_the_names_they_gave(folders) -> None:
    seen = survey(folders)
    assert (seen.kind, seen.path, seen.volumes) == ("folders", "raw", 2)
    assert dict(seen.raters) == {"ana": 2, "ben": 2}
    assert [(x.name.lower(), x.value, x.files) for x in seen.labels] == [
        ("liver", 1, 4),
        ("tumor", 2, 2),
    ]


@pytest.mark.parametrize("name", ["mask", "Labels", "segmentation"])
def test_masks_in_folders_of_another_name_are_found_and_the_study_says_so(
    folders, tmp_path, name: str
) -> None:
    for masks in list(folders.glob("raw/*/*/*/masks")):
        masks.rename(masks.with_name(name))
    assert "ana (2), ben (2)" in init(folders)
    (source,) = load_study(folders / "study.toml").sources
    assert source.masks == name
    scanned = scan(load_study(folders / "study.toml"), folders)
    for candidate in scanned.candidates:
        assert [r.rater for r in candidate.case.readings] == ["ana", "ben@2"]
        assert candidate.findings == ()


def test_masks_that_lie_nowhere_are_something_to_do(folders) -> None:
    for masks in list(folders.glob("raw/*/*/*/masks")):
        masks.rename(masks.with_name("by-hand"))
    told = init(folders, "--labels", "liver")
    assert "no masks were found" in told
    assert 'masks = "contours"' in told


def test_init_ends_with_the_command_to_type_next(folders) -> None:
    output = init(folders)
    assert "ana (2), ben (2)" in output
    assert output.rstrip().endswith(f"medprep run {folders / 'study.toml'}")
    study = load_study(folders / "study.toml")
    assert [name.lower() for name in study.schema().names] == ["liver", "tumor"]


def test_a_path_with_blanks_is_quoted_for_the_shell(tmp_path) -> None:
    folder = tmp_path / "my data"
    nifti(folder / "north/p1/c1/image.nii.gz")
    assert f"medprep run '{folder / 'study.toml'}'" in init(folder)


def test_masks_without_names_propose_their_numbers(tmp_path) -> None:
    nifti(tmp_path / "north/p1/c1/image.nii.gz")
    nifti(tmp_path / "north/p1/c1/masks/ana.nii.gz", values=2)
    init(tmp_path)
    labels = load_study(tmp_path / "study.toml").schema()
    assert [(label.name, label.value) for label in labels] == [("label-1", 1), ("label-2", 2)]


def test_one_file_per_label_is_called_by_the_file(tmp_path) -> None:
    nifti(tmp_path / "north/p1/c1/image.nii.gz")
    nifti(tmp_path / "north/p1/c1/masks/ana/left kidney.nii.gz", values=1)
    seen = survey(tmp_path)
    assert seen.raters == (("ana", 1),)
    assert [label.name for label in seen.labels] == ["left kidney"]


def test_nnunet_labels_keep_their_numbers(tmp_path) -> None:
    nifti(tmp_path / "imagesTr/a_0000.nii.gz")
    labels = {"background": 0, "spleen": 3, "cyst": 1, "any": [1, 3]}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    init(tmp_path)
    schema = load_study(tmp_path / "study.toml").schema()
    assert {label.name: label.value for label in schema} == {"spleen": 3, "cyst": 1}


def test_the_table_that_names_images_is_taken_and_read_for_raters(tmp_path) -> None:
    (tmp_path / "a_centers.csv").write_text("center,folder\nnorth,*\n")
    (tmp_path / "cases.csv").write_text(
        "case,patient,image,annotations\nc1,p1,c1.nii.gz,ana=m/a.seg.nrrd;ben=m/b.seg.nrrd\n"
    )
    nifti(tmp_path / "c1.nii.gz")
    seg_nrrd(tmp_path / "m/a.seg.nrrd", "lesion")
    seen = survey(tmp_path)
    assert (seen.kind, seen.path, seen.problems) == ("table", "cases.csv", ())
    assert dict(seen.raters) == {"ana": 1, "ben": 1}
    assert [label.name for label in seen.labels] == ["lesion"]


def test_a_table_without_the_needed_columns_says_which(tmp_path) -> None:
    (tmp_path / "scans.csv").write_text("id,image\n1,a.nii.gz\n")
    output = init(tmp_path)
    assert "To do: scans.csv has no column case, patient" in output
    assert "columns = {" in output


def test_volumes_in_no_known_order_need_a_table(tmp_path) -> None:
    nifti(tmp_path / "p1/scan.nii.gz")
    output = init(tmp_path)
    assert "volume files without a table" in output
    assert "list them in cases.csv with the columns case, patient, image" in output


def test_a_folder_of_nothing_is_refused_and_nothing_is_written(tmp_path) -> None:
    with pytest.raises(RuntimeError, match="neither images nor a case table"):
        init(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interview_writes_the_answers(folders) -> None:
    answers = "livers\n\n\nMR\nliver, tumor\n0.8\nstaple\n0\ngiven\n"
    init(folders, "--interview", answers=answers)
    study = load_study(folders / "study.toml")
    assert (study.name, study.sources[0].path, study.sources[0].modality) == ("livers", "raw", "MR")
    assert study.agree.threshold == 0.8
    assert study.consensus.method == "staple"
    assert study.split.test_fraction == 0
    assert study.privacy.case_names == "given"
    assert "# rule = " in (folders / "study.toml").read_text()


def test_an_interview_that_is_broken_off_writes_nothing(folders) -> None:
    result = CliRunner().invoke(medprep, ["init", str(folders), "--interview"], input="x\n")
    assert result.exit_code != 0
    assert not (folders / "study.toml").exists()


def test_an_answer_that_is_no_number_is_asked_again(folders) -> None:
    answers = "x\n\n\n\n\nhigh\n0.9\n\n\n\n"
    assert "'high' is not a valid float" in init(folders, "--interview", answers=answers)
    assert load_study(folders / "study.toml").agree.threshold == 0.9


def test_dicom_objects_name_their_structures(shared_data, tmp_path) -> None:
    shutil.copytree(shared_data / "cohort" / "dcmqi_ct", tmp_path / "seg")
    shutil.copytree(shared_data / "cohort" / "lung_ct", tmp_path / "rt")
    seg, rt = survey(tmp_path / "seg"), survey(tmp_path / "rt")
    assert (seg.kind, [label.name for label in seg.labels]) == ("dicom", ["Liver"])
    assert dict(seg.modalities)["CT"] > 0
    import pydicom

    objects = [pydicom.dcmread(p, force=True) for p in (tmp_path / "rt").rglob("*") if p.is_file()]
    rows = [row for o in objects for row in o.get("StructureSetROISequence", ())]
    assert (
        {label.name for label in rt.labels} == {str(row.ROIName).strip() for row in rows} != set()
    )
