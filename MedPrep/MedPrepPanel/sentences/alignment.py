"""What the panel says about how masks lie to the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from MedPrepPanel.sentences.words import counted, dice, named

SAME_DIRECTION = 1e-3
MOST_SAID = 4
"""Sentences in the line at the top."""


def alignment(case: Any, elsewhere: Sequence[str]) -> str:
    """The verdict on all masks of a case."""
    if case is None:
        return _("Open a case to see whether its masks lie on the image.")
    if not case.verdicts:
        return _("Nobody drew a mask on this image.")
    masks = len(case.verdicts)
    if not elsewhere:
        text = counted(
            masks, _("Image and mask share one grid"), _("Image and {count} masks share one grid")
        )
        farthest = max(v.displacement_mm for v in case.verdicts.values())
        return f"{text}, {farthest:.3f} mm."
    if masks == 1:
        return _("The mask had a grid of its own:")
    return _("{count} of {total} masks had a grid of their own:").format(
        count=len(elsewhere), total=masks
    )


def verdict(found: Any, fixed: bool) -> str:
    """How one mask lay, and what was done about it."""
    if fixed:
        return _("Taken to lie on the image; {mm:.4g} mm off by its header ({cause}).").format(
            mm=found.displacement_mm, cause=found.cause
        )
    done = {
        "move": _("Moved without loss."),
        "resample": _("Resampled (nearest neighbor)."),
        "reject": _("Not used."),
    }
    sentence = found.sentence[:1].upper() + found.sentence[1:]
    return f"{done[found.verdict]} {sentence}"


def no_fix(case: Any, rater: str) -> str:
    """Why a mask cannot be taken to lie on the image; empty when it can."""
    if case is None or not rater:
        return _("Choose a mask in the table")
    if rater in case.fixes:
        return ""
    grids = [part.geometry for part in case.as_drawn.get(rater, ())]
    if any(grid.size != case.geometry.size for grid in grids):
        return _("The mask has another number of voxels than the image: it has its own grid")
    turned = any(not is_close(grid.direction, case.geometry.direction) for grid in grids)
    if case.verdicts[rater].verdict == "move" and turned:
        return _("The mask is stored flipped; by its header it lies on the image")
    return ""


def left_out(desk: Any) -> list[str]:
    """What of the readings of a case is not shown, and why: up to MOST_SAID sentences."""
    from MedPrepLib.findings import Severity

    case = desk.case
    found = []
    for finding in case.findings:
        rater = finding.item.removeprefix(f"{case.name}/").removeprefix("scene/")
        if finding.severity < Severity.REVIEW or rater == finding.item:
            continue
        unseen = rater not in case.raters and rater not in case.verdicts
        if unseen or finding.code == "LABEL_UNKNOWN":
            said = (
                _("{rater}, a part is left out: {why}")
                if not unseen
                else _("{rater} is left out: {why}")
            )
            found.append(said.format(rater=_who(desk, rater), why=_why(desk, finding, rater)))
    rest = len(found) - MOST_SAID
    more = [counted(rest, _("and one more"), _("and {count} more"))] if rest > 0 else []
    return [*found[:MOST_SAID], *more]


def _who(desk: Any, rater: str) -> str:
    """What a rater is called; one without a number is not named where names are hidden.

    The others would be known by who is missing among them.
    """
    hidden = desk.blinded and rater not in desk.case.raters
    return _("One reading") if hidden else str(desk.name_of(rater))


def _why(desk: Any, finding: Any, rater: str) -> str:
    """The message of a finding, or what its code means where the message may name a rater."""
    from MedPrepLib.catalog import find_kind

    numbered = not desk.blinded or rater in desk.case.raters
    told = named(desk, finding.message) if numbered else ""
    kind = find_kind(finding.code)
    return told or (kind.meaning if kind is not None else "")


def is_close(first: Any, second: Any) -> bool:
    """True for directions that are the same but for rounding."""
    return max(abs(a - b) for a, b in zip(first, second, strict=True)) < SAME_DIRECTION


def fix_tip(fixed: bool) -> str:
    """What the fix button would do."""
    if fixed:
        return _("Align the mask by its header again")
    return _("Take the voxels of the mask as those of the image, whatever its header says")


def fixed(rater: str, before: float | None, after: float | None, on_image: bool) -> str:
    """What a fix did to the lowest Dice."""
    text = _("{rater} is taken to lie on the image; the lowest Dice goes from {before} to {after}.")
    if not on_image:
        text = _("{rater} is aligned by its header; the lowest Dice goes from {before} to {after}.")
    return text.format(rater=rater, before=dice(before), after=dice(after))
