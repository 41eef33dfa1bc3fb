"""Markup, formulas, control characters and odd encodings in every text that a source can set."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pydicom
import pytest
from dicom_files import save, slice_dataset
from faults.hostile_files import rtstruct
from scene.case_samples import write_study

from MedPrepLib.dicom.headers import read_header
from MedPrepLib.manifest import read_manifest
from MedPrepLib.review import Review, ReviewStore
from MedPrepLib.review.readmissions import Entry, append_entry

REPOSITORY = Path(__file__).resolve().parents[2]
TAG = "<img src=x onerror=alert(1)>"
ATTACK = f"=cmd|'A1'{TAG}\x1b]0;owned\x07\x9b31m\u202eevil"
"""A formula, an element, a title for the terminal, a color, and a turn of the direction."""
NAMED = ATTACK.replace("/", "")
HARMLESS = {"\n", "\r", "\t"}


class Elements(HTMLParser):
    """Every start tag with its attributes, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def steering(text: str) -> set[str]:
    """Characters that steer a terminal, or turn what is read."""
    return {c for c in text if c not in HARMLESS and unicodedata.category(c) in {"Cc", "Cf", "Cs"}}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A study with the attack wherever a person can write something, run by the command."""
    base = tmp_path_factory.mktemp("attacked")
    write_study(base)
    north = base / "raw" / "north"
    masks = north / "p1" / "c1" / "masks"
    (masks / "ana.nii.gz").rename(masks / f"{NAMED}.nii.gz")
    rtstruct(masks / f"-{NAMED}.dcm")
    (north / "p1" / "c1").rename(north / "p1" / NAMED)
    (north / "p1").rename(north / f"@{NAMED}")
    north.rename(base / "raw" / f"+{NAMED}")
    ct = base / "ct"
    for k in range(4):
        ds = slice_dataset(k)
        ds.SpecificCharacterSet = "ISO_IR 192"
        for keyword in ("PatientID", "SeriesDescription", "StudyDescription", "Manufacturer",
                        "ManufacturerModelName", "InstitutionName"):  # fmt: skip
            element = pydicom.DataElement(
                keyword, "LO", ATTACK.replace("\\", ""), validation_mode=pydicom.config.IGNORE
            )
            ds[keyword] = element
        save(ds, ct / f"{k}")
    text = (base / "study.toml").read_text().replace('"scene"', json.dumps(f"={TAG}"))
    text += f'[[sources]]\nkind = "dicom"\npath = "ct"\ncenter = {json.dumps(f"={TAG}")}\n'
    text += f"[labels.{json.dumps(f'={TAG}')}]\nvalue = 9\n"
    text += '[privacy]\ncase_names = "given"\n[screen]\nmin_slices = 2\n'
    text += '[screen.severity]\nNO_READING = "note"\n'
    (base / "study.toml").write_text(text, encoding="utf-8")
    manifest = read_manifest(_run(base)[1])
    (case,) = {case.id for case in manifest.cases if case.id.startswith("x")} or {"c1"}
    ReviewStore(base / "reviews").save(
        Review(case, f"={TAG}", comment=ATTACK.replace("\x9b", ""), verdict="flagged")
    )
    append_entry(base / "readmitted.toml", Entry(case, "SLICE_GAP", f"={TAG}", note=f"={TAG}"))
    return _run(base)


def _run(base: Path) -> tuple[subprocess.CompletedProcess, Path]:
    key = base / "site.key"
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "MEDPREP_KEY_FILE": str(key),
           "PYTHONIOENCODING": "utf-8"}  # fmt: skip
    command = [sys.executable, "-m", "MedPrepLib", "run", str(base / "study.toml"),
               "--workers", "1", "--progress", "json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, env=env, timeout=250, check=False)
    assert done.returncode in {0, 1}, done.stderr[-3000:]
    return done, base / "cohort"


@pytest.mark.fault("F28")
def test_the_report_holds_no_element_that_a_source_planted(ran):
    report = ran[1] / "report"
    pages, shown = list(ran[1].rglob("*.html")), []
    pictures = {path for path in report.rglob("*") if path.suffix != ".html"}
    assert len(pages) > 1
    for page in pages:
        found = Elements()
        found.feed(page.read_text("utf-8"))
        for tag, attributes in found.tags:
            assert not any(name.startswith("on") for name in attributes), (tag, attributes)
            source = attributes["src"] or "" if tag == "img" else "data:"
            assert source.startswith("data:") or page.parent / source in pictures, attributes
        shown.append(TAG in "".join(found.text))
        assert steering(page.read_text("utf-8")) == set()
    assert any(shown), "the attack is shown as the text it is"
    assert shown[pages.index(report / "index.html")]


@pytest.mark.fault("F30")
def test_no_cell_of_a_table_is_a_formula(ran):
    tables = list(ran[1].rglob("*.csv"))
    assert tables
    cells = [cell for path in tables for row in csv.reader(path.read_text("utf-8").splitlines())
             for cell in row]  # fmt: skip
    assert any(TAG in cell for cell in cells), "the attack reached a table"
    for cell in cells:
        if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}:
            float(cell)
        assert steering(cell) == set()


@pytest.mark.fault("F31")
def test_nothing_that_is_printed_steers_the_terminal(ran):
    for stream in (ran[0].stdout, ran[0].stderr):
        text = re.sub(r"\x1b\[[0-9;]*m", "", stream.decode("utf-8"))
        assert steering(text) == set()
    records = [line for line in ran[0].stderr.decode().splitlines() if line.startswith("{")]
    records += [line for line in ran[0].stdout.decode().splitlines() if line.startswith("{")]
    for line in records:
        json.loads(line)


@pytest.mark.fault("F31")
def test_no_text_of_the_cohort_steers_a_terminal_when_it_is_shown(ran):
    for path in ran[1].rglob("*"):
        if path.suffix in {".json", ".csv", ".html", ".toml"}:
            assert steering(path.read_text("utf-8")) == set(), path


# --- character sets -------------------------------------------------------------------------
CHARSETS = ("", "ISO_IR 100", "ISO_IR 192", "GB18030", "GBK", "ISO 2022 IR 87", "ISO_IR 999",
            "\\ISO 2022 IR 149", "ISO 2022 IR 13\\ISO 2022 IR 87", "latin1", "utf8", "\\\\\\",
            "ISO_IR 192\\ISO 2022 IR 87", "\x1b$B", "..", "rot13", "idna", "punycode",
            "unicode_escape", "zlib_codec", "ISO_2022_IR_6")  # fmt: skip
BYTES = (
    b"M\xfcller",
    b"\xff\xfe\x00",
    b"\x1b$B;3ED\x1b(B",
    b"\x1b",
    b"\x1b$",
    b"\xed\xa0\x80",
    b"\xce\xf7\xce\xf7",
    b"\x1b$)C\xb1\xe8",
    b"\x81\x30\x81",
    b"=C4=B1",
    b"\x8e\xff",
)


@pytest.mark.fault("F32")
@pytest.mark.parametrize("charset", CHARSETS)
def test_a_wrong_or_missing_character_set_never_raises(tmp_path, charset):
    ds = slice_dataset(0)
    ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword in ("PatientID", "StudyDescription"):
        setattr(ds, keyword, "QQQQQQQQQQQQQQQQ")
    utf_8 = "ISO_IR 192"
    content = save(ds, tmp_path / "a").read_bytes()
    for number, value in enumerate(BYTES):
        changed = content.replace(b"Q" * 16, value.ljust(16)[:16])
        old = b"CS\x0a\0" + utf_8.encode()
        new = charset.encode("latin1") + b" " * (len(charset) % 2)
        assert changed.count(old) == 1
        changed = changed.replace(old, b"CS" + len(new).to_bytes(2, "little") + new)
        path = tmp_path / f"{number}"
        path.write_bytes(changed)
        header = read_header(str(path))
        header.patient_id.encode()  # no halves of surrogate pairs
        assert header.rows == ds.Rows


@pytest.mark.fault("F32")
def test_the_character_set_files_of_pydicom_are_read(tmp_path):
    from pydicom.data import get_charset_files

    files = get_charset_files("*.dcm")
    if not files:
        pytest.skip("pydicom was installed without its character set files")
    for path in files:
        read_header(str(path), ("PatientName",))
