"""Worker processes that die, hang or raise."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from core.small_studies import KEY, order_of, write_study

from MedPrepLib.identity import public_names
from MedPrepLib.pipeline.cases import needed_by
from MedPrepLib.pipeline.crew import (
    OF_OBJECTS,
    OF_RATERS,
    PRELOADED,
    THREADS,
    LocalCrew,
    one_thread_each,
)
from MedPrepLib.pipeline.draft import CaseTask
from MedPrepLib.pipeline.tasks import case_tasks, scan_cases
from MedPrepLib.pipeline.workers import Lost, WorkerPool
from MedPrepLib.progress import silent


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


def threads_of_libraries(_task: int) -> list[int]:
    """How many threads every numerical library of a worker calculates with."""
    import numpy  # noqa: F401
    import threadpoolctl

    return [library["num_threads"] for library in threadpoolctl.threadpool_info()]


def with_readings(task: CaseTask, named: Callable[[str], str] | None) -> CaseTask:
    """The same case whose masks have other paths; None: without any."""
    case, replaced = task.candidate.case, msgspec.structs.replace
    readings = [] if named is None else [
        replaced(r, parts=tuple(replaced(p, path=named(p.path)) for p in r.parts))
        for r in case.readings
    ]  # fmt: skip
    case = replaced(case, readings=tuple(readings))
    return replace(task, candidate=replaced(task.candidate, case=case))


def test_every_task_is_answered() -> None:
    answers = dict(WorkerPool(double, LocalCrew(2), 60).run(range(7)))
    assert answers == {n: 2 * n for n in range(7)}


def test_every_worker_calculates_with_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    (answer,) = dict(WorkerPool(threads_of_libraries, LocalCrew(1), 60).run([0])).values()
    assert not isinstance(answer, Lost)
    assert set(answer) == {1}
    assert not set(THREADS) & os.environ.keys()


def test_who_set_a_number_of_threads_is_not_contradicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS[0], "3")
    monkeypatch.delenv(THREADS[1], raising=False)
    with one_thread_each():
        assert [os.environ[name] for name in THREADS[:2]] == ["3", "1"]
    assert os.environ[THREADS[0]] == "3"
    assert THREADS[1] not in os.environ


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
    names = (*PRELOADED, *OF_OBJECTS, *OF_RATERS)
    assert [name for name in names if importlib.util.find_spec(name) is None] == []


def test_what_only_some_cases_need_is_imported_for_them_alone(tmp_path) -> None:
    order = order_of(write_study(tmp_path, [{"case": "a", "patient": "p"}]))
    scanned = scan_cases(order, None, silent)
    names = public_names([c.case for c in scanned.candidates], KEY, "given")
    tasks = case_tasks(order, scanned, names)
    assert needed_by(tasks) == OF_RATERS
    assert needed_by([with_readings(task, lambda path: path + ".dcm") for task in tasks]) == (
        *OF_OBJECTS,
        *OF_RATERS,
    )
    assert needed_by([with_readings(task, None) for task in tasks]) == ()
