"""A whole case in a scene: loaded, shown, changed, and removed without leftovers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from MedPrepLib.boxes import WorldBox, to_world
from MedPrepLib.casebook.opened import OpenCase
from MedPrepLib.consensus import Consensus
from MedPrepLib.consensus.drawing import as_drawing, from_drawing
from MedPrepLib.errors import MedPrepError
from MedPrepLib.images import Volume, VoxelArray
from MedPrepLib.labels import Color
from MedPrepLib.masks import merge
from MedPrepLib.mrml import hierarchy, views
from MedPrepLib.mrml.markups import add_boxes, boxes_of
from MedPrepLib.mrml.nodes import (
    hide_marked,
    quietly,
    remove_node,
    set_visible,
    show_segments,
)
from MedPrepLib.mrml.segmentations import (
    add_segmentation,
    drop_segments,
    lineage,
    parts_of,
    replace_segments,
)
from MedPrepLib.mrml.volumes import add_volume, show_as_heat, show_between
from MedPrepLib.reading import align_parts
from MedPrepLib.segmentation import Segmentation

OF_CASE = "MedPrep.Case"
"""Attribute of every node that was made here."""
PERCENT = 100
"""What the largest disagreement is in a map of them; a map of bytes takes a quarter of the memory
of one of floats."""


@dataclass(eq=False)
class CaseNodes:
    """The nodes of one open case.

    ``volume`` is the image, ``readings`` the raters' segmentations on its grid, by rater,
    ``boxes`` their boxes. ``consensus`` and ``disagreement`` are there once they were asked for.
    Nodes that a user deletes are simply gone: nothing here fails because of it.
    """

    scene: Any
    case: OpenCase
    volume: Any
    readings: dict[str, Any]
    boxes: dict[str, list[Any]] = field(default_factory=dict)
    consensus: Any = None
    disagreement: Any = None
    as_drawn: dict[str, Any] = field(default_factory=dict)
    item: int = 0
    own: list[Any] = field(default_factory=list)
    """Nodes that were made here, and that :meth:`remove` takes away."""

    @classmethod
    def load(
        cls,
        scene: Any,
        case: OpenCase,
        colors: Mapping[str, Color],
        names: Mapping[str, str] | None = None,
    ) -> CaseNodes:
        """Put a case into the scene and show it. ``colors`` and ``names``: of raters.

        Nodes bear the public name of the case: scenes are saved and sent to others.
        """
        shown = names or {}
        with quietly(scene):
            hide_marked(scene, OF_CASE)  # of a scene that was saved with a case open
            volume = add_volume(scene, case.image, case.name)
            show_between(volume, *case.display_range)
            nodes = cls(scene, case, volume, {})
            nodes.item = hierarchy.case_item(scene, case.patient or "patient", case.name)
            nodes._own(volume)
            for rater in case.raters:
                nodes._add_rater(rater, shown.get(rater, rater), colors[rater])
        views.align_to(scene, volume)
        views.show_layers(scene, volume)
        views.jump_to(scene, case.center_mm)
        return nodes

    @classmethod
    def adopt(
        cls, scene: Any, case: OpenCase, volume: Any, readings: Mapping[str, Any]
    ) -> CaseNodes:
        """A case made of nodes that are in the scene already; they stay when it is closed."""
        views.show_layers(scene, volume)
        views.jump_to(scene, case.center_mm)
        return cls(scene, case, volume, dict(readings))

    def remove(self) -> None:
        """Take away everything that was made here, with display and storage nodes."""
        views.clear_layers(self.scene, (self.volume, self.disagreement))
        with quietly(self.scene):
            for node in reversed(self.own):
                remove_node(self.scene, node)
            if self.item:
                hierarchy.remove_case_item(self.scene, self.item)
        self.own.clear()
        self.readings.clear()
        self.consensus = self.disagreement = None
        self.item = 0

    # --- what is seen -------------------------------------------------------------------------

    def show(self, label: str | None, raters: Sequence[str]) -> None:
        """Show one label (None: all) of these raters, and of the consensus."""
        for rater, node in self._present(self.readings):
            show_segments(node, label, visible=rater in raters)
        for rater, boxes in self.boxes.items():
            for node in boxes:
                wanted = label is None or node.GetName().endswith(f": {label}")
                set_visible(self.scene, node, visible=rater in raters and wanted)
        if self._there(self.consensus):
            show_segments(self.consensus, label, visible=True)

    def rename(self, names: Mapping[str, str]) -> None:
        """Call the raters' nodes so; for reading without knowing who drew what.

        Nodes that were in the scene before keep their names: they are somebody's own.
        """
        for rater, node in self._present(self.readings):
            if node in self.own:
                node.SetName(names.get(rater, rater))
        for rater, boxes in self.boxes.items():
            for node in boxes:
                label = node.GetName().rpartition(": ")[2]
                node.SetName(f"{names.get(rater, rater)}: {label}")

    def show_as_drawn(self, rater: str, color: Color, *, visible: bool) -> bool:
        """Show where a rater's mask lay before it was brought to the image; False if nowhere else.

        It is drawn filled, beside the outline of the mask as it is used.
        """
        parts = self.case.as_drawn.get(rater, ())
        if not parts:
            return False
        node = self.as_drawn.get(rater)
        if not self._there(node):
            pale: Color = tuple(128 + part // 2 for part in color)  # type: ignore[assignment]
            node = self._own(
                add_segmentation(
                    self.scene,
                    parts[0],
                    f"{self._name_of(rater)} as drawn",
                    self.volume,
                    dict.fromkeys(parts[0].names, pale),
                )
            )
            node.GetDisplayNode().SetVisibility2DFill(True)
            node.GetDisplayNode().SetOpacity2DFill(0.5)
            self.as_drawn[rater] = node
        set_visible(self.scene, node, visible=visible)
        return True

    def shows_as_drawn(self, rater: str) -> bool:
        """True while the mask of a rater is shown where it lay before."""
        node = self.as_drawn.get(rater)
        return node is not None and self._there(node) and _is_visible(node)

    def show_disagreement(self, bits: Volume | None) -> None:
        """Lay a map of disagreement (entropy, bits) over the image; None takes it away."""
        if self._there(self.disagreement):
            views.clear_layers(self.scene, (self.disagreement,))
            self.own.remove(self.disagreement)
            remove_node(self.scene, self.disagreement)
            self.disagreement = None
        if bits is None:
            return
        highest = float(bits.array.max()) or 1.0
        percent = np.ceil(bits.array * (PERCENT / highest)).astype(np.uint8)
        node = self._own(add_volume(self.scene, bits.with_array(percent), "disagreement"))
        show_as_heat(node, 1.0, float(PERCENT))
        self.disagreement = node
        views.show_layers(self.scene, self.volume, node)

    # --- consensus ----------------------------------------------------------------------------

    def set_consensus(self, consensus: Consensus) -> Any:
        """Put a consensus into the scene as a segmentation that can be edited; returns its node."""
        record = consensus.record
        drawing = as_drawing(
            consensus.label_map, self.case.geometry, self.case.schema, record.ignore_value
        )
        if self._there(self.consensus):
            replace_segments(self.consensus, drawing)
        else:
            self.consensus = self._own(
                add_segmentation(self.scene, drawing, "consensus", self.volume)
            )
            display = self.consensus.GetDisplayNode()
            display.SetVisibility2DFill(True)
            display.SetOpacity2DFill(0.25)
            display.SetSliceIntersectionThickness(2)
        facts = {
            "Case": self.case.name,
            "Method": record.method,
            "Raters": ", ".join(record.raters),
            "TieRule": record.tie_rule,
            "TiedVoxels": str(record.tied_voxels),
            "Inputs": json.dumps(record.inputs, sort_keys=True),
        }
        lineage(self.consensus, facts)
        return self.consensus

    @property
    def has_consensus(self) -> bool:
        """True when there is a consensus in the scene."""
        return self._there(self.consensus)

    def drawn_consensus(self) -> tuple[VoxelArray, int | None]:
        """The consensus as it is in the scene now, on the image's grid.

        One value per voxel (k, j, i), and the value of undecided voxels if there are any. Raises
        MedPrepError when there is none, LabelError for segments that are no labels.
        """
        return from_drawing(self.drawing(), self.case.schema)

    def drawing(self) -> Segmentation:
        """The segments of the consensus as they are in the scene now, on the image's grid."""
        if not self._there(self.consensus):
            raise MedPrepError("there is no consensus in the scene; make one first")
        parts, _ = parts_of(self.consensus)
        if not parts:
            empty = np.zeros(self.case.geometry.shape, np.uint8)
            return Segmentation((empty,), self.case.geometry, ())
        settings = self.case.study.align
        aligned = align_parts(parts, self.case.geometry, settings, "consensus")
        return merge(aligned.parts, "consensus").segmentation

    def put_consensus(self, label_map: VoxelArray, ignore_value: int | None) -> None:
        """Change the voxels of the consensus that is in the scene, and nothing else of it."""
        drawing = as_drawing(label_map, self.case.geometry, self.case.schema, ignore_value)
        replace_segments(self.consensus, drawing)

    def list_only(self, labels: Sequence[str]) -> None:
        """Take the segments out of the consensus that are none of these and hold nothing.

        A segment that is listed says that somebody looked for it.
        """
        drawing = self.drawing()
        others = (name for name in drawing.names if name not in labels)
        drop_segments(self.consensus, [name for name in others if not drawing.mask(name).any()])

    def set_boxes(
        self, name: str, boxes: Sequence[WorldBox], color: Color, *, editable: bool = False
    ) -> None:
        """Put boxes into the scene under a name, in place of those that were there under it."""
        for node in self.boxes.pop(name, []):
            if node in self.own:
                self.own.remove(node)
            remove_node(self.scene, node)
        made = add_boxes(self.scene, boxes, f"{name}: ", color, editable=editable)
        self.boxes[name] = [self._own(node) for node in made]

    def drawn_boxes(self, name: str) -> tuple[WorldBox, ...]:
        """The boxes under a name, as they are in the scene now."""
        nodes = [node for node in self.boxes.get(name, []) if self._there(node)]
        return boxes_of(nodes, f"{name}: ")

    # --- inside -------------------------------------------------------------------------------

    def _add_rater(self, rater: str, shown: str, color: Color) -> None:
        mask = self.case.masks.get(rater)
        if mask is not None:
            colors = dict.fromkeys(mask.names, color)
            node = add_segmentation(self.scene, mask, shown, self.volume, colors)
            self.readings[rater] = self._own(node)
        boxes = self.case.boxes.get(rater, ())
        if boxes:
            world = [to_world(box, self.case.geometry) for box in boxes]
            made = add_boxes(self.scene, world, f"{shown}: ", color)
            self.boxes[rater] = [self._own(node) for node in made]

    def _own(self, node: Any) -> Any:
        self.own.append(node)
        node.SetAttribute(OF_CASE, self.case.name)
        if self.item:
            hierarchy.put_below(self.scene, node, self.item)
        return node

    def _name_of(self, rater: str) -> str:
        node = self.readings.get(rater)
        return str(node.GetName()) if node is not None and self._there(node) else rater

    def _there(self, node: Any) -> bool:
        return node is not None and bool(self.scene.IsNodePresent(node))

    def _present(self, nodes: Mapping[str, Any]) -> list[tuple[str, Any]]:
        return [(rater, node) for rater, node in nodes.items() if self._there(node)]


def _is_visible(node: Any) -> bool:
    display = node.GetDisplayNode()
    return display is not None and bool(display.GetVisibility())
