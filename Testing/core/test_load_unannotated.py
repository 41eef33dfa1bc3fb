"""Cases that nobody drew a mask for teach no network that there is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from core.drawn_readings import draw_box, draw_mask, finished, image

from MedPrepLib.load import CohortDataset, PatchDataset, open_cohort


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A case with a mask, one with boxes only, one whose mask was drawn and is empty."""
    draw_mask(image(tmp_path, "p1") / "ana.nii.gz", slice(4, 10), slice(4, 10))
    draw_box(image(tmp_path, "p2", 2) / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
    draw_mask(image(tmp_path, "p3", 3) / "ana.nii.gz", slice(0, 0), slice(0, 0))
    return tmp_path


def test_datasets_of_a_segmentation_cohort_leave_out_cases_without_a_mask(raw: Path):
    summary = finished(raw)
    told = {
        case.id: [f.message for f in case.findings if f.code == "NO_MASK"]
        for case in summary.results
    }
    assert told.pop("north_p2_c1") == ["boxes, and no mask: nothing to train a segmentation with"]
    assert not any(told.values())
    cohort = raw / "cohort"
    annotated = {case.id: case.annotated for case in open_cohort(cohort).cases}
    assert annotated == {"north_p1_c1": True, "north_p2_c1": False, "north_p3_c1": True}
    for split in ("train", None):
        whole = CohortDataset(cohort, split, None, as_torch=False)
        assert [item["id"] for item in whole] == ["north_p1_c1", "north_p3_c1"]
        patches = PatchDataset(cohort, (8, 8, 8), split, None, as_torch=False)
        assert {item["id"] for item in patches} == {"north_p1_c1", "north_p3_c1"}
    everything = CohortDataset(cohort, None, unannotated=True, as_torch=False)
    assert [item["mask"].any() for item in everything] == [True, False, False]
    grid = PatchDataset(cohort, (8, 8, 8), None, sampling="grid", unannotated=True, as_torch=False)
    assert len({item["id"] for item in grid}) == 3


def test_a_detection_cohort_keeps_cases_with_boxes_alone(raw: Path):
    summary = finished(raw, task="detection")
    assert not [f for case in summary.results for f in case.findings if f.code == "NO_MASK"]
    dataset = CohortDataset(raw / "cohort", None, as_torch=False)
    assert [len(item["boxes"]) for item in dataset] == [1, 1, 0]
