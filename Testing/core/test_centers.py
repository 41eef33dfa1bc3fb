"""Centers by a table: folder, institution, station or patient tell where a case comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
from dicom_files import write_series

from MedPrepLib.cohort import Case, ImageSource, Patient, Scan
from MedPrepLib.config import parse_study
from MedPrepLib.errors import ConfigError
from MedPrepLib.identity import SiteKey
from MedPrepLib.ledger import open_ledger
from MedPrepLib.pipeline import Order, run
from MedPrepLib.scan import Candidate, Scanned, scan
from MedPrepLib.scan.centers import CenterTable, read_centers

STUDY = """
name = "centers"
[[sources]]
kind = "dicom"
path = "raw"
center = "somewhere"
centers = "centers.csv"
[labels.lesion]
value = 1
"""


def series(folder: Path, institution: str = "", station: str = "", patient: str = "7") -> None:
    def edit(ds, _):
        ds.PatientID = patient
        if institution:
            ds.InstitutionName = institution
        if station:
            ds.StationName = station

    write_series(folder, 3, edit)


def scanned(folder: Path, table: str, study: str = STUDY) -> Scanned:
    (folder / "centers.csv").write_text(table, encoding="utf-8")
    return scan(parse_study(study), folder)


def centers(found: Scanned) -> dict[str, str]:
    return {c.case.id: c.case.patient.center for c in found.candidates}


def codes(found: Scanned) -> list[tuple[str, str]]:
    return [(f.item, f.code) for c in found.candidates for f in c.findings if "CENTER" in f.code]


def test_the_institution_of_the_header_tells_the_center(tmp_path) -> None:
    series(tmp_path / "raw" / "a", "Klinikum  Nord")
    series(tmp_path / "raw" / "b", "HOSPITAL SUR ", patient="8")
    found = scanned(
        tmp_path, "institution,center\n klinikum nord,north\nHospital Sur,south\nUnused,west\n"
    )
    assert centers(found) == {"a": "north", "b": "south"}
    assert codes(found) == []
    (note,) = [f for f in found.findings if f.code == "CENTER_ROW_UNUSED"]
    assert "1 of 3 rows" in note.message
    assert "lines 4" in note.message


def test_the_first_row_that_matches_in_every_cell_wins(tmp_path) -> None:
    series(tmp_path / "raw" / "x" / "a", "Nord", "CT01")
    series(tmp_path / "raw" / "x" / "b", "Nord", "CT02")
    series(tmp_path / "raw" / "y" / "c", "Nord", "CT02", "0099")
    table = (
        "folder,institution,station,patient,center\n"
        ",,,99,wrong\n"
        ",,,0099,p\n"
        ",nord,ct02,,two\n"
        "x,,,,x\n"
    )
    assert centers(scanned(tmp_path, table)) == {"x/a": "x", "x/b": "two", "y/c": "p"}


def test_folders_are_matched_with_what_is_below_them(tmp_path) -> None:
    series(tmp_path / "raw" / "nord-1" / "p" / "a")
    series(tmp_path / "raw" / "nord-2" / "b")
    series(tmp_path / "raw" / "sur" / "nord-3")
    table = "folder,center\nnord-*,north\nsur/nord-?,south\n"
    found = centers(scanned(tmp_path, table))
    assert found == {"nord-1/p/a": "north", "nord-2/b": "north", "sur/nord-3": "south"}


def test_an_unmatched_case_keeps_the_center_of_its_source_and_asks_for_a_look(tmp_path) -> None:
    series(tmp_path / "raw" / "a", "Secret Institute")
    found = scanned(tmp_path, "institution,center\nother,north\n")
    assert centers(found) == {"a": "somewhere"}
    assert codes(found) == [("a", "CENTER_UNKNOWN")]
    texts = [f.message for c in found.candidates for f in c.findings]
    assert not any("Secret" in text for text in texts)


def test_the_folder_convention_may_be_overruled(tmp_path) -> None:
    series(tmp_path / "raw" / "export" / "p1" / "c1" / "image", "Nord")
    series(tmp_path / "raw" / "export" / "p2" / "c1" / "image", "Elsewhere")
    study = STUDY.replace('"dicom"', '"folders"').replace('center = "somewhere"\n', "")
    found = scanned(tmp_path, "institution,center\nNord,north\n", study)
    assert centers(found) == {"export/p1/c1": "north", "export/p2/c1": "export"}
    assert codes(found) == [("export/p2/c1", "CENTER_UNKNOWN")]


def test_a_case_table_knows_better_than_the_center_table(tmp_path) -> None:
    series(tmp_path / "raw" / "a", "Nord")
    (tmp_path / "cases.csv").write_text(
        "case,patient,image,center\none,p,raw/a,mine\ntwo,q,raw/a,\n"
    )
    study = STUDY.replace('"dicom"', '"table"').replace('"raw"', '"cases.csv"')
    study = study.replace('center = "somewhere"\n', "")
    found = scanned(tmp_path, "folder,institution,center\nraw,Nord,north\n", study)
    assert centers(found) == {"one": "mine", "two": "north"}


def test_the_same_id_in_two_institutions_is_two_patients_with_a_question(tmp_path) -> None:
    series(tmp_path / "raw" / "a", "Nord")
    series(tmp_path / "raw" / "b", "Sur")
    (tmp_path / "centers.csv").write_text("institution,center\nNord,north\nSur,south\n")
    order = Order(parse_study(STUDY), STUDY, tmp_path, tmp_path / "cohort", workers=1)
    summary = run(order, key=SiteKey(bytes(32)))
    assert len({result.patient for result in summary.results}) == 2
    asked = [f for f in summary.findings if f.code == "SAME_ID_TWO_CENTERS"]
    assert len(asked) == 2
    assert {result.center for result in summary.results} == {"north", "south"}


def test_institution_and_station_stay_out_of_cohort_report_and_findings(tmp_path) -> None:
    series(tmp_path / "raw" / "a", "Canary Institute", "CANARYCT")
    (tmp_path / "centers.csv").write_text("institution,center\nCanary Institute,north\n")
    study = STUDY + '[screen.severity]\nNO_READING = "note"\nSLICES_TRUNCATED = "off"\n'
    order = Order(parse_study(study), study, tmp_path, tmp_path / "cohort", workers=1)
    summary = run(order, key=SiteKey(bytes(32)))
    assert summary.included
    written = [p for p in (tmp_path / "cohort").rglob("*") if p.is_file()]
    assert any(p.suffix == ".h5" for p in written)
    for path in written:
        data = path.read_bytes().lower()
        assert b"canary" not in data, path
        assert "canary".encode("utf-16-le") not in data, path
    assert "anary" not in repr(summary.findings)


def test_headers_of_an_older_ledger_are_read_again_for_their_institution(tmp_path) -> None:
    import sqlite3

    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.remember("committed", b"x")
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.execute("INSERT INTO headers VALUES ('a', 1, 1, x'00')")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    with open_ledger(tmp_path / "ledger.sqlite"):
        connection = sqlite3.connect(tmp_path / "ledger.sqlite")
        assert connection.execute("SELECT count(*) FROM headers").fetchone() == (0,)
        connection.close()


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ("institutoin,center\na,b\n", ["'institutoin'", '"institution"']),
        ("institution\na\n", ["no column 'center'"]),
        ("center\nnorth\n", ["needs one of the columns folder"]),
        ("institution,center\nNord,\n", ["line 2", "names no center"]),
        ("institution,center\n,north\n", ["line 2", "matches everything"]),
        ("institution,center\n", ["no row"]),
    ],
)
def test_a_wrong_table_is_explained(tmp_path, table, parts) -> None:
    path = tmp_path / "centers.csv"
    path.write_text(table)
    with pytest.raises(ConfigError) as caught:
        read_centers(path, "$.sources[0].centers")
    problem = caught.value.problems[0]
    assert problem.startswith("$.sources[0].centers:")
    assert all(part in problem for part in parts), problem


def test_everything_that_sources_lack_is_told_at_once_before_any_work(tmp_path) -> None:
    study = STUDY.replace('center = "somewhere"', 'masks = "masks"')
    order = Order(parse_study(study), study, tmp_path, tmp_path / "cohort", workers=1)
    with pytest.raises(ConfigError) as caught:
        run(order, key=SiteKey(bytes(32)))
    settings = [problem.partition(":")[0] for problem in caught.value.problems]
    assert settings == [f"$.sources[0].{name}" for name in ("path", "masks", "centers")]
    assert not (tmp_path / "cohort").exists()


def test_a_table_may_be_of_tabs_and_have_a_byte_order_mark(tmp_path) -> None:
    path = tmp_path / "centers.tsv"
    path.write_text("\ufefffolder\tcenter\na*\tnorth\n", encoding="utf-8")
    table = read_centers(path, "x")
    assert isinstance(table, CenterTable)
    case = Case("abc", Patient("1", ""), Scan(), ImageSource("file", ()))
    assert table.placed(Candidate(case), "abc").case.patient.center == "north"
