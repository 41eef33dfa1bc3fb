"""Agreement on real raters, against values that a second implementation made."""

from __future__ import annotations

import json

import pytest
import SimpleITK as sitk

from MedPrepLib.agree import agree
from MedPrepLib.images import from_sitk
from MedPrepLib.segmentation import Segment, Segmentation


def read(path, name="structure", value=1):
    volume = from_sitk(sitk.ReadImage(str(path), sitk.sitkUInt8))
    return Segmentation((volume.array,), volume.geometry, (Segment(name, value),))


def test_lidc_nodules_reproduce_the_published_pairwise_dice(shared_data):
    nodules = sorted((shared_data / "multirater" / "lidc").glob("*/nodule.json"))
    assert len(nodules) == 48
    means = []
    for nodule in nodules:
        expected = json.loads(nodule.read_text())
        readings = {str(n): read(nodule.parent / f"rater{n}.nii.gz") for n in range(1, 5)}
        result = agree(readings, ["structure"])
        ours = {f"{p.rater_a}-{p.rater_b}": p.dice for p in result.pairs}
        assert ours == pytest.approx(expected["pairwise_dice"], abs=1e-6)
        assert result.labels[0].mean_dice == pytest.approx(expected["mean_dice"], abs=1e-6)
        means.append(result.labels[0].mean_dice)
    assert min(means) < 0.4
    assert max(means) > 0.9


def test_prostate_glands_agree_as_published(shared_data):
    values = []
    for case, name in (("0000", "11373_1001396"), ("0001", "10795_1000811")):
        folder = shared_data / "cohort" / "prostatex" / f"ProstateX-{case}" / "segmentations"
        raters = ("Guerbet23", "HeviAI23", "Yuan23")
        masks = {}
        for rater in raters:
            volume = from_sitk(sitk.ReadImage(str(folder / rater / f"{name}.nii.gz")))
            whole = (volume.array > 0).astype("uint8")
            masks[rater] = Segmentation((whole,), volume.geometry, (Segment("gland", 1),))
        values += [pair.dice for pair in agree(masks, ["gland"]).pairs]
    assert min(values) > 0.85
    assert max(values) < 0.98


def test_two_lesion_masks_that_are_both_empty_are_undefined(shared_data):
    folder = shared_data / "cohort" / "prostatex" / "ProstateX-0001" / "segmentations"
    masks = {
        rater: read(folder / rater / "10795_1000811.nii.gz", "lesion")
        for rater in ("lesion_Bosma22a", "lesion_human")
    }
    (pair,) = agree(masks, ["lesion"]).pairs
    assert (pair.outcome, pair.dice) == ("both empty", None)
