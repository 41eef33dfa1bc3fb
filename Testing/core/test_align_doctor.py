"""Each cause of a misplaced mask is named, for files that SimpleITK and nibabel wrote.

Image and masks are oblique, anisotropic, left-handed grids of unequal sizes. Distances and moved
voxels are reckoned with SimpleITK, never with our own grids.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from MedPrepLib.cohort import MaskPart, MaskReading
from MedPrepLib.config.settings import Align
from MedPrepLib.images import geometry_from_sitk
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.reading import AlignedParts, align_reading

SCHEMA = LabelSchema((Label("organ", 1), Label("lesion", 2)))
SPACING, ORIGIN = (0.8, 1.1, 3.0), (-61.0, 43.0, 250.0)


def direction() -> tuple[float, ...]:
    """Turned by 20, -35 and 50 degrees about the three axes, then mirrored: left-handed."""
    euler = sitk.Euler3DTransform((0, 0, 0), *np.radians([20.0, -35.0, 50.0]))
    return tuple((np.reshape(euler.GetMatrix(), (3, 3)) @ np.diag([1, -1, 1])).ravel())


def labels() -> np.ndarray:
    """An organ and three lesions, (k, j, i), not symmetric in any axis."""
    array = np.zeros((14, 26, 40), np.uint8)
    array[3:10, 5:20, 8:30] = 1
    array[4:6, 7:10, 12:16] = 2
    array[8, 14:18, 22:24] = 2
    array[11, 21, 33] = 2
    return array


def image() -> sitk.Image:
    drawn = sitk.GetImageFromArray(labels())
    drawn.SetSpacing(SPACING)
    drawn.SetOrigin(ORIGIN)
    drawn.SetDirection(direction())
    return drawn


def diagnosed(path: Path, settings: Align | None = None) -> AlignedParts:
    reading = MaskReading("ana", (MaskPart(str(path)),))
    grid = geometry_from_sitk(image())
    return align_reading(reading, grid, SCHEMA, settings or Align(), "case/ana")


def farthest_corner_mm(mask: sitk.Image) -> float:
    """The largest distance between corresponding corners, by SimpleITK's own index-to-world."""
    whole, gaps = image(), []
    for ends in np.ndindex(2, 2, 2):
        a, b = (
            np.array(
                x.TransformIndexToPhysicalPoint(
                    [int(e * (n - 1)) for e, n in zip(ends, x.GetSize(), strict=True)]
                )
            )
            for x in (whole, mask)
        )
        gaps.append(np.linalg.norm(a - b))
    return max(gaps)


def _cropped() -> sitk.Image:
    return image()[5:35, 3:24, 2:13]


def _padded() -> sitk.Image:
    return sitk.ConstantPad(image(), (4, 2, 1), (3, 5, 2), 0)


def _flipped() -> sitk.Image:
    return sitk.Flip(image(), (True, False, True))


def _moved_origin() -> sitk.Image:
    moved = image()
    moved.SetOrigin(moved.TransformIndexToPhysicalPoint((2, -1, 1)))
    return moved


def _off_by_a_part() -> sitk.Image:
    moved = image()
    moved.SetOrigin(moved.TransformContinuousIndexToPhysicalPoint((0.4, 0.3, 0.2)))
    return moved


def _finer() -> sitk.Image:
    size, spacing = (80, 26, 21), (0.4, 1.1, 2.0)
    return sitk.Resample(
        image(), size, sitk.Transform(), sitk.sitkNearestNeighbor, ORIGIN, spacing, direction(), 0
    )


def _turned() -> sitk.Image:
    whole = image()
    center = whole.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in whole.GetSize()])
    turn = sitk.Euler3DTransform(center, 0.0, 0.0, np.radians(7.0))
    axes = np.reshape(turn.GetMatrix(), (3, 3)) @ np.reshape(direction(), (3, 3))
    start = turn.TransformPoint(ORIGIN)
    return sitk.Resample(
        whole, whole.GetSize(), sitk.Transform(), sitk.sitkNearestNeighbor, start, SPACING,
        tuple(axes.ravel()), 0,
    )  # fmt: skip


def _slightly_off() -> sitk.Image:
    moved = image()
    moved.SetOrigin(tuple(x + 0.02 for x in ORIGIN))
    return moved


def _far_away() -> sitk.Image:
    moved = image()
    moved.SetOrigin((900.0, 43.0, 250.0))
    return moved


def _in_meters() -> sitk.Image:
    small = image()
    small.SetSpacing(tuple(x / 1000 for x in SPACING))
    small.SetOrigin(tuple(x / 1000 for x in ORIGIN))
    return small


CAUSES: dict[str, tuple[Callable[[], sitk.Image], str, str]] = {
    "same": (image, "same", "identical grid"),
    "rounding": (_slightly_off, "rounding", "header rounding"),
    "cropped": (_cropped, "move", "cropped to voxels (5, 3, 2) to (35, 24, 13) of (40, 26, 14)"),
    "padded": (_padded, "move", "padded around the image"),
    "flip": (_flipped, "move", "flipped along axis i and k"),
    "origin": (_moved_origin, "move", "other origin, shifted by (2, -1, 1) voxels"),
    "part of a voxel": (_off_by_a_part, "resample", "other origin only"),
    "spacing": (_finer, "resample", "other spacing (0.4 x 1.1 x 2 mm"),
    "orientation": (_turned, "resample", "other orientation (turned by"),
    "no overlap": (_far_away, "reject", "no overlap"),
}


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("name", CAUSES)
def test_each_cause_is_named_with_its_distance_and_put_right(tmp_path, name, suffix):
    made, verdict, cause = CAUSES[name]
    mask = made()
    sitk.WriteImage(mask, str(tmp_path / f"mask{suffix}"))
    found = diagnosed(tmp_path / f"mask{suffix}", Align(min_overlap=0))
    assert found.verdict is not None
    assert found.verdict.verdict == verdict
    assert cause in found.verdict.cause
    assert found.verdict.displacement_mm == pytest.approx(farthest_corner_mm(mask), abs=2e-4)
    if verdict == "reject":
        assert "GRID_MISMATCH" in {f.code for f in found.findings}
        return
    (part,) = found.parts
    if verdict in ("same", "rounding"):
        expected = sitk.GetArrayFromImage(mask)
    else:
        moved = sitk.Resample(mask, image(), sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        expected = sitk.GetArrayFromImage(moved)
    assert expected.any()
    (array,) = part.layers
    assert np.mean(array != expected) < 2e-4  # float32 headers tip ties of turned grids
    if verdict == "move":
        np.testing.assert_array_equal(array, expected)


def saved_by_nibabel(path: Path, affine: np.ndarray) -> Path:
    """Labels with this index-to-RAS matrix in the sform; the qform is left out."""
    made = nib.Nifti1Image(labels().transpose(2, 1, 0), affine)
    made.set_sform(affine, 1)
    made.set_qform(None, 0)
    lengths = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    made.header["pixdim"][1:4] = lengths
    nib.save(made, path)
    return path


def ras_affine(folder: Path) -> np.ndarray:
    """Where nibabel finds the image that SimpleITK wrote."""
    sitk.WriteImage(image(), str(folder / "image.nii"))
    return nib.load(folder / "image.nii").affine


def test_a_mask_saved_in_the_wrong_world_is_a_ras_lps_mixup(tmp_path):
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ras_affine(tmp_path)
    found = diagnosed(saved_by_nibabel(tmp_path / "mask.nii.gz", affine))
    assert found.verdict is not None
    assert (found.verdict.verdict, found.verdict.cause) == ("reject", "RAS/LPS mix-up")
    twice = 2 * max(
        np.hypot(*(affine @ [i, j, k, 1])[:2]) for i in (0, 39) for j in (0, 25) for k in (0, 13)
    )
    assert found.verdict.displacement_mm == pytest.approx(twice, rel=1e-5)
    (finding,) = [f for f in found.findings if f.code == "GRID_MISMATCH"]
    assert "RAS" in finding.remedy


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_meters_for_millimeters_are_named(tmp_path, suffix):
    path = tmp_path / f"mask{suffix}"
    sitk.WriteImage(_in_meters(), str(path))
    found = diagnosed(path)
    assert found.verdict is not None
    assert (found.verdict.verdict, found.verdict.cause) == ("reject", "spacing in meters")
    said = {f.code: f for f in found.findings}
    assert {"GRID_MISMATCH", "SPACING_SUSPECT"} <= set(said)
    assert "1000 times" in said["GRID_MISMATCH"].remedy
    assert "0.0008 x 0.0011 x 0.003 mm" in said["SPACING_SUSPECT"].message


def test_a_small_mask_in_millimeters_is_not_taken_for_one_in_meters(tmp_path):
    sitk.WriteImage(image()[8:10, 5:6, 3:4], str(tmp_path / "mask.nrrd"))
    found = diagnosed(tmp_path / "mask.nrrd")
    assert found.verdict is not None
    assert found.verdict.verdict == "move"
    assert "SPACING_SUSPECT" not in {f.code for f in found.findings}


@pytest.mark.parametrize("degrees", [0.5, 5.0, 30.0])
def test_a_sheared_mask_is_named_so_with_its_angle(tmp_path, degrees):
    shear = np.eye(4)
    # The third axis leans over the first; in millimeters, so that the angle is the true one.
    shear[0, 2] = np.tan(np.radians(degrees)) * SPACING[2] / SPACING[0]
    found = diagnosed(saved_by_nibabel(tmp_path / "mask.nii.gz", ras_affine(tmp_path) @ shear))
    assert (found.verdict, found.parts) == (None, ())
    (finding,) = [f for f in found.findings if f.code == "AFFINE_INVALID"]
    assert finding.severity.word == "reject"
    assert f"sheared: axes deviate from a right angle by {degrees:.3g} degrees" in finding.message


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_sheared_masks_of_other_formats_are_named_so_too(tmp_path, suffix):
    path = tmp_path / f"mask{suffix}"
    lean = np.tan(np.radians(10.0))
    if suffix == ".nrrd":
        head = (
            f"NRRD0004\ntype: uchar\ndimension: 3\nspace: LPS\nsizes: 5 4 3\nencoding: raw\n"
            f"space directions: (1,0,0) (0,1,0) ({lean},0,1)\nspace origin: (0,0,0)\n\n"
        )
    else:
        third = np.array([lean, 0, 1]) / np.hypot(lean, 1)
        words = " ".join(str(x) for x in (1, 0, 0, 0, 1, 0, *third))
        head = (
            f"ObjectType = Image\nNDims = 3\nBinaryData = True\nTransformMatrix = {words}\n"
            "Offset = 0 0 0\nElementSpacing = 1 1 1\nDimSize = 5 4 3\n"
            "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
        )
    path.write_bytes(head.encode() + bytes(60))
    found = diagnosed(path)
    (finding,) = [f for f in found.findings if f.code == "AFFINE_INVALID"]
    assert "sheared by 10 degrees" in finding.message


# --- what a move or a resampling did ----------------------------------------------------------
def test_volumes_and_components_before_and_after_are_those_of_simpleitk(tmp_path):
    coarse = sitk.Resample(
        image(), (22, 14, 9), sitk.Transform(), sitk.sitkNearestNeighbor, ORIGIN, (1.5, 2.0, 4.5),
        direction(), 0,
    )  # fmt: skip
    sitk.WriteImage(coarse, str(tmp_path / "mask.nrrd"))
    found = diagnosed(tmp_path / "mask.nrrd", Align(min_overlap=0))
    after = sitk.Resample(coarse, image(), sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    assert [c.label for c in found.changes] == ["organ", "lesion"]
    for value, change in enumerate(found.changes, start=1):
        for grid, ml, count in (
            (coarse, change.ml_before, change.components_before),
            (after, change.ml_after, change.components_after),
        ):
            voxels = int((sitk.GetArrayFromImage(grid) == value).sum())
            assert ml == pytest.approx(voxels * np.prod(grid.GetSpacing()) / 1000, rel=1e-9)
            parts = sitk.ConnectedComponentImageFilter()
            parts.FullyConnectedOn()
            parts.Execute(grid == value)
            assert count == parts.GetObjectCount()


def test_a_lesion_that_is_cut_off_by_the_border_of_the_image_is_named(tmp_path):
    mask = sitk.ConstantPad(image(), (0, 0, 0), (6, 0, 0), 0)
    mask[43, 10, 5] = 2
    sitk.WriteImage(mask, str(tmp_path / "mask.nrrd"))
    found = diagnosed(tmp_path / "mask.nrrd")
    assert found.verdict is not None
    assert found.verdict.verdict == "move"
    said = {f.code: f.message for f in found.findings}
    assert {"GRID_MOVED", "MASK_OUTSIDE", "LESION_LOST"} <= set(said)
    assert "label 'lesion': 1 of 4 component(s) vanished" in said["LESION_LOST"]
    assert "the largest of 1 voxel(s), 0.00264 ml" in said["LESION_LOST"]
    (change,) = [c for c in found.changes if c.label == "lesion"]
    assert (change.components_before, change.components_after) == (4, 3)
    np.testing.assert_array_equal(found.parts[0].layers[0], labels())


def test_a_move_that_loses_nothing_changes_nothing(tmp_path):
    sitk.WriteImage(_padded(), str(tmp_path / "mask.nrrd"))
    found = diagnosed(tmp_path / "mask.nrrd")
    assert found.changes == ()
    assert {f.code for f in found.findings} <= {"GRID_MOVED", "LABEL_BY_VALUE"}
    np.testing.assert_array_equal(found.parts[0].layers[0], labels())
