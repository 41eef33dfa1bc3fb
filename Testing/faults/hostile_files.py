"""Good files of every format that MedPrep reads, and ways to spoil them by a seed."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from core.cohort_samples import SCHEMA
from core.test_dicom_multiframe import _compressed, _enhanced
from core.test_rtstruct import save_rtstruct
from dicom_files import save, slice_dataset, write_series
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from scene.case_samples import GRID, STUDY, label_map

from MedPrepLib.boxes import index_box, to_world
from MedPrepLib.colortable import write_color_table
from MedPrepLib.formats.segnrrd import write_seg_nrrd
from MedPrepLib.images import Volume
from MedPrepLib.markups import write_boxes
from MedPrepLib.masks.objects import SEG_CLASS
from MedPrepLib.review import Review, ReviewStore
from MedPrepLib.review.readmissions import Entry, append_entry
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.segmentation import Segment, Segmentation


class Good(NamedTuple):
    """A sound file: which reader takes it, what it is called, what it holds."""

    kind: str
    name: str
    content: bytes


def good_files(folder: Path) -> list[Good]:
    """One small sound file of every format, and of every encoding that has code of its own."""
    made: list[tuple[str, Path]] = []
    made += _dicom_files(folder)
    made += _volume_files(folder)
    made += _texts(folder)
    return [Good(kind, path.name, path.read_bytes()) for kind, path in made]


def _dicom_files(folder: Path) -> Iterator[tuple[str, Path]]:
    (plain,) = write_series(folder / "ct", 1)
    yield "dicom", Path(plain)
    for name, syntax in {
        "implicit": ImplicitVRLittleEndian,
        "big": ExplicitVRBigEndian,
        "deflated": DeflatedExplicitVRLittleEndian,
    }.items():
        yield "dicom", save(slice_dataset(0), folder / f"{name}.dcm", syntax)
    bare = folder / "bare.dcm"  # without preamble and file meta information
    slice_dataset(0).save_as(bare, implicit_vr=True, little_endian=True)
    yield "dicom", bare
    for name, dataset in {"enhanced": _enhanced(), "rle": _compressed("u2", "rle")}.items():
        yield "dicom", save(dataset, folder / f"{name}.dcm", dataset.file_meta.TransferSyntaxUID)
    for name, keyword in {"rtstruct": "Contours", "seg": "Frames"}.items():
        path = folder / f"{name}.dcm"
        (rtstruct if keyword == "Contours" else segmentation_object)(path)
        yield "mask", path


def rtstruct(path: Path) -> Path:
    """Two regions with two contours each on the grid of the small study."""
    square = [(4.0, 4.0), (12.0, 4.0), (12.0, 12.0), (4.0, 12.0)]

    def contour(k: int) -> np.ndarray:
        return np.array([GRID.point_at((i, j, k)) for i, j in square])

    return save_rtstruct(path, {"organ": [contour(3), contour(4)], "tumor": [contour(4)]})


def segmentation_object(path: Path, frames: int = 3) -> Path:
    """A binary SEG of one segment on the grid of the small study."""
    columns, rows, _ = GRID.size
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = SEG_CLASS, "1.2.3.77"
    ds.Modality, ds.SegmentationType = "SEG", "BINARY"
    ds.Rows, ds.Columns, ds.SamplesPerPixel = rows, columns, 1
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit = ds.PixelRepresentation = 0
    ds.NumberOfFrames = frames
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = 1, "organ"
    ds.SegmentSequence = [segment]
    shared, measures, turned = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1, 1], 2
    turned.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [turned]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = [_frame(k) for k in range(frames)]
    bits = np.zeros((frames, rows, columns), np.uint8)
    bits[:, 3:9, 4:11] = 1
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    ds.PixelData = packed + b"\0" * (len(packed) % 2)
    ds["PixelData"].VR = "OB"
    return save(ds, path)


def _frame(k: int) -> Dataset:
    frame, place, named = Dataset(), Dataset(), Dataset()
    place.ImagePositionPatient = list(GRID.point_at((0, 0, k)))
    named.ReferencedSegmentNumber = 1
    frame.PlanePositionSequence, frame.SegmentIdentificationSequence = [place], [named]
    return frame


def _volume_files(folder: Path) -> Iterator[tuple[str, Path]]:
    labels = label_map(5, 12)
    for name in ("a.nii", "a.nii.gz"):
        write_nifti(folder / name, Volume(labels, GRID))
        yield "volume", folder / name
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(GRID.spacing)
    for name, packed in {"a.nrrd": True, "b.nrrd": False, "a.mha": True, "b.mha": False}.items():
        sitk.WriteImage(image, str(folder / name), packed)
        yield "volume", folder / name
    segments = (Segment("organ", 1), Segment("tumor", 3))
    write_seg_nrrd(folder / "a.seg.nrrd", Segmentation((labels,), GRID, segments))
    yield "volume", folder / "a.seg.nrrd"


def _texts(folder: Path) -> Iterator[tuple[str, Path]]:
    box = to_world(index_box("tumor", (5, 6, 4), (12, 12, 8), GRID), GRID)
    write_boxes(folder / "a.mrk.json", [box, box])
    yield "boxes", folder / "a.mrk.json"
    for kind, name, text in (
        ("slices", "a.slices.csv", "label,start,stop\ntumor,3,7\norgan,,\n"),
        (
            "table",
            "cases.csv",
            "case,patient,image,annotations\nc1,p1,a.nii,ana=a.nii;ben=b.nrrd\n",
        ),
        ("centers", "centers.csv", "folder,institution,center\nraw/*,,C01\n,General,C02\n"),
        ("dates", "dates.csv", "case,rater,date\nc1,ana,2024-01-31\nc1,ben,2024-02-01\n"),
        ("study", "study.toml", STUDY),
        ("nnunet", "dataset.json", '{"labels": {"background": 0, "organ": 1, "tumor": 3}}'),
    ):
        (folder / name).write_text(text, encoding="utf-8")
        yield kind, folder / name
    for name in ("colors.csv", "colors.ctbl"):
        write_color_table(folder / name, SCHEMA)
        yield "colors", folder / name
    ReviewStore(folder / "reviews").save(Review("c1", "ada", comment="seen", verdict="approved"))
    yield "review", folder / "reviews" / "c1" / "ada.review.json"
    append_entry(folder / "readmitted.toml", Entry("c1", "SLICE_GAP", "ada", note="seen"))
    yield "readmissions", folder / "readmitted.toml"


# --- spoiling ---------------------------------------------------------------------------------
_NUMBERS = (b"99999999999999999999", b"1e400", b"-1", b"nan", b"inf", b"0", b"1" * 5000,
            b"2147483648", b"-0.0", b"1e-320", b"0x10", b"")  # fmt: skip
_TEXTS = (b"\xff\xfe\xc3\x28", b"\xed\xa0\x80", b"\0", b"\x1b]0;x\x07", "\u202e".encode(), b"\r",
          b"[" * 3000, b"{" * 3000, b'"', b"a=1\n" * 300, b"\\", b"../", b"%d")  # fmt: skip
_LENGTHS = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\0\0\x80", b"\xff\xff",
            b"\x01\0\0\0", b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0")  # fmt: skip


def _place(content: bytes, draw: random.Random) -> int:
    """Somewhere; every second time in the first kilobyte, where headers are."""
    end = min(len(content), 1024) if draw.random() < 0.5 else len(content)
    return draw.randrange(max(end, 1))


def _flipped(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8, 40))):
        if changed:
            changed[_place(content, draw)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: _place(content, draw)]


def _repeated(content: bytes, draw: random.Random) -> bytes:
    start = _place(content, draw)
    part = content[start : start + draw.choice((1, 8, 64, 1000))]
    return content[:start] + part * draw.choice((2, 3, 50)) + content[start:]


def _shortened(content: bytes, draw: random.Random) -> bytes:
    start = _place(content, draw)
    return content[:start] + content[start + draw.choice((1, 4, 50, 400)) :]


def _overwritten(content: bytes, draw: random.Random) -> bytes:
    start, pattern = _place(content, draw), draw.choice(_LENGTHS)
    return content[:start] + pattern + content[start + len(pattern) :]


def _inserted(content: bytes, draw: random.Random) -> bytes:
    start = _place(content, draw)
    return content[:start] + draw.choice(_TEXTS) + content[start:]


def _renumbered(content: bytes, draw: random.Random) -> bytes:
    """Another number in the place of one that is written in digits."""
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?", content[:20_000]))
    if not found:
        return _overwritten(content, draw)
    number = draw.choice(found)
    return content[: number.start()] + draw.choice(_NUMBERS) + content[number.end() :]


_WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flipped, _flipped, _cut, _repeated, _shortened, _overwritten, _overwritten, _inserted,
    _renumbered, _renumbered,
)  # fmt: skip


def spoiled(good: Good, others: list[Good], draw: random.Random) -> bytes:
    """The file with one to three faults; of compressed ones also what is inside."""
    content = good.content
    inside = content[:2] == b"\x1f\x8b" and draw.random() < 0.6
    if inside:
        content = gzip.decompress(content)
    for _ in range(draw.choice((1, 1, 2, 3))):
        content = draw.choice(_WAYS)(content, draw)
    if draw.random() < 0.06:  # the tail of another file
        other = draw.choice(others).content
        content = content[: _place(content, draw)] + other[_place(other, draw) :]
    return gzip.compress(content, 1, mtime=0) if inside else content
