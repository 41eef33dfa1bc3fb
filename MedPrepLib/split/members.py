"""What the split knows of a case, and what it says of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from MedPrepLib.leakage import Subject
from MedPrepLib.results import LeakageProof, Prevalence, SplitSummary

Part = Literal["train", "test"]


class Member(msgspec.Struct, frozen=True):
    """What the split needs to know of one included case."""

    id: str
    patient: str
    center: str
    classes: frozenset[str]
    """Disease, or labels present in the case's target; empty for a negative case."""
    pixel_hash: str = ""
    links: tuple[str, ...] = ()
    """Keyed hashes of UIDs as ``study:...`` and ``frame:...``: equal ones tie patients together."""
    slices: tuple[str, ...] = ()
    fingerprint: str = ""
    person: str = ""
    """The name under which the patient is counted; empty: ``patient``."""

    @property
    def subject(self) -> Subject:
        """The case as the leakage audit sees it."""
        traces = [_trace(link) for link in self.links]
        if self.pixel_hash:
            traces.append(("image", self.pixel_hash))
        return Subject(self.id, self.patient, tuple(traces), self.slices, self.fingerprint)


def _trace(link: str) -> tuple[str, str]:
    kind, colon, key = link.partition(":")
    return (kind, key) if colon else ("link", link)


class Place(msgspec.Struct, frozen=True):
    """Where one case went. Training cases carry the fold in which they validate."""

    part: Part
    fold: int | None

    @property
    def name(self) -> str:
        """``test`` or ``fold 0``..."""
        return self.part if self.fold is None else f"fold {self.fold}"


class SplitPlan(msgspec.Struct, frozen=True):
    """The split of a cohort, and what was achieved of what was wanted; see SplitSummary."""

    places: dict[str, Place]
    test_centers: tuple[str, ...]
    mixed_centers: tuple[str, ...]
    by_hand: bool
    patients: int
    test_patients: int
    cases: int
    test_cases: int
    wanted_fraction: float
    prevalence: dict[str, Prevalence] = {}
    proof: LeakageProof | None = None

    @property
    def origin(self) -> str:
        """Where the test set comes from, as a phrase."""
        return self.summary.origin

    @property
    def sentence(self) -> str:
        """The test set in a sentence without its period."""
        if not self.test_cases:
            return "no test set"
        return f"test: {self.test_patients} of {self.patients} patients, {self.origin}"

    @property
    def summary(self) -> SplitSummary:
        """The numbers of the split, without the places."""
        return SplitSummary(
            wanted_fraction=self.wanted_fraction,
            patients=self.patients,
            test_patients=self.test_patients,
            cases=self.cases,
            test_cases=self.test_cases,
            test_centers=self.test_centers,
            mixed_centers=self.mixed_centers,
            by_hand=self.by_hand,
            prevalence=self.prevalence,
            leakage=self.proof,
        )
