"""How well raters agree on which slices show a label."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from MedPrepLib.agree.pairs import first_raters
from MedPrepLib.errors import GeometryError
from MedPrepLib.results import Outcome, SliceAgreement, SliceLabels
from MedPrepLib.slicelabels import SliceFlags, slice_flags


def agree_slices(
    readings: Sequence[SliceLabels], labels: Sequence[str]
) -> tuple[SliceAgreement, ...]:
    """Every pair of raters on every label, in order of label, then of rater.

    Dice is 2 |A and B| / (|A| + |B|) over slices, undefined where both found none. Kappa is
    (po - pe) / (1 - pe) over all slices (Cohen, Educ. Psychol. Meas. 20:37, 1960). Raises
    GeometryError when the raters read images of different lengths or a rater occurs twice.
    """
    ordered = require_one_image(readings)
    flags = [{label: slice_flags(r, label) for label in r.annotated} for r in ordered]
    return tuple(
        _pair(label, (ordered[a].rater, ordered[b].rater), (flags[a], flags[b]))
        for label in labels
        for a, b in itertools.combinations(range(len(ordered)), 2)
    )


def first_slices(readings: Sequence[SliceLabels]) -> tuple[SliceLabels, ...]:
    """One reading per person, in order of rater: repeated readings have no second voice."""
    by_rater = {reading.rater: reading for reading in readings}
    return tuple(by_rater[rater] for rater in first_raters(by_rater))


def require_one_image(readings: Sequence[SliceLabels]) -> tuple[SliceLabels, ...]:
    """The readings in order of rater; GeometryError unless they can be of one image."""
    if not readings:
        raise GeometryError("there are no slice readings")
    ordered = tuple(sorted(readings, key=lambda r: r.rater))
    lengths = sorted({reading.slices for reading in ordered})
    if len(lengths) > 1:
        raise GeometryError(f"raters read {lengths} slices; these are not readings of one image")
    if len({reading.rater for reading in ordered}) != len(ordered):
        raise GeometryError("a rater occurs twice among the slice readings of one image")
    return ordered


def _pair(
    label: str,
    raters: tuple[str, str],
    flags: tuple[Mapping[str, SliceFlags], Mapping[str, SliceFlags]],
) -> SliceAgreement:
    a, b = (int(own[label].sum()) if label in own else 0 for own in flags)
    if label not in flags[0] or label not in flags[1]:
        return SliceAgreement(label, *raters, "not annotated", None, None, a, b)
    ours, theirs = flags[0][label], flags[1][label]
    kappa = _kappa(ours, theirs)
    if not a and not b:
        return SliceAgreement(label, *raters, "both empty", None, kappa)
    outcome: Outcome = "measured" if a and b else "one empty"
    common = int((ours & theirs).sum())
    return SliceAgreement(label, *raters, outcome, 2 * common / (a + b), kappa, a, b, common)


def _kappa(ours: SliceFlags, theirs: SliceFlags) -> float | None:
    """Cohen's kappa from whole counts; None when chance agreement is complete."""
    total = ours.size
    alike = int((ours == theirs).sum())
    a, b = int(ours.sum()), int(theirs.sum())
    by_chance = a * b + (total - a) * (total - b)
    if by_chance == total * total:
        return None
    return (alike * total - by_chance) / (total * total - by_chance)
