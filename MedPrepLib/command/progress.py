"""Showing progress: bars on a terminal, JSON lines for the panel and other programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from MedPrepLib.command.output import plain
from MedPrepLib.progress import Listener, Step, silent


@contextmanager
def listener(how: str) -> Iterator[Listener]:
    """A listener for "json", "none", or "auto": bars when standard error is a terminal."""
    if how == "json":
        yield _json_line
    elif how == "auto" and sys.stderr.isatty():
        bars = Bars()
        try:
            yield bars.show
        finally:
            bars.close()
    else:
        yield silent


def _json_line(step: Step) -> None:
    click.echo(json.dumps(step.to_json()))
    sys.stdout.flush()


class Bars:
    """One bar per stage, on standard error."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None

    def show(self, step: Step) -> None:
        """Move the bar of the step's stage; a new stage gets a new bar."""
        from tqdm import tqdm

        if step.stage != self._stage:
            self.close()
            self._stage = step.stage
            unit = "case" if step.total != 1 else "step"
            self._bar = tqdm(desc=f"{step.stage:>7}", total=step.total or None, unit=unit)
        self._bar.total = step.total or None
        self._bar.set_postfix_str(plain(step.item), refresh=False)
        self._bar.update(step.done - self._bar.n)

    def close(self) -> None:
        """Leave the last bar on the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
