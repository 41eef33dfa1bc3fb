"""What becomes of a voxel that several outcomes claim with equal right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.agree.pairs import person
from MedPrepLib.errors import LabelError

Values = npt.NDArray[np.uint16]
RATER = "rater:"


def map_type(values: Mapping[str, int]) -> np.dtype[Any]:
    """The type of a label map with these values: uint8 or uint16."""
    return np.min_scalar_type(max(values.values(), default=0))


@dataclass(frozen=True)
class TieRule:
    """One of background, foreground, undecided, or a named rater.

    ``rater`` is that rater's name. ``ignore`` is the value of undecided voxels: the highest that
    the type of the label map can hold, and never a label.
    """

    text: str
    rater: str | None
    ignore: int | None

    @property
    def constant(self) -> int | None:
        """The value of all tied voxels, where it does not depend on what was drawn there."""
        return 0 if self.text == "background" else self.ignore

    def settle(self, lowest: npt.ArrayLike, own: npt.ArrayLike) -> Values:
        """The values of tied voxels.

        ``lowest`` is the lowest label among the tied outcomes, ``own`` what the named rater drew
        if that is one of them, else 0.
        """
        labels = np.asarray(lowest, dtype=np.uint16)
        if self.rater is not None:
            return np.asarray(own, dtype=np.uint16)
        if self.ignore is not None:
            return np.full_like(labels, self.ignore)
        return labels if self.text == "foreground" else np.zeros_like(labels)

    def column(self, raters: Sequence[str]) -> int | None:
        """The place of the named rater among ``raters``; None when ties are not theirs."""
        found = named_rater(raters, self.rater) if self.rater is not None else None
        return raters.index(found) if found is not None else None

    def recorded(self, raters: Sequence[str]) -> str:
        """The rule in words for the record; says when the named rater is absent."""
        absent = self.rater is not None and self.column(raters) is None
        return f"{self.text} (absent: background)" if absent else self.text


def named_rater(raters: Sequence[str], name: str) -> str | None:
    """The reading of the rater called ``name``; a person may have given all of them numbers."""
    if name in raters:
        return name
    return next((rater for rater in raters if person(rater) == name), None)


def tie_rule(text: str, values: Mapping[str, int]) -> TieRule:
    """The rule called ``text`` for a label map of these values.

    Raises LabelError for "undecided" when a label has the value that undecided voxels need.
    """
    if text != "undecided":
        return TieRule(text, text.removeprefix(RATER) if text.startswith(RATER) else None, None)
    ignore = int(np.iinfo(map_type(values)).max)
    for label, value in values.items():
        if value == ignore:
            raise LabelError(
                f"label {label!r} has the value {value}, which undecided voxels need; give it "
                "another value or choose another tie rule"
            )
    return TieRule(text, None, ignore)
