"""The MedPrep module of 3D Slicer: the classes Slicer looks for, and nothing else."""

import pathlib

import qt
import slicer
import vtk
from MedPrepPanel import library, sentences
from MedPrepPanel.job import StudyJob
from MedPrepPanel.progress import Event, Finished, Step, parse_line
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

HOMEPAGE = "https://github.com/MedPrep/SlicerMedPrep"


class MedPrep(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MedPrep")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Informatics")]
        self.parent.dependencies = []
        self.parent.contributors = ["MedPrep contributors"]
        self.parent.helpText = _(
            "Turns raw hospital exports and several doctors' annotations into a curated cohort "
            'for deep learning. See the <a href="{url}">documentation</a>.'
        ).format(url=HOMEPAGE)
        self.parent.acknowledgementText = ""
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Offer the sample study in the Sample Data module; it is made here, not downloaded."""
    import SampleData

    icon = pathlib.Path(__file__).parent / "Resources" / "Icons" / "MedPrep.png"
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="MedPrep",
        sampleName="MedPrepStudy",
        uris="medprep:study",
        fileNames="study.toml",
        loadFiles=False,
        thumbnailFileName=str(icon),
        customDownloader=makeSampleStudy,
    )


def makeSampleStudy(source=None):
    """Write the sample study into Slicer's cache and open it in the panel; returns its file."""
    with slicer.util.tryWithErrorDisplay(_("The sample study could not be made."), waitCursor=True):
        slicer.util.selectModule("MedPrep")
        cache = pathlib.Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory())
        logic = MedPrepLogic()
        logic.installRequirements()
        study = logic.makeSample(cache / "MedPrepStudy")
        slicer.modules.MedPrepWidget.openStudy(str(study))
        return [str(study)]


@parameterNodeWrapper
class MedPrepParameterNode:
    """What the user chose.

    study - The study file (TOML): sources, labels and rules. Empty means none yet.
    """

    study: str


class MedPrepWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: choose a study, run it, see how far it is, open the report."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._job = None
        self._outcome = None

    def setup(self):
        """Build the panel; called when the user opens the module for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MedPrep.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        # Texts from data are never to be read as HTML.
        self.ui.statusLabel.setTextFormat(qt.Qt.PlainText)
        self.logic = MedPrepLogic()
        # Slicer before 5.11 has no such function; the run button says so.
        execute = getattr(slicer.util, "executePythonModule", None)
        self._job = StudyJob(execute, self.onJobEvent)

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.browseButton.connect("clicked(bool)", self.onBrowseButton)
        self.ui.runButton.connect("clicked(bool)", self.onRunButton)
        self.ui.openReportButton.connect("clicked(bool)", self.onOpenReportButton)
        self.initializeParameterNode()
        self._updateButtons()

    def cleanup(self):
        """Let go of the scene and of a running study; called before the panel is destroyed."""
        self._job.detach()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        """Follow the parameter node; called each time the user opens this module."""
        self.initializeParameterNode()

    def exit(self):
        """Do not follow it while another module is open."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        """Let go of a parameter node that is about to be reset."""
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        """Take the new one, if the panel is visible."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Make sure that there is a parameter node and that it is observed."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode):
        """Connect the widgets with ``parameterNode``; None disconnects them."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self._parameterNodeGuiTag = None
            self.removeObserver(
                self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._updateButtons
            )
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._updateButtons)
            self._updateButtons()

    def _updateButtons(self, caller=None, event=None):
        """Enable what can be done now; a button that cannot work says why."""
        study = self._parameterNode.study if self._parameterNode else ""
        reason = sentences.obstacle(study, self._job.running, self._job.available)
        self.ui.runButton.enabled = not reason
        self.ui.runButton.toolTip = reason or _("Run the study in the background")
        report = self._outcome.report if self._outcome else ""
        self.ui.openReportButton.enabled = bool(report)
        self.ui.openReportButton.toolTip = report or _("There is no report yet: run a study first")

    def openStudy(self, path: str):
        """Choose a study file; the panel's own view of the parameters is the one to change."""
        self.initializeParameterNode()
        self._parameterNode.study = path

    def onBrowseButton(self, checked=False):
        """Let the user look for a study file."""
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(),
            _("Choose a study file"),
            str(pathlib.Path(self._parameterNode.study).parent),
            _("Study files") + " (*.toml)",
        )
        if path:
            self.openStudy(path)

    def onRunButton(self, checked=False):
        """Start the study in a process of its own."""
        with slicer.util.tryWithErrorDisplay(_("The study could not be started."), waitCursor=True):
            self.logic.installRequirements()
            self.logic.startStudy(self._job, pathlib.Path(self._parameterNode.study))
            self._outcome = None
            self.ui.logTextEdit.clear()
            self._showProgress(0, 0, _("Starting"))
        self._updateButtons()

    def onJobEvent(self, event: Event):
        """Show what the running study says."""
        if isinstance(event, Step):
            self._showProgress(event.done, event.total, sentences.step_text(event))
        elif isinstance(event, Finished):
            self._outcome = event
            self._showProgress(int(bool(event.cohort)), 1, sentences.outcome_text(event))
            self._updateButtons()
        else:
            self.ui.logTextEdit.appendPlainText(event.text)

    def onOpenReportButton(self, checked=False):
        """Open the report in the web browser."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(self._outcome.report))

    def _showProgress(self, done: int, total: int, text: str):
        self.ui.progressBar.maximum = total
        self.ui.progressBar.value = done
        self.ui.statusLabel.text = text


class MedPrepLogic(ScriptedLoadableModuleLogic):
    """What the panel can do, without the panel."""

    def getParameterNode(self):
        """The parameter node of the scene, with types."""
        return MedPrepParameterNode(super().getParameterNode())

    def installRequirements(self):
        """Offer to install what MedPrepLib needs and Slicer lacks.

        RuntimeError when the user declines, CalledProcessError when the installation fails.
        """
        path = pathlib.Path(__file__).parent / "Resources" / "requirements.txt"
        try:
            from slicer import packaging
        except ImportError:  # before Slicer 5.11
            missing = library.missing(library.requirement_lines(path))
            if missing:
                slicer.util.pip_install(missing)
        else:
            packaging.pip_ensure(packaging.load_requirements(path), requester="MedPrep")

    def startStudy(self, job: StudyJob, study: pathlib.Path):
        """Run ``study`` in the background; ``job`` tells its listener how it goes."""
        job.start(study, library.library_folder())

    def makeSample(self, folder: pathlib.Path) -> pathlib.Path:
        """Write the sample study into ``folder``, if it is not there; returns the study file."""
        study = folder / "study.toml"
        if not study.is_file():
            library.library_folder()
            from MedPrepLib.sample import write_sample

            write_sample(folder)
        return study


class MedPrepTest(ScriptedLoadableModuleTest):
    """What has to hold inside a running Slicer; everything else is tested without one."""

    def setUp(self):
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run all tests; called by Slicer."""
        for test in (
            self.test_the_library_is_found,
            self.test_the_choice_of_a_study_is_kept_in_the_scene,
            self.test_a_run_button_that_cannot_work_says_why,
        ):
            self.setUp()
            test()
        self.delayDisplay(_("Test passed"))

    def test_the_library_is_found(self):
        """MedPrepLib can be imported, and a line of its progress is understood."""
        self.assertTrue((library.library_folder() / "MedPrepLib" / "__init__.py").is_file())
        line = '{"stage": "scan", "done": 1, "total": 2, "item": "a"}'
        self.assertEqual(parse_line(line), Step("scan", 1, 2, "a"))

    def test_the_choice_of_a_study_is_kept_in_the_scene(self):
        """Two logics see the same choice; closing the scene forgets it."""
        study = str(pathlib.Path(slicer.app.temporaryPath) / "study.toml")
        MedPrepLogic().getParameterNode().study = study
        self.assertEqual(MedPrepLogic().getParameterNode().study, study)
        slicer.mrmlScene.Clear()
        self.assertEqual(MedPrepLogic().getParameterNode().study, "")

    def test_a_run_button_that_cannot_work_says_why(self):
        """Without a study file the button is off and its tooltip names the reason."""
        widget = slicer.modules.medprep.widgetRepresentation().self()
        widget.initializeParameterNode()
        self.assertFalse(widget.ui.runButton.enabled)
        self.assertEqual(widget.ui.runButton.toolTip, _("Choose a study file"))
