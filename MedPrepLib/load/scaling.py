"""From stored intensities to what a model sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from MedPrepLib.images import VoxelArray
from MedPrepLib.load.index import CohortIndex
from MedPrepLib.window import WindowError, normalize, window

Window = str | tuple[float, float] | None
ZSCORE = "zscore"
COHORT = "cohort"


@dataclass(frozen=True)
class Scaling:
    """How stored values become what the model sees; a plain value, so that datasets pickle."""

    kind: Literal["stored", "window", "zscore", "cohort"] = "stored"
    level: float = 0.0
    width: float = 1.0
    normalization: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def applied(
        self,
        image: VoxelArray,
        modality: str,
        own: tuple[float, float],
        out: npt.NDArray[np.float32] | None = None,
    ) -> VoxelArray:
        """``image`` scaled, a new array or ``out``; the stored array itself for "stored".

        ``own``: mean and standard deviation of the whole case.
        """
        if self.kind == "window":
            return window(image, self.level, self.width, out)
        if self.kind == "zscore":
            return normalize(image, *own, out)
        if self.kind == "cohort":
            return normalize(image, *self.normalization[modality], out)
        return image

    def of_value(self, value: float, modality: str, own: tuple[float, float]) -> float:
        """One stored value, as the model sees it (the pad value, say)."""
        return float(self.applied(np.array([value], np.float32), modality, own)[0])


def scaling_of(wanted: Window, index: CohortIndex) -> Scaling:
    """What ``wanted`` (see CohortDataset) means in this cohort; WindowError when nothing."""
    if wanted is None:
        return Scaling()
    if wanted == ZSCORE:
        return Scaling("zscore")
    if wanted == COHORT:
        missing = {case.modality for case in index.cases} - set(index.normalization)
        if missing:
            raise WindowError(f"the training part has no {', '.join(sorted(missing))} image")
        return Scaling("cohort", normalization=index.normalization)
    if isinstance(wanted, str):
        if wanted not in index.windows:
            known = ", ".join(sorted(index.windows))
            raise WindowError(f"no window {wanted!r}; known: {known}, {ZSCORE}, {COHORT}")
        wanted = index.windows[wanted]
    level, width = wanted
    if not width > 0:
        raise WindowError(f"a window of width {width} maps nothing; it must be positive")
    return Scaling("window", float(level), float(width))
