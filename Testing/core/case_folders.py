"""Studies of case folders (center/patient/case) for tests of what a scan finds in them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from MedPrepLib.config import parse_study
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.scan import Candidate, Scanned, scan

FOLDERS = 'kind = "folders"\npath = "raw"\nmodality = "CT"'
CASE = "raw/north/p1/c1"
posix = pytest.mark.skipif(os.name != "posix", reason="links are a POSIX matter")


def found(folder: Path, source: str = FOLDERS, rules: str = "") -> Scanned:
    """What a scan of one source in ``folder`` finds; the labels are lesion and organ."""
    labels = "[labels.lesion]\nvalue = 1\n[labels.organ]\nvalue = 2\n"
    return scan(parse_study(f'name = "x"\n[[sources]]\n{source}\n{rules}\n{labels}'), folder)


def only(folder: Path, source: str = FOLDERS) -> Candidate:
    """The only candidate of a scan."""
    (one,) = found(folder, source).candidates
    return one


def nifti(path: Path) -> Path:
    """A NIfTI file of zeros, in folders that are made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(path, Volume(np.zeros((4, 5, 6), np.int16), Geometry((6, 5, 4))))
    return path
