"""Masks of two people that are the same to the voxel: no two people draw so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from MedPrepLib import catalog
from MedPrepLib.agree.pairs import person
from MedPrepLib.config.settings import Agree
from MedPrepLib.findings import Finding
from MedPrepLib.results import Agreement


def equal_masks(agreement: Agreement, settings: Agree, item: str) -> Iterator[Finding]:
    """READINGS_EQUAL for each two people with equal masks of a label that is large enough.

    Small structures may be drawn alike: ``settings.equal_voxels`` says what is large enough.

    A file that was copied under another name looks so, and so does what a program had drawn before
    both of them looked: either way their Dice of 1 says nothing about how well people agree.
    """
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for pair in agreement.pairs:
        same = pair.voxels_a == pair.voxels_b == pair.intersection
        two = person(pair.rater_a) != person(pair.rater_b)
        if same and two and pair.voxels_a >= settings.equal_voxels:
            found[pair.rater_a, pair.rater_b].append(f"{pair.label!r} ({pair.voxels_a} voxels)")
    for (one, other), labels in found.items():
        message = f"{one} and {other} drew the same voxels of {', '.join(labels)}"
        yield catalog.READINGS_EQUAL.at(item, message)
