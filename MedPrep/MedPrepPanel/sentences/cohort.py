"""What the panel says about the list of cases."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _


def states() -> list[tuple[str, str]]:
    """The states that cases can be filtered by."""
    return [
        (_("All states"), ""),
        (_("To do"), "to do"),
        (_("Begun"), "begun"),
        (_("Approved"), "approved"),
        (_("Flagged"), "flagged"),
    ]


def title(entry: Any) -> str:
    """What the site calls a case, without the center, for which there is little room."""
    return str(entry.title).removeprefix(f"{entry.center}/")


def state(entry: Any) -> str:
    """The state of a case; of one that is left out, that."""
    if entry.excluded and entry.state == "to do":
        return _("left out")
    return {data: text for text, data in states()}[entry.state].lower()


def flags(entry: Any) -> str:
    """Why a case needs eyes, in few words; the tooltip has the codes."""
    return ", ".join(code.lower().replace("_", " ") for code in (*entry.excluded, *entry.flags))


def entry_tip(entry: Any) -> str:
    """Everything about a case that has no column."""
    parts = [
        entry.title,
        _("public name {name}").format(name=entry.name),
        entry.center and _("center {center}").format(center=entry.center),
        entry.modality,
    ]
    return ", ".join(part for part in parts if part)


def reviewed(done: int, total: int) -> str:
    """How many cases have a verdict."""
    return _("{done} of {total} reviewed").format(done=done, total=total)


def searching(found: int) -> str:
    """While the sources of a study are searched."""
    return _("Searching: {found} cases so far").format(found=found) if found else _("Searching")


def current_case(entry: Any, *, opening: bool) -> str:
    """Which case is open."""
    if opening:
        return _("Reading {title}...").format(title=entry.title)
    return ", ".join(part for part in (entry.title, entry.center, entry.modality) if part)


def no_case(path: str, *, listed: bool) -> str:
    """What to do while no case is open."""
    if listed:
        return _("Click a case to open it.")
    if path:
        return _("Press Enter in the line above to list the cases.")
    return _("Open a study, a cohort, or what is in the scene.")


def no_comparison(volume: Any, segmentations: int) -> str:
    """Why what is chosen in the scene cannot be compared; empty when it can."""
    if volume is None:
        return _("Choose an image")
    if not segmentations:
        return _("Check at least one segmentation")
    return ""
