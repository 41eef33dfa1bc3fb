"""Masks that match no case by the name of their file or folder: none is left out silently."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from MedPrepLib import catalog
from MedPrepLib.findings import Finding
from MedPrepLib.scan.headers import linked, unlisted
from MedPrepLib.scan.maskfiles import meaning_of
from MedPrepLib.scan.walk import contents_of, listings_below, prefix

_NAMED = 20
"""So many names stand in a finding; the others are counted."""


class CaseFolders(NamedTuple):
    """The folder of masks of a source, and what the folders of its cases in it may be called."""

    masks: Path
    known: frozenset[str]
    called: str
    """The source."""


def unmatched_in(found: Iterable[CaseFolders]) -> Iterator[Finding]:
    """What lies in folders of masks and is of no case of any source: several may share one.

    Findings are about the first of the sources that share a folder.
    """
    shared: dict[Path, list[CaseFolders]] = {}
    for each in found:
        shared.setdefault(each.masks.resolve(), []).append(each)
    for first, *others in shared.values():
        known = first.known.union(*(other.known for other in others))
        yield from unmatched_folders(first.masks, known, first.called)


def unmatched_folders(masks: Path, known: Collection[str], called: str) -> Iterator[Finding]:
    """What lies in the folder of masks of a source, but in none of the folders ``known`` in it.

    MASK_UNMATCHED names the folders that hold masks and counts masks that lie in no folder of a
    case; links and folders that cannot be listed are told, too.
    """
    above = {str(parent) for name in known for parent in PurePosixPath(name).parents} - {"."}
    folders: list[str] = []
    loose, links, refused = 0, 0, []
    waiting = [("", contents_of(masks))]
    while waiting:
        name, there = waiting.pop()
        read = name in known  # with what raters have in it, though other cases lie below it
        if not read:
            loose += sum(meaning_of(path) is not None for path in there.files)
            links += len(there.links)
            refused += [there.refused] * bool(there.refused)
        for sub in there.folders:
            path = f"{name}/{sub.name}" if name else sub.name
            if path in above:
                waiting.append((path, contents_of(sub)))
            elif not read and path not in known and _holds_masks(sub):
                folders.append(path)
    yield from _folders_said(sorted(folders), called)
    yield from _loose_said(loose, called)
    yield from (*linked(links, called), *unlisted(refused, called))


def _holds_masks(folder: Path) -> bool:
    return any(
        meaning_of(prefix(listing.folder) + name) is not None
        for listing in listings_below(folder)
        for name in listing.names
    )


def _folders_said(names: list[str], called: str) -> Iterator[Finding]:
    if names:
        listed = _listed(names)
        folders = (
            "1 folder of masks matches"
            if len(names) == 1
            else f"{len(names)} folders of masks match"
        )
        message = f"{folders} no case: {listed}"
        yield catalog.MASK_UNMATCHED.at(called, message, withheld=(listed,))


def _loose_said(count: int, called: str) -> Iterator[Finding]:
    if count:
        files = "1 mask file lies" if count == 1 else f"{count} mask files lie"
        message = f"{files} in no folder of a case"
        yield catalog.MASK_UNMATCHED.at(called, message)


def unmatched_files(names: Collection[str], of: Collection[str], called: str) -> Iterator[Finding]:
    """MASK_UNMATCHED for label maps of these names, some of ``of``, that no image has."""
    if names:
        listed = _listed(sorted(names))
        message = f"{len(names)} of {len(of)} label maps match no image: {listed}"
        yield catalog.MASK_UNMATCHED.at(called, message, withheld=(listed,))


def _listed(names: list[str]) -> str:
    """Names in quotes; they may name people and stay at the site."""
    shown = ", ".join(f'"{name}"' for name in names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} others" if len(names) > _NAMED else shown
