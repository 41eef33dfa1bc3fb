"""The section Export: the whole pipeline over the study, in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from MedPrepPanel import library
from MedPrepPanel.job import StudyJob
from MedPrepPanel.progress import Event, Finished, Pace, Step
from MedPrepPanel.sections.section import Section
from MedPrepPanel.sections.widgets import usable
from MedPrepPanel.sentences import export as sentences


class ExportSection(Section):
    """Run, cancel, look at the report."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        ui = self.ui
        # Slicer before 5.11 has no such function; the run button says so.
        execute = getattr(slicer.util, "executePythonModule", None)
        self.job = StudyJob(execute, self.on_event, Path(slicer.app.temporaryPath))
        self.outcome: Finished | None = None
        self._ran = ""
        self._pace = Pace()
        self._stopping = False
        ui.runButton.connect("clicked(bool)", self.on_run)
        ui.cancelButton.connect("clicked(bool)", self.on_cancel)
        ui.openReportButton.connect("clicked(bool)", self.on_report)

    @property
    def study(self) -> str:
        """The study file that would be run; empty when none is open."""
        return _study_at(self.panel.path)

    @property
    def report(self) -> str:
        """The report that can be opened: of the last run, else the one that lies beside."""
        if self.outcome is not None and self.outcome.report and self._ran == self.study:
            return self.outcome.report
        here = Path(self.panel.path)
        for cohort in (here, here / "cohort", here.parent / "cohort"):
            if (cohort / "manifest.json").is_file() and (cohort / "report/index.html").is_file():
                return str(cohort / "report/index.html")
        return ""

    def show(self) -> None:
        """What can be done now."""
        reason = sentences.obstacle(self.study, self.job.running, self.job.available)
        usable(self.ui.runButton, _("Make the cohort of the whole study in the background"), reason)
        idle = "" if self.job.running else _("No study is running")
        usable(self.ui.cancelButton, _("Stop the run; what is done is kept"), idle)
        self.ui.progressBar.visible = self.job.running
        report = self.report
        if not self.job.running:
            outcome = self.outcome if self._ran == self.study else None
            self.ui.statusLabel.text = (
                sentences.earlier(report) if outcome is None else sentences.outcome_text(outcome)
            )
        usable(
            self.ui.openReportButton,
            report,
            "" if report else _("There is no report yet: run the study first"),
        )

    def on_run(self, checked: bool = False) -> None:
        """Start the study in a process of its own."""
        with self.panel.trying():
            self.panel.logic.installRequirements()
            self.panel.save_open()  # the run reads what was decided from the disk
            workers = self.panel.options.workers if self.panel.options else 0
            rebuild = self.ui.rebuildCheckBox.checked
            self.job.start(Path(self.study), library.library_folder(), workers, rebuild=rebuild)
            self.outcome, self._pace, self._stopping = None, Pace(), False
            self._ran = self.study
            self.ui.logTextEdit.clear()
            self._progress(0, 0, _("Starting"))
        self.show()

    def on_cancel(self, checked: bool = False) -> None:
        """Ask the run to stop."""
        self.job.cancel()
        self._stopping = True  # what was said before the run heard of it changes nothing
        self.ui.statusLabel.text = _("Stopping...")
        usable(self.ui.cancelButton, "", _("The run has been asked to stop"))

    def on_event(self, event: Event) -> None:
        """Show what the running study says."""
        if isinstance(event, Step) and self._stopping:
            return
        if isinstance(event, Step):
            text = sentences.step_text(event, self._pace.left_s(event))
            self._progress(event.done, event.total, text)
        elif isinstance(event, Finished):
            self.outcome = event
            self._progress(int(bool(event.cohort)), 1, sentences.outcome_text(event))
            self.show()
            if _study_at(self.panel.opener.listed) == self._ran:
                self.panel.opener.list_again()
        else:
            self.ui.logTextEdit.appendPlainText(event.text)

    def on_report(self, checked: bool = False) -> None:
        """Open the report in the web browser."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(self.report))

    def stop(self) -> None:
        """Hear no more of the run; it goes on."""
        self.job.detach()

    def _progress(self, done: int, total: int, text: str) -> None:
        self.ui.progressBar.maximum = total
        self.ui.progressBar.value = done
        self.ui.statusLabel.text = text


def _study_at(text: str) -> str:
    """The study file that a path names, or that lies in the folder it names; empty for none."""
    path = Path(text)
    if text and path.is_dir() and (path / "study.toml").is_file():
        return str(path / "study.toml")
    return text if path.suffix == ".toml" else ""
