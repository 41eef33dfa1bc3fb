"""Stand-ins for the widgets that look into a node: its segments, the subject hierarchy."""

# Names and signatures are Slicer's.
# ruff: noqa: ARG002, N801, N815

from __future__ import annotations

from typing import Any

import slicer
import vtk
from panel.harness.mrml_widgets import SCENE_CHANGES, qMRMLNodeComboBox, qMRMLWidget
from panel.harness.standin import Observers, kept, plain, stand_in
from PySide6 import QtCore, QtGui, QtWidgets

SEGMENT_CHANGES = (
    slicer.vtkSegmentation.SegmentAdded,
    slicer.vtkSegmentation.SegmentRemoved,
    slicer.vtkSegmentation.SegmentModified,
)
ITEM_ROLE = 256 + 1  # beyond Qt.UserRole, as in Slicer's model


@stand_in
class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """A segmentation and one of its segments."""

    currentNodeChanged = QtCore.Signal((object,), (bool,))
    currentSegmentChanged = QtCore.Signal(str)
    _nodes: Any = None
    _segments: Any = None
    _observers: Any = None

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._nodes = qMRMLNodeComboBox()
        self._nodes.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._nodes.addEnabled = False
        self._segments = QtWidgets.QComboBox()
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._nodes)
        layout.addWidget(self._segments)
        self._observers = Observers(self)
        self.connect("mrmlSceneChanged(vtkMRMLScene*)", self._nodes.setMRMLScene)
        self._nodes.connect("currentNodeChanged(vtkMRMLNode*)", self._on_node)
        self._segments.connect("currentIndexChanged(int)", self._on_segment)

    def _on_node(self, node: Any) -> None:
        self._observers.clear()
        for event in SEGMENT_CHANGES if node else ():
            self._observers.add(node.GetSegmentation(), event, lambda *_: self._refresh())
        self._refresh()
        self.currentNodeChanged._emit_as(object, node)
        self.currentNodeChanged._emit_as(bool, node is not None)

    def _refresh(self) -> None:
        if self._segments is None:
            return
        before = self.currentSegmentID()
        self._segments.blockSignals(True)
        self._segments.clear()
        if self.noneEnabled:
            self._segments.addItem("None", "")
        for segment_id in self.segmentIDs():
            name = self.currentNode().GetSegmentation().GetSegment(segment_id).GetName()
            self._segments.addItem(name, segment_id)
        index = self._segments.findData(before)
        self._segments.setCurrentIndex(max(index, 0) if self._segments.count else -1)
        self._segments.blockSignals(False)
        if self.currentSegmentID() != before:
            self.currentSegmentChanged.emit(self.currentSegmentID())

    def _on_segment(self, index: int) -> None:
        self.currentSegmentChanged.emit(self.currentSegmentID())

    def currentNode(self) -> Any:
        return self._nodes.currentNode()

    def currentNodeID(self) -> str:
        return self._nodes.currentNodeID

    def setCurrentNode(self, node: Any) -> None:
        self._nodes.setCurrentNode(node)

    def setCurrentNodeID(self, node_id: str) -> None:
        self._nodes.setCurrentNodeID(node_id)

    def segmentIDs(self) -> tuple[str, ...]:
        node = self.currentNode()
        return tuple(node.GetSegmentation().GetSegmentIDs()) if node else ()

    def currentSegmentID(self) -> str:
        return self._segments.itemData(self._segments.currentIndex) or ""

    def setCurrentSegmentID(self, segment_id: str) -> None:
        self._segments.setCurrentIndex(self._segments.findData(segment_id))

    noneEnabled = kept(bool, "noneEnabled", False, _refresh)
    editEnabled = plain(bool, "editEnabled", False)
    multiSelection = plain(bool, "multiSelection", False)
    horizontalLayout = plain(bool, "horizontalLayout", False)
    selectNodeUponCreation = plain(bool, "selectNodeUponCreation", True)
    segmentationNodeSelectorVisible = QtCore.Property(
        bool,
        lambda self: not self._nodes.isHidden(),
        lambda self, value: self._nodes.setVisible(value),
    )


@stand_in
class qMRMLSubjectHierarchyTreeView(QtWidgets.QTreeView):
    """The subject hierarchy as a tree of names."""

    currentItemChanged = QtCore.Signal("qlonglong")
    currentNodeChanged = QtCore.Signal(object)
    _scene: Any = None
    _observers: Any = None
    _tree: Any = None

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._tree = QtGui.QStandardItemModel(self)
        self.setModel(self._tree)
        self.setHeaderHidden(True)
        self._observers = Observers(self)

    def mrmlScene(self) -> Any:
        return self._scene

    def subjectHierarchyNode(self) -> Any:
        return self._scene.GetSubjectHierarchyNode() if self._scene else None

    def setMRMLScene(self, scene: Any) -> None:
        self._observers.clear()
        self._scene = scene
        for event in SCENE_CHANGES if scene is not None else ():
            # After the observer that makes the items.
            self._observers.add(scene, event, lambda *_: self._refresh())
        self._refresh()

    def _refresh(self) -> None:
        self._tree.clear()
        if self._scene is None or self._scene.IsBatchProcessing():
            return
        hierarchy = self.subjectHierarchyNode()
        self._fill(hierarchy, hierarchy.GetSceneItemID(), self._tree.invisibleRootItem())

    def _fill(self, hierarchy: Any, parent: int, row: QtGui.QStandardItem) -> None:
        children = vtk.vtkIdList()
        hierarchy.GetItemChildren(parent, children)
        for index in range(children.GetNumberOfIds()):
            item = children.GetId(index)
            node = hierarchy.GetItemDataNode(item)
            if node and self.nodeTypes and not any(node.IsA(k) for k in self.nodeTypes):
                continue
            entry = QtGui.QStandardItem(hierarchy.GetItemName(item))
            entry.setData(item, ITEM_ROLE)
            row.appendRow(entry)
            self._fill(hierarchy, item, entry)

    def currentChanged(self, current: Any, previous: Any) -> None:
        super().currentChanged(current, previous)
        self.currentItemChanged.emit(self.currentItem())
        self.currentNodeChanged.emit(self.currentNode())

    def currentItem(self) -> int:
        return self.currentIndex().data(ITEM_ROLE) or 0

    def currentNode(self) -> Any:
        item = self.currentItem()
        return self.subjectHierarchyNode().GetItemDataNode(item) if item else None

    def setCurrentItem(self, item: int) -> None:
        start = self._tree.index(0, 0)
        flags = QtCore.Qt.MatchFlag.MatchRecursive
        found = self._tree.match(start, ITEM_ROLE, item, 1, flags)
        self.setCurrentIndex(found[0] if found else QtCore.QModelIndex())

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentItem(self.subjectHierarchyNode().GetItemByDataNode(node) if node else 0)

    nodeTypes = kept("QStringList", "nodeTypes", [], _refresh)
    multiSelection = plain(bool, "multiSelection", False)
    contextMenuEnabled = plain(bool, "contextMenuEnabled", True)
    editMenuActionVisible = plain(bool, "editMenuActionVisible", True)
