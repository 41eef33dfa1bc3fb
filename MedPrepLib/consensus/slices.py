"""One set of slice labels out of several raters': a vote per label and slice.

Labels do not exclude each other on a slice, so each is voted on alone, by strict majority of the
raters who looked for it; one who did not look votes neither for nor against. The tie rules are
those of the vote on voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from MedPrepLib.agree.slices import require_one_image
from MedPrepLib.consensus.ties import RATER, named_rater
from MedPrepLib.errors import LabelError
from MedPrepLib.results import SliceLabels, SliceRange
from MedPrepLib.slicelabels import SliceFlags, flag_ranges, slice_flags

TIE_RULES = ("background", "foreground", "undecided")
"""And ``rater:<name>``: as this rater labeled it; background where the rater did not look."""


@dataclass(frozen=True)
class SliceConsensus:
    """``labels``: what the majority saw; its rater is "consensus".

    ``undecided``: the tied ranges, when the rule is "undecided"; they are in no label.
    ``tied``: tied slices per label. ``raters``: who voted, sorted.
    """

    labels: SliceLabels
    undecided: tuple[SliceRange, ...]
    tied: dict[str, int]
    raters: tuple[str, ...]
    tie_rule: str


def vote_slices(
    readings: Sequence[SliceLabels], labels: Sequence[str], ties: str = "background"
) -> SliceConsensus:
    """The majority per label and slice; ``ties``: one of TIE_RULES or ``rater:<name>``.

    A label that nobody looked for is not annotated in the consensus either. The order of the
    raters does not matter. Raises GeometryError without readings of one image, LabelError for
    an unknown tie rule.
    """
    if ties not in TIE_RULES and not ties.startswith(RATER):
        raise LabelError(f"{ties!r} is no tie rule; known are {', '.join(TIE_RULES)}, rater:<name>")
    ordered = require_one_image(readings)
    ranges: list[SliceRange] = []
    undecided: list[SliceRange] = []
    tied: dict[str, int] = {}
    for label in labels:
        voters = {r.rater: slice_flags(r, label) for r in ordered if label in r.annotated}
        if not voters:
            continue
        votes = 2 * np.sum(list(voters.values()), axis=0)
        chosen, level = votes > len(voters), votes == len(voters)
        tied[label] = int(level.sum())
        if ties == "undecided":
            undecided += flag_ranges(label, level)
        else:
            chosen = chosen | (level & _side(ties, voters, level))
        ranges += flag_ranges(label, chosen)
    slices, raters = ordered[0].slices, tuple(reading.rater for reading in ordered)
    absent = ties.startswith(RATER) and named_rater(raters, ties.removeprefix(RATER)) is None
    return SliceConsensus(
        labels=SliceLabels("consensus", slices, tuple(tied), tuple(ranges)),
        undecided=tuple(undecided),
        tied=tied,
        raters=raters,
        tie_rule=f"{ties} (absent: background)" if absent else ties,
    )


def _side(ties: str, voters: dict[str, SliceFlags], level: SliceFlags) -> SliceFlags:
    """What tied slices become."""
    if ties == "foreground":
        return np.ones_like(level)
    named = named_rater(tuple(voters), ties.removeprefix(RATER))
    return np.zeros_like(level) if named is None else voters[named]
