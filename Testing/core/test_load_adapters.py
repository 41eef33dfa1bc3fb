"""Other frameworks see the voxels where their own readers see those of an exported NIfTI file."""

from __future__ import annotations

import importlib
import itertools
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core.cohort_samples import SCHEMA, build_cohort

from MedPrepLib.augment import Policy
from MedPrepLib.config.settings import Augment
from MedPrepLib.export import export_cohort
from MedPrepLib.images import Volume, to_nibabel
from MedPrepLib.load import CohortDataset, PatchDataset, read_case
from MedPrepLib.load.generators import signature_of, source_of
from MedPrepLib.load.patches import PatchError
from MedPrepLib.load.withmonai import dictionary_of
from MedPrepLib.load.withtorchio import subject_of, subjects

SIZE = (24, 20, 16)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    build_cohort(folder)
    return folder


def framework(name: str) -> Any:
    """An optional package; its own warnings while it is imported are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


@pytest.fixture
def nifti(cohort: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Image and mask of the first training case, as nibabel writes them."""
    nib = pytest.importorskip("nibabel")
    case = read_case(cohort / CohortDataset(cohort, "train").cases[0].name)
    places = tmp_path / "image.nii.gz", tmp_path / "mask.nii.gz"
    for place, array in zip(places, (case.image, case.mask), strict=True):
        nib.save(to_nibabel(Volume(array, case.geometry)), place)
    return places


@pytest.fixture
def patch(cohort: Path) -> dict[str, Any]:
    return PatchDataset(cohort, SIZE, "train", boxes=True, as_torch=False)[0]


def test_torchio_sees_a_case_where_it_sees_its_nifti_file(cohort: Path, nifti: tuple[Path, Path]):
    tio = framework("torchio")
    ours = subjects(cohort, "train")[0]
    for name, image in (("image", tio.ScalarImage(nifti[0])), ("mask", tio.LabelMap(nifti[1]))):
        np.testing.assert_array_equal(ours[name].data.numpy(), image.data.numpy())
        np.testing.assert_allclose(ours[name].affine, image.affine, atol=1e-4)
        assert ours[name].orientation == image.orientation
    item = subject_of(CohortDataset(cohort, "train", as_torch=False)[0])
    np.testing.assert_array_equal(item["image"].data.numpy(), ours["image"].data.numpy())
    np.testing.assert_array_equal(item["image"].affine, ours["image"].affine)
    assert item["id"] == ours["id"] == "case-1"


def test_a_patch_as_a_subject_is_what_torchio_crops_there(
    nifti: tuple[Path, Path], patch: dict[str, Any]
):
    tio = framework("torchio")
    image = tio.ScalarImage(nifti[0])
    low = patch["position"].tolist()
    high = [n - a - p for n, a, p in zip(image.spatial_shape, low, SIZE, strict=True)]
    bounds = [edge for pair in zip(low, high, strict=True) for edge in pair]
    cropped = tio.Crop(bounds)(image)
    ours = subject_of(patch)["image"]
    np.testing.assert_array_equal(ours.data.numpy(), cropped.data.numpy())
    np.testing.assert_allclose(ours.affine, cropped.affine, atol=1e-4)


def test_a_torchio_queue_runs_on_subjects(cohort: Path):
    tio = framework("torchio")
    parts = subjects(cohort, "train", window="lung")
    assert pickle.loads(pickle.dumps(parts))[0]["id"] == "case-1"
    sampler = tio.data.UniformSampler(16)
    queue = tio.Queue(tio.SubjectsDataset(parts), 4, 2, sampler, shuffle_subjects=False)
    taken = [queue[n] for n in range(4)]
    assert [part["image"].data.shape for part in taken] == [(1, 16, 16, 16)] * 4
    assert {part["id"] for part in taken} == {"case-1", "case-3"}
    assert all(0 <= part["image"].data.min() <= part["image"].data.max() <= 1 for part in taken)


@pytest.mark.parametrize("form", ["hdf5", "lmdb"])
def test_torchio_reads_a_cohort_in_one_file(cohort: Path, tmp_path: Path, form: str):
    framework("torchio")
    pytest.importorskip("lmdb")
    one = tmp_path / "one"
    export_cohort(cohort, form, one)
    for ours, theirs in zip(subjects(one), subjects(cohort), strict=True):
        np.testing.assert_array_equal(ours["mask"].data.numpy(), theirs["mask"].data.numpy())
        np.testing.assert_array_equal(ours["image"].affine, theirs["image"].affine)


def test_monai_sees_an_item_as_it_loads_its_nifti_file(
    cohort: Path, nifti: tuple[Path, Path], patch: dict[str, Any]
):
    framework("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if importlib.util.find_spec("monai") is None:
            pytest.skip("monai is not installed")
        transforms = importlib.import_module("monai.transforms")
        theirs = {}
        for name, path in zip(("image", "label"), nifti, strict=True):
            theirs[name] = transforms.LoadImage(ensure_channel_first=True, dtype=None)(path)
        ours = dictionary_of(CohortDataset(cohort, "train", as_torch=False)[0])
        small = dictionary_of(patch)
        i, j, k = patch["position"].tolist()
        crop = transforms.SpatialCrop(roi_start=(i, j, k), roi_end=(i + 24, j + 20, k + 16))
        cropped = crop(theirs["image"])
    for name, tensor in theirs.items():
        np.testing.assert_array_equal(ours[name].numpy(), tensor.numpy())
        np.testing.assert_allclose(ours[name].affine, tensor.affine, atol=1e-4)
    np.testing.assert_array_equal(small["image"].numpy(), cropped.numpy())
    np.testing.assert_allclose(small["image"].affine, cropped.affine, atol=1e-4)
    assert ours["label"].meta["space"] == theirs["label"].meta["space"]


def test_boxes_follow_the_axes_of_monai_and_torchio(patch: dict[str, Any]):
    """The box of the tumor, as MONAI itself finds it in the label."""
    framework("torch")
    framework("torchio")
    if importlib.util.find_spec("monai") is None:
        pytest.skip("monai is not installed")
    boxed = {**patch, "mask": np.zeros((1, 16, 20, 24), np.uint8)}
    boxed |= {"boxes": np.array([[2, 3, 5, 4, 9, 17]], np.int32), "box_labels": np.array([7])}
    boxed["mask"][0, 2:4, 3:9, 5:17] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ops = importlib.import_module("monai.apps.detection.transforms.box_ops")
        item = dictionary_of(boxed)
        found, _ = ops.convert_mask_to_box(item["label"].numpy(), bg_label=0)
    assert found.tolist() == item["boxes"].tolist() == [[5, 3, 2, 17, 9, 4]]
    subject = subject_of(boxed)
    (i0, j0, k0, i1, j1, k1), *_ = subject["boxes"].tolist()
    inside = subject["mask"].data[0, i0:i1, j0:j1, k0:k1]
    assert inside.sum() == inside.numel() == subject["mask"].data.sum()


def test_a_generator_yields_what_its_signature_says(cohort: Path):
    for dataset in (
        PatchDataset(cohort, SIZE, None, boxes=True, window="lung", as_torch=False),
        CohortDataset(cohort, None, window="lung", as_torch=False),
    ):
        signature, begin = signature_of(dataset), source_of(dataset)
        for item in begin():
            assert item.keys() == signature.keys()
            for name, (shape, dtype) in signature.items():
                if dtype == "string":
                    assert isinstance(item[name], str)
                    continue
                array = np.asarray(item[name])
                assert array.dtype == dtype
                assert len(array.shape) == len(shape)
                assert all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    assert signature["image"] == ((1, None, None, None), "float32")


def test_a_generator_refuses_what_tensorflow_would_convert_without_a_word(cohort: Path):
    """Its from_generator calls numpy.asarray with the type of the signature."""
    for dataset in (
        PatchDataset(cohort, SIZE, None, as_torch=False),
        CohortDataset(cohort, None, as_torch=False),
    ):
        dtype = signature_of(dataset)["image"][1]
        items = source_of(dataset)()
        for item in itertools.islice(items, 3):
            assert np.array_equal(np.asarray(item["image"], dtype), item["image"])
        with pytest.raises(PatchError, match="image of case case-3 holds float32, the first one"):
            next(items)


def test_each_pass_of_a_generator_is_another_epoch(cohort: Path):
    dataset = PatchDataset(cohort, SIZE, None, window="lung", as_torch=False)
    begin = source_of(dataset)
    first, second = ([item["position"].tolist() for item in begin()] for _ in range(2))
    assert first != second
    assert second == [dataset[1, n]["position"].tolist() for n in range(5)]


def test_the_torchio_transform_does_what_the_policy_does(patch: dict[str, Any]):
    tio = framework("torchio")
    import torch

    policy = Policy(Augment(flips=("left-right",)), SCHEMA)
    item = {**patch, "image": np.random.default_rng(0).random((1, 16, 20, 24), dtype=np.float32)}
    item["pad_value"] = 0.0
    for round_ in range(4):
        torch.manual_seed(round_)
        moved = policy.to_torchio(seed=7)(subject_of(item))
        torch.manual_seed(round_)
        torch.rand(1)  # whether to do anything at all
        rng = np.random.default_rng([7, int(torch.randint(0, 2**31, (1,)).item())])
        axes = item["affine"][:3, 2::-1]
        expected = policy.applied(item, policy.draw((16, 20, 24), axes, rng))
        ours = subject_of(expected)
        np.testing.assert_allclose(moved["image"].data, ours["image"].data, atol=1e-5)
        np.testing.assert_array_equal(moved["mask"].data, ours["mask"].data)
        assert not np.array_equal(moved["image"].data, subject_of(item)["image"].data)
    assert isinstance(policy.to_torchio(), tio.Transform)


@pytest.mark.parametrize("angles", [(8.0, 0.0, 0.0), (0.0, -6.0, 0.0), (0.0, 0.0, 9.0)])
def test_a_rotation_is_that_of_torchio_about_the_same_axis(angles: tuple[float, float, float]):
    """torchio turns about R, A, S; L and P point the other way, so those angles change sign."""
    tio = framework("torchio")
    from MedPrepLib.augment import Draw
    from MedPrepLib.geometry import Geometry

    geometry = Geometry((30, 26, 14), (0.8, 1.1, 2.5), (5.0, -3.0, 11.0))
    k, j, i = np.indices(geometry.shape)
    smooth = (np.sin(k / 3) + np.cos(j / 4) * np.sin(i / 5) + 2).astype(np.float32) / 4
    item = {
        "image": smooth[None], "mask": (smooth > 0.6).astype(np.uint8)[None], "id": "x",
        "affine": geometry.affine, "pad_value": 0.0,
    }  # fmt: skip
    ours = subject_of(Policy(Augment(), SCHEMA).applied(item, Draw(angles)))
    a, b, c = angles
    turn = tio.Affine(
        scales=1, degrees=(-a, -b, c), translation=0, center="image", default_pad_value=0
    )
    theirs = turn(subject_of(item))
    inside = (slice(None), *(slice(4, -4),) * 3)
    np.testing.assert_allclose(ours["image"].data[inside], theirs["image"].data[inside], atol=1e-4)
    assert (ours["mask"].data[inside] != theirs["mask"].data[inside]).float().mean() < 2e-3
