"""Questions about an open case, each answered once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock
from typing import TypeVar

import msgspec

from MedPrepLib.agree import agree, first_readings, judge
from MedPrepLib.agree.boxes import agree_boxes
from MedPrepLib.agree.causes import explain
from MedPrepLib.agree.disagreement import entropy_map, worst_slices
from MedPrepLib.agree.equal import equal_masks
from MedPrepLib.agree.lesions import counted, lesion_agreement
from MedPrepLib.agree.sets import judge_sets
from MedPrepLib.agree.slices import agree_slices
from MedPrepLib.agree.surface import surfaces
from MedPrepLib.casebook.opened import OpenCase
from MedPrepLib.casebook.places import Place, places
from MedPrepLib.config.settings import Agree
from MedPrepLib.config.settings import Consensus as HowToDecide
from MedPrepLib.consensus import Consensus, consensus
from MedPrepLib.findings import Finding
from MedPrepLib.images import Volume
from MedPrepLib.results import (
    Agreement,
    BoxAgreement,
    Cause,
    LesionCount,
    PairAgreement,
    PairSurface,
    SliceAgreement,
    WorstSlice,
)

T = TypeVar("T")

QUICK = ("pairs", "boxes", "slices")
"""What is answered while a user waits."""


class CaseAnalysis:
    """How far the raters of a case agree, where they do not, and why.

    Pairs of raters cost some hundredths of a second even on large scans; surfaces, lesions and
    places are looked for label by label when they are asked for. Answers are kept. May be asked
    from several threads: one computes, the others wait.
    """

    def __init__(self, case: OpenCase, settings: Agree | None = None) -> None:
        self.case = case
        self.settings = settings or case.study.agree
        self._answers: dict[Hashable, object] = {}
        self._locks: dict[Hashable, Lock] = {}
        self._guard = Lock()

    @property
    def agreement(self) -> Agreement:
        """Every pair of masks on every label that some of them lists."""
        case = self.case
        return self._once("agreement", lambda: agree(case.masks, case.labels_of_masks))

    @property
    def low(self) -> tuple[Finding, ...]:
        """A finding for each label below the study's threshold, and for masks that are equal."""
        case, settings = self.case, self.settings
        masks = judge(self.agreement, settings, case.name) if len(case.masks) > 1 else ()
        equal = equal_masks(self.agreement, settings, case.name)
        others: list[BoxAgreement | SliceAgreement] = []
        for label in case.labels:
            others += (*self.boxes(label), *self.slices(label))
        return (*masks, *equal, *judge_sets(others, settings, case.name))

    def pairs(self, label: str) -> tuple[PairAgreement, ...]:
        """Every pair of masks on one label."""
        return tuple(pair for pair in self.agreement.pairs if pair.label == label)

    def surfaces(self, label: str) -> tuple[PairSurface, ...]:
        """How far surfaces are apart, for every pair."""
        masks, tolerance_mm = self.case.masks, self.settings.tolerance_mm
        return self._once(("surfaces", label), lambda: surfaces(masks, [label], tolerance_mm))

    def lesions(self, label: str) -> tuple[LesionCount, ...]:
        """How many lesions every pair has in common."""
        masks, settings = self.case.masks, self.settings
        return self._once(
            ("lesions", label),
            lambda: tuple(map(counted, lesion_agreement(masks, label, settings))),
        )

    def boxes(self, label: str) -> tuple[BoxAgreement, ...]:
        """How many boxes every pair has in common."""
        return agree_boxes(self.case.boxes, [label], self.settings.box_iou)

    def slices(self, label: str) -> tuple[SliceAgreement, ...]:
        """On how many slices every pair noted the label."""
        return agree_slices(self.case.slices, [label]) if self.case.slices else ()

    def causes(self, label: str) -> tuple[Cause, ...]:
        """Why pairs are below the threshold on a label; the likeliest of each pair is marked."""
        asked = msgspec.structs.replace(self.agreement, pairs=self.pairs(label))
        return self._once(
            ("causes", label),
            lambda: explain(self.case.masks, asked, self.settings, self.case.verdicts),
        )

    def places(self, label: str) -> tuple[Place, ...]:
        """Where raters differ on a label, in the order in which to look."""
        limit = self.settings.box_iou
        return self._once(("places", label), lambda: places(self.case, label, limit))

    def worst(self, label: str) -> tuple[WorstSlice, ...]:
        """For each axis the slice on which raters differ most."""
        return self._once(("worst", label), lambda: worst_slices(self.case.masks, label))

    def disagreement(self, label: str | None) -> Volume:
        """The entropy of votes per voxel, bits; of all labels together for None. Not kept."""
        return entropy_map(self.case.masks, label)

    def consensus(self, how: HowToDecide) -> Consensus:
        """The consensus of one reading per person, by the study's schema."""
        values = {label.name: label.value for label in self.case.schema}
        voters = first_readings(self.case.masks)
        return consensus(voters, self.case.schema.names, values, how, self.case.hashes)

    def explain(self, label: str) -> None:
        """Answer where raters differ on a label, and why: some tenths of a second."""
        for question in (self.places, self.worst, self.causes):
            question(label)

    def measure(self, label: str) -> None:
        """Answer how far surfaces and lesions are apart: some seconds on large structures."""
        for question in (self.surfaces, self.lesions):
            question(label)

    def knows(self, what: str, label: str) -> bool:
        """True when :meth:`surfaces`, ``lesions``... of a label cost nothing any more."""
        return what in QUICK or (what, label) in self._answers

    def _once(self, question: Hashable, answer: Callable[[], T]) -> T:
        with self._guard:
            lock = self._locks.setdefault(question, Lock())
        with lock:
            if question not in self._answers:
                self._answers[question] = answer()
        found: T = self._answers[question]  # type: ignore[assignment]
        return found
