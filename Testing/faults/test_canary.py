"""The canary: every attribute, name and comment of the sources sings; nothing written may."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import os
import re
import subprocess
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import commands
import h5py
import numpy as np
import pytest
from dicom_files import save, slice_dataset
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.sample.niftifile import write_nifti

REPOSITORY = Path(__file__).resolve().parents[2]
WORD = "KANARIENVOGEL"
DATE = "19310713"
TIME = "231759.918273"
UID = "2.25.918273645546372819"
NUMBER = "7182.81828"
SONGS = (WORD, WORD.lower(), WORD[::-1], DATE, "1931-07-13", "1931.07.13", UID[5:], NUMBER, TIME)

TEXTS = {"LO": 64, "LT": 200, "PN": 64, "SH": 16, "ST": 200, "UC": 200, "UT": 200}
STRUCTURE = frozenset(
    [
        "SpecificCharacterSet",
        "ImageType",
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
        "Modality",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "NumberOfFrames",
        "PhotometricInterpretation",
        "RescaleSlope",
        "RescaleIntercept",
        "RescaleType",
        "BurnedInAnnotation",
        "InstanceNumber",
        "AcquisitionNumber",
        "KVP",
        "SliceThickness",
        "RepetitionTime",
        "EchoTime",
        "MagneticFieldStrength",
        "PatientSex",
        "PatientAge",
        "PixelDataProviderURL",
        "LossyImageCompression",
        "FrameIncrementPointer",
        "TemporalPositionIdentifier",
        "TriggerTime",
        "EchoNumbers",
        "ImagesInAcquisition",
        "DiffusionBValue",
    ]
)
"""What makes a series a volume, or is on the allow-list as a number."""

STUDY = """
name = "aviary"
reviews = "reviews-{word}"
[[sources]]
kind = "dicom"
path = "{raw}"
center = "c1"
masks = "{masks}"
[[sources]]
kind = "folders"
path = "{files}"
modality = "MR"
[labels.organ]
value = 1
[split]
test_fraction = 0
"""


def song(vr: str, number: int) -> str | None:
    """A value of this representation that sings; None for what is no text."""
    if vr == "PN":
        return f"{WORD}^Max{number}"
    if vr in TEXTS:
        return f"{WORD}{number}"[: TEXTS[vr]]
    return {
        "CS": WORD,
        "AE": WORD,
        "UR": f"http://{WORD}/",
        "DA": DATE,
        "TM": TIME,
        "DT": DATE + TIME,
        "UI": UID,
        "AS": "093Y",
        "DS": NUMBER,
        "IS": "91827364",
    }.get(vr)


def attributes() -> list[tuple[int, str, str]]:
    """Every attribute of the standard's dictionary that can hold a text, date, UID or number."""
    found = []
    for tag, (names, _, _, _, keyword) in DicomDictionary.items():
        vr = names.split(" or ")[0]
        group = tag >> 16
        if group in (0x0000, 0x0002, 0x0004, 0x0006, 0x7FE0) or keyword in STRUCTURE:
            continue
        if group in (0x0028, 0x5400) and vr in ("DS", "IS"):
            continue
        value = song(vr, tag & 0xFFF)
        if value is not None:
            found.append((tag, vr, value))
    return found


def singing(k: int, case: int, singers: list[DataElement]) -> Dataset:
    """A slice of a CT in which everything sings."""
    ds = slice_dataset(k, series=f"1.2.{100 + case}")
    for element in singers:
        ds.add(copy.copy(element))
    ds.PatientID, ds.ManufacturerModelName = f"{WORD}{case}", f"{WORD} {case}"
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = f"{UID}.{case}", f"{UID}.{case}.9"
    ds.SeriesInstanceUID, ds.SOPInstanceUID = f"{UID}.{case}.1", f"{UID}.{case}.1.{k}"
    ds.ImageType = ["ORIGINAL", "PRIMARY", WORD]
    nested = Dataset()
    nested.PatientName, nested.ContentDate = f"{WORD}^Nested", DATE
    nested.RequestAttributesSequence = Sequence([Dataset()])
    nested.RequestAttributesSequence[0].RequestedProcedureDescription = WORD
    ds.RequestAttributesSequence = Sequence([nested])
    block = ds.private_block(0x0029, f"{WORD} PRIVATE", create=True)
    block.add_new(0x01, "LO", WORD)
    block.add_new(0x02, "UN", WORD.encode() + b"\0")
    overlay = (WORD * 10).encode()[:96]
    ds.add_new(0x60000010, "US", 12)
    ds.add_new(0x60000011, "US", 16)
    ds.add_new(0x60000022, "LO", WORD)
    ds.add_new(0x60000050, "SS", [1, 1])
    ds.add_new(0x60000100, "US", 1)
    ds.add_new(0x60000102, "US", 0)
    ds.add_new(0x60003000, "OB", overlay)
    return ds


def grid(ds: Dataset, slices: int) -> Geometry:
    first = np.array([float(x) for x in ds.ImagePositionPatient])
    turn = np.array([float(x) for x in ds.ImageOrientationPatient]).reshape(2, 3)
    normal = np.cross(*turn)
    direction = np.column_stack([turn[0], turn[1], normal])
    return Geometry((16, 12, slices), (0.7, 0.5, 2.0), tuple(first), tuple(direction.ravel()))


def write_dicom(raw: Path, masks: Path) -> None:
    """Six series: three sound, one with a gap, one truncated, one whose dates are names."""
    singers = [DataElement(*attribute) for attribute in attributes()]
    assert len(singers) > 1500
    for case in range(6):
        folder = raw / f"{WORD}_{case}" / f"{WORD} Max {DATE}"
        folder.mkdir(parents=True)
        slices = [k for k in range(8) if not (case == 3 and k == 4)]
        for k in slices:
            ds = singing(k, case, singers)
            if case == 1:
                ds.Modality, ds.BodyPartExamined = WORD, f"{WORD} HEAD"
            if case == 2:
                ds.Manufacturer, ds.ContrastBolusAgent = f"Siemens {WORD}", WORD
            if case == 5:
                for keyword in ("StudyDate", "PatientBirthDate", "AcquisitionDate"):
                    ds[keyword] = DataElement(keyword, "LO", f"{WORD}^MAX 1931")
                ds["KVP"] = DataElement("KVP", "LO", f"{WORD} kV")
                ds["PatientAge"] = DataElement("PatientAge", "LO", WORD)
            path = save(ds, folder / f"{WORD}.{k}.dcm")
            if case == 4 and k == 3:
                path.write_bytes(path.read_bytes()[:-200])
        there = masks / f"{UID}.{case}.1"
        there.mkdir(parents=True)
        voxels = np.zeros((len(slices), 12, 16), np.uint8)
        voxels[2:5, 3:9, 4:12] = 1
        where = grid(slice_dataset(0), len(slices))
        write_nifti(there / "ana.nii.gz", Volume(voxels, where))
        if case % 2:
            (there / "ben.nii.gz").write_bytes(WORD.encode() * 40)
        else:
            write_nifti(there / "ben.nii.gz", Volume(voxels, where))
            sing_in_nifti(there / "ben.nii.gz")


def sing_in_nifti(path: Path) -> None:
    """descrip, aux_file, db_name, intent_name and the name in the gzip header."""
    data = bytearray(gzip.decompress(path.read_bytes()))
    for start, size in ((148, 80), (228, 24), (14, 18), (328, 16)):
        data[start : start + size] = WORD.encode().ljust(size, b"\0")[:size]
    with path.open("wb") as raw, gzip.GzipFile(f"{WORD}.nii", "wb", fileobj=raw) as file:
        file.write(bytes(data))


def write_files(files: Path) -> None:
    """NIfTI and NRRD images of patients whose folders sing; masks with unknown segments."""
    where = Geometry((14, 12, 10), (1.0, 1.0, 2.0))
    voxels = np.random.default_rng(3).integers(0, 900, where.shape).astype(np.int16)
    drawn = np.zeros(where.shape, np.uint8)
    drawn[2:8, 2:9, 3:11] = 1
    for case in range(4):
        here = files / "c2" / f"{WORD}^{case}" / f"{WORD}-{DATE}-{case}"
        (here / "masks").mkdir(parents=True)
        if case % 2:
            sung = f"NRRD0004\n# {WORD}\ntype: short\ndimension: 3\nsizes: 14 12 10\n"
            sung += "space: left-posterior-superior\nencoding: raw\nendian: little\n"
            sung += "space directions: (1,0,0) (0,1,0) (0,0,2)\nspace origin: (0,0,0)\n"
            sung += f"content: {WORD}\nPatientName:={WORD}\nacquired:={DATE}\n\n"
            tail = voxels.tobytes()[: -500 if case == 3 else None]
            (here / "image.nrrd").write_bytes(sung.encode() + tail)
        else:
            write_nifti(here / "image.nii.gz", Volume(voxels + case, where))
            sing_in_nifti(here / "image.nii.gz")
        write_nifti(here / "masks" / "ana.nii.gz", Volume(drawn, where))
        segment = f"Segment0_ID:={WORD}\nSegment0_Name:={WORD}\nSegment0_LabelValue:=7\n"
        segment += "Segment0_Layer:=0\nSegment0_Color:=1 0 0\n"
        head = "NRRD0004\ntype: unsigned char\ndimension: 3\nsizes: 14 12 10\n"
        head += "space: left-posterior-superior\nencoding: raw\n"
        head += "space directions: (1,0,0) (0,1,0) (0,0,2)\nspace origin: (0,0,0)\n"
        body = (head + segment + "\n").encode() + (drawn * 7).tobytes()
        (here / "masks" / "cyd.seg.nrrd").write_bytes(body)


def medprep(place: Path, *words: object) -> bytes:
    """Everything that the command says."""
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(place / "tmp")}
    env |= {"MEDPREP_KEY_FILE": str(place / "keys" / "site.key")}
    command = [sys.executable, "-m", "MedPrepLib", *map(str, words)]
    done = subprocess.run(command, capture_output=True, env=env, timeout=280, check=False)
    assert done.returncode in (0, 1), done.stderr.decode()
    return done.stdout + done.stderr


def asked(place: Path, *words: object) -> bytes:
    """The same of a command that reads no sources: without a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDPREP_KEY_FILE", str(place / "keys" / "site.key"))
        done = commands.medprep(*words)
    assert done.returncode in (0, 1), done.stderr
    return (done.stdout + done.stderr).encode()


def layers(data: bytes, path: Path) -> list[bytes]:
    """The bytes, and what is compressed or encoded in them."""
    found = [data]
    if data[:2] == b"\x1f\x8b":
        found.append(gzip.decompress(data))
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            file.visititems(lambda name, item: found.append(texts_of(name, item)))
            found.append(texts_of("", file))
    for match in re.finditer(rb"base64,([A-Za-z0-9+/=]{40,})", data):
        found += chunks(base64.b64decode(match[1]))
    return found + (chunks(data) if data[:8] == b"\x89PNG\r\n\x1a\n" else [])


def texts_of(name, item) -> bytes:
    said = [name, *(f"{key}={value}" for key, value in item.attrs.items())]
    data = item[()].tobytes() if isinstance(item, h5py.Dataset) else b""
    return "\n".join(said).encode() + data


def chunks(png: bytes) -> list[bytes]:
    """The texts of a PNG, and its inflated pixels."""
    found, at = [], 8
    while at + 8 <= len(png):
        size, kind = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + size]
        found.append(kind + body)
        if kind in (b"zTXt", b"iTXt", b"IDAT"):
            try:
                found.append(zlib.decompressobj().decompress(body))
            except zlib.error:
                found.append(b"")
        at += size + 12
    return found


def heard(data: bytes) -> set[str]:
    """The songs that stand in bytes, in either encoding."""
    folded = data.upper()
    return {
        word
        for word in SONGS
        for form in (word.upper().encode(), word.upper().encode("utf-16-le"))
        if form in folded
    }


def singers_in(folder: Path) -> dict[str, set[str]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        told = heard(str(path.relative_to(folder)).encode())
        if path.is_file():
            for layer in layers(path.read_bytes(), path):
                told |= heard(layer)
        if told:
            found[str(path.relative_to(folder))] = told
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The study, run; everything but the private folder is what others may see."""
    place = tmp_path_factory.mktemp("aviary")
    raw, masks, files = (place / f"{kind}-{WORD}" for kind in ("raw", "masks", "files"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid on purpose
        write_dicom(raw, masks)
    write_files(files)
    (place / "tmp").mkdir()
    words = {"raw": raw, "masks": masks, "files": files, "word": WORD}
    text = f"# {WORD} {DATE}\n" + STUDY.format(**words)
    (place / "study.toml").write_text(text, encoding="utf-8")
    study = place / "study.toml"
    said = medprep(place, "run", study, "--workers", 2, "--fail-on", "never")
    said += medprep(place, "run", study, "--json")
    said += asked(place, "quarantine", study)
    for command in ("describe", "verify", "share-check"):
        said += asked(place, command, place / "cohort")
    for kind in ("nifti", "hdf5"):
        made = place / "exports" / ("one.h5" if kind == "hdf5" else kind)
        made.parent.mkdir(exist_ok=True)
        said += medprep(place, "export", place / "cohort", made, "--to", kind)
    (place / "scan.txt").write_bytes(medprep(place, "scan-phi", study, place / "exports"))
    (place / "said").mkdir()
    (place / "said" / "all.txt").write_bytes(said)
    return place


@pytest.mark.fault("F43")
@pytest.mark.fault("F44")
@pytest.mark.fault("F47")
def test_the_sources_sing(place):
    singing = [p for p in place.rglob("*") if p.is_file() and f"-{WORD}" in str(p)]
    loud = [p for p in singing if heard(b"".join(layers(p.read_bytes(), p)))]
    assert len(loud) > 50
    assert singers_in(place / "cohort-private"), "the private folder may name them, and does"


@pytest.mark.fault("F43")
@pytest.mark.fault("F44")
@pytest.mark.fault("F47")
@pytest.mark.parametrize("where", ["cohort", "exports", "tmp", "said"])
def test_nothing_that_leaves_the_site_sings(place, where):
    assert singers_in(place / where) == {}


@pytest.mark.fault("F43")
def test_half_of_the_cases_had_faults_that_were_told(place):
    manifest = json.loads((place / "cohort" / "manifest.json").read_bytes())
    told = [c for c in manifest["cases"] if c["findings"]] + manifest["excluded"]
    assert len(manifest["cases"]) >= 4
    assert len(manifest["excluded"]) >= 3
    codes = {code for c in manifest["excluded"] for code in c["codes"]}
    assert len(told) >= 5
    assert len(codes) >= 2


@pytest.mark.fault("F43")
def test_a_search_for_the_identities_of_the_sources_finds_none(place):
    told = (place / "scan.txt").read_text()
    assert re.search(r"\d{2,} identities of the sources .* none found", told), told


@pytest.mark.heavy
@pytest.mark.fault("F43")
def test_scenes_and_tables_made_of_the_sources_do_not_sing(place):
    pytest.importorskip("slicer", reason="needs slicer-core")
    script = REPOSITORY / "MedPrep" / "Scripts" / "medprep_batch.py"
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(place / "tmp")}
    env |= {"MEDPREP_KEY_FILE": str(place / "keys" / "site.key")}
    out = place / "batch"
    words = [place / "study.toml", "--out", out, "--scenes", "--fail-on", "never"]
    done = subprocess.run(
        [sys.executable, script, *map(str, words)],
        capture_output=True, env=env, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr.decode()
    scenes = sorted((out / "scenes").glob("*.mrb"))
    assert len(scenes) >= 4
    for scene in scenes:
        with zipfile.ZipFile(scene) as bundle:
            bundle.extractall(out / "unpacked" / scene.stem)
    assert heard(done.stdout + done.stderr) == set()
    assert singers_in(out) == {}
