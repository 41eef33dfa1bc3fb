"""What the panel says about how masks lie to the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from MedPrepPanel.sentences.words import dice


def alignment(case: Any, elsewhere: Sequence[str]) -> str:
    """The verdict on all masks of a case."""
    if case is None:
        return _("Open a case to see whether its masks lie on the image.")
    if not case.verdicts:
        return _("Nobody drew a mask on this image.")
    if not elsewhere:
        farthest = max(v.displacement_mm for v in case.verdicts.values())
        return _("Image and {count} masks share one grid, {mm:.3f} mm.").format(
            count=len(case.verdicts), mm=farthest
        )
    return _("{count} of {total} masks had a grid of its own:").format(
        count=len(elsewhere), total=len(case.verdicts)
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
