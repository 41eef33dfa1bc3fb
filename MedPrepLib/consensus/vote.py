"""Majority voting with an explicit and recorded tie rule.

Where labels exclude each other (every reading in one layer) a voxel gets the label with the most
votes. Where segments may overlap each segment is voted on alone and needs a strict majority. A
rater who did not annotate a label does not vote on it, neither for nor against. No label comes
out that nobody drew there, and nothing depends on the order of the raters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from MedPrepLib.config import settings as study
from MedPrepLib.consensus.census import Census
from MedPrepLib.consensus.panel import BoolArray, Panel, declared, panel
from MedPrepLib.consensus.record import Consensus, make_record
from MedPrepLib.consensus.stack import Choice, stacked
from MedPrepLib.consensus.ties import TieRule, Values, map_type
from MedPrepLib.images import VoxelArray
from MedPrepLib.joint import number_rows, value_counts
from MedPrepLib.labels import MAX_LABEL_VALUE
from MedPrepLib.segmentation import Segmentation
from MedPrepLib.words import LabelArray, as_label_maps, as_words, differing_words, tail

IntArray = npt.NDArray[np.int64]
Decision = tuple[Values, BoolArray]
"""The winning values of rows of votes, and which of them were ties."""

_BLOCK = 1 << 15
"""Voxels voted on at a time, so that the votes of all raters stay in the cache."""
_COPIED = 1 << 19
"""Voxels copied and looked at at a time, for the same reason."""


@dataclass(frozen=True, eq=False)
class Ballot:
    """What decides a joint vote.

    ``voters`` (V, R): whether rater R annotated the label with value V. ``breaker``: the column
    of the rater who breaks ties, if one does.
    """

    voters: BoolArray
    rule: TieRule
    breaker: int | None

    @cached_property
    def known(self) -> BoolArray:
        """By value: background, and labels that somebody annotated."""
        table = np.asarray(self.voters.any(axis=1), dtype=np.bool_)
        table[0] = True
        return table

    @cached_property
    def unanimous(self) -> bool:
        """Whether everybody votes on every label, so that a voxel's winner is a plain plurality."""
        return bool(self.voters[self.voters.any(axis=1)].all()) and len(self.voters) > 1


def majority_vote(
    readings: Mapping[str, Segmentation],
    labels: Sequence[str],
    values: Mapping[str, int],
    settings: study.Consensus,
    hashes: Mapping[str, str] | None = None,
) -> Consensus:
    """The consensus of readings on one grid, with the schema's ``values`` per label.

    Joint vote: a label wins with strictly more votes than any other label and than background
    (counted over those who annotated that label). Per segment: strictly more than half of those
    who annotated it; where winners overlap the higher value is stored. Ties go to background, to
    the tied label (the lowest value if several tie), to the ignore value ("undecided"), or as the
    named rater drew them if that is one of the tied outcomes, else to background. A single
    reading is taken as it is. ``hashes`` (rater to :func:`reading_hash`) saves computing them.

    Raises GeometryError without readings or on different grids, LabelError for a label without
    a value, or with the value that undecided voxels need.
    """
    made = panel(readings, labels, values, settings.ties)
    vote = _vote_per_segment if made.overlapping else _vote_jointly
    label_map, tied = vote(made)
    return Consensus(label_map, make_record(made, "majority", tied, hashes))


def ballot(made: Panel) -> Ballot:
    """The ballot of a joint vote."""
    return Ballot(made.voters(), made.rule, made.rule.column(made.raters))


def _vote_jointly(made: Panel) -> tuple[VoxelArray, int]:
    rules = ballot(made)
    # Not in the type of what was drawn: undecided voxels hold the highest value of the map's.
    given = as_label_maps(made.maps())
    kind = np.promote_types(given[0].dtype, map_type(made.values))
    flat = [drawn.astype(kind, copy=False) for drawn in given]
    voted = _known_copy(flat[0], rules.known)
    words = as_words(voted)
    tied = 0
    for places, columns in differing_words(flat):
        chosen, count = _decided(columns, rules)
        words[places] = chosen.view(np.uint64)
        tied += count
    tail(voted)[:], count = _decided([tail(m) for m in flat], rules)
    label_map = voted.reshape(made.shape).astype(map_type(made.values), copy=False)
    return label_map, tied + count


def _known_copy(labels: LabelArray, known: BoolArray) -> LabelArray:
    """A copy without values that no segment declares; looking for them is cheap if all are."""
    copied = np.empty_like(labels)
    highest = 0
    for start in range(0, labels.size, _COPIED):
        part = copied[start : start + _COPIED]
        part[:] = labels[start : start + _COPIED]
        highest = max(highest, int(part.max()))
    if known.all() and highest < known.size:
        return copied
    stray = [v for v in value_counts(labels) if v >= known.size or not known[v]]
    return declared(labels, known).copy() if stray else copied


def _decided(columns: Sequence[LabelArray], rules: Ballot) -> tuple[LabelArray, int]:
    decide = _two_outcomes if rules.unanimous else _by_rows
    chosen = np.empty_like(columns[0])
    tied = 0
    for start in range(0, chosen.size, _BLOCK):
        block = [column[start : start + _BLOCK] for column in columns]
        chosen[start : start + _BLOCK], ties = decide(block, rules)
        tied += int(np.count_nonzero(ties))
    return chosen, tied


def _two_outcomes(columns: Sequence[LabelArray], rules: Ballot) -> tuple[LabelArray, BoolArray]:
    """What :func:`_plurality` gives, faster where raters differ between two values only.

    That is nearly everywhere: along a border one side or the other is drawn.
    """
    low, high = _extremes(columns)
    if not rules.known.all() or int(high.max(initial=0)) >= rules.known.size:
        columns = [declared(column, rules.known) for column in columns]
        low, high = _extremes(columns)
    for_low, for_high = (_supporters(columns, values) for values in (low, high))
    winner = np.where(for_high > for_low, high, low)
    tied: BoolArray = np.equal(for_high + for_high, len(columns))
    several = for_low + for_high < len(columns)
    if several.any():
        winner[several], tied[several] = _plurality([c[several] for c in columns])
    if rules.rule.constant is not None:
        winner[tied] = rules.rule.constant
    elif tied.any():
        winner[tied] = _by_rows([column[tied] for column in columns], rules)[0]
    return winner, tied


def _extremes(columns: Sequence[LabelArray]) -> tuple[LabelArray, LabelArray]:
    """The lowest and the highest value of each voxel."""
    low, high = columns[0].copy(), columns[0].copy()
    for column in columns[1:]:
        np.minimum(low, column, out=low)
        np.maximum(high, column, out=high)
    return low, high


def _supporters(
    columns: Sequence[LabelArray], values: LabelArray
) -> npt.NDArray[np.unsignedinteger]:
    """How many raters give each of the values."""
    votes = np.zeros(values.size, dtype=np.min_scalar_type(2 * len(columns)))
    for column in columns:
        votes += np.equal(column, values).view(np.uint8)  # bytes add far faster than bools
    return votes


def _plurality(columns: Sequence[LabelArray]) -> tuple[LabelArray, BoolArray]:
    """The value most raters give to each voxel, and where two such values lead."""
    votes = [_supporters(columns, column) for column in columns]
    best = np.max(votes, axis=0)
    leaders = np.zeros_like(best)
    winner = np.zeros_like(columns[0])
    for column, own in zip(columns, votes, strict=True):
        leads = np.equal(own, best)
        leaders += leads
        np.maximum(winner, column * leads, out=winner)
    # One leading value has as many raters behind it as votes; several have a multiple of that.
    return winner, np.not_equal(leaders, best)


def _by_rows(columns: Sequence[LabelArray], rules: Ballot) -> Decision:
    rows, code = number_rows([declared(column, rules.known) for column in columns])
    winner, tied = winners(rows, rules)
    return winner[code], tied[code]


def winners(rows: npt.NDArray[np.unsignedinteger], rules: Ballot) -> Decision:
    """The winning value of every row of votes (T, R), and which rows were ties."""
    values = np.ascontiguousarray(rows.T)
    votes: IntArray = np.array([(values == own).sum(axis=0) for own in values])
    empty: IntArray = np.array([((rows == 0) & rules.voters[own]).sum(axis=1) for own in values])
    eligible = (values > 0) & (votes >= empty)
    best = np.where(eligible, votes, 0).max(axis=0)
    leading = eligible & (votes == best)
    lowest = np.where(leading, values, MAX_LABEL_VALUE).min(axis=0)
    highest = np.where(leading, values, 0).max(axis=0)
    level = (leading & (votes == empty)).any(axis=0)
    tied: BoolArray = (best > 0) & ((lowest != highest) | level)
    winner = np.where(best > 0, lowest, 0).astype(np.uint16)
    column = rules.breaker
    own = np.where(leading[column], values[column], 0)[tied] if column is not None else 0
    winner[tied] = rules.rule.settle(winner[tied], own)
    return winner, tied


def _vote_per_segment(made: Panel) -> tuple[VoxelArray, int]:
    return stacked(made, _majority)


def _majority(_label: str, census: Census) -> Choice:
    """Strict majority of those who annotated the segment."""
    twice = 2 * census.rows.sum(axis=1, dtype=np.int64)
    voters = census.rows.shape[1]
    return twice > voters, twice == voters
