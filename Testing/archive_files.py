"""A large archive of DICOM files with headers as scanners write them, made in seconds.

Every file has UIDs, number, position, times and private bytes of its own. Only the elements that
differ between slices are encoded anew; the pixels are small, for headers are what matters here.
"""

from __future__ import annotations

import copy
import io
import os
import struct
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.misc import is_dicom
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

_ROWS = 64
_UID_BYTES = 54
_TEXTS = ("SOPInstanceUID", "InstanceNumber", "ImagePositionPatient", "SliceLocation",
          "ContentTime", "AcquisitionTime", "WindowCenter", "XRayTubeCurrent")  # fmt: skip
_PRIVATE = 0x00291010


def models_below(root: Path, most: int = 12) -> list[Dataset]:
    """The headers of one file of every image series below ``root``, without pixels."""
    models: dict[str, Dataset] = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        if len(models) < most and is_dicom(path):
            header = dcmread(path, stop_before_pixels=True)
            if "Rows" in header and "ImagePositionPatient" in header:
                models.setdefault(str(header.SeriesInstanceUID), header)
    return list(models.values())


def write_archive(
    folder: Path, models: list[Dataset], files: int, per_series: int = 200, seed: int = 0
) -> int:
    """Write ``files`` files in folders of one series each; returns how many series there are."""
    rng = np.random.default_rng(seed)
    count = -(-files // per_series)
    for number in range(count):
        implicit = number % 5 == 4
        header = _series(models[number % len(models)], number, implicit, rng)
        template, values = _encoded_header(header, implicit)
        place = folder / f"patient{number % 40:03d}" / f"series{number:04d}"
        place.mkdir(parents=True)
        for k in range(min(per_series, files - number * per_series)):
            content = template
            for keyword, value in _slice_texts(number, k, rng).items():
                old = _element(header, keyword, values[keyword], implicit)
                content = content.replace(old, _element(header, keyword, value, implicit))
            content = content.replace(values["uid"], _uid(number, k).encode())
            content = content.replace(values["private"], rng.bytes(len(values["private"])))
            (place / f"IM{k:05d}.dcm").write_bytes(content)
    return count


def _uid(series: int, k: int) -> str:
    return f"1.2.826.0.1.3680043.8.498.1{series:011d}{k:012d}".ljust(_UID_BYTES, "7")


def _slice_texts(series: int, k: int, rng: np.random.Generator) -> dict[str, str]:
    z = -812.25 + 1.25 * k
    return {
        "InstanceNumber": str(k + 1),
        "ImagePositionPatient": f"-249.51171875\\-401.1{series:03d}\\{z:g}",
        "SliceLocation": f"{z:.2f}",
        "ContentTime": f"1015{k % 60:02d}.{int(rng.integers(10**6)):06d}",
        "AcquisitionTime": f"1014{k % 60:02d}.{int(rng.integers(10**6)):06d}",
        "WindowCenter": str(int(rng.integers(20, 60))),
        "XRayTubeCurrent": str(int(rng.integers(80, 400))),
    }


def _series(model: Dataset, number: int, implicit: bool, rng: np.random.Generator) -> Dataset:
    """A model as the first slice of a series of its own, with private and nested elements."""
    header = copy.deepcopy(model)
    header.SeriesInstanceUID = f"1.2.826.0.1.3680043.8.499.1{number:011d}"
    header.StudyInstanceUID = f"1.2.826.0.1.3680043.8.500.1{number // 3:011d}"
    header.PatientID = f"P{number % 40:05d}"
    header.SeriesDescription = f"Series {number}"
    header.SOPInstanceUID = "9" * _UID_BYTES
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    for keyword in _TEXTS[1:]:
        setattr(header, keyword, _placeholder(keyword))
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = UID("1.2.3.4")
    header.ReferencedImageSequence = [item, copy.deepcopy(item)]
    header["ReferencedImageSequence"].is_undefined_length = number % 2 == 0
    block = header.private_block(0x0029, "MEDPREP BENCH", create=True)
    block.add_new(0x10, "OB", rng.bytes(600))
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    header.file_meta.TransferSyntaxUID = syntax
    header.Rows = header.Columns = _ROWS
    header.BitsAllocated, header.SamplesPerPixel = 16, 1
    header.PixelData = bytes(2 * _ROWS * _ROWS)
    header["PixelData"].VR = "OW"
    return header


def _placeholder(keyword: str) -> str | list[str]:
    if keyword == "ImagePositionPatient":
        return ["-1.25", "-2.25", "-3.75"]
    return "121212.25" if keyword.endswith("Time") else "31"


def _encoded_header(header: Dataset, implicit: bool) -> tuple[bytes, dict[str, object]]:
    file = io.BytesIO()
    with_vr = {"implicit_vr": implicit, "little_endian": True}
    dcmwrite(file, header, enforce_file_format=True, **({} if implicit else with_vr))
    values: dict[str, object] = {"uid": b"9" * _UID_BYTES}
    for keyword in _TEXTS[1:]:
        given = _placeholder(keyword)
        values[keyword] = given if isinstance(given, str) else "\\".join(given)
    values["private"] = header.private_block(0x0029, "MEDPREP BENCH")[0x10].value
    return file.getvalue(), values


def _element(header: Dataset, keyword: str, value: str, implicit: bool) -> bytes:
    """One text element as it is written (PS3.5 7.1), padded to even length."""
    element = header[keyword]
    text = value.encode() + b" " * (len(value) % 2)
    head = struct.pack("<HH", element.tag.group, element.tag.element)
    if implicit:
        return head + struct.pack("<I", len(text)) + text
    return head + element.VR.encode() + struct.pack("<H", len(text)) + text


def default_models(scratch: Path) -> list[Dataset]:
    """Headers of the real test data when there are any, else of the sample study."""
    data = Path(os.environ.get("MEDPREP_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if (data / "cohort").is_dir():
        return models_below(data / "cohort")
    from MedPrepLib.sample import write_sample

    write_sample(scratch / "sample")
    return models_below(scratch / "sample")
