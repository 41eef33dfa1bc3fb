"""Whatever counts patients, cases and labels of a cohort counts the same."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from core import issued_series
from core.drawn_readings import draw_box, draw_mask, finished, image
from core.small_studies import KEY

from MedPrepLib.config import parse_study
from MedPrepLib.describe import describe
from MedPrepLib.leakaudit import listed
from MedPrepLib.load import open_cohort
from MedPrepLib.manifest import read_manifest
from MedPrepLib.pipeline import Order, Summary, run
from MedPrepLib.report import ReportInput
from MedPrepLib.report.strata import strata
from MedPrepLib.report.summary import cohort_table, key_numbers
from MedPrepLib.results import CaseResult
from MedPrepLib.sharing import share_check

Rows = list[dict[str, str]]


def table_of_cases(cohort: Path) -> Rows:
    with (cohort / "cases.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def row_of(cohort: Path, first: str) -> list[str]:
    """The cells of the row of the card that begins with ``first``."""
    text = (cohort / "README.md").read_text("utf-8")
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


# --- labels -------------------------------------------------------------------------------------


def some_boxes(folder: Path) -> None:
    """Four cases: two boxes, one, none (looked for), and a mask of one lesion alone."""
    draw_box(image(folder, "p1", 1) / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
    draw_box(image(folder, "p2", 2) / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
    draw_mask(image(folder, "p3", 3) / "ana.nii.gz", slice(4, 10), slice(4, 10))
    (image(folder, "p4", 4) / "ana.slices.csv").write_text("label,start,stop\ntumor,,\n")


def some_slices(folder: Path) -> None:
    """Three cases: slices in two ranges, none, and a mask of four slices alone."""
    ranges = "label,start,stop\ntumor,1,3\ntumor,5,10\n"
    (image(folder, "p1", 1) / "ana.slices.csv").write_text(ranges)
    (image(folder, "p2", 2) / "ana.slices.csv").write_text("label,start,stop\ntumor,,\n")
    draw_mask(image(folder, "p3", 3) / "ana.nii.gz", slice(4, 10), slice(4, 10))


@pytest.mark.parametrize(
    ("task", "draw", "cells", "boxes", "slices"),
    [
        ("detection", some_boxes, ["3", "3", "0", "3", "4"], ["3:1", "3:1", "3:1", ""], None),
        ("classification", some_slices, ["2", "2", "0", "1", "11"], None, ["3:7", "", "3:4"]),
    ],
)
def test_a_cohort_without_masks_counts_its_boxes_and_slices(
    tmp_path: Path, task, draw, cells, boxes, slices
) -> None:
    draw(tmp_path)
    finished(tmp_path, task=task)
    cohort = tmp_path / "cohort"
    rows = table_of_cases(cohort)
    assert row_of(cohort, "tumor") == ["tumor", "3", "\N{EN DASH}", *cells]
    assert boxes is None or [row["boxes"] for row in rows] == boxes
    assert slices is None or [row["slices"] for row in rows] == slices
    for row, entry in zip(rows, open_cohort(cohort).cases, strict=True):
        case = open_cohort(cohort).read(entry.id)
        shown = set(case.mask.ravel()) - {0} | {*case.box_labels} | {*case.slices[:, 0]}
        assert row["labels"] == " ".join(str(value) for value in sorted(shown))
        assert row["boxes"] == ("" if not len(case.boxes) else f"3:{len(case.boxes)}")
        found = int(case.slice_labels().sum())
        assert row["slices"] == (f"3:{found}" if found else "")
    assert describe(cohort).by_label == {"tumor": int(cells[0])}
    text = (cohort / "README.md").read_text("utf-8")
    assert "those that more than half drew" in text
    assert "Every reading is in the case file" not in text
    report = (cohort / "report" / "index.html").read_text("utf-8")
    assert "1 rater annotated 1 label." in report
    assert "Of the boxes that raters drew, those that more than half drew" in report


def test_the_card_of_files_is_the_card_of_the_run_also_without_masks(tmp_path: Path) -> None:
    from MedPrepLib.card import card_files, read_card_input

    some_boxes(tmp_path)
    finished(tmp_path, task="detection")
    cohort = tmp_path / "cohort"
    for name, data in card_files(read_card_input(cohort)).items():
        assert (cohort / name).read_bytes() == data


# --- patients -----------------------------------------------------------------------------------
STUDY = f'name = "issuers"\n{issued_series.STUDY}test_fraction = 0.34\n[privacy]\nmin_group = 3\n'


def add(
    folder: Path, name: str, patient: str, issuer: str, sex: str, age: str, day: str = ""
) -> None:
    issued_series.add(
        folder, name, patient, issuer,
        PatientSex=sex, PatientAge=age, StudyDate=day, ManufacturerModelName="Aera",
    )  # fmt: skip


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Path]:
    """Three women of 50, two of whom come twice: one with her issuer, one when she is 60."""
    folder = tmp_path_factory.mktemp("visits")
    add(folder, "one", "701", "", "F", "050Y")
    add(folder, "one-again", "701", "H1", "F", "050Y")
    add(folder, "two", "702", "", "F", "050Y")
    add(folder, "two-again", "702", "", "F", "060Y")
    add(folder, "three", "703", "", "F", "050Y")
    order = Order(parse_study(STUDY), STUDY, folder, folder / "cohort", workers=1)
    summary = run(order, key=KEY)
    assert len(summary.included) == 5
    return summary, folder / "cohort"


@pytest.mark.fault("F39")
def test_an_id_with_and_without_its_issuer_is_counted_as_one_patient(visits) -> None:
    _, cohort = visits
    manifest = read_manifest(cohort)
    assert len({case.patient for case in manifest.cases}) == 4
    assert len({case.person or case.patient for case in manifest.cases}) == 3
    persons = Counter(case.person for case in manifest.cases)
    (both,) = persons.keys() - {""}
    assert persons[both] == 2
    assert both == min(case.patient for case in manifest.cases if case.person)
    assert manifest.split.patients == 3
    assert describe(cohort).patients == 3
    text = (cohort / "README.md").read_text("utf-8")
    assert "5 cases of 3 patients from 1 center" in text
    assert row_of(cohort, "all")[2] == "3"
    assert row_of(cohort, "female")[1] == "3"
    sets = re.findall(r"^\| (?:train, fold \d|test) \| (\d+) \|", text, re.MULTILINE)
    assert sum(map(int, sets)) == 3
    assert len({row["person"] for row in table_of_cases(cohort)}) == 3
    report = (cohort / "report" / "index.html").read_text("utf-8")
    assert re.search(r"5 cases \(5 \w+\) of 3 patients", report)
    assert "of 4 patients" not in report


@pytest.mark.fault("F39")
def test_two_names_of_one_person_do_not_make_a_group_large_enough(visits) -> None:
    _, cohort = visits
    groups = share_check(cohort).groups
    assert [(group.known.age, group.patients) for group in groups.groups] == [("60", 1), ("50", 3)]


@pytest.mark.fault("F39")
def test_an_audit_knows_two_names_of_one_person(visits) -> None:
    _, cohort = visits
    assert len({entry.patient for entry in listed(cohort)}) == 3


@pytest.mark.fault("F39")
def test_days_and_models_go_by_the_person_not_by_the_name(tmp_path: Path) -> None:
    """Of 701 and 702 the issuer is not always told; two hospitals have a 703."""
    visits = (("701", "", 1), ("701", "H1", 5), ("702", "", 9), ("702", "H1", 2),
              ("703", "H1", 3), ("703", "H2", 6), ("703", "", 8))  # fmt: skip
    for patient, issuer, day in visits:
        add(tmp_path, f"{patient}{issuer}", patient, issuer, "F", "050Y", f"2024010{day}")
    text = STUDY.replace("min_group = 3", "min_group = 4\nstudy_days = true")
    summary = run(Order(parse_study(text), text, tmp_path, tmp_path / "cohort", workers=1), key=KEY)
    assert len(summary.included) == 7
    index = open_cohort(tmp_path / "cohort")
    meta = [index.read(case.id).meta for case in index.cases]
    # Whose the third 703 is cannot be told: the two who are known are told apart.
    assert sorted(each["days_since_first_study"] for each in meta) == [0, 0, 0, 0, 0, 4, 7]
    assert all("model" not in each for each in meta)  # of three people with seven names


def report_of(results: tuple[CaseResult, ...]) -> ReportInput:
    return ReportInput(parse_study(STUDY), results, "0", "0" * 64)


def test_the_tables_of_the_report_give_a_patient_one_sex_and_the_youngest_age(visits) -> None:
    """Whatever visit comes last in order of id."""
    results = visits[0].results
    twice = next(p for p, n in Counter(r.patient for r in results).items() if n == 2)
    for ages in ((50, 60), (60, 50)):
        own = iter(ages)
        changed = tuple(
            msgspec.structs.replace(
                r, age_years=age, sex="M" if age == 50 else "unknown", modality=f"M{age}"
            )
            if r.patient == twice
            else r
            for r in sorted(results, key=lambda r: r.id)
            for age in ((next(own) if r.patient == twice else 0),)
        )
        report = report_of(changed)
        *rows, total = cohort_table(report)
        assert (total.patients, total.sex, total.age) == (3, "2 F, 1 M", "50 (50\N{EN DASH}50)")
        told = {row.modality: (row.patients, row.sex, row.age) for row in rows}
        assert told["M60"] == (1, "1 M", "50 (50\N{EN DASH}50)")
        counted = strata(report)
        assert counted is not None
        assert counted.total.patients == total.patients
        assert ("3", "patients") in key_numbers(report)


def test_the_manifest_names_a_person_only_where_there_are_two_names(tmp_path: Path) -> None:
    draw_mask(image(tmp_path, "p1") / "ana.nii.gz", slice(4, 10), slice(4, 10))
    finished(tmp_path)
    cohort = tmp_path / "cohort"
    tree = json.loads((cohort / "manifest.json").read_bytes())
    assert [case["person"] for case in tree["cases"]] == [""]
    (row,) = table_of_cases(cohort)
    assert row["person"] == row["patient"]
