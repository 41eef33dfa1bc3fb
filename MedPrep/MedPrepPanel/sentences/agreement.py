"""What the panel says about how far raters agree and where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from MedPrepPanel.sections.widgets import plain_tip
from MedPrepPanel.sentences.words import NONE, counted, dice, named


def labels(analysis: Any) -> list[tuple[str, str]]:
    """The labels of a case with their lowest Dice where masks have it, the least first."""
    worst = {row.label: row.worst_dice for row in analysis.agreement.labels}
    ranked = sorted(
        analysis.case.labels, key=lambda label: (worst.get(label) is None, worst.get(label) or 0.0)
    )
    return [
        (f"{label} ({dice(worst[label])})" if label in worst else label, label) for label in ranked
    ]


def metric(found: Any) -> str:
    """A metric with its unit."""
    return f"{found.name}, {found.unit}" if found.unit else found.name


def pair_tip(desk: Any, label: str, pair: tuple[str, str], text: str, found: Any) -> str:
    """What stands behind a cell of the matrix."""
    a, b = (desk.name_of(rater) for rater in pair)
    head = _("{a} and {b}: {metric} {text}").format(a=a, b=b, metric=metric(found), text=text)
    row = _row(desk, label, pair, found.needs)
    drawn = [
        _("{rater} drew {amount}").format(rater=rater, amount=amount)
        for rater, amount in zip((a, b), _amounts(desk, row, found.needs), strict=True)
    ]
    outcome = [row.outcome] if row.outcome != "measured" else []
    return plain_tip(", ".join([head, *drawn, *outcome]))


def _row(desk: Any, label: str, pair: tuple[str, str], needs: str) -> Any:
    ask = {"boxes": desk.analysis.boxes, "slices": desk.analysis.slices}
    rows = ask.get(needs, desk.analysis.pairs)(label)
    return next(row for row in rows if (row.rater_a, row.rater_b) == pair)


def _amounts(desk: Any, row: Any, needs: str) -> tuple[str, str]:
    """How much each of two raters drew."""
    if needs == "boxes":
        count = _("{count} boxes")
        return count.format(count=row.boxes_a), count.format(count=row.boxes_b)
    if needs == "slices":
        count = _("{count} slices")
        return count.format(count=row.slices_a), count.format(count=row.slices_b)
    ml = desk.case.geometry.voxel_volume_mm3 / 1000
    return f"{row.voxels_a * ml:.3g} ml", f"{row.voxels_b * ml:.3g} ml"


def cause(desk: Any, label: str, pair: tuple[str, str] | None) -> str:
    """Why two raters agree too little on a label; None for the two who agree least."""
    wanted = pair or _worst_of(desk.analysis, label)
    rows = [row for row in desk.analysis.pairs(label) if row.dice is not None]
    if wanted is not None:
        rows = [row for row in desk.analysis.pairs(label) if (row.rater_a, row.rater_b) == wanted]
    row = min(rows, key=lambda row: row.dice or 0.0, default=None)
    if row is None:
        return ""
    from MedPrepLib.agree.pairs import shown_beside

    limit = desk.analysis.settings.threshold
    number = shown_beside(row.dice, limit) if row.dice is not None else NONE
    a, b = (desk.name_of(rater) for rater in (row.rater_a, row.rater_b))
    head = _("{a} and {b}, Dice {dice}").format(a=a, b=b, dice=number)
    if row.dice is None:
        return f"{head} ({row.outcome})."
    if row.dice >= limit:
        return _("{head}: not below {limit:g}.").format(head=head, limit=limit)
    if not desk.analysis.knows("causes", label):
        return _("{head}: looking for the cause...").format(head=head)
    found = [c for c in desk.analysis.causes(label) if c.best]
    best = [c for c in found if (c.rater_a, c.rater_b) == (row.rater_a, row.rater_b)]
    why = named(desk, best[0].sentence) if best else ""
    return f"{head}: {why}" if why else f"{head}."


def _worst_of(analysis: Any, label: str) -> tuple[str, str] | None:
    """The two persons who agree least; None where only one person drew, perhaps repeatedly."""
    rows = (row for row in analysis.agreement.labels if row.label == label)
    return next((row.worst_pair for row in rows), None)


def place_count(place: int, count: int, known: bool) -> str:
    """Which place is looked at."""
    if not known:
        return _("no place")
    if not count:
        return _("none differ")
    if place < 0:
        return counted(count, _("one place"), _("{count} places"))
    return _("{number} of {count}").format(number=place + 1, count=count)


def place(found: Any, desk: Any) -> str:
    """What raters differ about at a place."""
    if found is None or desk is None:
        return ""
    drew = ", ".join(desk.name_of(rater) for rater in found.raters_for) or _("nobody")
    did_not = ", ".join(desk.name_of(rater) for rater in found.raters_against) or _("nobody")
    if found.slices is not None:
        return _("slices {first} to {last}: noted by {drew}, not by {others}").format(
            first=found.slices.start, last=found.slices.stop - 1, drew=drew, others=did_not
        )
    return _("{kind}, {ml:.2g} ml at {where} mm: drawn by {drew}, not by {others}").format(
        kind=_kind(found.kind),
        ml=found.volume_ml,
        where=_where(found.center_mm),
        drew=drew,
        others=did_not,
    )


def _kind(kind: str) -> str:
    return {
        "missed lesion": _("missed lesion"),
        "part": _("part"),
        "border": _("border"),
        "box": _("box"),
    }[kind]


def _where(point_mm: tuple[float, float, float]) -> str:
    """A point (LPS) as people say it: R 31 A 12 S 140."""
    letters = ("RL", "AP", "IS")
    return " ".join(
        f"{ends[mm >= 0]} {abs(mm):.0f}" for ends, mm in zip(letters, point_mm, strict=True)
    )


def no_place(open_case: bool, known: bool, count: int) -> str:
    """Why nobody can be taken to a place; empty when there is one."""
    if not open_case:
        return _("Open a case first")
    if not known:
        return _("Places are still being looked for")
    return "" if count else _("The raters do not differ on this label")


def no_map(places: Sequence[Any]) -> str:
    """Why there is no map of disagreement; empty when there is one."""
    if any(found.difference is not None for found in places):
        return ""
    return _("There is a map of masks only, not of boxes and slices")


def worst(found: Any) -> str:
    """One entry of the menu of worst slices."""
    return _("slice {index} along {axis}: {voxels} voxels differ").format(
        index=found.index, axis=found.axis, voxels=found.voxels
    )
