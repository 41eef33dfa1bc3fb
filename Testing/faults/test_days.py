"""Days since a patient's first study: all that is ever kept of dates, and only if asked for."""

from __future__ import annotations

import json

import h5py
import pytest
from dicom_files import save, slice_dataset

from MedPrepLib.identity import SiteKey
from MedPrepLib.pipeline import order_of, run
from MedPrepLib.shareable import days_since_first

KEY = SiteKey(bytes(range(32)))
STUDY = """
name = "days"
[[sources]]
kind = "dicom"
path = "raw"
center = "C1"
[labels.organ]
value = 1
[split]
test_fraction = 0
[screen.severity]
NO_READING = "note"
"""
DATES = {"1": ("0007", "20231229"), "2": ("0007", "20240301"), "3": ("0007", "20240301"),
         "4": ("0008", "20200101"), "5": ("0008", "20201399"), "6": ("0009", "")}  # fmt: skip


def write(folder, dates, *, kept):
    for number, (patient, day) in dates.items():
        for k in range(4):
            ds = slice_dataset(k)
            ds.PatientID, ds.StudyDate = patient, day
            ds.SeriesInstanceUID, ds.StudyInstanceUID = f"1.2.3.{number}", f"1.2.4.{number}"
            ds.FrameOfReferenceUID = f"1.2.5.{number}"
            ds.SOPInstanceUID = f"1.2.3.{number}.{k}"
            ds.PixelData = (
                bytes(reversed(ds.PixelData[: int(number)])) + ds.PixelData[int(number) :]
            )
            save(ds, folder / "raw" / number / f"{k}.dcm")
    text = STUDY + ("[privacy]\nstudy_days = true\n" if kept else "")
    (folder / "study.toml").write_text(text)
    return folder / "study.toml"


def told(summary):
    days = {}
    for path in (summary.cohort / "cases").rglob("*.h5"):
        with h5py.File(path) as file:
            meta = json.loads(file.attrs["meta"])
        days.setdefault(meta["patient"], []).append(meta.get("days_since_first_study"))
    return sorted(sorted(map(str, of_one)) for of_one in days.values())


@pytest.mark.filterwarnings("ignore:Invalid value for VR DA")
@pytest.mark.fault("F47")
def test_days_are_kept_where_the_study_wants_them_and_no_date_ever(tmp_path):
    summary = run(order_of(write(tmp_path, DATES, kept=True), workers=1), key=KEY)
    assert len(summary.included) == 6
    assert told(summary) == [["0", "63", "63"], ["0", "None"], ["None"]]
    data = b"".join(p.read_bytes() for p in summary.cohort.rglob("*") if p.is_file())
    assert not any(day.encode() in data for _, day in DATES.values() if len(day) == 8)
    earlier = {**DATES, "7": ("0007", "20231222")}
    again = run(order_of(write(tmp_path, earlier, kept=True), workers=1), key=KEY)
    assert told(again) == [["0", "7", "70", "70"], ["0", "None"], ["None"]]


@pytest.mark.filterwarnings("ignore:Invalid value for VR DA")
@pytest.mark.fault("F47")
def test_no_days_are_kept_unless_the_study_wants_them(tmp_path):
    summary = run(order_of(write(tmp_path, DATES, kept=False), workers=1), key=KEY)
    assert told(summary) == [["None"], ["None", "None"], ["None", "None", "None"]]


def test_dates_that_are_none_make_no_days():
    odd = {"a": ("p", "2024.02.28"), "b": ("p", "20240301"), "c": ("p", "20240230"),
           "d": ("p", "yesterday"), "e": ("p", "-2024130"), "f": ("q", "20240301 ")}  # fmt: skip
    assert days_since_first(odd) == {"a": 0, "b": 2, "f": 0}
