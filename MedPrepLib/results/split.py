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
    """The split in numbers. ``wanted_fraction`` counts patients; cases are reported beside them.

    ``test_centers``: those of whom nobody trains. ``mixed_centers``: held out, too, but for people
    who were fixed in training by hand or belong together with somebody who trains; they are no
    independent test. ``by_hand``: a person chose everybody who tests.
    """

    wanted_fraction: float
    patients: int
    test_patients: int
    cases: int
    test_cases: int
    test_centers: tuple[str, ...] = ()
    mixed_centers: tuple[str, ...] = ()
    by_hand: bool = False
    prevalence: dict[str, Prevalence] = {}
    leakage: LeakageProof | None = None

    @property
    def origin(self) -> str:
        """Where the test set comes from, as a phrase."""
        told = []
        if self.test_centers:
            told.append(f"all of {' and '.join(self.test_centers)}, who never train")
        elif self.by_hand:
            told.append("chosen by hand")
        if self.mixed_centers:
            told.append(f"a part of {' and '.join(self.mixed_centers)}, where others train")
        return " and ".join(told) or "drawn at random within each class"
