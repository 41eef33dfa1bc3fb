"""Writing a scan as single-frame DICOM files (CT Image and MR Image Storage, PS3.3 A.3, A.4)."""

from __future__ import annotations

import io
import itertools
import struct
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from MedPrepLib.geometry import Geometry
from MedPrepLib.images import VoxelArray
from MedPrepLib.sample.devices import DEVICES, SEQUENCES, Device, Storage
from MedPrepLib.sample.flaws import Flaws, in_eight_bits
from MedPrepLib.sample.grids import row_and_column, slice_position
from MedPrepLib.sample.noise import FloatField, Seed
from MedPrepLib.sample.roster import Plan

if TYPE_CHECKING:
    from pydicom import Dataset

_CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_META_UID = "MediaStorageSOPInstanceUID"
_SLICE_ELEMENTS = {
    _META_UID: (0x0002, 0x0003, b"UI"),
    "SOPInstanceUID": (0x0008, 0x0018, b"UI"),
    "InstanceNumber": (0x0020, 0x0013, b"IS"),
    "ImagePositionPatient": (0x0020, 0x0032, b"DS"),
    "SliceLocation": (0x0020, 0x1041, b"DS"),
}
"""What differs between the slices of a series: group, element and value representation."""

_UID_LENGTH = 44
"""All UIDs have this length (the usual one under 2.25), so that no enclosing length changes."""

_WINDOWS = {"CT": ("-600", "1500"), "MR": ("520", "1040")}
_DAYS = {"baseline": "20240311", "followup": "20240917"}


def fixed_uid(seed: Seed, *parts: str) -> str:
    """A UID under 2.25 (ITU-T X.667) that depends on the seed and ``parts`` only."""
    for attempt in itertools.count():
        name = "/".join(("medprep-sample", *map(str, seed.words), *parts, str(attempt)))
        uid = f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, name).int}"
        if len(uid) == _UID_LENGTH:
            break
    return uid


def save_series(folder: Path, plan: Plan, geometry: Geometry, image: FloatField, seed: Seed) -> int:
    """Write one file per slice into ``folder``; ``image`` (k, j, i) is in HU or MR units.

    The flaws of ``plan`` that concern the header or the files are built in. Returns the number
    of files.
    """
    folder.mkdir(parents=True)
    storage = DEVICES[plan.device].storage
    stored = stored_values(image, storage)
    template = _template(_series_header(plan, geometry, seed), storage)
    count = geometry.size[2]
    numbers = seed.of("numbers").order(count) if plan.files == "shuffled" else range(count)
    names = _file_names(plan, seed)
    kept = [k for k in range(count) if plan.flaw is not Flaws.MISSING_SLICE or k != count // 2]
    for k in kept:
        uid = fixed_uid(seed, plan.id, "slice", str(k))
        facts = _slice_facts(geometry, k, numbers[k] + 1, uid)
        if plan.flaw is Flaws.MIXED_BITS and k == count // 3:
            small = replace(storage, bits_stored=8)
            odd = _template(_series_header(plan, geometry, seed), small)
            data = odd.filled(facts, in_eight_bits(stored[k]))
        else:
            data = template.filled(facts, stored[k])
        (folder / names[k]).write_bytes(data)
    return len(kept)


def save_localizer(folder: Path, plan: Plan, image: FloatField, seed: Seed) -> None:
    """Write the scout of a CT (two projections) beside its slices, as a series of its own."""
    storage = DEVICES[plan.device].storage
    for number, axis in enumerate((1, 2), start=1):
        # A projection through the body: the mean along one axis, head up. Integers sum exactly.
        total = np.rint(image).astype(np.int64).sum(axis=axis)
        picture = np.flip(total // image.shape[axis], axis=0).astype(np.float32)
        rows, columns = picture.shape
        flat = Geometry((columns, rows, 1), (2.6, 3.5, 1.0))
        header = _series_header(plan, flat, seed)
        header.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        header.SeriesDescription = "Topogram 0.6 T20f"
        header.SeriesNumber = "1"
        header.SeriesInstanceUID = fixed_uid(seed, plan.id, "localizer")
        row = [1, 0, 0] if axis == 1 else [0, 1, 0]
        header.ImageOrientationPatient = [*row, 0, 0, -1]
        facts = _slice_facts(flat, 0, number, fixed_uid(seed, plan.id, "localizer", str(number)))
        data = _template(header, storage).filled(facts, stored_values(picture, storage))
        (folder / f"scout_{number}.dcm").write_bytes(data)


def stored_values(image: FloatField, storage: Storage) -> VoxelArray:
    """Modality values (..., j, i) as the integers of a device: subtract, round, clip, cast."""
    low, high = storage.limits
    stored = np.clip(np.rint(image).astype(np.int32) - storage.intercept, low, high)
    if storage.padding is not None:
        stored[..., _outside_field(image.shape[-2], image.shape[-1])] = storage.padding
    return stored.astype("<i2" if storage.signed else "<u2")


def _outside_field(rows: int, columns: int) -> VoxelArray:
    """True outside the circle that fills the picture."""
    j, i = np.arange(rows).reshape(-1, 1), np.arange(columns).reshape(1, -1)
    u, v = (2 * j + 1 - rows) / rows, (2 * i + 1 - columns) / columns
    return np.asarray(u * u + v * v > 1.0)


@dataclass(frozen=True)
class _Template:
    """An encoded header in which the elements of one slice are replaced by those of another.

    Encoding every header anew would take most of the time of writing the study.
    """

    header: bytes
    filled_in: dict[str, str]

    def filled(self, facts: dict[str, str], pixels: VoxelArray) -> bytes:
        """The bytes of a DICOM file."""
        header = self.header
        for keyword, value in facts.items():
            old = _encoded(keyword, self.filled_in[keyword])
            header = header.replace(old, _encoded(keyword, value))
        data = pixels.tobytes()
        return header + _PIXEL_DATA + struct.pack("<I", len(data)) + data


_PIXEL_DATA = struct.pack("<HH2sH", 0x7FE0, 0x0010, b"OW", 0)


def _template(header: Dataset, storage: Storage) -> _Template:
    import pydicom

    facts = _slice_facts(Geometry((1, 1, 1)), 0, 0, fixed_uid(Seed(()), "template"))
    for keyword, value in facts.items():
        setattr(header if keyword != _META_UID else header.file_meta, keyword, value)
    bits = 8 if storage.bits_stored == 8 else 16
    header.BitsAllocated = bits
    header.BitsStored = storage.bits_stored
    header.HighBit = storage.bits_stored - 1
    header.PixelRepresentation = 1 if storage.signed else 0
    if storage.padding is not None:
        header.add_new("PixelPaddingValue", "SS" if storage.signed else "US", storage.padding)
    file = io.BytesIO()
    pydicom.dcmwrite(file, header, enforce_file_format=True)
    return _Template(file.getvalue(), facts)


def _encoded(keyword: str, value: str) -> bytes:
    """One text element in explicit VR little endian (PS3.5 7.1.2), padded to even length."""
    group, element, vr = _SLICE_ELEMENTS[keyword]
    text = value.encode("ascii")
    text += (b"\0" if vr == b"UI" else b" ") * (len(text) % 2)
    return struct.pack("<HH2sH", group, element, vr, len(text)) + text


def _slice_facts(geometry: Geometry, k: int, number: int, uid: str) -> dict[str, str]:
    position = slice_position(geometry, k)
    return {
        _META_UID: uid,
        "SOPInstanceUID": uid,
        "InstanceNumber": str(number),
        "ImagePositionPatient": "\\".join(_decimal(v) for v in position),
        "SliceLocation": _decimal(round(k * geometry.spacing[2], 6)),
    }


def _series_header(plan: Plan, geometry: Geometry, seed: Seed) -> Dataset:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    header = Dataset()
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(_CLASSES[plan.modality])
    meta.TransferSyntaxUID = UID(_EXPLICIT_LITTLE_ENDIAN)
    meta.ImplementationClassUID = UID(fixed_uid(Seed(()), "implementation"))
    meta.ImplementationVersionName = "MEDPREP_SAMPLE"
    header.file_meta = meta
    for facts in (
        _study_facts(plan, seed),
        _person_facts(plan),
        _device_facts(plan, DEVICES[plan.device]),
        _grid_facts(plan, geometry),
    ):
        for keyword, value in facts.items():
            setattr(header, keyword, value)
    return header


def _study_facts(plan: Plan, seed: Seed) -> dict[str, object]:
    chest = plan.modality == "CT"
    day = _DAYS[plan.name]
    facts: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"] if chest else ["ORIGINAL", "PRIMARY", "M"],
        "SOPClassUID": _CLASSES[plan.modality],
        "StudyDate": day,
        "SeriesDate": day,
        "AcquisitionDate": day,
        "ContentDate": day,
        "StudyTime": "101500",
        "AccessionNumber": "",
        "Modality": plan.modality,
        "ReferringPhysicianName": "",
        "StudyDescription": "CT Chest" if chest else "MR Brain",
        "SeriesDescription": f"Thorax {plan.grid.spacing[2]:g} mm"
        if chest
        else (f"{plan.sequence} {plan.grid.plane}"),
        "StudyInstanceUID": fixed_uid(seed, plan.id, "study"),
        "SeriesInstanceUID": fixed_uid(seed, plan.id, "series"),
        "FrameOfReferenceUID": fixed_uid(seed, plan.id, "frame"),
        "PositionReferenceIndicator": "",
        "StudyID": "1",
        "SeriesNumber": "2",
        "AcquisitionNumber": "1",
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
    }
    if plan.flaw is Flaws.NO_STUDY:
        del facts["StudyDescription"]
    return facts


def _person_facts(plan: Plan) -> dict[str, object]:
    person = plan.person
    return {
        "PatientName": f"Invented^{person.id}",
        "PatientID": person.id,
        "PatientBirthDate": "",
        "PatientSex": person.sex,
        "PatientAge": f"{person.age:03d}Y",
        "BodyPartExamined": "CHEST" if plan.modality == "CT" else "HEAD",
        "PatientPosition": "HFS",
    }


def _device_facts(plan: Plan, device: Device) -> dict[str, object]:
    known = plan.flaw is not Flaws.NO_DEVICE
    facts: dict[str, object] = {
        "Manufacturer": device.manufacturer if known else "",
        "ManufacturerModelName": device.model if known else "",
        "InstitutionName": f"Invented hospital {plan.person.center}",
        "WindowCenter": _WINDOWS[plan.modality][0],
        "WindowWidth": _WINDOWS[plan.modality][1],
        **device.settings,
        **SEQUENCES.get(plan.sequence, {}),
    }
    if plan.modality == "CT":
        facts["RescaleIntercept"] = str(device.storage.intercept)
        facts["RescaleSlope"] = "1"
        facts["RescaleType"] = "HU"
    return facts


def _grid_facts(plan: Plan, geometry: Geometry) -> dict[str, object]:
    columns, rows, _ = geometry.size
    i_mm, j_mm, k_mm = geometry.spacing
    row, column = row_and_column(plan.grid.plane)
    return {
        "SliceThickness": f"{k_mm:g}",
        "ImageOrientationPatient": [_decimal(v) for v in (*row, *column)],
        "PixelSpacing": [_decimal(j_mm), _decimal(i_mm)],  # between rows, then between columns
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
    }


def _file_names(plan: Plan, seed: Seed) -> list[str]:
    count = plan.grid.size[2]
    if plan.files == "bare":  # as on a CD: no suffix, and an order that means nothing
        return [f"I{10_000 + 7 * n:07d}" for n in seed.of("names").order(count)]
    return [f"IM-0002-{k + 1:04d}.dcm" for k in range(count)]


def _decimal(value: float) -> str:
    """A DICOM decimal string (DS, at most 16 characters)."""
    return f"{value:.10f}".rstrip("0").rstrip(".") if abs(value) < 2 else f"{value:.6f}"
