"""What Slicer's Segment Editor works on: chosen in the scene, so that no widget is needed."""

from __future__ import annotations

from typing import Any

KIND = "vtkMRMLSegmentEditorNode"
TAG = "SegmentEditor"
"""The module of Slicer keeps its choices in the singleton of this tag."""


def choose_for_editing(scene: Any, segmentation: Any, volume: Any) -> Any:
    """Let the Segment Editor show these two when it is opened; returns its node."""
    node = scene.GetSingletonNode(TAG, KIND)
    if node is None:
        node = scene.CreateNodeByClass(KIND)
        node.UnRegister(None)
        node.SetSingletonTag(TAG)
        node = scene.AddNode(node)
    node.SetAndObserveSegmentationNode(segmentation)
    node.SetAndObserveSourceVolumeNode(volume)
    return node
