"""What the slice views of a scene show, and where they look."""

from __future__ import annotations

from typing import Any

from MedPrepLib.geometry import Triple
from MedPrepLib.mrml.nodes import nodes_of


def show_layers(scene: Any, background: Any, foreground: Any = None, opacity: float = 0.6) -> None:
    """Show a volume in every slice view, and another one above it, or none."""
    for composite in nodes_of(scene, "vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(_id(background))
        composite.SetForegroundVolumeID(_id(foreground))
        composite.SetForegroundOpacity(opacity if foreground is not None else 0.0)


def clear_layers(scene: Any, volumes: tuple[Any, ...]) -> None:
    """Take volumes out of every slice view, before they are removed."""
    ids = {_id(volume) for volume in volumes if volume is not None}
    for composite in nodes_of(scene, "vtkMRMLSliceCompositeNode"):
        if composite.GetBackgroundVolumeID() in ids:
            composite.SetBackgroundVolumeID(None)
        if composite.GetForegroundVolumeID() in ids:
            composite.SetForegroundVolumeID(None)


def align_to(scene: Any, volume: Any) -> None:
    """Turn the slice views so that the volume's own slices are seen, as it was acquired."""
    for view in nodes_of(scene, "vtkMRMLSliceNode"):
        view.RotateToVolumePlane(volume)


def jump_to(scene: Any, point_mm: Triple) -> None:
    """Let every slice view go through a point (LPS millimeters), with the point in its middle."""
    x, y, z = point_mm
    for view in nodes_of(scene, "vtkMRMLSliceNode"):
        view.JumpSliceByCentering(-x, -y, z)


def jump_slices_to(scene: Any, point_mm: Triple) -> None:
    """Let every slice view go through a point (LPS millimeters) without moving sideways."""
    x, y, z = point_mm
    for view in nodes_of(scene, "vtkMRMLSliceNode"):
        view.JumpSliceByOffsetting(-x, -y, z)


def center(scene: Any) -> Triple:
    """The point (LPS millimeters) in the middle of the first slice view; the origin for no view."""
    for view in nodes_of(scene, "vtkMRMLSliceNode"):
        matrix = view.GetSliceToRAS()
        r, a, s = (matrix.GetElement(row, 3) for row in range(3))
        return (-r, -a, s)
    return (0.0, 0.0, 0.0)


def _id(node: Any) -> str | None:
    return None if node is None else node.GetID()
