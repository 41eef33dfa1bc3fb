"""What the panel says about how a consensus came about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from MedPrepPanel.sentences.agreement import labels
from MedPrepPanel.sentences.words import counted, share

METHOD = "consensus"
"""In place of a rater: what the method made."""


def ties(raters: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What can become of ties."""
    rules = [
        (_("background"), "background"),
        (_("foreground"), "foreground"),
        (_("undecided"), "undecided"),
    ]
    said = [(_("as {rater}").format(rater=name), f"rater:{rater}") for name, rater in raters]
    return rules + said


def consensus(desk: Any) -> str:
    """How the present consensus came about."""
    if desk is None or not decided(desk):
        return ""
    parts = []
    if desk.start is not None:
        record = desk.start.record
        who = ", ".join(desk.name_of(rater) for rater in record.raters)
        alone = len(record.raters) == 1
        how = _("as {who} drew it") if alone else _("{method} of {who}")
        parts.append(how.format(method=record.method, who=who))
        if record.tied_voxels:
            parts.append(
                _("{count} tied voxels went to {rule}").format(
                    count=record.tied_voxels, rule=_rule(desk, record.tie_rule)
                )
            )
        parts += _performance(desk, record)
    if desk.accepted:
        taken = len(desk.accepted)
        parts.append(counted(taken, _("one place taken"), _("{count} places taken")))
    boxes = len(desk.drawn_boxes())
    if boxes:
        parts.append(counted(boxes, _("one box"), _("{count} boxes")))
    if desk.slices is not None:
        ranges = len(desk.slices)
        parts.append(counted(ranges, _("one range of slices"), _("{count} ranges of slices")))
    return "; ".join(parts) + "."


def _rule(desk: Any, text: str) -> str:
    """A rule for ties as it was recorded, without the name of a rater that is not to be known."""
    rater = text.partition(" (absent")[0].removeprefix("rater:")
    if rater == text.partition(" (absent")[0]:
        return text
    return text.replace(f"rater:{rater}", _("what {rater} drew").format(rater=desk.name_of(rater)))


def _performance(desk: Any, record: Any) -> list[str]:
    """Sensitivity and specificity of each rater on the label with the least agreement."""
    if not record.performance:
        return []
    label = labels(desk.analysis)[0][1]
    found = []
    for row in record.performance:
        if row.label == label:
            numbers = _("{rater}: sensitivity {p}, specificity {q}").format(
                rater=desk.name_of(row.rater), p=share(row.sensitivity), q=share(row.specificity)
            )
            found.append(numbers)
    return [f"{label}: " + ", ".join(found)] if found else []


def sources(desk: Any, place: Any) -> list[tuple[str, str]]:
    """Whose drawing of a place there is: of raters who looked for its label, and the method's."""
    if desk is None or place is None:
        return []
    raters = sorted((*place.raters_for, *place.raters_against))
    method = [(_("what the method made"), METHOD)] if place.difference is not None else []
    return [(desk.name_of(rater), rater) for rater in raters] + method


def no_accepting(desk: Any, place: Any) -> str:
    """Why nobody's drawing can be taken; empty when one can."""
    if desk is None or not decided(desk):
        return _("Make a consensus first")
    return "" if place is not None else _("Go to a place where raters differ first")


def decided(desk: Any) -> bool:
    """True when there is a consensus of any kind."""
    return desk.has_mask or desk.slices is not None or bool(desk.drawn_boxes())
