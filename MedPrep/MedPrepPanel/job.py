"""A run of a study in a process of its own, so that Slicer stays usable and survives a crash."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from MedPrepPanel.progress import Event, Finished, parse_line


class Execute(Protocol):
    """``slicer.util.executePythonModule`` (since Slicer 5.11), or something that acts like it."""

    def __call__(
        self,
        module: str,
        args: list[str],
        *,
        blocking: bool,
        logCallback: Callable[[str], None],
        completedCallback: Callable[[int], None],
    ) -> None:
        """Run ``python -m module args``; report every line, then the exit status."""


class StudyJob:
    """One run of ``medprep run``; ``listener`` hears of it in the main thread.

    The last event is always a Finished, also when the child died without saying so. ``folder`` is
    one for temporary files: a run is asked to stop by a file there. It is not killed, for the
    process that Slicer starts is a launcher, whose child would live on.
    """

    def __init__(
        self, execute: Execute | None, listener: Callable[[Event], None], folder: Path
    ) -> None:
        self._execute = execute
        self._listener: Callable[[Event], None] | None = listener
        self._said: Finished | None = None
        self.cancel_file = folder / f"medprep-cancel-{os.getpid()}"
        self.running = False

    @property
    def available(self) -> bool:
        """False where there is nothing that could run a job: in a Slicer before 5.11."""
        return self._execute is not None

    def start(self, study: Path, library: Path, workers: int = 0, *, rebuild: bool = False) -> None:
        """Run the study file ``study`` with the MedPrepLib that lies in the folder ``library``.

        ``workers``: how many processes; 0 for one per core. ``rebuild``: a cohort that was made
        with other settings is made again; else such a run is refused.
        """
        if self.running:
            raise RuntimeError("this job is already running")
        if self._execute is None:
            raise RuntimeError("this Slicer cannot run a module in the background")
        self.cancel_file.parent.mkdir(parents=True, exist_ok=True)
        self.cancel_file.unlink(missing_ok=True)
        self._said = None
        self.running = True
        try:
            with _python_path(library):
                self._execute(
                    "MedPrepLib",
                    self._arguments(study, workers, rebuild),
                    blocking=False,
                    logCallback=self._on_line,
                    completedCallback=self._on_completed,
                )
        except BaseException:
            self.running = False
            raise

    def cancel(self) -> None:
        """Ask the run to stop; it says Finished when it has."""
        if self.running:
            self.cancel_file.touch()

    def detach(self) -> None:
        """Stop telling the listener: the panel is gone. The run itself goes on."""
        self._listener = None

    def _arguments(self, study: Path, workers: int, rebuild: bool) -> list[str]:
        args = ["run", str(study), "--progress", "json", "--cancel-file", str(self.cancel_file)]
        args += ["--rebuild"] if rebuild else []
        return [*args, "--workers", str(workers)] if workers else args

    def _on_line(self, line: str) -> None:
        event = parse_line(line)
        if isinstance(event, Finished):
            self._said = event
        else:
            self._tell(event)

    def _on_completed(self, status: int) -> None:
        self.running = False
        self.cancel_file.unlink(missing_ok=True)
        said = self._said or Finished(status)
        # The process has the last word: it may have died after it announced a success.
        self._tell(dataclasses.replace(said, exit=status))

    def _tell(self, event: Event) -> None:
        if self._listener is not None:
            self._listener(event)


@contextmanager
def _python_path(folder: Path) -> Iterator[None]:
    """Let children started meanwhile import from ``folder``.

    A child of a module that is run from a source checkout does not find the library otherwise;
    ``executePythonModule`` takes no environment, it hands on ours.
    """
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), before)))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
