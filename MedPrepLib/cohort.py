"""What a study is made of: patients, scans, readings, cases. Small frozen values without voxels.

They travel between processes and are kept in the ledger as JSON, so they hold paths and numbers
only. Patient ids, UIDs and paths in here are *private*: only what identity.py makes of them may
reach a cohort or a report.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from MedPrepLib.geometry import Geometry

Sex = Literal["M", "F", "O", "unknown"]


class Patient(msgspec.Struct, frozen=True):
    """A person within a center. ``id`` is always text, exactly as the source gave it.

    ``id`` is empty when the source has none; such patients are never grouped together.
    """

    id: str
    center: str
    issuer: str = ""
    age_years: int | None = None
    sex: Sex = "unknown"
    disease: str = ""
    """What the split is stratified by where a table names it; empty: the labels that are shown."""


class Scan(msgspec.Struct, frozen=True):
    """Header facts that screening rules and the packed metadata need; None means absent.

    ``modality`` is the DICOM Modality (0008,0060) or what the study file says for files without
    one. Lengths are millimeters, tube voltage kilovolts, times milliseconds.
    """

    modality: str = ""
    manufacturer: str = ""
    model: str = ""
    body_part: str = ""
    study_description: str = ""
    series_description: str = ""
    image_type: tuple[str, ...] = ()
    kvp: float | None = None
    slice_thickness_mm: float | None = None
    repetition_time_ms: float | None = None
    echo_time_ms: float | None = None
    field_strength_t: float | None = None
    kernel: str = ""
    contrast_agent: str = ""
    bits_allocated: tuple[int, ...] = ()
    """Every distinct Bits Allocated (0028,0100) among the slices; more than one is a flaw."""
    bits_stored: tuple[int, ...] = ()
    photometric: str = ""
    transfer_syntax: str = ""
    burned_in: str = ""
    lossy: str = ""
    """LossyImageCompression (0028,2110): "01" when a slice ever was compressed with loss."""
    missing_tags: tuple[str, ...] = ()
    """Keywords of the key attributes that no slice carries (checked by screen)."""


class Links(msgspec.Struct, frozen=True):
    """UIDs that tie an image to others (DICOM only). Used for leakage checks, never written."""

    study_uid: str = ""
    series_uid: str = ""
    frame_of_reference_uid: str = ""


class ImageSource(msgspec.Struct, frozen=True):
    """Where the voxels of one image come from.

    ``kind`` "dicom": the files of one volume, in slice order along the normal. "file": one
    NIfTI, NRRD, MetaImage... file. ``geometry`` is what the headers say, None if they are broken.
    ``part`` names the volume where a series holds several ("b800", "echo2", "axial").
    ``data_paths``: files that hold the voxels of a header among ``paths`` (.mhd, .nhdr).
    ``stack_mm``: where all slices of a series with a gap lie, mm along the normal from the first
    that is used; empty where every slice is used.
    """

    kind: Literal["dicom", "file"]
    paths: tuple[str, ...]
    geometry: Geometry | None = None
    part: str = ""
    data_paths: tuple[str, ...] = ()
    stack_mm: tuple[float, ...] = ()


class MaskPart(msgspec.Struct, frozen=True):
    """One file of a mask reading.

    ``label``: every non-zero voxel means this label of the schema. ``values``: (file value,
    label name) pairs for label maps with numbers of their own. Neither: names, then values, of
    the file are matched with the schema. ``data_paths``: where its voxels lie, if not in it.
    """

    path: str
    label: str | None = None
    values: tuple[tuple[int, str], ...] = ()
    data_paths: tuple[str, ...] = ()


class MaskReading(msgspec.Struct, frozen=True):
    """One rater's segmentation of one image; several files may each hold some of the labels."""

    rater: str
    parts: tuple[MaskPart, ...]


class ReadingFile(msgspec.Struct, frozen=True):
    """One file of boxes or slice labels; ``label``: everything in it means this label."""

    path: str
    label: str | None = None


class BoxReading(msgspec.Struct, frozen=True):
    """One rater's boxes on one image: 3D Slicer markups files (.mrk.json) with ROIs."""

    rater: str
    files: tuple[ReadingFile, ...]


class SliceReading(msgspec.Struct, frozen=True):
    """One rater's labels per slice of one image: tables (.slices.csv) with label, start, stop."""

    rater: str
    files: tuple[ReadingFile, ...]


class Case(msgspec.Struct, frozen=True):
    """One image, whom it shows, and what every rater drew on it.

    ``id`` is unique in the study and private until identity.py has made a public name of it.
    """

    id: str
    patient: Patient
    scan: Scan
    image: ImageSource
    readings: tuple[MaskReading, ...] = ()
    links: Links = Links()
    boxes: tuple[BoxReading, ...] = ()
    slices: tuple[SliceReading, ...] = ()

    @property
    def raters(self) -> frozenset[str]:
        """Everybody who read the image, in any of the three ways."""
        masks, boxes, slices = self.readings, self.boxes, self.slices
        return frozenset(
            [r.rater for r in masks] + [r.rater for r in boxes] + [r.rater for r in slices]
        )

    @property
    def image_paths(self) -> tuple[str, ...]:
        """Every file of the image."""
        return (*self.image.paths, *self.image.data_paths)

    @property
    def drawn_paths(self) -> tuple[str, ...]:
        """Every file that raters made."""
        parts = [part for reading in self.readings for part in reading.parts]
        masks = (path for part in parts for path in (part.path, *part.data_paths))
        boxes = (file.path for reading in self.boxes for file in reading.files)
        slices = (file.path for reading in self.slices for file in reading.files)
        return (*masks, *boxes, *slices)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file the case is made of: its image and all readings."""
        return (*self.image_paths, *self.drawn_paths)
