"""Mask files that are called after the patient or the case make no rater of that name."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path

import msgspec
import pytest
from core.drawn_readings import draw_box, draw_mask, image
from core.small_studies import KEY
from dicom_files import write_series

from MedPrepLib.config import parse_study
from MedPrepLib.load import open_cohort
from MedPrepLib.pipeline import Order, Summary, run
from MedPrepLib.scan import scan
from MedPrepLib.scan.dates import reading_order
from MedPrepLib.scan.namesakes import rater_without

PATIENT = "Müller-Lüdenscheidt Jürgen"
WORDS = ("denscheidt", "Jürgen", "Muller", "4711")


@pytest.mark.parametrize(
    ("rater", "about", "left"),
    [
        ("4711_ana", ("4711", "c1"), "ana"),
        ("ana-4711", ("4711", "c1"), "ana"),
        ("4711", ("4711", "c1"), "unnamed"),
        ("4711@2", ("4711", "c1"), "unnamed@2"),
        ("reader_001", ("001", "c1"), "reader_001"),
        ("001", ("001", "c1"), "unnamed"),
        ("ana_a01", ("a01", "c1"), "ana"),
        ("ana@2", ("4711", "c1"), "ana@2"),
        ("PAT 4711/07 ben", ("PAT-4711.07", ""), "ben"),
        ("MUELLER_hans_seg", ("Müller^Hans", ""), "seg"),
        ("muller", ("Müller^Hans", ""), "unnamed"),
        ("CT_4711_1931_chen", ("x", "CT_4711_1931"), "chen"),
        ("dr. hansen", ("Müller^Hans", ""), "dr. hansen"),
        ("14711", ("4711", "c1"), "14711"),
        ("c1", ("p1", "c1"), "c1"),
        ("anonymous", ("anonymous", "patient"), "anonymous"),
        ("0", ("0", "0"), "0"),
        ("ana", ("", ""), "ana"),
        ("ana", (), "ana"),
    ],
)
def test_a_rater_is_what_the_names_of_patient_and_case_leave(rater, about, left) -> None:
    assert rater_without(rater, about) == left
    assert rater_without(unicodedata.normalize("NFC", left), about) == left


def written(cohort: Path) -> str:
    texts = [path.read_bytes().decode("utf-8", "replace") for path in cohort.rglob("*.*")
             if path.is_file()]  # fmt: skip
    return "\n".join((*texts, *map(str, cohort.rglob("*"))))


def study(folder: Path, source: str) -> Summary:
    rest = "[labels.tumor]\nvalue = 3\n[report]\npictures = false\n"
    text = f'name = "s"\n[[sources]]\n{source}\n{rest}'
    order = Order(parse_study(text), text, folder, folder / "cohort", workers=1)
    return run(order, key=KEY)


def raters_of(summary: Summary) -> list[str]:
    (case,) = open_cohort(summary.cohort).cases
    return sorted(open_cohort(summary.cohort).read(case.id).readings)


def said(summary: Summary) -> list[str]:
    (case,) = summary.included
    return [f.message for f in case.findings if f.code == "RATER_NAMESAKE"]


@pytest.mark.fault("F43")
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_folders_of_masks_called_after_the_patient_name_nobody(tmp_path: Path, form: str) -> None:
    patient = unicodedata.normalize(form, PATIENT)
    masks = image(tmp_path, patient)
    draw_mask(masks / f"{patient}_ana.nii.gz", slice(4, 10), slice(4, 10))
    draw_mask(masks / f"{PATIENT}.nii.gz", slice(4, 10), slice(4, 11))
    (masks / f"ben {patient}").mkdir()
    draw_mask(masks / f"ben {patient}" / "tumor.nii.gz", slice(4, 10), slice(5, 10))
    draw_box(masks / "ana.mrk.json", (4, 4, 4), (10, 10, 8))
    (masks / f"chen-{patient}.nii.gz").write_bytes(b"no mask")
    summary = study(tmp_path, 'kind = "folders"\npath = "raw"\nmodality = "MR"')
    assert raters_of(summary) == ["ana", "ben", "unnamed"]
    (message,) = said(summary)
    assert message.startswith("4 of 5 files of readings are called after the patient or the case;")
    assert message.endswith("what is left of their names: ana, ben, chen, unnamed")
    text = unicodedata.normalize("NFC", written(summary.cohort))
    assert "ana" in text
    assert not any(word in text for word in WORDS)


@pytest.mark.fault("F43")
def test_tables_and_dicom_trees_name_nobody_either(tmp_path: Path) -> None:
    masks = image(tmp_path, "4711")
    draw_mask(masks / "m.nii.gz", slice(4, 10), slice(4, 10))
    row = {
        "case": "scan-815-b", "patient": "4711", "image": str(masks.parent / "image.nii.gz"),
        "annotations": f"4711_ana={masks / 'm.nii.gz'};scan 815 b={masks / 'm.nii.gz'}",
    }  # fmt: skip
    with (tmp_path / "cases.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(row))
        table.writeheader()
        table.writerow(row)
    summary = study(tmp_path, 'kind = "table"\npath = "cases.csv"\nmodality = "MR"')
    assert raters_of(summary) == ["ana", "unnamed"]
    assert not any(word in written(summary.cohort) for word in ("4711", "815"))


@pytest.mark.fault("F43")
def test_masks_of_a_dicom_tree_are_not_called_after_the_id_in_its_headers(tmp_path: Path) -> None:
    def edit(ds, k: int) -> None:
        ds.PatientID = "4711"

    write_series(tmp_path / "raw" / "visit-12" / "ct", 4, edit)
    masks = tmp_path / "masks" / "visit-12" / "ct"
    masks.mkdir(parents=True)
    for name in ("4711-ana", "ben_visit_12", "chen"):
        draw_mask(masks / f"{name}.nii.gz", slice(4, 10), slice(4, 10))
    text = """
name = "s"
[[sources]]
kind = "dicom"
path = "raw"
masks = "masks"
[labels.tumor]
value = 3
"""
    (candidate,) = scan(parse_study(text), tmp_path, None).candidates
    assert sorted(candidate.case.raters) == ["ana", "ben", "chen"]
    assert b"4711" not in msgspec.json.encode(candidate.findings)


def test_a_rule_of_the_study_file_says_whose_a_file_is(tmp_path: Path) -> None:
    masks = image(tmp_path, "4711")
    draw_mask(masks / "4711.nii.gz", slice(4, 10), slice(4, 10))
    rule = '[sources.annotations.4711]\nrater = "ana"'
    summary = study(tmp_path, f'kind = "folders"\npath = "raw"\nmodality = "MR"\n{rule}')
    assert raters_of(summary) == ["ana"]
    assert said(summary) == []


def test_dates_of_readings_may_name_raters_as_the_files_do(tmp_path: Path) -> None:
    masks = image(tmp_path, "4711")
    for rater in ("4711_ana", "ben", "north_4711"):
        draw_mask(masks / f"{rater}.nii.gz", slice(4, 10), slice(4, 10))
    text = 'name = "s"\n[[sources]]\nkind = "folders"\npath = "raw"\n[labels.tumor]\nvalue = 3\n'
    cases = [candidate.case for candidate in scan(parse_study(text), tmp_path, None).candidates]
    table = tmp_path / "dates.csv"
    rows = ("4711_ana,2026-01-01", "ben,2026-01-02", "north_4711,2026-01-03")
    table.write_text("case,rater,date\n" + "".join(f"north/4711/c1,{row}\n" for row in rows))
    order, findings = reading_order(table, cases, "dates.csv")
    assert order == {("north/4711/c1", rater): 1 for rater in ("ana", "ben", "north")}
    assert findings == ()
