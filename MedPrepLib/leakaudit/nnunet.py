"""The images of an nnU-Net raw folder: imagesTr, imagesTs, and splits_final.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from MedPrepLib.errors import RunError
from MedPrepLib.leakaudit.entry import SETS, WHOLE, Entry

FIRST_CHANNEL = "_0000"
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")


def entries_of(folder: Path, splits: Path) -> Iterator[Entry]:
    """One entry for each case, by its first channel.

    Raises RunError when there is no image, when ``splits`` is no list of folds, and when it names
    cases that have no image.
    """
    training, testing = (_images(folder / part) for part in ("imagesTr", "imagesTs"))
    if not training:
        raise RunError(
            f"{folder / 'imagesTr'} has no image called <case>{FIRST_CHANNEL}{_ENDINGS[0]} (or "
            f"{', '.join(_ENDINGS[1:])})"
        )
    rounds = _rounds(splits)
    named = {case for fold in rounds for cases in fold.values() for case in cases}
    absent = sorted(named - training.keys())
    if absent:
        raise RunError(
            f"{splits.name} names {len(absent)} case(s) without an image in imagesTr, "
            f"{absent[0]!r} for one; names of cases have no file ending"
        )
    for case, path in training.items():
        yield Entry(case, "", str(path), "image", _sets_of(case, rounds))
    for case, path in testing.items():
        sets = tuple((f"fold {n}", "test") for n in range(len(rounds))) or ((WHOLE, "test"),)
        yield Entry(case, "", str(path), "image", sets)


def _images(folder: Path) -> dict[str, Path]:
    """The first channel of every case, by the case's name, which may hold dots."""
    found = {}
    for path in sorted(folder.glob("*")):
        ending = next((e for e in _ENDINGS if path.name.endswith(FIRST_CHANNEL + e)), None)
        if ending and path.is_file():
            found[path.name.removesuffix(FIRST_CHANNEL + ending)] = path
    return found


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
    return tuple(found) if rounds else ((WHOLE, "train"),)
