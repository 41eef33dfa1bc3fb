"""Bad study files: the command names path, value and way out, exits with 2 and does no work."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from MedPrepLib.command import main

GOOD = """
name = "lung"
[[sources]]
kind = "folders"
path = "raw"
[labels.organ]
value = 1
[labels.lesion]
value = 2
"""

BAD: list[tuple[str, str, list[str]]] = [
    ("name = ", "", ["not valid TOML"]),
    ("name = 'again'\n" + GOOD, "", ["not valid TOML"]),
    (GOOD + "[screen]\n[screen]", "", ["not valid TOML", "screen"]),
    ("", "$.name", ["missing"]),
    (GOOD.replace('"lung"', '""'), "$.name", ["empty"]),
    (GOOD.replace('"lung"', "7"), "$.name", ["7", "not a text"]),
    (GOOD.replace("[[sources]]", "[sources]"), "$.sources", ["not a list"]),
    (GOOD.replace("folders", "folder"), "$.sources[0].kind", ['did you mean "folders"']),
    (GOOD.replace("path =", "paths ="), "$.sources[0].paths", ['did you mean "path"']),
    (GOOD.replace('"raw"', '"rau"'), "$.sources[0].path", ["'rau'", "does not exist"]),
    (GOOD.replace('path = "raw"', 'path = "raw"\ncenters = "c.csv"'), "$.sources[0].centers",
     ["'c.csv'", "does not exist"]),
    (GOOD.replace("value = 1", "value = 0"), "$.labels.organ.value", ["0", "1..65535"]),
    (GOOD.replace("value = 1", "value = 2"), "$.labels", ["share the value 2"]),
    (GOOD.replace("value = 1", "colour = 1"), "$.labels.organ.colour", ['did you mean "color"']),
    ("labels_file = 'none.csv'\n" + GOOD[: GOOD.index("[labels")], "$.labels_file",
     ["'none.csv'", "does not exist"]),
    (GOOD + "[screeen]\nmin_slices = 3", "$.screeen", ['did you mean "screen"']),
    (GOOD + "[screen]\nmax_ct_slice = 5", "$.screen.max_ct_slice",
     ['did you mean "max_ct_slice_mm"']),
    (GOOD + "[screen]\nmax_ct_slice_mm = 0.05", "$.screen.max_ct_slice_mm", ["0.1..20", "mm"]),
    (GOOD + "[screen]\nmax_ct_slice_mm = '5 mm'", "$.screen.max_ct_slice_mm", ["not a number"]),
    (GOOD + "[screen]\ngap_tolerance = 5", "$.screen.gap_tolerance", ["5", "0.001..0.5"]),
    (GOOD + "[screen]\nmodalities = 'CT'", "$.screen.modalities", ["not a list"]),
    (GOOD + "[screen]\nmodalities = ['CT', 'MRI']", "$.screen.modalities[1]",
     ["'MRI'", 'did you mean "MR"']),
    (GOOD + "[screen]\nkey_tags = ['PatientId']", "$.screen.key_tags[0]",
     ['did you mean "PatientID"']),
    (GOOD + "[screen.severity]\nSLICES_GAP = 'note'", "$.screen.severity.SLICES_GAP",
     ['did you mean "SLICE_GAP"']),
    (GOOD + "[screen.severity]\nTHICK_SLICES = 'ignore'", "$.screen.severity.THICK_SLICES",
     ["'ignore'", "note, off, reject, review"]),
    (GOOD + "[screen.severity]\nNO_POSITION = 'off'", "$.screen.severity.NO_POSITION",
     ["cannot be off"]),
    (GOOD + "[agree]\nthreshold = 70", "$.agree.threshold", ["70", "0..1"]),
    (GOOD + "[agree]\nrule = 'worst'", "$.agree.rule", ['did you mean "worst_pair"']),
    (GOOD + "[consensus]\nties = 'rater'", "$.consensus.ties", ["'rater'", "rater:<name>"]),
    (GOOD + "[split]\ntest_fraction = 20", "$.split.test_fraction", ["20", "0..0.9"]),
    (GOOD + "[split]\nfolds = 5.0", "$.split.folds", ["5.0", "whole number"]),
    (GOOD + "[pack]\ncodec = 'gz'", "$.pack.codec", ["'gz'", "gzip, lz4, raw"]),
    (GOOD + "[run]\nfail_on = false", "$.run.fail_on", ["False", "never, reject, review"]),
    (GOOD + "[privacy]\ncase_names = 'real'", "$.privacy.case_names", ["given, pseudonym"]),
]  # fmt: skip


def status_of(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """The exit status of the real command, in this process."""
    monkeypatch.setattr(sys, "argv", ["medprep", *map(str, words)])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.fault("F57")
@pytest.mark.parametrize(("text", "path", "parts"), BAD)
def test_a_bad_study_file_is_refused_with_path_value_and_way_out(
    tmp_path: Path, monkeypatch, capsys, text: str, path: str, parts: list[str]
) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    assert status_of(monkeypatch, "run", tmp_path / "study.toml", "--progress", "none") == 2
    said = capsys.readouterr().err
    lines = [line.strip() for line in said.splitlines()]
    assert any(line.startswith(path) and all(part in line for part in parts) for line in lines), (
        said
    )
    assert "Traceback" not in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["raw", "study.toml"]


def test_a_study_file_that_is_no_text_is_refused(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "study.toml").write_bytes(GOOD.encode() + b"# caf\xe9\n")
    assert status_of(monkeypatch, "run", tmp_path / "study.toml") == 2
    assert "save it as UTF-8" in capsys.readouterr().err


def test_a_byte_order_mark_is_no_fault(tmp_path) -> None:
    from MedPrepLib.config import load_study

    (tmp_path / "study.toml").write_text(GOOD, encoding="utf-8-sig")
    assert load_study(tmp_path / "study.toml").name == "lung"


def test_a_key_tag_of_its_own_is_taken(tmp_path) -> None:
    from MedPrepLib.config import parse_study

    text = GOOD + "[screen]\nkey_tags = ['KVP', 'ConvolutionKernel']"
    assert parse_study(text).screen.key_tags == ("KVP", "ConvolutionKernel")
