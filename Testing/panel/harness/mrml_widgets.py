"""Stand-ins for Slicer's widgets that show what is in the scene."""

# Names and signatures are Slicer's.
# ruff: noqa: ARG002, N801, N815

from __future__ import annotations

from typing import Any

import slicer
import vtk
from panel.harness.standin import Observers, kept, plain, stand_in
from PySide6 import QtCore, QtWidgets

Scene = slicer.vtkMRMLScene
SCENE_CHANGES = (
    Scene.NodeAddedEvent,
    Scene.NodeRemovedEvent,
    Scene.EndBatchProcessEvent,
    Scene.EndImportEvent,
    Scene.EndCloseEvent,
)


@stand_in
class qMRMLWidget(QtWidgets.QWidget):
    """A widget that hands a scene on."""

    mrmlSceneChanged = QtCore.Signal(object)
    _scene: Any = None

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> Any:
        return self._scene


@stand_in
class qMRMLNodeComboBox(QtWidgets.QWidget):
    """The nodes of some classes; disabled until it has a scene, as the real one."""

    currentNodeChanged = QtCore.Signal((object,), (bool,))
    currentNodeIDChanged = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    currentNodeRenamed = QtCore.Signal(str)
    _scene: Any = None
    _combo: Any = None
    _current = ""
    _ids: Any = ()
    _filling = False

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._combo = QtWidgets.QComboBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self._observers = Observers(self)
        self._node_observers = Observers(self)
        self._combo.connect("currentIndexChanged(int)", self._on_index)
        self._combo.connect("activated(int)", self._on_activated)
        self.setEnabled(False)

    _observers: Any = None
    _node_observers: Any = None
    _attributes: Any = ()

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        self._observers.clear()
        self._scene = scene
        self.setEnabled(scene is not None)
        for event in SCENE_CHANGES if scene is not None else ():
            self._observers.add(scene, event, lambda *_: self._refresh())
        if scene is not None:
            self._observers.add(scene, Scene.NodeAddedEvent, self._announcer(self.nodeAdded))
            leaving = self._announcer(self.nodeAboutToBeRemoved)
            self._observers.add(scene, Scene.NodeAboutToBeRemovedEvent, leaving)
        self._refresh()

    def _announcer(self, signal: Any) -> Any:
        @vtk.calldata_type(vtk.VTK_OBJECT)
        def announce(caller: Any, event: str, node: Any) -> None:
            if self._offers(node):
                signal.emit(node)

        return announce

    def _offers(self, node: Any) -> bool:
        """Whether the node is one of those that can be chosen."""
        exactly = not self.showChildNodeTypes
        kinds = self.nodeTypes
        fits = node.GetClassName() in kinds if exactly else any(node.IsA(k) for k in kinds)
        hidden = node.GetHideFromEditors() and not self.showHidden
        barred = any(node.IsA(kind) for kind in self.hideChildNodeTypes)
        return (fits or not kinds) and not hidden and not barred and self._has_attributes(node)

    def _has_attributes(self, node: Any) -> bool:
        for kind, name, wanted in self._attributes:
            found = node.GetAttribute(name)
            if node.IsA(kind) and (found is None or wanted not in (None, found)):
                return False
        return True

    def _nodes(self) -> list[Any]:
        nodes = self._scene.GetNodes() if self._scene is not None else vtk.vtkCollection()
        every = (nodes.GetItemAsObject(i) for i in range(nodes.GetNumberOfItems()))
        return [node for node in every if self._offers(node)]

    def _refresh(self) -> None:
        """Bring the entries up to date; what was chosen stays chosen if it is still there."""
        if self._combo is None or (self._scene is not None and self._scene.IsBatchProcessing()):
            return
        nodes = self._nodes()
        choice = self._choice(self._ids, [node.GetID() for node in nodes])
        self._ids = [node.GetID() for node in nodes]
        self._node_observers.clear()
        self._filling = True
        self._combo.clear()
        if self.noneEnabled:
            self._combo.addItem(self.noneDisplay, "")
        for node in nodes:
            self._combo.addItem(node.GetName() or "", node.GetID())
            self._node_observers.add(node, vtk.vtkCommand.ModifiedEvent, self._on_modified)
        self._filled(nodes)
        self._filling = False
        self.setCurrentNodeID(choice)
        self._on_index(self._combo.currentIndex)

    def _choice(self, before: list[str], now: list[str]) -> str:
        """What is chosen when the nodes change, as Qt's combo box and Slicer's menu have it.

        In the place of the chosen node that went its successor is chosen. The first node that
        appears is chosen only where the list offers nothing else: no "None", no "Create new".
        """
        if self._current in now or not now:
            return self._current
        if self._current in before:
            return now[min(before.index(self._current), len(now) - 1)]
        entries = self.addEnabled or self.removeEnabled or self.editEnabled or self.renameEnabled
        return "" if before or self.noneEnabled or entries else now[0]

    def _filled(self, nodes: list[Any]) -> None:
        """For what derives from this class."""

    def _on_modified(self, node: Any, event: str) -> None:
        index = self._combo.findData(node.GetID())
        if index >= 0 and self._combo.itemText(index) != node.GetName():
            self._combo.setItemText(index, node.GetName() or "")
            if node.GetID() == self._current:
                self.currentNodeRenamed.emit(node.GetName())

    def _on_index(self, index: int) -> None:
        if self._filling:
            return
        chosen = self._combo.itemData(index) if index >= 0 else ""
        if (chosen or "") != self._current:
            self._current = chosen or ""
            node = self.currentNode()
            self.currentNodeChanged._emit_as(object, node)
            self.currentNodeChanged._emit_as(bool, node is not None)
            self.currentNodeIDChanged.emit(self._current)

    def _on_activated(self, index: int) -> None:
        self.nodeActivated.emit(self.currentNode())

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._current) if self._scene and self._current else None

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, node_id: str | None) -> None:
        index = self._combo.findData(node_id) if node_id else -1
        self._combo.setCurrentIndex(0 if index < 0 and self.noneEnabled else index)

    currentNodeID = QtCore.Property(str, lambda self: self._current, setCurrentNodeID)

    def setCurrentNodeIndex(self, index: int) -> None:
        self._combo.setCurrentIndex(index + bool(self.noneEnabled))

    def nodeCount(self) -> int:
        return len(self._nodes())

    def nodeFromIndex(self, index: int) -> Any:
        return self._nodes()[index]

    def addNode(self, kind: str = "") -> Any:
        """What the entry "Create new ..." does."""
        kind = kind or self.nodeTypes[0]
        if kind not in self.nodeTypes:
            return None
        name = self.baseName or self._scene.GetTagByClassName(kind)
        node = self._scene.AddNewNodeByClass(kind, self._scene.GenerateUniqueName(name))
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        self._scene.RemoveNode(self.currentNode())

    def addAttribute(self, kind: str, name: str, value: str | None = None) -> None:
        self._attributes = (*self._attributes, (kind, name, value))
        self._refresh()

    nodeTypes = kept("QStringList", "nodeTypes", [], _refresh)
    showHidden = kept(bool, "showHidden", False, _refresh)
    showChildNodeTypes = kept(bool, "showChildNodeTypes", True, _refresh)
    hideChildNodeTypes = kept("QStringList", "hideChildNodeTypes", [], _refresh)
    noneEnabled = kept(bool, "noneEnabled", False, _refresh)
    noneDisplay = kept(str, "noneDisplay", "None", _refresh)
    addEnabled = plain(bool, "addEnabled", True)
    removeEnabled = plain(bool, "removeEnabled", True)
    editEnabled = plain(bool, "editEnabled", False)
    renameEnabled = plain(bool, "renameEnabled", False)
    baseName = plain(str, "baseName", "")
    selectNodeUponCreation = plain(bool, "selectNodeUponCreation", True)
    interactionNodeSingletonTag = plain(str, "interactionNodeSingletonTag", "")
    sizeAdjustPolicy = plain(int, "sizeAdjustPolicy", 0)


@stand_in
class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    """Several nodes can be chosen."""

    checkedNodesChanged = QtCore.Signal()
    _checked: Any = ()

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.addEnabled = self.removeEnabled = False

    def _filled(self, nodes: list[Any]) -> None:
        ids = {node.GetID() for node in nodes}
        self._take([node_id for node_id in self._checked if node_id in ids])

    def _take(self, checked: list[str]) -> None:
        if checked != list(self._checked):
            self._checked = checked
            self.checkedNodesChanged.emit()

    def checkState(self, node: Any) -> Any:
        State = QtCore.Qt.CheckState
        checked = node is not None and node.GetID() in self._checked
        return State.Checked if checked else State.Unchecked

    def setCheckState(self, node: Any, state: Any) -> None:
        if node not in self._nodes():
            return
        others = [node_id for node_id in self._checked if node_id != node.GetID()]
        self._take(others + [node.GetID()] * (state == QtCore.Qt.CheckState.Checked))

    def check(self, node: Any) -> None:
        self.setCheckState(node, QtCore.Qt.CheckState.Checked)

    def uncheck(self, node: Any) -> None:
        self.setCheckState(node, QtCore.Qt.CheckState.Unchecked)

    def checkedNodes(self) -> tuple[Any, ...]:
        return tuple(node for node in self._nodes() if node.GetID() in self._checked)

    def uncheckedNodes(self) -> tuple[Any, ...]:
        return tuple(node for node in self._nodes() if node.GetID() not in self._checked)

    def allChecked(self) -> bool:
        return not self.uncheckedNodes()

    def noneChecked(self) -> bool:
        return not self.checkedNodes()
