"""What programs and terminals are told while a study runs, and how many workers it gets."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from many_cases import write_many

from MedPrepLib.command.progress import Bars, JsonLines, Pace, listener
from MedPrepLib.identity import SiteKey, public_names
from MedPrepLib.pipeline import capacity as room
from MedPrepLib.pipeline import order_of
from MedPrepLib.pipeline.tasks import case_tasks, scan_cases
from MedPrepLib.progress import Step, silent


def test_rate_and_remaining_time_leave_out_what_was_done_before() -> None:
    now = [100.0]
    pace = Pace(lambda: now[0])
    assert pace.heard(Step("cases", 40, 100)) == (None, None)
    now[0] += 10
    assert pace.heard(Step("cases", 60, 100)) == (2.0, 20.0)
    assert pace.heard(Step("split", 1, 1)) == (None, None), "another stage begins anew"


def test_without_a_total_there_is_a_rate_and_no_remaining_time() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    pace.heard(Step("scan", 0, 0))
    now[0] = 4.0
    assert pace.heard(Step("scan", 8, 0)) == (2.0, None)


def test_json_lines_say_how_the_work_is_done(capsys) -> None:
    lines = JsonLines()
    lines.show(Step("cases", 0, 5, note="2 workers: 2 cores"))
    lines.show(Step("cases", 1, 5, "a"))
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {
        "stage": "cases",
        "done": 0,
        "total": 5,
        "item": "",
        "note": "2 workers: 2 cores",
    }
    assert second == {"stage": "cases", "done": 1, "total": 5, "item": "a"}


def test_nothing_is_shown_where_there_is_no_terminal(monkeypatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with listener("auto") as listen:
        assert listen is silent


def test_a_bar_names_case_rate_and_remaining_time(monkeypatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    bars = Bars()
    bars.show(Step("cases", 4, 10, note="2 workers: 2 cores"))
    bars.show(Step("cases", 7, 10, "north_c7"))
    bars.close()
    shown = screen.getvalue()
    assert "2 workers: 2 cores\n" in shown
    assert "7/10" in shown
    assert "cases/s, north_c7" in shown


@pytest.fixture
def tasks(tmp_path):
    scanned = scan_cases(order := order_of(write_many(tmp_path, 6)), None, silent)
    names = public_names((c.case for c in scanned.candidates), SiteKey(bytes(32)), "given")
    return case_tasks(order, scanned, names)


@pytest.mark.fault("F13")
@pytest.mark.parametrize(("free_mb", "workers"), [(0, 4), (100_000, 4), (350, 2), (10, 1)])
def test_workers_are_as_many_as_cores_and_memory_allow(tasks, monkeypatch, free_mb, workers):
    monkeypatch.setattr(room, "usable_cores", lambda: 4)
    monkeypatch.setattr(room, "free_memory_bytes", lambda: free_mb * 10**6)
    found = room.capacity(tasks)
    assert found.workers == workers
    assert str(found).startswith(f"{workers} worker")
    assert ("free" in str(found)) is (free_mb > 0)


def test_a_number_that_a_person_chose_is_kept(tasks, monkeypatch) -> None:
    monkeypatch.setattr(room, "free_memory_bytes", lambda: 10)
    found = room.capacity(tasks, 3)
    assert found.workers == 3
    assert str(found).startswith("3 workers as set: ")
    assert room.capacity(tasks, 9).workers == len(tasks) == 6


def test_the_memory_of_a_case_is_estimated_from_the_header_of_its_file(tasks) -> None:
    voxels = 26 * 22 * 12
    readings = len(tasks[0].candidate.case.raters)
    assert readings == 2
    per_voxel = room.BYTES_PER_VOXEL + 2 * room.BYTES_PER_READING_VOXEL
    assert room.case_bytes(tasks[:1]) == [room.WORKER_BYTES + round(per_voxel * voxels)]


def test_a_file_that_cannot_be_read_costs_a_worker_and_no_more(tasks) -> None:
    path = tasks[0].candidate.case.image.paths[0]
    Path(path).write_bytes(b"nothing")
    assert room.case_bytes(tasks[:1]) == [room.WORKER_BYTES]


def test_the_memory_of_a_batch_job_is_what_its_groups_leave(tmp_path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/slurm/job_7/step_0\n")
    job = tmp_path / "fs" / "slurm" / "job_7"
    (job / "step_0").mkdir(parents=True)
    (job / "step_0" / "memory.max").write_text("max\n")
    (job / "step_0" / "memory.current").write_text("5\n")
    (job / "memory.max").write_text("1000\n")
    (job / "memory.current").write_text("700\n")
    (job / "memory.stat").write_text("anon 400\ninactive_file 100\n")
    assert room._group_bytes(tmp_path / "fs", own) == 400
    (job / "memory.max").write_text("max\n")
    assert room._group_bytes(tmp_path / "fs", own) == 0


def test_this_machine_has_cores_and_memory() -> None:
    assert room.usable_cores() >= 1
    assert 0 < room.free_memory_bytes() < 1 << 45
