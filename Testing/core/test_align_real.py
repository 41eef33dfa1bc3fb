"""Real pairs of image and mask whose grids differ."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from MedPrepLib.align import compare_grids, to_grid
from MedPrepLib.config.settings import Align
from MedPrepLib.images import from_sitk, geometry_from_sitk
from MedPrepLib.segmentation import Segment, Segmentation


def read(path):
    volume = from_sitk(sitk.ReadImage(str(path)))
    array = volume.array.astype(np.uint8)
    values = [int(v) for v in np.flatnonzero(np.bincount(array.ravel())) if v]
    return Segmentation((array,), volume.geometry, tuple(Segment(f"l{v}", v) for v in values))


def image_of(folder):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def aligned(segmentation, image):
    verdict = compare_grids(image, segmentation.geometry, Align())
    return verdict, to_grid(segmentation, image, verdict, Align(), "case/rater")


def by_simpleitk(path, image):
    mask = sitk.ReadImage(str(path), sitk.sitkUInt8)
    result = sitk.Resample(mask, image, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return sitk.GetArrayFromImage(result)


def test_a_lung_mask_on_a_grid_twice_as_fine_is_resampled(shared_data):
    folder = shared_data / "broken" / "misaligned_pair"
    image = sitk.ReadImage(str(folder / "3DCT_lung_baseline_small.mha"))
    path = folder / "3DCT_lung_baseline_mask.mha"
    verdict, result = aligned(read(path), geometry_from_sitk(image))
    assert (verdict.verdict, verdict.cause[:13]) == ("resample", "other spacing")
    assert verdict.displacement_mm == pytest.approx(3.16, abs=0.01)
    assert [f.code for f in result.findings] == ["GRID_RESAMPLED", "MASK_OUTSIDE"]
    assert np.array_equal(result.segmentation.layers[0], by_simpleitk(path, image))


def test_one_of_four_raters_on_a_cropped_grid_is_moved_without_loss(shared_data):
    folder = shared_data / "broken" / "rater_grid_mismatch"
    name = "10000_1000000.nii.gz"
    image = sitk.ReadImage(str(folder / "Guerbet23" / name))
    verdict, result = aligned(read(folder / "HeviAI23" / name), geometry_from_sitk(image))
    assert verdict.verdict == "move"
    assert verdict.cause == "cropped to voxels (0, 0, 3) to (640, 640, 28) of (640, 640, 31)"
    moved = result.segmentation.layers[0]
    assert np.array_equal(moved, by_simpleitk(folder / "HeviAI23" / name, image))
    assert np.array_equal(moved[3:28], read(folder / "HeviAI23" / name).layers[0])


def test_a_left_handed_label_map_lands_on_its_ct(shared_data):
    folder = shared_data / "cohort" / "totalseg"
    image = geometry_from_sitk(image_of(folder / "ct"))
    segmentation = read(folder / "seg" / "example_seg_dicom.nii.gz")
    assert segmentation.geometry.is_left_handed
    verdict, result = aligned(segmentation, image)
    assert (verdict.verdict, verdict.cause) == ("move", "flipped along axis j")
    for value in (1, 5, 51):
        found = np.argwhere(segmentation.layers[0] == value)
        if found.size:
            k, j, i = (int(n) for n in found[len(found) // 2])
            point = segmentation.geometry.point_at((i, j, k))
            x, y, z = np.rint(image.index_at(point)).astype(int)
            assert result.segmentation.layers[0][z, y, x] == value


def test_label_maps_of_prostate_mr_differ_by_rounding_at_most(shared_data):
    verdicts = set()
    for case in ("ProstateX-0000", "ProstateX-0001"):
        folder = shared_data / "cohort" / "prostatex" / case
        image = geometry_from_sitk(image_of(folder / "t2w"))
        for path in sorted((folder / "segmentations").glob("*/*.nii.gz")):
            mask = geometry_from_sitk(sitk.ReadImage(str(path)))
            verdicts.add(compare_grids(image, mask, Align()).verdict)
    assert verdicts == {"same", "rounding"}
