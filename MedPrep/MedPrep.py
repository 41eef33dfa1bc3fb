"""The MedPrep module of 3D Slicer: the classes Slicer looks for, and nothing else."""

import pathlib
from typing import Annotated

import slicer
import vtk
from MedPrepPanel import library
from MedPrepPanel.keys import Keys
from MedPrepPanel.panel import Panel
from MedPrepPanel.requirements import RequirementsError, install
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
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
            "for deep learning. Open a study, look through its cases, see where raters differ, "
            "decide, and run the study. A right click on a button copies what it does as Python "
            'or as a command. See the <a href="{url}">documentation</a>.'
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
        customDownloader=openSampleStudy,
    )


def openSampleStudy(source=None):
    """Write the sample study into Slicer's cache and open it in the panel; returns its file."""
    with slicer.util.tryWithErrorDisplay(_("The sample study could not be made."), waitCursor=True):
        slicer.util.selectModule("MedPrep")
        widget = slicer.modules.MedPrepWidget
        study = widget.logic.sampleStudy()
        widget.openStudy(str(study))
        return [str(study)]


@parameterNodeWrapper
class MedPrepParameterNode:
    """What the user chose.

    study - The study file (TOML) or cohort folder that is open. Empty means none yet.
    threshold - Pairs of raters with a Dice below this are marked. 0 means as the study says.
    tolerance - Surfaces within this distance are equal, mm. 0 means as the study says.
    workers - Processes of a run. 0 means one per core.
    blinded - True to call the raters by numbers.
    keys - True for keyboard shortcuts while the module is open.
    prefetch - True to read the next case while the user looks at this one.
    """

    study: str
    threshold: Annotated[float, WithinRange(0, 1)] = 0.0
    tolerance: Annotated[float, WithinRange(0, 50)] = 0.0
    workers: Annotated[int, WithinRange(0, 256)] = 0
    blinded: bool = False
    keys: bool = True
    prefetch: bool = True


class MedPrepWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The life of the panel; what it shows and does is in MedPrepPanel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self._keys = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self):
        """Build the panel; called when the user opens the module for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MedPrep.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MedPrepLogic()
        self.panel = Panel(self.ui, self.logic)
        self._keys = Keys(self.panel)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self):
        """Save the open case and let go of the scene; called before the panel is destroyed."""
        self._keys.off()
        self.panel.stop()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        """Follow the scene again; called each time the user opens this module."""
        self.initializeParameterNode()

    def exit(self):
        """Save, and leave keys and parameters to others; the case stays open."""
        self.panel.keep()
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        """Save the open case while its nodes are there, and let go of the parameters."""
        self.panel.scene_closing()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        """Take the parameters of the new scene, if the panel is visible."""
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
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onOptions)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onOptions)
        self.onOptions()

    def onOptions(self, caller=None, event=None):
        """The user chose something, or there is nothing to choose any more."""
        self.panel.set_options(self._parameterNode)
        if self._parameterNode and self._parameterNode.keys:
            self._keys.on()
        else:
            self._keys.off()

    def openStudy(self, path: str):
        """Open a study file or a cohort folder, as if the user had typed it."""
        self.initializeParameterNode()
        self._parameterNode.study = path
        self.panel.open_path(path)


class MedPrepLogic(ScriptedLoadableModuleLogic):
    """What the panel can do, without the panel: ``session`` is what it works with."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.session = None

    def getParameterNode(self):
        """The parameter node of the scene, with types."""
        return MedPrepParameterNode(super().getParameterNode())

    def installRequirements(self):
        """Offer to install what MedPrepLib needs and Slicer lacks. Raises RequirementsError."""
        install(pathlib.Path(__file__).parent / "Resources" / "requirements.txt")

    def startSession(self, reviewer: str):
        """The session of this scene; ``reviewer`` decides in it from now on."""
        self.installRequirements()
        library.library_folder()
        from MedPrepLib.mrml import Session

        if self.session is None:
            self.session = Session(slicer.mrmlScene)
        self.session.change_reviewer(reviewer)
        return self.session

    def openBook(self, path: pathlib.Path, listener):
        """The cases of a study file or cohort folder, and their entries; may run in a thread."""
        from MedPrepLib.casebook import open_book

        book = open_book(path, listener)
        return book, book.entries

    def sceneReviews(self) -> pathlib.Path:
        """Where reviews of what is in the scene are kept: beside the scene's own file."""
        folder = slicer.mrmlScene.GetRootDirectory() or str(pathlib.Path.home())
        return pathlib.Path(folder) / "MedPrepReviews"

    def sampleStudy(self) -> pathlib.Path:
        """The sample study, written into Slicer's cache if it is not there; its study file."""
        self.installRequirements()
        library.library_folder()
        from MedPrepLib.sample import write_sample

        cache = pathlib.Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory())
        study = cache / "MedPrepStudy" / "study.toml"
        if not study.is_file():
            write_sample(study.parent)
        return study

    def isRefusal(self, error: BaseException) -> bool:
        """True for what is said in a line of the panel, and is no fault of the program."""
        if isinstance(error, (OSError, RequirementsError)):
            return True
        library.library_folder()
        from MedPrepLib.errors import MedPrepError

        return isinstance(error, MedPrepError)


class MedPrepTest(ScriptedLoadableModuleTest):
    """What has to hold inside a running Slicer; the rest is tested without one."""

    def setUp(self):
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run all tests; called by Slicer."""
        for test in (
            self.test_the_library_is_found,
            self.test_the_choice_of_a_study_is_kept_in_the_scene,
            self.test_a_run_button_that_cannot_work_says_why,
            self.test_a_case_is_opened_decided_and_approved,
        ):
            self.setUp()
            test()
        self.delayDisplay(_("Test passed"))

    def test_the_library_is_found(self):
        """MedPrepLib can be imported."""
        self.assertTrue((library.library_folder() / "MedPrepLib" / "__init__.py").is_file())

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
        self.assertIn(_("Open a study file first"), widget.ui.runButton.toolTip)

    def test_a_case_is_opened_decided_and_approved(self):
        """The logic does from Python what the panel does; the scene is empty again at the end."""
        before = slicer.mrmlScene.GetNumberOfNodes()
        logic = MedPrepLogic()
        session = logic.startSession("self test")
        session.take_book(*logic.openBook(logic.sampleStudy(), lambda step: None))
        entry = next(e for e in session.entries if len(e.raters) > 1 and not e.excluded)
        desk = session.open_case(entry.name)
        self.assertIsNotNone(desk.analysis.agreement.lowest)
        desk.decide(desk.case.study.consensus)
        self.assertEqual(session.save("approved").verdict, "approved")
        session.close_case()
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
