"""Disks that fill up, cases that never end, runs that are cancelled, and clocks that jump."""

from __future__ import annotations

import ast
import errno
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from dicom_files import save, slice_dataset
from faults import remade
from scene.case_samples import GRID

from MedPrepLib.dicom import part10
from MedPrepLib.dicom.duplicates import content_of
from MedPrepLib.dicom.headers import read_header
from MedPrepLib.errors import RunError
from MedPrepLib.export import export_cohort
from MedPrepLib.images import Volume
from MedPrepLib.load import open_cohort
from MedPrepLib.pipeline import casework, order_of, run, workers
from MedPrepLib.pipeline.crew import LocalCrew
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.verify import verify

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def study(tmp_path):
    return remade.write_study(tmp_path)


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# --- disks ------------------------------------------------------------------------------------
@pytest.fixture
def small_disk(tmp_path):
    """A real disk with room for the first case and not for the next."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1128k", "tmpfs", str(place)]
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine mounts no small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.fault("F3")
def test_a_disk_that_fills_up_stops_the_run_and_what_was_done_counts(study, small_disk):
    private = study.parent / "private"
    private.mkdir()
    (small_disk / "cohort-private").symlink_to(private)
    order = order_of(study, small_disk / "cohort", workers=1, force=True)
    with pytest.raises(
        RunError,
        match=r"case north_p\d_c\d needs up to \d\.\d MB, and \d\.\d MB are free; make room",
    ):
        run(order, key=remade.KEY)
    left = [path for path in (small_disk / "cohort").rglob("*") if path.is_file()]
    assert left, "the case that fitted"
    assert {path.suffix for path in left} == {".h5"}
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    done = run(order, key=remade.KEY)
    assert done.cases_done == 3 - len(left)
    assert verify(small_disk / "cohort") == ()


@pytest.mark.fault("F9")
@pytest.mark.skipif(sys.platform != "linux", reason="what is mounted is asked of Linux")
@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_on_a_network_drive_a_run_and_one_hdf5_file_work_and_lmdb_is_refused(
    study, tmp_path, monkeypatch, kind
):
    pytest.importorskip("lmdb")
    monkeypatch.setattr(workers.WorkerPool, "run", remade.here_and_now)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"30 21 0:30 / {str(tmp_path).replace(' ', chr(92) + '040')} rw - {kind} server:/x rw\n"
    )
    monkeypatch.setattr("MedPrepLib.export.network._MOUNTS", mounts)
    remade.make(study, tmp_path)
    cohort = tmp_path / "cohort"
    with pytest.raises(RunError, match=rf"{kind}.*--allow-network"):
        export_cohort(cohort, "lmdb", tmp_path / "one")
    export_cohort(cohort, "hdf5", tmp_path / "one.h5")
    assert open_cohort(tmp_path / "one.h5").read("north_p0_c0").id == "north_p0_c0"


@pytest.mark.fault("F8")
@pytest.mark.parametrize(("times", "read"), [(2, True), (1000, False)])
def test_a_drive_that_hiccups_while_slices_are_compared_is_asked_again(
    tmp_path, monkeypatch, times, read
):
    header = read_header(str(save(slice_dataset(0), tmp_path / "slice.dcm")))
    expected, left, opened = content_of(header), [times], part10.FileIO

    def opening(name):
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)
        return opened(name)

    monkeypatch.setattr(part10, "FileIO", opening)
    monkeypatch.setattr("MedPrepLib.hiccups.WAITS_S", (0.0, 0.0, 0.0))
    assert (content_of(header) == expected) is read


# --- time ---------------------------------------------------------------------------------------
@pytest.mark.fault("F14")
def test_a_case_that_never_ends_is_stopped_and_left_out_and_the_others_are_done(study, monkeypatch):
    study.write_text(study.read_text() + "[run]\ntimeout_s = 6\n")
    # On a busy machine, what workers are forked from takes longer to start than a case may.
    assert dict(workers.WorkerPool(abs, LocalCrew(1), 60).run([-1])) == {-1: 1}
    monkeypatch.setattr(casework, "work", remade.hang_on_the_first)
    done = run(order_of(study, workers=2), key=remade.KEY)
    (lost,) = done.excluded
    (finding,) = (f for f in lost.findings if f.code == "WORKER_TIMEOUT")
    assert "(limit 6 s)" in finding.message
    assert len(done.included) == 2
    monkeypatch.undo()
    assert run(order_of(study, workers=1), key=remade.KEY).cases_done == 1, "it is tried again"


@pytest.mark.fault("F56")
def test_clocks_that_jump_change_neither_the_run_nor_its_cohort(study, tmp_path, monkeypatch):
    monkeypatch.setattr(workers.WorkerPool, "run", remade.here_and_now)
    remade.make(study, tmp_path / "steady")
    draw, year_s = random.Random(0), 3e7
    monkeypatch.setattr(time, "time", lambda: 1e9 + draw.uniform(-year_s, year_s))
    monkeypatch.setattr(time, "time_ns", lambda: int(time.time() * 1e9))
    remade.make(study, tmp_path / "jumping")
    assert contents(tmp_path / "jumping/cohort") == contents(tmp_path / "steady/cohort")


@pytest.mark.fault("F56")
def test_only_monotonic_clocks_measure_and_wall_clocks_only_date_private_lines():
    dated = {"trail.py", "sitelog.py", "pipeline/lock.py", "review/store.py",
             "review/readmissions.py"}  # fmt: skip
    wall = {"time", "time_ns", "ctime", "localtime", "gmtime", "strftime", "now", "today", "utcnow"}
    found = set()
    library = REPOSITORY / "MedPrepLib"
    for path in library.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in wall
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in {"time", "datetime", "date"}
            ):
                found.add(path.relative_to(library).as_posix())
    assert found == dated


# --- people ---------------------------------------------------------------------------------------
@pytest.mark.fault("F15")
def test_a_cancelled_run_leaves_no_partial_file(study, tmp_path, monkeypatch):
    monkeypatch.setattr(workers.WorkerPool, "run", remade.here_and_now)
    pack = casework.STEPS["pack"]

    def torn(task, draft):
        """Somebody presses Ctrl+C, and the worker is ended while it writes."""
        done = pack(task, draft)
        path = task.cohort / done.shard.name
        path.rename(path.with_name(f"{task.name}.h5.0123abcd.partial"))
        raise KeyboardInterrupt

    monkeypatch.setitem(casework.STEPS, "pack", torn)
    with pytest.raises(KeyboardInterrupt):
        remade.make(study, tmp_path)
    assert [p for p in (tmp_path / "cohort").rglob("*") if p.is_file()] == []
    monkeypatch.setitem(casework.STEPS, "pack", pack)
    remade.make(study, tmp_path)
    assert verify(tmp_path / "cohort") == ()


@pytest.mark.fault("F38")
def test_one_image_that_two_people_are_said_to_have_is_told_and_kept_together(
    study, tmp_path, monkeypatch
):
    monkeypatch.setattr(workers.WorkerPool, "run", remade.here_and_now)
    raw = tmp_path / "raw"
    for number in range(6):
        here = raw / "south" / f"q{number}" / f"d{number}"
        shutil.copytree(raw / "north/p0/c0", here)
        image = np.random.default_rng(50 + number).integers(0, 500, GRID.shape).astype(np.int16)
        write_nifti(here / "image.nii.gz", Volume(image, GRID))
    copy = raw / "south" / "copy" / "e0"
    shutil.copytree(raw / "north/p0/c0", copy)
    # Exported once more, by a program that puts the lower half of the numbers elsewhere.
    image = np.random.default_rng(0).integers(0, 500, GRID.shape).astype(np.float32)
    write_nifti(copy / "image.nii.gz", Volume(image, GRID))
    study.write_text(study.read_text().replace("test_fraction = 0", "test_fraction = 0.3"))
    done = run(order_of(study, workers=1), key=remade.KEY)
    places = done.plan.places
    assert (places["north_p0_c0"].part, places["north_p0_c0"].fold) == (
        places["south_copy_e0"].part,
        places["south_copy_e0"].fold,
    )
    told = {result.id for result in done.results if "LEAK_SUSPECT" in
            {finding.code for finding in result.findings}}  # fmt: skip
    assert told == {"north_p0_c0", "south_copy_e0"}


# --- the same, always ----------------------------------------------------------------------------
WAYS = ((1, "0", "UTC"), (8, "random", "America/St_Johns"), (2, "1", "Asia/Tokyo"))
"""Workers, hash seeds and time zones."""


@pytest.mark.fault("F52")
@pytest.mark.parametrize("ways", [WAYS[:2], pytest.param(WAYS, marks=pytest.mark.heavy)])
def test_workers_hash_seeds_and_folders_change_no_byte(study, tmp_path, ways):
    made = []
    for number, (count, seed, zone) in enumerate(ways):
        place = tmp_path.joinpath(*["deep"] * number, str(number))
        place.mkdir(parents=True)
        shutil.copytree(tmp_path / "raw", place / "raw")
        shutil.copy(study, place)
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": seed, "TZ": zone,
               "MEDPREP_KEY_FILE": str(tmp_path / "site.key")}  # fmt: skip
        command = [sys.executable, "-m", "MedPrepLib", "run", str(place / "study.toml"),
                   "--workers", str(count)]  # fmt: skip
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        made.append(contents(place / "cohort"))
    assert all(one == made[0] for one in made)
    assert len(made[0]) > 5
