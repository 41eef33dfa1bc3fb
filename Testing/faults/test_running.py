"""Faults while a study runs: disks, drives, processes, and people who change things meanwhile."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import commands
import numpy as np
import pytest
from dicom_files import save, slice_dataset
from faults.somebody import nobody
from scene.case_samples import write_study

from MedPrepLib import atomic
from MedPrepLib.config.settings import Screen
from MedPrepLib.errors import RecipeError, RunError
from MedPrepLib.identity import SiteKey, public_names
from MedPrepLib.pipeline import casework, order_of, preflight, run, workers
from MedPrepLib.pipeline.crew import LocalCrew
from MedPrepLib.pipeline.tasks import case_tasks, scan_cases, watched
from MedPrepLib.progress import silent
from MedPrepLib.scan.headers import HeaderReader
from MedPrepLib.scan.image import find_image
from MedPrepLib.scan.walk import listing_of
from MedPrepLib.verify import verify

KEY = SiteKey(bytes(32))
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path)


def go(study, **how):
    return run(order_of(study, workers=1, **how), key=KEY)


def task_of(study):
    """The one case of the study as a worker gets it."""
    order = order_of(study)
    preflight_folders(order)
    scanned = scan_cases(order, None, silent)
    names = public_names((c.case for c in scanned.candidates), KEY, "pseudonym")
    (task,) = watched(case_tasks(order, scanned, names))
    return task


def preflight_folders(order):
    for folder in (order.cohort, order.private / "pictures"):
        atomic.make_folder(folder)


def codes(result):
    return {finding.code for finding in result.findings}


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def medprep(*words, **more):
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), **more.pop("env", {})}
    command = [sys.executable, "-m", "MedPrepLib", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, env=env, timeout=120, check=False, **more
    )


@pytest.mark.fault("F4")
def test_a_disk_without_room_for_the_cohort_stops_the_run_before_it_begins(study, monkeypatch):
    usage = shutil.disk_usage(study.parent)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: usage._replace(free=10 << 20))
    with pytest.raises(RunError, match=r"268\.\d MB may be needed, 10\.5 MB are free.*--force"):
        go(study)
    assert not list((study.parent / "cohort").rglob("*.h5"))
    assert go(study, force=True).included


@pytest.mark.fault("F5")
@pytest.mark.parametrize("name", ["manifest.json", "index.html", "agreement.csv"])
def test_a_disk_that_fills_up_with_the_last_files_leaves_the_cohort_as_it_was(
    study, monkeypatch, name
):
    go(study)
    before = contents(study.parent / "cohort")
    sync = atomic._sync_file

    def full(path):
        if path.name == f"{name}.partial":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(path)

    monkeypatch.setattr(atomic, "_sync_file", full)
    with pytest.raises(OSError, match="No space left"):
        go(study, start="report")
    assert contents(study.parent / "cohort") == before
    assert verify(study.parent / "cohort") == ()


@pytest.mark.fault("F6")
@pytest.mark.skipif(os.name != "posix", reason="modes of files are a POSIX matter")
def test_a_folder_that_may_not_be_written_is_named_before_anything_is_read(study):
    target = study.parent / "shelf"
    target.mkdir(mode=0o555)
    order = order_of(study, target / "cohort")
    with nobody(study.parent), pytest.raises(RunError, match=r"cannot write to .*shelf/cohort"):
        run(order, lambda step: pytest.fail(f"{step} was done"), key=KEY)


@pytest.mark.fault("F7")
@pytest.mark.parametrize("what", ["image.nii.gz", "masks/ben.nii.gz"])
@pytest.mark.parametrize("vanishes", [False, True])
def test_a_source_that_changes_while_it_is_used_excludes_its_case(
    study, monkeypatch, what, vanishes
):
    task = task_of(study)
    path = study.parent / "raw/north/p1/c1" / what
    agree = casework.STEPS["agree"]

    def meanwhile(*arguments):
        path.unlink() if vanishes else path.write_bytes(path.read_bytes()[:-1])
        return agree(*arguments)

    monkeypatch.setitem(casework.STEPS, "agree", meanwhile)
    result = casework.work(task)
    assert "SOURCE_CHANGED" in codes(result)
    assert not result.included
    assert not list(task.cohort.rglob("*.h5"))


def hiccups(monkeypatch, path, times):
    """The drive answers only after ``times`` tries to open the file."""
    left = [times]
    opened = Path.open

    def opening(self, *args, **more):
        if self == path and left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(self))
        return opened(self, *args, **more)

    monkeypatch.setattr(Path, "open", opening)
    monkeypatch.setattr("MedPrepLib.hiccups.WAITS_S", (0.0, 0.0, 0.0))


@pytest.mark.fault("F8")
@pytest.mark.parametrize("what", ["image.nii.gz", "masks/ben.nii.gz"])
def test_a_drive_that_answers_at_the_third_try_costs_nothing(study, monkeypatch, what):
    task = task_of(study)
    hiccups(monkeypatch, study.parent / "raw/north/p1/c1" / what, 2)
    assert casework.work(task).included


@pytest.mark.fault("F8")
@pytest.mark.parametrize("what", ["image.nii.gz", "masks/ben.nii.gz"])
def test_a_drive_that_stays_away_excludes_the_case_and_says_how_to_go_on(study, monkeypatch, what):
    task = task_of(study)
    hiccups(monkeypatch, study.parent / "raw/north/p1/c1" / what, 1000)
    result = casework.work(task)
    (finding,) = (f for f in result.findings if f.code == "SOURCE_OFFLINE")
    assert finding.message == "a drive says: Input/output error"
    assert "again" in finding.remedy
    assert casework.is_passing(result), "the next run does not take this over"


@pytest.mark.fault("F8")
@pytest.mark.parametrize(("times", "read"), [(2, 1), (1000, 0)])
def test_a_drive_that_hiccups_during_the_scan_costs_a_try_or_a_file_and_not_the_run(
    tmp_path, monkeypatch, times, read
):
    path = save(slice_dataset(0), tmp_path / "slice.dcm")
    left, opened = [times], os.open

    def opening(name, *arguments, **more):
        if str(name) == str(path) and left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)
        return opened(name, *arguments, **more)

    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr("MedPrepLib.hiccups.WAITS_S", (0.0, 0.0, 0.0))
    headers, _, found = HeaderReader(None, ()).read([listing_of(str(path))], "tree")
    assert len(headers) == read
    assert [f.code for f in found] == ([] if read else ["FILE_UNREADABLE"])
    assert all("Input/output error" in f.message for f in found)


@pytest.mark.fault("F8")
def test_an_image_on_a_drive_that_is_away_is_not_said_to_be_missing(tmp_path, monkeypatch):
    def away(call):
        def calling(name, *arguments, **more):
            if Path(name).name == "image.nii.gz":
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), name)
            return call(name, *arguments, **more)

        return calling

    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, away(getattr(os, name)))
    image = find_image(tmp_path / "image.nii.gz", "c1", HeaderReader(None, ()), Screen())
    (finding,) = image.findings
    assert (finding.code, finding.severity.word) == ("SOURCE_OFFLINE", "reject")
    assert finding.message == f"the image cannot be reached: {os.strerror(errno.ESTALE)}"


@pytest.mark.fault("F10")
@pytest.mark.skipif(os.name != "posix", reason="signals are a POSIX matter")
def test_a_killed_process_locks_nobody_out(study):
    private = study.parent / "cohort-private"
    holder = (
        "import sys, time; from pathlib import Path; from MedPrepLib.pipeline.lock import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    private.mkdir()
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", holder, str(private)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout.readline() == "held\n"
        started = time.monotonic()
        refused = commands.medprep("run", study)
        assert time.monotonic() - started < 50, "nobody waited for the lock"
        assert refused.returncode == 3
        assert f"process {process.pid} on " in refused.stderr
        assert " since 20" in refused.stderr
        process.send_signal(signal.SIGKILL)
    assert go(study).included


@pytest.mark.fault("F12")
def test_other_settings_stop_a_later_run_with_what_differs(study):
    go(study)
    before = contents(study.parent / "cohort")
    text = study.read_text()
    study.write_text(text + "[agree]\nthreshold = 0.8\n[screen.severity]\nANISOTROPIC = 'off'\n")
    with pytest.raises(RecipeError) as refused:
        go(study)
    assert "$.agree.threshold: 0.7 -> 0.8" in str(refused.value)
    assert '$.screen.severity.ANISOTROPIC: not set -> "off"' in str(refused.value)
    assert "--rebuild" in str(refused.value)
    assert contents(study.parent / "cohort") == before
    assert go(study, rebuild=True).cases_done == 1
    assert go(study).unchanged, "the new settings are those of the cohort now"


@pytest.mark.fault("F12")
def test_how_the_work_is_done_may_change_at_any_time(study):
    go(study)
    study.write_text(study.read_text() + "[run]\ntimeout_s = 100\n")
    assert go(study).cases_done == 0


@pytest.mark.fault("F13")
def test_a_case_that_asks_for_too_much_memory_is_excluded_and_says_how_large_it_is(
    study, monkeypatch
):
    monkeypatch.setitem(casework.STEPS, "align", lambda _task, _draft: np.empty(1 << 55, np.uint8))
    result = casework.work(task_of(study))
    (finding,) = (f for f in result.findings if f.code == "WORKER_MEMORY")
    assert "26 x 22 x 12 voxels" in finding.message


@pytest.mark.fault("F13")
@pytest.mark.skipif(sys.platform != "linux", reason="address limits are those of Linux")
def test_a_worker_cannot_take_more_memory_than_it_may():
    pool = workers.WorkerPool(take, LocalCrew(1, memory_bytes=12 << 30), 60)
    assert dict(pool.run([1 << 20, 16 << 30])) == {1 << 20: "taken", 16 << 30: "refused"}


def take(count: int) -> str:
    try:
        np.empty(count, np.uint8)
    except MemoryError:
        return "refused"
    return "taken"


@pytest.mark.fault("F50")
@pytest.mark.skipif(os.name != "posix", reason="modes of files are a POSIX matter")
def test_nothing_is_readable_by_others_whatever_the_umask(study):
    before = os.umask(0)
    try:
        go(study)
    finally:
        os.umask(before)
    for name in ("cohort", "cohort-private"):
        folder = study.parent / name
        for path in (folder, *folder.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.fault("F55")
@pytest.mark.parametrize(
    "locale", ["C", pytest.param("de_DE.UTF-8", marks=pytest.mark.heavy), "tr_TR.UTF-8"]
)
def test_spaces_umlauts_other_scripts_and_locales_change_nothing(tmp_path, locale):
    folder = tmp_path / "Fälle von Müller 影像 (2)"
    folder.mkdir()
    study = write_study(folder)
    done = medprep("run", study, "--json", env={"LC_ALL": locale, "LANG": locale})
    assert done.returncode == 0, done.stderr
    plain = write_study(tmp_path)
    other = commands.medprep("run", plain, "--json")
    assert other.returncode == 0, other.stderr
    one, two = (
        {k: v for k, v in contents(s.parent / "cohort").items() if k.suffix == ".csv"}
        for s in (study, plain)
    )
    assert one == two
    assert json.loads(done.stdout)["included"] == 1


@pytest.mark.fault("F59")
def test_nothing_ever_asks_for_the_network(study, tmp_path):
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(
        "import sys\n"
        "def hook(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'urllib.Request'):\n"
        "        where = arguments[-1] if event == 'socket.connect' else arguments[0]\n"
        "        if not isinstance(where, str) or event != 'socket.connect':\n"
        "            raise RuntimeError(f'the network was asked for: {event} {where}')\n"
        "sys.addaudithook(hook)\n"
    )
    done = medprep("run", study, env={"PYTHONPATH": f"{guard}{os.pathsep}{REPOSITORY}"})
    assert done.returncode == 0, done.stderr
    probe = subprocess.run(
        [sys.executable, "-c", "import socket; socket.create_connection(('127.0.0.1', 9))"],
        env={**os.environ, "PYTHONPATH": str(guard)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the network was asked for" in probe.stderr, "the guard works"
