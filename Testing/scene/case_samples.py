"""A small study on disk, and its one case opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from MedPrepLib.boxes import index_box, to_world
from MedPrepLib.casebook import OpenCase, open_book
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import SiteKey
from MedPrepLib.images import Volume
from MedPrepLib.markups import write_boxes
from MedPrepLib.sample.niftifile import write_nifti

KEY = SiteKey(bytes(32))
GRID = Geometry((26, 22, 12), (1.0, 1.0, 2.0), (-10.0, 5.0, 100.0))
COLORS = {"ana": (230, 60, 60), "ben": (60, 130, 230), "eva": (60, 200, 90)}
STUDY = """
name = "scene"
[[sources]]
kind = "folders"
path = "raw"
modality = "MR"
[labels.organ]
value = 1
color = [200, 180, 90]
[labels.tumor]
value = 3
color = [220, 40, 40]
[split]
test_fraction = 0
"""


def label_map(start: int, stop: int) -> np.ndarray:
    """An organ, and a tumor in it from column ``start`` to ``stop``."""
    voxels = np.zeros(GRID.shape, np.uint8)
    voxels[2:10, 2:20, 2:24] = 1
    voxels[4:8, 6:12, start:stop] = 3
    return voxels


def write_study(folder: Path, *, elsewhere: bool = False, boxes: bool = False) -> Path:
    """Three raters who agree on the organ and differ on the tumor; ben's mask may lie elsewhere."""
    here = folder / "raw" / "north" / "p1" / "c1"
    (here / "masks").mkdir(parents=True)
    image = np.random.default_rng(0).integers(0, 500, GRID.shape).astype(np.int16)
    write_nifti(here / "image.nii.gz", Volume(image, GRID))
    shifted = replace(GRID, origin=(-6.8, 5.0, 100.0))
    for rater, (start, stop) in {"ana": (5, 12), "ben": (8, 16), "eva": (5, 13)}.items():
        grid = shifted if elsewhere and rater == "ben" else GRID
        write_nifti(here / "masks" / f"{rater}.nii.gz", Volume(label_map(start, stop), grid))
        if boxes:
            box = to_world(index_box("tumor", (start, 6, 4), (stop, 12, 8), GRID), GRID)
            write_boxes(here / "masks" / f"{rater}.mrk.json", [box])
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    return folder / "study.toml"


def opened(folder: Path, fixes: frozenset[str] = frozenset()) -> OpenCase:
    """The one case of the study in the folder."""
    book = open_book(folder / "study.toml", key=KEY)
    return book.read(book.entries[0].name, fixes)
