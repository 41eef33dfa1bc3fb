"""Rules about annotations, [sources.annotations.NAME]: for which files they hold, and for none."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest
from core import case_folders
from core.case_folders import CASE, nifti

from MedPrepLib.scan import Scanned

MASKS = f"{CASE}/masks"


def found(folder: Path, rules: str, source: str = 'kind = "folders"\npath = "raw"') -> Scanned:
    return case_folders.found(folder, source, rules)


def rule(name: str, line: str) -> str:
    return f"[sources.annotations.{name}]\n{line}\n"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    nifti(tmp_path / CASE / "image.nii.gz")
    for name in ("ana", "cy/tumor", "cy/body", "cy/all", "dora/tumor", "dora/body"):
        nifti(tmp_path / MASKS / f"{name}.nii.gz")
    for ending, text in (("mrk.json", "{}"), ("slices.csv", "label,start,stop\n")):
        for name in ("cy/tumor", "cy/body", "dora/tumor"):
            (tmp_path / MASKS / f"{name}.{ending}").write_text(text)
    return tmp_path


def parts(scanned: Scanned) -> dict[str, list[tuple[str, str | None, tuple]]]:
    (one,) = scanned.candidates
    return {
        r.rater: [(Path(p.path).name.partition(".")[0], p.label, p.values) for p in r.parts]
        for r in one.case.readings
    }


def test_a_rater_whose_folder_is_ignored_has_no_reading_of_any_kind(study) -> None:
    scanned = found(study, rule("dora", "ignore = true"))
    (one,) = scanned.candidates
    assert set(parts(scanned)) == {"ana", "cy"}
    assert [r.rater for r in one.case.boxes] == [r.rater for r in one.case.slices] == ["cy"]
    assert scanned.findings == ()


def test_an_ignored_label_is_left_out_of_every_rater_s_folder(study) -> None:
    scanned = found(study, rule("body", "ignore = true"))
    (one,) = scanned.candidates
    assert [name for name, _, _ in parts(scanned)["cy"]] == ["all", "tumor"]
    assert [name for name, _, _ in parts(scanned)["dora"]] == ["tumor"]
    for reading in (*one.case.boxes, *one.case.slices):
        assert [file.label for file in reading.files] == ["tumor"]


def test_values_hold_for_a_file_in_a_rater_s_folder_and_the_folder_s_for_the_rest(study) -> None:
    rules = rule("all", "values = { 2 = 'organ', 1 = 'lesion' }")
    rules += rule("dora", "values = { 7 = 'organ' }") + rule("tumor", "label = 'lesion'")
    of = parts(found(study, rules))
    assert ("all", None, ((1, "lesion"), (2, "organ"))) in of["cy"]
    assert ("body", "body", ()) in of["cy"]
    assert of["dora"] == [("body", None, ((7, "organ"),)), ("tumor", "lesion", ())]
    boxes = found(study, rules).candidates[0].case.boxes
    assert [[file.label for file in reading.files] for reading in boxes] == [
        ["body", "lesion"],
        ["lesion"],
    ]


def test_a_folder_s_rule_names_its_rater_and_the_label_of_all_its_files(study) -> None:
    of = parts(found(study, rule("dora", "rater = 'theodora'\nlabel = 'lesion'")))
    assert of["theodora"] == [("body", "lesion", ()), ("tumor", "lesion", ())]


def test_a_rule_that_matches_no_file_is_told_and_its_name_stays_at_the_site(study) -> None:
    rules = rule("doora", "ignore = true") + rule("cy", "rater = 'cynthia'")
    (finding,) = found(study, rules).findings
    assert (finding.code, finding.item) == ("ANNOTATION_RULE_UNUSED", "source 1")
    assert finding.severity.word == "review"
    assert '1 of 2 rules about annotations match no file: "doora"' in finding.message
    assert "doora" not in finding.public().message


def test_rules_of_a_table_are_used_by_its_rows(study) -> None:
    row = f"case,patient,image,annotations\nx,1,{CASE}/image.nii.gz,a={MASKS}/ana.nii.gz\n"
    (study / "cases.csv").write_text(row, encoding="utf-8")
    table = 'kind = "table"\npath = "cases.csv"'
    rules = rule("a", "rater = 'ana'") + rule("b", "ignore = true")
    scanned = found(study, rules, table)
    assert [r.rater for r in scanned.candidates[0].case.readings] == ["ana"]
    assert scanned.candidates[0].rules == ()  # what was scanned does not depend on other rules
    (finding,) = scanned.findings
    assert '"b"' in finding.message


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_rater_has_one_name_however_a_file_system_stores_its_accents(study, form: str) -> None:
    nifti(study / MASKS / normalize(form, "jörg.nii.gz"))
    nifti(study / MASKS / normalize(form, "zoé") / normalize(form, "Läsion.nii.gz"))
    of = parts(found(study, ""))
    assert normalize("NFC", "jörg") in of
    assert [normalize("NFC", label) for _, label, _ in of[normalize("NFC", "zoé")]] == ["Läsion"]
    rules = rule(f'"{normalize("NFC", "jörg")}"', "ignore = true")
    rules += rule(f'"{normalize("NFC", "Läsion")}"', "label = 'lesion'")
    scanned = found(study, rules)
    assert normalize("NFC", "jörg") not in parts(scanned)
    assert parts(scanned)[normalize("NFC", "zoé")][0][1] == "lesion"
    assert scanned.findings == ()
