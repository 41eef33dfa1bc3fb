"""Cases done by the workers of a Dask cluster: two processes on this machine, and no network."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from cluster_tasks import (
    die_always,
    die_once,
    double,
    hang_on_zero,
    linger,
    print_names,
    raise_on_one,
)
from many_cases import write_many

from MedPrepLib.errors import RunError
from MedPrepLib.identity import SiteKey
from MedPrepLib.pipeline import order_of, run, sameplace
from MedPrepLib.pipeline.cluster import joined
from MedPrepLib.pipeline.sameplace import differences, marked
from MedPrepLib.pipeline.workers import Lost, WorkerPool
from MedPrepLib.sitelog import WORKERS_LOG

distributed = pytest.importorskip("distributed")

KEY = SiteKey(bytes(32))
pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture(scope="module")
def cluster():
    """A scheduler and two worker processes, on loopback, without a dashboard."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        silence_logs=50,
    ) as cluster:
        yield cluster


@pytest.fixture
def address(cluster):
    """Where its scheduler is, with two workers there."""
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        try:
            client.wait_for_workers(2, timeout=15)
        except TimeoutError:  # on a busy machine, a nanny gives up a worker that starts too slowly
            cluster.scale(len(cluster.workers) + 2)
            client.wait_for_workers(2, timeout=100)
    return cluster.scheduler_address


@pytest.fixture
def order(tmp_path, address):
    study = write_many(tmp_path, 1)
    made = order_of(study, cluster=address)
    made.private.mkdir()
    return made


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def pids(address):
    with distributed.Client(address, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def test_a_cohort_made_by_a_cluster_is_the_same_to_the_byte(tmp_path, address) -> None:
    study = write_many(tmp_path, 5)
    here = run(order_of(study, tmp_path / "here", workers=1), key=KEY)
    there = run(order_of(study, tmp_path / "there", cluster=address), key=KEY)
    assert there.cases_done == 5
    assert len(there.included) == 5
    assert there.results == here.results
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    private = {path.name for path in (tmp_path / "there-private").iterdir()}
    assert private == {path.name for path in (tmp_path / "here-private").iterdir()}


@pytest.mark.fault("F13")
def test_a_worker_that_is_killed_in_the_middle_changes_nothing(tmp_path, address) -> None:
    study = write_many(tmp_path, 6)
    here = run(order_of(study, tmp_path / "here", workers=1), key=KEY)
    killed = []

    def listen(step):
        if step.stage == "cases" and step.done == 1 and not killed:
            killed.append(pids(address)[0])
            os.kill(killed[0], signal.SIGKILL)

    there = run(order_of(study, tmp_path / "there", cluster=address), listen, key=KEY)
    assert killed
    assert len(here.included) == 6
    assert there.results == here.results
    assert contents(tmp_path / "here") == contents(tmp_path / "there")


@pytest.mark.fault("F13")
def test_a_worker_that_dies_costs_its_task_one_retry(order, tmp_path) -> None:
    mark = str(tmp_path / "mark")
    with joined(order) as crew:
        answers = dict(WorkerPool(die_once, crew, 60).run([mark]))
    assert answers == {mark: 2}, "the second time it was done"


@pytest.mark.fault("F13")
def test_a_task_that_kills_two_workers_is_given_up(order, tmp_path) -> None:
    mark = tmp_path / "mark"
    with joined(order) as crew:
        (answer,) = dict(WorkerPool(die_always, crew, 60).run([str(mark)])).values()
        assert isinstance(answer, Lost)
        assert answer.why == "died"
        assert mark.stat().st_size == 2, "two workers, however often Dask would try"
        assert dict(WorkerPool(double, crew, 60).run([1, 2])) == {1: 2, 2: 4}


@pytest.mark.fault("F14")
def test_a_task_that_hangs_is_stopped_and_its_worker_free_again(order) -> None:
    with joined(order) as crew:
        started = time.monotonic()
        answers = dict(WorkerPool(hang_on_zero, crew, 4).run(range(4)))
        lost = answers.pop(0)
        assert isinstance(lost, Lost)
        assert lost.why == "timeout"
        assert answers == {1: 1, 2: 2, 3: 3}
        assert dict(WorkerPool(double, crew, 60).run(range(4)))[3] == 6
        assert time.monotonic() - started < 100, "nobody waited for it"


def test_a_bug_on_a_worker_stops_the_run(order) -> None:
    with joined(order) as crew, pytest.raises(ZeroDivisionError, match="a bug"):
        list(WorkerPool(raise_on_one, crew, 60).run(range(3)))


@pytest.mark.fault("F15")
def test_whoever_stops_listening_stops_the_workers(order) -> None:
    with joined(order) as crew:
        answers = WorkerPool(hang_on_zero, crew, 60).run([1, 0])
        assert next(answers) == (1, 1)
        started = time.monotonic()
        answers.close()
        assert dict(WorkerPool(double, crew, 60).run(range(4)))[3] == 6
        assert time.monotonic() - started < 100, "nobody waited for it"


def test_a_worker_that_sees_other_folders_is_named_with_what_differs(order, monkeypatch) -> None:
    look = sameplace._look
    monkeypatch.setattr(sameplace, "_look", lambda path: look(path) + "!")
    monkeypatch.setattr("MedPrepLib.__version__", "0.0.1")
    with pytest.raises(RunError) as refused, joined(order):
        pytest.fail("nothing is to be done there")
    text = str(refused.value)
    # On a busy machine, a worker that a test before killed may still be on its way.
    told = Counter(re.findall(r"^  (tcp://127\.0\.0\.1:\d+) ", text, re.MULTILINE))
    assert 1 <= len(told) <= 2
    assert set(told.values()) == {2}, "two things of every worker"
    assert f"sees something else at {order.base / 'raw'}" in text
    assert "not 0.0.1" in text
    assert not list(order.private.iterdir()), "nothing is left lying about"


def test_folders_that_are_not_shared_are_told(order, tmp_path) -> None:
    with marked(order) as place:
        assert differences(place) == ()
        elsewhere = replace(
            place,
            folders=(tmp_path / "other", place.folders[1]),
            looks=((tmp_path / "none", "x"),),
            python=(3, 10),
        )
        assert differences(elsewhere) == (
            f"has Python {sys.version_info[0]}.{sys.version_info[1]}, not 3.10",
            f"does not see the same folder {tmp_path / 'other'}",
            f"does not see {tmp_path / 'none'}",
        )


@pytest.mark.fault("F44")
def test_what_workers_print_stays_in_the_private_folder(order) -> None:
    with joined(order) as crew:
        assert [answer for _, answer in WorkerPool(print_names, crew, 60).run([1])] == [1]
    told = (order.private / WORKERS_LOG).read_text()
    assert told == "MUSTERMANN\nMAX 1931\n"


def test_nobody_at_the_address_is_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("MedPrepLib.pipeline.cluster.CONNECT_S", 1)
    study = write_many(tmp_path, 1)
    with pytest.raises(RunError, match=r"no scheduler answers at tcp://127.0.0.1:9"):
        run(order_of(study, cluster="tcp://127.0.0.1:9"), key=KEY)


@pytest.mark.heavy
def test_the_loss_of_the_scheduler_ends_the_run_and_says_how_to_go_on(tmp_path) -> None:
    study = write_many(tmp_path, 1)
    with OwnScheduler(tmp_path) as (address, scheduler):
        order = order_of(study, cluster=address)
        order.private.mkdir()
        mark = tmp_path / "begun"

        def kill():
            while not mark.exists():
                time.sleep(0.1)
            scheduler.kill()

        threading.Thread(target=kill, daemon=True).start()
        with joined(order) as crew, pytest.raises(RunError) as refused:
            list(WorkerPool(linger, crew, 100).run([str(mark)]))
    assert f"scheduler at {address} was lost; 0 cases were finished" in str(refused.value)
    assert "run the same command again" in str(refused.value)


class OwnScheduler:
    """A scheduler with a worker, as commands of Dask start them."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self):
        file = str(self._file)
        self._start("scheduler", "--scheduler-file", file, "--host", "127.0.0.1", "--port", "0")
        while not self._file.exists():
            time.sleep(0.1)
        self._start(
            *("worker", "--scheduler-file", file, "--nthreads", "1", "--nworkers", "1"),
            *("--local-directory", str(self._file.parent)),
        )
        with distributed.Client(scheduler_file=file, set_as_default=False) as client:
            return client.scheduler.address, self._processes[0]

    def _start(self, *words: str) -> None:
        command = [sys.executable, "-m", "dask", *words, "--no-dashboard"]
        path = os.pathsep.join(filter(None, sys.path))
        quiet = subprocess.DEVNULL
        self._processes.append(
            subprocess.Popen(
                command, stdout=quiet, stderr=quiet, env={**os.environ, "PYTHONPATH": path}
            )
        )

    def __exit__(self, *_):
        for process in self._processes:
            process.kill()
            process.wait()


def test_what_is_no_address_is_told_without_a_word_of_dask(tmp_path, capfd) -> None:
    study = write_many(tmp_path, 1)
    with pytest.raises(RunError, match=r"'nowhere' is no address .* tcp://HOST:8786"):
        run(order_of(study, cluster="nowhere"), key=KEY)
    gc.collect()
    assert capfd.readouterr().err == ""
