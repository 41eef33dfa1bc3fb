"""The scene, the files, the layout, and what Slicer's Python offers a module."""

from __future__ import annotations

import os
import subprocess

import pytest


@pytest.fixture
def slicer(panel):
    import slicer

    return slicer


@pytest.fixture
def volume(slicer):
    """4 x 5 x 6 voxels of 2 mm, rising by one."""
    import numpy as np

    array = np.arange(120, dtype=np.int16).reshape(6, 5, 4)
    matrix = np.diag([-2.0, -2.0, 2.0, 1.0])
    return slicer.util.addVolumeFromArray(array, ijkToRAS=matrix, name="CT")


# --- scene ----------------------------------------------------------------------------------


def test_the_logics_of_the_core_modules_know_the_scene(slicer):
    names = "terminologies colors volumes segmentations subjecthierarchy transforms tables plots"
    for name in f"{names} markups cropvolume sequences texts".split():
        module = getattr(slicer.modules, name)
        assert module.logic().GetMRMLScene() is slicer.mrmlScene, name
        assert slicer.util.getModuleLogic(module.name) is module.logic()
        assert slicer.app.moduleLogic(module.name) is module.logic()


def test_every_node_that_slicer_shows_gets_an_item_in_the_hierarchy(panel, slicer):
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    for kind, shown in {
        "vtkMRMLScalarVolumeNode": True,
        "vtkMRMLSegmentationNode": True,
        "vtkMRMLTableNode": True,
        "vtkMRMLScriptedModuleNode": False,
    }.items():
        node = slicer.mrmlScene.AddNewNodeByClass(kind)
        assert bool(hierarchy.GetItemByDataNode(node)) is shown, kind
    panel.close_scene()
    assert slicer.util.getSubjectHierarchyItemChildren() == []


def test_closing_the_scene_tells_its_observers_before_and_after(panel, slicer):
    scene, heard = slicer.mrmlScene, []
    scene.AddNewNodeByClass("vtkMRMLModelNode")
    tags = [
        scene.AddObserver(event, lambda *_: heard.append(slicer.util.getNodes("Model*") != {}))
        for event in (scene.StartCloseEvent, scene.EndCloseEvent)
    ]
    panel.close_scene()
    for tag in tags:
        scene.RemoveObserver(tag)
    assert heard == [True, False]


@pytest.mark.parametrize("name", ["scene.mrml", "scene.mrb"])
def test_a_scene_is_saved_and_loaded(panel, slicer, volume, tmp_path, name):
    assert slicer.util.saveNode(volume, str(tmp_path / "ct.nrrd"), {})
    panel.save_scene(tmp_path / name)
    panel.close_scene()
    assert slicer.util.getNodes("CT") == {}
    panel.load_scene(tmp_path / name)
    array = slicer.util.arrayFromVolume(slicer.util.getNode("CT"))
    assert (array.shape, int(array[-1, -1, -1])) == ((6, 5, 4), 119)
    assert slicer.mrmlScene.GetSubjectHierarchyNode().GetItemByDataNode(slicer.util.getNode("CT"))


# --- files ----------------------------------------------------------------------------------


def test_volumes_and_labels_are_saved_and_loaded(slicer, volume, tmp_path):
    path = str(tmp_path / "ct.nii.gz")
    assert slicer.util.saveNode(volume, path, {})
    loaded = slicer.util.loadVolume(path, {"name": "again"})
    labels = slicer.util.loadLabelVolume(path, {})
    assert (loaded.GetName(), loaded.GetSpacing()) == ("again", (2.0, 2.0, 2.0))
    assert labels.GetClassName() == "vtkMRMLLabelMapVolumeNode"
    background = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert background.GetBackgroundVolumeID() == loaded.GetID()


def test_a_segmentation_is_saved_and_loaded(slicer, volume, tmp_path):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "reading")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    tumor = node.GetSegmentation().AddEmptySegment("tumor", "Tumor")
    mask = (slicer.util.arrayFromVolume(volume) > 100).astype("uint8")
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, tumor, volume)
    path = str(tmp_path / "reading.seg.nrrd")
    assert slicer.util.saveNode(node, path, {})
    loaded = slicer.util.loadSegmentation(path, {})
    array = slicer.util.arrayFromSegmentBinaryLabelmap(loaded, "tumor", volume)
    assert int(array.sum()) == int(mask.sum()) == 19


def test_tables_markups_texts_and_transforms_are_saved_and_loaded(slicer, tmp_path):
    made = {
        "table.csv": ("vtkMRMLTableNode", slicer.util.loadTable),
        "points.mrk.json": ("vtkMRMLMarkupsFiducialNode", slicer.util.loadMarkups),
        "note.txt": ("vtkMRMLTextNode", slicer.util.loadText),
        "shift.h5": ("vtkMRMLLinearTransformNode", slicer.util.loadTransform),
    }
    for name, (kind, load) in made.items():
        node = slicer.mrmlScene.AddNewNodeByClass(kind, "made")
        if kind == "vtkMRMLTextNode":
            assert not slicer.util.saveNode(node, str(tmp_path / name), {})
            node.SetText("a text")
            node.SetForceCreateStorageNode(True)
        if kind == "vtkMRMLTableNode":
            node.AddColumn().SetName("case")
            node.AddEmptyRow()
        assert slicer.util.saveNode(node, str(tmp_path / name), {}), name
        assert load(str(tmp_path / name)).IsA(kind), name


def test_a_file_that_cannot_be_read_is_an_error(slicer, tmp_path):
    import vtk

    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        with pytest.raises(RuntimeError, match="Failed to load"):
            slicer.util.loadVolume(str(tmp_path / "absent.nrrd"), {})
    finally:
        vtk.vtkObject.GlobalWarningDisplayOn()


# --- layout ---------------------------------------------------------------------------------


def test_the_usual_slice_views_have_nodes_and_logics(slicer, volume):
    manager = slicer.app.layoutManager()
    assert {"Red", "Yellow", "Green"} <= set(manager.sliceViewNames())
    red = manager.sliceWidget("Red")
    assert red.mrmlSliceNode().GetID() == "vtkMRMLSliceNodeRed"
    assert red.sliceLogic().GetSliceCompositeNode() is red.mrmlSliceCompositeNode()
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    assert red.mrmlSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()
    red.sliceLogic().SetSliceOffset(4.0)
    assert red.sliceLogic().GetSliceOffset() == 4.0
    slicer.util.resetSliceViews()
    assert manager.sliceWidget("Purple") is None


def test_a_layout_of_one_s_own_makes_its_views(slicer):
    manager, heard = slicer.app.layoutManager(), []
    manager.connect("layoutChanged(int)", heard.append)
    before = manager.layout
    description = "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag="Rater{name}">'
        '<property name="orientation" action="default">Axial</property></view></item>'
        for name in "AB"
    )
    node = manager.layoutLogic().GetLayoutNode()
    assert node.AddLayoutDescription(5001, f'<layout type="horizontal">{description}</layout>')
    manager.setLayout(5001)
    assert {"RaterA", "RaterB"} <= set(manager.sliceViewNames())
    assert manager.sliceWidget("RaterA").sliceOrientation == "Axial"
    manager.layout = before
    manager.setLayout(4711)
    assert heard == [5001, before, slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView]
    manager.disconnect("layoutChanged(int)", heard.append)


# --- messages -------------------------------------------------------------------------------


def test_messages_are_recorded_with_their_kind_and_details(panel, slicer):
    slicer.util.infoDisplay("done")
    slicer.util.warningDisplay("careful")
    slicer.util.errorDisplay("wrong", detailedText="where")
    assert [(s.kind, s.text) for s in panel.dialogs.shown] == [
        ("information", "done"),
        ("warning", "careful"),
        ("critical", "wrong"),
    ]
    assert panel.dialogs.shown[-1].detail == "where"


def test_a_confirmation_is_refused_unless_the_test_allows_it(panel, slicer):
    import qt

    assert slicer.util.confirmOkCancelDisplay("Overwrite?") is False
    panel.dialogs.answer("Overwrite", qt.QMessageBox.Ok)
    assert slicer.util.confirmOkCancelDisplay("Overwrite?") is True
    assert slicer.util.confirmYesNoDisplay("Leave?") is False


def test_an_error_in_an_action_is_shown_and_goes_on(panel, slicer):
    def act():
        with slicer.util.tryWithErrorDisplay("It failed.", waitCursor=True):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        act()
    assert panel.dialogs.texts("critical") == ["It failed.\n\ndisk full"]
    assert "Traceback" in panel.dialogs.shown[0].detail
    assert panel.app.overrideCursor() is None


def test_in_testing_mode_nothing_is_shown(panel, slicer):
    panel.set_testing_mode(True)
    slicer.util.confirmYesNoDisplay("Leave?")
    slicer.util.errorDisplay("wrong")
    assert panel.dialogs.shown == []


def test_the_status_bar_shows_a_message(slicer):
    assert slicer.util.showStatusMessage("saved 10:41")
    assert slicer.util.mainWindow().statusBar().currentMessage() == "saved 10:41"


def test_settings_have_a_default(slicer):
    assert slicer.util.settingsValue("MedPrep/Blinded", True, slicer.util.toBool) is True
    slicer.app.userSettings().setValue("MedPrep/Blinded", False)
    assert slicer.util.settingsValue("MedPrep/Blinded", True, slicer.util.toBool) is False


# --- other processes ------------------------------------------------------------------------


def _module(monkeypatch, tmp_path, body):
    (tmp_path / "childmodule.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_a_module_runs_in_a_process_of_its_own_and_reports_every_line(
    panel, slicer, monkeypatch, tmp_path
):
    body = (
        "import os, sys\nprint('out', *sys.argv[1:])\nprint('err', file=sys.stderr, flush=True)\n"
    )
    _module(monkeypatch, tmp_path, f"{body}sys.stdout.flush()\nprint(os.getpid())\nsys.exit(3)")
    lines, ends = [], []
    slicer.util.executePythonModule(
        "childmodule",
        ["a b"],
        blocking=False,
        logCallback=lines.append,
        completedCallback=ends.append,
    )
    assert (lines, ends) == ([], [])
    panel.wait_until(lambda: ends)
    assert sorted(lines)[1:] == ["err", "out a b"]
    assert ends == [3]
    assert int(min(lines)) != os.getpid()


def test_a_blocking_run_that_fails_is_an_error(slicer, monkeypatch, tmp_path, capsys):
    _module(monkeypatch, tmp_path, "print('going')\nraise SystemExit(2)")
    heard = []
    with pytest.raises(subprocess.CalledProcessError):
        slicer.util.executePythonModule("childmodule", [], logCallback=heard.append)
    assert "going" in capsys.readouterr().out


def test_a_child_does_not_outlive_its_test(panel, slicer, monkeypatch, tmp_path):
    from panel.harness import install

    _module(monkeypatch, tmp_path, "import time\nprint('up', flush=True)\ntime.sleep(60)")
    lines = []
    slicer.util.executePythonModule("childmodule", [], blocking=False, logCallback=lines.append)
    panel.wait_until(lambda: lines)
    process = install.children[0]
    panel.reset()
    assert process.poll() is not None


# --- packages -------------------------------------------------------------------------------


def test_what_is_installed_is_not_asked_for(panel, slicer, tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("# comment\npytest>=1\nnumpy\n")
    slicer.packaging.pip_ensure(slicer.packaging.load_requirements(path), requester="Sample")
    assert (panel.installations.asked, panel.dialogs.shown) == ([], [])
    assert slicer.packaging.pip_check("pytest>=1")
    assert not slicer.packaging.pip_check("pytest>=1000")


def test_what_is_missing_is_installed_only_if_the_user_agrees(panel, slicer):
    import qt

    wanted = ["no-such-package-x>=1"]
    with pytest.raises(RuntimeError, match="declined"):
        slicer.packaging.pip_ensure(wanted, requester="Sample")
    assert panel.installations.asked == []
    panel.dialogs.answer("Sample - Install", qt.QMessageBox.Ok)
    slicer.packaging.pip_ensure(wanted, requester="Sample")
    slicer.util.pip_install("other-package")
    assert panel.installations.asked == [wanted, ["other-package"]]


def test_an_installation_can_be_made_to_fail(panel, slicer):
    panel.installations.error = subprocess.CalledProcessError(1, "pip")
    with pytest.raises(subprocess.CalledProcessError):
        slicer.util.pip_install("other-package")


def test_a_translation_leaves_the_text_as_it_is(slicer):
    from slicer.i18n import tr, translate

    assert (tr("{n} cases"), translate("Context", "Informatics")) == ("{n} cases", "Informatics")
