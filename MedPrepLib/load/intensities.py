"""What is known of the intensities of a whole case, for scaling a part of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LOW, HIGH = "0.5", "99.5"
"""The percentiles that become 0 and 1, as results.Statistics names them: those of nnU-Net."""


@dataclass(frozen=True, slots=True)
class Intensities:
    """Of the voxels of one case, in its stored unit, padding left out.

    ``low`` and ``high``: percentiles LOW and HIGH; None where the study file
    (standardize.percentiles) leaves them out.
    """

    mean: float
    std: float
    low: float | None
    high: float | None

    @classmethod
    def of(cls, statistics: Mapping[str, Any]) -> Intensities:
        """From what results.Statistics holds, as it stands in a case file."""
        percentiles = statistics["percentiles"]
        low, high = percentiles.get(LOW), percentiles.get(HIGH)
        return cls(
            mean=float(statistics["mean"]),
            std=float(statistics["std"]),
            low=None if low is None else float(low),
            high=None if high is None else float(high),
        )
