"""Two raters who agree too little on one label, and what the search for the cause looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from MedPrepLib.agree.crops import Crop, milliliters
from MedPrepLib.agree.lesions import match_crops
from MedPrepLib.agree.naming import CrossLabels
from MedPrepLib.config.settings import Agree
from MedPrepLib.geometry import Geometry
from MedPrepLib.results import Cause, CauseCode, GridVerdict, LesionMatch, PairAgreement


@dataclass(frozen=True, eq=False)
class Question:
    """One pair of raters on one label, and everything the tests look at.

    ``moved``: who is taken to be displaced, if somebody is.
    """

    pair: PairAgreement
    a: Crop
    b: Crop
    names: CrossLabels
    geometry: Geometry
    settings: Agree
    verdicts: Mapping[str, GridVerdict]
    moved: str

    @cached_property
    def match(self) -> LesionMatch:
        """Which components correspond."""
        return match_crops(self.a, self.b, self.geometry, self.settings)

    @property
    def volumes(self) -> str:
        """Both volumes in words."""
        a, b = self.ml(self.a.count), self.ml(self.b.count)
        return f"{self.pair.rater_a} drew {a}, {self.pair.rater_b} {b}"

    @property
    def ratio(self) -> float:
        """The larger volume over the smaller."""
        small, large = sorted((self.a.count, self.b.count))
        return large / small

    def ml(self, voxels: int) -> str:
        """So many voxels as a volume in words."""
        return f"{milliliters(voxels, self.geometry):.3g} ml"

    def cause(self, code: CauseCode, sentence: str, dice_after: float | None = None) -> Cause:
        """A cause of this pair's low value."""
        p = self.pair
        return Cause(
            p.label, p.rater_a, p.rater_b, code, sentence, dice=p.dice, dice_after=dice_after
        )
