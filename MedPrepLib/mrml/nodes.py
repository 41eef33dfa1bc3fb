"""What is done to nodes of every kind: removed without leftovers, shown, hidden."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from MedPrepLib.mrml import hierarchy
from MedPrepLib.mrml.segmentations import remove_segments, segment_ids


def nodes_of(scene: Any, kind: str) -> list[Any]:
    """All nodes of a class, in the order of the scene."""
    found = scene.GetNodesByClass(kind)
    # The caller has to give the collection back; otherwise it keeps its nodes for ever.
    found.UnRegister(None)
    return [found.GetItemAsObject(number) for number in range(found.GetNumberOfItems())]


def remove_node(scene: Any, node: Any) -> None:
    """Remove a node with its display and storage nodes, as far as they are still there."""
    with_it = [node.GetStorageNode()] if node.IsA("vtkMRMLStorableNode") else []
    if node.IsA("vtkMRMLDisplayableNode"):
        count = node.GetNumberOfDisplayNodes()
        with_it += [node.GetNthDisplayNode(n) for n in range(count)]
    if scene.IsNodePresent(node):
        if node.IsA("vtkMRMLSegmentationNode"):
            remove_segments(node)  # Slicer complains of segments that go after the node's item
        hierarchy.forget(scene, node)
    for each in (node, *with_it):
        if each is not None and scene.IsNodePresent(each):
            scene.RemoveNode(each)


def show_segments(node: Any, label: str | None, *, visible: bool) -> None:
    """Show one segment of a node by its name (None: all), or nothing of the node."""
    display = node.GetDisplayNode()
    if display is None:
        return
    changing = display.StartModify()
    display.SetVisibility(visible)
    wanted = () if label is None else segment_ids(node, [label])
    for id_ in node.GetSegmentation().GetSegmentIDs():
        display.SetSegmentVisibility(id_, label is None or id_ in wanted)
    display.EndModify(changing)


def hide_marked(scene: Any, attribute: str) -> None:
    """Hide every node that bears an attribute."""
    for node in nodes_of(scene, "vtkMRMLDisplayableNode"):
        if node.GetAttribute(attribute):
            node.SetDisplayVisibility(False)


def set_visible(scene: Any, node: Any, *, visible: bool) -> None:
    """Show or hide a node, if it is there and can be shown."""
    if node is not None and scene.IsNodePresent(node) and node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetVisibility(visible)


@contextmanager
def quietly(scene: Any) -> Iterator[None]:
    """Tell nobody about single nodes until all of them are there."""
    scene.StartState(scene.BatchProcessState)
    try:
        yield
    finally:
        scene.EndState(scene.BatchProcessState)
