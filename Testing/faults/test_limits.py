"""The page of limits says what the source says, and leaves none out."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "Docs" / "input-limits.md"
ROW = re.compile(r"^\| [^|]+ \| ([\d,]+)( (?:[KMG]i)B?)? \| `([\w.]+)\.(\w+)` \|$", re.MULTILINE)
UNITS = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
READERS = ("formats", "dicom", "masks", "load/guard.py", "load/table.py", "textfiles.py",
           "colortable.py", "markups.py", "slicelabels.py", "layout.py")  # fmt: skip
CONSTANT = re.compile(r"^((?:MAX_|MOST_)\w+|\w+_LIMIT|\w+_RATIO) = ", re.MULTILINE)
OTHERS = {
    "formats.faults.MAX_VOXELS",  # the default of a setting
    "dicom.pattern.MAX_PATTERN_BYTES",  # what is kept in memory, not what is read
    "dicom.neighbors.MAX_PATTERNS",
    "dicom.subseries.MOST_TOGETHER",  # how a series is divided
    "dicom.suv.MAX_WEIGHT_KG",  # what a plausible patient is
    "dicom.suv.MAX_HALF_LIVES",
    "dicom.suv.MAX_OVER_MIDNIGHT",
    "masks.planes.MAX_TILT",  # what a contour of one slice is
    "masks.planes.MAX_COUNTED",  # beyond it, some rows are counted for all
}
ROWS = ROW.findall(PAGE.read_text("utf-8"))


@pytest.mark.fault("F17", "F19", "F20")
def test_every_limit_of_a_reader_stands_in_the_page():
    library, found = ROOT / "MedPrepLib", set()
    for name in READERS:
        place = library / name
        for path in [place] if place.is_file() else sorted(place.glob("*.py")):
            module = ".".join(path.relative_to(library).with_suffix("").parts)
            found |= {f"{module}.{c}" for c in CONSTANT.findall(path.read_text("utf-8"))}
    listed = {f"{module}.{constant}" for _, _, module, constant in ROWS}
    assert len(ROWS) == len(listed) == PAGE.read_text("utf-8").count("\n| ") - 1
    assert found - OTHERS == listed
    assert found >= OTHERS


@pytest.mark.fault("F17", "F19", "F20")
@pytest.mark.parametrize(("number", "unit", "module", "constant"), ROWS)
def test_the_page_says_what_the_source_says(number, unit, module, constant):
    value = getattr(importlib.import_module(f"MedPrepLib.{module}"), constant)
    assert value == int(number.replace(",", "")) * UNITS[unit.strip().removesuffix("B")]
