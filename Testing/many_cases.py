"""A study of many cases that differ in nothing but their voxels, as large as wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.sample.niftifile import write_nifti

STUDY = """
name = "many"
[[sources]]
kind = "folders"
path = "raw"
modality = "MR"
[labels.organ]
value = 1
[labels.tumor]
value = 3
[privacy]
case_names = "given"
"""


def write_many(
    folder: Path, count: int, size: tuple[int, int, int] = (26, 22, 12), raters: int = 2
) -> Path:
    """Cases in three centers, one a patient; the path of the study file."""
    grid = Geometry(size, (1.0, 1.0, 2.0), (-10.0, 5.0, 100.0))
    depth, height, width = grid.shape
    rater_names = ("ana", "ben", "eva", "ida")[:raters]
    for number in range(count):
        here = folder / "raw" / f"center{number % 3}" / f"p{number:06d}" / "c1"
        (here / "masks").mkdir(parents=True)
        image = np.random.default_rng(number).integers(0, 500, grid.shape).astype(np.int16)
        write_nifti(here / "image.nii.gz", Volume(image, grid))
        for shift, rater in enumerate(rater_names):
            mask = np.zeros(grid.shape, np.uint8)
            mask[1 : depth - 1, 2 : height - 2, 2 : width - 2] = 1
            left, right = width // 4 + shift, width // 2 + shift
            mask[2 : depth // 2, height // 4 : height // 2, left:right] = 3
            write_nifti(here / "masks" / f"{rater}.nii.gz", Volume(mask, grid))
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    return folder / "study.toml"
