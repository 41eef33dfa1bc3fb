"""Augmentation: everything moves together, nothing folds, left stays left, limits are limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from core.cohort_samples import SCHEMA, build_cohort, oblique

from MedPrepLib.augment import AugmentError, Draw, Policy, policy_of, preview_of, strip
from MedPrepLib.augment.field import (
    Elastic,
    coordinates,
    displacements_mm,
    random_elastic,
    rotation,
)
from MedPrepLib.augment.sampling import linearly
from MedPrepLib.config import parse_study
from MedPrepLib.config.settings import Augment
from MedPrepLib.errors import ConfigError, LabelError
from MedPrepLib.geometry import Geometry
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.load import CohortDataset, PatchDataset, ThreadLoader

STUDY = """
name = "lung"
[[sources]]
kind = "folders"
path = "raw"
[labels.lesion]
value = 2
[augment]
"""
STILL = {"rotation_deg": 0, "elastic_mm": 0, "contrast": 0, "noise_sigma": 0}
ALL_FLIPS = ("left-right", "anterior-posterior", "inferior-superior")


def item_of(geometry: Geometry, seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    mask = np.zeros(geometry.shape, np.uint8)
    mask[4:9, 6:14, 5:11] = 3
    mask[10:13, 16:20, 12:18] = 7
    return {
        "image": rng.random((1, *geometry.shape), dtype=np.float32),
        "mask": mask[None],
        "boxes": np.array([[4, 6, 5, 9, 14, 11], [10, 16, 12, 13, 20, 18]], np.int32),
        "box_labels": np.array([3, 7], np.int32),
        "affine": geometry.affine,
        "spacing": np.array(geometry.spacing),
        "pad_value": 0.25,
    }


def axes_of(geometry: Geometry) -> np.ndarray:
    return geometry.affine[:3, 2::-1]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("rotation_deg = 15", ["$.augment.rotation_deg: 15 is outside 0..10"]),
        ("contrast = 0.2", ["$.augment.contrast: 0.2 is outside 0..0.15"]),
        ("noise_sigma = 0.02", ["$.augment.noise_sigma: 0.02 is outside 0..0.01"]),
        ("elastic_mm = 7", ["$.augment.elastic_mm: 7 mm is not below 6.66667 mm", "fold"]),
        ("crop = 0.8", ["$.augment.crop: cropping is not offered", "cuts findings off"]),
        ("scale = 1.1", ["$.augment.scale: scaling is not offered", "lesion size"]),
        ("flips = ['up']", ["$.augment.flips[0]: 'up' is not one of anterior-posterior"]),
        ("rotate = 3", ["$.augment.rotate: unknown setting"]),
    ],
)
def test_what_is_outside_of_a_limit_is_an_error_that_names_the_limit(line: str, parts: list[str]):
    with pytest.raises(ConfigError) as caught:
        parse_study(STUDY + line)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_limits_hold_for_settings_made_in_code_too():
    with pytest.raises(ConfigError, match=r"rotation_deg: 11 is outside 0\.\.10"):
        Policy(Augment(rotation_deg=11), SCHEMA)
    with pytest.raises(ConfigError, match="could fold"):
        Policy(Augment(elastic_mm=4, elastic_spacing_mm=24), SCHEMA)
    Policy(Augment(flips=ALL_FLIPS), SCHEMA)


def test_the_strongest_elastic_field_allowed_does_not_fold():
    shape, spacing = (24, 60, 60), np.array([2.5, 0.7, 0.9])
    worst = 1.0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        elastic = random_elastic(shape, spacing, 2.66, 16.0, rng)
        if seed >= 20:  # the sharpest changes there can be
            signs = np.sign(elastic.coefficients)
            elastic = type(elastic)(2.66 * signs, 16.0)
        field = displacements_mm(elastic, shape, spacing).astype(float)
        slopes = [np.gradient(part, *spacing, edge_order=2) for part in field]
        jacobian = np.moveaxis(np.array(slopes), (0, 1), (-2, -1)) + np.eye(3)
        worst = min(worst, float(np.linalg.det(jacobian).min()))
        assert np.abs(field).max() <= 2.66
    assert 0 < worst < 0.75


def test_the_limit_of_the_field_is_not_idle():
    """Coefficients that jump along an axis fold at six times the limit."""
    jumps = np.zeros((3, 8, 8, 8))
    jumps[0] = np.where(np.arange(8) < 4, 1, -1)[:, None, None]
    limit = 12.0 / 6
    for factor, folds in ((0.999, False), (6.0, True)):
        field = displacements_mm(Elastic(jumps * limit * factor, 12.0), (40, 40, 40), np.ones(3))
        assert (np.gradient(field[0], axis=0).min() < -1) == folds


@pytest.mark.parametrize("angles", [(9.0, 0, 0), (0, -8.0, 0), (0, 0, 7.0), (6.0, -5.0, 9.0)])
def test_rotations_are_about_the_patients_axes_in_millimeters(angles: tuple[float, ...]):
    """SimpleITK resamples with the same Euler angles on an anisotropic, oblique grid."""
    sitk = pytest.importorskip("SimpleITK")
    from MedPrepLib.images import Volume, to_sitk

    geometry = oblique((30, 34, 18))
    k, j, i = np.indices(geometry.shape)
    smooth = (np.sin(k / 3) + np.cos(j / 4) * np.sin(i / 5) + 2).astype(np.float32) / 4
    item = {**item_of(geometry), "image": smooth[None]}
    moved = Policy(Augment(), SCHEMA).applied(item, Draw(angles))
    image = to_sitk(Volume(smooth, geometry))
    middle = geometry.point_at([(n - 1) / 2 for n in geometry.size])
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(np.linalg.inv(rotation(angles)).ravel().tolist())
    transform.SetCenter(middle)
    theirs = sitk.GetArrayFromImage(
        sitk.Resample(image, image, transform, sitk.sitkLinear, 0.25, sitk.sitkFloat32)
    )
    assert (np.abs(moved["image"][0] - theirs) > 1e-4).mean() < 1e-3  # rounding at the faces
    labels = to_sitk(Volume(item["mask"][0], geometry))
    nearest = sitk.GetArrayFromImage(
        sitk.Resample(labels, labels, transform, sitk.sitkNearestNeighbor, 0)
    )
    assert (nearest != moved["mask"][0]).mean() < 1e-3
    about = {(9.0, 0, 0): "X", (0, -8.0, 0): "Y", (0, 0, 7.0): "Z"}.get(angles)
    if about:
        axis = np.eye(3)["XYZ".index(about)]
        versor = sitk.VersorTransform(axis.tolist(), float(np.deg2rad(sum(angles))))
        np.testing.assert_allclose(np.reshape(versor.GetMatrix(), (3, 3)), rotation(angles))


def test_image_mask_and_boxes_are_moved_by_the_same_transform():
    geometry = Geometry((24, 26, 16), (1.1, 0.9, 2.5))
    item = item_of(geometry)
    item["image"] = (item["mask"] == 7).astype(np.float32)
    policy = Policy(Augment(contrast=0, noise_sigma=0, elastic_spacing_mm=30), SCHEMA)
    for seed in range(8):
        moved = policy(item, np.random.default_rng(seed))
        bright = moved["image"][0] > 0.5
        tumor = moved["mask"][0] == 7
        assert (bright != tumor).sum() <= 0.35 * tumor.sum()
        assert set(np.unique(moved["mask"])) == {0, 3, 7}
        for box, label in zip(moved["boxes"].tolist(), moved["box_labels"].tolist(), strict=True):
            k, j, i = np.nonzero(moved["mask"][0] == label)
            hull = [k.min(), j.min(), i.min(), k.max() + 1, j.max() + 1, i.max() + 1]
            assert box == hull


def test_what_comes_from_outside_is_pad_value_and_background():
    geometry = Geometry((20, 20, 20))
    item = {**item_of(geometry), "image": np.ones((1, 20, 20, 20), np.float32)}
    item["mask"] = np.full((1, 20, 20, 20), 3, np.uint8)
    moved = Policy(Augment(), SCHEMA).applied(item, Draw((10.0, 10.0, 10.0)))
    outside = moved["mask"][0] == 0
    np.testing.assert_array_equal(moved["image"][0], np.where(outside, 0.25, 1))
    assert 0.05 < outside.mean() < 0.3
    assert moved["image"][0, 10, 10, 10] == 1


def test_a_box_that_leaves_the_patch_is_left_out_with_its_label():
    item = item_of(Geometry((24, 26, 16)))
    item["boxes"] = np.array([[0, 0, 0, 1, 1, 1], [4, 6, 5, 9, 14, 11]], np.int32)
    item["box_labels"] = np.array([7, 3], np.int32)
    moved = Policy(Augment(), SCHEMA).applied(item, Draw((10.0, 10.0, 10.0)))
    assert moved["box_labels"].tolist() == [3]
    assert moved["boxes"].shape == (1, 6)


@pytest.mark.parametrize("flip", ALL_FLIPS)
@pytest.mark.parametrize("grid", ["straight", "oblique", "permuted"])
def test_flips_follow_the_patient_and_swap_sides_only_from_left_to_right(flip: str, grid: str):
    permuted = Geometry((24, 26, 16), (1, 1, 2), (0, 0, 0), (0, 0, -1, 1, 0, 0, 0, 1, 0))
    geometry = {
        "straight": Geometry((24, 26, 16)), "oblique": oblique((24, 26, 16)), "permuted": permuted,
    }[grid]  # fmt: skip
    item = item_of(geometry)
    moved = Policy(Augment(flips=(flip,)), SCHEMA).applied(item, Draw(flips=(flip,)))
    direction = np.abs(np.reshape(geometry.direction, (3, 3)))
    index_axis = int(direction[ALL_FLIPS.index(flip)].argmax())
    axis = 2 - index_axis
    np.testing.assert_array_equal(moved["image"], np.flip(item["image"], axis + 1))
    kidney = 4 if flip == "left-right" else 3
    assert set(np.unique(moved["mask"])) == {0, kidney, 7}
    assert moved["box_labels"].tolist() == [kidney, 7]
    for (k0, j0, i0, k1, j1, i1), label in zip(moved["boxes"], moved["box_labels"], strict=True):
        assert (moved["mask"][0, k0:k1, j0:j1, i0:i1] == label).all()
    again = Policy(Augment(flips=(flip,)), SCHEMA).applied(moved, Draw(flips=(flip,)))
    for name in ("image", "mask", "boxes", "box_labels"):
        np.testing.assert_array_equal(again[name], item[name])


def test_a_label_of_one_side_without_partner_refuses_left_right_flips():
    for name in (
        "left kidney", "Kidney_R", "lung-lt", "kidney right", "RightLung", "lungLeft", "RLung",
        "ctx-lh-precentral", "kidney_dx", "Left2", "LUL", "linke Niere", "rein gauche",
    ):  # fmt: skip
        schema = LabelSchema((Label(name, 1), Label("clear cell", 2)))
        with pytest.raises(LabelError, match="left-right flips are refused"):
            Policy(Augment(flips=("left-right",)), schema)
        Policy(Augment(flips=("anterior-posterior",)), schema)
    names = ("liver", "tumor", "bright lesion", "vertebra L5", "vertebrae_L1", "R2 star")
    plain = LabelSchema(tuple(Label(name, n + 1) for n, name in enumerate(names)))
    Policy(Augment(flips=("left-right",)), plain)


def test_contrast_turns_about_its_pivot_and_noise_has_its_sigma():
    geometry = Geometry((64, 64, 64))
    item = {**item_of(geometry), "image": np.full((1, 64, 64, 64), 0.4, np.float32)}
    policy = Policy(Augment(contrast_pivot=0.4), SCHEMA)
    np.testing.assert_array_equal(policy.applied(item, Draw(contrast=0.15))["image"], item["image"])
    item["image"][:, 32:] = 0.6
    stronger = policy.applied(item, Draw(contrast=0.15))["image"]
    assert np.allclose(stronger[:, 32:] - stronger[:, :32], 0.2 * 1.15)
    noisy = policy.applied(item, Draw(noise_sigma=0.01, noise=5))["image"] - item["image"]
    assert 0.0098 < noisy.std() < 0.0102
    assert abs(noisy.mean()) < 1e-4
    item["image"][...] = 1
    assert policy.applied(item, Draw(noise_sigma=0.01))["image"].max() == 1


def test_draws_stay_within_the_limits_and_reach_them():
    policy = Policy(Augment(flips=ALL_FLIPS), SCHEMA)
    geometry = Geometry((20, 20, 20))
    draws = [
        policy.draw((20, 20, 20), axes_of(geometry), np.random.default_rng(n)) for n in range(400)
    ]
    angles = np.array([d.angles_deg for d in draws])
    assert 9.8 < angles.max() <= 10
    assert -10 <= angles.min() < -9.8
    assert np.abs(angles.mean(axis=0)).max() < 1
    assert 0.145 < max(d.contrast for d in draws) <= 0.15
    assert 0.0097 < max(d.noise_sigma for d in draws) <= 0.01
    assert 0.4 < np.mean(["left-right" in d.flips for d in draws]) < 0.6
    assert 3.9 < max(np.abs(d.elastic.coefficients).max() for d in draws) <= 4


def test_intensities_outside_of_0_to_1_are_refused_with_the_way_out():
    item = item_of(Geometry((8, 8, 8)))
    hu = {**item, "image": (item["image"] * 1000).astype(np.int16)}
    for image in (hu["image"], item["image"] * 3, item["image"] - 0.5):
        with pytest.raises(AugmentError, match="give the dataset a window"):
            Policy(Augment(), SCHEMA)({**item, "image": image}, np.random.default_rng(0))
    moved = Policy(Augment(contrast=0, noise_sigma=0), SCHEMA)(hu, np.random.default_rng(0))
    assert moved["image"].dtype == np.int16


def test_an_item_is_not_changed_in_place_and_nothing_asked_changes_nothing():
    item = item_of(Geometry((24, 26, 16)))
    before = {key: np.copy(value) for key, value in item.items()}
    Policy(Augment(flips=ALL_FLIPS), SCHEMA)(item, np.random.default_rng(3))
    still = Policy(Augment(**STILL), SCHEMA)(item, np.random.default_rng(0))
    for name, value in before.items():
        np.testing.assert_array_equal(item[name], value)
        np.testing.assert_array_equal(still[name], value)


@pytest.mark.fault("F53")
def test_datasets_augment_by_seed_epoch_and_number(tmp_path: Path):
    build_cohort(tmp_path)
    policy = Policy(Augment(flips=ALL_FLIPS), SCHEMA)
    given = {"window": "lung", "augment": policy, "as_torch": False}
    dataset = PatchDataset(tmp_path, (20, 20, 20), None, samples_per_case=3, boxes=True, **given)
    first = [dataset[n]["image"].copy() for n in range(15)]
    assert all((dataset[n]["image"] == first[n]).all() for n in (14, 3, 7))
    assert (dataset[1, 3]["image"] != first[3]).any()
    rows = [image for b in ThreadLoader(dataset, 4, shuffle=False) for image in b["image"].copy()]
    np.testing.assert_array_equal(rows, first)
    whole = CohortDataset(tmp_path, "test", **given)
    one = whole[0]["image"]
    np.testing.assert_array_equal(whole[0]["image"], one)
    whole.set_epoch(1)
    assert (whole[0]["image"] != one).any()


def test_slice_labels_follow_flips_and_refuse_rotations(tmp_path: Path):
    build_cohort(tmp_path, task="classification")
    item = CohortDataset(tmp_path, "test", window="lung", as_torch=False)[0]
    item["affine"] = np.eye(4)
    policy = Policy(Augment(flips=ALL_FLIPS), SCHEMA)
    moved = policy.applied(item, Draw(flips=("left-right", "inferior-superior")))
    assert moved["labels"].tolist() == [0, 1, 1]
    present = [[(s == v).any() for v in (3, 4, 7)] for s in moved["mask"][0]]
    np.testing.assert_array_equal(moved["slice_labels"], present)
    with pytest.raises(AugmentError, match="labels of slices"):
        policy.applied(item, Draw((1.0, 0, 0)))


def cohort_with(folder: Path, augment: str) -> None:
    import json

    from MedPrepLib import layout

    build_cohort(folder)
    tree = json.loads((folder / layout.MANIFEST_NAME).read_bytes())
    tree["config"] = STUDY + augment
    (folder / layout.MANIFEST_NAME).write_bytes(layout.sealed(tree)[0])


def test_the_policy_of_a_cohort_is_that_of_its_study_file(tmp_path: Path):
    cohort_with(tmp_path, "rotation_deg = 3")
    assert policy_of(tmp_path).settings.rotation_deg == 3


def test_coordinates_of_nothing_are_the_voxels_themselves():
    found = coordinates((3, 4, 5), np.diag([2.5, 1, 1]), np.eye(3), None)
    np.testing.assert_allclose(found, np.indices((3, 4, 5)), atol=1e-6)


@pytest.mark.parametrize("grid", ["straight", "permuted"])
def test_a_slice_alone_is_that_slice_of_the_whole(grid: str):
    permuted = Geometry((24, 26, 16), (1, 1, 2), (0, 0, 0), (0, 0, -1, 1, 0, 0, 0, 1, 0))
    geometry = {"straight": Geometry((24, 26, 16), (1, 1, 2.5)), "permuted": permuted}[grid]
    item = item_of(geometry)
    policy = Policy(Augment(flips=ALL_FLIPS, elastic_spacing_mm=30), SCHEMA)
    draws = [
        policy.draw(geometry.shape, axes_of(geometry), np.random.default_rng(n)) for n in range(9)
    ]
    assert {flip for draw in draws for flip in draw.flips} == set(ALL_FLIPS)
    for draw in (*draws, Draw(), Draw(noise_sigma=0.01, noise=4), Draw(flips=ALL_FLIPS)):
        whole = policy.applied(item, draw)
        for k in (0, 6, 15):
            one = policy.applied_plane(item, draw, k)
            assert one["image"].shape == (1, 1, 26, 24)
            np.testing.assert_allclose(one["image"][:, 0], whole["image"][:, k], atol=2e-6)
            np.testing.assert_array_equal(one["mask"][:, 0], whole["mask"][:, k])
    item["slice_labels"] = np.zeros((16, 3), bool)
    with pytest.raises(AugmentError, match="labels of slices"):
        policy.applied_plane(item, Draw((1.0, 0, 0)), 3)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("float32", (9, 11, 13)),
        ("int16", (9, 11, 13)),
        ("int32", (7, 5, 6)),
        ("float32", (1, 6, 1)),
    ],
)
def test_values_between_voxels_are_those_of_scipy(kind: str, shape: tuple[int, ...]):
    from scipy import ndimage

    rng = np.random.default_rng(2)
    top = 2_000_000_000 if kind == "int32" else 3000
    channels = rng.integers(-top, top, (2, *shape)).astype(kind)
    places = rng.uniform(-2, 2, (3, 4, 8, 8)) + rng.random((3, 4, 8, 8)) * np.reshape(
        shape, (3, 1, 1, 1)
    )
    source = np.concatenate([places, np.round(places)], axis=1).astype(np.float32)
    found = linearly(channels, source)
    assert found.dtype == kind
    for mine, channel in zip(found, channels, strict=True):
        exact = ndimage.map_coordinates(channel.astype(float), source, order=1, mode="nearest")
        assert np.abs(mine - exact).max() <= (0.501 if kind != "float32" else 2e-3)


def cells(png: bytes) -> list[list[np.ndarray]]:
    """The pictures of a strip without their captions, of rows that are equally high."""
    import io

    from PIL import Image

    from MedPrepLib.augment.preview import CAPTION, CELL

    sheet = np.asarray(Image.open(io.BytesIO(png)))[CAPTION:]
    high = CELL * 13 // 12  # 24 x 26 voxels of 1 mm
    return [
        [sheet[top : top + high, left : left + CELL] for left in range(0, sheet.shape[1], CELL)]
        for top in range(0, sheet.shape[0], high)
    ]


def test_a_strip_shows_the_items_and_every_change_at_its_limit():
    from MedPrepLib.augment.preview import limits

    policy = Policy(Augment(flips=("left-right", "anterior-posterior")), SCHEMA)
    items = [item_of(Geometry((24, 26, 16), (1.0, 1.0, 2.5)), seed) for seed in (0, 1)]
    columns = dict(limits(policy, items[0], np.random.default_rng(0)))
    assert list(columns) == [
        "before", "10 deg about L", "10 deg about P", "10 deg about S", "left-right",
        "anterior-posterior", "elastic 4 mm", "contrast -0.15", "contrast +0.15", "noise 0.01",
        "by chance",
    ]  # fmt: skip
    assert set(np.abs(columns["elastic 4 mm"].elastic.coefficients).ravel()) == {4.0}
    png = strip(policy, items)
    assert png == strip(policy, items)
    shown = cells(png)
    assert [len(row) for row in shown] == [len(columns)] * 2
    for row in shown:
        before, *changed = row
        assert before.shape == (173, 160, 3)
        assert not any(np.array_equal(before, one) for one in changed)
        # Mirrored pixels, but for the outline: the kidney becomes its partner, or has none.
        gray = (before == before[..., :1]).all(axis=2)
        np.testing.assert_array_equal(before[:, ::-1][gray[:, ::-1]], row[4][gray[:, ::-1]])
        assert (before.max(axis=2) != before.min(axis=2)).any()
        assert abs(float(row[7][gray].std()) / float(before[gray].std()) - 0.85) < 0.02
    assert not np.array_equal(shown[0][0], shown[1][0])


def test_what_a_policy_leaves_out_has_no_column():
    from MedPrepLib.augment.preview import limits

    item = item_of(Geometry((24, 26, 16), (1.0, 1.0, 2.5)))
    still = Policy(Augment(**STILL), SCHEMA)
    names = [name for name, _ in limits(still, item, np.random.default_rng(0))]
    assert names == ["before", "by chance"]
    shown = cells(strip(still, [item]))
    np.testing.assert_array_equal(shown[0][0], shown[0][1])


def test_the_strip_of_a_cohort_shows_its_first_cases(tmp_path: Path):
    cohort_with(tmp_path, "rotation_deg = 3")
    png = preview_of(tmp_path, 2, size=(24, 26, 16))
    assert len(cells(png)[0]) == 9  # no flips
    assert png != preview_of(tmp_path, 2, size=(24, 26, 16), window="lung")
