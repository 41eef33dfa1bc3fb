"""A case shows what its targets show: in voxels, in a box, or on a slice."""

from __future__ import annotations

from pathlib import Path

from core.drawn_readings import draw_box, finished, image

from MedPrepLib.manifest import read_manifest
from MedPrepLib.results import SliceRange, Targets


def test_a_label_is_present_in_voxels_in_a_box_or_on_a_slice() -> None:
    targets = Targets({"organ": 5, "cyst": 0}, (), (SliceRange("tumor", 2, 3),))
    assert targets.present == {"organ", "tumor"}


def test_a_detection_cohort_is_stratified_by_its_boxes(tmp_path: Path) -> None:
    for n in range(8):
        masks = image(tmp_path, f"p{n}", n)
        if n < 4:
            draw_box(masks / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
        else:
            (masks / "ana.slices.csv").write_text("label,start,stop\ntumor,,\n")
    wanted = "[split.prevalence]\ntumor = 0.5\n"
    finished(tmp_path, wanted, task="detection", test_fraction=0.5)
    share = read_manifest(tmp_path / "cohort").split.prevalence["tumor"]
    assert (share.test, share.train) == (0.5, 0.5)
