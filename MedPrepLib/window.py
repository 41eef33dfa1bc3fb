"""Display windows: from intensities (Hounsfield units for CT) to [0, 1]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import MedPrepError
from MedPrepLib.images import VoxelArray

NAMED_WINDOWS: dict[str, tuple[float, float]] = {
    "lung": (-600.0, 1500.0),
    "mediastinum": (50.0, 350.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
}
"""Level and width in HU of the usual windows; a study file may redefine them."""


class WindowError(MedPrepError, ValueError):
    """A window that does not exist or has no width."""


Floats = npt.NDArray[np.float32]


def window(array: VoxelArray, level: float, width: float, out: Floats | None = None) -> Floats:
    """Intensities of any shape mapped to [0, 1] as float32 (a new array, or ``out``).

    The plain formula: ``level - width / 2`` becomes 0, ``level`` exactly 0.5, ``level + width / 2``
    becomes 1, linear between, clipped outside. (DICOM PS3.3 C.11.2.1.2 shifts both ends by half
    a stored unit; PS3.3 C.11.2.1.3.2 calls the plain formula LINEAR_EXACT.)
    Raises WindowError when ``width`` is not positive.
    """
    if not width > 0:
        raise WindowError(f"a window of width {width} maps nothing; it must be positive")
    scaled = np.empty(array.shape, dtype=np.float32) if out is None else out
    np.subtract(array, np.float32(level), out=scaled, dtype=np.float32, casting="unsafe")
    scaled /= np.float32(width)
    scaled += np.float32(0.5)
    np.clip(scaled, 0.0, 1.0, out=scaled)
    return scaled


def normalize(array: VoxelArray, mean: float, std: float, out: Floats | None = None) -> Floats:
    """z-scores as float32 (a new array, or ``out``); zeros where ``std`` is 0, never NaN."""
    scaled = np.empty(array.shape, dtype=np.float32) if out is None else out
    np.subtract(array, np.float32(mean), out=scaled, dtype=np.float32, casting="unsafe")
    scaled *= np.float32(1.0 / std) if std > 0 else np.float32(0.0)
    return scaled
