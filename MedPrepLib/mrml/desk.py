"""The case on the desk: in memory and in the scene, with what was decided about it so far."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from MedPrepLib.agree import first_readings
from MedPrepLib.agree.slices import first_slices
from MedPrepLib.boxes import WorldBox, to_world
from MedPrepLib.casebook import CaseAnalysis, OpenCase, Place
from MedPrepLib.config.settings import Agree
from MedPrepLib.config.settings import Consensus as HowToDecide
from MedPrepLib.consensus import Consensus, reading_hash
from MedPrepLib.consensus.boxes import merge_boxes, quorum_of
from MedPrepLib.consensus.slices import vote_slices
from MedPrepLib.geometry import Triple
from MedPrepLib.images import VoxelArray
from MedPrepLib.labels import Color
from MedPrepLib.mrml import views
from MedPrepLib.mrml.accepting import accept
from MedPrepLib.mrml.casenodes import CaseNodes
from MedPrepLib.mrml.editor import choose_for_editing
from MedPrepLib.report.styles import RATER_COLORS, rater_styles
from MedPrepLib.results import ConsensusRecord, SliceRange
from MedPrepLib.review import Accepted

CONSENSUS = "consensus"
WHITE: Color = (245, 245, 245)


@dataclass(eq=False)
class Desk:
    """One open case. ``start``: the consensus as the method made it, before anybody changed it.

    ``accepted``: whose drawing was taken where, since then. ``slices``: labels per slice as they
    were decided, where raters noted such. ``blinded``: raters are called by numbers.
    """

    case: OpenCase
    analysis: CaseAnalysis
    nodes: CaseNodes
    start: Consensus | None = None
    accepted: list[Accepted] = field(default_factory=list)
    slices: tuple[SliceRange, ...] | None = None
    blinded: bool = False

    @classmethod
    def lay_out(
        cls, scene: Any, case: OpenCase, settings: Agree | None = None, *, blinded: bool = False
    ) -> Desk:
        """Put a case into the scene and show it."""
        nodes = CaseNodes.load(scene, case, colors_of(case), _names(case, blinded=blinded))
        return cls(case, CaseAnalysis(case, settings), nodes, blinded=blinded)

    @classmethod
    def take_over(
        cls,
        scene: Any,
        case: OpenCase,
        volume: Any,
        readings: Mapping[str, Any],
        settings: Agree | None = None,
    ) -> Desk:
        """Take a case that is in the scene already."""
        nodes = CaseNodes.adopt(scene, case, volume, readings)
        return cls(case, CaseAnalysis(case, settings), nodes)

    def clear(self) -> None:
        """Take the case out of the scene."""
        self.nodes.remove()

    def measure(self, settings: Agree) -> None:
        """Judge the agreement by other thresholds; what is decided stays."""
        self.analysis = CaseAnalysis(self.case, settings)

    # --- raters -------------------------------------------------------------------------------

    @property
    def colors(self) -> dict[str, Color]:
        """A color per rater, always the same for the same raters."""
        return colors_of(self.case)

    def name_of(self, rater: str) -> str:
        """What a rater is called now."""
        return _names(self.case, blinded=self.blinded).get(rater, rater)

    def blind(self, *, blinded: bool) -> None:
        """Call the raters by numbers, or by their names again."""
        self.blinded = blinded
        self.nodes.rename(_names(self.case, blinded=blinded))

    # --- consensus ----------------------------------------------------------------------------

    def decide(self, how: HowToDecide) -> ConsensusRecord | None:
        """Make a consensus of masks, boxes and slice labels, and put it into the scene.

        Every person has one voice: the first of their readings.
        What was decided before is replaced; it is kept where a review saved it. Returns how the
        mask was made, None where nobody drew one.
        """
        self.accepted.clear()
        if self.case.masks:
            self.start = self.analysis.consensus(how)
            self.nodes.set_consensus(self.start)
        if self.case.boxes:
            self.put_boxes(self._merged_boxes(how))
        if self.case.slices:
            readings = first_slices(self.case.slices)
            voted = vote_slices(readings, self.case.schema.names, how.ties)
            self.slices = voted.labels.ranges
        return self.start.record if self.start else None

    def find_nothing(self) -> None:
        """Let the consensus hold nothing: somebody looked at the image and found nothing."""
        if self.case.masks:
            how = self.case.study.consensus
            self.nodes.set_consensus(self.start or self.analysis.consensus(how))
            self.nodes.put_consensus(np.zeros(self.case.geometry.shape, np.uint8), None)
        if self.case.boxes:
            self.put_boxes(())
        if self.case.slices:
            self.slices = ()

    def go_on(
        self, start: ConsensusRecord, label_map: VoxelArray, accepted: Sequence[Accepted]
    ) -> None:
        """Put a consensus into the scene that somebody worked on before.

        ``start``: how it began; what the method made is computed again.
        """
        self.start = self.analysis.consensus(_how(start))
        self.accepted = list(accepted)
        holds_undecided = label_map == self.case.schema.ignore_value
        ignore = self.case.schema.ignore_value if holds_undecided.any() else None
        record = msgspec.structs.replace(self.start.record, ignore_value=ignore)
        self.nodes.set_consensus(Consensus(label_map, record))

    def accept(self, place: Place, source: str) -> None:
        """Take what a rater drew, or what the method made, at one place where raters differ.

        ``source``: a rater, or "consensus". Raises MedPrepError where nothing was decided yet,
        LabelError for a rater who did not look for the label, GeometryError when the readings
        have changed.
        """
        accept(self, place, source)

    def add_box(self, label: str, center_mm: Triple, edge_mm: float = 20.0) -> None:
        """Put a cube (LPS) among the decided boxes, to be dragged into shape."""
        self.case.schema.named(label)
        cube = WorldBox(label, center_mm, (edge_mm, edge_mm, edge_mm))
        self.put_boxes((*self.drawn_boxes(), cube))

    def put_boxes(self, boxes: Sequence[WorldBox]) -> None:
        """Let these be the decided boxes; their faces can be dragged in the views."""
        self.nodes.set_boxes(CONSENSUS, boxes, WHITE, editable=True)

    def choose_for_editing(self) -> None:
        """Let Slicer's Segment Editor show the consensus on the image when it is opened."""
        choose_for_editing(self.nodes.scene, self.nodes.consensus, self.nodes.volume)

    @property
    def is_unchanged(self) -> bool:
        """True when the consensus is still what the method made of the readings."""
        if self.start is None:
            return False
        return bool(np.array_equal(self.nodes.drawn_consensus()[0], self.start.label_map))

    @property
    def holds_something(self) -> bool:
        """True when the consensus in the scene has at least one voxel, box or slice."""
        voxels = self.has_mask and bool(self.nodes.drawn_consensus()[0].any())
        return voxels or bool(self.drawn_boxes()) or bool(self.slices)

    @property
    def has_mask(self) -> bool:
        """True when there is a consensus of masks in the scene."""
        return self.nodes.has_consensus

    def fingerprint(self, fixes: Iterable[str] | None = None) -> str:
        """What of the desk a review keeps, as a hash; ``fixes`` stands in for the case's own."""
        fixed = sorted(self.case.fixes if fixes is None else fixes)
        mask = reading_hash(self.nodes.drawing()) if self.has_mask else ""
        kept = (fixed, mask, self.accepted, self.drawn_boxes(), self.slices)
        return hashlib.sha256(msgspec.json.encode(kept)).hexdigest()

    def drawn_boxes(self) -> tuple[WorldBox, ...]:
        """The decided boxes, as they are in the scene now."""
        return self.nodes.drawn_boxes(CONSENSUS)

    # --- looking ------------------------------------------------------------------------------

    def look_at(self, point_mm: Triple) -> None:
        """Let the slice views go through a point (LPS)."""
        views.jump_to(self.nodes.scene, point_mm)

    @property
    def center_of_views(self) -> Triple:
        """The point (LPS) in the middle of the first slice view."""
        return views.center(self.nodes.scene)

    def show_disagreement(self, label: str | None, *, visible: bool) -> None:
        """Lay the map of disagreement on a label over the image, or take it away."""
        self.nodes.show_disagreement(self.analysis.disagreement(label) if visible else None)

    # --- inside -------------------------------------------------------------------------------

    def _merged_boxes(self, how: HowToDecide) -> list[WorldBox]:
        readings = first_readings(self.case.boxes)
        merged = merge_boxes(
            readings,
            quorum_of(how.box_quorum, len(readings)),
            self.analysis.settings.box_iou,
            geometry=self.case.geometry,
        )
        return [to_world(found.box, self.case.geometry) for found in merged.boxes]


def _how(record: ConsensusRecord) -> HowToDecide:
    """The settings that made a consensus, from its record."""
    ties = record.tie_rule.partition(" (absent")[0] or "background"
    return HowToDecide(method="staple" if record.method == "staple" else "majority", ties=ties)


def colors_of(case: OpenCase) -> dict[str, Color]:
    """A color per rater, as the report has them."""
    return {style.rater: RATER_COLORS[style.color] for style in rater_styles(case.raters)}


def _names(case: OpenCase, *, blinded: bool) -> dict[str, str]:
    """Numbers for raters, in an order that says nothing about them and never changes."""
    if not blinded:
        return {}

    def drawn_lot(rater: str) -> bytes:
        return hashlib.sha256(f"{case.name}/{rater}".encode()).digest()

    shuffled = sorted(case.raters, key=drawn_lot)
    return {rater: f"rater {number}" for number, rater in enumerate(shuffled, start=1)}
