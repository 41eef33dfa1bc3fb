"""``slicer.app.layoutManager()``: real layout, slice and composite nodes, real slice logics.

There are no views: nothing is rendered.
"""

# Names and signatures are Slicer's.
# ruff: noqa: ARG005, N801, N815

from __future__ import annotations

from typing import Any

import slicer
import vtk
from panel.harness.mrml_widgets import qMRMLWidget
from panel.harness.standin import stand_in
from PySide6 import QtCore, QtWidgets

CONVENTIONAL = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
FOUR_UP = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


@stand_in
class qMRMLSliceWidget(qMRMLWidget):
    """One slice view, without its picture."""

    _logic: Any = None

    def sliceLogic(self) -> Any:
        return self._logic

    logic = sliceLogic

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    mrmlAbstractViewNode = mrmlSliceNode

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()

    def setSliceOrientation(self, orientation: str) -> None:
        self.mrmlSliceNode().SetOrientation(orientation)

    sliceOrientation = QtCore.Property(
        str, lambda self: self.mrmlSliceNode().GetOrientation(), setSliceOrientation
    )
    sliceViewName = QtCore.Property(str, lambda self: self.mrmlSliceNode().GetLayoutName())


@stand_in
class qSlicerLayoutManager(QtCore.QObject):
    """Makes a slice logic for every slice node of the layouts that were chosen."""

    layoutChanged = QtCore.Signal(int)
    _logic: Any = None
    _application: Any = None
    _widgets: Any = None
    _viewport: Any = None
    _shown = -1

    def __init__(self, scene: Any, application_logic: Any, parent: Any = None) -> None:
        super().__init__(parent)
        self._application = application_logic
        self._widgets = {}
        self._viewport = QtWidgets.QWidget()
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        self._logic.SetMRMLScene(scene)
        self._node().AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._update())
        self._node().SetViewArrangement(FOUR_UP)

    def _node(self) -> Any:
        return self._logic.GetLayoutNode()

    def _update(self) -> None:
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode", self.mrmlScene()):
            if node.GetLayoutName() not in self._widgets:
                self._widgets[node.GetLayoutName()] = self._make(node)
        if self._shown != self.layout:
            self._shown = self.layout
            self.layoutChanged.emit(self._shown)

    def _make(self, node: Any) -> qMRMLSliceWidget:
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self._application)
        logic.SetMRMLScene(self.mrmlScene())
        logic.SetSliceNode(node)
        node.SetDimensions(300, 300, 1)  # a view that was never drawn has no size
        self._application.GetSliceLogics().AddItem(logic)
        widget = qMRMLSliceWidget(self._viewport)
        widget._logic = logic
        widget.setMRMLScene(self.mrmlScene())
        return widget

    def mrmlScene(self) -> Any:
        return self._logic.GetMRMLScene()

    def layoutLogic(self) -> Any:
        return self._logic

    def mrmlSliceLogics(self) -> Any:
        return self._application.GetSliceLogics()

    def mrmlViewLogics(self) -> Any:
        return self._application.GetViewLogics()

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(self._widgets)

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        return self._widgets.get(name)

    def setLayout(self, layout: int) -> None:
        known = self._node().IsLayoutDescription(int(layout))
        self._node().SetViewArrangement(int(layout) if known else CONVENTIONAL)

    layout = QtCore.Property(int, lambda self: self._node().GetViewArrangement(), setLayout)
    threeDViewCount = QtCore.Property(int, lambda self: 0)
    tableViewCount = QtCore.Property(int, lambda self: 0)
    plotViewCount = QtCore.Property(int, lambda self: 0)

    def viewport(self) -> QtWidgets.QWidget:
        return self._viewport

    def resetSliceViews(self) -> None:
        for widget in self._widgets.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        pass

    def setRenderPaused(self, paused: bool) -> None:
        pass

    def pauseRender(self) -> None:
        pass

    def resumeRender(self) -> None:
        pass
