"""Headers read in a row: never a value of the file before, whatever is broken in between.

What equality with pydicom means here:
- The bytes of every wanted element are those that ``dcmread`` keeps, or both know none.
- A value counts with the representation that PS3.6 gives its tag, whatever two letters a damaged
  file has there; what pydicom then cannot convert, or what is not finite, is absent here.
- Where pydicom fails altogether, ``read_header`` says ReadError, or it has stepped over what
  pydicom fails in: the inside of a sequence, which holds nothing that is wanted.
- ReadError where pydicom does not fail means: no element that is wanted, a compressed data set
  that is damaged, or a transfer syntax that makes no sense.
"""

from __future__ import annotations

import functools
import io
import itertools
import os
import warnings
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pydicom
import pytest
from archive_files import default_models, write_archive
from dicom_files import save, slice_dataset, write_series
from header_witness import expected
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from MedPrepLib.dicom import neighbors
from MedPrepLib.dicom.fields import CHARACTER_SET, FIELDS, Field
from MedPrepLib.dicom.headers import SliceHeader, read_header, read_opened
from MedPrepLib.dicom.neighbors import HeaderParser
from MedPrepLib.dicom.part10 import START_BYTES
from MedPrepLib.dicom.quiet import quiet_pydicom
from MedPrepLib.dicom.rawheader import RawHeader, asked_for
from MedPrepLib.errors import ReadError

KEYS = ("PatientID", "StudyDescription", "StationName")
DEFAULTS = msgspec.structs.asdict(SliceHeader("", 0, 0))
Said = SliceHeader | tuple[type, str]


def said(read, path: Path | str) -> Said:
    """The header, or in what way there is none."""
    try:
        return read(str(path))
    except ReadError as error:
        return type(error), str(error)


def alone(path: Path | str) -> Said:
    return said(lambda p: read_header(p, KEYS), path)


# --- mutants ------------------------------------------------------------------------------

VRS = b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US OB OW SQ UN UT".split()
LENGTHS = (0, 1, 2, 7, 64, 255, 0x7FFF, 0xFFFF)


def flipped(content: bytearray, end: int, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 5)):
        content[rng.integers(132, end + 12)] ^= 1 << int(rng.integers(8))


def cut(content: bytearray, end: int, rng: np.random.Generator) -> None:
    del content[int(rng.integers(1, end + 12)) :]


def grown(content: bytearray, end: int, rng: np.random.Generator) -> None:
    place = int(rng.integers(132, end))
    content[place:place] = rng.bytes(int(rng.integers(1, 40)))


def shortened(content: bytearray, end: int, rng: np.random.Generator) -> None:
    place = int(rng.integers(132, end))
    del content[place : place + int(rng.integers(1, 40))]


def _at_a_vr(content: bytearray, end: int, rng: np.random.Generator) -> int:
    place = content.find(VRS[rng.integers(len(VRS))], int(rng.integers(132, end)))
    return place if place > 0 else end


def another_vr(content: bytearray, end: int, rng: np.random.Generator) -> None:
    place = _at_a_vr(content, end, rng)
    content[place : place + 2] = VRS[rng.integers(len(VRS))]


def another_length(content: bytearray, end: int, rng: np.random.Generator) -> None:
    place = _at_a_vr(content, end, rng) + 2
    content[place : place + 2] = int(rng.choice(LENGTHS)).to_bytes(2, "little")


def another_value(content: bytearray, end: int, rng: np.random.Generator) -> None:
    place = _at_a_vr(content, end, rng)
    length = int.from_bytes(content[place + 2 : place + 4], "little")
    if place < end and 0 < length < 64:
        for _ in range(3):
            content[place + 4 + int(rng.integers(length))] = int(rng.integers(32, 127))


def swapped(content: bytearray, end: int, rng: np.random.Generator) -> None:
    """Two pieces of the header change places."""
    a, b = sorted(rng.integers(132, end, 2).tolist())
    length = min(int(rng.integers(4, 60)), b - a)
    first, second = content[a : a + length], content[b : b + length]
    content[a : a + length], content[b : b + length] = second, first


MUTATIONS = (
    flipped, cut, grown, shortened, another_vr, another_length, another_value, swapped,
)  # fmt: skip


def mutants(series: list[list[bytes]], count: int, seed: int):
    """(A file of several series in turns, the same file damaged)."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        files = series[number // 8 % len(series) if rng.integers(2) else rng.integers(len(series))]
        whole = files[rng.integers(len(files))]
        content = bytearray(whole)
        end = max(content.rfind(b"\xe0\x7f\x10\x00", 0, 60_000), 200)
        MUTATIONS[number % len(MUTATIONS)](content, end, rng)
        yield whole, bytes(content)


def alone_with_raw(path: Path) -> tuple[Said, RawHeader | None]:
    """As ``alone``, and the undecoded elements."""
    try:
        with path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            return read_opened(str(path), file, status, file.read(START_BYTES), asked_for(KEYS))
    except ReadError as error:
        return (type(error), str(error)), None


def as_pydicom_says(content: bytes) -> tuple[dict[int, bytes], bool, bool]:
    """(bytes of the wanted elements, whether all were read, whether their meta can be read).

    Values longer than any we keep are left out, as is the character set, which pydicom converts.
    """
    wanted = asked_for(KEYS).wanted - {CHARACTER_SET}
    try:
        dataset = pydicom.dcmread(
            io.BytesIO(content), specific_tags=sorted(wanted), stop_before_pixels=True, force=True
        )
    except Exception:  # noqa: BLE001 - whatever it says: it cannot read the file
        return {}, False, False
    found = {}
    for tag in wanted:
        element = dataset.get_item(tag, keep_deferred=True)  # as it lies there, never converted
        if isinstance(element, RawDataElement) and element.value and element.length <= 65_536:
            found[tag] = element.value
    try:
        dataset.file_meta.get("TransferSyntaxUID")
    except Exception:  # noqa: BLE001
        return found, True, False
    return found, True, True


def value_differs(header: SliceHeader, values: dict[int, bytes]) -> list[str]:
    """Fields that pydicom makes something else of, from the same bytes and the tag's own VR."""
    return [
        field.keyword
        for field in FIELDS
        if field.name not in ("padding_value", "padding_limit", "b_value")
        and is_plain_text(values.get(field.tag, b"\0\0"))
        and getattr(header, field.name) != value_of(field, values[field.tag])
    ]


def is_plain_text(value: bytes) -> bool:
    return value.isascii() and b"\x1b" not in value and b"\0" not in value[:-1]


@functools.cache
def value_of(field: Field, value: bytes) -> object:
    vr = dictionary_VR(field.tag) if not field.tag >> 16 & 1 else "UN"
    dataset = Dataset()
    dataset[field.tag] = RawDataElement(Tag(field.tag), vr, len(value), value, 0, False, True)
    return expected(dataset, field.keyword, DEFAULTS[field.name])


def check(content: bytes, path: Path, parser: HeaderParser) -> tuple[str, list[str]]:
    """What came of one file, and what pydicom says otherwise; in a row it is the same as alone."""
    ours, raw = alone_with_raw(path)
    assert said(parser.read, path) == ours
    theirs, complete, has_meta = as_pydicom_says(content)
    if raw is None:
        return "refused", sorted(map(hex, theirs)) if complete and has_meta else []
    values = {t: v for t, v in raw.elements.values.items() if v and t != CHARACTER_SET}
    if not complete:
        return "only here", [] if raw.plain else ["read where pydicom fails"]
    wrong = [hex(t) for t in theirs.keys() | values.keys() if theirs.get(t) != values.get(t)]
    return "plain" if raw.plain else "odd", wrong + value_differs(ours, values)


class OneFile:
    """A file that is written again and again: much cheaper than as many files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def hold(self, content: bytes) -> Path:
        with self.path.open("r+b", buffering=0) as file:
            file.write(content)
            file.truncate()
        return self.path


@pytest.mark.fault("F16", "F20")
@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.heavy)])
def test_damaged_headers_among_whole_ones_are_read_as_pydicom_reads_them(
    tmp_path, count: int
) -> None:
    series = archived(tmp_path)
    file = OneFile(tmp_path / "file")
    parser = HeaderParser(KEYS)
    seen: Counter[str] = Counter()
    with quiet_pydicom():
        for content in itertools.chain(*series):
            assert check(content, file.hold(content), parser) == ("plain", [])
        for number, (whole, damaged) in enumerate(mutants(series, count, seed=count)):
            path = file.hold(whole)
            assert said(parser.read, path) == alone(path)
            what, wrong = check(damaged, file.hold(damaged), parser)
            seen[what] += 1
            assert not wrong, (number, what, wrong)
    assert sum(seen.values()) == count
    assert seen["plain"] > count // 4
    assert seen["odd"] > count // 8
    assert seen["refused"] > count // 20


def archived(folder: Path) -> list[list[bytes]]:
    """Files of ten series of several vendors, as bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_archive(folder / "archive", default_models(folder), 60, per_series=6)
    found: dict[str, list[bytes]] = {}
    for path in sorted((folder / "archive").rglob("*.dcm")):
        found.setdefault(path.parent.name, []).append(path.read_bytes())
    return list(found.values())


# --- what a header must not take over from the one before ----------------------------------


def agree_in_a_row(folder: Path, *edits) -> list[Said]:
    """Slices that differ by an edit each, read in a row and alone; every one also twice."""
    paths = []
    for k, edit in enumerate(edits):
        ds = slice_dataset(0)
        edit(ds)
        paths.append(save(ds, folder / f"f{k}"))
    parser = HeaderParser(KEYS)
    order = [p for path in paths for p in (path, path)] + paths[::-1] + paths
    in_a_row = [said(parser.read, path) for path in order]
    assert in_a_row == [alone(path) for path in order]
    return in_a_row[: 2 * len(paths) : 2]


def setting(**values):
    def edit(ds: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                del ds[keyword]
            else:
                setattr(ds, keyword, value)

    return edit


def test_a_text_is_decoded_in_its_own_character_set(tmp_path) -> None:
    def latin(ds: Dataset) -> None:
        ds.SpecificCharacterSet, ds.SeriesDescription = "ISO_IR 100", "\u00c3\u00a4"

    def utf8(ds: Dataset) -> None:
        ds.SpecificCharacterSet, ds.SeriesDescription = "ISO_IR 192", "\u00e4"

    first, second = agree_in_a_row(tmp_path, latin, utf8)
    assert (first.series_description, second.series_description) == ("\u00c3\u00a4", "\u00e4")


def test_absent_empty_and_unreadable_values_are_not_filled_in(tmp_path) -> None:
    agree_in_a_row(
        tmp_path,
        setting(),
        setting(InstanceNumber=""),
        setting(InstanceNumber=None),
        setting(ImagePositionPatient=None),
        setting(ImagePositionPatient=[1, 2]),
        setting(PatientID=""),
        setting(StudyDescription="late"),
        setting(Rows=99, Columns=1),
        setting(Manufacturer="SIEMENS"),
        setting(DiffusionBValue=800.0),
        setting(DiffusionBValue=50.0),
    )


def test_the_series_of_the_real_data_mixed_up_are_read_as_alone(shared_data) -> None:
    paths = sorted(path for path in (shared_data / "cohort").rglob("*") if path.is_file())
    paths += sorted((shared_data / "broken").rglob("*.dcm"))
    order = np.random.default_rng(3).permutation(len(paths)).tolist()
    known = [alone(path) for path in paths]
    for places in (range(len(paths)), order):
        parser = HeaderParser(KEYS)
        for place in places:
            assert said(parser.read, paths[place]) == known[place]


def test_a_series_is_parsed_once_and_then_recognized(tmp_path, monkeypatch) -> None:
    paths = write_series(tmp_path, 40)
    parsed = []

    def counting(path, *rest):
        parsed.append(path)
        return read_opened(path, *rest)

    monkeypatch.setattr(neighbors, "read_opened", counting)
    parser = HeaderParser(KEYS)
    assert [parser.read(path) for path in paths] == [alone(path) for path in paths]
    assert len(parsed) <= 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_became_a_pipe_or_a_link_since_it_was_listed_is_refused(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(save(slice_dataset(0), tmp_path / "f"))
    parser = HeaderParser()
    for name in ("pipe", "link", "absent"):
        with pytest.raises(ReadError):
            parser.read(str(tmp_path / name))


@pytest.mark.fault("F24")
def test_a_preamble_that_is_a_program_changes_nothing(tmp_path) -> None:
    path = save(slice_dataset(0), tmp_path / "f")
    before = msgspec.structs.replace(read_header(str(path)), mtime_ns=0)
    path.write_bytes(b"MZ\x90\0".ljust(128, b"\x7f") + path.read_bytes()[128:])
    header = read_header(str(path))
    assert header.program
    assert msgspec.structs.replace(header, mtime_ns=0, program=False) == before
