"""The main job, end to end: the embedded sample study through the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import medprep
from filelock import FileLock
from PIL import Image

from MedPrepLib.command.run import STAGE_NAMES
from MedPrepLib.pipeline import STAGES
from MedPrepLib.verify import verify

REPOSITORY = Path(__file__).resolve().parents[2]


def started(*words: object) -> subprocess.CompletedProcess[str]:
    """The command as a user starts it."""
    command = [sys.executable, "-m", "MedPrepLib", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment(), timeout=250, check=False
    )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


@pytest.fixture(scope="session")
def sample(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(sample_folder, tmp_path_factory.mktemp("study") / "sample")


@pytest.fixture(scope="session")
def finished(sample: Path) -> tuple[Path, dict[str, object]]:
    """The sample study after a run, and the run's JSON summary."""
    done = started("run", sample / "study.toml", "--json")
    assert done.returncode == 1, done.stderr  # some cases are rejected
    return sample, json.loads(done.stdout)


def test_every_planted_flaw_is_found_and_nothing_else(finished) -> None:
    folder, summary = finished
    expected = json.loads((folder / "expected.json").read_text())["cases"]
    serious: dict[str, set[tuple[str, str]]] = {name.replace("/", "_"): set() for name in expected}
    notes: dict[str, set[str]] = {name: set() for name in serious}
    for finding in summary["findings"]:
        case = finding["item"].partition("/")[0]
        if finding["severity"] == "note":
            notes[case].add(finding["code"])
        else:
            serious[case].add((finding["code"], finding["severity"]))
    for name, case in expected.items():
        public = name.replace("/", "_")
        wanted = {(f["code"], f["severity"]) for f in case["findings"] if f["severity"] != "note"}
        assert serious[public] == wanted, name
        assert {f["code"] for f in case["findings"] if f["severity"] == "note"} <= notes[public]
    assert summary["included"] == sum(case["included"] for case in expected.values())


def test_the_cohort_is_whole_and_its_manifest_names_every_file(finished) -> None:
    folder, _ = finished
    done = medprep("verify", folder / "cohort", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["intact"] is True
    manifest = json.loads((folder / "cohort" / "manifest.json").read_text())
    on_disk = {
        p.relative_to(folder / "cohort").as_posix()
        for p in (folder / "cohort").rglob("*")
        if p.is_file()
    }
    named = {c["shard"]["name"] for c in manifest["cases"]} | {f["name"] for f in manifest["files"]}
    assert on_disk == named | {"manifest.json"}


def test_a_flipped_byte_in_any_file_of_the_cohort_is_found(finished) -> None:
    """In all files at once, so that the cohort is read once and not once a file."""
    folder, _ = finished
    cohort = folder / "cohort"
    assert verify(cohort) == ()
    rng = np.random.default_rng(3)
    paths = {p.relative_to(cohort).as_posix(): p for p in cohort.rglob("*") if p.is_file()}
    whole = {name: path.read_bytes() for name, path in paths.items()}
    flipped = set(whole) - {"manifest.json"}
    assert len(flipped) > 50
    for names in (flipped, {"manifest.json"}):
        for name in sorted(names):
            place = int(rng.integers(len(whole[name])))
            changed = bytearray(whole[name])
            changed[place] ^= 0x10
            paths[name].write_bytes(changed)
        problems = verify(cohort)
        for name in names:
            paths[name].write_bytes(whole[name])
        assert {problem.name for problem in problems} == names
    assert verify(cohort) == ()


def test_the_command_knows_every_stage_of_the_pipeline() -> None:
    assert STAGE_NAMES == STAGES


def test_the_test_set_is_one_whole_center_with_a_fifth_of_the_patients(finished) -> None:
    folder, _ = finished
    cases = json.loads((folder / "cohort" / "manifest.json").read_text())["cases"]
    tested = {c["center"] for c in cases if c["split"] == "test"}
    trained = {c["center"] for c in cases if c["split"] == "train"}
    assert len(tested) == 1
    assert not tested & trained
    patients = {c["patient"] for c in cases}
    assert len({c["patient"] for c in cases if c["split"] == "test"}) >= 0.2 * len(patients)


def test_the_split_is_proved_to_have_no_leak_and_the_audit_agrees(finished) -> None:
    folder, _ = finished
    manifest = json.loads((folder / "cohort" / "manifest.json").read_text())
    proof = manifest["split"]["leakage"]
    assert not any(proof["shared"].values())
    assert proof["pairs"] > 0
    counted = len(manifest["cases"])
    assert proof["carriers"]["near-duplicate"] == proof["carriers"]["image"] == counted
    assert 0 < proof["carriers"]["study"] <= counted
    audited = medprep("audit", folder / "cohort", "--json", "--workers", "2")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert len(json.loads(audited.stdout)["proofs"]) == 3  # folds of the sample
    rounds = json.loads((folder / "cohort" / "splits_final.json").read_text())
    validated = sorted(case for own in rounds for case in own["val"])
    assert validated == [case["id"] for case in manifest["cases"] if case["split"] == "train"]


def test_no_hash_or_fingerprint_of_original_pixels_is_in_the_cohort(finished) -> None:
    from MedPrepLib.ledger import open_ledger

    folder, _ = finished
    with open_ledger(folder / "cohort-private" / "ledger.sqlite") as ledger:
        results = [r for r in ledger.results() if r.included]
    secrets = [s for r in results for s in (r.pixel_hash, r.fingerprint, *r.slice_hashes[:5])]
    assert len(secrets) > 30
    assert all(secrets)
    for path in (folder / "cohort").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(secret.encode() in data for secret in secrets), path


def test_a_second_run_does_nothing_and_says_so(finished) -> None:
    folder, _ = finished
    before = snapshot(folder / "cohort")
    done = medprep("run", folder / "study.toml", "--fail-on", "never")
    assert done.returncode == 0, done.stderr
    assert "Nothing to do: 18 cases unchanged" in done.stdout
    assert snapshot(folder / "cohort") == before
    summary = json.loads(medprep("run", folder / "study.toml", "--json").stdout)
    assert summary["headers_read"] == 0
    assert summary["cases_done"] == 0


@pytest.mark.fault("F52")
def test_one_worker_in_another_folder_writes_the_same_bytes(finished, tmp_path) -> None:
    folder, _ = finished
    shutil.copytree(folder / "raw", tmp_path / "raw")
    shutil.copy(folder / "study.toml", tmp_path)
    medprep("run", tmp_path / "study.toml", "--workers", "1")
    one, other = contents(folder / "cohort"), contents(tmp_path / "cohort")
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


def test_only_what_changed_is_done_again(finished, tmp_path) -> None:
    folder, _ = finished
    for name in ("raw", "cohort", "cohort-private"):
        shutil.copytree(folder / name, tmp_path / name)
    shutil.copy(folder / "study.toml", tmp_path)
    first = json.loads(medprep("run", tmp_path / "study.toml", "--json").stdout)
    assert first["cases_done"] == 18  # other paths are other inputs
    mask = next((tmp_path / "raw").rglob("ana.seg.nrrd"))
    mask.unlink()
    second = json.loads(medprep("run", tmp_path / "study.toml", "--json").stdout)
    assert (second["cases_done"], second["headers_read"]) == (1, 0)
    assert medprep("verify", tmp_path / "cohort").returncode == 0
    settings = (tmp_path / "study.toml").read_text().replace("folds = ", "folds = 2 # ")
    assert "folds = 2 #" in settings
    (tmp_path / "study.toml").write_text(settings)
    refused = medprep("run", tmp_path / "study.toml")
    assert (refused.returncode, "$.split.folds: 3 -> 2" in refused.stderr) == (3, True)
    third = json.loads(medprep("run", tmp_path / "study.toml", "--rebuild", "--json").stdout)
    assert (third["cases_done"], third["unchanged"]) == (0, False)


def test_a_case_that_left_the_study_leaves_the_cohort(finished, tmp_path) -> None:
    folder, _ = finished
    shutil.copytree(folder / "raw" / "west", tmp_path / "raw" / "west")
    shutil.copytree(folder / "raw" / "south", tmp_path / "raw" / "south")
    shutil.copy(folder / "study.toml", tmp_path)
    medprep("run", tmp_path / "study.toml")
    shutil.rmtree(next((tmp_path / "raw" / "south").iterdir()))
    medprep("run", tmp_path / "study.toml")
    assert medprep("verify", tmp_path / "cohort").returncode == 0


def test_the_report_draws_what_augmentation_would_do_to_a_case_of_each_modality(finished) -> None:
    folder, _ = finished
    manifest = json.loads((folder / "cohort" / "manifest.json").read_text())
    assert {"CT", "MR"} == {case["modality"] for case in manifest["cases"]}
    assert "report/augmentation.png" in {file["name"] for file in manifest["files"]}
    with Image.open(folder / "cohort" / "report" / "augmentation.png") as drawn:
        width, height = drawn.size
        second = np.asarray(drawn)[height // 2 :]
    assert width == 9 * 160
    assert second.std() > 10


def test_progress_comes_as_json_lines_with_a_last_line_for_programs(finished) -> None:
    folder, _ = finished
    done = medprep("run", folder / "study.toml", "--progress", "json", "--from", "report")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all({"stage", "done", "total", "item"} <= set(line) for line in lines[:-1])
    assert [line["stage"] for line in lines[:-1]][-1] == "report"
    assert lines[-1]["finished"] is True
    assert lines[-1]["exit"] == done.returncode == 1
    assert Path(lines[-1]["report"]).is_file()


def test_stages_can_be_stopped_at(sample, tmp_path) -> None:
    out = tmp_path / "c"
    done = medprep("run", sample / "study.toml", "--out", out, "--to", "screen", "--json")
    summary = json.loads(done.stdout)
    assert summary["report"] == ""
    assert not (out / "manifest.json").exists()
    codes = {f["code"] for f in summary["findings"]}
    assert {"SLICE_GAP", "NO_DEVICE"} <= codes
    assert "LOW_AGREEMENT" not in codes


def test_a_wrong_setting_stops_before_any_work(sample, tmp_path) -> None:
    text = (sample / "study.toml").read_text() + "\n[screeen]\nx = 1\n"
    (tmp_path / "study.toml").write_text(text)
    done = medprep("run", tmp_path / "study.toml")
    assert done.returncode == 2
    assert '$.screeen: unknown setting; did you mean "screen"?' in done.stderr
    assert not (tmp_path / "cohort").exists()


def test_a_folder_that_holds_something_else_is_not_touched(sample, tmp_path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    done = medprep("run", sample / "study.toml", "--out", tmp_path)
    assert done.returncode == 3
    assert "precious.txt" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


def test_pseudonyms_keep_names_out_of_the_cohort(sample, tmp_path) -> None:
    text = (sample / "study.toml").read_text()
    assert 'case_names = "given"' in text
    text = text.replace('case_names = "given"', 'case_names = "pseudonym"')
    text = text.replace('path = "raw"', f'path = "{(sample / "raw").as_posix()}"')
    (tmp_path / "study.toml").write_text(text)
    done = medprep("run", tmp_path / "study.toml")
    assert "manifest.json" in {p.name for p in (tmp_path / "cohort").iterdir()}, done.stderr
    data = b"".join(contents(tmp_path / "cohort").values())
    for name in (b"LC-0003", b"BR-0005", b"LC-0034"):
        assert name not in data.replace((sample / "raw").as_posix().encode(), b"")
    assert b"LC-0003" in (tmp_path / "cohort-private" / "identities.csv").read_bytes()


@pytest.mark.fault("F15")
@pytest.mark.skipif(os.name != "posix", reason="signals are a POSIX matter")
@pytest.mark.parametrize("how", ["signal", "file"])
def test_an_interrupted_run_ends_and_goes_on_later(sample, tmp_path, how) -> None:
    out, stop = tmp_path / "c", tmp_path / "stop"
    command = [sys.executable, "-m", "MedPrepLib", "run", str(sample / "study.toml")]
    command += ["--out", str(out), "--progress", "json", "--workers", "1"]
    command += ["--cancel-file", str(stop)] if how == "file" else []
    # Started in the background of a shell, the tests inherit an ignored SIGINT.
    command = ["env", "--default-signal=INT", *command]
    run = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert run.stdout is not None
    done = 0
    for line in run.stdout:
        step = json.loads(line)
        if step["stage"] == "cases" and step["done"] >= 2:
            done = step["done"]
            run.send_signal(signal.SIGINT) if how == "signal" else stop.touch()
            break
    # It takes a second where nothing else runs; this machine may be busy.
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "go on" in errors
    assert not (out / "manifest.json").exists()
    later = medprep("run", sample / "study.toml", "--out", out, "--json")
    assert json.loads(later.stdout)["cases_done"] <= 18 - done


def test_a_second_process_is_told_who_writes_the_cohort(sample, tmp_path) -> None:
    private = tmp_path / "c-private"
    private.mkdir()
    (private / "run.owner").write_text("process 42 on ward-7")
    with FileLock(private / "run.lock"):
        done = medprep("run", sample / "study.toml", "--out", tmp_path / "c")
    assert done.returncode == 3
    assert "process 42 on ward-7" in done.stderr
    assert not (tmp_path / "c" / "manifest.json").exists()


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        p.relative_to(folder).as_posix(): (p.stat().st_size, p.stat().st_mtime_ns)
        for p in folder.rglob("*")
        if p.is_file()
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }
