"""Names in pixels: feared by what headers say, never searched for; overlays are not read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series
from pydicom.uid import SecondaryCaptureImageStorage

from MedPrepLib.cohort import Case, ImageSource
from MedPrepLib.config import parse_study
from MedPrepLib.config.settings import Screen
from MedPrepLib.dicom.facts import scan_facts
from MedPrepLib.dicom.headers import read_header
from MedPrepLib.dicom.series import arrange, describe_objects, group_series
from MedPrepLib.findings import Severity
from MedPrepLib.geometry import Geometry
from MedPrepLib.identity import SiteKey
from MedPrepLib.load import open_cohort
from MedPrepLib.pipeline import Order, Summary, run
from MedPrepLib.screen import screen

STUDY = """
name = "pixels"
[[sources]]
kind = "folders"
path = "raw"
[labels.lesion]
value = 1
[privacy]
case_names = "given"
[split]
test_fraction = 0
[screen.severity]
NO_READING = "note"
"""
WRITING = ("US", "XA", "RF", "CR", "DX", "OT", "ES", "IVUS")


def finished(folder: Path) -> Summary:
    order = Order(parse_study(STUDY), STUDY, folder, folder / "cohort", workers=1)
    return run(order, key=SiteKey(bytes(32)))


def risk_of(folder: Path, modality: str, kinds: list[str], burned_in: str | None) -> bool:
    """What scan and screening together say of a series with such headers."""

    def edit(ds, _):
        ds.Modality, ds.ImageType = modality, kinds
        if burned_in is not None:
            ds.BurnedInAnnotation = burned_in

    headers = [read_header(path) for path in write_series(folder, 3, edit)]
    facts, patient, _ = scan_facts(headers)
    source = ImageSource("dicom", tuple(h.path for h in headers))
    case = Case("case", patient, facts, source)
    found = arrange(headers, "case", Screen()).findings
    found += screen(case, Geometry((16, 12, 3), (0.7, 0.5, 2.0)), Screen())
    risks = [f for f in found if f.code == "BURNED_IN_RISK"]
    assert all(f.severity == Severity.REJECT for f in risks)
    return bool(risks)


@pytest.mark.fault("F45")
@pytest.mark.parametrize("modality", ["CT", "MR", "PT", *WRITING])
def test_the_header_decides_by_modality_image_type_and_its_own_word(tmp_path, modality) -> None:
    kinds = {
        "original": (["ORIGINAL", "PRIMARY", "AXIAL"], False),
        "reformatted": (["DERIVED", "SECONDARY", "MPR"], False),
        "screenshot": (["DERIVED", "SECONDARY", "SCREEN SAVE"], True),
        "dose page": (["DERIVED", "SECONDARY", "OTHER", "DOSE_INFO"], True),
    }
    for name, (image_type, writes) in kinds.items():
        feared = writes or modality in WRITING
        for word, expected in ((None, feared), ("", feared), ("YES", True), ("NO", False)):
            folder = tmp_path / f"{name}-{word}"
            assert risk_of(folder, modality, image_type, word) is expected, (name, word)


@pytest.mark.fault("F45")
def test_one_slice_that_admits_text_is_enough(tmp_path) -> None:
    def edit(ds, k):
        ds.BurnedInAnnotation = "YES" if k == 1 else "NO"

    headers = [read_header(path) for path in write_series(tmp_path, 5, edit)]
    assert scan_facts(headers)[0].burned_in == "YES"


@pytest.mark.fault("F45")
def test_secondary_captures_never_become_cases(tmp_path) -> None:
    def capture(ds, _):
        ds.SOPClassUID = SecondaryCaptureImageStorage

    headers = [read_header(path) for path in write_series(tmp_path, 3, capture)]
    (group,) = group_series(headers)
    assert group.kind == "other"
    found = describe_objects([group], "case")
    assert {f.code for f in found} == {"NOT_AN_IMAGE", "BURNED_IN_RISK"}


@pytest.mark.fault("F45")
def test_overlays_and_their_texts_are_dropped(tmp_path) -> None:
    """An overlay plane of its own (60xx,3000), and one in the bits above BitsStored."""

    def plain(ds, _):
        ds.StudyDescription = "CT"

    def overlaid(ds, k):
        plain(ds, k)
        ds.add_new(0x60000010, "US", ds.Rows)
        ds.add_new(0x60000011, "US", ds.Columns)
        ds.add_new(0x60000022, "LO", "CANARY OVERLAY")
        ds.add_new(0x60001500, "LO", "CANARY LABEL")
        ds.add_new(0x60003000, "OW", b"CANARY" * 4)
        stored = np.frombuffer(ds.PixelData, np.uint16) | (k % 2) << 15
        ds.PixelData = stored.astype(np.uint16).tobytes()

    for name, edit in (("c1", plain), ("c2", overlaid)):
        write_series(tmp_path / "raw" / "north" / "p1" / name / "image", 6, edit)
    summary = finished(tmp_path)
    assert len(summary.included) == 2
    cohort = open_cohort(tmp_path / "cohort")
    one, other = cohort.read("north_p1_c1").image, cohort.read("north_p1_c2").image
    assert np.array_equal(one, other)
    for path in (tmp_path / "cohort").rglob("*"):
        assert not path.is_file() or b"CANARY" not in path.read_bytes()
