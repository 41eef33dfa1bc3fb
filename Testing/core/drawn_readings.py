"""Studies of small images with masks, boxes and slice labels, made, drawn and run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from MedPrepLib.boxes import index_box, to_world
from MedPrepLib.config import parse_study
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import SiteKey
from MedPrepLib.images import Volume
from MedPrepLib.markups import write_boxes
from MedPrepLib.pipeline import Order, Summary, run
from MedPrepLib.sample.niftifile import write_nifti

GRID = Geometry((20, 18, 12), (1.0, 1.0, 2.0), (-10.0, 5.0, 100.0))
KEY = SiteKey(bytes(32))
STUDY = """
name = "readings"
[[sources]]
kind = "folders"
path = "raw"
modality = "MR"
[labels.tumor]
value = 3
[privacy]
case_names = "given"
[split]
"""


def image(folder: Path, patient: str = "p1", seed: int = 0, case: str = "c1") -> Path:
    """The image of a patient's case; the folder for its masks."""
    here = folder / "raw" / "north" / patient / case
    (here / "masks").mkdir(parents=True)
    voxels = np.random.default_rng(seed).integers(0, 500, GRID.shape).astype(np.int16)
    write_nifti(here / "image.nii.gz", Volume(voxels, GRID))
    return here / "masks"


def finished(
    folder: Path, settings: str = "", *, task: str = "segmentation", test_fraction: float = 0
) -> Summary:
    """The study in ``folder``, run."""
    text = f'task = "{task}"\n{STUDY}test_fraction = {test_fraction}\n{settings}'
    order = Order(parse_study(text), text, folder, folder / "cohort", workers=1)
    return run(order, key=KEY)


def draw_box(path: Path, start: tuple[int, int, int], stop: tuple[int, int, int]) -> None:
    """A file with one box of a tumor."""
    write_boxes(path, [to_world(index_box("tumor", start, stop, GRID), GRID)])


def draw_mask(path: Path, j: slice, i: slice) -> None:
    """A label map of a tumor on four slices."""
    voxels = np.zeros(GRID.shape, np.uint8)
    voxels[4:8, j, i] = 3
    write_nifti(path, Volume(voxels, GRID))
