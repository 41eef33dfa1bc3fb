"""NIfTI files of the sample study, which say in their header that they are synthetic."""

from __future__ import annotations

from pathlib import Path

from MedPrepLib.formats import niftiwrite
from MedPrepLib.geometry import FloatArray
from MedPrepLib.images import Volume


def write_nifti(path: Path, volume: Volume, affine: FloatArray | None = None) -> None:
    """As niftiwrite.write_nifti, with the description "synthetic"."""
    niftiwrite.write_nifti(path, volume, affine, description=b"synthetic")
