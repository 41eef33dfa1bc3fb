"""Small files that promise or become gigabytes: refused within seconds, in little memory.

Each is read in a process of its own that measures itself; a file that only has holes takes no disk.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_files import save, slice_dataset
from faults.hostile_files import good_files, rtstruct, segmentation_object
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
)
from scene.case_samples import GRID

from MedPrepLib.images import Volume
from MedPrepLib.masks.objects import RTSTRUCT_CLASS
from MedPrepLib.sample.niftifile import write_nifti

TESTING = Path(__file__).resolve().parents[1]
MOST_S, MOST_MB = 2.0, 300
SLOW_S = 10.0
"""Items of sequences of undefined length are stepped over one by one: three million take this."""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured with Linux")

MEASURE = """
import json, os, resource, sys, time
from pathlib import Path
from faults.hostile_readers import READERS

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def one(kind, path):
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    before, started = peak(), time.process_time()
    said = READERS[kind](Path(path))
    return {"s": time.process_time() - started, "mb": peak() - before, "said": said}

for kind, path in json.loads(sys.stdin.readline()).items():
    READERS[kind](Path(path))  # a sound file: what is imported for it does not count
for line in sys.stdin:
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, json.dumps(one(*json.loads(line))).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as answer:
        print(answer.read() or '{"s": 999, "mb": 9999, "said": []}', flush=True)
    os.waitpid(child, 0)
"""
"""Reads each file in a process of its own that measures itself, forked from one that is warm."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A function of kind and path: seconds, megabytes and what was said of the file."""
    folder, sound = tmp_path_factory.mktemp("sound"), {}
    for good in good_files(folder):
        path = folder / good.kind / "c1" / good.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(good.content)
        sound[good.kind] = str(path)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTING), str(TESTING.parent)))}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", MEASURE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    ) as process:

        def ask(kind: str, path: Path) -> dict:
            process.stdin.write(json.dumps([kind, str(path)]) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        process.stdin.write(json.dumps(sound) + "\n")
        yield ask
        process.stdin.close()


def burst(count: int) -> bytes:
    """``count`` times 16 MB of zeros as blocks of a deflate stream that stand on their own."""
    packer = zlib.compressobj(9, wbits=-15)
    return (packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)) * count


def packed(content: bytes, *, last: bool = False) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(content) + packer.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH)


def deflated_header(path: Path) -> Path:
    """One private value of 3 GB of zeros in 3 MB."""
    whole = save(slice_dataset(0), path, DeflatedExplicitVRLittleEndian).read_bytes()
    start = 144 + int.from_bytes(whole[140:144], "little")
    content = zlib.decompressobj(-15).decompress(whole[start:])
    place = content.index(b"\x28\0\x02\0US")
    private = b"\x09\0\x10\x10OB\0\0" + struct.pack("<I", 3 << 30)
    path.write_bytes(
        whole[:start]
        + packed(content[:place] + private)
        + burst(192)
        + packed(content[place:], last=True)
    )
    return path


def deflated_object(path: Path) -> Path:
    """The same as a structure set, whose references are looked for in the scan."""
    deflated_header(path)
    data = path.read_bytes()
    ct, other = b"1.2.840.10008.5.1.4.1.1.2\0", RTSTRUCT_CLASS.encode()
    end = 144 + int.from_bytes(data[140:144], "little")
    meta = data[132:end].replace(
        b"UI" + struct.pack("<H", len(ct)) + ct, b"UI" + struct.pack("<H", len(other)) + other
    )
    meta = meta[:8] + struct.pack("<I", len(meta) - 12) + meta[12:]
    path.write_bytes(data[:132] + meta + data[end:])
    return path


def packed_zeros(path: Path) -> Path:
    """2 GB of zeros behind a header that promises 26 x 22 x 12 voxels, and their sum is wrong."""
    write_nifti(path.with_suffix(""), Volume(np.zeros(GRID.shape, np.uint8), GRID))
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + packed(path.with_suffix("").read_bytes())
    path.write_bytes(head + burst(128) + packed(b"", last=True) + bytes(8))
    return path


def empty_members(path: Path) -> Path:
    """400,000 members of a gzip file without content, then nothing."""
    path.write_bytes(gzip.compress(b"", mtime=0) * 400_000)
    return path


def nrrd_promising(path: Path) -> Path:
    head = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
        "sizes: 1290 1290 1290\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nkinds: domain domain "
        "domain\nendian: little\nencoding: gzip\nspace origin: (0,0,0)\n\n"
    )
    packer = zlib.compressobj(9, wbits=31)
    path.write_bytes(head.encode() + packer.compress(bytes(1 << 22)) + packer.flush())
    return path


def nrrd_sizes_without_end(path: Path) -> Path:
    sizes = " ".join(["9" * 4000] * 16)
    path.write_text(f"NRRD0004\ntype: short\ndimension: 16\nsizes: {sizes}\nencoding: raw\n\n")
    return path


def jpeg(path: Path) -> Path:
    frame = (
        b"\xff\xd8\xff\xc3\x00\x0b\x10" + struct.pack(">2H", 1 << 15, 1 << 15) + b"\x01\x01\x11\0"
    )
    return _compressed(path, frame + b"\xff\xd9", JPEGLosslessSV1)


def jpeg_2000(path: Path) -> Path:
    siz = struct.pack(">HHH8IH", 0xFF51, 41, 0, 1 << 15, 1 << 15, 0, 0, 1 << 15, 1 << 15, 0, 0, 1)
    return _compressed(path, b"\xff\x4f" + siz + b"\x0f\x01\x01" + b"\xff\xd9", JPEG2000Lossless)


def _compressed(path: Path, frame: bytes, syntax: str) -> Path:
    ds = slice_dataset(0)
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].is_undefined_length = True
    return save(ds, path, syntax)


def rows_and_columns(path: Path) -> Path:
    """A header of 65,535 x 65,535 pixels over a handful of bytes."""
    ds = slice_dataset(0)
    ds.Rows = ds.Columns = 65_535
    return save(ds, path)


def many_frames(path: Path) -> Path:
    """A segmentation that describes three million frames of nothing."""
    data = segmentation_object(path).read_bytes()
    place = data.index(b"\x00\x52\x30\x92SQ")
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 3_000_000
    head = data[place : place + 8] + struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data[:place] + head + items + b"\xfe\xff\xdd\xe0\0\0\0\0" + data[place:])
    return path


def headless_items(path: Path) -> Path:
    """A million items in a file without preamble, which only pydicom can read."""
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 1_000_000
    start = b"\x08\0\x16\0" + struct.pack("<I", 26) + b"1.2.840.10008.5.1.4.1.1.2\0"
    sequence = b"\x08\0\x15\x11" + struct.pack("<I", 0xFFFFFFFF) + items
    path.write_bytes(start + sequence + b"\xfe\xff\xdd\xe0\0\0\0\0")
    return path


def far_frames(path: Path) -> Path:
    """Two frames 10 km apart: 10 million slices between them."""
    ds = _read(segmentation_object(path, 2))
    place = ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    place.ImagePositionPatient = [-10, 5, 1e7]
    ds.save_as(path, enforce_file_format=True)
    return path


def _read(path: Path):
    from pydicom import dcmread

    return dcmread(path)


def _contour(path: Path, text: bytes, points: int) -> Path:
    """The first contour of the small structure set, with other points."""
    ds = _read(rtstruct(path))
    contour = ds.ROIContourSequence[0].ContourSequence[0]
    contour.NumberOfContourPoints = points
    contour.ContourData = ["7", "7", "7"]
    whole = io.BytesIO()
    for sequence in (ds.ROIContourSequence, ds.ROIContourSequence[0].ContourSequence):
        sequence.is_undefined_length = True
        for item in sequence:
            item.is_undefined_length_sequence_item = True
    ds["ROIContourSequence"].is_undefined_length = True
    ds.ROIContourSequence[0]["ContourSequence"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.save_as(whole, enforce_file_format=True)
    old = struct.pack("<2HI", 0x3006, 0x50, 6) + b"7\\7\\7 "
    new = struct.pack("<2HI", 0x3006, 0x50, len(text)) + text
    data = whole.getvalue()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    return path


def ten_million_points(path: Path) -> Path:
    return _contour(path, b"1\\2\\103\\3\\9\\103\\" * 4_999_999 + b"1\\2\\103\\3\\9\\103 ", 10**7)


def far_points(path: Path) -> Path:
    far = b"\\".join([b"-1e9\\-1e9\\103", b"1e9\\-1e9\\103", b"1e9\\1e9\\103", b"-1e9\\1e9\\103"])
    return _contour(path, far + b" " * (len(far) % 2), 4)


def endless_points(path: Path) -> Path:
    far = b"\\".join([b"1e308\\1e308\\1e308", b"-1e308\\1e308\\1e308", b"1e308\\-1e308\\1e308"])
    return _contour(path, far + b" " * (len(far) % 2), 3)


def nested(path: Path) -> Path:
    path.write_bytes(b'{"@schema": ' + b"[" * 10_000_000)
    return path


def huge_numbers(path: Path) -> Path:
    schema = "x/markups-schema-v1.0.3.json#"
    markup = f'{{"type": "ROI", "center": [{"9" * 400}, 0, 0], "size": [1, 1, 1]}}'
    path.write_text(f'{{"@schema": "{schema}", "markups": [{markup}]}}')
    return path


def nested_settings(path: Path) -> Path:
    path.write_text(f"name = {'[' * 100_000}")
    return path


def of_gigabytes(path: Path) -> Path:
    """Two gigabytes of zeros that take no disk."""
    with path.open("wb") as file:
        file.truncate(2 << 30)
    return path


CASES: dict[Callable[[Path], Path], tuple[str, str, str]] = {
    deflated_header: ("dicom", "a.dcm", "F19"),
    deflated_object: ("mask", "a.dcm", "F19"),
    packed_zeros: ("volume", "a.nii.gz", "F19"),
    empty_members: ("volume", "a.nii.gz", "F19"),
    nrrd_promising: ("volume", "a.nrrd", "F17"),
    nrrd_sizes_without_end: ("volume", "a.nrrd", "F17"),
    jpeg: ("dicom", "a.dcm", "F19"),
    jpeg_2000: ("dicom", "a.dcm", "F19"),
    rows_and_columns: ("dicom", "a.dcm", "F17"),
    many_frames: ("mask", "a.dcm", "F20"),
    headless_items: ("dicom", "a.dcm", "F20"),
    far_frames: ("mask", "a.dcm", "F17"),
    ten_million_points: ("mask", "a.dcm", "F17"),
    far_points: ("mask", "a.dcm", "F17"),
    endless_points: ("mask", "a.dcm", "F17"),
    nested: ("boxes", "a.mrk.json", "F20"),
    huge_numbers: ("boxes", "a.mrk.json", "F17"),
    nested_settings: ("study", "study.toml", "F20"),
}
GIGABYTES = ("dicom", "mask", "volume", "boxes", "slices", "table", "centers", "dates", "study",
             "colors", "review", "readmissions", "nnunet")  # fmt: skip
NAMES = {"volume": "a.nii", "boxes": "a.mrk.json", "slices": "a.slices.csv", "table": "cases.csv",
         "colors": "colors.csv", "review": "ada.review.json", "study": "study.toml",
         "nnunet": "dataset.json"}  # fmt: skip


@pytest.mark.parametrize(
    "make", [pytest.param(f, marks=pytest.mark.fault(row), id=f.__name__)
             for f, (_, _, row) in CASES.items()]
)  # fmt: skip
def test_a_bomb_is_refused_before_it_bursts(tmp_path, measured, make):
    kind, name, _ = CASES[make]
    taken = measured(kind, make(tmp_path / name))
    assert taken["said"], "the file was taken for a sound one"
    assert taken["s"] < (SLOW_S if make is many_frames else MOST_S)
    assert taken["mb"] < MOST_MB


@pytest.mark.fault("F17", "F19", "F25")
@pytest.mark.parametrize("kind", GIGABYTES)
def test_gigabytes_of_nothing_are_refused_unread(tmp_path, measured, kind):
    folder = tmp_path / "c1"
    folder.mkdir()
    taken = measured(kind, of_gigabytes(folder / NAMES.get(kind, "a.csv")))
    assert taken["said"], "the file was taken for a sound one"
    assert taken["s"] < MOST_S
    assert taken["mb"] < MOST_MB
