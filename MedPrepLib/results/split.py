"""What is kept of a split beside the place of every case: proportions, and the proof of no leak."""

from __future__ import annotations

import msgspec


class LeakageProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was compared between the sets of a split (test, and each fold), and what they share.

    ``pairs`` counts pairs of cases that lie in different sets. ``carriers``: how many cases have
    this kind of evidence at all (a NIfTI file has no study). ``shared``: how many patients,
    studies, frames, images, slices and near-duplicate pairs lie in more than one set.
    """

    cases: int
    sets: int
    pairs: int
    carriers: dict[str, int]
    shared: dict[str, int]

    @property
    def clean(self) -> bool:
        """True when nothing lies in two sets."""
        return not any(self.shared.values())


class Prevalence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of patients that show a class: wanted in the test set, there, and in training."""

    wanted: float
    test: float
    train: float


class SplitSummary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The split in numbers. ``wanted_fraction`` counts patients; cases are reported beside them."""

    wanted_fraction: float
    patients: int
    test_patients: int
    cases: int
    test_cases: int
    test_centers: tuple[str, ...] = ()
    prevalence: dict[str, Prevalence] = {}
    leakage: LeakageProof | None = None
