"""A run that is made again: what the ledger may keep, and what has to be looked at anew."""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import medprep
from core import small_studies
from core.small_studies import finished, write_study
from faults import remade
from faults.dicom_study import dicom_study
from faults.somebody import nobody

from MedPrepLib.dicom import decode
from MedPrepLib.errors import RecipeError, RunError, UnsupportedError
from MedPrepLib.ledger import open_ledger
from MedPrepLib.pipeline import Shard, Summary, casework, imagework, order_of, run, workers
from MedPrepLib.progress import Step
from MedPrepLib.verify import verify


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setattr(workers.WorkerPool, "run", remade.here_and_now)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    return write_study(folder, [{"case": f"c{n}", "patient": f"p{n}"} for n in range(2)])


def codes(summary: Summary) -> list[str]:
    return sorted(f.code for f in summary.findings if f.severity.name == "REJECT")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def afresh(folder: Path, settings: str = "") -> dict[str, bytes]:
    """A cohort that is made at once, of the same split."""
    record = folder / "cohort-private" / "split.json"
    (folder / "new-private").mkdir()
    (folder / "new-private" / record.name).write_bytes(record.read_bytes())
    finished(folder, settings, cohort="new")
    return contents(folder / "new")


def as_nobody(folder: Path, closed: Path | None = None) -> Summary:
    """A run by somebody whom files can be kept from; the folder is his own, but for ``closed``."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            if path != closed and path.stat().st_mode & 0o777:
                os.chown(path, 65534, -1)
    with nobody(folder):
        return finished(folder)


@pytest.mark.parametrize("name", ["0.nii.gz", "0-ana.nii.gz"])
def test_a_file_that_may_be_read_at_last_is_read(study: Path, name: str):
    finished(study)  # imports what somebody else may not
    for folder in ("cohort", "cohort-private"):
        shutil.rmtree(study / folder)
    closed = study / "raw" / name
    closed.chmod(0o600 if os.geteuid() == 0 else 0)
    first = as_nobody(study, closed)
    assert "ACCESS_DENIED" in codes(first)
    (said,) = {f.message for f in first.findings if f.code == "ACCESS_DENIED"}
    assert said == "1 file may not be read by the account of this run"
    if os.geteuid() != 0:
        closed.chmod(0o644)
    again = finished(study)  # by another account: nothing of the file changed
    assert codes(again) == []
    assert again.cases_done == 1
    assert contents(study / "cohort") == afresh(study)


def test_a_codec_that_was_installed_is_used(study: Path, monkeypatch):
    def missing(*_: object) -> None:
        raise UnsupportedError(f"no codec is installed; {decode.INSTALL_CODECS} brings it")

    with monkeypatch.context() as patch:
        patch.setattr(imagework, "_read_image", missing)
        assert codes(finished(study)) == ["CODEC_MISSING"] * 2
    assert codes(finished(study)) == []
    assert contents(study / "cohort") == afresh(study)


def test_a_case_that_lacked_memory_is_done_where_there_is_more(study: Path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(casework.STEPS, "align", lambda _task, _draft: np.empty(1 << 55, np.uint8))
        assert codes(finished(study)) == ["WORKER_MEMORY"] * 2
    assert codes(finished(study)) == []
    assert contents(study / "cohort") == afresh(study)


@pytest.mark.parametrize("name", ["report/index.html", "cases.csv"])
def test_what_was_lost_of_a_cohort_is_written_again(study: Path, name: str):
    finished(study)
    whole = contents(study / "cohort")
    (study / "cohort" / name).unlink()
    assert not finished(study).unchanged
    assert contents(study / "cohort") == whole
    assert finished(study).unchanged


def test_a_cohort_from_an_older_copy_is_brought_up_to_date(study: Path):
    finished(study)
    shutil.copytree(study / "cohort", study / "copy")
    shutil.copyfile(study / "raw" / "0-ben.nii.gz", study / "raw" / "1-ana.nii.gz")
    finished(study)
    newest = contents(study / "cohort")
    shutil.rmtree(study / "cohort")
    (study / "copy").rename(study / "cohort")
    assert not finished(study).unchanged
    assert contents(study / "cohort") == newest


def test_other_settings_stop_a_run_that_lost_its_private_folder(study: Path):
    finished(study)
    before = contents(study / "cohort")
    shutil.rmtree(study / "cohort-private")
    with pytest.raises(
        RecipeError, match=r"(?s)consensus.ties: .background. -> .foreground.*--rebuild"
    ):
        finished(study, '[consensus]\nties = "foreground"\n')
    assert contents(study / "cohort") == before
    (study / "fixed.csv").write_text("patient,set,fold\nnobody,train,\n")
    finished(study, '[split]\nfixed = "fixed.csv"\n')
    finished(
        study, '[split]\nfixed = "fixed.csv"\n[consensus]\nties = "foreground"\n', rebuild=True
    )


def test_a_file_more_among_the_sources_is_counted_in_the_report(study: Path):
    source = '[screen.severity]\nFILE_IGNORED = "off"\n[[sources]]\nkind = "dicom"\npath = "tree"\n'
    (study / "tree").mkdir()
    finished(study, source)
    (study / "tree" / "note.txt").write_text("nothing")
    finished(study, source)
    assert contents(study / "cohort") == afresh(study, source)


def test_a_run_that_was_killed_after_a_picture_leaves_the_picture_of_the_last_cohort(
    study: Path, monkeypatch
):
    """Settings are changed and changed back: nothing of the run in between is shown."""
    drawn, other = "[report]\npictures = true\n", '[consensus]\nties = "foreground"\n'
    text = small_studies.STUDY.replace("[report]\npictures = false\n", drawn)
    monkeypatch.setattr(small_studies, "STUDY", text)
    finished(study)
    before = contents(study / "cohort")
    with monkeypatch.context() as patch:
        patch.setitem(casework.STEPS, "pack", ended)
        with pytest.raises(KeyboardInterrupt):
            finished(study, other, rebuild=True)
    finished(study, rebuild=True, start="report")
    assert contents(study / "cohort") == before


def ended(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_image_in_a_closed_folder_is_left_out_and_the_others_go_on(study: Path):
    finished(study)  # imports what somebody else may not
    (study / "raw" / "closed").mkdir()
    (study / "raw" / "0.nii.gz").rename(study / "raw" / "closed" / "0.nii.gz")
    table = (study / "cases.csv").read_text().replace("raw/0.nii.gz", "raw/closed/0.nii.gz")
    (study / "cases.csv").write_text(table)
    (study / "raw" / "closed").chmod(0)
    first = as_nobody(study)
    (study / "raw" / "closed").chmod(0o755)
    assert codes(first) == ["ACCESS_DENIED"]
    assert len(first.included) == 1
    assert codes(as_nobody(study)) == []


def test_percentiles_that_no_preview_can_use_do_not_stop_a_run(study: Path, monkeypatch):
    drawn = small_studies.STUDY.replace("pictures = false", "pictures = true")
    monkeypatch.setattr(small_studies, "STUDY", drawn)
    done = finished(study, "[standardize]\npercentiles = [1.0, 50.0]\n")
    assert done.report is not None
    assert done.report.is_file()


def test_from_scan_reads_every_header_and_does_every_case_again(tmp_path: Path):
    dicom_study(tmp_path)
    study = tmp_path / "study.toml"
    assert run(order_of(study, workers=1), key=small_studies.KEY).headers_read == 6
    again = run(order_of(study, workers=1), key=small_studies.KEY)
    assert (again.headers_read, again.cases_done) == (0, 0)
    shard = order_of(study, workers=1, start="scan", shard=Shard(1, 1))
    for order in (shard, order_of(study, workers=1, start="scan")):
        anew = run(order, key=small_studies.KEY)
        assert (anew.headers_read, anew.cases_done) == (6, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "pack", "--to", "scan"], "stage 'pack' comes after 'scan'"),
        (["--shard", "3/2"], "3/2 is no shard"),
        (["--shard", "1/2", "--from", "report"], "a shard has no stage 'report'"),
        (["--cluster", "tcp://127.0.0.1:9", "--workers", "2"], "--workers are processes here"),
    ],
)
def test_what_contradicts_itself_is_a_wrong_call(tmp_path: Path, words: list[str], said: str):
    dicom_study(tmp_path)
    answer = medprep("run", tmp_path / "study.toml", *words)
    assert answer.returncode == 2
    assert said in answer.stderr


def test_how_the_work_is_done_is_no_part_of_a_cohort(study: Path):
    finished(study)
    how = '[run]\nworkers = 3\nfail_on = "never"\n'
    assert finished(study, how).unchanged
    assert contents(study / "cohort") == afresh(study, how)


def test_that_somebody_was_placed_by_hand_is_told_where_it_moves_nobody(study: Path):
    silent = '[screen.severity]\nSPLIT_FIXED_UNKNOWN = "off"\n'
    finished(study, silent)
    (study / "fixed.csv").write_text("patient,set,fold\nnobody,train,\n")
    given = silent + '[split]\nfixed = "fixed.csv"\n'
    finished(study, given, rebuild=True)
    assert contents(study / "cohort") == afresh(study, given)


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX only")
def test_a_folder_whose_name_is_no_text_is_refused_in_words(tmp_path: Path):
    folder = tmp_path / os.fsdecode(b"K\xf6ln")
    folder.mkdir()
    dicom_study(folder)
    answer = medprep("run", folder / "study.toml")
    assert answer.returncode == 3
    assert answer.stderr.strip().endswith("K\\xf6ln is no name in UTF-8; rename that folder")


@pytest.mark.skipif(os.name != "posix", reason="limits of a shell")
def test_a_ledger_that_cannot_grow_is_told_as_a_full_disk_and_not_as_no_ledger(tmp_path: Path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_ledger(tmp_path / "ledger.sqlite"):
        pass
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with (
            pytest.raises(RunError, match=r"cannot be read or written .* run again"),
            open_ledger(tmp_path / "ledger.sqlite") as ledger,
        ):
            ledger.remember("large", bytes(1 << 18))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.recall("large") is None


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked from a server on Linux")
def test_ctrl_c_while_workers_are_started_is_answered_by_their_parent_alone():
    """It reaches the whole group of processes, the server that imports everything among them."""
    code = (
        "import os, signal, threading, time\n"
        "from multiprocessing.forkserver import _forkserver\n"
        "from MedPrepLib.pipeline.crew import LocalCrew\n"
        "def press():\n"
        "    while crew is not None:\n"
        "        if _forkserver._forkserver_pid:\n"
        "            os.kill(_forkserver._forkserver_pid, signal.SIGINT)\n"
        "        time.sleep(0.02)\n"
        "crew = LocalCrew(1)\n"
        "threading.Thread(target=press, daemon=True).start()\n"
        "print(crew.submit(abs, -7).result())\n"
        "crew = crew.stop()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=200
    )
    assert (done.stdout, done.stderr) == ("7\n", "")


def test_split_and_report_are_told_when_they_begin_and_when_they_end(study: Path):
    """Of a large cohort they take minutes, in which the cases stood at 100 %."""
    heard: list[tuple[str, int, int]] = []

    def listen(step: Step) -> None:
        heard.append((step.stage, step.done, step.total))
        if step.stage == "report" and not step.done:
            assert not (study / "cohort" / "manifest.json").exists()

    run(small_studies.order_of(study), listen, key=small_studies.KEY)
    told = [one for one in heard if one[0] in ("split", "report")]
    assert told == [("split", 0, 1), ("split", 1, 1), ("report", 0, 1), ("report", 1, 1)]


def test_what_a_part_with_other_settings_left_is_removed_where_nothing_changed(study: Path):
    finished(study)
    before = contents(study / "cohort")
    finished(study, '[pack]\ncodec = "gzip"\n', rebuild=True, shard=Shard(1, 1))
    assert len(contents(study / "cohort")) == len(before) + 2
    assert finished(study, rebuild=True).unchanged
    assert contents(study / "cohort") == before
    assert verify(study / "cohort") == ()


@pytest.mark.parametrize("code", ["FILE_UNREADABLE", "AMBIGUOUS_IMAGE", "NIFTI_INVALID"])
def test_an_image_that_cannot_be_read_is_left_out_whatever_the_study_makes_of_it(
    study: Path, code: str
):
    image = study / "raw" / "0.nii.gz"
    if code == "AMBIGUOUS_IMAGE":
        (study / "raw" / "two").mkdir()
        for name in ("one.nii.gz", "other.nii.gz"):
            shutil.copy(image, study / "raw" / "two" / name)
        table = (study / "cases.csv").read_text().replace("raw/0.nii.gz", "raw/two")
        (study / "cases.csv").write_text(table)
    elif code == "FILE_UNREADABLE":
        image.write_bytes(image.read_bytes()[:100])
    else:
        image.write_bytes(gzip.compress(bytes(400)))
    assert codes(finished(study)) == [code]
    done = finished(study, f'[screen.severity]\n{code} = "note"\n', rebuild=True)
    assert len(done.included) == 1
    assert codes(done) == ["PIXELS_UNREADABLE"]


def test_what_libraries_said_in_a_run_stands_counted_in_the_private_log(study: Path, monkeypatch):
    def warned(_task: object, draft: object) -> object:
        logging.getLogger("pydicom").warning("MUSTERMANN in (0010,0010)")
        return draft

    monkeypatch.setitem(casework.STEPS, "recheck", warned)
    assert finished(study).cases_done == 2
    *_, last = (study / "cohort-private" / "run.log").read_text().splitlines()
    said = json.loads(last)
    assert said["event"] == "run finished"
    assert said["libraries"] == [{"category": "pydicom WARNING", "tag": "(0010,0010)", "count": 2}]


def test_no_page_of_a_case_that_left_stays_where_the_manifest_was_lost(study: Path):
    finished(study)
    (study / "cohort" / "manifest.json").unlink()
    table = (study / "cases.csv").read_text().splitlines()
    (study / "cases.csv").write_text("\n".join(table[:-1]) + "\n")
    finished(study)
    assert len([*(study / "cohort" / "report" / "cases").glob("*.html")]) == 1
    assert contents(study / "cohort") == afresh(study)
    assert verify(study / "cohort") == ()
