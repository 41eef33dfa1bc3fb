"""From stored intensities to what a model sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from MedPrepLib.images import VoxelArray
from MedPrepLib.load.index import CohortIndex
from MedPrepLib.load.intensities import HIGH, LOW, Intensities
from MedPrepLib.window import WindowError, normalize, window

Window = str | tuple[float, float] | None
ZSCORE = "zscore"
COHORT = "cohort"
PERCENTILES = "percentiles"


@dataclass(frozen=True)
class Scaling:
    """How stored values become what the model sees; a plain value, so that datasets pickle.

    "hounsfield" is a window in HU for CT, and "percentiles" for everything else, whose units mean
    something within one case only.
    """

    kind: Literal["stored", "window", "hounsfield", "percentiles", "zscore", "cohort"] = "stored"
    level: float = 0.0
    width: float = 1.0
    normalization: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def applied(
        self,
        image: VoxelArray,
        modality: str,
        own: Intensities,
        out: npt.NDArray[np.float32] | None = None,
    ) -> VoxelArray:
        """``image`` scaled, a new array or ``out``; the stored array itself for "stored".

        ``own``: of the whole case. WindowError when it lacks the percentiles that are needed.
        """
        if self.kind == "window" or (self.kind == "hounsfield" and modality == "CT"):
            return window(image, self.level, self.width, out)
        if self.kind in ("hounsfield", "percentiles"):
            return _between_percentiles(image, own, out)
        if self.kind == "zscore":
            return normalize(image, own.mean, own.std, out)
        if self.kind == "cohort":
            return normalize(image, *self.normalization[modality], out)
        return image

    def of_value(self, value: float, modality: str, own: Intensities) -> float:
        """One stored value, as the model sees it (the pad value, say)."""
        return float(self.applied(np.array([value], np.float32), modality, own)[0])


def _between_percentiles(
    image: VoxelArray, own: Intensities, out: npt.NDArray[np.float32] | None
) -> VoxelArray:
    """The case's own low percentile becomes 0 and the high one 1; zeros where they are equal."""
    if own.low is None or own.high is None:
        raise WindowError(
            f"the case was packed without its percentiles {LOW} and {HIGH}: add them to "
            "standardize.percentiles of the study file, or choose another window"
        )
    if own.high > own.low:
        return window(image, (own.low + own.high) / 2, own.high - own.low, out)
    return normalize(image, own.mean, 0.0, out)


def scaling_of(wanted: Window, index: CohortIndex) -> Scaling:
    """What ``wanted`` (see CohortDataset) means in this cohort; WindowError when nothing."""
    if wanted is None:
        return Scaling()
    if wanted == ZSCORE:
        return Scaling("zscore")
    if wanted == PERCENTILES:
        return Scaling("percentiles")
    if wanted == COHORT:
        missing = {case.modality for case in index.cases} - set(index.normalization)
        if missing:
            raise WindowError(f"the training part has no {', '.join(sorted(missing))} image")
        return Scaling("cohort", normalization=index.normalization)
    if isinstance(wanted, str):
        if wanted not in index.windows:
            known = ", ".join((*sorted(index.windows), PERCENTILES, ZSCORE, COHORT))
            raise WindowError(f"no window {wanted!r}; known: {known}")
        return _window("hounsfield", *index.windows[wanted])
    return _window("window", *wanted)


def _window(kind: Literal["window", "hounsfield"], level: float, width: float) -> Scaling:
    if not width > 0:
        raise WindowError(f"a window of width {width} maps nothing; it must be positive")
    return Scaling(kind, float(level), float(width))
