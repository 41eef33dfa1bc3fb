"""Exports: other tools find every voxel at its millimeter, every name and every part."""

from __future__ import annotations

import gzip
import json
import pickle
import struct
from dataclasses import replace
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner
from core.cohort_samples import SCHEMA, build_cohort
from core.drawn_readings import draw_box, draw_mask, finished, image

from MedPrepLib.command import medprep
from MedPrepLib.errors import CohortError, CorruptCaseError, MedPrepError, RunError
from MedPrepLib.export import KINDS, export_cohort
from MedPrepLib.export.datasets import to_nnunet
from MedPrepLib.export.network import NETWORK, mounted_type, network_filesystem
from MedPrepLib.formats.segnrrd import read_seg_nrrd
from MedPrepLib.load import CohortDataset, CohortIndex, LoadedCase, open_cohort
from MedPrepLib.load.lmdbvalues import as_value, case_key, from_value
from MedPrepLib.verify import verify


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "cohort"
    folder.mkdir()
    build_cohort(folder)
    return folder


@pytest.fixture(scope="module")
def index(cohort: Path) -> CohortIndex:
    return open_cohort(cohort)


def equal(left: LoadedCase, right: LoadedCase) -> None:
    for name in ("image", "mask", "boxes", "box_labels", "slices"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    for name in ("id", "geometry", "labels", "statistics", "consensus", "meta", "ignore_value"):
        assert getattr(left, name) == getattr(right, name)
    assert set(left.readings) == set(right.readings)
    for rater, reading in left.readings.items():
        assert reading.segments == right.readings[rater].segments
        for a, b in zip(reading.layers, right.readings[rater].layers, strict=True):
            np.testing.assert_array_equal(a, b)
    for label, places in left.foreground.items():
        np.testing.assert_array_equal(places, right.foreground[label])


# --- one file -------------------------------------------------------------------------------


@pytest.fixture(params=["hdf5", "lmdb"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "lmdb":
        pytest.importorskip("lmdb")
    return request.param


@pytest.mark.parametrize("codec", ["raw", "lz4", "gzip"])
def test_training_code_reads_a_consolidated_cohort_like_its_folder(
    tmp_path: Path, kind: str, codec: str
):
    pytest.importorskip("blosc")
    build_cohort(tmp_path / "cohort", codec=codec)
    one = tmp_path / "one"
    export_cohort(tmp_path / "cohort", kind, one)
    folder, single = open_cohort(tmp_path / "cohort"), open_cohort(one)
    assert replace(single, folder=folder.folder) == folder
    for entry in folder.cases:
        equal(single.read(entry.id), folder.read(entry.id))
    items = CohortDataset(one, "train", 0, as_torch=False)
    for ours, theirs in zip(
        pickle.loads(pickle.dumps(items)),
        CohortDataset(tmp_path / "cohort", "train", 0, as_torch=False),
        strict=True,
    ):
        np.testing.assert_array_equal(ours["image"], theirs["image"])
        np.testing.assert_array_equal(ours["mask"], theirs["mask"])


def test_consolidation_is_a_function_of_the_cohort(cohort: Path, tmp_path: Path, kind: str):
    for name in ("a", "b"):
        export_cohort(cohort, kind, tmp_path / name)
    places = [p / "data.mdb" if p.is_dir() else p for p in (tmp_path / "a", tmp_path / "b")]
    assert places[0].read_bytes() == places[1].read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_bricks_are_copied_as_they_are_stored(cohort: Path, index: CohortIndex, tmp_path: Path):
    export_cohort(cohort, "hdf5", tmp_path / "one.h5")
    with h5py.File(tmp_path / "one.h5") as one:
        for entry in index.cases:
            with h5py.File(cohort / entry.name) as shard:
                ours, theirs = one[f"cases/{entry.id}/image"], shard["image"]
                assert ours.id.get_num_chunks() == theirs.id.get_num_chunks()
                for n in range(ours.id.get_num_chunks()):
                    place = ours.id.get_chunk_info(n).chunk_offset
                    stored = ours.id.read_direct_chunk(place)
                    assert stored == theirs.id.read_direct_chunk(place)


def test_a_flipped_bit_in_a_consolidated_cohort_is_found(cohort: Path, tmp_path: Path, kind: str):
    one = tmp_path / "one"
    export_cohort(cohort, kind, one)
    place = one / "data.mdb" if one.is_dir() else one
    data = bytearray(place.read_bytes())
    needle = (cohort / open_cohort(cohort).cases[2].name).read_bytes()
    start = data.find(needle[20_000:20_064])
    assert start > 0
    data[start + 9] ^= 16
    place.write_bytes(data)
    with pytest.raises(CorruptCaseError, match="case-2"):
        open_cohort(one).read("case-2")


def test_a_damaged_cohort_is_not_consolidated(tmp_path: Path, kind: str):
    build_cohort(tmp_path / "cohort")
    path = tmp_path / "cohort" / open_cohort(tmp_path / "cohort").cases[0].name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CorruptCaseError, match="case case-0, file"):
        export_cohort(tmp_path / "cohort", kind, tmp_path / "one")
    assert [p.name for p in tmp_path.iterdir()] == ["cohort"]


def test_a_consolidated_cohort_is_verified_case_by_case(cohort: Path, tmp_path: Path, kind: str):
    target = tmp_path / "one"
    export_cohort(cohort, kind, target)
    assert verify(target) == verify(target, deep=False) == ()
    done = CliRunner().invoke(medprep, ["verify", str(target)], catch_exceptions=False)
    assert (done.exit_code, done.output) == (
        0,
        "Intact: every case is there and gives its checksums.\n",
    )
    other = build_cohort(tmp_path / "other", count=4)
    if kind == "hdf5":
        with h5py.File(target, "r+") as file:
            del file["cases/case-4"]
            file.move("cases/case-0", "cases/x")
            file.move("cases/case-1", "cases/case-0")
            file.move("cases/x", "cases/case-1")
    else:
        import lmdb

        with (
            lmdb.open(str(target), map_size=1 << 28, lock=False) as data,
            data.begin(write=True) as transaction,
        ):
            transaction.delete(case_key("case-4").encode())
            value = as_value((tmp_path / "other" / other.cases[1].shard.name).read_bytes())
            transaction.put(case_key("case-0").encode(), value)
            transaction.put(case_key("case-1").encode(), value)
    found = {problem.name: problem.message for problem in verify(target)}
    assert found.keys() == {"cases/case-0", "cases/case-1", "cases/case-4"} - (
        {"cases/case-1"} if kind == "lmdb" else set()
    )
    said = CliRunner().invoke(medprep, ["verify", str(target)]).output
    assert said.endswith(f"{len(found)} problems: this cohort is not what was written.\n")


def test_values_hold_no_pickle_and_every_byte_counts():
    value = as_value(b"content")
    assert from_value(value, "x") == b"content"
    for place in range(len(value)):
        changed = bytearray(value)
        changed[place] ^= 1
        with pytest.raises(CohortError):
            from_value(bytes(changed), "x")
    for other in (pickle.dumps({"a": 1}), b"", value[:-1], value + b"x", value[:40]):
        with pytest.raises(CorruptCaseError):
            from_value(other, "x")


def test_what_is_no_cohort_is_refused_in_one_sentence(cohort: Path, tmp_path: Path, kind: str):
    one = tmp_path / "one"
    export_cohort(cohort, kind, one)
    with pytest.raises(KeyError, match="no case 'case-9'"):
        open_cohort(one).read("case-9")
    with pytest.raises(RunError, match="is one file already"):
        export_cohort(one, kind, tmp_path / "again")
    place = one / "data.mdb" if one.is_dir() else one
    place.write_bytes(b"x" * 10_000)
    with pytest.raises(CohortError):
        open_cohort(one)


def test_a_planted_link_in_a_single_file_is_refused(cohort: Path, tmp_path: Path):
    one = tmp_path / "one.h5"
    export_cohort(cohort, "hdf5", one)
    with h5py.File(one, "r+") as file:
        del file["cases/case-1"]
        file["cases/case-1"] = h5py.ExternalLink(str(cohort / "x.h5"), "/")
    with pytest.raises(CohortError, match="has no 'case-1'"):
        open_cohort(one).read("case-1")


MOUNTS = r"""24 1 0:22 / / rw - ext4 /dev/sda rw
30 24 0:30 / /data rw shared:1 - nfs4 server:/export rw
31 24 0:31 / /with\040blank rw - fuse.sshfs x rw
32 30 0:32 / /data/local rw - xfs /dev/sdb rw"""


@pytest.mark.fault("F9")
def test_network_file_systems_are_known_by_the_longest_mount():
    kinds = {
        "/data/x": "nfs4", "/data": "nfs4", "/database": "ext4", "/data/local/x": "xfs",
        "/with blank/x": "fuse.sshfs", "/": "ext4",
    }  # fmt: skip
    mounts = MOUNTS.replace("\\\\", "\\")
    assert {place: mounted_type(place, mounts) for place in kinds} == kinds
    assert all(NETWORK.fullmatch(kind) for kind in ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs"))
    assert not any(NETWORK.fullmatch(kind) for kind in ("ext4", "xfs", "tmpfs", "fuseblk", ""))


@pytest.mark.fault("F9")
def test_lmdb_is_refused_on_a_network_drive_unless_allowed(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("lmdb")
    assert network_filesystem(tmp_path / "not" / "there") in ("", "fuse.sshfs", "nfs4")
    monkeypatch.setattr("MedPrepLib.export.onefile.network_filesystem", lambda _: "nfs4")
    with pytest.raises(RunError, match=r"nfs4.*--allow-network"):
        export_cohort(cohort, "lmdb", tmp_path / "one")
    export_cohort(cohort, "lmdb", tmp_path / "one", allow_network=True)
    assert open_cohort(tmp_path / "one").read("case-0").id == "case-0"


# --- images ---------------------------------------------------------------------------------


def same_place(path: Path, case: LoadedCase, voxels: np.ndarray) -> None:
    """SimpleITK and nibabel both find the voxels, and find them at the same millimeters."""
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), voxels)
    for corner in ((0, 0, 0), tuple(n - 1 for n in case.geometry.size), (3, 0, 5)):
        place = image.TransformIndexToPhysicalPoint([int(x) for x in corner])
        np.testing.assert_allclose(place, case.geometry.point_at(corner), atol=1e-3)
    if path.name.endswith(".nii.gz"):
        other = nib.load(path)
        np.testing.assert_array_equal(np.asanyarray(other.dataobj).T, voxels)
        world = nib.affines.apply_affine(other.affine, (3, 0, 5)) * (-1, -1, 1)
        np.testing.assert_allclose(world, case.geometry.point_at((3, 0, 5)), atol=1e-3)
        np.testing.assert_allclose(other.get_qform(), other.get_sform(), atol=1e-3)


def test_nifti_files_hold_every_voxel_at_its_millimeter(
    cohort: Path, index: CohortIndex, tmp_path: Path
):
    export_cohort(cohort, "nifti", tmp_path / "out")
    labels = json.loads((tmp_path / "out/labels.json").read_text())
    assert labels["mask"] == {"left kidney": 3, "right kidney": 4, "tumor / Läsion": 7}
    for entry in index.cases:
        case, folder = index.read(entry.id), tmp_path / "out" / entry.id
        same_place(folder / "image.nii.gz", case, case.image)
        same_place(folder / "mask.nii.gz", case, case.mask)
        for rater, segments in labels["readings"][entry.id].items():
            for segment, (name, value) in segments.items():
                found = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name))) == value
                np.testing.assert_array_equal(found, case.readings[rater].mask(segment))


def test_undecided_voxels_of_nifti_files_have_a_name(tmp_path: Path):
    masks = image(tmp_path)
    draw_mask(masks / "ana.nii.gz", slice(4, 10), slice(4, 10))
    draw_mask(masks / "ben.nii.gz", slice(4, 10), slice(6, 12))
    finished(tmp_path, '[consensus]\nties = "undecided"\n')
    export_cohort(tmp_path / "cohort", "nifti", tmp_path / "out")
    labels = json.loads((tmp_path / "out/labels.json").read_text())
    voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(next(tmp_path.glob("out/*/mask.nii.gz")))))
    assert set(voxels.ravel()) - {0} == {*labels["mask"].values(), labels["ignore_value"]}


def test_headers_of_exported_files_tell_nothing(cohort: Path, tmp_path: Path):
    export_cohort(cohort, "nifti", tmp_path / "out")
    paths = sorted((tmp_path / "out").rglob("*.nii.gz"))
    assert len(paths) == 25
    for path in paths:
        data = path.read_bytes()
        flags, mtime = data[3], struct.unpack("<I", data[4:8])[0]
        assert (flags, mtime) == (0, 0)
        header = nib.Nifti1Header(gzip.decompress(data)[:348])
        for name in ("descrip", "aux_file", "db_name", "intent_name"):
            assert bytes(header[name].tobytes()).strip(b"\0") == b""


def test_segmentations_keep_names_colors_and_terminology(
    cohort: Path, index: CohortIndex, tmp_path: Path
):
    export_cohort(cohort, "seg.nrrd", tmp_path / "out")
    for entry in index.cases:
        case, folder = index.read(entry.id), tmp_path / "out" / entry.id
        same_place(folder / "consensus.seg.nrrd", case, case.mask)
        consensus = read_seg_nrrd(folder / "consensus.seg.nrrd")
        assert consensus.geometry.displacement_mm(case.geometry) < 1e-6
        looked_for = {name for reading in case.readings.values() for name in reading.names}
        assert set(consensus.names) == looked_for.intersection(SCHEMA.names)
        for label in (SCHEMA.named(name) for name in consensus.names):
            segment = consensus.find(label.name)
            assert segment is not None
            assert (segment.value, segment.color) == (label.value, label.color)
            assert segment.terminology == label.terminology
        drawn = read_seg_nrrd(folder / "readings" / "Dr_B.seg.nrrd")
        assert drawn.names == ("left kidney", "other", "nothing")
        assert drawn.find("left kidney").color == SCHEMA.named("left kidney").color
        for name in drawn.names:
            np.testing.assert_array_equal(drawn.mask(name), case.readings["Dr. B"].mask(name))
        single = folder / "readings" / "Dr_A_a.seg.nrrd"
        same_place(single, case, case.readings["Dr. A/ä"].layers[0])
        image = sitk.ReadImage(str(single))
        names = {image.GetMetaData(f"Segment{n}_Name") for n in range(2)}
        assert names == {"left kidney", "tumor / Läsion"}
        assert image.GetMetaData("Segment0_Color") == "0.00392157 0.00784314 0.0117647"
        assert read_seg_nrrd(single).find("tumor / Läsion").terminology is not None


# --- nnU-Net and MONAI ----------------------------------------------------------------------


def nnunet_faults(folder: Path) -> list[str]:
    """What nnU-Net's own verifier looks for, by another program.

    Source: nnunetv2/experiment_planning/verify_dataset_integrity.py (verify_dataset_integrity,
    check_cases, verify_labels) and nnunetv2/utilities/label_handling (LabelManager), nnU-Net v2.
    """
    tree = json.loads((folder / "dataset.json").read_text())
    faults = [f"no {key}" for key in ("channel_names", "labels", "numTraining", "file_ending")
              if key not in tree]  # fmt: skip
    ending, channels = tree["file_ending"], len(tree["channel_names"])
    labels = sorted(p.name[: -len(ending)] for p in (folder / "labelsTr").iterdir())
    images = sorted(p.name for p in (folder / "imagesTr").iterdir())
    if images != [f"{x}_{c:04d}{ending}" for x in labels for c in range(channels)]:
        faults.append("images and labels do not match")
    if len(labels) != tree["numTraining"]:
        faults.append("numTraining")
    values = sorted(tree["labels"].values())
    if values != list(range(len(values))) or tree["labels"].get("background") != 0:
        faults.append("labels are not consecutive from 0")
    if tree["labels"].get("ignore", values[-1]) != values[-1]:
        faults.append("ignore is not the highest")
    for name in labels:
        image = sitk.ReadImage(str(folder / "imagesTr" / f"{name}_0000{ending}"))
        label = sitk.ReadImage(str(folder / "labelsTr" / f"{name}{ending}"))
        for ours, theirs in zip(
            (image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection()),
            (label.GetSize(), label.GetSpacing(), label.GetOrigin(), label.GetDirection()),
            strict=True,
        ):
            if not np.allclose(ours, theirs):
                faults.append(f"{name}: {ours} is not {theirs}")
        if not set(np.unique(sitk.GetArrayFromImage(label)).tolist()) <= set(values):
            faults.append(f"{name}: unexpected labels")
        if np.isnan(sitk.GetArrayFromImage(image)).any():
            faults.append(f"{name}: NaN")
    return faults


def test_nnunet_finds_nothing_wrong_with_its_dataset(
    cohort: Path, index: CohortIndex, tmp_path: Path
):
    target = tmp_path / "Dataset042_Kidney"
    export_cohort(cohort, "nnunet", target, modality="CT")
    assert nnunet_faults(target) == []
    tree = json.loads((target / "dataset.json").read_text())
    assert tree["channel_names"] == {"0": "CT"}
    assert tree["labels"] == {
        "background": 0, "left kidney": 1, "right kidney": 2, "tumor / Läsion": 3,
    }  # fmt: skip
    assert [p.name for p in (target / "imagesTs").iterdir()] == ["case-4_0000.nii.gz"]
    folds = json.loads((target / "splits_final.json").read_text())
    assert folds == [
        {"train": ["case-1"], "val": ["case-0", "case-2"]},
        {"train": ["case-0", "case-2"], "val": ["case-1"]},
    ]
    for name in ("case-0", "case-1", "case-2"):
        case = index.read(name)
        same_place(target / f"imagesTr/{name}_0000.nii.gz", case, case.image)
        expected = np.select([case.mask == 3, case.mask == 7], [1, 3], 0)
        same_place(target / f"labelsTr/{name}.nii.gz", case, expected)


def test_folds_keep_their_numbers_where_one_has_no_case_of_the_modality(
    cohort: Path, tmp_path: Path
):
    target = tmp_path / "Dataset043_MR"
    export_cohort(cohort, "nnunet", target, modality="MR")
    assert json.loads((target / "splits_final.json").read_text()) == [
        {"train": ["case-3"], "val": []},
        {"train": [], "val": ["case-3"]},
    ]


def test_undecided_voxels_are_what_nnunet_ignores(tmp_path: Path, monkeypatch, index: CohortIndex):
    def read(_index, entry):
        case = index.read(entry.id)
        mask = case.mask.copy()
        mask[0, 0, 0] = 255
        return replace(case, mask=mask, ignore_value=255)

    monkeypatch.setattr("MedPrepLib.export.datasets.read_entry", read)
    target = tmp_path / "Dataset001_X"
    to_nnunet(index, target, "CT")
    assert nnunet_faults(target) == []
    assert json.loads((target / "dataset.json").read_text())["labels"]["ignore"] == 4
    label = sitk.ReadImage(str(target / "labelsTr/case-0.nii.gz"))
    assert label[0, 0, 0] == 4


def test_nnunet_is_told_what_it_cannot_have(cohort: Path, tmp_path: Path):
    with pytest.raises(MedPrepError, match="DatasetNNN_Name"):
        export_cohort(cohort, "nnunet", tmp_path / "out")
    target = tmp_path / "Dataset001_X"
    with pytest.raises(MedPrepError, match=r"CT, MR: choose one \(--modality\)"):
        export_cohort(cohort, "nnunet", target)
    with pytest.raises(RunError, match="no case of modality PT"):
        export_cohort(cohort, "nnunet", target, modality="PT")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["hdf5", "nifti", "monai", "nnunet"])
def test_an_option_of_another_export_is_refused_not_passed_over(
    cohort: Path, tmp_path: Path, kind: str
):
    for option, value, own in (("modality", "CT", "nnunet"), ("fold", 1, "monai")):
        if kind != own:
            with pytest.raises(MedPrepError, match=f"--{option} goes with --to {own}, not"):
                export_cohort(cohort, kind, tmp_path / "Dataset001_X", **{option: value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["nnunet", "monai"])
def test_a_cohort_of_boxes_makes_no_dataset_that_nothing_can_be_trained_on(
    tmp_path: Path, kind: str
):
    draw_box(image(tmp_path) / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
    finished(tmp_path, task="detection")
    target = tmp_path / "Dataset001_X"
    with pytest.raises(RunError, match="none of 1 training cases has a mask"):
        export_cohort(tmp_path / "cohort", kind, target)
    assert not target.exists()


def test_monai_reads_the_datalist(cohort: Path, index: CohortIndex, tmp_path: Path):
    export_cohort(cohort, "monai", tmp_path / "all")
    export_cohort(cohort, "monai", tmp_path / "fold", fold=1)
    every = json.loads((tmp_path / "all/datalist.json").read_text())
    assert [row["fold"] for row in every["training"]] == [0, 1, 0, 1]
    assert "validation" not in every
    held = json.loads((tmp_path / "fold/datalist.json").read_text())
    assert [row["fold"] for row in held["training"]] == [0, 0]
    assert [row["fold"] for row in held["validation"]] == [1, 1]
    assert held["testing"] == [
        {"image": "imagesTs/case-4.nii.gz", "label": "labelsTs/case-4.nii.gz"}
    ]
    for row in every["training"]:
        case = index.read(Path(row["image"]).name.removesuffix(".nii.gz"))
        same_place(tmp_path / "all" / row["image"], case, case.image)
        same_place(tmp_path / "all" / row["label"], case, case.mask)
    with pytest.raises(MedPrepError, match="no annotated training case has fold 7"):
        export_cohort(cohort, "monai", tmp_path / "other", fold=7)


@pytest.mark.heavy  # importing MONAI takes longer than everything else here
def test_monai_itself_loads_the_list(cohort: Path, tmp_path: Path):
    data = pytest.importorskip("monai.data")
    export_cohort(cohort, "monai", tmp_path / "out")
    rows = data.load_decathlon_datalist(str(tmp_path / "out/datalist.json"), True, "training")
    assert len(rows) == 4
    assert all(Path(row["image"]).is_file() and Path(row["label"]).is_file() for row in rows)


# --- all ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nifti", "seg.nrrd", "monai"])
def test_the_same_cohort_gives_the_same_files(cohort: Path, tmp_path: Path, kind: str):
    for name in ("a", "b"):
        export_cohort(cohort, kind, tmp_path / name)
    for path in (p for p in (tmp_path / "a").rglob("*") if p.is_file()):
        other = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == other.read_bytes()


def test_a_folder_that_exists_is_never_mixed_with(cohort: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    with pytest.raises(RunError, match="exists already"):
        export_cohort(cohort, "nifti", tmp_path / "out")


def test_an_export_replaces_no_file_of_another_kind_and_none_of_the_cohort(
    cohort: Path, tmp_path: Path
):
    study = tmp_path / "study.toml"
    study.write_text("name = 'mine'")
    with pytest.raises(RunError, match=r"study\.toml exists and is no HDF5 file"):
        export_cohort(cohort, "hdf5", study)
    assert study.read_text() == "name = 'mine'"
    case = next(cohort.rglob("*.h5"))
    before = case.read_bytes()
    for target in (case, cohort / "new.h5", cohort / "cases" / ".." / "x"):
        with pytest.raises(RunError, match="lies in the cohort itself"):
            export_cohort(cohort, "hdf5", target)
    assert case.read_bytes() == before
    export_cohort(cohort, "hdf5", tmp_path / "a.h5")
    export_cohort(cohort, "hdf5", tmp_path / "a.h5")  # an older export is replaced


def test_an_interrupted_export_leaves_nothing(cohort: Path, tmp_path: Path, monkeypatch):
    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("MedPrepLib.export.images.write_json", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_cohort(cohort, "nifti", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_command_exports(cohort: Path, tmp_path: Path):
    from MedPrepLib.command.export import KINDS as OFFERED

    assert OFFERED == KINDS
    words = ["export", str(cohort), "--to", "hdf5", str(tmp_path / "one.h5")]
    done = CliRunner().invoke(medprep, words)
    written, uncleaned = done.output.splitlines()
    assert (done.exit_code, written) == (0, f"Written: {tmp_path / 'one.h5'}")
    assert "judged by headers only" in uncleaned
    assert open_cohort(tmp_path / "one.h5").study == "a study"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "nifti", "--fold", "1"], "--fold is for --to monai"),
        (["--to", "hdf5", "--modality", "CT"], "--modality is for --to nnunet"),
        (["--to", "hdf5", "--allow-network"], "--allow-network is for --to lmdb"),
        (["--to", "hdf5", "--accept-face-risk"], "with --public only"),
    ],
)
def test_an_option_that_would_change_nothing_is_a_wrong_call(
    cohort: Path, tmp_path: Path, words: list[str], said: str
):
    answer = CliRunner().invoke(medprep, ["export", str(cohort), str(tmp_path / "out"), *words])
    assert answer.exit_code == 2
    assert said in answer.output
    assert not (tmp_path / "out").exists()


def test_nothing_is_exported_into_the_cohort(cohort: Path):
    """The next run would find it there and refuse the folder."""
    target = cohort / "images"
    answer = CliRunner().invoke(medprep, ["export", str(cohort), str(target), "--to", "nifti"])
    assert answer.exit_code == 2
    assert "lies in the cohort" in answer.output
    assert not target.exists()
