"""Faces: an export for everybody is refused where one may be seen."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from faults.dicom_study import dicom_study

from MedPrepLib.errors import MedPrepError, RunError
from MedPrepLib.export.cohort import export_cohort
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import SiteKey
from MedPrepLib.images import Volume
from MedPrepLib.pipeline import order_of, run
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.sharing import share_check
from MedPrepLib.trail import Trail

KEY = SiteKey(bytes(range(32)))


def _headed(folder, image, *, severity="", **header):
    """A cohort of one CT, large enough for a head in every direction, with these attributes."""
    study = dicom_study(folder, PixelSpacing=[1.5, 1.5], **header)
    if image == "nifti":
        shutil.rmtree(folder / "raw")
        here = folder / "raw" / "north" / "p1" / "c1"
        here.mkdir(parents=True)
        voxels = np.random.default_rng(0).integers(0, 99, (20, 20, 20)).astype(np.int16)
        write_nifti(here / "image.nii.gz", Volume(voxels, Geometry((20, 20, 20), (8.0, 8.0, 8.0))))
        study.write_text(
            'name = "s"\n[[sources]]\nkind = "folders"\npath = "raw"\nmodality = "CT"\n'
            "[labels.organ]\nvalue = 1\n[screen]\nmax_ct_slice_mm = 8\n"
            "[screen.severity]\nNO_READING = 'note'\n"
        )
    else:
        text = study.read_text().replace("[screen.severity]", "[screen]\nface_extent_mm = 10\n"
                                         f"[screen.severity]\n{severity}")  # fmt: skip
        study.write_text(text)
    return run(order_of(study, workers=1), key=KEY)


@pytest.mark.fault("F46")
@pytest.mark.parametrize(
    ("image", "part", "severity", "why"),
    [
        ("dicom", "HEAD", "", "1 cases may show a face"),
        ("dicom", "HEAD", "FACE_POSSIBLE = 'off'\n", "of 1 cases nobody knows"),
        ("dicom", "MUSTERMANN", "", "of 1 cases nobody knows"),
        ("nifti", "", "", "of 1 cases nobody knows"),
    ],
)
def test_what_is_for_everybody_shows_no_face_unless_somebody_looked(
    tmp_path, image, part, severity, why
):
    summary = _headed(tmp_path, image, severity=severity, BodyPartExamined=part)
    assert summary.included
    with pytest.raises(RunError, match=rf"{why}.*--accept-face-risk"):
        export_cohort(summary.cohort, "nifti", tmp_path / "export", public=True)
    assert not (tmp_path / "export").exists()
    export_cohort(summary.cohort, "nifti", tmp_path / "export", public=True, accept_face_risk=True)
    act = Trail(summary.private).acts()[-1]
    assert (act.details["public"], act.details["faces_accepted"]) == ("yes", "1")
    export_cohort(summary.cohort, "nifti", tmp_path / "own")
    assert "public" not in Trail(summary.private).acts()[-1].details


@pytest.mark.fault("F46")
def test_other_parts_of_the_body_can_be_for_everybody(tmp_path):
    summary = _headed(tmp_path, "dicom", BodyPartExamined="PELVIS")
    export_cohort(summary.cohort, "nifti", tmp_path / "export", public=True)
    answer = share_check(summary.cohort)
    assert answer.faces == answer.faces_unknown == ()
    export_cohort(summary.cohort, "hdf5", tmp_path / "one.h5")
    with pytest.raises(RunError, match="no folder of case files"):
        export_cohort(tmp_path / "one.h5", "nifti", tmp_path / "more", public=True)
    with pytest.raises(MedPrepError, match="goes with --public"):
        export_cohort(summary.cohort, "nifti", tmp_path / "more", accept_face_risk=True)
