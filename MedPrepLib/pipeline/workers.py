"""Running one function over many tasks in worker processes that may die or hang.

Work on untrusted files happens in separate processes, so that a crash in a C library ends a
worker, never the caller. Tasks are handed out one per worker: what is running is known, a hanging
task can be stopped, and after a death only the unfinished ones are tried again, each alone. Where
the workers are, on this machine or on others, only their crew knows.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from MedPrepLib.pipeline.crew import Crew

Task = TypeVar("Task")
Result = TypeVar("Result")
POLL_S = 0.5


@dataclass(frozen=True)
class Lost:
    """A task without a result: its worker died twice, or it ran out of time."""

    why: Literal["died", "timeout"]
    seconds: float


class WorkerPool(Generic[Task, Result]):
    """A crew for one function of one task."""

    def __init__(self, function: Callable[[Task], Result], crew: Crew, timeout_s: float) -> None:
        self._function = function
        self._crew = crew
        self._timeout_s = timeout_s
        self._running: dict[Future[Result], tuple[Task, float]] = {}

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Result | Lost]]:
        """(task, result) in order of completion.

        An exception that the function raises is raised here: it is a bug, and stops the run.
        Whoever stops iterating (or is interrupted) stops the workers, too. Raises RunError when
        the crew is lost as a whole.
        """
        try:
            suspects: list[Task] = []
            yield from self._round(deque(tasks), suspects)
            for task in suspects:
                again: list[Task] = []
                started = time.monotonic()
                yield from self._round(deque([task]), again)
                if again:
                    yield task, Lost("died", time.monotonic() - started)
        finally:
            self._running.clear()
            self._crew.stop()

    def _round(
        self, queue: deque[Task], suspects: list[Task]
    ) -> Iterator[tuple[Task, Result | Lost]]:
        """Work through ``queue``; tasks that were running when a worker died go to suspects."""
        running = self._running
        while queue or running:
            self._hand_out(queue)
            done, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
            fallen = {future for future in done if self._crew.fell(future)}
            for future in done - fallen:
                yield running.pop(future)[0], future.result()
            if fallen:
                suspects += [running.pop(future)[0] for future in fallen]
                suspects += self._end(fallen)
            late = {future for future in running if self._is_late(future)}
            if late:
                lost = [running.pop(future) for future in late]
                # The other tasks were innocent: they go back to the front of the queue.
                queue.extendleft(self._end(late))
                for task, since in lost:
                    yield task, Lost("timeout", time.monotonic() - since)

    def _hand_out(self, queue: deque[Task]) -> None:
        hands = self._crew.hands()
        while queue and len(self._running) < hands:
            task = queue.popleft()
            future = self._crew.submit(self._function, task)
            self._running[future] = (task, time.monotonic())
        if not self._running:
            time.sleep(POLL_S)

    def _end(self, futures: set[Future[Result]]) -> list[Task]:
        """End these; the tasks that went down with them."""
        self._crew.end(futures)
        if not self._crew.falls_together:
            return []
        others = [task for task, _ in self._running.values()]
        self._running.clear()
        return others

    def _is_late(self, future: Future[Result]) -> bool:
        task, since = self._running[future]
        if time.monotonic() - since <= self._timeout_s:
            return False
        if self._crew.has_begun(future):
            return True
        # Its time begins with its work: so far it waited for a worker to be free.
        self._running[future] = (task, time.monotonic())
        return False
