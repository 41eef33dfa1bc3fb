"""A running MRML scene with the logics of Slicer's core modules, as its application makes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import slicer
import vtk

LOGICS = {
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Models": "vtkSlicerModelsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "Texts": "vtkSlicerTextsLogic",
}
"""Module (as in ``slicer.modules.<name in lower case>``) and the class of its logic. The order
counts: a logic may look for an earlier one when it gets the scene."""

IN_HIERARCHY = (
    "vtkMRMLDisplayableNode",
    "vtkMRMLTableNode",
    "vtkMRMLTextNode",
    "vtkMRMLPlotChartNode",
    "vtkMRMLPlotSeriesNode",
    "vtkMRMLSequenceNode",
    "vtkMRMLSequenceBrowserNode",
)
"""What Slicer's plugins make subject hierarchy items for."""


class Booted(NamedTuple):
    """A scene and what keeps it alive; hold it as long as the process runs."""

    scene: Any
    application_logic: Any
    logics: dict[str, Any]
    keep: list[Any]


def boot(folder: Path) -> Booted:
    """A scene with the logics of the core modules; temporary files and the cache go to ``folder``.

    Slice and view nodes are not made here but by the layout manager, as in Slicer.
    """
    for name in ("temporary", "cache"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    application = slicer.vtkSlicerApplicationLogic()
    application.SetHomeDirectory(str(folder))
    application.SetTemporaryPath(str(folder / "temporary"))
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    remote, data = _data_io(application, folder / "cache")

    scene = slicer.vtkMRMLScene()
    scene.SetRootDirectory(str(folder / "temporary"))
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    application.SetMRMLScene(scene)
    application.SetMRMLSceneDataIO(scene, remote, data)
    # Without presets the name of a slice view's orientation means nothing.
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    logics = {}
    # The wheel has no terminologies, and VTK says so eight times.
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        for name, kind in LOGICS.items():
            logics[name] = _logic(kind, name, application, scene)
    finally:
        vtk.vtkObject.GlobalWarningDisplayOn()
    application.SetColorLogic(logics["Colors"])
    _keep_hierarchy(scene)
    return Booted(scene, application, logics, [remote, data, crosshair])


def _data_io(application: Any, cache: Path) -> tuple[Any, Any]:
    """Scene files and bundles are read through these two."""
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.GetCacheManager().SetRemoteCacheDirectory(str(cache))
    data = slicer.vtkDataIOManagerLogic()
    data.SetMRMLApplicationLogic(application)
    data.SetAndObserveDataIOManager(remote.GetDataIOManager())
    return remote, data


def _logic(kind: str, name: str, application: Any, scene: Any) -> Any:
    logic = getattr(slicer, kind)()
    logic.SetMRMLApplicationLogic(application)
    # Logics find each other by these names.
    application.SetModuleLogic(name, logic)
    logic.SetMRMLScene(scene)
    return logic


def _keep_hierarchy(scene: Any) -> None:
    """Make a subject hierarchy item for every node that appears; Slicer's Qt plugins do."""

    def added(caller: Any, _event: str, node: Any) -> None:
        if node.IsA("vtkMRMLSubjectHierarchyNode"):
            slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(caller)
        elif not caller.IsImporting():  # an imported scene brings its own hierarchy
            _add_item(caller, node)

    def add_missing(caller: Any, _event: str) -> None:
        nodes = caller.GetNodes()
        for node in [nodes.GetItemAsObject(i) for i in range(nodes.GetNumberOfItems())]:
            _add_item(caller, node)

    def resolve(caller: Any, _event: str) -> None:
        if caller is not None:  # closing takes the hierarchy away; deleting tells nobody whose
            slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(caller)

    added.CallDataType = vtk.VTK_OBJECT  # type: ignore[attr-defined]
    scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, added)
    scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, add_missing)
    scene.AddObserver(slicer.vtkMRMLScene.EndCloseEvent, resolve)
    scene.GetSubjectHierarchyNode()


def _add_item(scene: Any, node: Any) -> None:
    if node.GetHideFromEditors() or not any(node.IsA(kind) for kind in IN_HIERARCHY):
        return
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if not hierarchy.GetItemByDataNode(node):
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
