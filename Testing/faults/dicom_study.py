"""A small study of one DICOM series, with a patient in its headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from dicom_files import save, slice_dataset

from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.sample.niftifile import write_nifti


def dicom_study(folder: Path, **header: Any) -> Path:
    """A CT of six slices with one rater, with these attributes."""
    raw = folder / "raw"
    raw.mkdir()
    for k in range(6):
        ds = slice_dataset(k)
        ds.PatientName, ds.PatientID = "Mustermann^Erika", "4711081"
        ds.PatientBirthDate, ds.StudyDate = "19310713", "20240131"
        ds.AccessionNumber, ds.InstitutionName = "ACC77123", "St. Elsewhere"
        for keyword, value in header.items():
            setattr(ds, keyword, value)
        save(ds, raw / f"IM{k}.dcm")
    row_mm, column_mm = header.get("PixelSpacing", (0.5, 0.7))
    ds = slice_dataset(0)
    turn = np.array([float(x) for x in ds.ImageOrientationPatient]).reshape(2, 3)
    axes = np.column_stack([*turn, np.cross(*turn)])
    first = tuple(float(x) for x in ds.ImagePositionPatient)
    mask = np.zeros((6, 12, 16), np.uint8)
    mask[1:4, 3:9, 4:12] = 1
    (folder / "masks" / "1.2.3.4").mkdir(parents=True)
    grid = Geometry((16, 12, 6), (column_mm, row_mm, 2.0), first, tuple(axes.ravel()))
    write_nifti(folder / "masks" / "1.2.3.4" / "ana.nii.gz", Volume(mask, grid))
    text = 'name = "s"\n[[sources]]\nkind = "dicom"\npath = "raw"\nmasks = "masks"\n'
    text += 'center = "C1"\n[labels.organ]\nvalue = 1\n[split]\ntest_fraction = 0\n'
    (folder / "study.toml").write_text(text + '[screen.severity]\nBURNED_IN_RISK = "note"\n')
    return folder / "study.toml"
