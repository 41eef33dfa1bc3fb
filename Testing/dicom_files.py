"""Small synthetic DICOM series for tests, written with pydicom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

ROWS, COLUMNS = 12, 16
ROW_MM, COLUMN_MM = 0.5, 0.7
STEP_MM = 2.0

_TURN = np.deg2rad(20.0)
OBLIQUE = (np.cos(_TURN), np.sin(_TURN), 0.0, 0.0, 0.0, -1.0)
"""A coronal view, turned by 20 degrees: no axis of the grid but one is an axis of the patient."""

Edit = Callable[[Dataset, int], None]


def normal(orientation: tuple[float, ...] = OBLIQUE) -> np.ndarray:
    return np.cross(orientation[:3], orientation[3:])


def position(k: float, orientation: tuple[float, ...] = OBLIQUE) -> list[float]:
    """The position of slice ``k`` of a regular stack."""
    return [float(x) for x in np.array([-31.0, 17.0, 250.0]) + k * STEP_MM * normal(orientation)]


def stored_pixels(k: int, dtype: str = "u2") -> np.ndarray:
    """Stored values of slice ``k``: 12 bits, different in every slice."""
    rng = np.random.default_rng(1000 + k)
    low = -2048 if dtype.startswith("i") else 0
    return rng.integers(low, low + 4096, (ROWS, COLUMNS)).astype(dtype)


def slice_dataset(k: int, series: str = "1.2.3.4", dtype: str = "u2") -> Dataset:
    """A complete CT slice, number ``k`` from 0 along its normal."""
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = f"{series}.{k + 1}"
    ds.StudyInstanceUID = "1.2.3"
    ds.SeriesInstanceUID = series
    ds.FrameOfReferenceUID = "1.2.9"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Modality = "CT"
    ds.Manufacturer = "ACME"
    ds.PatientID = "0042"
    ds.PatientSex = "F"
    ds.PatientAge = "018M"
    ds.InstanceNumber = k + 1
    ds.AcquisitionNumber = 1
    ds.ImagePositionPatient = [f"{x:.8g}" for x in position(k)]
    ds.ImageOrientationPatient = [f"{x:.10f}" for x in OBLIQUE]
    ds.PixelSpacing = [ROW_MM, COLUMN_MM]
    ds.SliceThickness = 5.0  # on purpose not the distance of slices
    ds.Rows, ds.Columns, ds.SamplesPerPixel = ROWS, COLUMNS, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.PixelRepresentation = int(dtype.startswith("i"))
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
    set_pixels(ds, stored_pixels(k, dtype))
    return ds


def set_pixels(ds: Dataset, stored: np.ndarray, bits_stored: int | None = None) -> None:
    """Put stored values in, as they are, with the matching bits and sign."""
    bits = stored.dtype.itemsize * 8
    ds.BitsAllocated = bits
    ds.BitsStored = bits_stored or min(bits, ds.BitsStored)
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    ds.PixelData = stored.tobytes()
    ds["PixelData"].VR = "OB" if bits == 8 else "OW"


def save(ds: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a Part 10 file. Pixel data are written as they are, whatever the byte order."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", CTImageStorage)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    count: int = 5,
    edit: Edit | None = None,
    *,
    dtype: str = "u2",
    syntax: str = ExplicitVRLittleEndian,
    skip: tuple[int, ...] = (),
) -> list[str]:
    """Paths of a series; ``edit`` may change each slice before it is written.

    File names run against the order of the slices.
    """
    series = generate_uid(entropy_srcs=[str(folder)])[:50]
    paths = []
    for k in range(count):
        if k in skip:
            continue
        ds = slice_dataset(k, series, dtype)
        if edit is not None:
            edit(ds, k)
        paths.append(str(save(ds, folder / f"f{count - k:03d}", syntax)))
    return paths
