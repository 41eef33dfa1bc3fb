"""A crew on other machines: the workers of a Dask cluster, by its concurrent.futures interface.

Dask gives a task whose worker is gone to another worker, by itself. A case must not be worked on
twice at the same time, nor kill one worker after the other; so a task leaves a ticket in a shared
folder when it begins, and one that finds its ticket there says that it fell.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MedPrepLib.atomic import FILE_MODE
from MedPrepLib.errors import RunError
from MedPrepLib.overheard import silence
from MedPrepLib.pipeline.crew import printed_to
from MedPrepLib.pipeline.order import Order
from MedPrepLib.pipeline.sameplace import Place, differences, marked

if TYPE_CHECKING:
    from distributed import Client

_ADDRESS = re.compile(r"(?:inproc://.+|(?:(?:tcp|tls|ws|wss|ucx)://)?[^/\s]+:\d{1,5}/?)")
"""Looked at before Dask does, whose client leaves tracebacks behind where it cannot begin."""

CONNECT_S = 15
"""A scheduler has to answer within this time."""

NO_WORKER_S = 60.0
"""A cluster without a single worker is given up after this time."""

COUNT_S = 1.0
"""Workers are counted anew this often."""


@contextmanager
def joined(order: Order) -> Iterator[ClusterCrew]:
    """The crew of the cluster that an order names, with every worker looked at.

    Raises RunError when nobody answers, or when a worker differs from this place.
    """
    try:
        from distributed import Client
    except ImportError:
        raise RunError('a cluster needs Dask: pip install "MedPrep[dask]"') from None
    if not _ADDRESS.fullmatch(order.cluster):
        raise RunError(f"{order.cluster!r} is no address of a scheduler: write tcp://HOST:8786")
    # A lost connection is told once, by us; Dask tells it many times.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(order.cluster, timeout=CONNECT_S, set_as_default=False, name="medprep")
    except (OSError, ValueError) as error:
        raise RunError(f"no scheduler answers at {order.cluster} ({error})") from None
    try:
        with marked(order) as place:
            crew = ClusterCrew(client, order.cluster, place)
            crew.require_same_place()
            yield crew
    finally:
        client.close(timeout=CONNECT_S)


@dataclass(frozen=True)
class _Begun:
    """A task that was handed to the cluster: Dask's name of it, and its ticket."""

    key: str
    ticket: Path


class ClusterCrew:
    """The workers of a cluster. They come and go; each takes one task at a time."""

    falls_together = False

    def __init__(self, client: Client, address: str, place: Place) -> None:
        self._client = client
        self._address = address
        self._place = place
        # Not "pure": the same case done again is to be done again.
        self._executor = client.get_executor(pure=False)
        self._begun: dict[Future[Any], _Begun] = {}
        self._answered = 0
        self._count, self._counted, self._last_seen = 0, 0.0, time.monotonic()

    def require_same_place(self) -> None:
        """Raise RunError unless all workers see what is seen here, and take one task each."""
        while not self.hands():
            time.sleep(COUNT_S)
        answers = self._client.run(differences, self._place, on_error="return")
        problems = [
            f"{worker} {what}" for worker in sorted(answers) for what in _told(answers[worker])
        ]
        threads = self._client.nthreads()
        problems += [
            f"{worker} has {count} threads; start one worker per core, with --nthreads 1"
            for worker, count in sorted(threads.items())
            if count != 1
        ]
        if problems:
            listed = "".join(f"\n  {problem}" for problem in problems)
            raise RunError(f"the cluster at {self._address} cannot do this study:{listed}")

    def hands(self) -> int:
        """One per worker that the cluster has now; RunError when it has none for a minute."""
        now = time.monotonic()
        if now - self._counted >= COUNT_S:
            self._require_scheduler()
            try:
                self._count = len(self._client.nthreads())
            except OSError:
                raise self._lost() from None
            self._counted = now
            self._last_seen = now if self._count else self._last_seen
            if now - self._last_seen > NO_WORKER_S:
                raise RunError(
                    f"the cluster at {self._address} has had no worker for {NO_WORKER_S:.0f} s; "
                    f"{self._kept()}: start workers and run the same command again to go on"
                )
        return self._count

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Begin a task on a worker that is free."""
        key = f"medprep-{uuid.uuid4().hex}"
        begun = _Begun(key, self._place.tickets / key)
        sealed = _Sealed(function, task, self._place, begun.ticket)
        future: Future[Any] = self._executor.submit(_work, sealed, key=key)
        self._begun[future] = begun
        return future

    def has_begun(self, future: Future[Any]) -> bool:
        """True when a worker took the task."""
        return self._begun[future].ticket.exists()

    def fell(self, future: Future[Any]) -> bool:
        """True when the worker died under the task; RunError when the scheduler is lost."""
        from distributed import KilledWorker

        self._begun.pop(future, None)
        if future.cancelled():
            raise self._lost()
        error = future.exception()
        if error is None and not isinstance(future.result(), _Fell):
            self._answered += 1
            return False
        return error is None or isinstance(error, KilledWorker)

    def end(self, futures: Collection[Future[Any]]) -> None:
        """Cancel tasks; workers that are at it are started anew, where a nanny watches them."""
        keys = {self._begun.pop(future).key for future in futures if future in self._begun}
        if not keys:
            return
        self._require_scheduler()
        try:
            busy = {w for w, at in self._client.processing().items() if keys & {*at}}
            for future in futures:
                future.cancel()
            known = self._client.scheduler_info()["workers"]
            # Without a nanny, a worker is busy until its task ends by itself.
            watched = [w for w in busy if known.get(w, {}).get("nanny")]
            if watched:
                self._client.run(_kill_worker, workers=watched, nanny=True, on_error="ignore")
        except OSError:
            raise self._lost() from None

    def stop(self) -> None:
        """End everything that runs."""
        try:
            self.end(list(self._begun))
        except RunError:  # the scheduler is gone: it has told its workers, or they are gone, too
            self._begun.clear()

    def _require_scheduler(self) -> None:
        # A question to a scheduler that is gone would wait for it.
        if self._client.status != "running":
            raise self._lost()

    def _lost(self) -> RunError:
        return RunError(
            f"the connection to the scheduler at {self._address} was lost; {self._kept()}: "
            "start it and its workers and run the same command again to go on"
        )

    def _kept(self) -> str:
        return f"{self._answered} cases were finished by it and are kept"


def _kill_worker(dask_worker: Any) -> None:
    """Kill the worker that a nanny, where this runs, watches. It starts a new one at once.

    Dask's own restart waits for the task to end, which is what cannot be waited for.
    """
    pid = dask_worker.pid
    if pid:
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def _told(answer: Any) -> tuple[str, ...]:
    """What a worker answered, in words."""
    if isinstance(answer, ImportError | AttributeError):
        return (f"cannot import MedPrep as it is here ({answer})",)
    if isinstance(answer, BaseException):
        return (f"cannot look at the folders ({type(answer).__name__}: {answer})",)
    return tuple(answer)


class _Sealed:
    """A task with all that it needs. Dask logs what a failed task was given: nothing is seen."""

    def __init__(
        self, function: Callable[[Any], Any], task: Any, place: Place, ticket: Path
    ) -> None:
        self.function = function
        self.task = task
        self.place = place
        self.ticket = ticket


@dataclass(frozen=True)
class _Fell:
    """The answer of a task that was begun before, by a worker that is gone."""


def _work(sealed: _Sealed) -> Any:
    """Do a task, once. Runs on a worker, which may have joined after the others were looked at."""
    different = differences(sealed.place)
    if different:
        from distributed import get_worker

        raise RunError(f"the worker {get_worker().address} {different[0]}")
    try:
        os.close(os.open(sealed.ticket, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
    except FileExistsError:
        return _Fell()
    with _printed_apart(sealed.place.output):
        return sealed.function(sealed.task)


@contextmanager
def _printed_apart(output: Path) -> Iterator[None]:
    """Inside, what this worker prints goes to a private file, not to the logs of the cluster."""
    silence()
    kept = {stream: os.dup(stream) for stream in (1, 2)}
    printed_to(output)
    try:
        yield
    finally:
        for stream, handle in kept.items():
            os.dup2(handle, stream)
            os.close(handle)
