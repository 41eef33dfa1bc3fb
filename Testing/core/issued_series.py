"""DICOM series of patients whose ids come with or without their issuer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dicom_files import set_pixels, write_series
from pydicom.uid import generate_uid

STUDY = """
[[sources]]
kind = "dicom"
path = "raw"
center = "north"
[labels.lesion]
value = 1
[screen.severity]
NO_READING = "note"
[report]
pictures = false
[split]
folds = 2
"""
"""The end of a study file, after its name; what follows belongs to the split."""


def add(folder: Path, name: str, patient: str, issuer: str = "", **elements: str) -> None:
    """A series of four slices; ``elements`` are others by keyword."""
    rng = np.random.default_rng([ord(c) for c in name])

    def edit(ds, k: int) -> None:
        ds.PatientID, ds.IssuerOfPatientID = patient, issuer
        ds.StudyInstanceUID = generate_uid(entropy_srcs=[name])
        ds.FrameOfReferenceUID = generate_uid(entropy_srcs=[name, "frame"])
        for keyword, value in elements.items():
            setattr(ds, keyword, value)
        set_pixels(ds, rng.integers(0, 4096, (ds.Rows, ds.Columns)).astype(np.uint16))

    write_series(folder / "raw" / name, 4, edit)
