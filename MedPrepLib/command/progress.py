"""Showing progress: bars on a terminal, JSON lines for the panel and other programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from MedPrepLib.command.output import plain
from MedPrepLib.progress import Listener, Step, silent


@contextmanager
def listener(how: str) -> Iterator[Listener]:
    """A listener for "json", "none", or "auto": bars when standard error is a terminal."""
    if how == "json":
        yield JsonLines().show
    elif how == "auto" and sys.stderr.isatty():
        bars = Bars()
        try:
            yield bars.show
        finally:
            bars.close()
    else:
        yield silent


class Pace:
    """How fast the items of a stage are finished, and how much longer it takes."""

    LEAST_ITEMS, LEAST_S = 3, 1.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage, self._first, self._began = "", 0, 0.0

    def heard(self, step: Step) -> tuple[float | None, float | None]:
        """Items per second, and seconds to the end of the stage; None while nobody can know."""
        now = self._clock()
        if step.stage != self._stage:
            # Items that are finished at once were done by an earlier run: they say nothing.
            self._stage, self._first, self._began = step.stage, step.done, now
        done, took = step.done - self._first, now - self._began
        if done < self.LEAST_ITEMS or took < self.LEAST_S:
            return None, None
        rate = done / took
        return rate, (step.total - step.done) / rate if step.total else None


class JsonLines:
    """A line of JSON per step, on standard output."""

    def __init__(self) -> None:
        self._pace = Pace()

    def show(self, step: Step) -> None:
        """Print the step, with ``rate`` (items per second) and ``left_s`` where they are known."""
        record = step.to_json()
        if not step.note:
            del record["note"]
        rate, left_s = self._pace.heard(step)
        if rate is not None:
            record["rate"] = round(rate, 3)
        if left_s is not None:
            record["left_s"] = round(left_s, 1)
        click.echo(json.dumps(record))
        sys.stdout.flush()


class Bars:
    """One bar per stage, on standard error: name of the last case, rate, remaining time."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None

    def show(self, step: Step) -> None:
        """Move the bar of the step's stage; a new stage gets a new bar."""
        from tqdm import tqdm

        if step.stage != self._stage:
            self.close()
            self._stage = step.stage
            unit = " cases" if step.total != 1 else " step"
            # What is done already counts for the bar, but not for the rate.
            self._bar = tqdm(
                desc=f"{step.stage:>7}",
                total=step.total or None,
                initial=step.done if step.total else 0,
                unit=unit,
                dynamic_ncols=True,
            )
        if step.note:
            self._bar.write(plain(step.note), file=sys.stderr)
        self._bar.total = step.total or None
        self._bar.set_postfix_str(plain(step.item), refresh=False)
        self._bar.update(step.done - self._bar.n)

    def close(self) -> None:
        """Leave the last bar on the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
