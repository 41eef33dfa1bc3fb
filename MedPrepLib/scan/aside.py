"""What lies in a folder of masks and is not read: nothing that a rater drew is lost silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from MedPrepLib import catalog
from MedPrepLib.findings import Finding
from MedPrepLib.formats.detached import data_files
from MedPrepLib.scan.headers import linked, unlisted
from MedPrepLib.scan.walk import Contents, listings_below

_COMMENTS = frozenset(
    (".ctbl", ".doc", ".docx", ".htm", ".html", ".label", ".log", ".md", ".pdf", ".rtf", ".txt")
)
"""Endings of what people write about masks: colors, notes. No drawing comes as one of these."""

_SHOWN = frozenset(
    (".7z", ".bak", ".bin", ".bmp", ".bz2", ".csv", ".dat", ".fcsv", ".gz", ".h5", ".hdf5",
     ".hdr", ".img", ".jpeg", ".jpg", ".json", ".mat", ".mgh", ".mgz", ".mnc", ".mrb", ".npy",
     ".npz", ".obj", ".old", ".ply", ".png", ".rar", ".raw", ".roi", ".stl", ".tar", ".tif",
     ".tiff", ".vti", ".vtk", ".vtp", ".xml", ".zip", ".zraw")
)  # fmt: skip
"""Endings that a finding may name; what stands behind other dots may be part of a person's name."""


@dataclass
class Aside:
    """Counts what is not read of the masks of one case, while its folders are gone through."""

    links: int = 0
    deep: int = 0
    comments: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)

    def add_folder(self, contents: Contents) -> None:
        """A folder whose files will be gone through: what of it cannot be listed."""
        self.refused += [contents.refused] * bool(contents.refused)

    def add_deep(self, folder: Path) -> None:
        """A folder within a rater's folder: its files and those below it."""
        for listing in listings_below(folder):
            self.deep += len(listing.names)
            self.links += listing.links
            self.refused += [listing.refused] * bool(listing.refused)

    def add_files(self, paths: list[str], read: list[str]) -> None:
        """Files of one folder that are not read, and those beside them that are."""
        endings = {path: Path(path).suffix.lower() for path in paths}
        others = [path for path, ending in endings.items() if ending not in _COMMENTS]
        self.comments += len(paths) - len(others)
        voxels = {Path(file).name for path in read for file in data_files(path)} if others else ()
        for path in others:
            if Path(path).name not in voxels:
                self.lost[endings[path] if endings[path] in _SHOWN else "others"] += 1

    def findings(self) -> Iterator[Finding]:
        """What is said of all that, about nobody yet."""
        said = []
        if self.lost:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.lost.items()))
            said.append(f"{_files(self.lost.total())} of no format that is read ({kinds})")
        if self.deep:
            said.append(f"{_files(self.deep)} deeper than the folder of a rater")
        if said:
            message = f"{' and '.join(said)} left aside in the folder of masks"
            yield catalog.MASK_IGNORED.at("", message)
        if self.comments:
            message = f"{_files(self.comments)} of text left aside in the folder of masks"
            yield catalog.FILE_IGNORED.at("", message)
        yield from (*linked(self.links, ""), *unlisted(self.refused, ""))


def _files(count: int) -> str:
    return f"{count} file{'s' * (count > 1)}"
