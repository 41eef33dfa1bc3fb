"""A case folder of the folder convention: which of its files is the image, and where masks lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from MedPrepLib import catalog
from MedPrepLib.config.settings import Screen
from MedPrepLib.findings import Finding
from MedPrepLib.scan.found import ImageFound
from MedPrepLib.scan.headers import HeaderReader
from MedPrepLib.scan.image import find_image, may_be_image, nothing
from MedPrepLib.scan.walk import Contents, is_folder, stem

IMAGE_NAME = "image"

_NO_IMAGE = (catalog.FILE_MISSING.code, catalog.FILE_UNREADABLE.code)


def mask_folder(folder: Path, own: Contents, name: str) -> Path:
    """The folder of masks in a case folder, however ``name`` is capitalized; it need not exist."""
    masks = folder / name
    named = [sub for sub in own.folders if sub.name.lower() == name.lower()]
    return masks if masks in named or not named else named[0]


def image_of_case(
    folder: Path,
    own: Contents,
    masks: Path,
    item: str,
    reader: HeaderReader,
    screen: Screen,
    part: str,
) -> ImageFound:
    """``image/`` or ``image.*`` if there is one, else the one image outside the folder ``masks``.

    ``own``: what lies in ``folder``. Links are not followed; where one may be the image, no other
    file is taken for it.
    """
    named = [path for path in own.files if may_be_image(path) and stem(path) == IMAGE_NAME]
    if is_folder(folder / IMAGE_NAME):
        if named:
            why = f"a folder and an image file are called {IMAGE_NAME!r}; which one is meant?"
            return nothing(catalog.AMBIGUOUS_IMAGE.at(item, why))
        return find_image(folder / IMAGE_NAME, item, reader, screen, part)
    files = [path for path in own.files if may_be_image(path)]
    links = own.links
    if len(named) > 1:
        why = f"{len(named)} image files are called {IMAGE_NAME!r}; which one is meant?"
        return nothing(catalog.AMBIGUOUS_IMAGE.at(item, why))
    if not named and IMAGE_NAME in map(stem, links):
        return nothing(_linked(links, item))
    linked = [name for name in links if may_be_image(name)]
    if named or (len(files) == 1 and not linked):
        return find_image(Path((named or files)[0]), item, reader, screen, part)
    found = find_image(folder, item, reader, screen, part, masks)
    return _unless_linked(found, links, item)


def _unless_linked(found: ImageFound, links: Sequence[str], item: str) -> ImageFound:
    """What was found in a case folder, unless a link there may be the image that is meant."""
    if not found.source.paths:
        missing = any(f.code in _NO_IMAGE for f in found.findings)
        return nothing(_linked(links, item)) if links and missing else found
    count = sum(map(may_be_image, links))
    if count and found.source.kind == "file":
        why = f"an image file and {count} symbolic links to some lie here; which one is meant?"
        return nothing(catalog.AMBIGUOUS_IMAGE.at(item, why))
    return found


def _linked(links: Sequence[str], item: str) -> Finding:
    many = len(links) > 1
    why = f"{len(links)} symbolic link{'s lie' if many else ' lies'} where the image should be"
    return catalog.FILE_MISSING.at(
        item,
        f"{why}; links are not followed",
        remedy=catalog.LINK_IGNORED.remedy,
    )
