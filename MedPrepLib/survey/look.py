"""Telling what a folder holds by its layout and a bounded number of files."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import msgspec

from MedPrepLib.config.settings.sources import MASK_FOLDER
from MedPrepLib.dicom.headers import SliceHeader, is_dicom, read_header
from MedPrepLib.errors import ReadError
from MedPrepLib.labels import normalized_name
from MedPrepLib.masks.objects import LABELMAP_SEG_CLASS, RTSTRUCT_CLASS, SEG_CLASS
from MedPrepLib.scan.casefolder import IMAGE_NAME
from MedPrepLib.scan.table import REQUIRED
from MedPrepLib.scan.walk import Listing, contents_of, image_suffix, listings_below, prefix, stem
from MedPrepLib.survey.masks import names_in, values_in

Kind = Literal["dicom", "folders", "nnunet", "table"]

MAX_FILES = 20_000
MAX_HEADERS = 600
MAX_MASKS = 200
MAX_READ = 5
"""Mask files without names whose voxels are read."""

MAX_NAME = 64
_LIKE_MASKS = frozenset(
    [
        "annotation",
        "annotations",
        "contour",
        "contours",
        "label",
        "labels",
        "mask",
        "rtstruct",
        "seg",
        "segmentation",
        "segmentations",
        "segs",
    ]
)
_ANNOTATED = frozenset({RTSTRUCT_CLASS, SEG_CLASS, LABELMAP_SEG_CLASS})


@dataclass(frozen=True)
class SeenLabel:
    """A structure, the voxel value to give it, and the mask files that hold it (0: not known)."""

    name: str
    value: int
    files: int = 0


@dataclass(frozen=True)
class Survey:
    """What a folder looks like; ``path`` of the source is relative to it.

    ``images``: volume files and DICOM folders seen; ``files``: all files seen, which are not all
    there are when ``bounded``. ``modalities`` counts DICOM headers that were read, ``raters`` mask
    files. ``unnamed``: masks with numbers only. ``problems``: what a person has to see to.
    """

    kind: Kind
    path: str
    files: int = 0
    bounded: bool = False
    modalities: tuple[tuple[str, int], ...] = ()
    raters: tuple[tuple[str, int], ...] = ()
    labels: tuple[SeenLabel, ...] = ()
    volumes: int = 0
    """Image files other than DICOM, which do not say what modality they are."""
    problems: tuple[str, ...] = ()
    masks: str = MASK_FOLDER
    """What the folders of masks in case folders are called."""


def survey(folder: Path) -> Survey | None:
    """What ``folder`` holds; None when there is neither an image nor a table in it."""
    listings, files = _listed(folder)
    paths = [prefix(listing.folder) + name for listing in listings for name in listing.names]
    headers = _headers(listings)
    volumes = [path for path in paths if image_suffix(path)]
    found = _kind(folder, volumes, headers, paths)
    if found is None:
        return None
    kind, path, problems = found
    called = _mask_folder(folder / path, paths) if kind == "folders" else MASK_FOLDER
    drawn = _drawn(kind, folder / path, volumes, headers, called)
    masks = [mask for _, mask in drawn]
    seen = Counter(h.modality for h in headers if h.modality and h.sop_class_uid not in _ANNOTATED)
    return Survey(
        kind=kind,
        path=path,
        files=files,
        bounded=files >= MAX_FILES,
        modalities=tuple(seen.most_common()),
        raters=tuple(Counter(rater for rater, _ in drawn if rater).most_common()),
        labels=_nnunet_labels(folder / path) if kind == "nnunet" else _labels(masks, called),
        volumes=len({*volumes} - {str(mask) for mask in masks}),
        problems=problems,
        masks=called,
    )


def _listed(folder: Path) -> tuple[list[Listing], int]:
    listings, count = [], 0
    for listing in listings_below(folder):
        listings.append(listing)
        count += len(listing.names)
        if count >= MAX_FILES:
            break
    return listings, count


def _headers(listings: Iterable[Listing]) -> list[SliceHeader]:
    """Headers of some files of every folder: all of a few, of many the first, middle and last."""
    found: list[SliceHeader] = []
    for path in islice(_probes(listings), MAX_HEADERS):
        try:
            if is_dicom(path):
                found.append(read_header(path))
        except (ReadError, OSError):
            continue
    return found


def _probes(listings: Iterable[Listing]) -> Iterator[str]:
    for listing in listings:
        names = [name for name in listing.names if not image_suffix(name)]
        if len(names) > 4:
            names = [names[0], names[len(names) // 2], names[-1]]
        yield from (prefix(listing.folder) + name for name in names)


def _kind(
    folder: Path, volumes: Sequence[str], headers: Sequence[SliceHeader], paths: Sequence[str]
) -> tuple[Kind, str, tuple[str, ...]] | None:
    """The kind of source, its path, and what is wrong with it."""
    roots = (folder, *contents_of(folder).folders)
    for root in roots:
        if (root / "dataset.json").is_file() and (root / "imagesTr").is_dir():
            return "nnunet", _relative(root, folder), ()
    table = _table(folder, bool(volumes or headers))
    if table is not None:
        return table
    for root in roots:
        if any(any(root.glob(f"*/*/*/{name}")) for name in (MASK_FOLDER, f"{IMAGE_NAME}*")):
            return "folders", _relative(root, folder), ()
    if headers or any(path.lower().endswith(".dcm") for path in paths):
        return "dicom", ".", _said_of_strays(volumes)
    if volumes:
        problem = (
            f"{len(volumes)} volume files lie in no order that MedPrep knows: list them in "
            "cases.csv with the columns case, patient, image, annotations (name=path;name=path)"
        )
        return "table", "cases.csv", (problem,)
    return None


def _mask_folder(root: Path, paths: Sequence[str]) -> str:
    """What folders of masks are called in case folders: as we do, else by the likeliest word."""
    inside = [Path(path) for path in paths if Path(path).is_relative_to(root)]
    below = [path.relative_to(root).parts for path in inside]
    inner = Counter(parts[3] for parts in below if len(parts) > 4)
    likely = [name for name, _ in inner.most_common() if name.lower() in _LIKE_MASKS]
    ours = [name for name in inner if name.lower() == MASK_FOLDER]
    return next(iter((*ours, *likely)), MASK_FOLDER)


def _said_of_strays(volumes: Sequence[str]) -> tuple[str, ...]:
    if not volumes:
        return ()
    said = (
        f"{len(volumes)} volume files lie beside the DICOM files and are not used. If they are "
        'masks: one folder with a sub-folder per case, and masks = "that folder" at the source'
    )
    return (said,)


def _relative(root: Path, folder: Path) -> str:
    return root.relative_to(folder).as_posix()


def _table(folder: Path, images: bool) -> tuple[Kind, str, tuple[str, ...]] | None:
    """The first table that names images; without any image in the folder, the first at all."""
    tables = sorted([*folder.glob("*.csv"), *folder.glob("*.tsv")])
    for path in tables:
        missing = [name for name in REQUIRED if name not in _columns(path)]
        if "image" not in missing:
            return "table", path.name, _said_of_columns(path, missing)
    if tables and not images:
        path = tables[0]
        missing = [name for name in REQUIRED if name not in _columns(path)]
        return "table", path.name, _said_of_columns(path, missing)
    return None


def _columns(path: Path) -> list[str]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file, delimiter=delimiter), [])
    except (UnicodeDecodeError, csv.Error):
        return []


def _said_of_columns(path: Path, missing: Sequence[str]) -> tuple[str, ...]:
    if not missing:
        return ()
    said = (
        f"{path.name} has no column {', '.join(missing)}: rename columns there, or name yours "
        'under columns, as in columns = { image = "scan_file" }'
    )
    return (said,)


def _drawn(
    kind: Kind, root: Path, volumes: Sequence[str], headers: Sequence[SliceHeader], called: str
) -> list[tuple[str, Path]]:
    """Mask files with the names of their raters, where these are known."""
    if kind == "table":
        return list(islice(_drawn_in_table(root), MAX_MASKS))
    if kind == "nnunet":
        return []
    objects = [Path(h.path) for h in headers if h.sop_class_uid in _ANNOTATED]
    below = [Path(path) for path in volumes if called in Path(path).parts]
    return [*((_rater(path, called), path) for path in below), *(("", path) for path in objects)]


def _drawn_in_table(path: Path) -> Iterator[tuple[str, Path]]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file, delimiter=delimiter):
                for text in (row.get("annotations") or "").split(";"):
                    name, _, mask = text.partition("=")
                    if mask:
                        yield name.strip().partition("@")[0], path.parent / mask.strip()
    except (OSError, UnicodeDecodeError, csv.Error):
        return


def _rater(mask: Path, called: str) -> str:
    """Whose a file below a folder of masks is; a second reading (name@2) is the same person's."""
    place = len(mask.parts) - 1 - mask.parts[::-1].index(called)
    first = mask.parts[place + 1]
    return (first if place + 2 < len(mask.parts) else stem(first)).partition("@")[0]


def _labels(masks: Sequence[Path], called: str) -> tuple[SeenLabel, ...]:
    """Names by how many files hold them; numbers where no file has names."""
    names: Counter[str] = Counter()
    spelled: dict[str, Counter[str]] = {}
    for path in masks[:MAX_MASKS]:
        for name in names_in(path) or _folder_label(path, called):
            key = normalized_name(name)
            if key and len(name) <= MAX_NAME:
                names[key] += 1
                spelled.setdefault(key, Counter())[name] += 1
    if names:
        order = enumerate(names.most_common(), start=1)
        return tuple(
            SeenLabel(spelled[key].most_common(1)[0][0], value, n) for value, (key, n) in order
        )
    numbered = [path for path in masks if image_suffix(path.name)][:MAX_READ]
    values = Counter(value for path in numbered for value in values_in(path))
    return tuple(SeenLabel(f"label-{value}", value, values[value]) for value in sorted(values))


def _folder_label(path: Path, called: str) -> tuple[str, ...]:
    """The label of ``masks/<rater>/<label>.nii.gz``."""
    parts = path.parts
    return (stem(path.name),) if len(parts) > 2 and parts[-3] == called else ()


def _nnunet_labels(root: Path) -> tuple[SeenLabel, ...]:
    try:
        labels = msgspec.json.decode((root / "dataset.json").read_bytes())["labels"]
        pairs = [(name, value) for name, value in labels.items() if isinstance(value, int)]
    except (OSError, KeyError, AttributeError, TypeError, msgspec.DecodeError):
        return ()
    return tuple(SeenLabel(str(name), value) for name, value in pairs if value > 0)
