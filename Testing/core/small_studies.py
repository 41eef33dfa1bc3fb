"""Small studies of NIfTI files that run in seconds, for tests of whole runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from MedPrepLib.config import parse_study
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import SiteKey
from MedPrepLib.images import Volume
from MedPrepLib.pipeline import Order, Summary, run
from MedPrepLib.sample.niftifile import write_nifti

GRID = Geometry((20, 18, 12), (1.0, 1.5, 2.0), (-10.0, 5.0, 100.0))
KEY = SiteKey(bytes(range(32)))
STUDY = """
name = "small"
[[sources]]
kind = "table"
path = "cases.csv"
[labels.tumor]
value = 3
[labels.cyst]
value = 7
[report]
pictures = false
"""
COLUMNS = ("case", "patient", "center", "modality", "sex", "age", "disease")


def write_study(folder: Path, rows: Iterable[dict[str, str]]) -> Path:
    """Images of chance, two readings each, and the table that names them; the folder itself."""
    (folder / "raw").mkdir(parents=True)
    lines = [",".join((*COLUMNS, "image", "annotations"))]
    for number, row in enumerate(rows):
        filled = {"modality": "MR", **row}
        files = _write_case(folder / "raw", number, row.get("shows", "tumor"))
        lines.append(",".join([filled.get(name, "") for name in COLUMNS] + files))
    (folder / "cases.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _write_case(raw: Path, number: int, shows: str) -> list[str]:
    rng = np.random.default_rng(number)
    image = raw / f"{number}.nii.gz"
    write_nifti(image, Volume(rng.integers(0, 500, GRID.shape).astype(np.int16), GRID))
    drawn = np.zeros(GRID.shape, np.uint8)
    drawn[3:8, 4:12, 5:14] = 7 if shows == "cyst" else 3 if shows else 0
    readings = []
    for rater, shift in (("ana", 0), ("ben", 1)):
        path = raw / f"{number}-{rater}.nii.gz"
        write_nifti(path, Volume(np.roll(drawn, shift, axis=2), GRID))
        readings.append(f"{rater}=raw/{path.name}")
    return [f"raw/{image.name}", ";".join(readings)]


def order_of(folder: Path, settings: str = "", cohort: str = "cohort", **how: object) -> Order:
    text = STUDY + settings
    return Order(parse_study(text, base=folder), text, folder, folder / cohort, workers=1, **how)


def finished(folder: Path, settings: str = "", cohort: str = "cohort", **how: object) -> Summary:
    """A run with a key of its own."""
    return run(order_of(folder, settings, cohort, **how), key=KEY)
