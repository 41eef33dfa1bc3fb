"""Running one function over many tasks in worker processes that may die or hang.

Work on untrusted files happens in separate processes, so that a crash in a C library ends a
worker, never the caller. Tasks are handed out one per worker: what is running is known, a hanging
task can be stopped, and after a death only the unfinished ones are tried again, each alone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from MedPrepLib.atomic import FILE_MODE
from MedPrepLib.overheard import silence

Task = TypeVar("Task")
Result = TypeVar("Result")
POLL_S = 0.5


@dataclass(frozen=True)
class Lost:
    """A task without a result: its worker died twice, or it ran out of time."""

    why: Literal["died", "timeout"]
    seconds: float


class WorkerPool(Generic[Task, Result]):
    """Worker processes for one function of one task."""

    def __init__(
        self,
        function: Callable[[Task], Result],
        workers: int,
        timeout_s: float,
        memory_bytes: int = 0,
        output: Path | None = None,
    ) -> None:
        self._function = function
        self._workers = max(1, workers)
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._output = output
        self._pool: ProcessPoolExecutor | None = None

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Result | Lost]]:
        """(task, result) in order of completion.

        An exception that the function raises is raised here: it is a bug, and stops the run.
        Whoever stops iterating (or is interrupted) stops the workers, too.
        """
        try:
            suspects: list[Task] = []
            yield from self._round(deque(tasks), self._workers, suspects)
            for task in suspects:
                again: list[Task] = []
                started = time.monotonic()
                yield from self._round(deque([task]), 1, again)
                if again:
                    yield task, Lost("died", time.monotonic() - started)
        finally:
            self._stop()

    def _round(
        self, queue: deque[Task], workers: int, suspects: list[Task]
    ) -> Iterator[tuple[Task, Result | Lost]]:
        """Work through ``queue``; tasks that were running when a worker died go to suspects."""
        running: dict[Future[Result], tuple[Task, float]] = {}
        while queue or running:
            while queue and len(running) < workers:
                task = queue.popleft()
                running[self._start(workers).submit(self._function, task)] = (
                    task,
                    time.monotonic(),
                )
            done, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
            broken = [future for future in done if _is_broken(future)]
            for future in done - set(broken):
                yield running.pop(future)[0], future.result()
            if broken:
                suspects += [task for task, _ in running.values()]
                running.clear()
                self._stop()
            late = [f for f, (_, since) in running.items() if self._is_late(since)]
            if late:
                lost = [running.pop(future) for future in late]
                # The other tasks were innocent: they go back to the front of the queue.
                queue.extendleft(task for task, _ in running.values())
                running.clear()
                self._stop()
                for task, since in lost:
                    yield task, Lost("timeout", time.monotonic() - since)

    def _is_late(self, since: float) -> bool:
        return time.monotonic() - since > self._timeout_s

    def _start(self, workers: int) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                workers,
                mp_context=_context(),
                initializer=_prepare,
                initargs=(self._memory_bytes, self._output),
            )
        return self._pool

    def _stop(self) -> None:
        """End the workers now; they hold nothing that a restart could not do again."""
        if self._pool is None:
            return
        # The executor has no public way to end a running task; its processes do.
        processes: dict[int, Any] = getattr(self._pool, "_processes", None) or {}
        for process in list(processes.values()):
            process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None


PRELOADED = (
    "MedPrepLib.pipeline.casework",
    "MedPrepLib.dicom.pixels",
    "MedPrepLib.formats.files",
    "MedPrepLib.standardize",
    "MedPrepLib.masks",
    "MedPrepLib.align",
    "MedPrepLib.agree",
    "MedPrepLib.consensus",
    "MedPrepLib.targets",
    "MedPrepLib.report.pictures",
    "MedPrepLib.pack",
    "h5py",
    "scipy.ndimage",
    "PIL.Image",
)
"""Imported once by the server that workers are forked from, not by every worker."""


def _context() -> multiprocessing.context.BaseContext:
    """A fork server on Linux (a clean process that has imported everything), else spawn.

    A plain fork would copy the caller's threads and open files, which Slicer has many of.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _is_broken(future: Future[Any]) -> bool:
    return isinstance(future.exception(), BrokenProcessPool)


def _prepare(memory_bytes: int, output: Path | None = None) -> None:
    """Make a new worker deaf to Ctrl+C and unable to eat up the machine's memory.

    What it and C libraries in it print goes to ``output``, a private file: it may name patients.
    """
    if output is not None:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.close(handle)
    silence()
    # Ctrl+C reaches the whole process group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_memory(memory_bytes or machine_memory_bytes())


def machine_memory_bytes() -> int:
    """The main memory of this machine; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def limit_memory(limit_bytes: int) -> None:
    """Let this process ask for so many bytes of addresses: more is a MemoryError, not a death.

    Nothing is limited where the system (Windows) knows no such limit, and none is ever raised.
    """
    if limit_bytes <= 0 or not find_spec("resource"):
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or limit_bytes < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, hard))
