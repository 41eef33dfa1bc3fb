"""One image of a cohort, and the sets that it is in."""

from __future__ import annotations

from typing import Literal

import msgspec

SETS = {
    "train": "train", "training": "train", "tr": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test", "ts": "test", "holdout": "test",
}  # fmt: skip
"""Words for the sets, in lower case."""

WHOLE = "all"
"""The round of a cohort without folds."""


class Entry(msgspec.Struct, frozen=True):
    """One image. ``sets``: for every round of training (fold) the set that it is in.

    ``patient`` is empty where it is not known. ``path``: of the image, or of the cohort whose case
    file ``name`` is (kind "case").
    """

    id: str
    patient: str
    path: str
    kind: Literal["case", "image"]
    sets: tuple[tuple[str, str], ...]
    name: str = ""


def validated_once(
    fold: str | int | None, part: str, folds: list[str]
) -> tuple[tuple[str, str], ...]:
    """The sets of an image that validates in round ``fold`` and is ``part`` in all others."""
    if not folds:
        return ((WHOLE, part),)
    return tuple((f"fold {f}", "validation" if f == str(fold) else part) for f in folds)
