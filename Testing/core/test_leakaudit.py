"""The audit of cohorts made elsewhere sees every image that is listed, or says that it does not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from core.cohort_samples import build_cohort

from MedPrepLib.errors import ConfigError, RunError
from MedPrepLib.export import export_cohort
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.leakaudit import audit_cohort, listed
from MedPrepLib.sample.niftifile import write_nifti

GRID = Geometry((24, 24, 24))


def image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(0, 500, GRID.shape).astype(np.int16)
    write_nifti(path, Volume(voxels, GRID))


def kinds(cohort: Path) -> set[tuple[str, str, str]]:
    return {
        (leak.kind, *sorted((leak.one_set, leak.other_set)))
        for leak in audit_cohort(cohort, workers=1).leaks
    }


def sets_of(cohort: Path) -> dict[str, dict[str, str]]:
    return {entry.id: dict(entry.sets) for entry in listed(cohort)}


@pytest.mark.parametrize("names", ["abc", ("1.3.6.1.4.1", "1.3.6.1.4.2", "1.3.6.1.9.9")])
def test_copies_between_the_folders_of_nnunet_are_found_whatever_cases_are_called(
    tmp_path: Path, names
):
    one, two, copy = names
    image(tmp_path / "imagesTr" / f"{one}_0000.nii.gz", 0)
    image(tmp_path / "imagesTr" / f"{one}_0001.nii.gz", 5)
    image(tmp_path / "imagesTr" / f"{two}_0000.nii.gz", 1)
    image(tmp_path / "imagesTs" / f"{copy}_0000.nii.gz", 0)
    assert set(sets_of(tmp_path)) == set(names)
    assert ("image", "test", "train") in kinds(tmp_path)


def test_a_case_in_both_sets_of_a_fold_is_a_leak(tmp_path: Path):
    for n, name in enumerate("abc"):
        image(tmp_path / "imagesTr" / f"{name}_0000.nii.gz", n)
    folds = [{"train": ["a", "b"], "val": ["b", "c"]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    assert kinds(tmp_path) == {("case", "train", "validation")}


def test_folds_that_name_no_image_and_folders_without_one_are_refused(tmp_path: Path):
    image(tmp_path / "imagesTr" / "a_0000.nii.gz", 0)
    (tmp_path / "splits_final.json").write_text('[{"train": ["a.nii.gz"], "val": ["a"]}]')
    with pytest.raises(RunError, match=r"names 1 case.*'a.nii.gz'.*no file ending"):
        listed(tmp_path)
    (tmp_path / "imagesTr" / "a_0000.nii.gz").rename(tmp_path / "imagesTr" / "a.nii.gz")
    with pytest.raises(RunError, match=r"no image called <case>_0000\.nii\.gz"):
        listed(tmp_path)


def test_a_fold_of_a_table_is_where_a_training_case_validates_and_tests_are_in_every_round(
    tmp_path: Path,
):
    table = tmp_path / "cases.csv"
    table.write_text(
        "Patient;Set;Image;Fold\nP1;train;a.nii;0\nP2;train;b.nii;1\np1;test;t.nii;\n"
        "ANON;train;c.nii;0\nAnon;test;d.nii;\n"
    )
    assert sets_of(table) == {
        "a.nii": {"fold 0": "validation", "fold 1": "train"},
        "b.nii": {"fold 0": "train", "fold 1": "validation"},
        "c.nii": {"fold 0": "validation", "fold 1": "train"},
        "t.nii": {"fold 0": "test", "fold 1": "test"},
        "d.nii": {"fold 0": "test", "fold 1": "test"},
    }
    assert [entry.patient for entry in listed(table)] == ["p1", "p2", "p1", "", ""]
    # Of images that cannot be read the patients are compared all the same.
    assert kinds(table) == {("patient", "test", "validation")} | {("patient", "test", "train")}


def test_with_validation_rows_a_fold_is_the_round_that_a_row_is_about(tmp_path: Path):
    table = tmp_path / "rounds.csv"
    table.write_text(
        "patient,set,image,fold\nP1,train,a.nii,0\nP2,val,b.nii,0\nP2,train,b.nii,1\n"
        "P1,val,a.nii,1\nP3,test,t.nii,\n"
    )
    assert [dict(entry.sets) for entry in listed(table)] == [
        {"fold 0": "train"}, {"fold 0": "validation"}, {"fold 1": "train"},
        {"fold 1": "validation"}, {"fold 0": "test", "fold 1": "test"},
    ]  # fmt: skip


def test_tables_that_say_nothing_are_refused_with_what_they_need(tmp_path: Path):
    for text, error, said in (
        (b"patient,set,image\n", RunError, "names no image"),
        (b"patient,set\nP1,train\n", RunError, "no column 'image'"),
        (b"patient,set,image\nP1,both,a.nii\n", RunError, "line 2: needs an image"),
        ("patient,set,image\nMüller,train,a.nii\n".encode("latin-1"), ConfigError, "UTF-8"),
    ):
        (tmp_path / "t.csv").write_bytes(text)
        with pytest.raises(error, match=said):
            listed(tmp_path / "t.csv")


def test_a_cohort_in_one_file_is_audited_like_its_folder(tmp_path: Path):
    pytest.importorskip("lmdb")
    build_cohort(tmp_path / "cohort")
    whole = audit_cohort(tmp_path / "cohort", workers=1)
    for kind in ("hdf5", "lmdb"):
        export_cohort(tmp_path / "cohort", kind, tmp_path / kind)
        assert audit_cohort(tmp_path / kind, workers=1) == whole
    assert (whole.images, whole.unread) == (5, ())
