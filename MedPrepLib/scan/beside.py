"""What lies beside images and folders of masks and is not read: said, so that nothing is missed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from MedPrepLib import catalog
from MedPrepLib.findings import Finding
from MedPrepLib.scan.casefolder import IMAGE_NAME
from MedPrepLib.scan.found import Drawn, ImageFound
from MedPrepLib.scan.headers import linked, unlisted
from MedPrepLib.scan.walk import Contents, contents_of, image_suffix


@dataclass
class Above:
    """Counts what lies in the folders above cases, while they are gone through.

    ``called``: the name of folders of masks.
    """

    called: str
    strays: int = 0
    masks: int = 0
    links: int = 0
    refused: tuple[str, ...] = ()

    def folders(self, there: Contents) -> Iterator[Path]:
        """The folders of a folder that may be centers, patients or cases."""
        self.refused += (there.refused,) if there.refused else ()
        self.links += len(there.links)
        self.strays += sum(map(_is_image, there.files))
        for folder in there.folders:
            if folder.name.lower() == self.called.lower():
                self.masks += 1
            else:
                yield folder

    def findings(self, called: str) -> Iterator[Finding]:
        """What is said of all that, about the source."""
        if self.masks:
            folders = f"{self.masks} folder{'s' * (self.masks > 1)} called {self.called}"
            lie = "lie" if self.masks > 1 else "lies"
            message = f"{folders} {lie} where a case, a patient or a center should be"
            yield catalog.MASK_UNMATCHED.at(called, message)
        if self.strays:
            files = "1 image file lies" if self.strays == 1 else f"{self.strays} image files lie"
            yield catalog.FILE_IGNORED.at(called, f"{files} above the folders of cases")
        yield from (*unlisted(self.refused, called), *linked(self.links, called))


def _is_image(path: str) -> bool:
    return bool(image_suffix(path)) or path.lower().endswith(".dcm")


def beside_image(
    folder: Path, own: Contents, masks: Path, image: ImageFound, drawn: Drawn
) -> tuple[Finding, ...]:
    """What lies in a case folder beside its image and its folder of masks, and is not read.

    A question where nothing was drawn in the folder of masks, else a note. Nothing where the
    whole case folder was searched for the image, for that says itself what it left aside.
    """
    inner = folder / IMAGE_NAME
    if not _was_named(image.source.paths, own.files, inner):
        return ()
    files = [p for p in own.files if image_suffix(p) and p not in image.source.paths]
    folders = [sub for sub in own.folders if sub not in (inner, masks) and _holds_some(sub)]
    kinds = (*_counted(len(files), "image file"), *_counted(len(folders), "folder"))
    if not kinds:
        return ()
    there = f"{' and '.join(kinds)} beside the image {'is' if len(files + folders) == 1 else 'are'}"
    if drawn.masks or drawn.boxes or drawn.slices or image.annotations:
        return (catalog.FILE_IGNORED.at("", f"{there} not read"),)
    message = f"no masks lie in the folder {masks.name}, and {there} not read"
    return (catalog.MASK_IGNORED.at("", message),)


def _was_named(paths: Sequence[str], files: Collection[str], inner: Path) -> bool:
    """True for an image that is one file of the case folder, or lies in its folder ``image``."""
    lone = len(paths) == 1 and paths[0] in files and bool(image_suffix(paths[0]))
    return lone or (bool(paths) and all(Path(path).is_relative_to(inner) for path in paths))


def _holds_some(folder: Path) -> bool:
    there = contents_of(folder)
    return bool(there.files or there.folders)


def _counted(count: int, what: str) -> tuple[str, ...]:
    return (f"{count} {what}{'s' * (count > 1)}",) if count else ()
