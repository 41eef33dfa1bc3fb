"""Arrays as torch tensors, where torch is wanted."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

import numpy as np

from MedPrepLib.errors import UnsupportedError


def wants_torch(as_torch: bool | None) -> bool:
    """``as_torch`` itself; None means: when torch has been imported already.

    Raises UnsupportedError, with the command that installs it, when torch is wanted and missing.
    """
    if as_torch is None:
        return "torch" in sys.modules
    if as_torch and find_spec("torch") is None:
        raise UnsupportedError('tensors need torch: pip install "MedPrep[torch]"')
    return as_torch


def boxes_along_ijk(boxes: Any) -> Any:
    """Boxes (n, 6) of an item as (i0, j0, k0, i1, j1, k1): for arrays that are turned around."""
    return boxes[:, [2, 1, 0, 5, 4, 3]]


def tensor(value: Any) -> Any:
    """An array as a tensor that shares its memory; anything else as it is."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        return value
    import torch

    # torch knows uint16 but can hardly compute with it.
    return torch.from_numpy(value.astype(np.int32) if value.dtype == np.uint16 else value)
