"""What the panel says, in sentences that can be translated."""

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
        return _("Choose a study file")
    if not Path(study).is_file():
        return _("There is no such file: {path}").format(path=study)
    return ""


def step_text(step: Step) -> str:
    """One line on how far the run is."""
    if step.total == 0:
        return _("{stage}: {done} so far {item}").format(
            stage=step.stage, done=step.done, item=step.item
        )
    return _("{stage}: {done} of {total} {item}").format(
        stage=step.stage, done=step.done, total=step.total, item=step.item
    )


def outcome_text(outcome: Finished) -> str:
    """One sentence on how the run ended (exit statuses of ``medprep run``)."""
    if outcome.exit in (0, 1) and outcome.cohort:
        text = (
            _("Finished: nothing needs attention.")
            if outcome.exit == 0
            else _("Finished: some cases need attention, see the report.")
        )
        return text + " " + _("The cohort is in {folder}").format(folder=outcome.cohort)
    if outcome.exit == 2:
        return _("Not run: the study file is wrong, see the log.")
    if outcome.exit == 130:
        return _("Cancelled.")
    # Also 1 without a cohort: so ends a Python that was stopped by an error.
    return _("The run failed with exit status {status}, see the log.").format(status=outcome.exit)
