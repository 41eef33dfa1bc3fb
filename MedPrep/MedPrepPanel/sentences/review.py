"""What the panel says about a verdict."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from MedPrepPanel.sentences.words import NONE


def difficulties() -> list[tuple[str, str]]:
    """How hard a case can be."""
    return [
        (NONE, ""), (_("easy"), "easy"), (_("medium"), "medium"), (_("hard"), "hard")
    ]  # fmt: skip


def saved(review: Any, desk: Any) -> str:
    """The newest version of the review."""
    if desk is None:
        return ""
    if review is None or not review.version:
        return _("Not reviewed by you yet.")
    verdicts = {"approved": _("approved"), "flagged": _("flagged"), "": _("begun")}
    text = _("{verdict}, version {version}, {at}").format(
        verdict=verdicts[review.verdict].capitalize(),
        version=review.version,
        at=review.at.replace("T", " ").replace("+00:00", " UTC"),
    )
    untouched = any(drawn.kind == "mask" and drawn.unchanged for drawn in review.drawn)
    return text + (_("; the consensus is as the method made it.") if untouched else ".")


def stale(review: Any) -> str:
    """Readings changed since the review."""
    return _(
        "The readings have changed since version {version} of your review; what was drawn then is "
        "not shown. Look again and save."
    ).format(version=review.version)


def withdrawn(title: str) -> str:
    """An approved case was left with something else than what was approved."""
    return _(
        "{title} was changed after you approved it: it counts as begun until you approve it again."
    ).format(title=title)


def bad_slices(case: Any, label: str, first: str, last: str) -> str:
    """Why a row is no range of slices; empty when it is one."""
    if label not in case.schema.names:
        return _("{label} is no label of this study; its labels are {names}").format(
            label=label, names=", ".join(case.schema.names)
        )
    slices = case.geometry.size[2]
    whole = first.isdecimal() and last.isdecimal()
    if not whole or not int(first) <= int(last) < slices:
        return _("{label}: {first} to {last} is no range of slices from 0 to {end}").format(
            label=label, first=first, last=last, end=slices - 1
        )
    return ""
