"""Worker processes that die, hang or raise."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from pathlib import Path

import pytest

from MedPrepLib.pipeline.crew import PRELOADED, LocalCrew
from MedPrepLib.pipeline.workers import Lost, WorkerPool


def double(task: int) -> int:
    return 2 * task


def die_on_three(task: int) -> int:
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def die_once(path: str) -> str:
    """Kills its worker the first time; ``path`` remembers."""
    mark = Path(path)
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def hang_on_zero(task: int) -> int:
    if task == 0:
        time.sleep(60)
    return task


def raise_on_one(task: int) -> int:
    if task == 1:
        raise ZeroDivisionError("a bug")
    return task


def test_every_task_is_answered() -> None:
    answers = dict(WorkerPool(double, LocalCrew(2), 60).run(range(7)))
    assert answers == {n: 2 * n for n in range(7)}


def test_no_tasks_need_no_worker() -> None:
    assert list(WorkerPool(double, LocalCrew(2), 60).run([])) == []


@pytest.mark.fault("F13")
def test_a_worker_that_dies_costs_its_own_task_only() -> None:
    answers = dict(WorkerPool(die_on_three, LocalCrew(2), 60).run(range(6)))
    lost = answers.pop(3)
    assert isinstance(lost, Lost)
    assert lost.why == "died"
    assert answers == {n: n for n in range(6) if n != 3}


@pytest.mark.fault("F13")
def test_a_task_whose_worker_died_once_is_tried_again(tmp_path) -> None:
    assert dict(WorkerPool(die_once, LocalCrew(1), 60).run([str(tmp_path / "mark")])) == {
        str(tmp_path / "mark"): "done"
    }


@pytest.mark.fault("F14")
def test_a_hanging_task_is_stopped_and_named_and_the_others_go_on() -> None:
    # On a busy machine, what workers are forked from takes longer to start than a task may.
    assert dict(WorkerPool(double, LocalCrew(1), 60).run([1])) == {1: 2}
    started = time.monotonic()
    answers = dict(WorkerPool(hang_on_zero, LocalCrew(2), 5).run(range(4)))
    lost = answers.pop(0)
    assert isinstance(lost, Lost)
    assert lost.why == "timeout"
    assert answers == {n: n for n in range(1, 4)}
    assert time.monotonic() - started < 50


def test_a_bug_stops_the_run() -> None:
    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(WorkerPool(raise_on_one, LocalCrew(1), 60).run(range(3)))


@pytest.mark.fault("F15")
def test_whoever_stops_listening_stops_the_workers() -> None:
    answers = WorkerPool(hang_on_zero, LocalCrew(2), 60).run([1, 0])
    assert next(answers) == (1, 1)
    started = time.monotonic()
    answers.close()
    assert time.monotonic() - started < 50, "nobody waited for it"


def test_what_workers_are_to_have_imported_exists() -> None:
    # The fork server passes over names that it cannot import, without a word.
    assert [name for name in PRELOADED if importlib.util.find_spec(name) is None] == []
