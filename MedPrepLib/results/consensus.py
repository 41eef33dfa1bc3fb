"""How a consensus was made."""

from __future__ import annotations

import msgspec


class RaterPerformance(msgspec.Struct, frozen=True):
    """What STAPLE estimates of one rater on one label, against the consensus it finds.

    ``sensitivity`` is None where nothing is drawn at all, ``specificity`` where no background is
    left.
    """

    label: str
    rater: str
    sensitivity: float | None
    specificity: float | None


class ConsensusRecord(msgspec.Struct, frozen=True):
    """How a consensus was made, so that it can be made again and its staleness noticed.

    ``ignore_value``: what undecided voxels hold in the label map, under that tie rule.
    ``performance`` and ``converged``: of STAPLE, by label and rater. ``annotated``: the labels that
    somebody looked for; all others are background for want of a look. None where it is not known.
    """

    method: str
    raters: tuple[str, ...]
    tie_rule: str
    tied_voxels: int
    inputs: dict[str, str]
    """Rater to content hash of the reading that went in."""
    ignore_value: int | None = None
    performance: tuple[RaterPerformance, ...] = ()
    converged: bool | None = None
    annotated: tuple[str, ...] | None = None
