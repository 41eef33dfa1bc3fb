"""The subject hierarchy: patient, case, and what belongs to it, as the module Data shows it."""

from __future__ import annotations

from typing import Any

from MedPrepLib.errors import MedPrepError


def hierarchy(scene: Any) -> Any:
    """The scene's subject hierarchy node, made when there is none."""
    import slicer

    node = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if node is None:
        raise MedPrepError("the scene has no subject hierarchy and lets none be made")
    return node


def case_item(scene: Any, patient: str, case: str) -> int:
    """The item of a case, below that of its patient; both are made when they are not there."""
    tree = hierarchy(scene)
    root = tree.GetSceneItemID()
    above = tree.GetItemChildWithName(root, patient) or tree.CreateSubjectItem(root, patient)
    found = tree.GetItemChildWithName(above, case) or tree.CreateStudyItem(above, case)
    return int(found)


def put_below(scene: Any, node: Any, parent: int) -> None:
    """Hang a node below an item."""
    tree = hierarchy(scene)
    item = tree.GetItemByDataNode(node)
    if item:
        tree.SetItemParent(item, parent)
    else:  # without Slicer's own plugins nobody makes items for nodes
        tree.CreateItem(parent, node)


def forget(scene: Any, node: Any) -> None:
    """Take away the item of a node that is about to be removed."""
    tree = hierarchy(scene)
    item = tree.GetItemByDataNode(node)
    if item:
        tree.RemoveItem(item, False, False)


def remove_case_item(scene: Any, item: int) -> None:
    """Take away the item of a case, and its patient's when nothing else is left there."""
    tree = hierarchy(scene)
    patient = tree.GetItemParent(item)
    tree.RemoveItem(item, False, False)
    if patient != tree.GetSceneItemID() and not tree.GetNumberOfItemChildren(patient):
        tree.RemoveItem(patient, False, False)
