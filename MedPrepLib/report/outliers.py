"""Which values of a group stand apart, by a rule that the outliers themselves cannot bend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from MedPrepLib.report.text import median

MIN_VALUES = 8
"""Of fewer values nobody can say what is usual."""

_SIGMA_PER_MAD = 1.4826
"""Of a normal distribution: 1 / Phi^-1(3/4)."""
_SIGMA_PER_MEAN = 1.2533
"""The same for the mean absolute deviation: sqrt(pi / 2)."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual in a group; a value outside of [low, high] is an outlier."""

    low: float
    high: float

    def apart(self, value: float) -> bool:
        """True for a value outside."""
        return not self.low <= value <= self.high


def usual(values: Sequence[float], score: float, floor: float) -> Usual | None:
    """The median and ``score`` robust standard deviations to either side; None for too few.

    The deviation is 1.4826 times the median absolute deviation; where more than half of the
    values are equal, 1.2533 times the mean one (Iglewicz and Hoaglin, "How to Detect and Handle
    Outliers", 1993; they advise 3.5). What lies within ``floor`` of the median is usual anyway.
    """
    middle = median(values)
    if middle is None or len(values) < MIN_VALUES:
        return None
    apart = [abs(value - middle) for value in values]
    sigma = _SIGMA_PER_MAD * (median(apart) or 0.0)
    if not sigma:
        sigma = _SIGMA_PER_MEAN * math.fsum(apart) / len(apart)
    reach = max(score * sigma, floor)
    return Usual(middle - reach, middle + reach)


def usual_factor(values: Sequence[float], score: float, factor: float) -> Usual | None:
    """The same for lengths, which differ by factors: judged by their logarithms."""
    found = usual([math.log(value) for value in values], score, math.log(factor))
    return None if found is None else Usual(math.exp(found.low), math.exp(found.high))
