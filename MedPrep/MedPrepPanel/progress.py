"""The lines that ``medprep run --progress json`` prints, as values."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """``done`` of ``total`` items of a stage are finished; ``item`` names the last one.

    A total of 0 means that it is not known yet; a progress bar shows that as "busy".
    """

    stage: str
    done: int
    total: int
    item: str = ""


@dataclass(frozen=True)
class Finished:
    """The run is over: exit status, and where cohort and report are (empty: there is none).

    ``included`` and ``excluded``: how many cases the cohort has, and how many were left out.
    """

    exit: int
    cohort: str = ""
    report: str = ""
    included: int = 0
    excluded: int = 0


@dataclass(frozen=True)
class Remark:
    """Any other line: a warning, a traceback, the output of a library."""

    text: str


Event = Step | Finished | Remark


def parse_line(line: str) -> Event:
    """What one line of the child's output says; a line of no known form is a Remark."""
    try:
        record = json.loads(line)
    except ValueError:
        return Remark(line)
    if not isinstance(record, dict):
        return Remark(line)
    if record.get("finished") is True and _whole(record.get("exit")):
        return Finished(
            record["exit"],
            _text(record, "cohort"),
            _text(record, "report"),
            _number(record, "included"),
            _number(record, "excluded"),
        )
    if "stage" in record and _whole(record.get("done")) and _whole(record.get("total")):
        return Step(_text(record, "stage"), record["done"], record["total"], _text(record, "item"))
    return Remark(line)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(record: dict[str, object], key: str) -> int:
    value = record.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _text(record: dict[str, object], key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) else ""


class Pace:
    """How much longer a stage takes, by how fast its items were finished so far."""

    LEAST_ITEMS, LEAST_S = 3, 4.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage, self._first, self._began = "", 0, 0.0

    def left_s(self, step: Step) -> float | None:
        """Seconds until the stage of this step is done; None while nobody can know."""
        now = self._clock()
        if step.stage != self._stage:
            # Items that are finished at once were done by an earlier run: they say nothing.
            self._stage, self._first, self._began = step.stage, step.done, now
        done, took = step.done - self._first, now - self._began
        if step.total == 0 or done < self.LEAST_ITEMS or took < self.LEAST_S:
            return None
        return took / done * (step.total - step.done)
