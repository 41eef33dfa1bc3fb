"""Quarantine: what a run left out, and what happens when people take cases in again."""

from __future__ import annotations

import gzip
import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from core import drawn_readings
from core.drawn_readings import GRID

from MedPrepLib.command import medprep
from MedPrepLib.config import parse_study
from MedPrepLib.config.template import toml_text
from MedPrepLib.errors import ConfigError, RunError
from MedPrepLib.findings import Severity
from MedPrepLib.identity import SiteKey, may_identify
from MedPrepLib.images import Volume
from MedPrepLib.pipeline import Order, Summary, run
from MedPrepLib.pipeline.quarantine import read_quarantine, readmit, withdraw
from MedPrepLib.review.readmissions import (
    Entry,
    append_entry,
    in_force,
    judged_data,
    read_readmissions,
)
from MedPrepLib.sample.niftifile import write_nifti

CASE = "north_p1_c1"
REST = """test_fraction = 0
[report]
pictures = false
[agree]
surfaces = false
"""
STUDY = drawn_readings.STUDY + REST
ONLY_CT = '[screen]\nmodalities = ["CT"]\n'
WHY = "it shows the same region, take it"


def write_case(folder: Path, case: str = "c1", patient: str = "p1") -> Path:
    """An MR image with one mask; the folder of masks."""
    masks = drawn_readings.image(folder, patient, case=case)
    drawn_readings.draw_mask(masks / "ana.nii.gz", slice(4, 10), slice(4, 8))
    return masks


def block(i: slice) -> np.ndarray:
    voxels = np.zeros(GRID.shape, np.uint8)
    voxels[4:8, 4:10, i] = 3
    return voxels


def order_of(folder: Path, settings: str = ONLY_CT) -> Order:
    text = STUDY + settings
    # Some tests change a setting between two runs.
    return Order(parse_study(text), text, folder, folder / "cohort", workers=1, rebuild=True)


def finished(folder: Path, settings: str = ONLY_CT) -> Summary:
    return run(order_of(folder, settings), key=SiteKey(bytes(32)))


def found(summary: Summary, code: str) -> list[Severity]:
    return [f.severity for f in summary.findings if f.code == code]


def report_of(folder: Path) -> str:
    return (folder / "cohort" / "report" / "index.html").read_text("utf-8")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study that wants CT and has one MR, which a run has left out."""
    write_case(tmp_path)
    assert not finished(tmp_path).included
    return tmp_path


def test_the_quarantine_says_what_was_left_out_why_and_what_helps(study) -> None:
    held = read_quarantine(order_of(study))
    assert held.counts() == (("MODALITY_UNWANTED", 1),)
    (case,) = held.cases
    (reason,) = case.reasons
    assert (case.case, case.center, reason.code) == (CASE, "north", "MODALITY_UNWANTED")
    assert "wanted: CT" in reason.message
    assert "screen.modalities" in reason.remedy
    assert reason.acceptable


def test_a_readmitted_case_is_in_the_next_cohort_and_says_so(study) -> None:
    readmit(order_of(study), CASE, "MODALITY_UNWANTED", "eva", WHY)
    summary = finished(study)
    assert [case.id for case in summary.included] == [CASE]
    assert found(summary, "MODALITY_UNWANTED") == [Severity.NOTE]
    assert found(summary, "READMITTED") == [Severity.NOTE]
    assert not any(WHY in f.message for f in summary.findings), "notes are no findings"
    page = report_of(study)
    assert "Re-admitted cases" in page
    assert WHY in page
    assert "included after a person had looked at it" in page
    assert read_quarantine(order_of(study)).cases == ()
    (again,) = read_quarantine(order_of(study)).readmitted
    assert (again.case, again.readmission.by, again.readmission.note) == (CASE, "eva", WHY)


def test_readmitted_cases_are_not_done_again_when_nothing_changed(study) -> None:
    readmit(order_of(study), CASE, "MODALITY_UNWANTED", "eva", WHY)
    assert finished(study).cases_done == 1
    second = finished(study)
    assert (second.cases_done, second.unchanged) == (0, True)


def test_a_withdrawn_readmission_leaves_the_case_out_again(study) -> None:
    readmit(order_of(study), CASE, "MODALITY_UNWANTED", "eva", WHY)
    finished(study)
    withdraw(order_of(study), CASE, "MODALITY_UNWANTED", "max")
    assert not finished(study).included
    entries = read_readmissions(study / "readmitted.toml")
    assert [(e.action, e.by) for e in entries] == [("readmit", "eva"), ("withdraw", "max")]
    assert all(e.at.endswith("+00:00") for e in entries)
    with pytest.raises(RunError, match="nothing to withdraw"):
        withdraw(order_of(study), CASE, "MODALITY_UNWANTED", "max")


def test_other_findings_of_the_case_still_reject_it(study) -> None:
    settings = ONLY_CT + "min_slices = 19\n"
    finished(study, settings)
    readmit(order_of(study, settings), CASE, "MODALITY_UNWANTED", "eva", WHY)
    summary = finished(study, settings)
    assert not summary.included
    assert found(summary, "TOO_FEW_SLICES") == [Severity.REJECT]
    (case,) = read_quarantine(order_of(study, settings)).cases
    assert [reason.code for reason in case.reasons] == ["TOO_FEW_SLICES"]


def test_other_cases_with_the_same_finding_stay_out(study) -> None:
    write_case(study, "c2")
    readmit(order_of(study), CASE, "MODALITY_UNWANTED", "eva", WHY)
    summary = finished(study)
    assert [case.id for case in summary.included] == [CASE]
    assert [case.id for case in summary.excluded] == ["north_p1_c2"]


def test_a_readmission_does_not_count_when_the_image_changed(study) -> None:
    readmit(order_of(study), CASE, "MODALITY_UNWANTED", "eva", WHY)
    image = study / "raw" / "north" / "p1" / "c1" / "image.nii.gz"
    write_nifti(image, Volume(block(slice(0, 20)).astype("int16"), GRID))
    summary = finished(study)
    assert not summary.included
    assert found(summary, "READMISSION_STALE") == [Severity.REVIEW]
    assert found(summary, "READMITTED") == []
    readmit(order_of(study), CASE, "MODALITY_UNWANTED", "eva", WHY)
    assert finished(study).included


def test_new_readings_do_not_undo_what_was_said_of_the_image(study) -> None:
    readmit(order_of(study), CASE, "MODALITY_UNWANTED", "eva", WHY)
    masks = study / "raw" / "north" / "p1" / "c1" / "masks"
    write_nifti(masks / "ben.nii.gz", Volume(block(slice(5, 9)), GRID))
    assert finished(study).included


def test_a_readmission_follows_the_data_to_another_place_and_time(study, tmp_path) -> None:
    readmit(order_of(study), CASE, "MODALITY_UNWANTED", "eva", WHY)
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.copytree(study / "raw", moved / "raw", copy_function=shutil.copyfile)
    shutil.copyfile(study / "readmitted.toml", moved / "readmitted.toml")
    assert finished(moved).included


def test_data_that_changed_since_the_run_cannot_be_readmitted(study) -> None:
    image = study / "raw" / "north" / "p1" / "c1" / "image.nii.gz"
    image.write_bytes(image.read_bytes() + b"\0")
    with pytest.raises(RunError, match="changed since the last run"):
        readmit(order_of(study), CASE, "MODALITY_UNWANTED", "eva", WHY)
    assert not (study / "readmitted.toml").exists()


def test_a_fault_that_leaves_no_volume_cannot_be_accepted(study) -> None:
    image = study / "raw" / "north" / "p1" / "c1" / "image.nii.gz"
    header = bytearray(gzip.decompress(image.read_bytes()))
    header[40:42] = (4).to_bytes(2, "little")
    header[48:50] = (7).to_bytes(2, "little")
    image.write_bytes(gzip.compress(bytes(header)))
    finished(study)
    (case,) = read_quarantine(order_of(study)).cases
    final = next(reason for reason in case.reasons if not reason.acceptable)
    with pytest.raises(RunError, match=f"{final.code} of {CASE} cannot be accepted"):
        readmit(order_of(study), CASE, final.code, "eva", WHY)
    data = judged_data([str(image)])
    forged = Entry(case=CASE, code=final.code, by="eva", note=WHY, judged=data)
    append_entry(study / "readmitted.toml", forged)
    summary = finished(study)
    assert not summary.included
    assert found(summary, "READMISSION_REFUSED") == [Severity.REVIEW]


def test_an_entry_by_hand_that_is_bound_to_no_data_asks_for_a_look(study) -> None:
    (study / "readmitted.toml").write_text(
        f'[[entries]]\ncase = "{CASE}"\ncode = "MODALITY_UNWANTED"\nby = "eva"\n'
    )
    summary = finished(study)
    assert not summary.included
    assert found(summary, "READMISSION_STALE") == [Severity.REVIEW]


def test_readmissions_of_what_does_not_occur_are_noted(study) -> None:
    image = str(study / "raw" / "north" / "p1" / "c1" / "image.nii.gz")
    for case, code in ((CASE, "BURNED_IN_RISK"), ("gone", "SLICE_GAP")):
        entry = Entry(case=case, code=code, by="eva", note=WHY, judged=judged_data([image]))
        append_entry(study / "readmitted.toml", entry)
    summary = finished(study, "")
    assert [case.id for case in summary.included] == [CASE]
    assert found(summary, "READMISSION_UNUSED") == [Severity.NOTE, Severity.NOTE]
    texts = [f.message for f in summary.findings if f.code == "READMISSION_UNUSED"]
    assert any("1 of 2 re-admitted cases" in text for text in texts)


@pytest.mark.parametrize("names", ["given", "pseudonym"])
def test_a_note_that_may_identify_somebody_is_refused_and_never_shown(tmp_path, names) -> None:
    text = STUDY.replace('"given"', f'"{names}"') + ONLY_CT
    order = Order(parse_study(text), text, tmp_path, tmp_path / "cohort", workers=1)
    write_case(tmp_path, patient="MUSTER-77")
    (left_out,) = run(order, key=SiteKey(bytes(32))).excluded
    secrets = ["seen on 12.03.2024", "see case 4711899"]
    if names == "pseudonym":
        secrets.append("mrs muster-77 is fine")
    for secret in secrets:
        with pytest.raises(RunError, match="may identify somebody"):
            readmit(order, left_out.id, "MODALITY_UNWANTED", "eva", secret)
    done = readmit(order, left_out.id, "MODALITY_UNWANTED", "eva", WHY)
    path = tmp_path / "readmitted.toml"
    for secret in secrets:
        path.write_text(path.read_text().replace(done.note, secret))
        assert run(order, key=SiteKey(bytes(32))).included
        page = report_of(tmp_path)
        assert secret not in page
        assert "withheld" in page
        path.write_text(path.read_text().replace(secret, done.note))


@pytest.mark.parametrize(
    ("text", "names", "told"),
    [
        ("the gap lies outside of the organ", ("LC 7",), False),
        ("as in lc  7, see there", ("LC 7",), True),
        ("LC 77", ("LC 7",), False),
        ("born 1950-01-31", (), True),
        ("3 of 120 slices, 2.5 mm", (), False),
        ("number 1234567", (), True),
        ("a 7", ("7",), False),
    ],
)
def test_what_may_identify_somebody(text, names, told) -> None:
    assert may_identify(text, names) is told


# --- the file -------------------------------------------------------------------------------


def test_the_file_can_be_edited_by_hand_and_keeps_comments_and_order(tmp_path) -> None:
    path = tmp_path / "readmitted.toml"
    first = append_entry(path, Entry(case="a", code="SLICE_GAP", by="Åsa \U0001f9ea", note='"x"\\'))
    path.write_text(path.read_text("utf-8") + "# asked the radiologist\n", "utf-8")
    append_entry(path, Entry(case="a", code="SLICE_GAP", by="max", action="withdraw"))
    append_entry(path, Entry(case="b", code="SLICE_GAP", by="max", note="y"))
    text = path.read_text("utf-8")
    assert "# asked the radiologist" in text
    assert text.startswith("# Findings that people accepted")
    entries = read_readmissions(path)
    assert entries[0] == first
    assert {case: [e.code for e in found] for case, found in in_force(entries).items()} == {
        "b": ["SLICE_GAP"]
    }
    assert list(tmp_path.glob("*.partial")) == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('[[entries]]\ncase = "a"\ncode = "SLICE_GAPS"\nby = "x"', ["$.entries[0].code", "GAP"]),
        ('[[entries]]\ncase = "a"\ncode = "SLICE_GAP"', ["$.entries[0].by", "missing"]),
        ('[[entry]]\ncase = "a"', ["$.entry", '"entries"']),
        ("[[entries", ["TOML"]),
        (
            '[[entries]]\ncase = "a"\ncode = "SLICE_GAP"\nby = "x"\nat = 2026-01-01',
            ["$.entries[0]"],
        ),
    ],
)
def test_a_fault_in_the_file_is_told_before_any_work(tmp_path, text, parts) -> None:
    (tmp_path / "readmitted.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        finished(tmp_path)
    assert caught.value.source == "readmitted.toml"
    assert all(part in caught.value.problems[0] for part in parts), caught.value.problems
    assert not (tmp_path / "cohort").exists()


@pytest.mark.parametrize("text", ['"\\', "Müller", "\U0001f9e0", "a\x7f\tb\nc"])
def test_any_text_survives_being_toml(text) -> None:
    assert tomllib.loads(f"x = {toml_text(text)}")["x"] == text


# --- the commands ---------------------------------------------------------------------------


def answer(*words: object) -> Result:
    return CliRunner().invoke(medprep, [str(word) for word in words])


def test_the_commands_list_readmit_and_withdraw(study) -> None:
    file = study / "study.toml"
    file.write_text(STUDY + ONLY_CT)
    listed = answer("quarantine", file).output
    assert "MODALITY_UNWANTED: 1 case" in listed
    assert CASE in listed
    assert "Add it to screen.modalities" in listed
    words = ["readmit", file, CASE, "--code", "modality_unwanted", "--by", "eva"]
    assert answer(*words, "--note", WHY).exit_code == 0
    finished(study)
    record = json.loads(answer("quarantine", file, "--json").output)
    assert (record["counts"], record["cases"]) == ([], [])
    assert record["readmitted"][0]["readmission"]["note"] == WHY
    assert "Nothing is in quarantine" in answer("quarantine", file).output
    assert answer(*words, "--withdraw").exit_code == 0
    assert "withdraw" in (study / "readmitted.toml").read_text()


def test_the_commands_never_tell_paths_or_ids(study) -> None:
    file = study / "study.toml"
    file.write_text(STUDY + ONLY_CT)
    for words in (["quarantine", file], ["quarantine", file, "--json"]):
        output = answer(*words).output
        assert "image.nii" not in output
        assert str(study) not in output


@pytest.mark.parametrize(
    ("case", "code", "by", "note", "problem"),
    [
        ("north_p1_c", "MODALITY_UNWANTED", "eva", WHY, 'did you mean "north_p1_c1"?'),
        (CASE, "SLICE_GAP", "eva", WHY, "not rejected by 'SLICE_GAP' but by MODALITY_UNWANTED"),
        (CASE, "SLICE_GAB", "eva", WHY, 'did you mean "SLICE_GAP"?'),
        (CASE, "MODALITY_UNWANTED", "eva", "", "has to say why"),
        (CASE, "MODALITY_UNWANTED", "", WHY, "needs a name"),
        (CASE, "MODALITY_UNWANTED", "eva", "seen 01.02.2024", "may identify"),
    ],
)
def test_a_wrong_call_is_explained_and_writes_nothing(study, case, code, by, note, problem) -> None:
    file = study / "study.toml"
    file.write_text(STUDY + ONLY_CT)
    done = answer("readmit", file, case, "--code", code, "--by", by, "--note", note)
    assert done.exit_code == 2
    assert problem in " ".join(done.output.split())
    assert not (study / "readmitted.toml").exists()


def test_without_a_run_there_is_no_quarantine(tmp_path) -> None:
    with pytest.raises(RunError, match="run it first"):
        read_quarantine(order_of(tmp_path))
