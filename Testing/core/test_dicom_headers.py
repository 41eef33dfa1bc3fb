"""Headers: the fast walk tells the same as pydicom, and survives hostile files."""

from __future__ import annotations

import contextlib
import os
import resource
import struct
import warnings
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pydicom
import pytest
from dicom_files import save, set_pixels, slice_dataset
from header_witness import expected
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from MedPrepLib.dicom import headers as headers_module
from MedPrepLib.dicom.fields import FIELDS
from MedPrepLib.dicom.headers import NotDicomError, SliceHeader, is_dicom, read_header
from MedPrepLib.errors import ConfigError, ReadError

PREAMBLE = bytes(128) + b"DICM"


def _plain(path: Path, dataset: bytes, syntax: bytes = b"1.2.840.10008.1.2.1\0") -> str:
    """A file with minimal meta information around a hand-made data set."""
    element = b"\x02\x00\x10\x00UI" + struct.pack("<H", len(syntax)) + syntax
    group = b"\x02\x00\x00\x00UL\x04\x00" + struct.pack("<I", len(element))
    path.write_bytes(PREAMBLE + group + element + dataset)
    return str(path)


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    if vr in (b"SQ", b"OB", b"OW", b"UN", b"UT"):
        return head + b"\0\0" + struct.pack("<I", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def test_the_fast_walk_agrees_with_pydicom_on_every_field_of_every_real_file(
    shared_data, monkeypatch
):
    def no_fallback(*_):
        raise AssertionError("a plain file went to pydicom")

    compared = 0
    defaults = msgspec.structs.asdict(SliceHeader("", 0, 0))
    odd = shared_data / "broken" / "pydicom"
    for path in sorted(shared_data.rglob("*")):
        if not path.is_file() or not is_dicom(str(path)):
            continue
        if odd not in path.parents:
            monkeypatch.setattr("MedPrepLib.dicom.fallback.read_with_pydicom", no_fallback)
        header = read_header(str(path), ("PatientID", "StudyDescription", "Rows"))
        monkeypatch.undo()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = compared % 5 == 0 or odd in path.parents
            ds = pydicom.dcmread(path, force=True, stop_before_pixels=not whole)
            for field in FIELDS:
                if field.name in ("padding_value", "padding_limit", "b_value"):
                    continue
                wanted = expected(ds, field.keyword, defaults[field.name])
                found = getattr(header, field.name)
                assert found == wanted, (path.name, field.keyword)
            padding = ds.get("PixelPaddingValue")
        assert (header.padding_value is None) == (padding is None)
        if padding is not None:
            assert (header.padding_value - padding) % 65536 == 0
        assert header.transfer_syntax == str(
            ds.file_meta.get("TransferSyntaxUID", header.transfer_syntax)
        )
        if whole:
            _assert_pixels_at(header, ds)
        compared += 1
    assert compared > 900


def _assert_pixels_at(header: SliceHeader, ds: pydicom.FileDataset) -> None:
    if "PixelData" not in ds:
        assert header.pixel_offset == -1
        return
    if header.transfer_syntax == DeflatedExplicitVRLittleEndian:
        return
    with Path(header.path).open("rb") as file:
        file.seek(header.pixel_offset)
        if header.pixel_length >= 0:
            assert file.read(header.pixel_length) == ds.PixelData
        else:
            assert file.read(1000)[:900] == ds.PixelData[:900]


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian],
)
def test_every_encoding_of_a_slice_gives_the_same_header(tmp_path, syntax):
    ds = slice_dataset(3)
    ds.PixelPaddingValue = 0
    plain = read_header(str(save(ds, tmp_path / "plain")))
    other = read_header(str(save(ds, tmp_path / "other", syntax)))
    where = ("path", "size_bytes", "mtime_ns", "transfer_syntax", "pixel_offset")
    assert _without(other, where) == _without(plain, where)
    assert other.transfer_syntax == syntax
    assert plain.position is not None
    assert plain.rows == 12


def test_a_file_without_preamble_is_found_by_its_content(tmp_path):
    ds = slice_dataset(1)
    path = tmp_path / "no_preamble"
    pydicom.dcmwrite(path, ds, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert path.read_bytes()[:2] == b"\x08\x00"
    header = read_header(str(path))
    assert (header.rows, header.columns, header.instance_number) == (12, 16, 2)
    with path.open("rb") as file:
        file.seek(header.pixel_offset)
        assert file.read(header.pixel_length) == ds.PixelData


@pytest.mark.parametrize("content", [b"", b"DICM", b"hello " * 100, b"\x08\x00", bytes(300)])
def test_other_content_is_no_dicom_whatever_its_name(tmp_path, content):
    path = tmp_path / "image.dcm"
    path.write_bytes(content)
    assert not is_dicom(str(path))
    with pytest.raises(NotDicomError):
        read_header(str(path))


def test_sequences_of_undefined_length_and_long_private_values_are_skipped(tmp_path):
    ds = slice_dataset(0)
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "1.2"
    inner.Rows = 999  # must not be taken for the Rows of the image
    inner.is_undefined_length_sequence_item = True
    ds.ReferencedImageSequence = [inner, inner]
    ds["ReferencedImageSequence"].is_undefined_length = True
    ds.private_block(0x0009, "ACME", create=True).add_new(0x01, "OB", bytes(300_000))
    ds.private_block(0x0021, "ACME", create=True).add_new(0x01, "UN", b"x" * 70_001)
    header = read_header(str(save(ds, tmp_path / "f")))
    assert header.rows == 12
    assert header.bits_stored == 12
    content = Path(header.path).read_bytes()
    assert content[header.pixel_offset :][: header.pixel_length] == ds.PixelData


@pytest.mark.fault("F20")
@pytest.mark.parametrize("depth", [3, 100_000])
def test_nesting_of_any_depth_is_walked_without_recursion(tmp_path, depth):
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    sequence = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff"
    ends = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    nested = (sequence + item) * depth + ends * depth
    dataset = (
        _element(0x00080060, b"CS", b"CT")
        + _element(0x00280010, b"US", b"\x07\0")
        + nested
        + _element(0x7FE00010, b"OW", bytes(8))
    )
    header = read_header(_plain(tmp_path / "deep", dataset))
    assert (header.rows, header.pixel_length) == (7, 8)


@pytest.mark.fault("F20")
def test_nesting_that_never_closes_is_a_read_error_or_a_header_without_pixels(tmp_path):
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    sequence = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff"
    path = _plain(
        tmp_path / "open", _element(0x00080060, b"CS", b"CT") + (sequence + item) * 50_000
    )
    with contextlib.suppress(ReadError):
        assert read_header(path).pixel_offset == -1


@pytest.mark.fault("F17", "F20")
def test_a_length_beyond_the_file_asks_for_no_memory(tmp_path):
    monster = b"\x08\x00\x60\x00UN\0\0" + struct.pack("<I", 0xFFFFFFF0) + b"CT"
    path = _plain(tmp_path / "monster", monster)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(ReadError):
        assert read_header(path).pixel_offset == -1
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 300_000


@pytest.mark.fault("F16")
def test_a_header_cut_anywhere_never_ends_in_another_error(tmp_path):
    whole = save(slice_dataset(0), tmp_path / "whole").read_bytes()
    offset = read_header(str(tmp_path / "whole")).pixel_offset
    rng = np.random.default_rng(16)
    for cut in [*rng.integers(1, offset, 40).tolist(), offset - 1, offset]:
        path = tmp_path / "cut"
        path.write_bytes(whole[:cut])
        try:
            header = read_header(str(path))
        except ReadError:
            continue
        there = header.size_bytes - header.pixel_offset
        assert header.pixel_offset == -1 or there < header.frame_bytes or header.rows == 0


@pytest.mark.fault("F16")
def test_flipped_bytes_never_end_in_another_error(tmp_path):
    whole = bytearray(save(slice_dataset(0), tmp_path / "whole").read_bytes())
    offset = read_header(str(tmp_path / "whole")).pixel_offset
    rng = np.random.default_rng(20)
    for _ in range(150):
        mutant = bytearray(whole)
        for place in rng.integers(128, offset, 4):
            mutant[place] = rng.integers(256)
        path = tmp_path / "mutant"
        path.write_bytes(mutant)
        with contextlib.suppress(ReadError):
            msgspec.json.encode(read_header(str(path)))


@pytest.mark.fault("F19")
def test_a_deflate_bomb_is_inflated_only_to_the_limit(tmp_path):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = _element(0x00080060, b"CS", b"CT") + b"\x09\x00\x10\x00OB\0\0" + bytes(4)
    blob = compressor.compress(head) + compressor.flush(zlib.Z_FULL_FLUSH)
    megabyte = compressor.compress(bytes(2**20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    path = _plain(tmp_path / "bomb", blob + megabyte * 2000, b"1.2.840.10008.1.2.1.99\0\0")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(ReadError):
        assert read_header(path).pixel_offset == -1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


@pytest.mark.fault("F25")
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_or_a_folder_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "absent"):
        with pytest.raises(ReadError):
            read_header(str(path))


@pytest.mark.fault("F25")
def test_a_sparse_file_of_a_terabyte_is_left_quickly(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(2**40)
    assert not is_dicom(str(path))


def test_no_warning_and_no_log_line_quotes_a_value(tmp_path, capsys, caplog):
    ds = slice_dataset(0)
    path = save(ds, tmp_path / "f")
    content = path.read_bytes().replace(b"0042", b"CNRY")
    content = content.replace(b"DS\x04\x005.0 ", b"DS\x04\x00CNRY")
    for name, bytes_ in (("a", content), ("b", content[132:])):
        (tmp_path / name).write_bytes(bytes_)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            header = read_header(str(tmp_path / name))
        assert header.slice_thickness_mm is None
        assert caught == []
    captured = capsys.readouterr()
    assert "CNRY" not in captured.out + captured.err + caplog.text


def test_a_vital_value_that_is_no_number_is_named_and_not_replaced(tmp_path):
    path = save(slice_dataset(0), tmp_path / "f")
    content = path.read_bytes()
    place = content.index(b"(\x00R\x10DS") + 8  # (0028,1052) RescaleIntercept
    path.write_bytes(
        content[:place] + b"1,024 "[: content[place - 2]] + content[place + content[place - 2] :]
    )
    assert read_header(str(path)).unreadable == ("RescaleIntercept",)


@pytest.mark.fault("F32")
def test_text_in_another_character_set_is_decoded(tmp_path):
    ds = slice_dataset(0)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SeriesDescription = "Schädel axial"
    assert read_header(str(save(ds, tmp_path / "f"))).series_description == "Schädel axial"


def test_leading_zeros_of_a_patient_id_are_kept(tmp_path):
    assert read_header(str(save(slice_dataset(0), tmp_path / "f"))).patient_id == "0042"


def test_the_vendors_private_b_values_are_found(tmp_path):
    for vendor, group, element, vr, value in (
        ("SIEMENS", 0x0019, 0x0C, "IS", "800"),
        ("GE MEDICAL SYSTEMS", 0x0043, 0x39, "IS", ["1000000800", "8", "0", "0"]),
        ("Philips", 0x2001, 0x03, "FL", 800.0),
    ):
        ds = slice_dataset(0)
        ds.Manufacturer = vendor
        ds.private_block(group, "VENDOR", create=True).add_new(element, vr, value)
        assert read_header(str(save(ds, tmp_path / "f"))).b_value == 800


def test_key_attributes_count_as_present_only_with_a_value(tmp_path):
    ds = slice_dataset(0)
    ds.StudyDescription = ""
    path = str(save(ds, tmp_path / "f"))
    keys = ("PatientID", "StudyDescription", "StationName", "PixelSpacing")
    assert read_header(path, keys).present == ("PatientID", "PixelSpacing")
    with pytest.raises(ConfigError, match="NoSuchKeyword"):
        read_header(path, ("NoSuchKeyword",))


def test_headers_travel_as_json(tmp_path):
    header = read_header(str(save(slice_dataset(0), tmp_path / "f")))
    assert msgspec.json.decode(msgspec.json.encode(header), type=SliceHeader) == header


def test_the_pixels_of_a_big_image_are_not_read_for_its_header(tmp_path):
    ds = slice_dataset(0)
    ds.Rows = ds.Columns = 2048
    set_pixels(ds, np.zeros((2048, 2048), "u2"))
    path = str(save(ds, tmp_path / "f"))
    taken = []

    class Counting:
        def __init__(self, file):
            self._file = file

        def __getattr__(self, name):
            return getattr(self._file, name)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self._file.close()

        def read(self, size=-1):
            data = self._file.read(size)
            taken.append(len(data))
            return data

    real = headers_module.open_regular
    headers_module.open_regular = lambda p: Counting(real(p))
    try:
        read_header(path)
    finally:
        headers_module.open_regular = real
    assert sum(taken) <= 8192


def _without(header: SliceHeader, names: tuple[str, ...]) -> dict[str, object]:
    return {k: v for k, v in msgspec.structs.asdict(header).items() if k not in names}
