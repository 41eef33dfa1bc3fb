"""Drawings of strangers are read by workers that may take so much memory and no more."""

from __future__ import annotations

import os
import sys

import pytest
from faults import remade
from faults.hostile_files import rtstruct, segmentation_object
from faults.test_hostile_bombs import far_frames, far_points, ten_million_points
from scene.case_samples import write_study

from MedPrepLib.pipeline import casework, order_of, run

LIMIT_GB = 12
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="address limits are those of Linux")


def drawn(folder, **masks):
    """A study whose raters drew these files."""
    study = write_study(folder)
    here = folder / "raw" / "north" / "p1" / "c1" / "masks"
    for rater, write in masks.items():
        (here / f"{rater}.nii.gz").unlink(missing_ok=True)
        write(here / f"{rater}.dcm")
    study.write_text(study.read_text() + f"[run]\nmemory_gb = {LIMIT_GB}\n")
    return study


@pytest.mark.fault("F13", "F20")
def test_every_drawing_is_read_by_a_worker_under_the_limit(tmp_path, monkeypatch):
    study = drawn(tmp_path, ben=rtstruct, eva=segmentation_object)
    monkeypatch.setattr(casework, "work", remade.note_who_reads)
    run(order_of(study, workers=1), key=remade.KEY)
    lines = (tmp_path / "cohort-private" / "noted.txt").read_text().split()
    names, people, limits = lines[::3], lines[1::3], lines[2::3]
    assert set(names) == {"read_mask", "read_rtstruct_with_remarks", "read_dicom_seg_with_remarks"}
    assert str(os.getpid()) not in people
    assert set(limits) == {str(LIMIT_GB * 10**9)}


@pytest.mark.fault("F13", "F17", "F20")
@pytest.mark.parametrize(
    "hostile",
    [pytest.param(ten_million_points, marks=pytest.mark.heavy), far_points, far_frames],
)
def test_a_hostile_drawing_costs_its_own_reading_and_nothing_else(tmp_path, hostile):
    study = drawn(tmp_path, ben=hostile)
    done = run(order_of(study, workers=1), key=remade.KEY)
    (case,) = done.included
    assert [reading.rater for reading in case.readings] == ["ana", "eva"]
    codes = {finding.code for finding in case.findings}
    assert not codes & {"WORKER_DIED", "WORKER_MEMORY", "WORKER_TIMEOUT"}
    assert any(finding.severity >= 2 for finding in case.findings), "and that is said"
