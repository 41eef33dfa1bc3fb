"""Why two raters agree too little: each cause tested on the masks, with its evidence in numbers.

The order is that of likelihood once a test has passed: a mistake of names or of files that explains
nearly everything comes before a difference of opinion, a specific opinion before a vague one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from MedPrepLib.agree import opinions
from MedPrepLib.agree.crops import Crop, common_box, crop
from MedPrepLib.agree.misplaced import best_undone
from MedPrepLib.agree.naming import cross_labels
from MedPrepLib.agree.pairs import require_one_grid
from MedPrepLib.agree.question import Question
from MedPrepLib.agree.shift import LONGEST_SHIFT, REPAIRED_DICE, SMALLEST_MASK, best_shift
from MedPrepLib.config.settings import Agree
from MedPrepLib.results import Agreement, Cause, GridVerdict, PairAgreement
from MedPrepLib.segmentation import Segmentation

SAME_STRUCTURE_DICE = 0.7
"""From here on a label of one rater and another label of the other are one structure."""
CLEARLY_BETTER = 0.2
"""Dice that another name or place must gain to be believed."""
MIRRORED_BETTER = 0.5
"""Dice that another orientation must gain: the many ways to turn a mask fit by chance where it
nearly fits as it is."""
DISPLACED_DICE = 0.8
"""Dice that a displaced mask must reach in its right place: what raters who agree reach."""
LARGE_MASK = 1000
"""Voxels; masks of this size fit each other after a long shift only if they have one shape."""


def explain(
    readings: Mapping[str, Segmentation],
    agreement: Agreement,
    settings: Agree,
    verdicts: Mapping[str, GridVerdict] | None = None,
) -> tuple[Cause, ...]:
    """The causes of every pair and label whose Dice is below ``settings.threshold``.

    A label that only one of two raters annotated is explained too. Causes of a pair stand
    together, in the order of ``agreement.pairs``, the likeliest first and marked ``best``; there
    is at least one for every pair. ``verdicts``: how each reading came onto the grid. Raises
    GeometryError when the readings lie on different grids.
    """
    require_one_grid(readings)
    low = [pair for pair in agreement.pairs if _is_low(pair, settings)]
    if not low:
        return ()
    names = cross_labels(readings)
    wanted = sorted({(r, p.label) for p in low for r in (p.rater_a, p.rater_b)})
    crops = {
        (rater, label): crop(readings[rater], label)
        for rater, label in wanted
        if readings[rater].find(label) is not None
    }
    causes: list[Cause] = []
    for pair in low:
        question = Question(
            pair,
            crops.get((pair.rater_a, pair.label), _NOTHING),
            crops.get((pair.rater_b, pair.label), _NOTHING),
            names,
            readings[pair.rater_a].geometry,
            settings,
            verdicts or {},
            _outlier(pair, agreement),
        )
        found = _causes(question)
        causes += [msgspec.structs.replace(found[0], best=True), *found[1:]]
    return tuple(causes)


_NOTHING = Crop(np.zeros((0, 0, 0), dtype=np.bool_), common_box([]), 0)


def _is_low(pair: PairAgreement, settings: Agree) -> bool:
    if pair.outcome == "not annotated":
        return bool(pair.voxels_a or pair.voxels_b)
    return pair.dice is not None and pair.dice < settings.threshold


def _outlier(pair: PairAgreement, agreement: Agreement) -> str:
    """Who of the two agrees less with everybody on this label; the second if nobody does."""
    means = {}
    for rater in (pair.rater_a, pair.rater_b):
        own = [
            p.dice
            for p in agreement.pairs
            if p.label == pair.label and rater in (p.rater_a, p.rater_b) and p.dice is not None
        ]
        means[rater] = sum(own) / len(own) if own else 0.0
    return pair.rater_a if means[pair.rater_a] < means[pair.rater_b] else pair.rater_b


def _causes(question: Question) -> list[Cause]:
    """The causes whose test passes; the border where nothing better is known."""
    found = _renamed(question)
    if question.pair.outcome != "measured":
        return [*found, _absent(question)]
    for test in _TESTS:
        found += test(question)
    if all(cause.code == "other grid" for cause in found):
        found.append(opinions.border(question))
    return found + _moved_on_lattice(question)


def _renamed(q: Question) -> list[Cause]:
    pair = q.pair
    for one, other in ((pair.rater_a, pair.rater_b), (pair.rater_b, pair.rater_a)):
        alike = q.names.look_alike(one, pair.label, other)
        if alike is None or alike.dice < max(
            SAME_STRUCTURE_DICE, (pair.dice or 0.0) + CLEARLY_BETTER
        ):
            continue
        back = q.names.look_alike(other, pair.label, one)
        swapped = back is not None and back.dice >= SAME_STRUCTURE_DICE
        how = "the labels are swapped" if swapped else "one structure under two names"
        text = (
            f"what {one} calls {pair.label!r} is what {other} calls {alike.name!r} "
            f"(Dice {alike.dice:.3f}{_instead(pair)}): {how}."
        )
        return [q.cause("name mismatch", text, alike.dice)]
    return []


def _instead(pair: PairAgreement) -> str:
    return "" if pair.dice is None else f" instead of {pair.dice:.3f}"


def _absent(q: Question) -> Cause:
    pair = q.pair
    drawn, other = pair.rater_a, pair.rater_b
    if not pair.voxels_a:
        drawn, other = other, drawn
    volume = q.ml(max(pair.voxels_a, pair.voxels_b))
    if pair.outcome == "one empty":
        text = f"{other} annotated {pair.label!r} as empty where {drawn} drew {volume}."
        return q.cause("one empty", text)
    text = f"{other} did not annotate {pair.label!r}, of which {drawn} drew {volume}."
    return q.cause("not annotated", text)


def _displaced(q: Question) -> list[Cause]:
    """A plain shift, or a mistake of the world or of axes; the one that explains more first."""
    small, large = sorted((q.a.count, q.b.count))
    reachable = 2 * small / (small + large)
    needed = max(DISPLACED_DICE, (q.pair.dice or 0.0) + CLEARLY_BETTER)
    if small < SMALLEST_MASK or reachable < needed:
        return []
    found = [cause for cause in (_shifted(q), _misplaced(q)) if cause is not None]
    return sorted(found, key=_by_evidence)


def _by_evidence(cause: Cause) -> tuple[float, int]:
    """Higher Dice first; among equals the transform, a short shift, the axes, a long shift."""
    order = {"transform not applied": 0, "axes mixed up": 2}.get(cause.code, 1)
    if cause.code == "shifted" and max(map(abs, cause.shift or (0,))) > LONGEST_SHIFT:
        order = 3
    return -round(cause.dice_after or 0.0, 3), order


def _shifted(q: Question) -> Cause | None:
    fixed, moving, other = _moving(q)
    large = min(q.a.count, q.b.count) >= LARGE_MASK
    (k, j, i), dice = best_shift(fixed, moving, np.inf if large else LONGEST_SHIFT)
    far = max(abs(k), abs(j), abs(i)) > LONGEST_SHIFT
    before = q.pair.dice or 0.0
    needed = max(REPAIRED_DICE if far else DISPLACED_DICE, before + CLEARLY_BETTER)
    if not any((k, j, i)) or dice < needed:
        return None
    text = (
        f"moving the mask of {q.moved} by ({i}, {j}, {k}) voxels (i, j, k), "
        f"{_length_mm(q, (i, j, k)):.3g} mm, raises its Dice with {other} from {before:.3f} "
        f"to {dice:.3f}."
    )
    cause = q.cause("shifted", text, dice)
    return msgspec.structs.replace(cause, moved=q.moved, shift=(i, j, k))


def _misplaced(q: Question) -> Cause | None:
    fixed, moving, other = _moving(q)
    undone = best_undone(fixed, moving, q.geometry)
    if undone is None:
        return None
    mistake, before = undone.mistake, q.pair.dice or 0.0
    translated = mistake.code == "transform not applied"
    gain = CLEARLY_BETTER if translated else MIRRORED_BETTER
    if undone.dice < max(DISPLACED_DICE, before + gain):
        return None
    text = (
        f"{mistake.words} raises the Dice of {q.moved} with {other} from {before:.3f} to "
        f"{undone.dice:.3f}: {mistake.code}."
    )
    cause = q.cause(mistake.code, text, undone.dice)
    i, j, k = (int(v) for v in np.rint(mistake.matrix[:3, 3]))
    shift = (i, j, k) if translated else None
    return msgspec.structs.replace(cause, moved=q.moved, shift=shift)


def _moving(q: Question) -> tuple[Crop, Crop, str]:
    """The mask that stays, the one that is displaced, and who drew the one that stays."""
    if q.moved == q.pair.rater_a:
        return q.b, q.a, q.pair.rater_b
    return q.a, q.b, q.pair.rater_a


def _length_mm(q: Question, shift: tuple[int, int, int]) -> float:
    return float(np.linalg.norm(q.geometry.affine[:3, :3] @ shift))


def _resampled(q: Question) -> list[Cause]:
    return _other_grid(q, "resample")


def _moved_on_lattice(q: Question) -> list[Cause]:
    return _other_grid(q, "move")


def _other_grid(q: Question, verdict: str) -> list[Cause]:
    raters = (q.pair.rater_a, q.pair.rater_b)
    found = [(rater, q.verdicts[rater]) for rater in raters if rater in q.verdicts]
    return [
        q.cause("other grid", f"the reading of {rater} came from another grid: {own.sentence}")
        for rater, own in found
        if own.verdict == verdict
    ]


_TESTS: tuple[Callable[[Question], list[Cause]], ...] = (
    _displaced,
    _resampled,
    opinions.lesions_of_one,
    opinions.more_or_less,
    opinions.apart,
    opinions.lesions_differ,
)
"""In order of likelihood."""
