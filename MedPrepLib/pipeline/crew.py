"""Who does the work: the processes that a pool of workers hands tasks to, on this machine.

A crew starts tasks, and can say which ended because their worker died and which go down with
others. :mod:`MedPrepLib.pipeline.cluster` has the crew on other machines.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from MedPrepLib.atomic import FILE_MODE
from MedPrepLib.overheard import silence


class Crew(Protocol):
    """Workers that take one task each."""

    falls_together: bool
    """True when the end of one task is the end of all that run."""

    def hands(self) -> int:
        """How many tasks can be worked on at once, now; RunError when that will stay none."""

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Begin a task."""

    def has_begun(self, future: Future[Any], /) -> bool:
        """False while a task still waits for a worker."""

    def fell(self, future: Future[Any]) -> bool:
        """True when the worker of this ended task died; RunError when the whole crew is lost."""

    def end(self, futures: Collection[Future[Any]], /) -> None:
        """End these tasks, whose worker died or which took too long."""

    def stop(self) -> None:
        """End everything that runs."""


class LocalCrew:
    """Processes on this machine. The death of one takes the others along.

    ``needed``: modules that their tasks import, beside those that every task does.
    """

    falls_together = True

    def __init__(
        self,
        workers: int,
        memory_bytes: int = 0,
        output: Path | None = None,
        needed: Sequence[str] = (),
    ) -> None:
        self._workers = max(1, workers)
        self._memory_bytes = memory_bytes
        self._output = output
        self._needed = needed
        self._pool: ProcessPoolExecutor | None = None

    def hands(self) -> int:
        """As many tasks as there are to be processes."""
        return self._workers

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Begin a task in a process; the first one starts them."""
        if self._pool is not None:
            return self._pool.submit(function, task)
        self._pool = ProcessPoolExecutor(
            self._workers,
            mp_context=_context(self._needed),
            initializer=_prepare,
            initargs=(self._memory_bytes, self._output),
        )
        with one_thread_each(), undisturbed():
            return self._pool.submit(function, task)

    def has_begun(self, _future: Future[Any], /) -> bool:
        """Always: no more tasks are handed out than there are processes."""
        return True

    def fell(self, future: Future[Any]) -> bool:
        """True when a process died."""
        return isinstance(future.exception(), BrokenProcessPool)

    def end(self, _futures: Collection[Future[Any]], /) -> None:
        """End all processes: one of them cannot be ended alone."""
        self.stop()

    def stop(self) -> None:
        """End the processes now; they hold nothing that a restart could not do again."""
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
    "PIL.PngImagePlugin",
)
"""Imported once by the server that workers are forked from, not by every worker."""

OF_OBJECTS = ("pydicom.filereader",)
"""The same where masks are DICOM objects, or pixels are compressed."""

OF_RATERS = ("scipy.sparse.csgraph", "scipy.spatial")
"""The same where raters are compared."""


def _context(needed: Sequence[str]) -> multiprocessing.context.BaseContext:
    """A fork server on Linux (a clean process that has imported everything), else spawn.

    A plain fork would copy the caller's threads and open files, which Slicer has many of.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED, *needed])
    return context


THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes that start inside calculate with one thread: there is one for every core.

    With a thread for every core in each of them they would wait for each other, and spin while
    they wait. Who has set these variables is not contradicted.
    """
    missing = [name for name in THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(missing, "1"))
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Processes that start inside do not hear Ctrl+C, which reaches them, too, not even at once.

    While it imports, Python would answer with a traceback. Here it is heard when the block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(memory_bytes: int, output: Path | None) -> None:
    """Make a new worker deaf to Ctrl+C and unable to eat up the machine's memory.

    What it and C libraries in it print goes to ``output``, a private file: it may name patients.
    """
    if output is not None:
        printed_to(output)
    silence()
    # Ctrl+C reaches the whole process group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_memory(memory_bytes or machine_memory_bytes())


def printed_to(path: Path) -> None:
    """Append what this process and C libraries in it print from now on to a private file."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


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
