"""Work that takes seconds, beside the main thread: reading cases and comparing them.

Only values travel: nothing in here touches the scene or a widget but :meth:`Background.poll`,
which Qt calls in the main thread.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import qt

POLL_MS = 5
LET_RUN_S, LET_HURRY_S = 0.010, 0.030
"""Slept at every poll while work is going on, and while the user waits for it. In Slicer's event
loop the main thread keeps Python's lock to itself: other threads run while Python runs in it, and
when it sleeps. Nobody feels a hundredth of a second."""

NOW, LISTING, AHEAD = "now", "listing", "ahead"
"""The case that the user waits for, the list of cases, and what might be asked for next: one thread
each."""


@dataclass(eq=False)
class _Job:
    lane: str
    future: Future[Any]
    done: Callable[[Any], None]
    failed: Callable[[BaseException], None]


class Background:
    """Three threads, and a timer that brings their results to the main thread."""

    def __init__(self) -> None:
        self._threads = {lane: ThreadPoolExecutor(1) for lane in (NOW, LISTING, AHEAD)}
        self._jobs: list[_Job] = []
        self._said: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self.poll)

    def start(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
        lane: str = NOW,
    ) -> Future[Any]:
        """Do ``work`` in a thread; then ``done`` or ``failed`` is called in the main thread."""
        future = self.submit(work, lane)
        self.follow(future, done, failed, lane)
        return future

    def submit(self, work: Callable[[], Any], lane: str) -> Future[Any]:
        """Do ``work`` in a thread and tell nobody; see :meth:`follow`."""
        return self._threads[lane].submit(work)

    def follow(
        self,
        future: Future[Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
        lane: str = NOW,
    ) -> None:
        """Tell of work that goes on already."""
        self._jobs.append(_Job(lane, future, done, failed))
        self._timer.start()

    def forget(self, lane: str) -> None:
        """Nobody asks for the results of this lane any more; what has not begun never will."""
        for job in [job for job in self._jobs if job.lane == lane]:
            self._jobs.remove(job)
            job.future.cancel()

    def say(self, what: Callable[[], None]) -> None:
        """Called from a thread: let the main thread do something small soon."""
        self._said.put(what)

    @property
    def busy(self) -> bool:
        """True while anything is going on or has not been told yet."""
        return bool(self._jobs)

    def poll(self) -> None:
        """Tell what is finished; called by the timer."""
        while not self._said.empty():
            self._said.get()()
        for job in [job for job in self._jobs if job.future.done()]:
            if job not in self._jobs:  # forgotten by what was told just now
                continue
            self._jobs.remove(job)
            error = job.future.exception()
            if error is None:
                job.done(job.future.result())
            else:
                job.failed(error)
        if any(job.lane != AHEAD for job in self._jobs):
            time.sleep(LET_HURRY_S)
        elif self._jobs:
            time.sleep(LET_RUN_S)
        else:
            self._timer.stop()

    def stop(self) -> None:
        """Forget everything; threads end when what they do now is done."""
        self._timer.stop()
        self._jobs.clear()
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)
