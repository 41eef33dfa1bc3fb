"""What the panel says about a run."""

from __future__ import annotations

from pathlib import Path

from slicer.i18n import tr as _

from MedPrepPanel.progress import Finished, Step


def obstacle(study: str, running: bool, slicer_can_run: bool) -> str:
    """Why a study cannot be run now; empty when nothing is in the way."""
    if running:
        return _("A study is running")
    if not slicer_can_run:
        return _("Running a study in the background needs Slicer 5.12 or newer")
    if not study:
        return _("Open a study file first; a cohort or a scene cannot be run")
    if not Path(study).is_file():
        return _("There is no such file: {path}").format(path=study)
    return ""


def earlier(report: str) -> str:
    """What is known of runs before this session."""
    if not report:
        return _("Not run yet.")
    return _("An earlier run left its cohort in {folder}").format(folder=Path(report).parents[1])


def step_text(step: Step, left_s: float | None = None) -> str:
    """One line on how far the run is, and how much longer it takes."""
    if step.total == 0:
        return _("{stage}: {done} so far {item}").format(
            stage=step.stage, done=step.done, item=step.item
        )
    text = _("{stage}: {done} of {total} {item}").format(
        stage=step.stage, done=step.done, total=step.total, item=step.item
    )
    return text if left_s is None else f"{text}, {_left(left_s)}"


def outcome_text(outcome: Finished) -> str:
    """One sentence on how the run ended (exit statuses of ``medprep run``)."""
    if outcome.exit in (0, 1) and outcome.cohort:
        text = _("Finished: the cohort {folder} holds {included} of {total} cases.").format(
            folder=outcome.cohort,
            included=outcome.included,
            total=outcome.included + outcome.excluded,
        )
        return text if outcome.exit == 0 else text + " " + _("The report says what needs a look.")
    if outcome.exit == 2:
        return _("Not run: the study file is wrong, see the log.")
    if outcome.exit == 130:
        return _("Cancelled; run again to go on.")
    # Also 1 without a cohort: so ends a Python that was stopped by an error.
    return _("The run failed with exit status {status}, see the log.").format(status=outcome.exit)


def _left(seconds: float) -> str:
    if seconds < 60:
        return _("{seconds:.0f} s left").format(seconds=seconds)
    if seconds < 3600:
        return _("{minutes:.0f} min left").format(minutes=seconds / 60)
    return _("{hours:.1f} h left").format(hours=seconds / 3600)
