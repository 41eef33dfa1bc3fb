"""What a cohort consists of, and which set each image is in, for three ways of writing that down.

A MedPrep cohort (manifest.json), an nnU-Net raw folder (imagesTr, imagesTs) with
splits_final.json, or a CSV with the columns patient, set and image.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from MedPrepLib import layout
from MedPrepLib.errors import RunError
from MedPrepLib.load.index import open_cohort

SETS = {
    "train": "train", "training": "train", "tr": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test", "ts": "test", "holdout": "test",
}  # fmt: skip
"""Words for the sets, in lower case."""


class Entry(msgspec.Struct, frozen=True):
    """One image. ``sets``: for every round of training (fold) the set that it is in.

    ``patient`` is empty where it is not known.
    """

    id: str
    patient: str
    path: str
    kind: Literal["case", "image"]
    sets: tuple[tuple[str, str], ...]


def listed(cohort: Path, splits: Path | None = None) -> tuple[Entry, ...]:
    """Every image of a cohort; ``splits``: where splits_final.json of an nnU-Net folder lies.

    Raises RunError when it is none of the three, CohortError for a damaged manifest.
    """
    if cohort.is_file():
        return tuple(_of_table(cohort))
    if (cohort / layout.MANIFEST_NAME).is_file():
        return tuple(_of_cohort(cohort))
    if (cohort / "imagesTr").is_dir():
        return tuple(_of_nnunet(cohort, splits or cohort / "splits_final.json"))
    raise RunError(
        f"{cohort} is no cohort: it has neither {layout.MANIFEST_NAME} nor imagesTr; a CSV with "
        "the columns patient, set, image will do, too"
    )


def _of_cohort(folder: Path) -> Iterator[Entry]:
    index = open_cohort(folder)
    folds = sorted({case.fold for case in index.cases if case.fold is not None})
    for case in index.cases:
        rounds = [("all", case.split)] if not folds else []
        for fold in folds:
            held = "validation" if case.fold == fold else case.split
            rounds.append((f"fold {fold}", held))
        path = str(index.path_of(case.id))
        yield Entry(case.id, f"{case.center}\x1f{case.patient}", path, "case", tuple(rounds))


def _of_nnunet(folder: Path, splits: Path) -> Iterator[Entry]:
    rounds = _rounds(splits)
    for part in ("imagesTr", "imagesTs"):
        for path in sorted((folder / part).glob("*")) if (folder / part).is_dir() else ():
            stem = path.name.split(".")[0]
            case, _, channel = stem.rpartition("_")
            if path.is_file() and channel == "0000":
                sets = _sets_of(case, rounds) if part == "imagesTr" else _everywhere("test", rounds)
                yield Entry(case, "", str(path), "image", sets)


def _rounds(path: Path) -> list[dict[str, frozenset[str]]]:
    if not path.is_file():
        return []
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        return [{name: frozenset(fold[name]) for name in ("train", "val")} for fold in tree]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RunError(f"{path.name} is no list of folds with train and val") from None


def _sets_of(case: str, rounds: list[dict[str, frozenset[str]]]) -> tuple[tuple[str, str], ...]:
    found = [
        (f"fold {number}", SETS[name])
        for number, fold in enumerate(rounds)
        for name, cases in fold.items()
        if case in cases
    ]
    return tuple(found) if rounds else (("all", "train"),)


def _everywhere(name: str, rounds: list[dict[str, frozenset[str]]]) -> tuple[tuple[str, str], ...]:
    return tuple((f"fold {n}", name) for n in range(len(rounds))) or (("all", name),)


def _of_table(path: Path) -> Iterator[Entry]:
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file, delimiter=delimiter)
        missing = {"patient", "set", "image"} - set(table.fieldnames or ())
        if missing:
            raise RunError(f"{path.name} has no column {min(missing)!r}")
        for row in table:
            cells = {name: (value or "").strip() for name, value in row.items() if name}
            part = SETS.get(cells["set"].lower())
            if part is None or not cells["image"]:
                raise RunError(
                    f"{path.name}, line {table.line_num}: needs an image, and a set that is "
                    "train, val or test"
                )
            name = cells.get("case") or cells["image"]
            image = str(path.parent / cells["image"])
            fold = cells.get("fold") or "all"
            yield Entry(name, cells["patient"], image, "image", ((fold, part),))
