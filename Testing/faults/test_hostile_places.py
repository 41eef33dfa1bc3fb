"""Files that are no files, links that lead in circles or out, folders that nobody may list."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import save, slice_dataset, write_series
from faults.somebody import nobody
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage
from scene.case_samples import KEY, write_study

from MedPrepLib.config import parse_study
from MedPrepLib.dicom.headers import read_header
from MedPrepLib.errors import ReadError
from MedPrepLib.findings import Severity
from MedPrepLib.formats.faults import FileFaultError
from MedPrepLib.formats.files import check_file, read_volume
from MedPrepLib.pipeline import order_of, run
from MedPrepLib.scan import scan

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and modes of POSIX")
TREE = 'name = "s"\n[[sources]]\nkind = "dicom"\npath = "raw"\n[labels.organ]\nvalue = 1\n'
FOLDERS = TREE.replace('"dicom"', '"folders"')


def scanned(base: Path, text: str = TREE):
    return scan(parse_study(text), base)


def codes(found):
    return {finding.code for finding in found.findings}


SECRET = 77


@pytest.fixture
def detached(tmp_path):
    """A folder with a header of detached data, and foreign bytes outside."""
    folder = tmp_path / "source"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes([SECRET]) * 27)
    image = sitk.GetImageFromArray(np.ones((3, 3, 3), np.uint8))
    sitk.WriteImage(image, str(folder / "a.nhdr"))
    sitk.WriteImage(image, str(folder / "a.mhd"))
    return folder


def pointed(folder: Path, suffix: str, name: str) -> Path:
    path = folder / f"a{suffix}"
    old = {".nhdr": "data file: a.raw", ".mhd": "ElementDataFile = a.raw"}[suffix]
    text = path.read_text()
    line = next(x for x in text.splitlines() if x.startswith(old.partition("a.raw")[0]))
    new = old.replace("a.raw", name)
    path.write_text(text.replace(line, new).replace("encoding: gzip", "encoding: raw"))
    return path


@pytest.mark.fault("F21")
@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../secret.raw", "..\\secret.raw", "LIST", "list", "a%03d.raw 1 3 1", "loop",
     "C:secret.raw", "\\\\host\\share\\secret.raw", "file:///etc/passwd", "https://x/y", "out",
     "~/secret.raw", "sub/../../secret.raw", "", ".", "a\0b", "x" * 300],
)  # fmt: skip
def test_data_outside_the_folder_are_never_read(detached, suffix, name):
    (detached / "out").symlink_to(detached.parent / "secret.raw")
    (detached / "loop").symlink_to(detached / "pool")
    (detached / "pool").symlink_to(detached / "loop")
    path = pointed(detached, suffix, name)
    assert any(f.severity == Severity.REJECT for f in check_file(path, "c", detached))
    with pytest.raises(FileFaultError):
        read_volume(path)


@pytest.mark.fault("F23")
def test_a_dicomdir_is_not_followed_wherever_it_points(tmp_path):
    (outside,) = write_series(tmp_path / "outside", 1)
    write_series(tmp_path / "raw" / "ct", 3)
    record = Dataset()
    record.DirectoryRecordType = "IMAGE"
    place = ["..", "outside", Path(outside).name]
    record[0x00041500] = DataElement(0x00041500, "CS", place, validation_mode=IGNORE)
    record.ReferencedSOPInstanceUIDInFile = "1.2.3"
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = MediaStorageDirectoryStorage, "1.2.3.9"
    ds.DirectoryRecordSequence = [record]
    for name in ("DICOMDIR", "renamed"):
        ds.file_meta = FileMetaDataset()
        save(ds, tmp_path / "raw" / name, ExplicitVRLittleEndian)
    found = scanned(tmp_path)
    (candidate,) = found.candidates
    assert all(Path(p).parent.name == "ct" for p in candidate.case.paths)
    assert len(candidate.case.image.paths) == 3


@pytest.mark.fault("F25")
def test_pipes_sockets_devices_and_sparse_files_are_passed_over_or_refused_at_once(tmp_path):
    write_series(tmp_path / "raw" / "ct", 3)
    odd = tmp_path / "raw" / "odd"
    odd.mkdir()
    os.mkfifo(odd / "pipe.dcm")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.relpath(odd / "socket.dcm"))
    listener.close()
    if os.geteuid() == 0:
        os.mknod(odd / "zero.dcm", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    with (odd / "sparse.dcm").open("wb") as file:
        file.write(bytes(128) + b"DICM")
        file.truncate(1 << 40)
    found = scanned(tmp_path)
    assert len(found.candidates) == 1
    assert len(found.candidates[0].case.image.paths) == 3
    for name in ("pipe.dcm", "socket.dcm", "sparse.dcm"):
        with pytest.raises(ReadError):
            read_header(str(odd / name))
    for name in ("pipe.nii", "device.nrrd", "folder.mha"):
        path = odd / name
        if name == "pipe.nii":
            os.mkfifo(path)
        elif name == "device.nrrd":
            path.symlink_to("/dev/zero")
        else:
            path.mkdir()
        with pytest.raises(FileFaultError, match="pipe or device"):
            read_volume(path)


@pytest.mark.fault("F26")
def test_loops_of_links_and_links_to_folders_above_end(tmp_path):
    write_series(tmp_path / "raw" / "ct", 3)
    here = tmp_path / "raw" / "ct"
    (here / "up").symlink_to(tmp_path / "raw", target_is_directory=True)
    (here / "self").symlink_to(here / "self")
    (here / "copy.dcm").symlink_to(here / "f001")
    os.link(here / "f001", here / "hard.dcm")
    found = scanned(tmp_path)
    (candidate,) = found.candidates
    assert len(candidate.case.image.paths) == 3
    assert "DUPLICATE_SLICE" in {f.code for f in candidate.findings}
    for suffix in (".nii", ".nrrd"):
        loop = tmp_path / f"loop{suffix}"
        loop.symlink_to(loop)
        assert check_file(loop, "c", tmp_path)[0].severity == Severity.REJECT


@pytest.mark.fault("F26")
@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100])
def test_a_folder_that_cannot_be_listed_is_said_and_the_others_go_on(tmp_path, mode):
    write_series(tmp_path / "raw" / "ct", 3)
    closed = tmp_path / "raw" / "closed"
    write_series(closed, 3)
    closed.chmod(mode)
    with nobody(tmp_path):
        found = scanned(tmp_path)
    closed.chmod(0o700)
    assert len(found.candidates) == 1
    (said,) = (f for f in found.findings if f.code == "FOLDER_UNREADABLE")
    assert said.message == "1 folder cannot be listed: Permission denied"
    assert "closed" not in said.message


@pytest.mark.fault("F26")
@pytest.mark.parametrize(
    "where", ["north", "north/p1", "north/p1/c1", "north/p1/c1/masks", "north/p1/c1/masks/ben"]
)
def test_no_level_of_the_folder_convention_is_passed_over_in_silence(tmp_path, where):
    write_study(tmp_path)
    (tmp_path / "raw/north/p1/c1/masks/ben").mkdir()
    (tmp_path / "raw" / where).chmod(0)
    with nobody(tmp_path):
        found = scanned(tmp_path, FOLDERS)
    (tmp_path / "raw" / where).chmod(0o700)
    assert "FOLDER_UNREADABLE" in codes(found).union(*map(codes, found.candidates))


@pytest.mark.fault("F24")
@pytest.mark.parametrize("start", [b"MZ\x90\0", b"\x7fELF", b"<html><script>", b"#!/bin/sh\n"])
def test_a_preamble_that_is_a_program_is_noted_and_copied_nowhere(tmp_path, start):
    canary = b"CANARY-IN-THE-PREAMBLE"
    for path in write_series(tmp_path / "raw" / "ct", 5):
        data = Path(path).read_bytes()
        Path(path).write_bytes((start + canary).ljust(128, b"\0") + data[128:])
    (tmp_path / "study.toml").write_text(
        TREE + '[screen]\nmin_slices = 2\n[screen.severity]\nNO_READING = "note"\n'
    )
    assert "PREAMBLE_PROGRAM" in codes(scanned(tmp_path))
    result = run(order_of(tmp_path / "study.toml", workers=1), key=KEY)
    assert result.included
    for folder in ("cohort", "cohort-private"):
        for path in (tmp_path / folder).rglob("*"):
            assert not path.is_file() or canary not in path.read_bytes(), path


@pytest.mark.fault("F24")
def test_an_empty_preamble_or_one_of_tiff_is_no_word_worth(tmp_path):
    for start in (b"", b"II*\0\x10\0\0\0"):
        path = save(slice_dataset(0), tmp_path / "raw" / "f")
        path.write_bytes(start.ljust(128, b"\0") + path.read_bytes()[128:])
        assert "PREAMBLE_PROGRAM" not in codes(scanned(tmp_path))
