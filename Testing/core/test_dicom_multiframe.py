"""Compressed enhanced multi-frame objects: voxel by voxel the uncompressed ones, frame by frame."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import COLUMN_MM, OBLIQUE, ROW_MM, position, save, slice_dataset, stored_pixels
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import (
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.headers import read_header
from MedPrepLib.dicom.multiframe import frames_of
from MedPrepLib.dicom.pixels import read_series
from MedPrepLib.dicom.series import arrange
from MedPrepLib.dicom.stored import stored_bytes
from MedPrepLib.errors import ReadError

SCREEN = Screen(min_slices=2)
ORDER = (2, 0, 3, 1, 4)
CODECS = {"rle": RLELossless, "j2k": JPEG2000Lossless}


def _item(**attributes) -> list[Dataset]:
    item = Dataset()
    item.update(attributes)
    return [item]


def _pixels(k: int, dtype: str = "u2") -> np.ndarray:
    """Stored values of frame ``k``, large enough for the wavelets of JPEG 2000."""
    return np.tile(stored_pixels(k, dtype), (4, 4))


def _enhanced(dtype: str = "u2", order=ORDER) -> Dataset:
    """An enhanced CT, frames in ``order``, each with an intercept of its own."""
    ds = slice_dataset(0, dtype=dtype)
    ds.SOPClassUID = EnhancedCTImageStorage
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        del ds[keyword]
    ds.NumberOfFrames = len(order)
    ds.PixelData = b"".join(_pixels(k, dtype).tobytes() for k in order)
    ds.Rows, ds.Columns = _pixels(0).shape
    ds.BitsStored, ds.HighBit = 16, 15
    shared = Dataset()
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=[f"{x:.10f}" for x in OBLIQUE])
    shared.PixelMeasuresSequence = _item(PixelSpacing=[ROW_MM, COLUMN_MM], SliceThickness=9)
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = []
    for k in order:
        frame = Dataset()
        frame.PlanePositionSequence = _item(ImagePositionPatient=position(k))
        frame.PixelValueTransformationSequence = _item(RescaleSlope=1, RescaleIntercept=-k)
        ds.PerFrameFunctionalGroupsSequence.append(frame)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def _compressed(dtype: str, codec: str, order=ORDER) -> Dataset:
    ds = _enhanced(dtype, order)
    if codec == "rle":
        ds.compress(RLELossless, generate_instance_uid=False)
        return ds
    openjpeg = pytest.importorskip("openjpeg.utils")
    ds.PixelData = encapsulate([openjpeg.encode_array(_pixels(k, dtype)) for k in order])
    ds["PixelData"].is_undefined_length = True
    return ds


def _arranged(ds: Dataset, path: Path, syntax: str):
    return arrange([read_header(str(save(ds, path, syntax)))], "case", SCREEN)


def _expected(dtype: str) -> np.ndarray:
    return np.stack([_pixels(k, dtype).astype(np.int64) - k for k in range(len(ORDER))])


@pytest.mark.parametrize("dtype", ["u2", "i2"])
@pytest.mark.parametrize("codec", ["rle", "j2k"])
def test_compressed_frames_equal_the_uncompressed_ones(tmp_path, dtype, codec):
    plain = _arranged(_enhanced(dtype), tmp_path / "plain", ExplicitVRLittleEndian)
    packed = _arranged(_compressed(dtype, codec), tmp_path / "packed", CODECS[codec])
    assert packed.findings == plain.findings == ()
    assert packed.geometry == plain.geometry
    volume = read_series(packed.headers).volume
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, read_series(plain.headers).volume.array)
    assert np.array_equal(volume.array, _expected(dtype))


def _split(frame: bytes) -> list[bytes]:
    cut = len(frame) // 2 // 2 * 2
    return [frame[:cut], frame[cut:]]


def _encapsulated(fragments: list[bytes], offsets: list[int]) -> bytes:
    items = [struct.pack(f"<{len(offsets)}I", *offsets), *fragments]
    return b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(i)) + i for i in items)


def _frames(ds: Dataset) -> list[bytes]:
    return list(generate_frames(ds.PixelData, number_of_frames=len(ORDER)))


def _with_table(ds: Dataset) -> None:
    fragments = [part for frame in _frames(ds) for part in _split(frame)]
    starts = np.cumsum([0, *(len(f) + 8 for f in fragments)])
    ds.PixelData = _encapsulated(fragments, [int(s) for s in starts[:-1:2]])


def _without_table(ds: Dataset) -> None:
    ds.PixelData = encapsulate(_frames(ds), fragments_per_frame=2, has_bot=False)


def _one_each_without_table(ds: Dataset) -> None:
    ds.PixelData = encapsulate(_frames(ds), has_bot=False)


def _extended_table(ds: Dataset) -> None:
    data = encapsulate_extended(_frames(ds))
    ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = data


@pytest.mark.parametrize(
    "layout", [_with_table, _without_table, _one_each_without_table, _extended_table]
)
def test_frames_are_found_in_every_layout_of_fragments(tmp_path, layout):
    ds = _compressed("u2", "j2k")
    layout(ds)
    ds["PixelData"].is_undefined_length = True
    arranged = _arranged(ds, tmp_path / "packed", JPEG2000Lossless)
    assert arranged.findings == ()
    assert np.array_equal(read_series(arranged.headers).volume.array, _expected("u2"))
    again = pydicom.dcmread(tmp_path / "packed").pixel_array  # the file is one that others read
    assert np.array_equal(again, np.stack([_pixels(k) for k in ORDER]))


@pytest.mark.fault("F41")
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ((0, 1, 2), None),
        ((0, 2), "2 of 3 parts of a concatenation found, not part 2"),
        ((2,), "1 of 3 parts of a concatenation found, not part 1"),
        ((0, 1), "2 of 3 parts of a concatenation found, not part 3"),
    ],
)
def test_a_missing_part_of_a_concatenation_is_named(tmp_path, kept, said, told):
    """Each part is whole in itself: half a volume would look like a volume."""
    paths = []
    for part in kept:
        ds = _enhanced(order=(2 * part, 2 * part + 1))
        ds.SOPInstanceUID += f".{part}"
        ds.ConcatenationUID, ds.InConcatenationNumber = "1.2.77", part + 1
        if told:
            ds.InConcatenationTotalNumber = 3
        paths.append(save(ds, tmp_path / f"{part}", ExplicitVRLittleEndian))
    arranged = arrange([read_header(str(p)) for p in paths], "case", SCREEN)
    found = [f.message for f in arranged.findings if f.code == "SLICES_TRUNCATED"]
    unknown = not told and kept == (0, 1)
    assert found == ([] if said is None or unknown else [said])
    if len(kept) == 3:
        assert arranged.findings == ()
        assert arranged.geometry.size[2] == 6


def test_frames_of_bytes_that_share_a_big_endian_word_are_parted(tmp_path):
    """Frames of 35 pixels: every other one begins in the middle of a word."""
    frames = [stored_pixels(k)[:5, :7].astype("u1") for k in ORDER]
    ds = _enhanced()
    ds.Rows, ds.Columns = 5, 7
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    words = np.frombuffer(b"".join(f.tobytes() for f in frames) + b"\0", "u2")
    ds.PixelData = words.byteswap().tobytes()
    arranged = _arranged(ds, tmp_path / "big", ExplicitVRBigEndian)
    assert np.array_equal(pydicom.dcmread(tmp_path / "big").pixel_array, np.stack(frames))
    array = read_series(arranged.headers).volume.array
    for k, frame in zip(ORDER, frames, strict=True):
        assert np.array_equal(array[k], frame.astype(int) - k)


def test_each_frame_is_read_alone_and_differing_frames_are_no_copies(tmp_path):
    arranged = _arranged(_compressed("u2", "rle"), tmp_path / "packed", RLELossless)
    frames = [stored_bytes(h) for h in arranged.headers]
    assert len(set(frames)) == len(ORDER)
    assert sum(len(f) for f in frames) < (tmp_path / "packed").stat().st_size
    twice = _compressed("u2", "rle", order=(0, 1, 1, 2, 3))
    codes = [f.code for f in _arranged(twice, tmp_path / "twice", RLELossless).findings]
    assert "DUPLICATE_SLICE" in codes
    twice.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence = _item(
        ImagePositionPatient=position(0)
    )
    codes = [f.code for f in _arranged(twice, tmp_path / "other", RLELossless).findings]
    assert "DUPLICATE_POSITION" in codes  # two different frames at one place


@pytest.mark.fault("F16")
@pytest.mark.parametrize(
    ("said", "damage"),
    [
        ("truncated", lambda data: data[: len(data) // 2]),
        ("5 frames but 4 fragments", lambda data: encapsulate(
            list(generate_frames(data, number_of_frames=5))[:4])),
        ("another tag", lambda data: b"\0" * 4 + data[4:]),
        ("end 1 times", lambda _: encapsulate([b"\0\0"] * 7, has_bot=False)),
        ("does not point", lambda _: _encapsulated([b"\0\0"] * 7, [0, 10, 21, 30, 40])),
    ],
)  # fmt: skip
def test_damaged_fragments_are_named_and_never_a_wrong_volume(tmp_path, said, damage):
    ds = _compressed("u2", "rle")
    path = save(ds, tmp_path / "packed", RLELossless)
    content = path.read_bytes()
    place = read_header(str(path)).pixel_offset
    end = b"" if said == "truncated" else b"\xfe\xff\xdd\xe0\0\0\0\0"
    path.write_bytes(content[:place] + damage(content[place:]) + end)
    arranged = arrange([read_header(str(path))], "case", SCREEN)
    (finding,) = arranged.findings
    assert (finding.code, arranged.geometry) == ("FILE_UNREADABLE", None)
    assert said in finding.message


def test_a_real_object_compressed_is_the_same_volume(shared_data, tmp_path):
    (source,) = sorted((shared_data / "formats" / "philips_enhanced").glob("*.dcm"))[:1]
    plain = arrange([read_header(str(source))], "case", SCREEN)
    ds = pydicom.dcmread(source)
    ds.compress(RLELossless, generate_instance_uid=False)
    ds.save_as(tmp_path / "packed")
    packed = arrange([read_header(str(tmp_path / "packed"))], "case", SCREEN)
    assert (packed.geometry, packed.findings) == (plain.geometry, plain.findings)
    assert np.array_equal(
        read_series(packed.headers).volume.array, read_series(plain.headers).volume.array
    )


@pytest.mark.fault("F16", "F20")
@pytest.mark.parametrize(
    ("group", "keyword", "value"),
    [
        ("PlaneOrientationSequence", "ImageOrientationPatient", [1, 0, 0, 0, 1]),
        ("PixelMeasuresSequence", "PixelSpacing", [1, 1, 1]),
        ("PixelMeasuresSequence", "PixelSpacing", 1),
    ],
)
def test_groups_with_too_many_or_too_few_numbers_are_named(tmp_path, group, keyword, value):
    ds = _enhanced()
    setattr(ds.SharedFunctionalGroupsSequence[0][group][0], keyword, value)
    header = read_header(str(save(ds, tmp_path / "x.dcm")))
    with pytest.raises(ReadError, match=f"{keyword} does not hold the numbers it should"):
        frames_of(header)
